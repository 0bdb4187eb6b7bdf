/*
 * renotify: what was stored but may not have been heard is told again after a
 * crash.
 *
 * A program that is started for each alarm may still wait for its turn when the
 * power goes.  So the spool marks, with a commit that comes anyway, up to where
 * the journal has been told; at start what lies behind the mark is told again
 * to the notifiers that have a queue, each under its event_id and with "again":
 * true.  At least once, then, not exactly: the mark may be a commit late.  More
 * than ten are told as one group, as in a flood.
 *
 * Who shows states (MQTT) needs none of this: all states are shown again at
 * each connection.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/alarms/impl.h"
#include "agent/base/err.h"
#include "agent/base/log.h"

enum { ONE_BY_ONE = 10 };

struct again {
        const struct alarms *a;
        size_t n;
        struct {
                char *json;
                size_t len;
                int severity;
        } one[ONE_BY_ONE];
        struct rules_group group;
        char source[TEXT_NAME_MAX + 1], tag[TAGS_IDENT_MAX + 1], rule[TEXT_NAME_MAX + 1]; /* of the worst */
};

static void note_worst(struct again *g, const struct spool_alarm_note *n)
{
        struct rules_row *worst = &g->group.worst;

        g->group.worst_severity = n->severity;
        snprintf(g->source, sizeof(g->source), "%s", n->source);
        snprintf(g->tag, sizeof(g->tag), "%s", n->tag);
        snprintf(g->rule, sizeof(g->rule), "%s", n->rule);
        snprintf(worst->event_id, sizeof(worst->event_id), "%.*s", RULES_ID_MAX, n->event_id);
        worst->source = g->source;
        worst->tag = g->tag;
        worst->rule = g->rule;
}

static void on_unnotified(void *ctx, const struct spool_alarm_note *n)
{
        struct again *g = ctx;
        bool activated = !strcmp(n->change, alarm_change_name(ALARM_ACTIVATED));
        char text[ALARM_TEXT_MAX];

        if (g->n < ONE_BY_ONE) {
                g->one[g->n].len = alarm_put_again(text, g->a->conf.gateway, n);
                g->one[g->n].json = mem_strdup(text);
                g->one[g->n].severity = n->severity;
        }
        if (!g->n++)
                g->group.from_us = n->at_us;
        g->group.to_us = n->at_us;
        g->group.n_activated += activated;
        g->group.n_returned += !strcmp(n->change, alarm_change_name(ALARM_RETURNED));
        if (activated && n->severity > g->group.worst_severity)
                note_worst(g, n);
}

static void tell(struct alarms *a, const struct alarm_notice *notice)
{
        for (struct alarm_notifier *n = a->notifiers; n; n = n->next) {
                if (n->busy)
                        n->tell(n, notice);
        }
}

int alarms_renotify_load(struct alarms *a, struct err *e)
{
        a->again = mem_alloc(sizeof(*a->again));
        a->again->a = a;
        return spool_each_unnotified(a->spool, on_unnotified, a->again, e);
}

void alarms_renotify_start(struct alarms *a)
{
        const struct again *g = a->again;
        struct alarm_notice notice = {0};
        char text[ALARM_TEXT_MAX];

        if (g->n)
                log_notice("alarm", "%zu changes may not have been heard before the last end; they are told again",
                           g->n);
        if (g->n > ONE_BY_ONE) {
                notice = (struct alarm_notice){.json = text, .severity = g->group.worst_severity};
                notice.len = alarm_put_group_notice(text, a->conf.gateway, &g->group);
                tell(a, &notice);
        }
        for (size_t i = 0; i < g->n && g->n <= ONE_BY_ONE; i++) {
                notice.json = g->one[i].json;
                notice.len = g->one[i].len;
                notice.severity = g->one[i].severity;
                tell(a, &notice);
        }
        a->unnotified = true;
}

/* Nobody has something to tell yet: so the spool may mark it. */
void alarms_renotify_mark(struct alarms *a)
{
        bool busy = rules_group_waits(a->rules);

        for (struct alarm_notifier *n = a->notifiers; n && !busy; n = n->next)
                busy = n->busy && n->busy(n);
        if (busy)
                return;
        spool_notes_notified(a->spool);
        a->unnotified = false;
}

void alarms_renotify_free(struct alarms *a)
{
        for (size_t i = 0; a->again && i < ONE_BY_ONE; i++)
                free(a->again->one[i].json);
        free(a->again);
}
