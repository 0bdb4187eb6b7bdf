/*
 * property: the properties of MQTT 5 packets, and the text in packets.  Pure:
 * bytes in, a verdict and a sentence out.  Any thread.
 *
 * The format is that of MQTT 5.0 (OASIS Standard, 7 March 2019): text 1.5.4,
 * properties 2.2.2; which may be where, and with what value, 3.2.2.3, 3.3.2.3,
 * 3.4.2.2, 3.9.2.1, 3.11.2.1 and 3.14.2.2.
 */
#ifndef MILLRACE_DRIVERS_MQTT_PROPERTY_H
#define MILLRACE_DRIVERS_MQTT_PROPERTY_H

#include "agent/base/err.h"
#include "drivers/mqtt/cursor.h"

enum {
        MQTT_CORRELATION = 0x09,
        MQTT_PROPERTIES_MAX = 4096,   /* bytes, of a PUBLISH; longer ones are better left out */
        MQTT_ANSWER_PROPERTIES = 512, /* in number, of all others */
        MQTT_IDS_MAX = 256
};

/*
 * The length of the character at p, of n bytes; 0: none that MQTT strings may
 * have.
 */
size_t mqtt_char_len(const unsigned char *p, size_t n);
/* What a message may be published under: not empty, no wildcard. */
bool mqtt_is_topic(const unsigned char *p, size_t n);

/*
 * The subscriptions a message came for; none, when there are more than that.
 */
struct mqtt_ids {
        size_t n;
        uint32_t id[MQTT_IDS_MAX];
};

/*
 * The properties of a PUBLISH, and in `ids` what of them is for us. 0;
 * MQTT_PROPERTY_E_STRIP: the others are better left out; or -1 with a sentence.
 */
int mqtt_properties_of_publish(const unsigned char *p, size_t len, struct mqtt_ids *ids, struct err *e);
enum { MQTT_PROPERTY_E_STRIP = 1 };

/* What a broker takes, as its CONNACK says. */
struct mqtt_broker_takes {
        uint32_t max_packet;            /* UINT32_MAX: it does not say */
        bool ids;                       /* subscription identifiers */
        const unsigned char *keepalive; /* of its own: two bytes of the packet; NULL: it has none */
};

/*
 * Those of another packet, `name`d so, at the cursor with their length in
 * front. `takes` is changed where they say so. 0, or -1 with a sentence.
 */
int mqtt_properties_check(struct cursor *c, unsigned type, const char *name, struct mqtt_broker_takes *takes,
                          struct err *e);

#endif
