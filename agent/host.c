/*
 * host: see host.h.  Drivers come and go in host_life.c.
 *
 * One slot per driver holds what the driver itself should not care about:
 * timers, backoff, why it is paused.  A driver is paused while the spool
 * blocks, while a reading of its had no room, and, on a disk that fails, while
 * it waits for what it brought to be durable; all must be over before it goes
 * on.  Nothing here knows MQTT or a serial line.
 *
 * Cannot fail: what a driver says is an event, a counter, or a line in the log.
 */
#include <string.h>

#include "agent/base/log.h"
#include "agent/host_impl.h"

enum { LOAD_SECONDS = 10 };

static struct host_slot *slot_of(struct driver *d)
{
        return d->host_priv;
}

void host_set_state(struct host_slot *s, enum driver_state state)
{
        if (state != s->d.state || !s->state_since_us)
                s->state_since_us = rt_mono_us(s->host->rt);
        s->d.state = state;
}

/* ---- polling ---- */

static void poll_after(struct host_slot *s, int64_t now_us)
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

void host_on_timer(struct rt_timer *t)
{
        struct host_slot *s = list_entry(t, struct host_slot, timer);

        if (!s->started) {
                s->started = true;
                host_set_state(s, DRIVER_CONNECTING);
                s->d.ops->start(&s->d);
                return;
        }
        if (!s->d.paused)
                s->d.ops->poll(&s->d);
        if (s->started)
                poll_after(s, rt_mono_us(s->host->rt));
}

/* ---- pausing ---- */

void host_pause_update(struct host_slot *s)
{
        bool on = s->host->spool_blocks || s->waits_for_room || (s->host->disk_fails && s->waits_for_disk);
        int64_t now_us = rt_mono_us(s->host->rt);

        if (on == s->d.paused)
                return;
        s->d.paused = on;
        if (on)
                s->paused_since_us = now_us;
        else if (now_us - s->paused_since_us >= 1000000)
                pipeline_event(s->host->pipeline, "pause", EVENT_NOTICE, SPOOL_NO_TAG,
                               "\"driver\":\"%s\",\"duration_ms\":%lld", s->d.name,
                               (long long)(now_us - s->paused_since_us) / 1000);
        s->d.ops->pause(&s->d, on);
}

void host_pause(struct host *h, bool on)
{
        h->spool_blocks = on;
        for (size_t i = 0; i < h->n; i++)
                host_pause_update(h->slot[i]);
}

void host_disk(struct host *h, bool fails)
{
        h->disk_fails = fails;
        for (size_t i = 0; i < h->n; i++)
                host_pause_update(h->slot[i]);
}

void host_slow_acks(struct host *h, double times)
{
        h->ack_slowdown = times;
        for (size_t i = 0; i < h->n; i++)
                h->slot[i]->d.ack_slowdown = times;
}

void host_room(struct host *h)
{
        for (size_t i = 0; i < h->n; i++) {
                h->slot[i]->waits_for_room = false;
                host_pause_update(h->slot[i]);
        }
}

void host_commits(struct host *h)
{
        for (size_t i = 0; i < h->n; i++)
                if (h->slot[i]->d.ops->commits && h->slot[i]->d.state == DRIVER_UP)
                        h->slot[i]->d.ops->commits(&h->slot[i]->d);
}

/* ---- the drivers' upcalls ---- */

static int up_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        struct host_slot *s = slot_of(d);

        uint64_t thinned = pipeline_thinned(s->host->pipeline);

        if (pipeline_take(s->host->pipeline, r, n, may_wait) == PIPELINE_E_WAIT) {
                s->waits_for_room = true;
                host_pause_update(s);
                return DRIVER_E_WAIT;
        }
        if (*d->last_error)
                host_errors_emitted(s, r, n);
        d->n_readings += n;
        d->n_thinned += pipeline_thinned(s->host->pipeline) - thinned;
        return 0;
}

static void on_sync_durable(struct spool_sync *q)
{
        struct host_slot *s = list_entry(q, struct host_slot, spool_sync);
        struct driver_sync *ds = s->sync;

        BUG_ON(!ds || ds->d != &s->d);
        s->sync = NULL;
        ds->waiting = s->waits_for_disk = false;
        ds->on_durable(ds->d);
}

static void up_sync(struct driver *d, struct driver_sync *ds)
{
        struct host_slot *s = slot_of(d);

        BUG_ON(s->sync || ds->waiting);
        s->spool_sync = (struct spool_sync){.on_durable = on_sync_durable};
        list_init(&s->spool_sync.node);
        s->sync = ds;
        ds->d = d;
        ds->waiting = true;
        s->waits_for_disk = true;
        host_pause_update(s);
        spool_sync(s->host->spool, &s->spool_sync);
}

static void up_quarantine(struct driver *d, const char *origin, const char *reason, const void *payload, size_t len)
{
        driver_malformed(d, origin, reason);
        spool_quarantine(slot_of(d)->host->spool, d->name, origin, reason, payload, len);
}

static void up_link_up(struct driver *d)
{
        struct host_slot *s = slot_of(d);
        struct host *h = s->host;
        int64_t now_us = rt_mono_us(h->rt);

        s->backoff.n = 0;
        host_set_state(s, DRIVER_UP);
        host_errors_over(s);
        log_info(s->scope, "connected");
        if (s->told_down) {
                pipeline_event(h->pipeline, "link", EVENT_NORMAL, SPOOL_NO_TAG,
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
        struct host_slot *s = slot_of(d);
        struct host *h = s->host;
        int64_t pause_us = backoff_next_us(&s->backoff, rt_random(h->rt));
        struct event_words words;

        host_set_state(s, DRIVER_DOWN);
        d->n_errors++;
        text_copy(d->last_error, sizeof(d->last_error), why);
        s->started = false;
        if (!s->told_down) {
                s->told_down = true;
                s->down_since_us = rt_mono_us(h->rt);
                pipeline_event(h->pipeline, "link", EVENT_FAULT, SPOOL_NO_TAG,
                               "\"driver\":\"%s\",\"state\":\"down\",\"why\":\"%s\"", d->name,
                               event_words(&words, d->last_error, EVENT_WORDS));
                pipeline_link(h->pipeline, d->name, true);
                log_warn(s->scope, "%s; trying again in %.1f s, then with growing pauses", why, (double)pause_us / 1e6);
        }
        if (!h->stopping && !s->leaves)
                rt_timer_set(h->rt, &s->timer, pause_us);
}

static void up_stopped(struct driver *d)
{
        struct host_slot *s = slot_of(d);
        struct host *h = s->host;

        rt_timer_cancel(h->rt, &s->timer);
        s->stopped = true;
        host_set_state(s, DRIVER_STOPPED);
        host_check_stopped(h);
}

static void up_device_event(struct driver *d, const char *source, const char *state, const char *why)
{
        struct host_slot *s = slot_of(d);
        bool down = !strcmp(state, "down");
        struct event_words words;

        if (strcmp(state, "forgotten") != 0)
                host_devices_told(s, source, down, why);
        else if (!host_devices_forget(s, source))
                return;
        pipeline_event(s->host->pipeline, "device", down ? EVENT_FAULT : EVENT_NORMAL, SPOOL_NO_TAG,
                       "\"driver\":\"%s\",\"source\":\"%s\",\"state\":\"%s\",\"why\":\"%s\"", d->name, source, state,
                       event_words(&words, why, EVENT_WORDS));
        pipeline_device(s->host->pipeline, source, down);
        if (down)
                log_warn(s->scope, "%s is down: %s", source, why);
        else
                log_info(s->scope, "%s is %s: %s", source, state, why);
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

const struct driver_host host_upcalls = {.emit = up_emit,
                                         .sync = up_sync,
                                         .quarantine = up_quarantine,
                                         .link_up = up_link_up,
                                         .link_down = up_link_down,
                                         .stopped = up_stopped,
                                         .device_event = up_device_event,
                                         .recent = up_recent};

/* ---- for status ---- */

static void see(struct host_rise *r, uint64_t n, int64_t now_us)
{
        if (n > r->seen)
                r->at_us = now_us;
        r->seen = n;
}

/*
 * A mean that forgets over about ten seconds: what is asked of a slow bus comes
 * seldom and all at once.
 */
void host_each_second(struct host *h)
{
        int64_t now_us = rt_mono_us(h->rt);

        for (size_t i = 0; i < h->n; i++) {
                struct driver *d = &h->slot[i]->d;
                double share = (double)(d->busy_us - d->busy_seen_us) / 1e6;
                const struct tags_item *it = tags_item_of(h->tags, d->name);

                see(&h->slot[i]->late_polls, d->n_overruns, now_us);
                see(&h->slot[i]->owned, it ? it->n_owned : 0, now_us);
                see(&h->slot[i]->mapped, d->n_mapped, now_us);

                d->load += (share - d->load) / LOAD_SECONDS;
                d->busy_seen_us = d->busy_us;
        }
        host_look_at_errors(h);
}

void host_tags_forgotten(struct host *h)
{
        for (size_t i = 0; i < h->n; i++)
                if (h->slot[i]->d.ops->forgotten)
                        h->slot[i]->d.ops->forgotten(&h->slot[i]->d);
}

void host_look_at_errors(struct host *h)
{
        struct rt_time now;

        rt_now(h->rt, &now);
        for (size_t i = 0; i < h->n; i++)
                host_errors_look(h->slot[i], &now);
}

const struct driver *host_driver(const struct host *h, size_t i)
{
        return i < h->n ? &h->slot[i]->d : NULL;
}

bool host_source(const struct host *h, size_t i, struct host_source *out)
{
        const struct host_slot *s;

        if (i >= h->n)
                return false;
        s = h->slot[i];
        *out = (struct host_source){.d = &s->d,
                                    .tags = tags_item_of(h->tags, s->d.name),
                                    .state_since_us = s->state_since_us,
                                    .down_since_us = s->told_down ? s->down_since_us : 0,
                                    .paused_since_us = s->d.paused ? s->paused_since_us : 0,
                                    .was_down = s->told_down,
                                    .error_since_us = s->error.since_us,
                                    .error_is_malformed = s->error.malformed,
                                    .n_malformed = s->d.n_malformed - s->error.n_malformed_before,
                                    .devices = s->devices.v,
                                    .n_devices = s->devices.n,
                                    .n_down = s->devices.n_down,
                                    .late = s->late_polls,
                                    .owned = s->owned,
                                    .mapped = s->mapped};
        return true;
}

const char *host_state_name(const struct driver *d)
{
        static const char *const names[] = {
                [DRIVER_IDLE] = "idle", [DRIVER_CONNECTING] = "connecting", [DRIVER_UP] = "up",
                [DRIVER_DOWN] = "down", [DRIVER_PAUSED] = "paused",         [DRIVER_STOPPED] = "stopped"};

        return names[d->paused && d->state == DRIVER_UP ? DRIVER_PAUSED : d->state];
}
