/*
 * driver: what several drivers say in the same words; see the table in
 * driver.h.
 *
 * Why here and not in the host: tests of a driver have a host of their own, and
 * these must be what they look at.
 *
 * Cannot fail: what has no room is counted.
 */
#include "drivers/driver.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/base/text.h"

enum { AT_ONCE = 32, EXAMPLES_MAX = 20, EXAMPLE_EVERY_US = 30000000 };

uint32_t driver_tag(struct driver *d, const char *source, const char *name, const char *unit)
{
        uint32_t tag;

        if (tags_configure(d->tags, source, name, unit ? unit : "", "", d->name, &tag) != 0)
                return DRIVER_NO_TAG;
        return tag;
}

size_t driver_tagged(struct driver *d, struct reading *r, size_t n)
{
        size_t n_left = 0;

        for (size_t i = 0; i < n; i++) {
                if (r[i].tag == DRIVER_NO_TAG)
                        d->n_untagged++;
                else
                        r[n_left++] = r[i];
        }
        return n_left;
}

void driver_bad(struct driver *d, const uint32_t *tags, size_t n, enum quality quality)
{
        struct reading r[AT_ONCE];
        struct rt_time now;
        size_t n_held = 0;

        rt_now(d->rt, &now);
        for (size_t i = 0; i < n; i++) {
                if (tags[i] != DRIVER_NO_TAG) {
                        r[n_held] = driver_reading(tags[i], now.wall_us);
                        r[n_held++].quality = (uint16_t)quality;
                }
                if (n_held == AT_ONCE || (n_held && i + 1 == n)) {
                        driver_emit(d, r, n_held, false);
                        n_held = 0;
                }
        }
}

void driver_error(struct driver *d, const char *fmt, ...)
{
        char text[2 * sizeof(d->last_error)];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        d->n_errors++;
        d->fault_stands = true;
        text_copy(d->last_error, sizeof(d->last_error), text);
}

void driver_malformed(struct driver *d, const char *origin, const char *reason)
{
        d->n_malformed++;
        if (!d->fault_stands)
                text_format(d->last_error, sizeof(d->last_error), "%s: %s", origin, reason);
}

static bool may_keep(struct driver_examples *x, int64_t now_us)
{
        int64_t passed = (now_us - x->since_us) / EXAMPLE_EVERY_US;

        x->since_us += passed * EXAMPLE_EVERY_US;
        x->n_kept = passed < x->n_kept ? x->n_kept - (int)passed : 0;
        return x->n_kept < EXAMPLES_MAX && ++x->n_kept;
}

void driver_refuse(struct driver *d, struct driver_examples *x, const char *origin, const char *reason,
                   const void *payload, size_t len)
{
        if (may_keep(x, rt_mono_us(d->rt)))
                d->host->quarantine(d, origin, reason, payload, len); /* which counts */
        else
                driver_malformed(d, origin, reason);
}
