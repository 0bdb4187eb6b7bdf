/*
 * forget: see forget.h.
 *
 * A tag stays when the configuration names it (it would come again at once),
 * when Kafka does not have all of its readings, or when an alarm of it is not
 * normal: nobody could acknowledge it any more.  The rules are bound again when
 * no more requests come: that walks all tags, and a tool asks for a few hundred
 * at a time.
 *
 * Cannot fail; what is not a request is answered.
 */
#include "agent/control/forget.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/table_hash.h"
#include "agent/base/text.h"

enum { TAGS_AT_ONCE = 1000, SETTLE_US = 2000000 };

/* Alarms that are not normal, by the hash of source and tag with its labels. */
struct standing {
        uint64_t *v;
        size_t n, cap;
};

static uint64_t hash_of(const char *source, const char *tag)
{
        return table_hash(tag, strlen(tag), table_hash(source, strlen(source) + 1, 0));
}

static void on_alarm(void *ctx, const struct rules_row *row)
{
        struct standing *s = ctx;

        if (s->n == s->cap) {
                s->cap = s->cap ? 2 * s->cap : 64;
                s->v = mem_grow(s->v, s->cap, sizeof(*s->v));
        }
        s->v[s->n++] = hash_of(row->source, row->tag);
}

static int by_hash(const void *x, const void *y)
{
        uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

        return a < b ? -1 : a > b;
}

/* Two names with one hash: one of them stays for the other's alarm. */
static bool stands(const struct standing *s, const struct tag *t)
{
        char ident[TAGS_IDENT_MAX + 1];
        uint64_t hash;

        tags_put_ident(ident, t->name, t->labels);
        hash = hash_of(t->source, ident);

        return s->n && bsearch(&hash, s->v, s->n, sizeof(hash), by_hash);
}

static void forget_one(struct agent *a, uint32_t tag, int64_t unused_before_us, const struct standing *s,
                       struct forget_counts *out)
{
        const struct tag *t = tags_get(a->tags, tag);

        if (t->configured)
                out->configured++;
        else if (spool_may_hold(a->spool, tag))
                out->held++;
        else if (unused_before_us && t->last_ts_us >= unused_before_us)
                out->used++;
        else if (stands(s, t))
                out->alarms++;
        else if (!tags_forget(a->tags, tag))
                out->full++;
        else {
                alarms_forget_tag(a->alarms, tag);
                out->forgotten++;
        }
}

static const char *text_at(const json_t *name, size_t i)
{
        return json_string_value(json_array_get(name, i));
}

const char *forget_tags(struct agent *a, const json_t *request, struct forget_counts *out)
{
        const json_t *names = json_object_get(request, "tags"), *before = json_object_get(request, "unused_before");
        struct standing s = {0};

        *out = (struct forget_counts){0};
        if (!json_is_array(names) || json_array_size(names) > TAGS_AT_ONCE)
                return "tags: at most 1000 of [source, tag, labels]";
        for (size_t i = 0; i < json_array_size(names); i++)
                for (size_t k = 0; k < 3; k++)
                        if (!text_at(json_array_get(names, i), k))
                                return "tags: each is [source, tag, labels]";
        alarms_each(a->alarms, false, on_alarm, &s);
        if (s.n)
                qsort(s.v, s.n, sizeof(*s.v), by_hash);
        for (size_t i = 0; i < json_array_size(names); i++) {
                const json_t *name = json_array_get(names, i);
                uint32_t tag;

                if (tags_find(a->tags, text_at(name, 0), text_at(name, 1), text_at(name, 2), &tag) == 0)
                        forget_one(a, tag, (int64_t)json_integer_value(before), &s, out);
                else
                        out->unknown++;
        }
        free(s.v);
        if (out->forgotten) {
                a->n_forgotten += out->forgotten;
                a->forgotten_us = rt_mono_us(a->rt);
                spool_tags_moved(a->spool);
        }
        return NULL;
}

void forget_settle(struct agent *a)
{
        if (!a->n_forgotten || rt_mono_us(a->rt) - a->forgotten_us < SETTLE_US)
                return;
        log_notice("tags", "%zu tags are forgotten", a->n_forgotten);
        pipeline_event(&a->pipeline, "tags_forgotten", EVENT_NOTICE, SPOOL_NO_TAG, "\"n\":%zu", a->n_forgotten);
        a->n_forgotten = 0;
        host_tags_forgotten(a->host);
        alarms_rebind(a->alarms);
}
