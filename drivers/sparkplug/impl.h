/*
 * impl: what the files of sparkplug share; for them alone.
 */
#ifndef MILLRACE_DRIVERS_SPARKPLUG_IMPL_H
#define MILLRACE_DRIVERS_SPARKPLUG_IMPL_H

#include "drivers/sparkplug/arena.h"
#include "drivers/sparkplug/parts.h"
#include "drivers/sparkplug/sparkplug.h"
#include "sparkplug_b.pb-c.h"

/* What the configuration says of a tag. */
struct sparkplug_how {
        const char *tag, *unit;
        struct convert convert;
};

/* Whose a tag is, and by which birth. */
struct sparkplug_owner {
        uint32_t part, birth;
};

struct sparkplug {
        struct tags *tags;
        const char *driver;
        struct sparkplug_arena arena;
        struct sparkplug_parts parts;
        struct reading *r;
        size_t cap;
        struct sparkplug_owner *owner; /* of each tag */
        size_t n_owner;
        struct sparkplug_how *how;
        size_t n_how;
        uint32_t n_births;
        size_t n_metrics; /* of all parts */
        char reason[400], gap[100];
};

/* One message on its way. */
struct sparkplug_message {
        struct sparkplug *s;
        struct sparkplug_result *out;
        struct sparkplug_part *part;
        const Spb__Payload *payload;
        struct rt_time now;
};

/* The first thing that is wrong with the message is told. */
void sparkplug_say(struct sparkplug_message *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds the metric's reading; `doubtful`: it may be another's. */
void sparkplug_read_metric(struct sparkplug_message *m, const struct sparkplug_metric *known, const Spb__Metric *metric,
                           bool doubtful);
/* Adds a reading bad/not_connected. */
void sparkplug_go_bad(struct sparkplug_message *m, uint32_t tag);

/* Valid until it is asked for another tag's. */
struct sparkplug_owner *sparkplug_owner_of(struct sparkplug *s, uint32_t tag);

/* Learns the metrics of m->part and reads their values. */
void sparkplug_take_birth(struct sparkplug_message *m);

#endif
