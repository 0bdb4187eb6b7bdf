/*
 * backoff: growing, jittered pauses between tries.  Pure: the caller brings the
 * random number and the clock. The n-th pause is first * 2^n up to most, times
 * 0.5..1.0, so that a hundred gateways don't come back in step.
 */
#ifndef MILLRACE_BASE_BACKOFF_H
#define MILLRACE_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
        int64_t first_us, most_us;
        unsigned n; /* tries since the last success; set to 0 on success */
};

static inline int64_t backoff_next_us(struct backoff *b, double random)
{
        int64_t pause_us = b->first_us;

        for (unsigned i = 0; i < b->n && pause_us < b->most_us; i++)
                pause_us *= 2;
        if (pause_us > b->most_us)
                pause_us = b->most_us;
        else
                b->n++;
        return (int64_t)((double)pause_us * (0.5 + 0.5 * random));
}

#endif
