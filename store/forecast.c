/*
 * forecast: see forecast.h.
 *
 * An outage is a line: it begins at the last low point, at most a quarter of an
 * hour ago, and its slope is what has been held since.  So it is right as soon
 * as half a minute after Kafka went, whatever was before; and while Kafka takes
 * what comes the low point is always a new one, and nothing is said.  What is
 * less than a few pages is no growth.  How it fails: a plant that changes its
 * pace is told by the mean since then.
 */
#include "store/forecast.h"

enum {
        SLOT_US = 20000000,
        SAY_AFTER_US = 30000000,
        LEAST_BYTES = 16 << 10,
        RATE_US = 60000000,
        TOO_LONG_S = 100000000
};

static const struct forecast_slot *slot_before(const struct forecast *f, size_t n_back)
{
        return &f->slot[(f->last + FORECAST_SLOTS - n_back) % FORECAST_SLOTS];
}

void forecast_note(struct forecast *f, const struct forecast_slot *now)
{
        if (f->n && now->at_us - slot_before(f, 0)->at_us < SLOT_US)
                return;
        f->last = (f->last + 1) % FORECAST_SLOTS;
        f->slot[f->last] = *now;
        if (f->n < FORECAST_SLOTS)
                f->n++;
}

double forecast_bytes_per_s(const struct forecast *f, const struct forecast_slot *now)
{
        const struct forecast_slot *lowest = now;

        for (size_t i = 0; i < f->n && slot_before(f, i)->held_bytes <= lowest->held_bytes + LEAST_BYTES; i++)
                if (slot_before(f, i)->held_bytes < lowest->held_bytes)
                        lowest = slot_before(f, i);
        if (now->at_us - lowest->at_us < SAY_AFTER_US || now->held_bytes - lowest->held_bytes < LEAST_BYTES)
                return 0;
        return (double)(now->held_bytes - lowest->held_bytes) / ((double)(now->at_us - lowest->at_us) / 1e6);
}

double forecast_full_in_s(double bytes_per_s, uint64_t left_bytes)
{
        double s = bytes_per_s > 0 ? (double)left_bytes / bytes_per_s : 0;

        return s < TOO_LONG_S ? s : 0;
}

double forecast_gone_per_s(const struct forecast *f, const struct forecast_slot *now, enum spool_gone which)
{
        const struct forecast_slot *from = now;

        for (size_t i = 0; i < f->n && now->at_us - from->at_us < RATE_US; i++)
                from = slot_before(f, i);
        if (now->at_us <= from->at_us || now->gone[which] <= from->gone[which])
                return 0;
        return (double)(now->gone[which] - from->gone[which]) / ((double)(now->at_us - from->at_us) / 1e6);
}
