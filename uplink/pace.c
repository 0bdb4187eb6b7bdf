/*
 * pace: see pace.h.  The clock may stand still between calls; it never runs
 * backwards, and a jump ahead fills one burst.
 */
#include "uplink/pace.h"

#include <math.h>

#include "agent/base/err.h"

enum { BURST_MIN = 16384 };

void pace_init(struct pace *p, uint64_t bytes_s, int64_t now_us)
{
        *p = (struct pace){.bytes_s = bytes_s, .burst = bytes_s / 2, .at_us = now_us};
        if (p->burst < BURST_MIN)
                p->burst = BURST_MIN;
        p->enough = bytes_s / 4;
        p->tokens = (double)p->burst;
}

int64_t pace_wait_us(struct pace *p, int64_t now_us)
{
        if (!p->bytes_s)
                return 0;
        if (now_us > p->at_us) {
                p->tokens += (double)(now_us - p->at_us) * (double)p->bytes_s / 1e6;
                p->tokens = fmin(p->tokens, (double)p->burst);
                p->at_us = now_us;
        }
        BUG_ON(p->tokens > (double)p->burst);
        p->rests = p->tokens <= 0 || (p->rests && p->tokens < (double)p->enough);
        if (!p->rests)
                return 0;
        return (int64_t)ceil(((double)p->enough - p->tokens) * 1e6 / (double)p->bytes_s) + 1;
}

void pace_spend(struct pace *p, uint64_t bytes)
{
        if (p->bytes_s)
                p->tokens -= (double)bytes;
}
