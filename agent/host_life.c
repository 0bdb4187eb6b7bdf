/*
 * host_life: how drivers come and go: at start, at the end, and while others
 * run.
 *
 * Drivers that change while others run end first, all of them, and then the new
 * ones are made: two items may want the same port.  One that follows another of
 * its name sees it in `before`, and has from it what a restart would read from
 * the spool.
 *
 * Fails: a driver that does not stop is not waited for for ever; the caller of
 * host_stop has its own deadline.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host_impl.h"

enum { BACKOFF_FIRST_US = 1000000, BACKOFF_MAX_US = 60000000 };

/* ---- ends ---- */

static bool have_stopped(const struct host *h, bool only_leaving)
{
        size_t i = 0;

        while (i < h->n && (h->slot[i]->stopped || (only_leaving && !h->slot[i]->leaves)))
                i++;
        return i == h->n;
}

/* Tells, once, those who wait for drivers to stop. */
void host_check_stopped(struct host *h)
{
        void (*on_stopped)(void *ctx) = h->on_stopped;

        if (h->on_retired && have_stopped(h, true))
                rt_timer_set(h->rt, &h->retired, 0);
        if (!on_stopped || !have_stopped(h, false))
                return;
        h->on_stopped = NULL;
        on_stopped(h->ctx);
}

static void on_retired(struct rt_timer *t)
{
        struct host *h = list_entry(t, struct host, retired);
        void (*told)(void *ctx) = h->on_retired;

        h->on_retired = NULL;
        told(h->retired_ctx);
}

/* ---- life ---- */

struct host *host_new(struct rt *rt, struct pipeline *pipeline, struct spool *spool, struct tags *tags,
                      const char *gateway)
{
        struct host *h = mem_alloc(sizeof(*h));

        h->rt = rt;
        h->pipeline = pipeline;
        h->spool = spool;
        h->tags = tags;
        h->gateway = gateway;
        h->ack_slowdown = 1;
        h->retired.on_due = on_retired;
        return h;
}

struct claims {
        struct driver_names names;
        const struct driver *d;
};

static void on_name(struct driver_names *to, const char *source, const char *tag, const void *field)
{
        const struct driver *d = ((struct claims *)to)->d;

        tags_claim(d->tags, d->ops->kind, d->name, source, tag);
}

/*
 * Before anything comes from the wire: sources of the configuration are its
 * own.
 */
static void claim(const struct driver *d)
{
        struct claims c = {{on_name}, d};

        if (d->ops->names)
                d->ops->names(d->conf, &c.names);
}

static struct host_slot *make(struct host *h, const struct driver_ops *ops, const char *name, const void *conf,
                              const struct driver *before, struct err *e)
{
        struct host_slot *s = mem_alloc(sizeof(*s));
        const struct tags_item *it;

        s->host = h;
        s->late = h->running;
        s->timer.on_due = host_on_timer;
        s->backoff = (struct backoff){.first_us = BACKOFF_FIRST_US, .most_us = BACKOFF_MAX_US};
        s->d = (struct driver){.ops = ops,
                               .name = name,
                               .gateway = h->gateway,
                               .conf = conf,
                               .rt = h->rt,
                               .tags = h->tags,
                               .host = &host_upcalls,
                               .host_priv = s,
                               .before = before,
                               .ack_slowdown = h->ack_slowdown};
        snprintf(s->scope, sizeof(s->scope), "%s %s", ops->kind, name);
        claim(&s->d);
        if (ops->init(&s->d, e) < 0) {
                tags_release(h->tags, name);
                free(s);
                return NULL;
        }
        s->d.before = NULL;
        host_devices_init(s);
        it = tags_item_of(h->tags, name);
        s->owned.seen = it ? it->n_owned : 0; /* what the one before was refused is its own affair */
        return s;
}

static void dispose(struct host_slot *s)
{
        rt_timer_cancel(s->host->rt, &s->timer);
        s->d.ops->fini(&s->d);
        host_devices_fini(s);
        free(s);
}

static void start(struct host_slot *s)
{
        host_pause_update(s);
        rt_timer_set(s->host->rt, &s->timer, 0);
}

int host_add(struct host *h, const struct driver_ops *ops, const char *name, const void *conf, struct err *e)
{
        struct host_slot *s = make(h, ops, name, conf, NULL, e);

        if (!s)
                return -1;
        h->slot = mem_grow(h->slot, h->n + 1, sizeof(*h->slot));
        h->slot[h->n++] = s;
        if (h->running)
                start(s);
        return 0;
}

void host_start(struct host *h)
{
        h->running = true;
        for (size_t i = 0; i < h->n; i++)
                start(h->slot[i]);
}

/* ---- while it runs ---- */

static size_t find(const struct host *h, const char *name)
{
        size_t i = 0;

        while (i < h->n && strcmp(h->slot[i]->d.name, name) != 0)
                i++;
        return i;
}

bool host_has(const struct host *h, const char *name)
{
        return find(h, name) < h->n;
}

static void end(struct host_slot *s)
{
        rt_timer_cancel(s->host->rt, &s->timer);
        s->d.ops->stop(&s->d);
}

void host_retire(struct host *h, const char *const *names, size_t n, void (*told)(void *ctx), void *ctx)
{
        BUG_ON(h->on_retired);
        for (size_t i = 0; i < n; i++) {
                size_t at = find(h, names[i]);

                if (at < h->n)
                        h->slot[at]->leaves = true;
        }
        h->on_retired = told;
        h->retired_ctx = ctx;
        for (size_t i = 0; i < h->n; i++)
                if (h->slot[i]->leaves && !h->slot[i]->stopped)
                        end(h->slot[i]);
        host_check_stopped(h);
}

void host_remove(struct host *h, const char *name)
{
        size_t i = find(h, name);
        struct host_slot *s;

        if (i == h->n)
                return;
        s = h->slot[i];
        if (s->told_down) {
                pipeline_event(h->pipeline, "link", EVENT_NORMAL, SPOOL_NO_TAG,
                               "\"driver\":\"%s\",\"state\":\"removed\"", s->d.name);
                pipeline_link(h->pipeline, s->d.name, false);
        }
        host_devices_leave(s);
        tags_release(h->tags, name);
        dispose(s);
        memmove(&h->slot[i], &h->slot[i + 1], (--h->n - i) * sizeof(*h->slot));
}

int host_replace(struct host *h, const struct driver_ops *ops, const char *name, const void *conf, struct err *e)
{
        size_t i = find(h, name);
        struct host_slot *s;

        if (i == h->n)
                return host_add(h, ops, name, conf, e);
        tags_release(h->tags, name);
        s = make(h, ops, name, conf, &h->slot[i]->d, e);
        if (!s) {
                host_remove(h, name);
                return -1;
        }
        s->told_down = h->slot[i]->told_down;
        s->down_since_us = h->slot[i]->down_since_us;
        host_devices_leave(h->slot[i]);
        dispose(h->slot[i]);
        h->slot[i] = s;
        start(s);
        return 0;
}

void host_stop(struct host *h, void (*on_stopped)(void *ctx), void *ctx)
{
        h->stopping = true;
        h->on_stopped = on_stopped;
        h->ctx = ctx;
        rt_timer_cancel(h->rt, &h->retired);
        h->on_retired = NULL;
        for (size_t i = 0; i < h->n; i++)
                if (!h->slot[i]->leaves)
                        end(h->slot[i]);
        host_check_stopped(h);
}

void host_free(struct host *h)
{
        rt_timer_cancel(h->rt, &h->retired);
        for (size_t i = 0; i < h->n; i++)
                dispose(h->slot[i]);
        free(h->slot);
        free(h);
}
