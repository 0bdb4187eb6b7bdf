/*
 * host_errors: when a driver's last_error was, and when it is over.
 *
 * Drivers only say what goes wrong.  Here it gets a time, and an end, so that
 * what `status` shows is what stands now:
 *
 *   a link that was down             over when it is up
 *   a device that was down           not over while any of the driver's is
 *   what the driver says stands      over when the link is up again
 *   an answer, a message, a value    over when good readings come and it has not
 *                                    come again for a minute and two periods
 *
 * Why by looking once a second and not where errors are made: a driver that
 * writes its sentence itself is seen as well.  Cannot fail.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/table_hash.h"
#include "agent/host_impl.h"

enum { QUIET_US = 60000000 };

void host_errors_over(struct host_slot *s)
{
        struct driver *d = &s->d;

        d->last_error[0] = '\0';
        d->last_error_us = 0;
        d->error_stands = false;
        s->error.seen[0] = '\0';
        s->error.n_seen = d->n_errors + d->n_malformed;
}

static bool is_over(const struct host_slot *s, int64_t mono_us)
{
        int64_t quiet_us = mono_us - s->error.seen_us;

        return s->d.state == DRIVER_UP && s->error.good_since && !s->error.n_down && !s->d.error_stands &&
               quiet_us >= QUIET_US && quiet_us >= 2 * s->d.period_us;
}

void host_errors_look(struct host_slot *s, const struct rt_time *now)
{
        struct driver *d = &s->d;
        struct host_error *e = &s->error;
        uint64_t n = d->n_errors + d->n_malformed;

        if (!*d->last_error)
                return;
        if (n != e->n_seen || strncmp(e->seen, d->last_error, sizeof(e->seen)) != 0) {
                e->n_seen = n;
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

void host_errors_device(struct host_slot *s, const char *source, bool down)
{
        struct host_error *e = &s->error;
        uint64_t hash = table_hash(source, strlen(source), 0);
        size_t i = 0;

        while (i < e->n_down && e->down[i] != hash)
                i++;
        if (!down && i < e->n_down) {
                e->down[i] = e->down[--e->n_down];
        } else if (down && i == e->n_down) {
                e->down = mem_grow(e->down, e->n_down + 1, sizeof(*e->down));
                e->down[e->n_down++] = hash;
        }
}

void host_errors_fini(struct host_slot *s)
{
        free(s->error.down);
}
