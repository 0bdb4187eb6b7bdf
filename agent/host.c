/*
 * host: see host.h.
 *
 * One slot per driver holds what the driver itself should not care about: timers, backoff, why it is paused.  A driver is
 * paused while the spool blocks, while a reading of its had no room, and, on a disk that fails, while it waits for what it
 * brought to be durable; all must be over before it goes on.  Nothing here knows MQTT or a serial line.
 *
 * Drivers that change while others run end first, all of them, and then the new ones are made: two items may want the same
 * port.  One that follows another of its name sees it in `before`, and has from it what a restart would read from the spool.
 *
 * Fails: a driver that does not stop is not waited for for ever; the caller of host_stop has its own deadline.
 */
#include "agent/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/backoff.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

enum { BACKOFF_FIRST_US = 1000000, BACKOFF_MOST_US = 60000000, LOAD_SECONDS = 10 };

struct slot {
        struct driver d;
        struct host *host;
        struct rt_timer timer; /* the next poll, or the next try to connect */
        struct backoff backoff;
        int64_t next_poll_us, down_since_us, paused_since_us;
        bool started, stopped;
        bool late;                     /* made while others run */
        bool leaves;                   /* it is to stop while they go on */
        bool waits_for_room;           /* emit said so */
        bool waits_for_disk;           /* it takes nothing more before what it brought is durable */
        bool told_down;                /* an event "down" is out that wants its "up" */
        char room[TEXT_NAME_MAX + 16]; /* "mqtt plant", for the log */
};

struct host {
        struct rt *rt;
        struct pipeline *pipeline;
        struct spool *spool;
        struct tags *tags;
        const char *gateway;
        struct slot **slot;
        size_t n;
        double ack_stretch;
        bool running, spool_blocks, disk_fails, stopping;
        void (*on_stopped)(void *ctx);
        void *ctx;
        struct rt_timer retired; /* those that were to leave have: told from here, not from within a driver */
        void (*on_retired)(void *ctx);
        void *retired_ctx;
};

static struct slot *slot_of(struct driver *d)
{
        return d->host_priv;
}

/* ---- polling ---- */

static void poll_after(struct slot *s, int64_t now_us)
{
        int64_t period = s->d.period_us;

        s->next_poll_us += period;
        if (s->next_poll_us <= now_us) {
                int64_t missed = (now_us - s->next_poll_us) / period + 1;

                s->d.n_overruns += (uint64_t)missed;
                s->next_poll_us += missed * period;
        }
        rt_timer_set(s->host->rt, &s->timer, s->next_poll_us - now_us);
}

static void on_timer(struct rt_timer *t)
{
        struct slot *s = list_entry(t, struct slot, timer);

        if (!s->started) {
                s->started = true;
                s->d.state = DRIVER_CONNECTING;
                s->d.ops->start(&s->d);
                return;
        }
        if (!s->d.paused)
                s->d.ops->poll(&s->d);
        if (s->started)
                poll_after(s, rt_mono_us(s->host->rt));
}

/* ---- pausing ---- */

static void pause_update(struct slot *s)
{
        bool on = s->host->spool_blocks || s->waits_for_room || (s->host->disk_fails && s->waits_for_disk);
        int64_t now_us = rt_mono_us(s->host->rt);

        if (on == s->d.paused)
                return;
        s->d.paused = on;
        if (on)
                s->paused_since_us = now_us;
        else if (now_us - s->paused_since_us >= 1000000)
                pipeline_event(s->host->pipeline, "pause", 300, SPOOL_NO_TAG, "\"driver\":\"%s\",\"duration_ms\":%lld",
                               s->d.name, (long long)(now_us - s->paused_since_us) / 1000);
        s->d.ops->pause(&s->d, on);
}

void host_pause(struct host *h, bool on)
{
        h->spool_blocks = on;
        for (size_t i = 0; i < h->n; i++)
                pause_update(h->slot[i]);
}

void host_disk(struct host *h, bool fails)
{
        h->disk_fails = fails;
        for (size_t i = 0; i < h->n; i++)
                pause_update(h->slot[i]);
}

void host_stretch_acks(struct host *h, double times)
{
        h->ack_stretch = times;
        for (size_t i = 0; i < h->n; i++)
                h->slot[i]->d.ack_stretch = times;
}

void host_room(struct host *h)
{
        for (size_t i = 0; i < h->n; i++) {
                h->slot[i]->waits_for_room = false;
                pause_update(h->slot[i]);
        }
}

/* ---- the drivers' upcalls ---- */

static int up_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        struct slot *s = slot_of(d);

        uint64_t thinned = pipeline_thinned(s->host->pipeline);

        if (pipeline_take(s->host->pipeline, r, n, may_wait) == PIPELINE_E_WAIT) {
                s->waits_for_room = true;
                pause_update(s);
                return DRIVER_E_WAIT;
        }
        d->n_readings += n;
        d->n_thinned += pipeline_thinned(s->host->pipeline) - thinned;
        return 0;
}

static void on_sync_durable(struct spool_sync *q)
{
        struct driver_sync *ds = list_entry(q, struct driver_sync, impl);

        ds->waiting = slot_of(ds->d)->waits_for_disk = false;
        ds->on_durable(ds->d);
}

static void up_sync(struct driver *d, struct driver_sync *ds)
{
        struct spool_sync *q = (struct spool_sync *)(void *)ds->impl;

        _Static_assert(sizeof(struct spool_sync) <= sizeof(ds->impl), "driver_sync has room for spool_sync");
        BUG_ON(ds->waiting);
        memset(ds->impl, 0, sizeof(ds->impl));
        list_init(&q->node);
        q->on_durable = on_sync_durable;
        ds->d = d;
        ds->waiting = true;
        slot_of(d)->waits_for_disk = true;
        pause_update(slot_of(d));
        spool_sync(slot_of(d)->host->spool, q);
}

static void up_quarantine(struct driver *d, const char *origin, const char *reason, const void *payload, size_t len)
{
        d->n_malformed++;
        text_format(d->last_error, sizeof(d->last_error), "%s: %s", origin, reason);
        spool_quarantine(slot_of(d)->host->spool, d->name, origin, reason, payload, len);
}

static void up_link_up(struct driver *d)
{
        struct slot *s = slot_of(d);
        struct host *h = s->host;
        int64_t now_us = rt_mono_us(h->rt);

        s->backoff.n = 0;
        d->state = DRIVER_UP;
        log_info(s->room, "connected");
        if (s->told_down) {
                pipeline_event(h->pipeline, "link", 100, SPOOL_NO_TAG,
                               "\"driver\":\"%s\",\"state\":\"up\",\"down_for_ms\":%lld", d->name,
                               (long long)(now_us - s->down_since_us) / 1000);
                pipeline_link(h->pipeline, d->name, false);
        }
        s->told_down = false;
        if (d->ops->poll && d->period_us > 0 && !rt_timer_armed(&s->timer)) {
                /* staggered: the first poll falls anywhere in the period */
                int64_t first_us = (int64_t)((double)d->period_us * rt_random(h->rt));

                s->next_poll_us = now_us + first_us;
                rt_timer_set(h->rt, &s->timer, first_us);
        }
}

static void up_link_down(struct driver *d, const char *why)
{
        struct slot *s = slot_of(d);
        struct host *h = s->host;
        int64_t pause_us = backoff_next_us(&s->backoff, rt_random(h->rt));
        char words[3 * sizeof(d->last_error)];

        d->state = DRIVER_DOWN;
        d->n_errors++;
        text_copy(d->last_error, sizeof(d->last_error), why);
        s->started = false;
        if (!s->told_down) {
                s->told_down = true;
                s->down_since_us = rt_mono_us(h->rt);
                words[text_put_json(words, d->last_error, strnlen(d->last_error, sizeof(words) / 6 - 1))] = '\0';
                pipeline_event(h->pipeline, "link", 500, SPOOL_NO_TAG,
                               "\"driver\":\"%s\",\"state\":\"down\",\"why\":\"%s\"", d->name, words);
                pipeline_link(h->pipeline, d->name, true);
                log_warn(s->room, "%s; trying again in %.1f s, then with growing pauses", why, (double)pause_us / 1e6);
        }
        if (!h->stopping && !s->leaves)
                rt_timer_set(h->rt, &s->timer, pause_us);
}

static bool have_stopped(const struct host *h, bool only_leaving)
{
        size_t i = 0;

        while (i < h->n && (h->slot[i]->stopped || (only_leaving && !h->slot[i]->leaves)))
                i++;
        return i == h->n;
}

/* Tells, once, those who wait for drivers to stop. */
static void look_for_end(struct host *h)
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

static void up_stopped(struct driver *d)
{
        struct slot *s = slot_of(d);
        struct host *h = s->host;

        rt_timer_cancel(h->rt, &s->timer);
        s->stopped = true;
        d->state = DRIVER_STOPPED;
        look_for_end(h);
}

static void up_device_event(struct driver *d, const char *source, const char *state, const char *why)
{
        struct slot *s = slot_of(d);
        bool down = !strcmp(state, "down");
        char words[3 * sizeof(d->last_error)];

        words[text_put_json(words, why, strnlen(why, sizeof(words) / 6 - 1))] = '\0';
        pipeline_event(s->host->pipeline, "device", down ? 500 : 100, SPOOL_NO_TAG,
                       "\"driver\":\"%s\",\"source\":\"%s\",\"state\":\"%s\",\"why\":\"%s\"", d->name, source, state,
                       words);
        pipeline_device(s->host->pipeline, source, down);
        if (down)
                log_warn(s->room, "%s is down: %s", source, why);
        else
                log_info(s->room, "%s is %s: %s", source, state, why);
}

struct recent_filter {
        struct driver *d;
        void (*each)(void *ctx, const struct reading *r);
        void *ctx;
};

static void on_recent(void *ctx, const struct reading *r)
{
        struct recent_filter *f = ctx;

        /* a row of a damaged file may name any tag */
        if (r->tag < tags_count(f->d->tags) && !strcmp(tags_get(f->d->tags, r->tag)->driver, f->d->name))
                f->each(f->ctx, r);
}

static void up_recent(struct driver *d, void (*each)(void *ctx, const struct reading *r), void *ctx)
{
        struct recent_filter f = {.d = d, .each = each, .ctx = ctx};

        /* A driver that comes later has this from the one before it; the file is not read on the loop thread. */
        if (!slot_of(d)->late)
                spool_recent(slot_of(d)->host->spool, UINT16_MAX, on_recent, &f);
}

static const struct driver_host upcalls = {.emit = up_emit,
                                           .sync = up_sync,
                                           .quarantine = up_quarantine,
                                           .link_up = up_link_up,
                                           .link_down = up_link_down,
                                           .stopped = up_stopped,
                                           .device_event = up_device_event,
                                           .recent = up_recent};

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
        h->ack_stretch = 1;
        h->retired.on_due = on_retired;
        return h;
}

static struct slot *make(struct host *h, const struct driver_ops *ops, const char *name, const void *conf,
                         const struct driver *before, struct err *e)
{
        struct slot *s = mem_alloc(sizeof(*s));

        s->host = h;
        s->late = h->running;
        s->timer.on_due = on_timer;
        s->backoff = (struct backoff){.first_us = BACKOFF_FIRST_US, .most_us = BACKOFF_MOST_US};
        s->d = (struct driver){.ops = ops,
                               .name = name,
                               .gateway = h->gateway,
                               .conf = conf,
                               .rt = h->rt,
                               .tags = h->tags,
                               .host = &upcalls,
                               .host_priv = s,
                               .before = before,
                               .ack_stretch = h->ack_stretch};
        snprintf(s->room, sizeof(s->room), "%s %s", ops->kind, name);
        if (ops->init(&s->d, e) < 0) {
                free(s);
                return NULL;
        }
        s->d.before = NULL;
        return s;
}

static void dispose(struct slot *s)
{
        rt_timer_cancel(s->host->rt, &s->timer);
        s->d.ops->fini(&s->d);
        free(s);
}

static void start(struct slot *s)
{
        pause_update(s);
        rt_timer_set(s->host->rt, &s->timer, 0);
}

int host_add(struct host *h, const struct driver_ops *ops, const char *name, const void *conf, struct err *e)
{
        struct slot *s = make(h, ops, name, conf, NULL, e);

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

static void end(struct slot *s)
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
        look_for_end(h);
}

void host_remove(struct host *h, const char *name)
{
        size_t i = find(h, name);
        struct slot *s;

        if (i == h->n)
                return;
        s = h->slot[i];
        if (s->told_down)
                pipeline_event(h->pipeline, "link", 100, SPOOL_NO_TAG, "\"driver\":\"%s\",\"state\":\"removed\"",
                               s->d.name);
        dispose(s);
        memmove(&h->slot[i], &h->slot[i + 1], (--h->n - i) * sizeof(*h->slot));
}

int host_replace(struct host *h, const struct driver_ops *ops, const char *name, const void *conf, struct err *e)
{
        size_t i = find(h, name);
        struct slot *s;

        if (i == h->n)
                return host_add(h, ops, name, conf, e);
        s = make(h, ops, name, conf, &h->slot[i]->d, e);
        if (!s) {
                host_remove(h, name);
                return -1;
        }
        s->told_down = h->slot[i]->told_down;
        s->down_since_us = h->slot[i]->down_since_us;
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
        look_for_end(h);
}

void host_free(struct host *h)
{
        rt_timer_cancel(h->rt, &h->retired);
        for (size_t i = 0; i < h->n; i++)
                dispose(h->slot[i]);
        free(h->slot);
        free(h);
}

/* A mean that forgets over about ten seconds: what is asked of a slow bus comes seldom and all at once. */
void host_each_second(struct host *h)
{
        for (size_t i = 0; i < h->n; i++) {
                struct driver *d = &h->slot[i]->d;
                double share = (double)(d->busy_us - d->busy_seen_us) / 1e6;

                d->load += (share - d->load) / LOAD_SECONDS;
                d->busy_seen_us = d->busy_us;
        }
}

const struct driver *host_driver(const struct host *h, size_t i)
{
        return i < h->n ? &h->slot[i]->d : NULL;
}

const char *host_state_name(const struct driver *d)
{
        static const char *const names[] = {
                [DRIVER_IDLE] = "idle", [DRIVER_CONNECTING] = "connecting", [DRIVER_UP] = "up",
                [DRIVER_DOWN] = "down", [DRIVER_PAUSED] = "paused",         [DRIVER_STOPPED] = "stopped"};

        return names[d->paused && d->state == DRIVER_UP ? DRIVER_PAUSED : d->state];
}
