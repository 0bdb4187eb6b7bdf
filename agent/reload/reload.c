/*
 * reload: see reload.h.
 *
 *   IDLE --request--> READS --good--> RETIRES --drivers have ended--> (agent_reconfigure) --> IDLE
 *                       |--faulty--> DROPS (what was made for it is freed off the loop) --> IDLE
 *
 * All that can fail is tried before anything is changed: files, faults,
 * secrets, a Kafka producer (off the loop), the port of the metrics page (on
 * it, because it is only a bind).  What needs a restart is held back at its old
 * value and named.
 *
 * Drivers that go on keep using the configuration they were made from, so old
 * configurations live for as long as one of theirs does: at most as many as
 * there are drivers.
 *
 * How it fails: the daemon goes on with what it has, and the log, `status` and
 * an event say why.
 */
#include "agent/reload/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/systemd.h"

enum { LINES_MAX = 20 };

enum phase { IDLE, READS, RETIRES, DROPS };

struct reload {
        struct reload_parts parts;
        enum phase phase;
        bool again, stopped;
        struct rt_work work;
        struct config **configs; /* in use; the latest is the last */
        size_t n_configs;

        /* of the one under way */
        struct config *is;
        struct faults faults;
        struct kafka_next *kafka;
        struct metrics_http *metrics;
        const char *keys[RELOAD_KEYS_MAX];
        size_t n_keys;
        struct reload_plan plan;
        struct rt_time begun;
};

static void next(struct reload *r);

static const struct config *current(const struct reload *r)
{
        return r->configs[r->n_configs - 1];
}

/* ---- what came of it, for people ---- */

/* One a line; NULL: none. */
static char *faults_text(const struct faults *f)
{
        char *text = NULL;
        size_t len;
        FILE *out;

        if (!f->n && !f->n_more)
                return NULL;
        out = open_memstream(&text, &len);
        if (!out)
                abort();
        faults_print(f, out);
        fclose(out);
        return text;
}

static size_t log_lines(const char *text)
{
        size_t n = 0, told = 0;

        for (; *text; n++) {
                size_t len = strcspn(text, "\n");

                if (n < LINES_MAX && ++told)
                        log_error("config", "%.*s", (int)len, text);
                text += len + (text[len] == '\n');
        }
        if (n > told)
                log_error("config", "and %zu more; `millrace check` names all", n - told);
        return n;
}

static void report(struct reload *r, bool refused)
{
        struct reload_report *out = &r->parts.agent->reload;

        free(out->faults);
        out->faults = faults_text(&r->faults);
        out->refused = refused;
        out->at_us = r->begun.wall_us;
        if (refused) {
                out->n_refused++;
                return;
        }
        out->n_applied++;
        out->n_keys = r->n_keys;
        memcpy(out->keys, r->keys, sizeof(out->keys));
}

static void tell_refused(struct reload *r)
{
        struct agent *a = r->parts.agent;
        char first[EVENT_WORDS + 4]; /* a character more: what is cut is cut once, and in whole ones */
        struct event_words words;
        size_t n;

        report(r, true);
        n = log_lines(a->reload.faults);
        log_error("config", "not reloaded: %zu fault%s; nothing was changed", n, n == 1 ? "" : "s");
        snprintf(first, sizeof(first), "%.*s", (int)strcspn(a->reload.faults, "\n"), a->reload.faults);
        pipeline_event(&a->pipeline, "config", EVENT_FAULT, SPOOL_NO_TAG,
                       "\"state\":\"refused\",\"faults\":%zu,\"why\":\"%s\"", n,
                       event_words(&words, first, EVENT_WORDS));
}

static void put_words(char *out, size_t cap, const char *const *words, size_t n)
{
        size_t used = 0;

        out[0] = '\0';
        for (size_t i = 0; i < n && used < cap; i++)
                used += (size_t)snprintf(out + used, cap - used, "%s%s", i ? " " : "", words[i]);
}

static size_t count(const char *const *words)
{
        size_t n = 0;

        while (words[n])
                n++;
        return n;
}

static void tell_applied(struct reload *r)
{
        struct agent *a = r->parts.agent;
        const struct reload_plan *p = &r->plan;
        char sections[300], keys[200];

        report(r, false);
        put_words(sections, sizeof(sections), p->sections, count(p->sections));
        put_words(keys, sizeof(keys), r->keys, r->n_keys);
        log_notice("config", "reloaded: %s%s; drivers: %zu go on, %zu changed, %zu new, %zu gone",
                   *sections ? "changed: " : "nothing changed", sections, p->n_kept, p->n_changed, p->n_added,
                   p->n_removed);
        if (r->n_keys)
                log_warn("config", "restart for the new value of: %s", keys);
        config_log_notices(r->is);
        pipeline_event(&a->pipeline, "config", r->n_keys || a->reload.faults ? EVENT_NOTICE : EVENT_NORMAL,
                       SPOOL_NO_TAG,
                       "\"state\":\"reloaded\",\"changed\":\"%s\",\"restart_for\":\"%s\",\"drivers_changed\":%zu,"
                       "\"drivers_new\":%zu,\"drivers_gone\":%zu",
                       sections, keys, p->n_changed, p->n_added, p->n_removed);
}

/* ---- old configurations ---- */

static void forget_unused(struct reload *r)
{
        size_t n = 0;

        for (size_t i = 0; i < r->n_configs; i++) {
                if (agent_uses(r->parts.agent, r->configs[i]))
                        r->configs[n++] = r->configs[i];
                else
                        config_free(r->configs[i]);
        }
        r->n_configs = n;
}

static void adopt(struct reload *r, struct config *c)
{
        r->configs = mem_grow(r->configs, r->n_configs + 1, sizeof(struct config *));
        r->configs[r->n_configs++] = c;
}

/* ---- putting it to work ---- */

static void on_fault(void *ctx, const char *words)
{
        struct reload *r = ctx;

        faults_add(&r->faults, &r->is->at, "", "%s", words);
}

static void change_metrics(struct reload *r)
{
        if (!r->plan.metrics)
                return;
        metrics_http_close(*r->parts.metrics);
        *r->parts.metrics = r->metrics;
        r->metrics = NULL;
}

static void on_retired(void *ctx)
{
        struct reload *r = ctx;
        struct kafka_next *kafka = r->kafka;

        r->kafka = NULL;
        adopt(r, r->is);
        change_metrics(r);
        agent_reconfigure(r->parts.agent, r->is, &r->plan, kafka, on_fault, r);
        tell_applied(r);
        forget_unused(r);
        reload_plan_fini(&r->plan);
        r->is = NULL;
        next(r);
}

/*
 * Bound before the old one is let go; the address is another one, so both can
 * be.
 */
static void open_metrics(struct reload *r)
{
        const struct config *was = current(r);
        const char *listen = r->is->metrics.listen;
        struct err e;

        if (!listen || (was->metrics.listen && !strcmp(listen, was->metrics.listen)))
                return;
        r->metrics = metrics_http_open(r->parts.agent->rt, listen, r->parts.page, r->parts.ctx, &e);
        if (!r->metrics)
                faults_add(&r->faults, &r->is->metrics.at, "metrics.listen", "%s", e.text);
}

/* ---- reading ---- */

static void run_drop(struct rt_work *w)
{
        struct reload *r = list_entry(w, struct reload, work);

        kafka_next_free(r->kafka);
        config_free(r->is);
        r->kafka = NULL;
        r->is = NULL;
}

static void on_dropped(struct rt_work *w)
{
        next(list_entry(w, struct reload, work));
}

static void drop(struct reload *r)
{
        r->phase = DROPS;
        r->work.run = run_drop;
        r->work.on_done = on_dropped;
        rt_work_start(r->parts.agent->rt, &r->work);
}

static void on_read(struct rt_work *w)
{
        struct reload *r = list_entry(w, struct reload, work);

        if (r->stopped)
                return;
        if (r->is)
                open_metrics(r);
        if (r->faults.n) {
                tell_refused(r);
                drop(r);
                return;
        }
        r->phase = RETIRES;
        reload_plan(&r->plan, current(r), r->is);
        agent_retire(r->parts.agent, &r->plan, on_retired, r);
}

static void run_read(struct rt_work *w)
{
        struct reload *r = list_entry(w, struct reload, work);
        const struct config *was = current(r);
        struct err e;

        if (config_load(r->parts.path, &r->is, &r->faults) < 0)
                return;
        r->n_keys = reload_hold_back(r->is, was, r->keys);
        if (kafka_sink_prepare(r->parts.agent->sink, &r->is->kafka, r->is->gateway, &r->kafka, &e) < 0)
                faults_add(&r->faults, &r->is->kafka.at, "kafka", "%s", e.text);
        if (r->is->metrics.listen && metrics_http_load(&e) < 0)
                faults_add(&r->faults, &r->is->metrics.at, "metrics.listen", "%s", e.text);
}

static void begin(struct reload *r)
{
        r->phase = READS;
        r->again = false;
        faults_fini(&r->faults);
        rt_now(r->parts.agent->rt, &r->begun);
        notify_reloading(r->begun.mono_us);
        log_notice("config", "reading %s again", r->parts.path);
        r->work.run = run_read;
        r->work.on_done = on_read;
        rt_work_start(r->parts.agent->rt, &r->work);
}

static void next(struct reload *r)
{
        r->phase = IDLE;
        if (r->stopped)
                return;
        notify_reloaded();
        if (r->again)
                begin(r);
}

/* ---- life ---- */

struct reload *reload_new(const struct reload_parts *parts, struct config *first)
{
        struct reload *r = mem_alloc(sizeof(*r));

        r->parts = *parts;
        list_init(&r->work.node);
        adopt(r, first);
        return r;
}

void reload_request(struct reload *r)
{
        if (r->stopped)
                return;
        if (r->phase == IDLE)
                begin(r);
        else
                r->again = true;
}

void reload_stop(struct reload *r)
{
        r->stopped = true;
}

void reload_free(struct reload *r, bool quiet)
{
        if (!quiet && (r->phase == READS || r->phase == DROPS))
                return;
        if (r->phase == RETIRES)
                reload_plan_fini(&r->plan);
        metrics_http_close(r->metrics);
        kafka_next_free(r->kafka);
        config_free(r->is);
        while (r->n_configs)
                config_free(r->configs[--r->n_configs]);
        faults_fini(&r->faults);
        free(r->configs);
        free(r);
}
