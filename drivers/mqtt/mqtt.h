/*
 * mqtt: readings that come through an MQTT broker.
 *
 * The configuration of one `mqtt:` item and the driver's ops table; everything
 * else of the driver is its own. Pure: topic.c, payload.c, intake.c,
 * ack_delay.c, redelivery.c, machine.c and step.c; they are carried out by
 * round.c on link.c and write_gate.c.
 */
#ifndef MILLRACE_DRIVERS_MQTT_MQTT_H
#define MILLRACE_DRIVERS_MQTT_MQTT_H

#include "agent/base/convert.h"
#include "drivers/driver.h"
#include "drivers/payload/quality.h"
#include "drivers/payload/time.h"

enum mqtt_protocol { MQTT_V5, MQTT_V311 };
enum mqtt_payload_kind {
        MQTT_NUMBER,
        MQTT_JSON,
        MQTT_TEXT,
        MQTT_RAW,
        MQTT_SPARKPLUG_B,
        MQTT_NDJSON,
        MQTT_CBOR,
        MQTT_MSGPACK,
        MQTT_SENML,
        MQTT_CSV,
        MQTT_INFLUX
};

/* Has it `readings`, by pointers? */
static inline bool mqtt_has_readings(int kind)
{
        return kind == MQTT_JSON || kind >= MQTT_NDJSON;
}
enum mqtt_time_format {
        MQTT_UNIX_S = PAYLOAD_UNIX_S,
        MQTT_UNIX_MS = PAYLOAD_UNIX_MS,
        MQTT_UNIX_US = PAYLOAD_UNIX_US,
        MQTT_ISO8601 = PAYLOAD_ISO8601
};

/* One value of a payload, or of each of its elements. */
struct mqtt_reading_conf {
        struct schema_at at;
        const char *tag;   /* NULL: the topic's {tag}; may ask the payload: "{/id}" */
        const char *value; /* JSON pointer; NULL: "/" and the tag, or the element itself */
        const char *unit;  /* may ask the payload */
        struct convert_conf convert;
};

struct mqtt_sub_conf {
        struct schema_at at;
        const char *topic;
        int payload;                     /* enum mqtt_payload_kind */
        const char *source, *tag, *unit; /* source: may ask the payload */
        const char *each;                /* JSON pointer to what is walked; NULL: the message is one element */
        int64_t max_elements;
        const char *time; /* JSON pointer; NULL: time of arrival */
        int time_format;  /* enum payload_time_format */
        const char *time_pattern, *time_zone;
        struct payload_quality_conf quality;
        struct convert_conf convert; /* of payloads without `readings` */
        int retained;                /* enum mqtt_retained */
        int compressed;              /* enum mqtt_compressed */
        struct schema_list readings; /* struct mqtt_reading_conf */
};

enum mqtt_compressed { MQTT_PLAIN, MQTT_GZIP };
enum mqtt_retained { MQTT_RETAINED_KEEP, MQTT_RETAINED_SKIP };

/*
 * What a subscription says, or what its payload means when it says nothing.
 * `source` at NULL: the topic's, or the item's name.
 */
struct mqtt_sub_usual {
        const char *source, *each, *time;
        int time_format;
        const struct mqtt_reading_conf *readings;
        size_t n_readings;
};
struct mqtt_sub_usual mqtt_sub_usual(const struct mqtt_sub_conf *c);

/* Do names or units of the readings come from the payload? */
bool mqtt_sub_asks(const struct mqtt_sub_conf *c);

struct mqtt_conf {
        struct schema_at at;
        const char *name, *url, *client_id, *username, *password_file, *ca_file, *cert_file, *key_file;
        int protocol;                           /* enum mqtt_protocol */
        int64_t qos, receive_maximum, max_tags; /* max_tags 0: the usual share */
        int64_t keepalive_us, session_expiry_us, ack_delay_us;
        uint64_t max_payload_bytes;
        struct schema_list subscriptions; /* struct mqtt_sub_conf */
};

void mqtt_names(const void *conf, struct driver_names *to);
size_t mqtt_share(const void *conf, size_t usual);

extern const struct schema mqtt_schema;
extern const struct driver_ops mqtt_ops;

struct mqtt_url {
        char host[256];
        int port;
        bool tls;
};
/*
 * mqtt://host[:port], mqtts://host[:port], [::1] for IPv6. 0, or -1 with what
 * is wrong.
 */
int mqtt_url_parse(struct mqtt_url *out, const char *url, struct err *e);

#endif
