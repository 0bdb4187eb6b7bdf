/*
 * link_impl: what the two rooms of a link share.  link_open.c: connecting, off
 * the loop, and the end; link.c: what is done while it is open.
 */
#ifndef MILLRACE_DRIVERS_MQTT_LINK_IMPL_H
#define MILLRACE_DRIVERS_MQTT_LINK_IMPL_H

#include "agent/base/err.h"
#include "drivers/mqtt/link.h"
#include "drivers/mqtt/stream.h"

struct mosquitto;

enum { MQTT_ACK_BYTES = 4 }; /* of a PUBACK that says nothing but yes */

struct mqtt_link {
        struct rt_work work;
        struct rt *rt;
        struct mqtt_link_conf conf; /* strings are copies */
        struct mqtt_link_upcalls up;
        struct mosquitto *mosq;
        struct mqtt_stream stream;
        bool opening; /* the work has not come back */
        bool closed;  /* while it was away */
        bool accepted;
        bool failed;                /* to ask the broker for something: the link is no good */
        uint32_t ids[MQTT_IDS_MAX]; /* of the message that comes */
        struct mqtt_limits limits;
        unsigned char (*acks)[MQTT_ACK_BYTES]; /* not collected yet */
        size_t n_acks, cap_acks;
        unsigned n_unanswered; /* of what we publish at QoS 1: the library keeps it until then */
        int64_t answered_us;   /* monotonic: the last answer, or since when one is waited for */
        struct err why;
};

/* The library's callbacks, before it connects. */
void mqtt_link_set_up(struct mqtt_link *l);
/* Says why, if nobody has; `rc` is the library's. MQTT_LINK_E_LOST. */
int mqtt_link_lost(struct mqtt_link *l, int rc);

#endif
