/*
 * restore: what of the alarms survives a restart.
 *
 * A row of the file whose rule or tag is not known now is not forgotten: its
 * count of activations names the ids already used.  It is `kept` aside, shown
 * as normal, and goes on when its tag speaks again under the same rule.
 *
 * Fails at start with a sentence when the spool's rows can't be read; never
 * after.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/alarms/impl.h"
#include "agent/base/err.h"
#include "agent/base/log.h"

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

void alarms_recall(struct alarms *a, const char *source, const char *name, const struct rt_time *now)
{
        for (size_t i = 0; i < a->n_kept; i++) {
                struct kept *k = &a->kept[i];
                struct rules_row row = row_of(&k->row, true);

                if (!k->gone_on && strcmp(row.source, source) == 0 && (!*row.tag || strcmp(row.tag, name) == 0))
                        k->gone_on = rules_import(a->rules, &row, now) == 0;
        }
}

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

/* The one that went on under the same name until now; NULL: none did. */
static struct kept *find_gone_on(struct alarms *a, const struct rules_row *row)
{
        for (size_t i = 0; i < a->n_kept; i++) {
                struct kept *k = &a->kept[i];

                if (k->gone_on && !strcmp(k->row.source, row->source) && !strcmp(k->row.tag, row->tag) &&
                    !strcmp(k->row.rule, row->rule) && !strcmp(k->row.limit_kind, row->limit_kind))
                        return k;
        }
        return NULL;
}

void alarms_keep(struct alarms *a, const struct rules_row *row)
{
        struct kept *before = find_gone_on(a, row);
        struct spool_alarm s = {.source = row->source,
                                .tag = row->tag,
                                .rule = row->rule,
                                .limit_kind = row->limit_kind,
                                .state = alarm_state_name(ALARM_IS_NORMAL),
                                .severity = row->severity,
                                .activations = row->seq,
                                .since_us = row->since_us};

        if (!before) {
                keep(a, &s);
                return;
        }
        before->row.activations = row->seq;
        before->row.since_us = row->since_us;
        before->gone_on = false;
}

/* Nobody watches it any more: it is over, and says so once. */
static void retire(struct alarms *a, struct kept *k)
{
        struct spool_alarm_note note = {.source = k->row.source,
                                        .tag = k->row.tag,
                                        .rule = k->row.rule,
                                        .limit_kind = k->row.limit_kind,
                                        .change = alarm_change_name(ALARM_NOT_WATCHED),
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

int alarms_load(struct alarms *a, struct err *e)
{
        return spool_each_alarm(a->spool, on_stored, a, e);
}

void alarms_release_kept(struct alarms *a)
{
        for (size_t i = 0; i < a->n_kept; i++)
                free(a->kept[i].texts);
        free(a->kept);
}
