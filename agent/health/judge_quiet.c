/*
 * judge_quiet: what is wrong without any error: a subscription for which
 * nothing ever came, a tag that was a number and is a text (see facts.h).
 *
 * Both are notices: a topic may be seldom, a text may be meant.
 */
#include <stdio.h>

#include "agent/health/judge.h"

#define SILENT_US INT64_C(600000000)

static void judge_silent(struct health *h, const struct health_facts *f, const struct host_source *s)
{
        const struct driver_ops *ops = s->d->ops;
        char subject[HEALTH_SUBJECT_MAX], topics[HEALTH_WORDS_MAX / 2];
        struct health_condition *at;
        size_t n;

        if (!ops->silent || s->d->state != DRIVER_UP || f->now.mono_us - s->state_since_us < SILENT_US)
                return;
        n = ops->silent(s->d, topics, sizeof(topics));
        if (!n)
                return;
        snprintf(subject, sizeof(subject), "%s %s", ops->kind, s->d->name);
        at = health_hold(h, HEALTH_TOPIC_SILENT, subject, s->state_since_us);
        health_what(at, "nothing has come for %zu subscription%s: %s", n, n == 1 ? "" : "s", topics);
        health_todo(at,
                    "does anybody publish there? millrace mqtt watch %s '#' shows what does; else correct the topic",
                    driver_where(s->d) ? driver_where(s->d) : "URL");
}

void health_judge_quiet(struct health *h, struct health_memory *m, const struct health_facts *f)
{
        struct health_condition *at;

        for (size_t i = 0; i < f->n_sources; i++)
                judge_silent(h, f, &f->sources[i]);
        if (!health_rises(&m->turned, f->n_turned, f->now.mono_us))
                return;
        at = health_hold(h, HEALTH_TAG_TEXT, f->turned, 0);
        health_what(at, "it was a number and is a text now");
        health_todo(at, "what it sends: millrace tail %s; `type: number` in its item makes a text bad, which is told",
                    f->turned);
}
