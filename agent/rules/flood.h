/*
 * flood: how many alarms come, and which of them are told one by one.
 *
 * Remembers the activations of the last ten minutes in a ring of fixed size.
 * More than ten in ten minutes is a flood (as ISA-18.2 counts), fewer than five
 * its end.  In a flood time goes in intervals of one minute: the first alarm of
 * an interval passes, and so does every one that is worse than all that passed
 * in it; the rest is told as one group at its end.
 */
#ifndef MILLRACE_RULES_FLOOD_H
#define MILLRACE_RULES_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

enum {
        FLOOD_KEPT = 1024,
        FLOOD_BEGIN = 10,  /* more than this many in ten minutes */
        FLOOD_END = 5,     /* fewer than this many */
        FLOOD_CHATTER = 3, /* activations of one alarm within a minute */
};

struct flood_group {
        uint32_t n_activated, n_returned; /* not told one by one */
        int worst;                        /* severity */
        uint64_t worst_key;
        int64_t from_us, to_us; /* monotonic */
};

struct flood {
        struct {
                int64_t at_us;
                uint64_t key;
                uint32_t nth; /* within a minute, of the same key */
        } ring[FLOOD_KEPT];
        uint32_t first, n;
        bool flooding;
        int worst_passed;    /* of this interval; 0: none */
        int64_t interval_us; /* when it ends; INT64_MAX: no flood */
        struct flood_group group;
        uint64_t n_floods, n_chattering;
        uint32_t peak; /* most in ten minutes */
};

void flood_init(struct flood *f);

/* An alarm became active. True: it is told by itself. `key` names the alarm. */
bool flood_activated(struct flood *f, uint64_t key, int severity, int64_t mono_us);

/* An alarm returned that had not been told by itself. */
void flood_returned(struct flood *f, int64_t mono_us);

/* When flood_close() has something to say; INT64_MAX: never. */
static inline int64_t flood_due_us(const struct flood *f)
{
        return f->interval_us;
}

/* Ends the interval. True and *out: a group is to be told. */
bool flood_close(struct flood *f, int64_t mono_us, struct flood_group *out);

uint32_t flood_count(struct flood *f, int64_t mono_us);      /* in the last ten minutes; FLOOD_KEPT: or more */
uint32_t flood_chattering(struct flood *f, int64_t mono_us); /* alarms that chattered in the last minute */

#endif
