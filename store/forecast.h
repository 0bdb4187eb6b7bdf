/*
 * forecast: when the spool will be full, and how fast readings go when it is.
 * Pure; from what is noted with each commit.
 */
#ifndef MILLRACE_STORE_FORECAST_H
#define MILLRACE_STORE_FORECAST_H

#include <stddef.h>
#include <stdint.h>

#include "store/spool.h"

enum { FORECAST_SLOTS = 46 }; /* of 20 s: a quarter of an hour */

struct forecast_slot {
        int64_t at_us; /* monotonic */
        uint64_t held_bytes;
        uint64_t gone[SPOOL_N_GONE];
};

struct forecast {
        struct forecast_slot slot[FORECAST_SLOTS]; /* zeroed: nothing is noted */
        size_t n, last;
};

/* What is closer than a slot to the one before is let go. */
void forecast_note(struct forecast *f, const struct forecast_slot *now);

/*
 * How fast held bytes have grown since they did not; 0: they have not, or not
 * long enough to say.
 */
double forecast_bytes_per_s(const struct forecast *f, const struct forecast_slot *now);

/* Until `left_bytes` are taken at that rate; 0: not in sight. */
double forecast_full_in_s(double bytes_per_s, uint64_t left_bytes);

/* Over the last minute. */
double forecast_gone_per_s(const struct forecast *f, const struct forecast_slot *now, enum spool_gone which);

#endif
