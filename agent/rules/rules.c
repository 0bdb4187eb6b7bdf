/*
 * rules: see rules.h and rules_engine.h.
 *
 * Order is what makes a replay say the same every time: before a reading is
 * judged, everything that was due strictly before its millisecond has happened,
 * at its own time; what is due in the same millisecond is judged by the
 * reading. So it makes no difference whether the timer of the caller was
 * punctual.
 *
 * Cannot fail.  Readings of tags that are not bound are not looked at; a value
 * a rule can't judge is counted and treated as bad quality: it neither raises
 * nor clears.
 */
#include "agent/rules/rules.h"

#include <math.h>

#include "agent/rules/rules_engine.h"

/* ---- limits ---- */

static void step_limit(struct rules *r, uint32_t at, unsigned nth, bool at_once, const struct context *from)
{
        const struct rule_slot *s = slot_at(r, at);
        const struct rule *rule = &r->rules[s->rule];
        const struct level *l = &rule->levels[nth];
        struct alarm_policy policy = rule->policy;
        struct context o = *from;

        o.limit = l->limit;
        if (l->outer >= 0 && alarm_is_active(&s->alarm[(int)l->outer])) {
                emit_step(r, at, nth, &policy, ALARM_REPLACED, &o);
                return;
        }
        if (at_once)
                policy.on_delay_ms = 0;
        emit_step(r, at, nth, &policy, s->alarm[nth].inside ? ALARM_TRUE : ALARM_FALSE, &o);
}

void engine_hand_over(struct rules *r, uint32_t at, unsigned outer, const struct context *o)
{
        const struct rule_slot *s = slot_at(r, at);

        for (unsigned k = outer + 1; k < s->n; k++) {
                if (r->rules[s->rule].levels[k].outer == (int)outer)
                        step_limit(r, at, k, true, o);
        }
}

/*
 * The deadband is for an alarm that is active, or that another one speaks for;
 * until then the limit is the limit.
 */
static bool is_inside(const struct rule_slot *s, const struct level *l, unsigned nth, double deadband, double v)
{
        bool active = alarm_is_active(&s->alarm[nth]) || (l->outer >= 0 && alarm_is_active(&s->alarm[(int)l->outer]));
        double back = active ? deadband : 0;

        return l->high ? v >= l->limit - back : v <= l->limit + back;
}

static void judge_limits(struct rules *r, uint32_t at, const struct context *o)
{
        struct rule_slot *s = slot_at(r, at);
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
                        engine_hand_over(r, at, k, o);
        }
}

/* ---- devices ---- */

static void replace_tags(struct rules *r, uint32_t source, const struct context *o)
{
        for (uint32_t i = r->sources[source].first_tag; i; i = r->tags[i - 1].next) {
                uint32_t at = r->tags[i - 1].first;

                for (unsigned k = 0; k < r->tags[i - 1].n_slots; k++) {
                        const struct rule_slot *s = slot_at(r, at);

                        if (engine_is_replaced(r, s))
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
                        struct rule_slot *s = slot_at(r, at);

                        if (r->rules[s->rule].kind == RULE_SILENT) {
                                silent_restart(slot_memory(r, s), r->now_ms * 1000);
                                engine_schedule(r, at, r->now_ms + to_ms_up(r->rules[s->rule].conf->after_us));
                        }
                        at = slot_next(r, at);
                }
        }
}

void engine_source_is(struct rules *r, uint32_t source, const struct context *o)
{
        struct source *s = &r->sources[source];
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

static void note_source(struct rules *r, struct tag_state *b, unsigned quality, const struct context *o)
{
        struct source *s = &r->sources[b->source];
        bool failed = quality == QUALITY_BAD_COMM_FAILURE || quality == QUALITY_BAD_NOT_CONNECTED;
        struct context device = {o->mono_ms, o->ts_us, NAN, NAN};
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
        struct context o = {.value = NAN, .limit = NAN, .ts_us = now->wall_us};
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

static void judge_unknown(struct rules *r, uint32_t at, const struct context *o)
{
        struct rule_slot *s = slot_at(r, at);

        for (unsigned k = 0; k < s->n; k++) {
                emit_step(r, at, k, &r->rules[s->rule].policy, ALARM_UNKNOWN, o);
                s->alarm[k].inside = alarm_is_active(&s->alarm[k]);
        }
}

static void judge_reading(struct rules *r, uint32_t at, const struct sample *sample, struct context o)
{
        struct rule_slot *s = slot_at(r, at);
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
        if ((v.in == ALARM_TRUE || s->alarm[0].phase != ALARM_CLEAR) &&
            !(v.in == ALARM_TRUE && engine_is_replaced(r, s)))
                emit_step(r, at, 0, &rule->policy, v.in, &o);
        if (j->due)
                engine_schedule(r, at, to_ms_up(j->due(rule->conf, slot_memory(r, s))));
}

static void judge_slot(struct rules *r, uint32_t at, const struct sample *sample, const struct context *o, bool bad)
{
        enum rule_kind kind = r->rules[slot_at(r, at)->rule].kind;

        if (kind == RULE_SILENT) {
                if (!bad && !(sample->r->flags & READING_RETAINED))
                        judge_reading(r, at, sample, *o);
        } else if (kind == RULE_TOGETHER) {
                r->n_untyped += !bad && isnan(sample->num);
                group_reading(r, at, sample->num, o);
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
        struct context o = {.ts_us = reading->ts_us, .limit = NAN};
        int64_t now_ms = now->mono_us / 1000;
        struct tag_state *b;
        uint32_t at;

        if (reading->tag >= r->n_tags || !r->tags[reading->tag].name)
                return;
        if (reading->flags & READING_HISTORICAL) {
                r->n_historical++;
                return;
        }
        engine_note_time(r, now);
        if (now_ms > r->now_ms) {
                engine_run_until(r, now_ms - 1);
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
