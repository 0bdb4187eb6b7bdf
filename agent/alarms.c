/*
 * alarms: see alarms.h.
 *
 * Transitions come out of the rules as upcalls and wait in `moved` until the call into the rules is over: then notifiers
 * are told, and the rows are stored when it is known which seq the reading gets.  Both happen before the loop does
 * anything else, so nothing comes between.
 *
 * A row of the file whose rule or tag is not known now is not forgotten: its count of activations names the ids already
 * used.  It is `kept` aside, shown as normal, and goes on when its tag speaks again under the same rule.
 *
 * Fails at start with a sentence when the spool's alarms can't be read; never after.
 */
#include "agent/alarms.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

enum { COMMIT_WITHIN_US = 20000 };

struct moved {
        struct rules_transition t;
        uint32_t reading_tag; /* judged when it happened; RULES_NO_TAG: none */
        int64_t reading_ts_us;
};

struct kept {
        struct spool_alarm row;
        char *texts; /* source, tag, rule, limit_kind, each with its NUL; the spool may have them until it is closed */
        bool gone_on;
};

struct alarms {
        struct rt *rt;
        struct alarms_conf conf;
        struct tags *tags;
        struct spool *spool;
        char identity[TEXT_NAME_MAX + 32]; /* gateway:epoch: a new spool counts activations from 1 again */
        struct rules *rules;
        struct alarm_notifier *notifiers;
        struct rt_timer timer;
        bool running, unsynced;

        bool *bound; /* by tag */
        size_t n_bound;

        struct moved *moved;
        size_t n_moved, n_told, cap_moved;
        struct rules_group group;
        bool has_group;
        struct alarm_said said;
        uint32_t reading_tag;
        int64_t reading_ts_us;

        struct kept *kept;
        size_t n_kept, cap_kept;
        char **down; /* sources whose device is known to be down */
        size_t n_down;
};

/* ---- what the rules say ---- */

static void on_transition(void *ctx, const struct rules_transition *t)
{
        struct alarms *a = ctx;

        if (a->n_moved == a->cap_moved) {
                a->cap_moved = a->cap_moved ? 2 * a->cap_moved : 16;
                a->moved = mem_grow(a->moved, a->cap_moved, sizeof(*a->moved));
        }
        a->moved[a->n_moved++] = (struct moved){*t, a->reading_tag, a->reading_ts_us};
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

static void tell(struct alarms *a, const struct alarm_notice *notice)
{
        for (struct alarm_notifier *n = a->notifiers; n; n = n->next)
                n->tell(n, notice);
}

static bool has_several(const struct alarms *a, const struct rules_row *row)
{
        struct rules_ref ref;

        return rules_find(a->rules, row->source, row->tag, row->rule, NULL, &ref) != 0;
}

void alarms_notice_of(struct alarms *a, const struct rules_row *row, struct alarm_notice *out, char *buf, size_t cap)
{
        BUG_ON(cap < ALARM_TEXT_MAX);
        *out = (struct alarm_notice){.row = row, .json = buf, .severity = row->severity};
        out->len = alarm_put_state(buf, a->conf.gateway, row);
        out->several = has_several(a, row);
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
                notice.several = has_several(a, &t->row);
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

static void put_alarm(struct alarms *a, const struct rules_row *row)
{
        struct spool_alarm out = {.source = row->source,
                                  .tag = row->tag,
                                  .rule = row->rule,
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
                                        .rule = t->row.rule,
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

/* Not at once: a source that waits for the disk asks for a commit in a moment, and the next one would have to wait for two. */
void alarms_commit(struct alarms *a)
{
        if (a->unsynced)
                spool_hurry(a->spool, COMMIT_WITHIN_US);
        a->unsynced = false;
        arm(a);
}

static void settle(struct alarms *a)
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
        settle(a);
}

/* ---- tags ---- */

static struct rules_row row_of(const struct spool_alarm *s, bool fresh)
{
        struct rules_row row = {.source = s->source,
                                .tag = s->tag,
                                .rule = s->rule,
                                .limit_kind = s->limit_kind,
                                .seq = s->activations,
                                .since_us = s->since_us,
                                .severity = s->severity};

        if (fresh)
                return row;
        row.active = s->active;
        row.unacked = s->unacked;
        row.latched = s->latched;
        row.visibility = (enum alarm_visibility)s->visibility;
        row.shelved_until_us = s->shelved_until_us;
        return row;
}

static void recall(struct alarms *a, const char *source, const char *name, const struct rt_time *now)
{
        for (size_t i = 0; i < a->n_kept; i++) {
                struct kept *k = &a->kept[i];
                struct rules_row row = row_of(&k->row, true);

                if (!k->gone_on && strcmp(row.source, source) == 0 && (!*row.tag || strcmp(row.tag, name) == 0))
                        k->gone_on = rules_import(a->rules, &row, now) == 0;
        }
}

static void bind(struct alarms *a, uint32_t tag, const struct rt_time *now)
{
        const struct tag *t = tags_get(a->tags, tag);

        if (tag >= a->n_bound) {
                size_t n = tags_count(a->tags) > 2 * a->n_bound ? tags_count(a->tags) : 2 * a->n_bound;

                a->bound = mem_grow(a->bound, n, sizeof(*a->bound));
                memset(a->bound + a->n_bound, 0, (n - a->n_bound) * sizeof(*a->bound));
                a->n_bound = n;
        }
        a->bound[tag] = true;
        rules_bind(a->rules, tag, t->source, t->name, now);
        if (a->n_kept)
                recall(a, t->source, t->name, now);
}

static void bind_configured(struct alarms *a, const struct rt_time *now)
{
        for (uint32_t i = 0; i < tags_count(a->tags); i++) {
                if ((i >= a->n_bound || !a->bound[i]) &&
                    a->conf.is_configured(a->conf.ctx, tags_get(a->tags, i)->driver))
                        bind(a, i, now);
        }
}

bool alarms_eval(struct alarms *a, const struct reading *r, const struct rt_time *now)
{
        if (__builtin_expect(r->tag >= a->n_bound || !a->bound[r->tag], 0))
                bind(a, r->tag, now);
        a->reading_tag = r->tag;
        a->reading_ts_us = r->ts_us;
        rules_eval(a->rules, r, now);
        a->reading_tag = RULES_NO_TAG;
        if (!a->n_moved)
                return false;
        tell_moved(a);
        return true;
}

/* ---- devices ---- */

static size_t find_down(const struct alarms *a, const char *source)
{
        size_t i = 0;

        while (i < a->n_down && strcmp(a->down[i], source) != 0)
                i++;
        return i;
}

static void note_down(struct alarms *a, const char *source, bool down)
{
        size_t i = find_down(a, source);

        if (down && i == a->n_down) {
                a->down = mem_grow(a->down, a->n_down + 1, sizeof(*a->down));
                a->down[a->n_down++] = mem_strdup(source);
        } else if (!down && i < a->n_down) {
                free(a->down[i]);
                a->down[i] = a->down[--a->n_down];
        }
}

void alarms_device(struct alarms *a, const char *source, bool down)
{
        struct rt_time now;

        rt_now(a->rt, &now);
        note_down(a, source, down);
        rules_source_down(a->rules, source, down, &now);
        settle(a);
}

static int by_text(const void *x, const void *y)
{
        return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* A device that was down before its link was stays down when the link is back. */
void alarms_link(struct alarms *a, const char *driver, bool down)
{
        size_t n = 0, all = tags_count(a->tags);
        const char **sources = mem_alloc((all + 1) * sizeof(*sources));
        struct rt_time now;

        rt_now(a->rt, &now);
        for (uint32_t i = 0; i < all; i++) {
                const struct tag *t = tags_get(a->tags, i);

                if (!strcmp(t->driver, driver) && (!n || strcmp(sources[n - 1], t->source) != 0))
                        sources[n++] = t->source;
        }
        qsort(sources, n, sizeof(*sources), by_text);
        for (size_t i = 0; i < n; i++) {
                if ((i == 0 || strcmp(sources[i], sources[i - 1]) != 0) && find_down(a, sources[i]) == a->n_down)
                        rules_source_down(a->rules, sources[i], down, &now);
        }
        free(sources);
        settle(a);
}

/* ---- people ---- */

bool alarm_key_cut(char *name, struct alarm_key *key)
{
        char *tag = strchr(name, '/'), *rule = tag ? strchr(tag + 1, '/') : NULL;

        if (!rule)
                return false;
        *tag++ = *rule++ = '\0';
        *key = (struct alarm_key){.source = name, .tag = strcmp(tag, "-") == 0 ? "" : tag, .rule = rule};
        return true;
}

/* A rule's name may have a dot in it as well. */
static int find(const struct alarms *a, const struct alarm_key *key, struct rules_ref *out)
{
        const char *dot = key->event_id ? NULL : strrchr(key->rule, '.');
        char rule[TEXT_NAME_MAX + 1];
        int rc;

        if (key->event_id)
                return rules_find_event(a->rules, key->event_id, out);
        rc = rules_find(a->rules, key->source, key->tag, key->rule, NULL, out);
        if (rc != RULES_E_UNKNOWN || !dot || (size_t)(dot - key->rule) >= sizeof(rule))
                return rc;
        snprintf(rule, sizeof(rule), "%.*s", (int)(dot - key->rule), key->rule);
        return rules_find(a->rules, key->source, key->tag, rule, dot + 1, out);
}

int alarms_row(struct alarms *a, const struct alarm_key *key, struct rules_row *out)
{
        struct rules_ref ref;
        int rc = find(a, key, &ref);

        if (rc == 0)
                rules_row_of(a->rules, ref, out);
        return rc;
}

int alarms_command(struct alarms *a, const struct alarm_key *key, enum alarm_input in, int64_t until_wall_us,
                   const char *by, const char *comment)
{
        struct rules_ref ref;
        struct rt_time now;
        int rc = find(a, key, &ref);

        if (rc)
                return rc;
        rt_now(a->rt, &now);
        rules_tick(a->rules, &now);
        settle(a);
        a->said = (struct alarm_said){by, comment};
        rc = rules_command(a->rules, ref, in, until_wall_us, &now);
        settle(a);
        a->said = (struct alarm_said){"", ""};
        return rc;
}

struct each {
        void (*each)(void *ctx, const struct rules_row *row);
        void *ctx;
};

bool alarm_ever_was(const struct rules_row *row)
{
        return row->seq || row->state != ALARM_IS_NORMAL;
}

static void if_it_ever_was(void *ctx, const struct rules_row *row)
{
        const struct each *e = ctx;

        if (alarm_ever_was(row))
                e->each(e->ctx, row);
}

void alarms_each(struct alarms *a, bool all, void (*each)(void *ctx, const struct rules_row *row), void *ctx)
{
        struct each e = {each, ctx};

        rules_each(a->rules, all, if_it_ever_was, &e);
}

void alarms_metrics(struct alarms *a, struct rules_metrics *out)
{
        struct rt_time now;

        rt_now(a->rt, &now);
        rules_metrics(a->rules, out, &now);
}

/* ---- life ---- */

static const char *copy_text(char **p, const char *s)
{
        char *mine = *p;

        *p = stpcpy(mine, s) + 1;
        return mine;
}

static struct kept *keep(struct alarms *a, const struct spool_alarm *s)
{
        size_t n = strlen(s->source) + strlen(s->tag) + strlen(s->rule) + strlen(s->limit_kind) + 4;
        struct kept *k;
        char *p;

        if (a->n_kept == a->cap_kept) {
                a->cap_kept = a->cap_kept ? 2 * a->cap_kept : 16;
                a->kept = mem_grow(a->kept, a->cap_kept, sizeof(*a->kept));
        }
        k = &a->kept[a->n_kept++];
        *k = (struct kept){.row = *s, .texts = mem_alloc(n)};
        p = k->texts;
        k->row.source = copy_text(&p, s->source);
        k->row.tag = copy_text(&p, s->tag);
        k->row.rule = copy_text(&p, s->rule);
        k->row.limit_kind = copy_text(&p, s->limit_kind);
        return k;
}

/* Nobody watches it any more: it is over, and says so once. */
static void retire(struct alarms *a, struct kept *k)
{
        struct spool_alarm_note note = {.source = k->row.source,
                                        .tag = k->row.tag,
                                        .rule = k->row.rule,
                                        .limit_kind = k->row.limit_kind,
                                        .change = "not_watched",
                                        .by = "",
                                        .comment = "",
                                        .value = NAN,
                                        .limit = NAN,
                                        .severity = k->row.severity};
        struct rt_time now;

        if (!strcmp(k->row.state, alarm_state_name(ALARM_IS_NORMAL))) {
                k->row.state = alarm_state_name(ALARM_IS_NORMAL);
                return;
        }
        rt_now(a->rt, &now);
        note.at_us = now.wall_us;
        memcpy(note.event_id, k->row.event_id, sizeof(note.event_id));
        log_notice("alarm", "%s/%s %s was %s; no rule watches it any more", k->row.source, k->row.tag, k->row.rule,
                   k->row.state);
        k->row.state = alarm_state_name(ALARM_IS_NORMAL);
        k->row.active = k->row.unacked = k->row.latched = false;
        k->row.visibility = ALARM_SHOWN;
        k->row.shelved_until_us = 0;
        spool_put_alarm(a->spool, &k->row);
        spool_note_alarm(a->spool, &note);
}

static void on_stored(void *ctx, const struct spool_alarm *s)
{
        struct alarms *a = ctx;
        struct rules_row row = row_of(s, false);
        struct rt_time now;

        rt_now(a->rt, &now);
        if (rules_import(a->rules, &row, &now) != 0)
                retire(a, keep(a, s));
}

struct alarms *alarms_open(struct rt *rt, const struct alarms_conf *conf, struct tags *tags, struct spool *spool,
                           struct err *e)
{
        struct alarms *a = mem_alloc(sizeof(*a));
        struct rules_upcalls up = {.on_transition = on_transition, .on_group = on_group, .ctx = a};
        struct spool_counts counts;
        struct rt_time now;

        rt_now(rt, &now);
        a->rt = rt;
        a->conf = *conf;
        a->tags = tags;
        a->spool = spool;
        a->said = (struct alarm_said){"", ""};
        a->reading_tag = RULES_NO_TAG;
        a->timer.on_due = on_due;
        spool_counts(spool, &counts);
        snprintf(a->identity, sizeof(a->identity), "%s:%llu", conf->gateway, (unsigned long long)counts.epoch);
        a->rules = rules_new(conf->rules.items, conf->rules.n, a->identity, &up, &now);
        bind_configured(a, &now);
        if (spool_each_alarm(spool, on_stored, a, e) == 0)
                return a;
        alarms_close(a);
        return NULL;
}

void alarms_start(struct alarms *a)
{
        struct rt_time now;

        rt_now(a->rt, &now);
        bind_configured(a, &now);
        a->running = true;
        settle(a);
}

void alarms_stop(struct alarms *a)
{
        a->running = false;
        rt_timer_cancel(a->rt, &a->timer);
}

void alarms_close(struct alarms *a)
{
        if (!a)
                return;
        rt_timer_cancel(a->rt, &a->timer);
        for (size_t i = 0; i < a->n_kept; i++)
                free(a->kept[i].texts);
        for (size_t i = 0; i < a->n_down; i++)
                free(a->down[i]);
        rules_free(a->rules);
        free(a->kept);
        free(a->down);
        free(a->bound);
        free(a->moved);
        free(a);
}
