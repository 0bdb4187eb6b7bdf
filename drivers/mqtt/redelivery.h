/*
 * redelivery: which of the first messages of a resumed session we have already.
 *
 * After a crash between our commit and the acknowledgement, or a lost link, the
 * broker sends the same messages again.  A table of what was received last
 * under each packet id tells them apart from new ones.  Pure.
 */
#ifndef MILLRACE_DRIVERS_MQTT_REDELIVERY_H
#define MILLRACE_DRIVERS_MQTT_REDELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reading.h"

/* What identifies a message beside its packet id. */
struct mqtt_print {
        uint64_t hash;   /* of tag, type and value of its readings */
        int64_t time_ms; /* that came with it; MQTT_TIME_*: there was none, or it can't be told any more */
};
enum { MQTT_TIME_NONE = 0, MQTT_TIME_ANY = -1 };

enum { MQTT_MIDS = 65536 };

struct mqtt_received {
        struct mqtt_print print;
        uint32_t session; /* the broker's session it came in */
        uint32_t number;  /* counts what was received */
        uint32_t seen_in; /* the resumption it was recognised in: once in each */
};

/*
 * Half of all ids: what was lost on the way has used up ids, too.  A mosquitto
 * that was stopped under load has sent 47,650 messages again; of these the
 * older ones become readings once more.
 */
enum { MQTT_UNDER_WAY_MAX = 32768 };

/* 2 MiB, of which only what was used is ever touched: allocate it zeroed. */
struct mqtt_redelivery {
        struct mqtt_received by_mid[MQTT_MIDS];
        uint32_t session, resumption; /* both count from 1 */
        uint32_t number, start;       /* messages received; how many when the session was resumed */
        uint32_t soonest;             /* the fewest messages after which an id came again */
        uint32_t count;               /* entries of this session */
        uint32_t left;                /* messages that are still to be looked up; 0: that phase is over */
        struct mqtt_print gather;     /* recall: the message whose readings are coming one by one */
        uint16_t gather_mid;
};

void mqtt_redelivery_init(struct mqtt_redelivery *q);

void mqtt_print_start(struct mqtt_print *p);
void mqtt_print_add(struct mqtt_print *p, const struct reading *r);

void mqtt_redelivery_add(struct mqtt_redelivery *q, uint16_t mid, const struct mqtt_print *p);

/*
 * From the spool at start: readings in order; those of one message follow one
 * another. NULL: that was all.
 */
void mqtt_redelivery_recall(struct mqtt_redelivery *q, const struct reading *r);

/*
 * Connected: the broker still had our session (then its first messages are
 * looked up), or it began a new one.
 */
void mqtt_redelivery_begin(struct mqtt_redelivery *q, bool session_present);

static inline bool mqtt_redelivery_looking(const struct mqtt_redelivery *q)
{
        return q->left > 0;
}

/*
 * `dup`: the broker says it has sent this before.  True: we have it, so
 * acknowledge and forget it.  The first message without `dup` ends the phase.
 */
bool mqtt_redelivery_known(struct mqtt_redelivery *q, uint16_t mid, const struct mqtt_print *p, bool dup);

#endif
