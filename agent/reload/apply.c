/*
 * apply: the house goes over to another configuration while readings flow.
 *
 * Two steps.  First the drivers that change or go end, with all they took on
 * disk and acknowledged; that takes as long as a commit takes.  Then everything
 * else follows at once, between two turns of the loop: so no reading is judged
 * by half of the old rules, and a port that moves from one item to another is
 * free.  What did not change is not touched: its connection, its counters and
 * the configuration it was made from stay.
 *
 * Fails: a driver that can't be made is missing, as at a start it would have
 * been told; the rest goes on.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/base/log.h"

void agent_retire(struct agent *a, const struct reload_plan *plan, void (*on_retired)(void *ctx), void *ctx)
{
        const char **names = mem_alloc((plan->n_drivers + 1) * sizeof(*names));
        size_t n = 0;

        for (size_t i = 0; i < plan->n_drivers; i++) {
                const struct reload_driver *d = &plan->drivers[i];

                if (d->changed || d->is == RELOAD_NONE)
                        names[n++] = a->conf->drivers[d->was].name;
        }
        host_retire(a->host, names, n, on_retired, ctx);
        free(names);
}

/* ---- drivers ---- */

static void forget_drivers(struct agent *a, const struct config *was, const struct reload_plan *plan)
{
        for (size_t i = 0; i < plan->n_drivers; i++) {
                const struct reload_driver *d = &plan->drivers[i];

                if (!d->changed && d->is != RELOAD_NONE)
                        continue;
                alarms_forget_driver(a->alarms, was->drivers[d->was].name);
                if (d->is == RELOAD_NONE)
                        host_remove(a->host, was->drivers[d->was].name);
        }
}

struct change {
        struct agent *a;
        void (*fault)(void *ctx, const char *words);
        void *ctx;
        int rc;
};

static void tell_fault(struct change *c, const char *scope, const char *words)
{
        log_error(scope, "%s", words);
        c->fault(c->ctx, words);
        c->rc = -1;
}

/*
 * One that did not change is made as well when it could not be made the last
 * time.
 */
static void make_drivers(struct change *c, const struct reload_plan *plan)
{
        for (size_t i = 0; i < plan->n_drivers; i++) {
                const struct reload_driver *d = &plan->drivers[i];
                const struct config_driver *made = d->is == RELOAD_NONE ? NULL : &c->a->conf->drivers[d->is];
                struct err e;

                if (!made || (!d->changed && host_has(c->a->host, made->name)))
                        continue;
                if (host_replace(c->a->host, made->ops, made->name, made->conf, &e) < 0)
                        tell_fault(c, made->name, e.text);
        }
}

/* ---- the rest ---- */

static void change_thinning(struct agent *a)
{
        const struct schema_list *conf = &a->conf->alarm_sections.thin;

        if (a->thinning)
                thinning_reconfigure(a->thinning, conf);
        else if (conf->n)
                a->thinning = thinning_new(conf, a->tags);
        a->pipeline.thinning = a->thinning;
}

static void reconfigure_alarms(struct change *c, const struct reload_plan *plan)
{
        struct agent *a = c->a;
        struct alarms_conf conf;
        struct err e;

        agent_watch_conf(a, &conf);
        alarms_reconfigure(a->alarms, &conf, plan->same_rules);
        a->pipeline.alarms = conf.rules.n ? a->alarms : NULL;
        if (notifiers_reconfigure(&a->notifiers, a->rt, a->conf, plan->notify_mqtt, a->alarms, &e) < 0)
                tell_fault(c, "notify", e.text);
}

static void change_spool(struct agent *a, const struct reload_plan *plan)
{
        spool_reconfigure(a->spool, &a->conf->spool);
        agent_set_interval(a);
        if (plan->when_full)
                host_pause(a->host, a->spool_high && a->conf->spool.when_full == SPOOL_BLOCK);
}

int agent_reconfigure(struct agent *a, const struct config *is, const struct reload_plan *plan,
                      struct kafka_next *kafka, void (*fault)(void *ctx, const char *words), void *ctx)
{
        struct change c = {a, fault, ctx, 0};
        const struct config *was = a->conf;

        a->conf = is;
        certificates_look(&a->certificates, is);
        log_init(is->log_level);
        log_bound((int)is->log.per_minute);
        tags_set_most(a->tags, (size_t)is->max_tags);
        forget_drivers(a, was, plan);
        change_thinning(a);
        reconfigure_alarms(&c, plan);
        change_spool(a, plan);
        agent_kafka_conf(a);
        uplink_reconfigure(a->uplink);
        if (kafka)
                kafka_sink_reconfigure(a->sink, kafka);
        make_drivers(&c, plan);
        shares_set(a->tags, is);
        return c.rc;
}

bool agent_uses(const struct agent *a, const struct config *c)
{
        const struct driver *d;

        if (a->conf == c || (a->notifiers.mqtt && a->notifiers.mqtt_from == c))
                return true;
        for (size_t i = 0; (d = host_driver(a->host, i)); i++) {
                for (size_t k = 0; k < c->n_drivers; k++)
                        if (c->drivers[k].conf == d->conf)
                                return true;
        }
        return false;
}
