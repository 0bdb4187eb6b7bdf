/*
 * clock: notices that the wall clock was stepped.  Pure: times are arguments.
 */
#ifndef MILLRACE_AGENT_CLOCK_H
#define MILLRACE_AGENT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/rt.h"

struct clock {
        bool known;
        bool unsynced;    /* at the last look */
        int64_t apart_us; /* wall less monotonic at the last look */
};

/*
 * By how much the clock was stepped since the last look, when that is more than
 * a second; else 0.
 */
int64_t clock_update(struct clock *c, const struct rt_time *now, bool unsynced, bool *was_unsynced);

#endif
