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
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

enum { UNIT_AGAIN_US = 60000000, UNITS_MAX = 60, UNIT_BYTES = 32 };

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

/*
 * A number that became a text is told: nobody's rules or curves have it any
 * more.
 */
static void turn(struct pipeline *p, uint32_t tag, uint16_t type)
{
        struct tag *t = tags_get(p->tags, tag);

        if (type == READING_TEXT && (t->type == READING_F64 || t->type == READING_I64)) {
                p->n_turned++;
                p->turned = tag;
        }
        t->type = type;
}

static void append(struct pipeline *p, const struct reading *r)
{
        struct tag *t;
        int rc;

        BUG_ON(r->quality >= N_QUALITIES || r->type > READING_RAW);
        BUG_ON(r->type == READING_NONE && !quality_is_bad(r->quality));
        rc = spool_append(p->spool, r);

        if (rc > 0) {
                spool_refuse(p->spool, 1, rc == SPOOL_E_FULL ? "spool_full" : "memory_full");
                p->n_refused++;
                return;
        }
        t = tags_get(p->tags, r->tag);
        t->n_readings++;
        if (t->type != r->type && r->type != READING_NONE)
                turn(p, r->tag, r->type);
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
        struct rt_time now = {0};

        if (may_wait && !spool_has_room(p->spool, p->thinning ? 2 * n : n, text_bytes(r, n)))
                return PIPELINE_E_WAIT;
        if (p->alarms)
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

const char *event_words(struct event_words *w, const char *words, size_t most)
{
        char plain[EVENT_WORDS + 1];

        BUG_ON(most > EVENT_WORDS);
        w->json[text_put_json(w->json, plain, text_copy(plain, most + 1, words))] = '\0';
        return w->json;
}

/*
 * As long as it has to be: names and words come from outside, each with its
 * bound, and none fits here by luck.
 */
void pipeline_event(struct pipeline *p, const char *kind, enum event_severity severity, uint32_t tag_or_none,
                    const char *members, ...)
{
        char head[80], *body;
        struct rt_time now;
        va_list ap;
        int head_len =
                snprintf(head, sizeof(head), "\"kind\":\"%s\",\"severity\":%d%s", kind, severity, *members ? "," : "");
        int len;

        BUG_ON(head_len < 0 || (size_t)head_len >= sizeof(head));
        va_start(ap, members);
        len = vsnprintf(NULL, 0, members, ap);
        va_end(ap);
        body = mem_alloc((size_t)(head_len + len) + 1);
        memcpy(body, head, (size_t)head_len);
        va_start(ap, members);
        vsnprintf(body + head_len, (size_t)len + 1, members, ap);
        va_end(ap);
        rt_now(p->rt, &now);
        spool_append_event(p->spool, now.wall_us, kind, severity, tag_or_none, body, (size_t)(head_len + len));
        free(body);
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
        struct event_words from, to;

        if ((t->unit_told_us && now_us - t->unit_told_us < UNIT_AGAIN_US) || !may_tell_unit(p, now_us))
                return;
        t->unit_told_us = now_us ? now_us : 1;
        log_notice("tags", "%s/%s: its unit is '%s' now, it was '%s'", t->source, t->name, unit, old_unit);
        pipeline_event(p, "tag", EVENT_NOTICE, tag,
                       "\"state\":\"unit_changed\",\"old_unit\":\"%s\",\"new_unit\":\"%s\"",
                       event_words(&from, old_unit, UNIT_BYTES), event_words(&to, unit, UNIT_BYTES));
}
