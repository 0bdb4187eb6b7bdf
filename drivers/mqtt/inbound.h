/*
 * inbound: what a broker sends, made safe for the library and for us.
 *
 * Bytes in, in pieces of any size; whole sound packets out, as they came. Pure:
 * no I/O, nothing of libmosquitto.  One thread.
 *
 * A message that is longer than may be, or whose topic none may have, comes out
 * as one that is set aside: the same packet id and flags, the topic with what
 * may not be in it replaced, and a payload that only mqtt_inbound_aside reads.
 * Subscription identifiers come out as correlation data that only
 * mqtt_inbound_ids reads, without other properties.  A keepalive that a broker
 * wants and that is longer than ours, or none, comes out as ours.
 *
 * Anything that breaks the protocol is a sentence; what came before it is sound
 * and stays.
 */
#ifndef MILLRACE_DRIVERS_MQTT_INBOUND_H
#define MILLRACE_DRIVERS_MQTT_INBOUND_H

#include "drivers/mqtt/packet.h"

enum {
        MQTT_MARK_BYTES = 16,
        MQTT_ASIDE_KEPT = 4096 /* of the payload of a message set aside */
};

/* Why a message is set aside. */
enum mqtt_aside {
        MQTT_NOT_ASIDE,
        MQTT_ASIDE_LONG,       /* payload */
        MQTT_ASIDE_PROPERTIES, /* the packet is that long by its properties */
        MQTT_ASIDE_TOPIC
};

struct mqtt_inbound {
        bool v311;
        uint16_t keepalive_s; /* ours; 0, which it is after init: the broker's as it is */
        size_t max_payload;
        unsigned char mark[MQTT_MARK_BYTES]; /* nobody outside knows it */
        bool accepted, answered;             /* CONNACK: with yes; at all */
        struct mqtt_broker_takes takes;
        struct err broken; /* nothing more is taken */
        /* The packet that is not all there: from its first byte; of a huge one the head and the payload's beginning. */
        unsigned char *part;
        size_t n_part, part_size;
        bool huge;
        unsigned char huge_first;
        uint32_t huge_len, huge_at;
        struct mqtt_publish huge_head;
        size_t n_kept;
        /* Out. */
        unsigned char *out;
        size_t from, to, out_size;
};

/*
 * `mark`: MQTT_MARK_BYTES that no publisher can guess.
 */
void mqtt_inbound_init(struct mqtt_inbound *in, bool v311, size_t max_payload, const unsigned char *mark);
void mqtt_inbound_fini(struct mqtt_inbound *in);

/*
 * What was made of it lies between in->from and in->to. 0, or -1: in->broken
 * says why.
 */
int mqtt_inbound_feed(struct mqtt_inbound *in, const unsigned char *bytes, size_t n);
/* The first n bytes of what lies there have been taken. */
void mqtt_inbound_took(struct mqtt_inbound *in, size_t n);

struct mqtt_set_aside {
        enum mqtt_aside why;
        uint64_t size;       /* of the payload, or of the properties, as they were */
        const void *payload; /* its beginning */
        size_t len;
};
/*
 * From the correlation data of a message that came out: the subscriptions it
 * came for, and how many; 0: it does not say. `out` has room for MQTT_IDS_MAX.
 */
size_t mqtt_inbound_ids(const struct mqtt_inbound *in, const void *data, size_t len, uint32_t *out);
/* Whether a payload that came out is that of a message set aside. */
bool mqtt_inbound_aside(const struct mqtt_inbound *in, const void *payload, size_t len, struct mqtt_set_aside *out);

#endif
