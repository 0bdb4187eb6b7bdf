/*
 * rules_time: what happens without a reading: delays that end, silence, windows
 * that slide, shelves that empty.
 *
 * A binary heap of slots by their earliest deadline.  A deadline that moved
 * later stays where it is and is put back when it comes up, so that a reading
 * that only postpones (silence) costs nothing here.
 */
#include "agent/rules/rules.h"

#include <math.h>

#include "agent/rules/rules_engine.h"

/* ---- the heap ---- */

static bool earlier(const struct heap_entry *a, const struct heap_entry *b)
{
        return a->due_ms == b->due_ms ? a->slot < b->slot : alarm_after(b->due_ms, a->due_ms);
}

static void heap_put(struct rules *r, size_t i, struct heap_entry e)
{
        r->heap[i] = e;
        slot_at(r, e.slot)->heap_at = (uint32_t)i;
}

static void heap_up(struct rules *r, size_t i, struct heap_entry e)
{
        for (; i > 1 && earlier(&e, &r->heap[i / 2]); i /= 2)
                heap_put(r, i, r->heap[i / 2]);
        heap_put(r, i, e);
}

static uint32_t heap_take(struct rules *r)
{
        uint32_t at = r->heap[1].slot;
        struct heap_entry e = r->heap[r->n_heap--];
        size_t i = 1;

        slot_at(r, at)->heap_at = 0;
        if (!r->n_heap)
                return at;
        while (2 * i <= r->n_heap) {
                size_t child = 2 * i;

                if (child < r->n_heap && earlier(&r->heap[child + 1], &r->heap[child]))
                        child++;
                if (!earlier(&r->heap[child], &e))
                        break;
                heap_put(r, i, r->heap[child]);
                i = child;
        }
        heap_put(r, i, e);
        return at;
}

void engine_schedule(struct rules *r, uint32_t at, int64_t due_ms)
{
        struct heap_entry e = {(uint32_t)due_ms, at};
        uint32_t i = slot_at(r, at)->heap_at;

        if (due_ms == INT64_MAX)
                return;
        if (!i)
                heap_up(r, ++r->n_heap, e);
        else if (earlier(&e, &r->heap[i]))
                heap_up(r, i, e);
}

static int64_t heap_due_ms(const struct rules *r)
{
        if (!r->n_heap)
                return INT64_MAX;
        return r->now_ms + (int32_t)(r->heap[1].due_ms - (uint32_t)r->now_ms);
}

/* ---- what happens by itself ---- */

static void run_timers(struct rules *r, uint32_t at, const struct context *from)
{
        struct rule_slot *s = slot_at(r, at);
        const struct rule *rule = &r->rules[s->rule];

        for (unsigned k = 0; k < s->n; k++) {
                struct context o = *from;
                bool was_active = alarm_is_active(&s->alarm[k]);

                if (!alarm_has_timer(&s->alarm[k], &rule->policy))
                        continue;
                if (rule->kind == RULE_LIMITS)
                        o.limit = rule->levels[k].limit;
                emit_step(r, at, k, &rule->policy, ALARM_TIMER, &o);
                if (was_active != alarm_is_active(&s->alarm[k]))
                        engine_hand_over(r, at, k, from);
        }
}

bool engine_is_replaced(const struct rules *r, const struct rule_slot *s)
{
        enum rule_kind kind = r->rules[s->rule].kind;

        return (kind == RULE_SILENT || kind == RULE_STUCK) && r->sources[r->tags[s->owner].source].down;
}

static void pass_time(struct rules *r, uint32_t at, struct context o)
{
        struct rule_slot *s = slot_at(r, at);
        const struct rule *rule = &r->rules[s->rule];
        const struct judge *j = &judges[rule->kind];
        struct verdict v;

        if (!j->pass)
                return;
        if (to_ms_up(j->due(rule->conf, slot_memory(r, s))) <= o.mono_ms) {
                v = j->pass(rule->conf, slot_memory(r, s), o.mono_ms * 1000, alarm_is_active(&s->alarm[0]));
                o.value = v.value;
                o.limit = v.limit;
                if (!engine_is_replaced(r, s))
                        emit_step(r, at, 0, &rule->policy, v.in, &o);
        }
        engine_schedule(r, at, to_ms_up(j->due(rule->conf, slot_memory(r, s))));
}

static void fire(struct rules *r, uint32_t at)
{
        const struct rule_slot *s = slot_at(r, at);
        struct context o = {.mono_ms = r->now_ms, .value = NAN, .limit = NAN};

        o.ts_us = r->now_ms * 1000 + r->wall_offset_us;
        if (!(s->owner & OWNER_SOURCE) && r->rules[s->rule].kind != RULE_SILENT)
                o.value = r->tags[s->owner].last;
        run_timers(r, at, &o);
        if (s->owner & OWNER_SOURCE)
                engine_source_is(r, s->owner & ~OWNER_SOURCE, &o);
        else
                pass_time(r, at, o);
}

/* Deadlines of alarms and of the shelf in their order. */
void engine_run_until(struct rules *r, int64_t until_ms)
{
        for (;;) {
                int64_t due_ms = heap_due_ms(r), unshelve_ms = state_unshelve_ms(r);
                int64_t next_ms = unshelve_ms < due_ms ? unshelve_ms : due_ms;

                if (next_ms > until_ms)
                        return;
                if (next_ms > r->now_ms)
                        r->now_ms = next_ms;
                if (unshelve_ms < due_ms)
                        state_unshelve(r);
                else
                        fire(r, heap_take(r));
        }
}

void engine_note_time(struct rules *r, const struct rt_time *now)
{
        r->wall_offset_us = now->wall_us - now->mono_us;
}

void rules_tick(struct rules *r, const struct rt_time *now)
{
        int64_t now_ms = now->mono_us / 1000;

        engine_note_time(r, now);
        engine_run_until(r, now_ms);
        r->now_ms = now_ms > r->now_ms ? now_ms : r->now_ms;
        emit_group(r, r->now_ms * 1000);
}

int64_t rules_due_us(const struct rules *r)
{
        int64_t due_us = r->n_heap ? heap_due_ms(r) * 1000 : INT64_MAX, flood_us = flood_due_us(&r->flood);

        due_us = flood_us < due_us ? flood_us : due_us;
        if (state_unshelve_ms(r) < due_us / 1000)
                due_us = state_unshelve_ms(r) * 1000;
        return due_us;
}
