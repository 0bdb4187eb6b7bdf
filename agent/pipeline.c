/*
 * pipeline: see pipeline.h.
 *
 * Why all or none: a reading of a message that was taken while its neighbour was not would come twice when the broker
 * sends the message again.  How it fails: it does not; what has no room is told to the source (wait) or to the ledger
 * (dropped: "memory_full", "spool_full"), never lost in between.
 */
#include "agent/pipeline.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/base/err.h"
#include "agent/base/log.h"

void pipeline_init(struct pipeline *p, struct rt *rt, struct tags *tags, struct spool *spool)
{
        *p = (struct pipeline){.rt = rt, .tags = tags, .spool = spool};
}

static size_t text_bytes(const struct reading *r, size_t n)
{
        size_t sum = 0;

        for (size_t i = 0; i < n; i++)
                if (r[i].type == READING_TEXT || r[i].type == READING_RAW)
                        sum += r[i].len;
        return sum;
}

static void append(struct pipeline *p, const struct reading *r)
{
        struct reading stamped = *r;
        int rc;

        if (p->clock_unsynced && !(r->flags & READING_HISTORICAL))
                stamped.flags |= READING_CLOCK_UNSYNCED;
        rc = spool_append(p->spool, &stamped);
        if (rc > 0) {
                spool_refuse(p->spool, 1, rc == SPOOL_E_FULL ? "spool_full" : "memory_full");
                p->n_refused++;
                return;
        }
        tags_get(p->tags, r->tag)->n_readings++;
}

int pipeline_take(struct pipeline *p, const struct reading *r, size_t n, bool may_wait)
{
        if (may_wait && !spool_has_room(p->spool, n, text_bytes(r, n)))
                return PIPELINE_E_WAIT;
        for (size_t i = 0; i < n; i++)
                append(p, &r[i]);
        return 0;
}

void pipeline_event(struct pipeline *p, const char *kind, int severity, uint32_t tag_or_none, const char *members, ...)
{
        char body[1024];
        struct rt_time now;
        va_list ap;
        int n = snprintf(body, sizeof(body), "\"kind\":\"%s\",\"severity\":%d", kind, severity);
        size_t used = (size_t)n;

        if (*members) {
                body[used++] = ',';
                va_start(ap, members);
                n = vsnprintf(body + used, sizeof(body) - used, members, ap);
                va_end(ap);
                BUG_ON(n < 0 || (size_t)n >= sizeof(body) - used);
                used += (size_t)n;
        }
        rt_now(p->rt, &now);
        spool_append_event(p->spool, now.wall_us, kind, severity, tag_or_none, body, used);
}
