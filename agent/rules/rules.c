/*
 * rules: see rules.h and rules_engine.h.
 *
 * Order is what makes a replay say the same every time: before a reading is judged, everything that was due strictly
 * before its millisecond has happened, at its own time; what is due in the same millisecond is judged by the reading.
 * So it makes no difference whether the timer of the caller was punctual.
 *
 * Cannot fail.  Readings of tags that are not bound are not looked at; a value a rule can't judge is counted and treated as
 * bad quality: it neither raises nor clears.
 */
#include "agent/rules/rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/rules/rules_engine.h"

/* ---- rules ---- */

static void add_level(struct rule *rule, double limit, enum rules_limit which, int outer, int64_t severity)
{
        if (isnan(limit))
                return;
        rule->levels[rule->n_levels++] = (struct level){.limit = limit,
                                                        .severity = (int)severity,
                                                        .which = (unsigned char)which,
                                                        .high = which <= RULES_HI,
                                                        .outer = (signed char)outer};
}

static void add_limits(struct rule *rule, const struct rule_conf *c)
{
        int outer;

        add_level(rule, c->hihi, RULES_HIHI, -1, c->severity_outer);
        outer = c->exclusive && rule->n_levels ? 0 : -1;
        add_level(rule, c->hi, RULES_HI, outer, c->severity);
        outer = c->exclusive && !isnan(c->lolo) ? rule->n_levels : -1;
        add_level(rule, c->lolo, RULES_LOLO, -1, c->severity_outer);
        add_level(rule, c->lo, RULES_LO, outer, c->severity);
}

static void make_rule(struct rule *rule, const struct rule_conf *c)
{
        size_t memory = judges[c->kind].bytes(c);

        *rule = (struct rule){.conf = c, .kind = c->kind};
        rule->policy = (struct alarm_policy){.on_delay_ms = (uint32_t)to_ms_up(c->on_delay_us),
                                             .off_delay_ms = (uint32_t)to_ms_up(c->off_delay_us),
                                             .realarm_ms = (uint32_t)to_ms_up(c->re_alarm_us),
                                             .latching = c->latching,
                                             .ack = c->ack_required};
        if (c->kind == RULE_LIMITS)
                add_limits(rule, c);
        else
                add_level(rule, 0, RULES_ONLY, -1, c->severity);
        rule->memory_at = (uint32_t)(sizeof(struct slot) + rule->n_levels * sizeof(struct alarm) + 7) / 8 * 8;
        rule->bytes = rule->memory_at + (uint32_t)(memory + 7) / 8 * 8;
}

struct rules *rules_new(const struct rule_conf *conf, size_t n, const char *gateway, const struct rules_upcalls *up,
                        const struct rt_time *now)
{
        struct rules *r = mem_alloc(sizeof(*r));

        BUG_ON(n > UINT16_MAX);
        r->up = *up;
        r->gateway = mem_strdup(gateway);
        r->rules = mem_alloc((n + 1) * sizeof(*r->rules));
        r->n_rules = n;
        for (size_t i = 0; i < n; i++)
                make_rule(&r->rules[i], &conf[i]);
        r->n_words = 1;
        flood_init(&r->flood);
        r->now_ms = now->mono_us / 1000;
        engine_note_time(r, now);
        return r;
}

void rules_free(struct rules *r)
{
        if (!r)
                return;
        for (size_t i = 0; i < r->n_rules; i++) {
                for (size_t k = 0; k < r->rules[i].n_names; k++)
                        free(r->rules[i].names[k]);
                free(r->rules[i].names);
        }
        free((char *)r->gateway);
        free(r->rules);
        free(r->words);
        free(r->tags);
        free(r->sources);
        free(r->source_table);
        free(r->heap);
        free(r->shelf);
        free(r);
}

/* ---- deadlines ---- */

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

/* ---- binding ---- */

static const char *name_of(struct rule *rule, unsigned twin)
{
        const char *plain = rule->conf->name ? rule->conf->name : rule_kind_name(rule->kind);

        while (rule->n_names <= twin) {
                char *name = mem_alloc(strlen(plain) + TEXT_DOUBLE_MAX + 2);
                size_t len = strlen(plain);

                memcpy(name, plain, len);
                if (rule->n_names) {
                        name[len++] = '-';
                        len += text_put_i64(name + len, (int64_t)rule->n_names + 1);
                }
                rule->names = mem_grow(rule->names, rule->n_names + 1, sizeof(*rule->names));
                rule->names[rule->n_names++] = name;
        }
        return rule->names[twin];
}

static unsigned twins_before(struct rules *r, const struct rule *rule, uint32_t first, uint32_t n)
{
        const char *plain = rule->conf->name ? rule->conf->name : rule_kind_name(rule->kind);
        unsigned twins = 0;

        for (; n > 0; n--, first = slot_next(r, first))
                twins += strcmp(name_of(&r->rules[slot_at(r, first)->rule], 0), plain) == 0;
        return twins < UINT8_MAX ? twins : UINT8_MAX;
}

static uint32_t add_slot(struct rules *r, size_t i, uint32_t owner, unsigned twin)
{
        struct rule *rule = &r->rules[i];
        uint32_t at = (uint32_t)r->n_words;
        struct slot *s;

        BUG_ON(r->n_words + rule->bytes / 8 > UINT32_MAX);
        if (r->n_words + rule->bytes / 8 > r->cap_words) {
                r->cap_words = 2 * r->cap_words + rule->bytes / 8 + 64;
                r->words = mem_grow(r->words, r->cap_words, sizeof(*r->words));
        }
        if (r->n_slots + 2 > r->cap_heap) {
                r->cap_heap = 2 * r->cap_heap + 16;
                r->heap = mem_grow(r->heap, r->cap_heap, sizeof(*r->heap));
        }
        memset(r->words + at, 0, rule->bytes);
        r->n_words += rule->bytes / 8;
        s = slot_at(r, at);
        s->owner = owner;
        s->rule = (uint16_t)i;
        s->n = rule->n_levels;
        s->twin = (uint8_t)twin;
        name_of(rule, twin);
        r->n_slots++;
        r->n_alarms += s->n;
        return at;
}

/* Where the name is, or where it would go. */
static uint32_t *source_place(const struct rules *r, const char *name)
{
        size_t i = text_hash(name, strlen(name), 0) & (r->n_source_table - 1);

        while (r->source_table[i] && strcmp(r->sources[r->source_table[i] - 1].name, name) != 0)
                i = (i + 1) & (r->n_source_table - 1);
        return &r->source_table[i];
}

uint32_t engine_find_source(const struct rules *r, const char *name)
{
        return r->n_sources ? *source_place(r, name) : 0;
}

static void grow_sources(struct rules *r)
{
        if (r->n_sources < r->cap_sources)
                return;
        r->cap_sources = r->cap_sources ? 2 * r->cap_sources : 32;
        r->sources = mem_grow(r->sources, r->cap_sources, sizeof(*r->sources));
        free(r->source_table);
        r->n_source_table = 2 * r->cap_sources;
        r->source_table = mem_alloc(r->n_source_table * sizeof(*r->source_table));
        for (size_t i = 0; i < r->n_sources; i++)
                *source_place(r, r->sources[i].name) = (uint32_t)i + 1;
}

static uint32_t bind_source(struct rules *r, const char *name, int64_t mono_us)
{
        struct origin *o;
        uint32_t *place;

        grow_sources(r);
        place = source_place(r, name);
        if (*place)
                return *place - 1;
        *place = (uint32_t)++r->n_sources;
        o = &r->sources[r->n_sources - 1];
        *o = (struct origin){.name = name, .last_us = mono_us, .first = (uint32_t)r->n_words};
        for (size_t i = 0; i < r->n_rules; i++) {
                const struct rule_conf *c = r->rules[i].conf;
                uint32_t at;

                if (c->kind != RULE_DEVICE_DOWN || !rule_matches(c->match, name, NULL))
                        continue;
                at = add_slot(r, i, OWNER_SOURCE | (uint32_t)(r->n_sources - 1),
                              twins_before(r, &r->rules[i], o->first, o->n_slots));
                o->n_slots++;
                if (c->after_us)
                        engine_schedule(r, at, to_ms_up(mono_us + c->after_us));
        }
        return (uint32_t)r->n_sources - 1;
}

static void grow_tags(struct rules *r, uint32_t tag)
{
        size_t n = tag < 16 ? 32 : 2 * (size_t)tag;

        if (tag < r->n_tags)
                return;
        r->tags = mem_grow(r->tags, n, sizeof(*r->tags));
        memset(r->tags + r->n_tags, 0, (n - r->n_tags) * sizeof(*r->tags));
        r->n_tags = n;
}

size_t rules_bind(struct rules *r, uint32_t tag, const char *source, const char *name, const struct rt_time *now)
{
        struct bound *b;
        uint32_t of;

        engine_note_time(r, now);
        grow_tags(r, tag);
        if (r->tags[tag].name)
                return r->tags[tag].n_slots;
        of = bind_source(r, source, r->now_ms * 1000);
        b = &r->tags[tag];
        *b = (struct bound){
                source, name, NAN, .first = (uint32_t)r->n_words, .source = of, .next = r->sources[of].first_tag};
        r->sources[of].first_tag = tag + 1;
        r->n_bound++;
        for (size_t i = 0; i < r->n_rules; i++) {
                const struct rule_conf *c = r->rules[i].conf;
                uint32_t at;

                if (c->kind == RULE_DEVICE_DOWN || !rule_matches(c->match, source, name))
                        continue;
                at = add_slot(r, i, tag, twins_before(r, &r->rules[i], b->first, b->n_slots));
                b->n_slots++;
                if (c->kind != RULE_SILENT)
                        continue;
                silent_restart(slot_memory(r, slot_at(r, at)), r->now_ms * 1000);
                engine_schedule(r, at, r->now_ms + to_ms_up(c->after_us));
        }
        return b->n_slots;
}

/* ---- limits ---- */

static void step_limit(struct rules *r, uint32_t at, unsigned nth, bool at_once, const struct occasion *from)
{
        const struct slot *s = slot_at(r, at);
        const struct rule *rule = &r->rules[s->rule];
        const struct level *l = &rule->levels[nth];
        struct alarm_policy policy = rule->policy;
        struct occasion o = *from;

        o.limit = l->limit;
        if (l->outer >= 0 && alarm_is_active(&s->alarm[(int)l->outer])) {
                emit_step(r, at, nth, &policy, ALARM_REPLACED, &o);
                return;
        }
        if (at_once)
                policy.on_delay_ms = 0;
        emit_step(r, at, nth, &policy, s->alarm[nth].inside ? ALARM_TRUE : ALARM_FALSE, &o);
}

/* The outer alarm moved: the inner one leaves the stage to it, or takes it over without waiting again. */
static void hand_over(struct rules *r, uint32_t at, unsigned outer, const struct occasion *o)
{
        const struct slot *s = slot_at(r, at);

        for (unsigned k = outer + 1; k < s->n; k++) {
                if (r->rules[s->rule].levels[k].outer == (int)outer)
                        step_limit(r, at, k, true, o);
        }
}

/* The deadband is for an alarm that is active, or that another one speaks for; until then the limit is the limit. */
static bool is_inside(const struct slot *s, const struct level *l, unsigned nth, double deadband, double v)
{
        bool active = alarm_is_active(&s->alarm[nth]) || (l->outer >= 0 && alarm_is_active(&s->alarm[(int)l->outer]));
        double back = active ? deadband : 0;

        return l->high ? v >= l->limit - back : v <= l->limit + back;
}

static void judge_limits(struct rules *r, uint32_t at, const struct occasion *o)
{
        struct slot *s = slot_at(r, at);
        const struct rule *rule = &r->rules[s->rule];
        bool quiet = true;

        for (unsigned k = 0; k < s->n; k++) {
                s->alarm[k].inside = is_inside(s, &rule->levels[k], k, rule->conf->deadband, o->value);
                quiet &= !s->alarm[k].inside && s->alarm[k].phase == ALARM_CLEAR;
        }
        for (unsigned k = 0; !quiet && k < s->n; k++) {
                bool was_active = alarm_is_active(&s->alarm[k]);

                step_limit(r, at, k, false, o);
                if (was_active != alarm_is_active(&s->alarm[k]))
                        hand_over(r, at, k, o);
        }
}

/* ---- what happens by itself ---- */

static void run_timers(struct rules *r, uint32_t at, const struct occasion *from)
{
        struct slot *s = slot_at(r, at);
        const struct rule *rule = &r->rules[s->rule];

        for (unsigned k = 0; k < s->n; k++) {
                struct occasion o = *from;
                bool was_active = alarm_is_active(&s->alarm[k]);

                if (!alarm_has_timer(&s->alarm[k], &rule->policy))
                        continue;
                if (rule->kind == RULE_LIMITS)
                        o.limit = rule->levels[k].limit;
                emit_step(r, at, k, &rule->policy, ALARM_TIMER, &o);
                if (was_active != alarm_is_active(&s->alarm[k]))
                        hand_over(r, at, k, from);
        }
}

static bool is_replaced(const struct rules *r, const struct slot *s)
{
        enum rule_kind kind = r->rules[s->rule].kind;

        return (kind == RULE_SILENT || kind == RULE_STUCK) && r->sources[r->tags[s->owner].source].down;
}

static void pass_time(struct rules *r, uint32_t at, struct occasion o)
{
        struct slot *s = slot_at(r, at);
        const struct rule *rule = &r->rules[s->rule];
        const struct judge *j = &judges[rule->kind];
        struct verdict v;

        if (!j->pass)
                return;
        if (to_ms_up(j->due(rule->conf, slot_memory(r, s))) <= o.mono_ms) {
                v = j->pass(rule->conf, slot_memory(r, s), o.mono_ms * 1000, alarm_is_active(&s->alarm[0]));
                o.value = v.value;
                o.limit = v.limit;
                if (!is_replaced(r, s))
                        emit_step(r, at, 0, &rule->policy, v.in, &o);
        }
        engine_schedule(r, at, to_ms_up(j->due(rule->conf, slot_memory(r, s))));
}

static void fire(struct rules *r, uint32_t at)
{
        const struct slot *s = slot_at(r, at);
        struct occasion o = {.mono_ms = r->now_ms, .value = NAN, .limit = NAN};

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
static void run_until(struct rules *r, int64_t until_ms)
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
        run_until(r, now_ms);
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

/* ---- devices ---- */

static void replace_tags(struct rules *r, uint32_t source, const struct occasion *o)
{
        for (uint32_t i = r->sources[source].first_tag; i; i = r->tags[i - 1].next) {
                uint32_t at = r->tags[i - 1].first;

                for (unsigned k = 0; k < r->tags[i - 1].n_slots; k++) {
                        const struct slot *s = slot_at(r, at);

                        if (is_replaced(r, s))
                                emit_step(r, at, 0, &r->rules[s->rule].policy, ALARM_REPLACED, o);
                        at = slot_next(r, at);
                }
        }
}

/* The device is back: its tags have all their time again. */
static void restart_silent(struct rules *r, uint32_t source)
{
        for (uint32_t i = r->sources[source].first_tag; i; i = r->tags[i - 1].next) {
                uint32_t at = r->tags[i - 1].first;

                for (unsigned k = 0; k < r->tags[i - 1].n_slots; k++) {
                        struct slot *s = slot_at(r, at);

                        if (r->rules[s->rule].kind == RULE_SILENT) {
                                silent_restart(slot_memory(r, s), r->now_ms * 1000);
                                engine_schedule(r, at, r->now_ms + to_ms_up(r->rules[s->rule].conf->after_us));
                        }
                        at = slot_next(r, at);
                }
        }
}

void engine_source_is(struct rules *r, uint32_t source, const struct occasion *o)
{
        struct origin *s = &r->sources[source];
        bool known = s->told_down || (s->n_seen && s->n_failed == s->n_seen), was_down = s->down, activated = false;
        uint32_t at = s->first;

        s->down = false;
        for (uint32_t k = 0; k < s->n_slots; k++, at = slot_next(r, at)) {
                const struct rule *rule = &r->rules[slot_at(r, at)->rule];
                int64_t due_us = s->last_us + rule->conf->after_us;
                bool late = rule->conf->after_us && o->mono_ms >= to_ms_up(due_us);

                s->down |= known || late;
                if (emit_step(r, at, 0, &rule->policy, known || late ? ALARM_TRUE : ALARM_FALSE, o) == ALARM_ACTIVATED)
                        activated = true;
                if (rule->conf->after_us && !late)
                        engine_schedule(r, at, to_ms_up(due_us));
        }
        if (activated || (s->down && s->n_slots && alarm_is_active(&slot_at(r, s->first)->alarm[0])))
                replace_tags(r, source, o);
        if (was_down && !s->down)
                restart_silent(r, source);
}

static void note_source(struct rules *r, struct bound *b, unsigned quality, const struct occasion *o)
{
        struct origin *s = &r->sources[b->source];
        bool failed = quality == QUALITY_BAD_COMM_FAILURE || quality == QUALITY_BAD_NOT_CONNECTED;
        struct occasion device = {o->mono_ms, o->ts_us, NAN, NAN};
        bool moved = !b->seen || failed != b->failed;

        s->n_seen += !b->seen;
        if (failed != b->failed)
                s->n_failed += failed ? 1 : -1u;
        b->seen = true;
        b->failed = failed;
        if (!failed)
                s->last_us = o->mono_ms * 1000;
        if (s->n_slots && (moved || (s->down && !failed)))
                engine_source_is(r, b->source, &device);
}

void rules_source_down(struct rules *r, const char *source, bool down, const struct rt_time *now)
{
        struct occasion o = {.value = NAN, .limit = NAN, .ts_us = now->wall_us};
        uint32_t place;

        rules_tick(r, now);
        place = engine_find_source(r, source);
        if (!place)
                return;
        o.mono_ms = r->now_ms;
        r->sources[place - 1].told_down = down;
        if (!down)
                r->sources[place - 1].last_us = r->now_ms * 1000;
        engine_source_is(r, place - 1, &o);
}

/* ---- readings ---- */

static double number_of(const struct reading *r)
{
        double v = NAN;

        if (r->type == READING_F64)
                v = r->v.f64;
        else if (r->type == READING_I64)
                v = (double)r->v.i64;
        else if (r->type == READING_BOOL)
                v = r->v.b;
        return isfinite(v) ? v : NAN;
}

static void judge_unknown(struct rules *r, uint32_t at, const struct occasion *o)
{
        struct slot *s = slot_at(r, at);

        for (unsigned k = 0; k < s->n; k++) {
                emit_step(r, at, k, &r->rules[s->rule].policy, ALARM_UNKNOWN, o);
                s->alarm[k].inside = alarm_is_active(&s->alarm[k]);
        }
}

static void judge_reading(struct rules *r, uint32_t at, const struct sample *sample, struct occasion o)
{
        struct slot *s = slot_at(r, at);
        const struct rule *rule = &r->rules[s->rule];
        const struct judge *j = &judges[rule->kind];
        struct verdict v = j->judge(rule->conf, slot_memory(r, s), sample, alarm_is_active(&s->alarm[0]));

        if (v.in == ALARM_UNKNOWN) {
                r->n_untyped += isnan(sample->num);
                judge_unknown(r, at, &o);
                return;
        }
        o.value = v.value;
        o.limit = v.limit;
        if ((v.in == ALARM_TRUE || s->alarm[0].phase != ALARM_CLEAR) && !(v.in == ALARM_TRUE && is_replaced(r, s)))
                emit_step(r, at, 0, &rule->policy, v.in, &o);
        if (j->due)
                engine_schedule(r, at, to_ms_up(j->due(rule->conf, slot_memory(r, s))));
}

static void judge_slot(struct rules *r, uint32_t at, const struct sample *sample, const struct occasion *o, bool bad)
{
        enum rule_kind kind = r->rules[slot_at(r, at)->rule].kind;

        if (kind == RULE_SILENT) {
                if (!bad && !(sample->r->flags & READING_RETAINED))
                        judge_reading(r, at, sample, *o);
        } else if (bad) {
                judge_unknown(r, at, o);
        } else if (kind != RULE_LIMITS) {
                judge_reading(r, at, sample, *o);
        } else if (isnan(sample->num)) {
                r->n_untyped++;
                judge_unknown(r, at, o);
        } else {
                judge_limits(r, at, o);
        }
}

void rules_eval(struct rules *r, const struct reading *reading, const struct rt_time *now)
{
        bool bad = quality_is_bad(reading->quality);
        struct sample sample = {reading, NAN, reading->ts_us, 0};
        struct occasion o = {.ts_us = reading->ts_us, .limit = NAN};
        int64_t now_ms = now->mono_us / 1000;
        struct bound *b;
        uint32_t at;

        if (reading->tag >= r->n_tags || !r->tags[reading->tag].name)
                return;
        if (reading->flags & READING_HISTORICAL) {
                r->n_historical++;
                return;
        }
        engine_note_time(r, now);
        if (now_ms > r->now_ms) {
                run_until(r, now_ms - 1);
                r->now_ms = now_ms;
        }
        b = &r->tags[reading->tag];
        if (!bad)
                sample.num = number_of(reading);
        if (!isnan(sample.num))
                b->last = sample.num;
        sample.mono_us = r->now_ms * 1000;
        o.mono_ms = r->now_ms;
        o.value = bad ? b->last : sample.num;
        r->n_readings++;
        note_source(r, b, reading->quality, &o);
        at = b->first;
        for (unsigned k = 0; k < b->n_slots; k++) {
                uint32_t next = slot_next(r, at);

                judge_slot(r, at, &sample, &o, bad);
                at = next;
        }
}
