/*
 * pipeline: see pipeline.h.
 *
 * Why all or none: a reading of a message that was taken while its neighbour
 * was not would come twice when the broker sends the message again.  How it
 * fails: it does not; what has no room is told to the source (wait) or to the
 * ledger (dropped: "memory_full", "spool_full"), never lost in between.
 */
#include "agent/pipeline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

enum { UNIT_AGAIN_US = 60000000, UNITS_MAX = 60, UNIT_JSON = 6 * 32 + 1 };

void pipeline_init(struct pipeline *p, struct rt *rt, struct tags *tags, struct spool *spool, struct alarms *alarms,
                   struct thinning *thinning)
{
        *p = (struct pipeline){.rt = rt, .tags = tags, .spool = spool, .alarms = alarms, .thinning = thinning};
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
        int rc;

        BUG_ON(r->quality >= N_QUALITIES || r->type > READING_RAW);
        BUG_ON(r->type == READING_NONE && !quality_is_bad(r->quality));
        rc = spool_append(p->spool, r);

        if (rc > 0) {
                spool_refuse(p->spool, 1, rc == SPOOL_E_FULL ? "spool_full" : "memory_full");
                p->n_refused++;
                return;
        }
        tags_get(p->tags, r->tag)->n_readings++;
}

/*
 * An alarm's row goes before the reading that moved it, because an append may
 * end the batch: so they share a transaction. The seq is known by then; a
 * reading that is refused has one as well.
 */
static void take(struct pipeline *p, const struct reading *r, const struct rt_time *now)
{
        struct reading kept[2];
        size_t n = 1;
        bool moved;

        kept[0] = *r;
        if (p->clock_unsynced && !(r->flags & READING_HISTORICAL))
                kept[0].flags |= READING_CLOCK_UNSYNCED;
        moved = p->alarms && alarms_eval(p->alarms, &kept[0], now);
        if (p->thinning) {
                struct reading stamped = kept[0];

                n = thinning_pass(p->thinning, &stamped, moved, kept);
        }
        if (moved)
                alarms_store(p->alarms, spool_appended_seq(p->spool, SPOOL_SAMPLES) + n);
        for (size_t i = 0; i < n; i++)
                append(p, &kept[i]);
}

int pipeline_take(struct pipeline *p, const struct reading *r, size_t n, bool may_wait)
{
        struct rt_time now;

        if (may_wait && !spool_has_room(p->spool, p->thinning ? 2 * n : n, text_bytes(r, n)))
                return PIPELINE_E_WAIT;
        rt_now(p->rt, &now);
        for (size_t i = 0; i < n; i++)
                take(p, &r[i], &now);
        if (p->alarms)
                alarms_commit(p->alarms);
        return 0;
}

static void on_held_back(void *ctx, const struct reading *r)
{
        append(ctx, r);
}

void pipeline_end(struct pipeline *p)
{
        if (p->thinning)
                thinning_end(p->thinning, on_held_back, p);
}

uint64_t pipeline_thinned(const struct pipeline *p)
{
        return p->thinning ? thinning_count(p->thinning) : 0;
}

void pipeline_device(struct pipeline *p, const char *source, bool down)
{
        if (p->alarms)
                alarms_device(p->alarms, source, down);
}

void pipeline_link(struct pipeline *p, const char *driver, bool down)
{
        if (p->alarms)
                alarms_link(p->alarms, driver, down);
}

void pipeline_put_event(void *ctx, int64_t ts_us, const char *kind, int severity, uint32_t tag_or_none,
                        const char *body, size_t len)
{
        struct pipeline *p = ctx;

        spool_append_event(p->spool, ts_us, kind, severity, tag_or_none, body, len);
}

void pipeline_event(struct pipeline *p, const char *kind, enum event_severity severity, uint32_t tag_or_none,
                    const char *members, ...)
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

/* At most 32 bytes of it, in whole characters: an event has a bound. */
static const char *unit_in_json(char out[UNIT_JSON], const char *unit)
{
        size_t len = strnlen(unit, 33);

        if (len > 32)
                for (len = 32; len && ((unsigned char)unit[len] & 0xc0) == 0x80;)
                        len--;
        out[text_put_json(out, unit, len)] = '\0';
        return out;
}

/*
 * So many a minute of all tags: who makes thousands of them pushes no alarm out
 * of the spool.
 */
static bool may_tell_unit(struct pipeline *p, int64_t now_us)
{
        if (now_us - p->units_since_us >= UNIT_AGAIN_US) {
                p->units_since_us = now_us;
                p->n_units = 0;
        }
        return p->n_units < UNITS_MAX && ++p->n_units;
}

/*
 * A source that says now this, now that, is told of once a minute; each reading
 * has the unit it came with all the same.
 */
void pipeline_unit_changed(void *ctx, uint32_t tag, const char *old_unit)
{
        struct pipeline *p = ctx;
        struct tag *t = tags_get(p->tags, tag);
        int64_t now_us = rt_mono_us(p->rt);
        const char *unit = tags_unit(p->tags, tag);
        char from[UNIT_JSON], to[UNIT_JSON];

        if ((t->unit_told_us && now_us - t->unit_told_us < UNIT_AGAIN_US) || !may_tell_unit(p, now_us))
                return;
        t->unit_told_us = now_us ? now_us : 1;
        log_notice("tags", "%s/%s: its unit is '%s' now, it was '%s'", t->source, t->name, unit, old_unit);
        pipeline_event(p, "tag", EVENT_NOTICE, tag,
                       "\"state\":\"unit_changed\",\"old_unit\":\"%s\",\"new_unit\":\"%s\"",
                       unit_in_json(from, old_unit), unit_in_json(to, unit));
}
