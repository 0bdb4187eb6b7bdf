/*
 * mqtt_redelivery: which of the first messages of a resumed session we have already.
 *
 * After a crash between our commit and the acknowledgement, or a lost link, the broker sends the same messages again.  A
 * ring of what was received last, by packet id and content, tells them apart from new ones.  Pure.
 */
#ifndef MILLRACE_DRIVERS_MQTT_REDELIVERY_H
#define MILLRACE_DRIVERS_MQTT_REDELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reading.h"

enum { MQTT_RING = 4096 }; /* more than a broker may have under way by default */

/* What identifies a message beside its packet id. */
struct mqtt_print {
        uint64_t hash;   /* of tag, type and value of its readings */
        int64_t time_ms; /* that came with it; MQTT_TIME_*: there was none, or it can't be told any more */
};
enum { MQTT_TIME_NONE = 0, MQTT_TIME_ANY = -1 };

struct mqtt_received {
        struct mqtt_print print;
        uint16_t mid;     /* 0: never used */
        uint32_t seen_in; /* the session it was recognised in: once in each */
};

struct mqtt_redelivery {
        struct mqtt_received ring[MQTT_RING];
        uint32_t next, count; /* where the next one goes; how many are there */
        uint32_t at;          /* how far behind `next` the last recognised one was: the search starts behind it */
        uint32_t session;     /* counts resumptions */
        uint32_t left;        /* messages that are still to be looked up; 0: that phase is over */
        struct mqtt_received gather; /* recall: the message whose readings are coming one by one */
};

void mqtt_print_start(struct mqtt_print *p);
void mqtt_print_add(struct mqtt_print *p, const struct reading *r);

void mqtt_redelivery_add(struct mqtt_redelivery *q, uint16_t mid, const struct mqtt_print *p);

/* From the spool at start: readings in order; those of one message follow one another. NULL: that was all. */
void mqtt_redelivery_recall(struct mqtt_redelivery *q, const struct reading *r);

/* Connected: the broker still had our session (then its first messages are looked up), or it began a new one. */
void mqtt_redelivery_begin(struct mqtt_redelivery *q, bool session_present);

static inline bool mqtt_redelivery_looking(const struct mqtt_redelivery *q)
{
        return q->left > 0;
}

/*
 * `dup`: the broker says it has sent this before.  True: we have it, so acknowledge and forget it.  The first message
 * without `dup` ends the phase.
 */
bool mqtt_redelivery_known(struct mqtt_redelivery *q, uint16_t mid, const struct mqtt_print *p, bool dup);

#endif
