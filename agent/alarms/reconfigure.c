/*
 * reconfigure: other rules, while readings flow.
 *
 * The new rules are bound to the tags that are watched and take over from the
 * old ones (agent/rules/rules_takeover.c): what is the same goes on as if
 * nothing had happened.  An alarm nobody watches any more ends with a
 * transition of its own, told, stored and sent like all others, by the old
 * rules, which know its name; its count of activations is kept in case it comes
 * back.
 *
 * Cannot fail.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/alarms/impl.h"
#include "agent/base/err.h"

struct lost {
        struct rules_transition *v;
        size_t n, cap;
};

static void on_lost(void *ctx, uint32_t tag, const struct rules_row *row)
{
        struct lost *lost = ctx;
        struct rules_transition *t;

        if (lost->n == lost->cap) {
                lost->cap = lost->cap ? 2 * lost->cap : 16;
                lost->v = mem_grow(lost->v, lost->cap, sizeof(*lost->v));
        }
        t = &lost->v[lost->n++];
        *t = (struct rules_transition){
                .row = *row, .tag = tag, .change = ALARM_NOT_WATCHED, .notify = true, .value = NAN, .limit = NAN};
}

static void end_alarm(struct alarms *a, struct rules_transition *t, int64_t wall_us)
{
        bool normal = t->row.state == ALARM_IS_NORMAL;

        t->row.state = ALARM_IS_NORMAL;
        t->row.active = t->row.unacked = t->row.latched = false;
        t->row.visibility = ALARM_SHOWN;
        t->row.shelved_until_us = 0;
        t->ts_us = wall_us;
        alarms_keep(a, &t->row);
        if (!normal)
                alarms_moved(a, t);
}

/*
 * Tags that are watched stay so, unless their driver has gone; those of
 * nobody's driver (a test reading) stay.
 */
static void bind_again(struct alarms *a, const bool *bound, size_t n, const struct alarms_conf *was,
                       const struct rt_time *now)
{
        for (uint32_t i = 0; i < n; i++) {
                const char *driver = bound[i] ? tags_get(a->tags, i)->driver : NULL;

                if (driver && (a->conf.is_configured(a->conf.ctx, driver) || !was->is_configured(was->ctx, driver)))
                        alarms_bind(a, i, now);
        }
        alarms_bind_configured(a, now);
}

void alarms_reconfigure(struct alarms *a, const struct alarms_conf *conf, const uint32_t *same)
{
        struct rules *was = a->rules, *is;
        struct alarms_conf was_conf = a->conf;
        struct lost lost = {0};
        bool *bound = a->bound;
        size_t n = a->n_bound < tags_count(a->tags) ? a->n_bound : tags_count(a->tags);
        struct rt_time now;

        rt_now(a->rt, &now);
        rules_tick(was, &now);
        alarms_settle(a);
        a->conf = *conf;
        a->rules = alarms_new_rules(a, &now);
        a->bound = NULL;
        a->n_bound = 0;
        bind_again(a, bound, n, &was_conf, &now);
        is = a->rules;
        rules_take_over(is, was, same, &now, on_lost, &lost);
        a->rules = was;
        for (size_t i = 0; i < lost.n; i++)
                end_alarm(a, &lost.v[i], now.wall_us);
        alarms_settle(a);
        a->rules = is;
        alarms_settle(a);
        rules_free(was);
        free(lost.v);
        free(bound);
}

void alarms_forget_tag(struct alarms *a, uint32_t tag)
{
        if (tag < a->n_bound)
                a->bound[tag] = false;
}

/* The same rules, for the tags that are bound now. */
void alarms_rebind(struct alarms *a)
{
        struct alarms_conf conf = a->conf;
        uint32_t *same = mem_alloc((conf.rules.n + 1) * sizeof(*same));

        for (size_t i = 0; i < conf.rules.n; i++)
                same[i] = (uint32_t)i + 1;
        alarms_reconfigure(a, &conf, same);
        free(same);
}
