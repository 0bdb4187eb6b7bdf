/*
 * clock: see clock.h.  Wall less monotonic time is constant but for slewing, at
 * most 500 ppm: over a second nothing, so a difference of more than a second
 * between two looks is a step.  A suspend looks like one too: the monotonic
 * clock stands still in it; gateways do not suspend.  How it fails: it does
 * not.
 */
#include "agent/clock.h"

enum { STEP_US = 1000000 };

int64_t clock_update(struct clock *c, const struct rt_time *now, bool unsynced, bool *was_unsynced)
{
        int64_t apart_us = now->wall_us - now->mono_us, by_us = c->known ? apart_us - c->apart_us : 0;

        *was_unsynced = c->unsynced;
        c->known = true;
        c->unsynced = unsynced;
        c->apart_us = apart_us;
        return by_us > STEP_US || by_us < -STEP_US ? by_us : 0;
}
