/*
 * rules_emit: one step of one alarm, and who hears of it.
 *
 * Every change is told to on_transition, whether people are to be notified or
 * not, because what is stored must follow. Notified one by one are: what an
 * operator did; activations and re-alarms that are shown and that the flood
 * lets pass; and the returns of those whose activation was.  The event_id is a
 * hash of what the activation is (gateway, source, tag, rule, limit, how many
 * before it), so that a restart that lives through the same activation again
 * says the same id.
 */
#include <string.h>

#include "agent/base/text.h"
#include "agent/rules/rules_engine.h"

enum { FLEETING_S = 60 };

const char *rules_limit_name(enum rules_limit limit, enum rule_kind kind)
{
        static const char *const names[] = {"hihi", "hi", "lo", "lolo"};

        return limit < RULES_ONLY ? names[limit] : rule_kind_name(kind);
}

uint64_t emit_key(uint32_t at, unsigned nth)
{
        return (uint64_t)at << 8 | nth;
}

static uint64_t mix(const char *s, uint64_t seed)
{
        return text_hash(s, strlen(s) + 1, seed);
}

static void put_id(const struct rules *r, const struct rules_row *row, char out[RULES_ID_MAX + 1])
{
        uint64_t h = mix(row->tag, mix(row->source, mix(r->gateway, 0)));

        h = mix(row->limit_kind, mix(row->rule, h));
        h = text_hash(&row->seq, sizeof(row->seq), h);
        for (unsigned i = 0; i < RULES_ID_MAX; i++)
                out[i] = "0123456789abcdef"[h >> (60 - 4 * i) & 15];
        out[RULES_ID_MAX] = '\0';
}

static int64_t shelved_until(const struct rules *r, uint32_t at, unsigned nth)
{
        for (size_t i = 0; i < r->n_shelf; i++) {
                if (r->shelf[i].slot == at && r->shelf[i].nth == nth)
                        return r->shelf[i].until_wall_us;
        }
        return 0;
}

void emit_row(const struct rules *r, uint32_t at, unsigned nth, struct rules_row *out)
{
        const struct rule_slot *s = slot_at(r, at);
        const struct rule *rule = &r->rules[s->rule];
        const struct alarm *a = &s->alarm[nth];

        *out = (struct rules_row){
                .rule = rule->names[s->twin],
                .limit_kind = rules_limit_name(rule->levels[nth].which, rule->kind),
                .state = alarm_state(a),
                .active = alarm_is_active(a),
                .unacked = a->unacked,
                .latched = a->latched,
                .visibility = a->visibility,
                .seq = a->seq,
                .since_us = (int64_t)a->since_s * 1000000,
                .severity = rule->levels[nth].severity,
        };
        if (s->owner & OWNER_SOURCE) {
                out->source = r->sources[s->owner & ~OWNER_SOURCE].name;
                out->tag = "";
        } else {
                out->source = r->tags[s->owner].source_name;
                out->tag = r->tags[s->owner].name;
        }
        if (a->visibility == ALARM_SHELVED)
                out->shelved_until_us = shelved_until(r, at, nth);
        put_id(r, out, out->event_id);
}

/* Sets t->notify and t->grouped. */
static void decide(struct rules *r, struct alarm *a, uint64_t key, struct rules_transition *t, int64_t mono_us)
{
        bool shown = a->visibility == ALARM_SHOWN;

        switch (t->change) {
        case ALARM_ACTIVATED:
                a->told = t->notify = shown && flood_activated(&r->flood, key, t->row.severity, mono_us);
                t->grouped = shown && !t->notify;
                break;
        case ALARM_REALARMED:
                t->notify = !r->flood.flooding;
                break;
        case ALARM_RETURNED:
                t->notify = shown && a->told;
                t->grouped = shown && !a->told;
                if (t->grouped)
                        flood_returned(&r->flood, mono_us);
                break;
        case ALARM_WAS_UNSHELVED:
        case ALARM_WAS_RESTORED:
                a->told = 1;
                /* fall through */
        default:
                t->notify = true;
        }
        r->n_grouped += t->grouped;
}

static void count(struct rules *r, struct alarm *a, enum alarm_change change, int64_t ts_us)
{
        uint32_t ts_s = ts_us < 0 ? 0 : ts_us / 1000000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ts_us / 1000000);

        if (change == ALARM_ACTIVATED) {
                r->n_activated++;
        } else if (change == ALARM_RETURNED) {
                r->n_returned++;
                r->n_fleeting += ts_s - a->since_s < FLEETING_S;
        } else {
                return;
        }
        a->since_s = ts_s;
}

enum alarm_change emit_step(struct rules *r, uint32_t at, unsigned nth, const struct alarm_policy *policy,
                            enum alarm_input in, const struct context *o)
{
        struct rule_slot *s = slot_at(r, at);
        struct alarm *a = &s->alarm[nth];
        enum alarm_change change = alarm_step(a, policy, in, (uint32_t)o->mono_ms);
        struct rules_transition t;

        if (alarm_has_timer(a, policy))
                engine_schedule(r, at, o->mono_ms + (int32_t)(a->due_ms - (uint32_t)o->mono_ms));
        if (change == ALARM_SAME)
                return change;
        count(r, a, change, o->ts_us);
        t = (struct rules_transition){.kind = r->rules[s->rule].kind,
                                      .change = change,
                                      .tag = s->owner & OWNER_SOURCE ? RULES_NO_TAG : s->owner,
                                      .value = o->value,
                                      .limit = o->limit,
                                      .ts_us = o->ts_us,
                                      .says = change == ALARM_ACTIVATED || change == ALARM_RETURNED ? o->says : NULL,
                                      .ordinal = ++r->ordinal};
        emit_row(r, at, nth, &t.row);
        decide(r, a, emit_key(at, nth), &t, o->mono_ms * 1000);
        if (r->up.on_transition)
                r->up.on_transition(r->up.ctx, &t);
        return change;
}

bool rules_group_waits(const struct rules *r)
{
        return r->flood.flooding && (r->flood.group.n_activated || r->flood.group.n_returned);
}

void emit_group(struct rules *r, int64_t mono_us)
{
        struct flood_group from;
        struct rules_group g;

        if (mono_us < flood_due_us(&r->flood) || !flood_close(&r->flood, mono_us, &from) || !r->up.on_group)
                return;
        g = (struct rules_group){.n_activated = from.n_activated,
                                 .n_returned = from.n_returned,
                                 .worst_severity = from.worst,
                                 .from_us = from.from_us + r->wall_offset_us,
                                 .to_us = from.to_us + r->wall_offset_us};
        if (from.n_activated)
                emit_row(r, (uint32_t)(from.worst_key >> 8), from.worst_key & 255, &g.worst);
        r->up.on_group(r->up.ctx, &g);
}
