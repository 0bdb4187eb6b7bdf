/*
 * rules_together: rows made of the readings of a source's tags, and the alarms
 * of those that don't fit the others (together.h).
 *
 * A group is up to 64 tags of one source that one rule watches, in the order in
 * which they became known; further tags make a further group.  Tags have their
 * own periods, gaps and thinning, so a reading is held until the next one of
 * its tag, for at most three of its usual periods (and at least a second); then
 * it is stale, and missing.  A row is complete with the reading by which every
 * tag that is not stale has come again, or the first reading after half as long
 * again as the slowest of their usual periods, at most a minute.  Time is the
 * monotonic time of the readings: no timer.
 *
 * A reading of bad quality, or without a number, makes its tag missing at once.
 * The alarm belongs to the tag that fitted least when it began, and stays with
 * it until the group is well again: one incident is one alarm.
 *
 * Memory is taken when a tag becomes known; the group then learns anew, because
 * nothing is known of how the new tag goes with the others.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/rules/rules_engine.h"
#include "agent/rules/together.h"

enum { AGE_MIN_MS = 1000, ROW_MAX_MS = 60000 };
static const uint32_t none = UINT32_MAX;

struct place {
        double x;        /* NaN: none that can be used */
        uint32_t at_ms;  /* wraps */
        float period_ms; /* usual; 0: not known */
        uint32_t slot;
};

struct together_group {
        uint32_t rule, source, n;
        uint32_t named; /* place whose alarm it is; none */
        uint64_t come;  /* since the last row */
        uint64_t fresh; /* when that was made */
        int64_t row_ms;
        float slowest_ms; /* of the fresh */
        bool settled;     /* while the alarm was there it was taken as normal */
        struct place *places;
        void *memory;
};

struct member {
        uint32_t group, place;
};

static struct together_group *room_for(struct rules *r, uint32_t rule, uint32_t source, uint32_t *nth)
{
        for (size_t i = r->n_groups; i-- > 0;) {
                struct together_group *g = r->groups[i];

                *nth = (uint32_t)i;
                if (g->rule == rule && g->source == source && g->n < TOGETHER_TAGS_MAX)
                        return g;
        }
        r->groups = mem_grow(r->groups, r->n_groups + 1, sizeof(struct together_group *));
        *nth = (uint32_t)r->n_groups++;
        r->groups[*nth] = mem_alloc(sizeof(struct together_group));
        r->groups[*nth]->rule = rule;
        r->groups[*nth]->source = source;
        r->groups[*nth]->named = none;
        return r->groups[*nth];
}

void group_bind(struct rules *r, uint32_t at, uint32_t source)
{
        struct member *m = slot_memory(r, slot_at(r, at));
        struct together_group *g = room_for(r, slot_at(r, at)->rule, source, &m->group);

        m->place = g->n;
        g->places = mem_grow(g->places, ++g->n, sizeof(*g->places));
        g->places[m->place] = (struct place){.x = NAN, .slot = at};
        free(g->memory);
        g->memory = mem_alloc(together_bytes(g->n));
        together_begin(g->memory, g->n);
}

void group_free(struct rules *r)
{
        for (size_t i = 0; i < r->n_groups; i++) {
                free(r->groups[i]->places);
                free(r->groups[i]->memory);
                free(r->groups[i]);
        }
        free(r->groups);
}

/* ---- rows ---- */

static bool is_fresh(const struct place *p, int64_t now_ms)
{
        float most_ms = 3 * p->period_ms;

        return !isnan(p->x) && (float)((uint32_t)now_ms - p->at_ms) <= (most_ms > AGE_MIN_MS ? most_ms : AGE_MIN_MS);
}

static void note_reading(struct place *p, double num, int64_t now_ms)
{
        uint32_t since_ms = (uint32_t)now_ms - p->at_ms;

        if (!isnan(p->x) && since_ms > 0)
                p->period_ms += (p->period_ms > 0 ? 0.1f : 1.0f) * ((float)since_ms - p->period_ms);
        p->x = num;
        p->at_ms = (uint32_t)now_ms;
}

static bool is_row(const struct together_group *g, int64_t now_ms)
{
        double most = 1.5 * g->slowest_ms;

        if ((g->come & g->fresh) == g->fresh)
                return true;
        return most > 0 && now_ms - g->row_ms >= (most < ROW_MAX_MS ? most : ROW_MAX_MS);
}

static void make_row(struct together_group *g, int64_t now_ms, double *x)
{
        g->fresh = g->come = 0;
        g->slowest_ms = 0;
        g->row_ms = now_ms;
        for (uint32_t i = 0; i < g->n; i++) {
                const struct place *p = &g->places[i];

                x[i] = p->x;
                if (!is_fresh(p, now_ms))
                        continue;
                g->fresh |= UINT64_C(1) << i;
                if (p->period_ms > g->slowest_ms)
                        g->slowest_ms = p->period_ms;
        }
}

/* ---- alarms ---- */

/* NULL: it is another tag that fits least by now. */
static const char *words_of(const struct together_said *s, uint32_t place)
{
        static const char *const words[][2] = {
                [TOGETHER_LEVEL] = {"lower than usual", "higher than usual"},
                [TOGETHER_REST] = {"lower than the other tags of its source say",
                                   "higher than the other tags of its source say"},
                [TOGETHER_RESTLESS] = {"more restless than usual", "more restless than usual"},
                [TOGETHER_ROW] = {"the source's tags don't fit together; this one is lower than the others say",
                                  "the source's tags don't fit together; this one is higher than the others say"},
        };

        return s->tag == place ? words[s->by][s->higher] : NULL;
}

static void tell_group(struct rules *r, const struct together_group *g, const struct together_said *said,
                       struct context o)
{
        for (uint32_t i = 0; i < g->n; i++) {
                uint32_t at = g->places[i].slot;
                bool named = g->named == i;

                if (!named && slot_at(r, at)->alarm[0].phase == ALARM_CLEAR)
                        continue;
                o.value = g->places[i].x;
                o.limit = named && said->tag == i ? said->usual : NAN;
                o.says = named ? words_of(said, i) : g->settled ? "settled: what stayed is taken as normal now" : NULL;
                emit_step(r, at, 0, &r->rules[g->rule].policy, named ? ALARM_TRUE : ALARM_FALSE, &o);
        }
}

void group_reading(struct rules *r, uint32_t at, double num, const struct context *o)
{
        const struct member *m = slot_memory(r, slot_at(r, at));
        struct together_group *g = r->groups[m->group];
        double x[TOGETHER_TAGS_MAX];
        struct together_said said;

        note_reading(&g->places[m->place], num, o->mono_ms);
        if (isnan(num) || g->n < TOGETHER_TAGS_MIN)
                return;
        g->come |= UINT64_C(1) << m->place;
        if (!is_row(g, o->mono_ms))
                return;
        make_row(g, o->mono_ms, x);
        together_row(g->memory, x, g->fresh, (uint32_t)r->rules[g->rule].conf->settle_rows, &said);
        if (!said.warm)
                return;
        g->settled |= said.on && said.settled;
        if (!said.on)
                g->named = none;
        else if (g->named == none)
                g->named = said.tag;
        tell_group(r, g, &said, *o);
        g->settled &= said.on;
}

/* ---- after a reload ---- */

static uint32_t tag_of(const struct rules *r, const struct together_group *g, uint32_t place)
{
        return slot_at(r, g->places[place].slot)->owner;
}

static bool is_same(const struct rules *r, const struct together_group *g, const struct rules *was,
                    const struct together_group *old)
{
        for (uint32_t i = 0; i < g->n && g->n == old->n; i++) {
                if (tag_of(r, g, i) != tag_of(was, old, i))
                        return false;
        }
        return g->n == old->n;
}

static void take_over(struct together_group *g, const struct together_group *old)
{
        memcpy(g->memory, old->memory, together_bytes(g->n));
        for (uint32_t i = 0; i < g->n; i++) {
                uint32_t slot = g->places[i].slot;

                g->places[i] = old->places[i];
                g->places[i].slot = slot;
        }
        g->named = old->named;
        g->come = old->come;
        g->fresh = old->fresh;
        g->row_ms = old->row_ms;
        g->slowest_ms = old->slowest_ms;
        g->settled = old->settled;
}

/* Of the same tags in the same order; else it learns anew. */
void group_take_over(struct rules *r, const struct rules *was, const uint32_t *same)
{
        for (size_t i = 0; i < was->n_groups; i++) {
                const struct together_group *old = was->groups[i];

                for (size_t k = 0; k < r->n_groups; k++) {
                        struct together_group *g = r->groups[k];

                        if (same[old->rule] == g->rule + 1 && is_same(r, g, was, old))
                                take_over(g, old);
                }
        }
}
