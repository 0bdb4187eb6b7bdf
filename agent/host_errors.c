/*
 * host_errors: when a driver's last_error was, and when it is over.
 *
 * Drivers only say what goes wrong.  Here it gets a time, and an end, so that
 * what `status` shows is what stands now:
 *
 *   a link that was down             over when it is up
 *   a device that was down           not over while any of the driver's is
 *   what the driver says stands      over when it does not say so any more, or
 *                                    the link is up again
 *   an answer, a message, a value    over when good readings come and it has not
 *                                    come again for a minute and two periods
 *   what came and can't be read      over as well when none has come again for
 *                                    ten minutes, whatever else came or did not
 *
 * While something that failed is not over, what came and can't be read is only
 * counted: anybody can send that, and it would stand in the other's place.
 *
 * Why by looking once a second and not where errors are made: a driver that
 * writes its sentence itself is seen as well.  Cannot fail.
 */
#include <string.h>

#include "agent/host_impl.h"

enum { QUIET_US = 60000000, FORGOTTEN_US = 600000000 };

void host_errors_over(struct host_slot *s)
{
        struct driver *d = &s->d;

        d->last_error[0] = '\0';
        d->last_error_us = 0;
        d->error_stands = d->fault_stands = false;
        s->error.seen[0] = '\0';
        s->error.n_seen = d->n_errors + d->n_malformed;
        s->error.n_errors_seen = d->n_errors;
        s->error.n_malformed_before = d->n_malformed;
        s->error.since_us = 0;
        s->error.stood = false;
}

static bool is_over(const struct host_slot *s, int64_t mono_us)
{
        int64_t quiet_us = mono_us - s->error.seen_us;

        if (s->d.state != DRIVER_UP || s->devices.n_down || s->d.error_stands)
                return false;
        if (s->error.malformed && quiet_us >= FORGOTTEN_US)
                return true;
        return s->error.good_since && quiet_us >= QUIET_US && quiet_us >= 2 * s->d.period_us;
}

void host_errors_look(struct host_slot *s, const struct rt_time *now)
{
        struct driver *d = &s->d;
        struct host_error *e = &s->error;
        uint64_t n = d->n_errors + (d->fault_stands ? 0 : d->n_malformed);

        if (!*d->last_error) {
                e->n_malformed_before = d->n_malformed;
                return;
        }
        if (e->stood && !d->error_stands && d->state == DRIVER_UP && !s->devices.n_down) {
                host_errors_over(s);
                return;
        }
        e->stood = d->error_stands;
        if (n != e->n_seen || strncmp(e->seen, d->last_error, sizeof(e->seen)) != 0) {
                if (!e->since_us)
                        e->since_us = now->mono_us;
                e->malformed = !d->fault_stands && d->n_errors == e->n_errors_seen && n != e->n_seen;
                d->fault_stands = !e->malformed;
                e->n_errors_seen = d->n_errors;
                e->n_seen = e->malformed ? n : d->n_errors;
                memcpy(e->seen, d->last_error, sizeof(e->seen));
                e->seen_us = now->mono_us;
                e->good_since = false;
                d->last_error_us = now->wall_us;
        } else if (is_over(s, now->mono_us)) {
                host_errors_over(s);
        }
}

void host_errors_emitted(struct host_slot *s, const struct reading *r, size_t n)
{
        for (size_t i = 0; i < n && !s->error.good_since; i++)
                s->error.good_since = r[i].quality == QUALITY_GOOD;
}
