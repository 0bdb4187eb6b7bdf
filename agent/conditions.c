/*
 * conditions: see conditions.h.
 *
 * A condition that begins or ends is one event and one line of the log, unless
 * the room it comes from has told it in its own words (health_rules.told).
 * Cannot fail: a fact that is not to be had is one that is not so.
 */
#include "agent/conditions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/base/log.h"

enum { SHOWN_MOST = 100 };

/* ---- who is told ---- */

/*
 * As JSON members without braces: an event of the spool's, which has room for
 * the whole of both sentences.
 */
static void tell_event(struct agent *a, const struct health_condition *c, bool began)
{
        static const enum event_severity severities[] = {
                [HEALTH_NOTICE] = EVENT_NOTICE, [HEALTH_DEGRADED] = EVENT_FAULT, [HEALTH_FAILED] = EVENT_FAILURE};
        const struct health_rule *rule = &health_rules[c->id];
        int severity = began ? severities[rule->severity] : EVENT_NORMAL;
        struct rt_time now;
        json_t *o;
        char *text;

        rt_now(a->rt, &now);
        o = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:f}", "kind", "condition", "severity", severity, "state",
                      began ? "began" : "ended", "name", rule->name, "subject", c->subject, "what", c->what, "todo",
                      c->todo, "duration_s", (double)(now.mono_us - c->since_us) / 1e6);
        text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
        pipeline_put_event(&a->pipeline, now.wall_us, "condition", severity, SPOOL_NO_TAG, text + 1, strlen(text) - 2);
        free(text);
        json_decref(o);
}

static void tell_log(const struct agent *a, const struct health_condition *c, bool began)
{
        double duration_s = (double)(rt_mono_us(a->rt) - c->since_us) / 1e6;

        if (!began)
                log_notice(c->subject, "over after %.0f s: %s", duration_s, c->what);
        else if (health_rules[c->id].severity == HEALTH_NOTICE)
                log_notice(c->subject, "%s; %s", c->what, c->todo);
        else
                log_warn(c->subject, "%s; %s", c->what, c->todo);
}

static void on_change(void *ctx, const struct health_condition *c, bool began)
{
        struct agent *a = ctx;

        if (!health_rules[c->id].told)
                tell_log(a, c, began);
        if (!a->stopping)
                tell_event(a, c, began);
}

/* ---- the facts ---- */

static const struct host_source *gather_sources(struct agent *a)
{
        struct conditions *c = &a->conditions;
        struct host_source s;
        size_t n = 0;

        for (; host_source(a->host, n, &s); n++) {
                if (n == c->n_sources)
                        c->sources = mem_grow(c->sources, ++c->n_sources, sizeof(*c->sources));
                c->sources[n] = s;
        }
        c->n_sources = n;
        return c->sources;
}

static void gather_config(struct agent *a, struct health_facts *f)
{
        const struct reload_report *r = &a->reload;
        struct conditions *c = &a->conditions;
        size_t used = 0;

        f->config_refused = r->refused;
        f->config_partly = !r->refused && r->faults && *r->faults;
        f->config_at_us = r->at_us;
        c->config_fault[0] = c->restart_keys[0] = '\0';
        if (r->faults)
                snprintf(c->config_fault, sizeof(c->config_fault), "%.*s", (int)strcspn(r->faults, "\n"), r->faults);
        for (size_t i = 0; i < r->n_keys && used < sizeof(c->restart_keys); i++)
                used += (size_t)snprintf(c->restart_keys + used, sizeof(c->restart_keys) - used, "%s%s", i ? ", " : "",
                                         r->keys[i]);
        f->config_fault = c->config_fault;
        f->restart_keys = c->restart_keys;
}

static void gather_turned(struct agent *a, struct health_facts *f)
{
        const struct tag *t = a->pipeline.n_turned ? tags_get(a->tags, a->pipeline.turned) : NULL;

        f->n_turned = a->pipeline.n_turned;
        f->turned = a->conditions.turned;
        if (t)
                snprintf(a->conditions.turned, sizeof(a->conditions.turned), "%s/%s", t->source, t->name);
}

static void gather(struct agent *a, struct health_facts *f)
{
        struct notify_mqtt_counts notify;

        *f = (struct health_facts){.gateway = a->gateway,
                                   .spool_conf = &a->conf->spool,
                                   .n_dropped = a->n_dropped,
                                   .drop_reason = a->drop_reason,
                                   .kafka = &a->kafka,
                                   .flash_day_bytes = flash_forecast(&a->flash),
                                   .flash_budget_bytes = a->conf->flash.max_per_day_bytes,
                                   .flash_slowdown = a->flash.slowdown,
                                   .clock_unsynced = a->pipeline.clock_unsynced};
        rt_now(a->rt, &f->now);
        spool_counts(a->spool, &f->spool);
        uplink_status(a->uplink, &f->uplink);
        tags_counts(a->tags, &f->tags);
        f->sources = gather_sources(a);
        f->n_sources = a->conditions.n_sources;
        f->certificates = a->certificates.known;
        f->n_certificates = a->certificates.n_known;
        gather_config(a, f);
        gather_turned(a, f);
        if (!a->notifiers.mqtt)
                return;
        notify_mqtt_counts(a->notifiers.mqtt, &notify);
        f->notifies = true;
        f->notify_up = notify.up;
}

void conditions_look(struct agent *a)
{
        struct health_facts f;

        host_look_at_errors(a->host);
        gather(a, &f);
        health_judge(&a->conditions.health, &a->conditions.memory, &f);
}

void conditions_init(struct agent *a)
{
        a->conditions.health.on_change = on_change;
        a->conditions.health.ctx = a;
}

void conditions_fini(struct conditions *c)
{
        health_fini(&c->health);
        free(c->sources);
}

/* ---- shown ---- */

static json_t *one_json(const struct agent *a, const struct health_condition *c)
{
        const struct health_rule *rule = &health_rules[c->id];
        char since[TEXT_TIME_MAX];
        struct rt_time now;
        int64_t for_us;

        rt_now(a->rt, &now);
        for_us = now.mono_us - c->since_us;
        since[text_put_time(since, now.wall_us - for_us)] = '\0';
        return json_pack("{s:s, s:s, s:s, s:s, s:f, s:s, s:s}", "name", rule->name, "severity",
                         health_severity_names[rule->severity], "subject", c->subject, "since", since, "for_s",
                         (double)for_us / 1e6, "what", c->what, "todo", c->todo);
}

json_t *conditions_json(const struct agent *a)
{
        const struct health_condition *c;
        json_t *list = json_array();

        for (size_t i = 0; i < SHOWN_MOST && (c = health_get(&a->conditions.health, i)); i++)
                json_array_append_new(list, one_json(a, c));
        return list;
}

json_t *conditions_by_name(const struct agent *a)
{
        unsigned n[HEALTH_IDS];
        json_t *o = json_object();

        health_by_kind(&a->conditions.health, n);
        for (size_t id = 0; id < HEALTH_IDS; id++)
                if (n[id])
                        json_object_set_new(o, health_rules[id].name, json_integer(n[id]));
        return o;
}

void conditions_headline(const struct agent *a, char *out, size_t cap)
{
        const struct health_condition *c = health_get(&a->conditions.health, 0);

        *out = '\0';
        if (c && health_rules[c->id].severity > HEALTH_NOTICE)
                text_format(out, cap, "%s: %s", c->subject, c->what);
}
