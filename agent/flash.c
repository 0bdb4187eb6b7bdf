/*
 * flash: see flash.h.  The mean forgets with a time constant of five minutes,
 * so a burst (a start, a drained backlog) is not answered at once; the factor
 * moves by a twentieth up and a hundredth down per look, slower than the mean, with
 * a dead band between 75 and 95 % of the budget, so that it settles instead of
 * swinging, though a commit a minute is a burst.  Far below (the plant writes
 * less, the budget was raised) it goes back as fast as it came, and without a
 * budget at once.  How it fails: at the longest intervals the budget may still
 * be exceeded; the forecast in `status` says so.
 */
#include "agent/flash.h"

enum { UPDATE_US = 5000000, FORGET_S = 300, MOST = 60 };

static const struct schema_key keys[] = {
        {.name = "max_per_day",
         .type = SCHEMA_SIZE,
         .offset = offsetof(struct flash_conf, max_per_day_bytes),
         .min = 1048576,
         .max = 1099511627776.0,
         .help = "Most bytes a day to be written to disk: when the forecast is higher, commits of polled readings and "
                 "acknowledgements to MQTT brokers wait longer. Not set: no budget."},
        {0},
};

const struct schema flash_schema = {
        .name = "flash",
        .help = "Sparing the flash the spool lies on.",
        .keys = keys,
        .size = sizeof(struct flash_conf),
};

void flash_init(struct flash *f)
{
        *f = (struct flash){.slowdown = 1};
}

static double next_slowdown(const struct flash *f, const struct flash_conf *conf)
{
        double limit = (double)conf->max_per_day_bytes, next = f->slowdown;

        if (limit == 0)
                return 1;
        if (flash_forecast(f) > limit * 0.95)
                next *= 1.05;
        else if (flash_forecast(f) < limit * 0.75)
                next /= flash_forecast(f) < limit * 0.25 ? 1.05 : 1.01;
        return next > MOST ? MOST : next < 1 ? 1 : next;
}

bool flash_update(struct flash *f, const struct flash_conf *conf, uint64_t written, int64_t mono_us)
{
        double dt_s = (double)(mono_us - f->updated_us) / 1e6, before = f->slowdown, share;

        if (f->known && mono_us - f->updated_us < UPDATE_US)
                return false;
        if (f->known) {
                share = dt_s / (FORGET_S + dt_s);
                f->bytes_per_s += ((double)(written - f->written) / dt_s - f->bytes_per_s) * share;
                f->slowdown = next_slowdown(f, conf);
        }
        f->known = true;
        f->written = written;
        f->updated_us = mono_us;
        return f->slowdown != before;
}
