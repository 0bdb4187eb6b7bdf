/*
 * packet: is one packet from a broker sound?  Pure: bytes in, a verdict and a
 * sentence out.  Any thread.
 *
 * The format is that of MQTT 5.0 (OASIS Standard, 7 March 2019): fixed header
 * 2.1, the packets chapter 3; and of MQTT 3.1.1 (OASIS Standard, 29 October
 * 2014), which is the same without properties.
 */
#ifndef MILLRACE_DRIVERS_MQTT_PACKET_H
#define MILLRACE_DRIVERS_MQTT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "drivers/mqtt/property.h"

/*
 * The fixed header's upper four bits (2.1.2); others are no packet a server may
 * send us.
 */
enum mqtt_packet_type {
        MQTT_CONNACK = 2,
        MQTT_PUBLISH = 3,
        MQTT_PUBACK = 4,
        MQTT_SUBACK = 9,
        MQTT_UNSUBACK = 11,
        MQTT_PINGRESP = 13,
        MQTT_DISCONNECT = 14
};

enum {
        MQTT_HEADER_MAX = 5,    /* type and remaining length */
        MQTT_ANSWER_MAX = 65536 /* of all packets but PUBLISH: more has no meaning for us */
};

/*
 * The fixed header of what begins at p: its length and that of what follows. 1;
 * 0: more bytes are needed; -1: no header (2.1.4).
 */
int mqtt_packet_header(const unsigned char *p, size_t n, size_t *header_len, uint32_t *body_len);

/*
 * May a server send this at all? Of the first byte alone. 0, or -1 with a
 * sentence.
 */
int mqtt_packet_allowed(unsigned char first, bool v311, struct err *e);
const char *mqtt_packet_name(unsigned char first);

struct mqtt_connack {
        bool accepted;
        struct mqtt_broker_takes takes;
};

/*
 * Any packet but a PUBLISH; `connack` is filled by that one. 0, or -1 with a
 * sentence.
 */
int mqtt_packet_check(unsigned char first, const unsigned char *body, size_t len, bool v311,
                      struct mqtt_connack *connack, struct err *e);

struct mqtt_publish {
        const unsigned char *topic;
        size_t topic_len;
        int qos;
        uint16_t mid;         /* 0 at QoS 0 */
        size_t properties_at; /* the first of them */
        uint32_t properties_len;
        size_t payload_at; /* may lie behind what was given */
};

/*
 * A PUBLISH up to the length of its properties, of which `n` bytes are there:
 * enough, or all. 0, or -1 with a sentence.
 */
int mqtt_publish_head(unsigned char first, const unsigned char *body, size_t n, uint32_t body_len, bool v311,
                      struct mqtt_publish *out, struct err *e);
/* What the head of a PUBLISH can take. */
enum { MQTT_HEAD_MAX = 2 + 65535 + 2 + 4 };

#endif
