/*
 * intake: a message -> the host: which subscription, which tags, which
 * readings, or the quarantine.
 *
 * No I/O of its own; speaks to the host by the driver's upcalls.  Loop thread.
 */
#ifndef MILLRACE_DRIVERS_MQTT_INTAKE_H
#define MILLRACE_DRIVERS_MQTT_INTAKE_H

#include "drivers/mqtt/filters.h"
#include "drivers/mqtt/link.h"
#include "drivers/mqtt/mqtt.h"
#include "drivers/mqtt/payload.h"
#include "drivers/mqtt/redelivery.h"
#include "drivers/mqtt/topic.h"
#include "drivers/sparkplug/sparkplug.h"

struct mqtt_sub {
        const struct mqtt_sub_conf *conf;
        struct mqtt_sub_usual usual;
        struct mqtt_pattern pattern;
        struct mqtt_decoder decoder;
        bool heard;                 /* a message came for it */
        uint32_t id;                /* its messages name it; 0: they do not, and are its own by their topic */
        struct mqtt_route *scratch; /* of a topic the table has no room for; NULL: there was none yet */
};

struct mqtt_intake {
        struct driver *d;
        uint64_t max_payload_bytes;
        struct mqtt_sub *subs;
        size_t n_subs;
        struct mqtt_filters filters;
        bool lacks_ids;   /* the last message should have had identifiers */
        bool is_stray;    /* no subscription is for its topic */
        int64_t taken_us; /* monotonic: when the last message came */
        struct mqtt_topics *topics;
        struct changed_names *changed;
        struct mqtt_redelivery *redelivery;
        struct mqtt_decoded *decoded;
        struct reading *gathered;            /* of a message that several subscriptions read */
        char (*gathered_room)[CONVERT_ROOM]; /* of their texts that stand in `decoded` */
        struct payload_text *gathered_unit;  /* as it was said of them */
        size_t cap_gathered;
        uint64_t n_rows, n_bytes; /* handed over since the caller last set them to 0 */
        /* Sparkplug: NULL and unused when no subscription is. */
        struct sparkplug *sparkplug;
        struct sparkplug_result turn;
        bool begun;              /* it has read the message that waits */
        bool others_have_it;     /* and the host has the readings of the other subscriptions */
        size_t n_given;          /* of the turn's readings, the host has so many; the others wait */
        struct mqtt_print print; /* of the message they came in */
        uint16_t mid;
        /* Asks a node to be born again; the link's. NULL: nobody can be asked. 0, or -1: it could not be sent. */
        int (*publish)(void *ctx, const char *topic, const void *payload, size_t len);
        void *publish_ctx;
};

int mqtt_intake_init(struct mqtt_intake *in, struct driver *d, struct err *e);
void mqtt_intake_fini(struct mqtt_intake *in);

/* Subscriptions for which nothing came: how many, and their topics. */
void mqtt_births_forgotten(struct mqtt_intake *in); /* as the driver's operation */
size_t mqtt_intake_silent(const struct mqtt_intake *in, char *out, size_t cap);

/* Before the first message: what the spool holds of the last run. */
void mqtt_intake_recall(struct mqtt_intake *in);

/* Instead: what the driver before this one has received, with its table. */
void mqtt_intake_inherit(struct mqtt_intake *in, struct mqtt_intake *before);

/*
 * 0: taken care of, it may be acknowledged. DRIVER_E_WAIT: nothing was taken,
 * it must not be.
 */
int mqtt_intake_take(struct mqtt_intake *in, const struct mqtt_message *m);

/*
 * The message that had to wait will not be handed in again: what the host has
 * not taken of it is given to it now, for it to drop and to name when there is
 * no room.
 */
void mqtt_intake_give_up(struct mqtt_intake *in);

#endif
