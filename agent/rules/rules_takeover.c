/*
 * rules_takeover: a new set of rules takes over from the one before, while
 * readings flow.
 *
 * A rule that says the same goes on in the middle of what it was doing: delays,
 * windows and what it has learned are copied, and its deadlines with them.  Of
 * a rule that says something else under the same name the alarms keep their
 * state (acknowledged, shelved, how often), and the next reading judges anew.
 * Alarms that are in neither are told to the caller.
 *
 * Why by slot and not by a snapshot: both engines are bound to the same tags,
 * so what is the same has the same size and meaning, and only places differ.
 * Where an alarm has moved to is kept in a map by place for as long as the
 * flood's memory is moved. Cannot fail.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/rules/rules_engine.h"

struct takeover {
        struct rules *r;
        const struct rules *was;
        const uint32_t *same; /* by rule of `was`: 1 + the rule of `r`; 0: none */
        uint32_t *moved;      /* by place of a slot in `was`: its place in `r`; 0: it has none */
        const struct rt_time *now;
        void (*lost)(void *ctx, uint32_t tag, const struct rules_row *row);
        void *ctx;
};

/*
 * The slot of the same rule among the n of the same owner, under the same name;
 * 0: none.
 */
static uint32_t find_twin(const struct takeover *c, const struct rule_slot *s, uint32_t at, uint32_t n)
{
        uint32_t rule = c->same[s->rule];

        for (; rule && n > 0; n--, at = slot_next(c->r, at)) {
                const struct rule_slot *mine = slot_at(c->r, at);

                if (mine->rule == rule - 1)
                        return mine->twin == s->twin ? at : 0;
        }
        return 0;
}

static void copy_slot(struct takeover *c, uint32_t from, uint32_t to)
{
        struct rule_slot *s = slot_at(c->was, from), *mine = slot_at(c->r, to);
        const struct rule *rule = &c->r->rules[mine->rule];

        memcpy(mine->alarm, s->alarm,
               (rule->kind == RULE_TOGETHER ? rule->memory_at : rule->bytes) - offsetof(struct rule_slot, alarm));
        c->moved[from] = to;
        if (s->heap_at)
                engine_schedule(c->r, to,
                                c->r->now_ms + (int32_t)(c->was->heap[s->heap_at].due_ms - (uint32_t)c->r->now_ms));
        for (size_t i = 0; i < c->was->n_shelf; i++) {
                const struct shelved *shelved = &c->was->shelf[i];

                if (shelved->slot == from)
                        state_shelve(c->r, (struct rules_ref){to, shelved->nth}, shelved->until_wall_us);
        }
}

/* Its alarms under the same names, whatever rule they are of now. */
static void import_slot(struct takeover *c, uint32_t from)
{
        const struct rule_slot *s = slot_at(c->was, from);

        for (unsigned k = 0; k < s->n; k++) {
                struct rules_row row;

                emit_row(c->was, from, k, &row);
                if (!row.seq && row.state == ALARM_IS_NORMAL)
                        continue;
                if (rules_import(c->r, &row, c->now) != 0)
                        c->lost(c->ctx, s->owner & OWNER_SOURCE ? RULES_NO_TAG : s->owner, &row);
        }
}

static void take_over_slots(struct takeover *c, uint32_t from, uint32_t n, uint32_t mine, uint32_t n_mine)
{
        for (; n > 0; n--, from = slot_next(c->was, from)) {
                uint32_t to = find_twin(c, slot_at(c->was, from), mine, n_mine);

                if (to)
                        copy_slot(c, from, to);
                else
                        import_slot(c, from);
        }
}

/* ---- tags and sources ---- */

static void take_over_tag(struct takeover *c, uint32_t tag)
{
        const struct tag_state *b = &c->was->tags[tag];
        struct tag_state *mine = tag < c->r->n_tags ? &c->r->tags[tag] : NULL;

        if (!b->name)
                return;
        if (!mine || !mine->name) {
                take_over_slots(c, b->first, b->n_slots, 0, 0);
                return;
        }
        mine->last = b->last;
        mine->seen = b->seen;
        mine->failed = b->failed;
        c->r->sources[mine->source].n_seen += mine->seen;
        c->r->sources[mine->source].n_failed += mine->failed;
        take_over_slots(c, b->first, b->n_slots, mine->first, mine->n_slots);
}

static void take_over_source(struct takeover *c, const struct source *o)
{
        uint32_t place = engine_find_source(c->r, o->name);
        struct source *mine = place ? &c->r->sources[place - 1] : NULL;

        if (!mine) {
                take_over_slots(c, o->first, o->n_slots, 0, 0);
                return;
        }
        mine->last_us = o->last_us;
        mine->told_down = o->told_down;
        mine->down = o->down && mine->n_slots;
        take_over_slots(c, o->first, o->n_slots, mine->first, mine->n_slots);
}

/* ---- the flood ---- */

static uint64_t moved_key(const struct takeover *c, uint64_t key)
{
        uint32_t to = key >> 8 < c->was->n_words ? c->moved[key >> 8] : 0;

        return to ? emit_key(to, key & 255) : UINT64_MAX;
}

static void take_over_flood(struct takeover *c)
{
        struct flood *f = &c->r->flood;

        *f = c->was->flood;
        for (uint32_t i = 0; i < f->n; i++)
                f->ring[(f->first + i) % FLOOD_KEPT].key = moved_key(c, f->ring[(f->first + i) % FLOOD_KEPT].key);
        if (!f->group.n_activated)
                return;
        f->group.worst_key = moved_key(c, f->group.worst_key);
        if (f->group.worst_key != UINT64_MAX)
                return;
        f->group.n_activated = 0; /* the group can't name its worst any more */
        f->group.worst = 0;
}

static void take_over_counts(struct rules *r, const struct rules *was)
{
        r->ordinal = was->ordinal;
        r->n_readings = was->n_readings;
        r->n_activated = was->n_activated;
        r->n_returned = was->n_returned;
        r->n_historical = was->n_historical;
        r->n_untyped = was->n_untyped;
        r->n_fleeting = was->n_fleeting;
        r->n_grouped = was->n_grouped;
}

void rules_take_over(struct rules *r, const struct rules *was, const uint32_t *same, const struct rt_time *now,
                     void (*lost)(void *ctx, uint32_t tag, const struct rules_row *row), void *ctx)
{
        struct takeover c = {r, was, same, mem_alloc(was->n_words * sizeof(*c.moved)), now, lost, ctx};

        for (size_t i = 0; i < was->n_sources; i++)
                take_over_source(&c, &was->sources[i]);
        for (uint32_t tag = 0; tag < was->n_tags; tag++)
                take_over_tag(&c, tag);
        group_take_over(r, was, same);
        take_over_flood(&c);
        take_over_counts(r, was);
        free(c.moved);
}

void rules_forget_source(struct rules *r, const char *source)
{
        uint32_t place = engine_find_source(r, source);

        if (place)
                r->sources[place - 1].told_down = false;
}
