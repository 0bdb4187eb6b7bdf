/*
 * pace: a token bucket of bytes a second.  Pure; time is an argument
 * (monotonic).
 *
 * A record may go while the bucket is not in debt, whatever its size, and is
 * paid for in full: so one larger than the burst goes too, and the mean rate
 * holds.  Once in debt it rests until a quarter of a second's worth is there:
 * what goes then goes together, in one request, where each record by itself
 * would pay for a request of its own on the very line that is paid by the byte.
 */
#ifndef MILLRACE_UPLINK_PACE_H
#define MILLRACE_UPLINK_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
        uint64_t bytes_s;       /* 0: no limit */
        uint64_t burst, enough; /* `enough`: it rests until so much is there */
        bool rests;
        double tokens;
        int64_t at_us;
};

/* The burst is what goes in half a second, at least 16 KiB. */
void pace_init(struct pace *p, uint64_t bytes_s, int64_t now_us);

/* 0: may go now; else how long to wait. */
int64_t pace_wait_us(struct pace *p, int64_t now_us);
void pace_spend(struct pace *p, uint64_t bytes);

#endif
