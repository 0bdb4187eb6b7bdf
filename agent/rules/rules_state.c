/*
 * rules_state: operators' commands, what is kept over a restart, and what
 * people see.
 *
 * The times of shelved alarms stand apart, in one small array: few alarms are
 * shelved, and most alarms should not pay for it.  They run on the wall clock,
 * because an operator means "until six", and because they must outlive a
 * restart.
 *
 * A row that is imported is believed as far as it makes sense: delays begin
 * anew, an alarm that was active stays so until a reading says otherwise.  A
 * row of a rule that is gone is not known any more (RULES_E_UNKNOWN): the
 * caller drops it.
 */
#include <math.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/tags.h"
#include "agent/rules/rules_engine.h"

enum { STALE_S = 24 * 3600 };

/* ---- finding ---- */

struct walk {
        const struct rules *r;
        uint32_t at, next;
};

/* All slots, in the order they were bound. */
static bool walk_slot(struct walk *w)
{
        w->at = w->next ? w->next : 1;
        if (w->at >= w->r->n_words)
                return false;
        w->next = slot_next(w->r, w->at);
        return true;
}

static int find_limit(const struct rules *r, const struct rule_slot *s, const char *limit_kind)
{
        const struct rule *rule = &r->rules[s->rule];

        if (!limit_kind)
                return s->n == 1 ? 0 : -1;
        for (int k = 0; k < s->n; k++) {
                if (strcmp(rules_limit_name(rule->levels[k].which, rule->kind), limit_kind) == 0)
                        return k;
        }
        return -1;
}

static int find_among(const struct rules *r, uint32_t at, uint32_t n, const char *rule, const char *limit_kind,
                      struct rules_ref *out)
{
        for (; n > 0; n--, at = slot_next(r, at)) {
                const struct rule_slot *s = slot_at(r, at);
                int nth = find_limit(r, s, limit_kind);

                if (nth < 0 || strcmp(r->rules[s->rule].names[s->twin], rule) != 0)
                        continue;
                *out = (struct rules_ref){at, (uint32_t)nth};
                return 0;
        }
        return RULES_E_UNKNOWN;
}

int rules_find(const struct rules *r, const char *source, const char *tag, const char *rule, const char *limit_kind,
               struct rules_ref *out)
{
        uint32_t place = engine_find_source(r, source);

        if (!place)
                return RULES_E_UNKNOWN;
        if (!*tag)
                return find_among(r, r->sources[place - 1].first, r->sources[place - 1].n_slots, rule, limit_kind, out);
        for (uint32_t i = r->sources[place - 1].first_tag; i; i = r->tags[i - 1].next) {
                if (strcmp(r->tags[i - 1].name, tag) == 0)
                        return find_among(r, r->tags[i - 1].first, r->tags[i - 1].n_slots, rule, limit_kind, out);
        }
        return RULES_E_UNKNOWN;
}

size_t rules_find_meant(const struct rules *r, const char *source, const char *tag, const char *rule,
                        const char *limit_kind, struct rules_ref *out, size_t most)
{
        uint32_t place = engine_find_source(r, source);
        struct rules_ref ref;
        size_t n = 0;

        for (uint32_t i = place ? r->sources[place - 1].first_tag : 0; i; i = r->tags[i - 1].next) {
                const struct tag_state *b = &r->tags[i - 1];

                if (!tags_ident_means(b->name, tag) || find_among(r, b->first, b->n_slots, rule, limit_kind, &ref) != 0)
                        continue;
                if (n < most)
                        out[n] = ref;
                n++;
        }
        return n;
}

bool rules_is_only(const struct rules *r, const char *source, const char *tag)
{
        uint32_t place = engine_find_source(r, source);
        size_t len = strcspn(tag, "{"), n = 0;

        for (uint32_t i = place ? r->sources[place - 1].first_tag : 0; i && n < 2; i = r->tags[i - 1].next) {
                const char *other = r->tags[i - 1].name;

                n += strncmp(other, tag, len) == 0 && (!other[len] || other[len] == '{');
        }
        return n < 2;
}

int rules_find_event(const struct rules *r, const char *event_id, struct rules_ref *out)
{
        for (struct walk w = {r, 0, 0}; walk_slot(&w);) {
                for (unsigned k = 0; k < slot_at(r, w.at)->n; k++) {
                        struct rules_row row;

                        if (!slot_at(r, w.at)->alarm[k].seq)
                                continue;
                        emit_row(r, w.at, k, &row);
                        if (strcmp(row.event_id, event_id) != 0)
                                continue;
                        *out = (struct rules_ref){w.at, k};
                        return 0;
                }
        }
        return RULES_E_UNKNOWN;
}

void rules_row_of(const struct rules *r, struct rules_ref ref, struct rules_row *out)
{
        emit_row(r, ref.slot, ref.nth, out);
}

/* ---- the shelf ---- */

static void note_earliest(struct rules *r)
{
        r->unshelve_wall_us = INT64_MAX;
        for (size_t i = 0; i < r->n_shelf; i++) {
                if (r->shelf[i].until_wall_us < r->unshelve_wall_us)
                        r->unshelve_wall_us = r->shelf[i].until_wall_us;
        }
}

static void take_off_shelf(struct rules *r, struct rules_ref ref)
{
        for (size_t i = 0; i < r->n_shelf; i++) {
                if (r->shelf[i].slot == ref.slot && r->shelf[i].nth == ref.nth)
                        r->shelf[i--] = r->shelf[--r->n_shelf];
        }
        note_earliest(r);
}

int state_shelve(struct rules *r, struct rules_ref ref, int64_t until_wall_us)
{
        take_off_shelf(r, ref);
        if (r->n_shelf == RULES_SHELVED_MAX)
                return RULES_E_FULL;
        if (r->n_shelf == r->cap_shelf) {
                r->cap_shelf += 16;
                r->shelf = mem_grow(r->shelf, r->cap_shelf, sizeof(*r->shelf));
        }
        r->shelf[r->n_shelf++] = (struct shelved){ref.slot, ref.nth, until_wall_us};
        note_earliest(r);
        return 0;
}

int64_t state_unshelve_ms(const struct rules *r)
{
        return r->n_shelf ? to_ms_up(r->unshelve_wall_us - r->wall_offset_us) : INT64_MAX;
}

/*
 * Of several at the same time the first in the arena, so that the order is
 * always the same.
 */
void state_unshelve(struct rules *r)
{
        struct context o = {r->now_ms, r->unshelve_wall_us, NAN, NAN};
        struct rules_ref first = {UINT32_MAX, UINT32_MAX};

        for (size_t i = 0; i < r->n_shelf; i++) {
                const struct shelved *s = &r->shelf[i];

                if (s->until_wall_us == r->unshelve_wall_us &&
                    emit_key(s->slot, s->nth) < emit_key(first.slot, first.nth & 255))
                        first = (struct rules_ref){s->slot, s->nth};
        }
        take_off_shelf(r, first);
        emit_step(r, first.slot, first.nth, &r->rules[slot_at(r, first.slot)->rule].policy, ALARM_UNSHELVE, &o);
}

/* ---- commands ---- */

static int shelve(struct rules *r, struct rules_ref ref, int64_t until_wall_us)
{
        if (slot_at(r, ref.slot)->alarm[ref.nth].visibility == ALARM_OUT_OF_SERVICE)
                return RULES_E_SAME;
        return state_shelve(r, ref, until_wall_us);
}

int rules_command(struct rules *r, struct rules_ref ref, enum alarm_input in, int64_t until_wall_us,
                  const struct rt_time *now)
{
        struct context o = {.ts_us = now->wall_us, .value = NAN, .limit = NAN};
        struct rule_slot *s;
        int rc;

        BUG_ON(in < ALARM_ACK || in >= ALARM_INPUTS || ref.slot >= r->n_words);
        rules_tick(r, now);
        s = slot_at(r, ref.slot);
        o.mono_ms = r->now_ms;
        if (!(s->owner & OWNER_SOURCE))
                o.value = r->tags[s->owner].last;
        if (in == ALARM_RESET && s->alarm[ref.nth].latched && alarm_is_active(&s->alarm[ref.nth]))
                return RULES_E_ACTIVE;
        if (in == ALARM_SHELVE && (rc = shelve(r, ref, until_wall_us)) != 0)
                return rc;
        if (in == ALARM_UNSHELVE || in == ALARM_REMOVE)
                take_off_shelf(r, ref);
        return emit_step(r, ref.slot, ref.nth, &r->rules[s->rule].policy, in, &o) == ALARM_SAME ? RULES_E_SAME : 0;
}

/* ---- keeping ---- */

void rules_each(const struct rules *r, bool all, void (*each)(void *ctx, const struct rules_row *row), void *ctx)
{
        for (struct walk w = {r, 0, 0}; walk_slot(&w);) {
                for (unsigned k = 0; k < slot_at(r, w.at)->n; k++) {
                        const struct alarm *a = &slot_at(r, w.at)->alarm[k];
                        struct rules_row row;

                        if (!(all && a->seq) && alarm_state(a) == ALARM_IS_NORMAL)
                                continue;
                        emit_row(r, w.at, k, &row);
                        each(ctx, &row);
                }
        }
}

int rules_import(struct rules *r, const struct rules_row *row, const struct rt_time *now)
{
        const struct alarm_policy *p;
        struct rules_ref ref;
        struct alarm *a;

        if (rules_find(r, row->source, row->tag, row->rule, row->limit_kind, &ref) != 0)
                return RULES_E_UNKNOWN;
        a = &slot_at(r, ref.slot)->alarm[ref.nth];
        p = &r->rules[slot_at(r, ref.slot)->rule].policy;
        *a = (struct alarm){.phase = row->active ? ALARM_ACTIVE : ALARM_CLEAR,
                            .inside = row->active,
                            .unacked = row->unacked,
                            .latched = row->latched,
                            .visibility = row->visibility < ALARM_VISIBILITIES ? row->visibility : ALARM_SHOWN,
                            .told = 1,
                            .seq = row->seq & 0xffffff,
                            .since_s = (uint32_t)(row->since_us / 1000000)};
        engine_note_time(r, now);
        a->due_ms = (uint32_t)r->now_ms + p->realarm_ms;
        if (alarm_has_timer(a, p))
                engine_schedule(r, ref.slot, r->now_ms + p->realarm_ms);
        if (a->visibility == ALARM_SHELVED && state_shelve(r, ref, row->shelved_until_us) != 0)
                a->visibility = ALARM_SHOWN;
        return 0;
}

static size_t baseline_bytes(const struct rules *r, const struct rule_slot *s)
{
        const struct rule *rule = &r->rules[s->rule];

        return judges[rule->kind].form ? judges[rule->kind].bytes(rule->conf) : 0;
}

void rules_each_baseline(const struct rules *r,
                         void (*each)(void *ctx, const struct rules_row *row, int form, const void *bytes, size_t n),
                         void *ctx)
{
        for (struct walk w = {r, 0, 0}; walk_slot(&w);) {
                struct rule_slot *s = slot_at(r, w.at);
                struct rules_row row;

                if (!baseline_bytes(r, s))
                        continue;
                emit_row(r, w.at, 0, &row);
                each(ctx, &row, judges[r->rules[s->rule].kind].form, slot_memory(r, s), baseline_bytes(r, s));
        }
}

int rules_import_baseline(struct rules *r, const struct rules_row *row, int form, const void *bytes, size_t n)
{
        const struct judge *j;
        struct rules_ref ref;
        struct rule_slot *s;

        if (rules_find(r, row->source, row->tag, row->rule, row->limit_kind, &ref) != 0)
                return RULES_E_UNKNOWN;
        s = slot_at(r, ref.slot);
        j = &judges[r->rules[s->rule].kind];
        if (!n || baseline_bytes(r, s) != n || j->form != form || !j->sound(bytes))
                return RULES_E_UNKNOWN;
        memcpy(slot_memory(r, s), bytes, n);
        return 0;
}

/* ---- metrics ---- */

static void count_alarm(const struct alarm *a, uint32_t now_s, struct rules_metrics *out)
{
        out->active += alarm_is_active(a);
        out->unacked += a->unacked;
        out->latched += a->latched && !alarm_is_active(a);
        out->shelved += a->visibility == ALARM_SHELVED;
        out->out_of_service += a->visibility == ALARM_OUT_OF_SERVICE;
        out->stale += alarm_is_active(a) && now_s > a->since_s && now_s - a->since_s > STALE_S;
}

void rules_metrics(struct rules *r, struct rules_metrics *out, const struct rt_time *now)
{
        *out = (struct rules_metrics){.readings = r->n_readings,
                                      .activations = r->n_activated,
                                      .returns = r->n_returned,
                                      .historical = r->n_historical,
                                      .untyped = r->n_untyped,
                                      .fleeting = r->n_fleeting,
                                      .chattered = r->flood.n_chattering,
                                      .floods = r->flood.n_floods,
                                      .grouped = r->n_grouped,
                                      .chattering = flood_chattering(&r->flood, now->mono_us),
                                      .per_10min = flood_count(&r->flood, now->mono_us),
                                      .peak_per_10min = r->flood.peak,
                                      .flood = r->flood.flooding,
                                      .tags = r->n_bound,
                                      .slots = r->n_slots,
                                      .alarms = r->n_alarms};
        for (struct walk w = {r, 0, 0}; walk_slot(&w);) {
                for (unsigned k = 0; k < slot_at(r, w.at)->n; k++)
                        count_alarm(&slot_at(r, w.at)->alarm[k], (uint32_t)(now->wall_us / 1000000), out);
        }
}
