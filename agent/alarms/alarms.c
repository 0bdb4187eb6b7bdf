/*
 * alarms: see alarms.h.
 *
 * Transitions come out of the rules as upcalls and wait in `moved` until the
 * call into the rules is over: then notifiers are told, and the rows are stored
 * when it is known which seq the reading gets.  Both happen before the loop
 * does anything else, so nothing comes between.
 *
 * Fails at start with a sentence when the spool's alarms can't be read; never
 * after.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/alarms/impl.h"
#include "agent/base/err.h"

enum { COMMIT_WITHIN_US = 20000 };

/* ---- what the rules say ---- */

void alarms_moved(struct alarms *a, const struct rules_transition *t)
{
        if (a->n_moved == a->cap_moved) {
                a->cap_moved = a->cap_moved ? 2 * a->cap_moved : 16;
                a->moved = mem_grow(a->moved, a->cap_moved, sizeof(*a->moved));
        }
        a->moved[a->n_moved++] = (struct moved){*t, a->reading_tag, a->reading_ts_us};
}

static void on_transition(void *ctx, const struct rules_transition *t)
{
        alarms_moved(ctx, t);
}

static void on_group(void *ctx, const struct rules_group *g)
{
        struct alarms *a = ctx;

        a->group = *g;
        a->has_group = true;
}

/* ---- telling ---- */

void alarms_add_notifier(struct alarms *a, struct alarm_notifier *n)
{
        n->next = a->notifiers;
        a->notifiers = n;
}

void alarms_clear_notifiers(struct alarms *a)
{
        a->notifiers = NULL;
}

static void tell(struct alarms *a, const struct alarm_notice *notice)
{
        for (struct alarm_notifier *n = a->notifiers; n; n = n->next)
                n->tell(n, notice);
}

bool alarms_has_several(const struct alarms *a, const struct rules_row *row)
{
        struct rules_ref ref;

        return rules_find(a->rules, row->source, row->tag, row->rule, NULL, &ref) != 0;
}

/* What is left to a group is shown with it. */
static void show_quietly(struct alarms *a, const struct rules_transition *t)
{
        char text[ALARM_TEXT_MAX];
        struct alarm_notice notice;

        if (t->grouped)
                return;
        alarms_notice_of(a, &t->row, &notice, text, sizeof(text));
        for (struct alarm_notifier *n = a->notifiers; n; n = n->next) {
                if (n->show)
                        n->show(n, &notice);
        }
}

static void tell_moved(struct alarms *a)
{
        char text[ALARM_TEXT_MAX];

        for (; a->n_told < a->n_moved; a->n_told++) {
                const struct rules_transition *t = &a->moved[a->n_told].t;
                struct alarm_notice notice = {.t = t, .row = &t->row, .json = text, .severity = t->row.severity};

                if (!a->notifiers)
                        continue;
                if (!t->notify) {
                        show_quietly(a, t);
                        continue;
                }
                notice.len = alarm_put_notice(text, a->conf.gateway, t, &a->said);
                notice.several = alarms_has_several(a, &t->row);
                notice.only = rules_is_only(a->rules, t->row.source, t->row.tag);
                tell(a, &notice);
        }
}

static void tell_group(struct alarms *a)
{
        char text[ALARM_TEXT_MAX];
        struct alarm_notice notice = {.json = text, .severity = a->group.worst_severity};

        notice.len = alarm_put_group_notice(text, a->conf.gateway, &a->group);
        tell(a, &notice);
}

/* ---- storing ---- */

/* Few rules ever have an alarm that moves. */
const char *alarms_lasting(struct alarms *a, const char *rule)
{
        size_t i = 0;

        while (i < a->n_names && strcmp(a->names[i], rule) != 0)
                i++;
        if (i == a->n_names) {
                a->names = mem_grow(a->names, ++a->n_names, sizeof(*a->names));
                a->names[i] = mem_strdup(rule);
        }
        return a->names[i];
}

static void put_alarm(struct alarms *a, const struct rules_row *row)
{
        struct spool_alarm out = {.source = row->source,
                                  .tag = row->tag,
                                  .rule = alarms_lasting(a, row->rule),
                                  .limit_kind = row->limit_kind,
                                  .state = alarm_state_name(row->state),
                                  .active = row->active,
                                  .unacked = row->unacked,
                                  .latched = row->latched,
                                  .visibility = (int)row->visibility,
                                  .severity = row->severity,
                                  .activations = row->seq,
                                  .since_us = row->since_us,
                                  .shelved_until_us = row->shelved_until_us};

        snprintf(out.event_id, sizeof(out.event_id), "%s", row->event_id);
        spool_put_alarm(a->spool, &out);
}

static void put_note(struct alarms *a, const struct rules_transition *t)
{
        struct spool_alarm_note note = {.at_us = t->ts_us,
                                        .source = t->row.source,
                                        .tag = t->row.tag,
                                        .rule = alarms_lasting(a, t->row.rule),
                                        .limit_kind = t->row.limit_kind,
                                        .change = alarm_change_name(t->change),
                                        .by = a->said.by,
                                        .comment = a->said.comment,
                                        .value = t->value,
                                        .limit = t->limit,
                                        .severity = t->row.severity};

        snprintf(note.event_id, sizeof(note.event_id), "%s", t->row.event_id);
        spool_note_alarm(a->spool, &note);
}

static void store_one(struct alarms *a, const struct moved *m, uint64_t sample_seq)
{
        const struct rules_transition *t = &m->t;
        char body[ALARM_TEXT_MAX];
        uint64_t seq = t->tag == m->reading_tag && t->ts_us == m->reading_ts_us ? sample_seq : 0;
        size_t len = alarm_put_event(body, t, &a->said, seq);

        put_alarm(a, &t->row);
        put_note(a, t);
        a->conf.put_event(a->conf.event_ctx, t->ts_us, "alarm", t->row.severity,
                          t->tag == RULES_NO_TAG ? SPOOL_NO_TAG : t->tag, body, len);
}

void alarms_store(struct alarms *a, uint64_t sample_seq)
{
        char body[ALARM_TEXT_MAX];
        size_t len;

        for (size_t i = 0; i < a->n_moved; i++)
                store_one(a, &a->moved[i], sample_seq);
        if (a->has_group) {
                tell_group(a);
                len = alarm_put_group(body, &a->group);
                a->conf.put_event(a->conf.event_ctx, a->group.to_us, "alarm_group", a->group.worst_severity,
                                  SPOOL_NO_TAG, body, len);
        }
        a->unsynced |= a->n_moved > 0 || a->has_group;
        a->unnotified |= a->n_moved > 0;
        a->n_moved = a->n_told = 0;
        a->has_group = false;
}

static void arm(struct alarms *a)
{
        int64_t due_us = rules_due_us(a->rules);

        if (!a->running || due_us == INT64_MAX)
                rt_timer_cancel(a->rt, &a->timer);
        else if (!rt_timer_armed(&a->timer) || a->timer.due_us != due_us)
                rt_timer_set(a->rt, &a->timer, due_us - rt_mono_us(a->rt));
}

/*
 * Not at once: a source that waits for the disk asks for a commit in a moment,
 * and the next one would have to wait for two.
 */
void alarms_commit(struct alarms *a)
{
        if (a->unnotified)
                alarms_renotify_mark(a);
        if (a->unsynced)
                spool_hurry(a->spool, COMMIT_WITHIN_US);
        a->unsynced = false;
        arm(a);
}

void alarms_settle(struct alarms *a)
{
        tell_moved(a);
        alarms_store(a, 0);
        alarms_commit(a);
}

static void on_due(struct rt_timer *t)
{
        struct alarms *a = list_entry(t, struct alarms, timer);
        struct rt_time now;

        rt_now(a->rt, &now);
        rules_tick(a->rules, &now);
        alarms_settle(a);
}

/* ---- tags ---- */

static void tell_renamed(struct alarms *a)
{
        for (struct alarm_notifier *n = a->notifiers; n; n = n->next)
                if (n->renamed)
                        n->renamed(n);
}

void alarms_bind(struct alarms *a, uint32_t tag, const struct rt_time *now)
{
        const char *source = tags_get(a->tags, tag)->source, *ident = tags_ident(a->tags, tag);

        if (tag >= a->n_bound) {
                size_t n = tags_count(a->tags) > 2 * a->n_bound ? tags_count(a->tags) : 2 * a->n_bound;

                a->bound = mem_grow(a->bound, n, sizeof(*a->bound));
                memset(a->bound + a->n_bound, 0, (n - a->n_bound) * sizeof(*a->bound));
                a->n_bound = n;
        }
        a->bound[tag] = true;
        rules_bind(a->rules, tag, source, ident, now);
        if (!rules_is_only(a->rules, source, ident))
                tell_renamed(a);
        if (a->n_kept)
                alarms_recall(a, source, ident, now);
}

void alarms_bind_configured(struct alarms *a, const struct rt_time *now)
{
        for (uint32_t i = 0; i < tags_count(a->tags); i++) {
                if (tags_is_tag(a->tags, i) && (i >= a->n_bound || !a->bound[i]) &&
                    a->conf.is_configured(a->conf.ctx, tags_get(a->tags, i)->driver))
                        alarms_bind(a, i, now);
        }
}

bool alarms_eval(struct alarms *a, const struct reading *r, const struct rt_time *now)
{
        if (__builtin_expect(r->tag >= a->n_bound || !a->bound[r->tag], 0))
                alarms_bind(a, r->tag, now);
        a->reading_tag = r->tag;
        a->reading_ts_us = r->ts_us;
        rules_eval(a->rules, r, now);
        a->reading_tag = RULES_NO_TAG;
        if (!a->n_moved)
                return false;
        tell_moved(a);
        return true;
}

/* ---- life ---- */

struct rules *alarms_new_rules(struct alarms *a, const struct rt_time *now)
{
        struct rules_upcalls up = {.on_transition = on_transition, .on_group = on_group, .ctx = a};

        return rules_new(a->conf.rules.items, a->conf.rules.n, a->identity, &up, now);
}

struct alarms *alarms_new(struct rt *rt, const struct alarms_conf *conf, struct tags *tags, struct spool *spool,
                          struct err *e)
{
        struct alarms *a = mem_alloc(sizeof(*a));
        struct spool_counts counts;
        struct rt_time now;

        rt_now(rt, &now);
        a->rt = rt;
        a->conf = *conf;
        a->tags = tags;
        a->spool = spool;
        a->said = (struct alarm_operator){"", ""};
        a->reading_tag = RULES_NO_TAG;
        a->timer.on_due = on_due;
        spool_counts(spool, &counts);
        snprintf(a->identity, sizeof(a->identity), "%s:%llu", conf->gateway, (unsigned long long)counts.epoch);
        a->rules = alarms_new_rules(a, &now);
        alarms_bind_configured(a, &now);
        if (alarms_load(a, e) == 0 && alarms_baselines_load(a, e) == 0 && alarms_renotify_load(a, e) == 0)
                return a;
        alarms_free(a);
        return NULL;
}

void alarms_start(struct alarms *a)
{
        struct rt_time now;

        rt_now(a->rt, &now);
        alarms_bind_configured(a, &now);
        a->running = true;
        alarms_baselines_start(a);
        alarms_renotify_start(a);
        alarms_settle(a);
}

void alarms_stop(struct alarms *a)
{
        a->running = false;
        rt_timer_cancel(a->rt, &a->timer);
        alarms_baselines_stop(a);
        if (a->unnotified)
                alarms_renotify_mark(a);
}

void alarms_free(struct alarms *a)
{
        if (!a)
                return;
        rt_timer_cancel(a->rt, &a->timer);
        rt_timer_cancel(a->rt, &a->save_timer);
        alarms_release_kept(a);
        alarms_renotify_free(a);
        for (size_t i = 0; i < a->n_names; i++)
                free(a->names[i]);
        free(a->names);
        for (size_t i = 0; i < a->n_down; i++)
                free(a->down[i]);
        rules_free(a->rules);
        free(a->down);
        free(a->bound);
        free(a->moved);
        free(a);
}
