/*
 * trial: see trial.h.
 *
 * Why not agent/host.c: that one hands readings to the pipeline, and a pipeline
 * has a spool, which belongs to the daemon.  Here a reading ends in a row of a
 * table.  The drivers can't tell the difference: the upcalls are the same, a
 * driver that waits for the disk is told at once that all is on it.
 *
 * What is polled is asked as soon as it is connected, and then in its period.
 * A link that breaks is tried again each second.
 *
 * Fails: never; what can't be had is a sentence at its item.
 */
#include "agent/cli/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/cli/reading_view.h"
#include "agent/rt_uv.h"
#include "drivers/mqtt/mqtt.h"

enum { TICK_US = 100000, AGAIN_US = 1000000, END_US = 2000000 };

struct slot {
        struct driver d;
        struct trial *trial;
        struct trial_item *item;
        struct rt_timer timer, durable;
        struct driver_sync *sync; /* NULL: none is waited for */
        bool made, started, stopped, was_up, was_down;
        struct mqtt_conf mqtt; /* of an MQTT item: as configured, but as a guest */
        struct mqtt_sub_conf *subs;
        char client_id[128];
};

struct seen {
        struct slot *slot; /* NULL: no reading yet */
        uint64_t n, n_bad;
        int64_t ts_us;
        uint16_t type, quality;
        char value[TRIAL_VALUE_MAX];
};

struct trial {
        const struct config *c;
        struct rt *rt;
        struct tags *tags;
        struct slot **slots;
        struct trial_item *items;
        size_t n;
        struct seen *seen; /* by tag */
        size_t n_seen;
        struct rt_timer tick;
        int64_t until_us, end_us; /* monotonic */
        bool once, ending;
        bool (*stop)(void);
};

static struct slot *slot_of(struct driver *d)
{
        return d->host_priv;
}

/* ---- what the drivers tell ---- */

static void note(struct slot *s, const struct reading *r)
{
        struct trial *t = s->trial;
        struct seen *seen;

        if (r->tag >= t->n_seen) {
                size_t n = tags_count(t->tags);

                t->seen = mem_grow(t->seen, n, sizeof(*t->seen));
                memset(t->seen + t->n_seen, 0, (n - t->n_seen) * sizeof(*t->seen));
                t->n_seen = n;
        }
        seen = &t->seen[tags_get(t->tags, r->tag)->first];
        seen->slot = s;
        seen->n++;
        seen->n_bad += quality_is_bad(r->quality);
        seen->ts_us = r->ts_us;
        seen->type = r->type;
        seen->quality = r->quality;
        view_put_value(seen->value, sizeof(seen->value), r);
}

static int on_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        struct slot *s = slot_of(d);

        for (size_t i = 0; i < n; i++)
                if (r[i].tag < tags_count(s->trial->tags))
                        note(s, &r[i]);
        d->n_readings += n;
        return 0;
}

static void on_durable_due(struct rt_timer *timer)
{
        struct slot *s = list_entry(timer, struct slot, durable);
        struct driver_sync *sync = s->sync;

        s->sync = NULL;
        sync->waiting = false;
        sync->on_durable(&s->d);
}

static void on_sync(struct driver *d, struct driver_sync *sync)
{
        struct slot *s = slot_of(d);

        s->sync = sync;
        sync->d = d;
        sync->waiting = true;
        rt_timer_set(d->rt, &s->durable, 0);
}

static void on_quarantine(struct driver *d, const char *origin, const char *reason, const void *payload, size_t len)
{
        d->n_malformed++;
        text_format(d->last_error, sizeof(d->last_error), "%s: %s", origin, reason);
}

static void on_link_up(struct driver *d)
{
        struct slot *s = slot_of(d);

        d->state = DRIVER_UP;
        s->was_up = true;
        s->was_down = false;
        d->last_error[0] = '\0';
        if (d->ops->poll && d->period_us > 0)
                rt_timer_set(d->rt, &s->timer, 0);
}

static void on_link_down(struct driver *d, const char *why)
{
        struct slot *s = slot_of(d);

        d->state = DRIVER_DOWN;
        d->n_errors++;
        text_copy(d->last_error, sizeof(d->last_error), why);
        s->started = false;
        s->was_down = true;
        if (!s->trial->ending)
                rt_timer_set(d->rt, &s->timer, AGAIN_US);
}

static void on_stopped(struct driver *d)
{
        struct slot *s = slot_of(d);

        rt_timer_cancel(d->rt, &s->timer);
        s->stopped = true;
}

static void on_device(struct driver *d, const char *source, const char *state, const char *why)
{
        if (strcmp(state, "down") == 0)
                text_format(d->last_error, sizeof(d->last_error), "%s: %s", source, why);
}

static void on_recent(struct driver *d, void (*each)(void *ctx, const struct reading *r), void *ctx)
{
}

static const struct driver_host upcalls = {.emit = on_emit,
                                           .sync = on_sync,
                                           .quarantine = on_quarantine,
                                           .link_up = on_link_up,
                                           .link_down = on_link_down,
                                           .stopped = on_stopped,
                                           .device_event = on_device,
                                           .recent = on_recent};

/* ---- life of a slot ---- */

static void on_timer(struct rt_timer *timer)
{
        struct slot *s = list_entry(timer, struct slot, timer);

        if (!s->started) {
                s->started = true;
                s->d.state = DRIVER_CONNECTING;
                s->d.ops->start(&s->d);
                return;
        }
        s->d.ops->poll(&s->d);
        if (s->started)
                rt_timer_set(s->d.rt, &s->timer, s->d.period_us);
}

/* As a guest: nothing of what waits for the daemon at the broker is taken. */
static const void *as_guest(struct slot *s, const struct mqtt_conf *conf)
{
        size_t n = conf->subscriptions.n;

        s->mqtt = *conf;
        s->subs = mem_alloc(n * sizeof(*s->subs) + 1);
        for (size_t i = 0; i < n; i++) {
                const char *topic, *rest;

                s->subs[i] = ((const struct mqtt_sub_conf *)conf->subscriptions.items)[i];
                topic = s->subs[i].topic;
                rest = strncmp(topic, "$share/", 7) == 0 ? strchr(topic + 7, '/') : NULL;
                s->subs[i].topic = rest ? rest + 1 : topic;
        }
        snprintf(s->client_id, sizeof(s->client_id), "millrace-try-%ld-%.64s", (long)getpid(), conf->name);
        s->mqtt.client_id = s->client_id;
        s->mqtt.qos = 0;
        s->mqtt.session_expiry_us = 0;
        s->mqtt.subscriptions.items = s->subs;
        return &s->mqtt;
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

static void add(struct trial *t, const struct config_driver *from, struct trial_item *item)
{
        struct slot *s = mem_alloc(sizeof(*s));
        struct claims claims = {{.each = on_name}, &s->d};
        struct err e;

        *item = (struct trial_item){.kind = from->ops->kind, .name = from->name};
        *s = (struct slot){.trial = t,
                           .item = item,
                           .timer.on_due = on_timer,
                           .durable.on_due = on_durable_due,
                           .d = {.ops = from->ops,
                                 .name = from->name,
                                 .gateway = t->c->gateway,
                                 .conf = from->conf,
                                 .rt = t->rt,
                                 .tags = t->tags,
                                 .host = &upcalls,
                                 .host_priv = s,
                                 .ack_slowdown = 1}};
        if (from->ops == &mqtt_ops)
                s->d.conf = as_guest(s, from->conf);
        from->ops->names(s->d.conf, &claims.names);
        s->made = from->ops->init(&s->d, &e) == 0;
        s->stopped = !s->made;
        if (!s->made)
                text_copy(item->why, sizeof(item->why), e.text);
        t->slots[t->n++] = s;
}

struct trial *trial_new(const struct config *c, bool (*wants)(void *ctx, const struct config_driver *d), void *ctx)
{
        struct trial *t = mem_alloc(sizeof(*t));

        *t = (struct trial){.c = c, .rt = rt_uv_new(), .tags = tags_new((size_t)c->max_tags)};
        t->slots = mem_alloc(c->n_drivers * sizeof(*t->slots) + 1);
        t->items = mem_alloc(c->n_drivers * sizeof(*t->items) + 1);
        for (size_t i = 0; i < c->n_drivers; i++)
                if (wants(ctx, &c->drivers[i]))
                        add(t, &c->drivers[i], &t->items[t->n]);
        return t;
}

/* ---- the end ---- */

/* Tags of the item that its configuration names. */
static size_t count_named(const struct slot *s, size_t *heard)
{
        const struct trial *t = s->trial;
        size_t n = 0;

        *heard = 0;
        for (size_t i = 0; i < tags_count(t->tags); i++) {
                const struct tag *tag = tags_get(t->tags, (uint32_t)i);

                if (!tag->configured || tag->first != i || strcmp(tag->driver, s->d.name) != 0)
                        continue;
                n++;
                *heard += i < t->n_seen && t->seen[i].n > 0;
        }
        return n;
}

static bool is_done(const struct slot *s)
{
        size_t heard, named;

        if (s->stopped || s->was_down)
                return true;
        named = count_named(s, &heard);
        return named > 0 && heard == named;
}

static bool all_are(const struct trial *t, bool (*is)(const struct slot *s))
{
        size_t i = 0;

        while (i < t->n && is(t->slots[i]))
                i++;
        return i == t->n;
}

static bool has_stopped(const struct slot *s)
{
        return s->stopped;
}

/* Before anything ends: the end of a link is no fault. */
static void sum_up(struct slot *s)
{
        struct trial_item *item = s->item;
        const struct trial *t = s->trial;
        size_t heard;

        if (!s->made)
                return;
        item->connected = s->d.state == DRIVER_UP;
        item->n = s->d.n_readings;
        item->n_malformed = s->d.n_malformed;
        item->n_silent = count_named(s, &heard);
        item->n_silent -= heard;
        text_copy(item->why, sizeof(item->why), s->d.last_error);
        if (!item->connected && !*item->why)
                text_copy(item->why, sizeof(item->why), "no answer yet");
        for (size_t i = 0; i < t->n_seen; i++) {
                if (t->seen[i].slot != s)
                        continue;
                item->n_tags++;
                item->n_good += !quality_is_bad(t->seen[i].quality);
        }
}

static void end(struct trial *t)
{
        t->ending = true;
        t->end_us = rt_mono_us(t->rt) + END_US;
        for (size_t i = 0; i < t->n; i++)
                sum_up(t->slots[i]);
        for (size_t i = 0; i < t->n; i++)
                if (!t->slots[i]->stopped) {
                        rt_timer_cancel(t->rt, &t->slots[i]->timer);
                        t->slots[i]->d.ops->stop(&t->slots[i]->d);
                }
}

static void on_tick(struct rt_timer *timer)
{
        struct trial *t = list_entry(timer, struct trial, tick);
        int64_t now_us = rt_mono_us(t->rt);

        if (!t->ending && (now_us >= t->until_us || (t->stop && t->stop()) || (t->once && all_are(t, is_done))))
                end(t);
        if (t->ending && (now_us >= t->end_us || all_are(t, has_stopped)))
                rt_uv_stop(t->rt);
        else
                rt_timer_set(t->rt, &t->tick, TICK_US);
}

void trial_run(struct trial *t, int64_t span_us, bool once, bool (*stop)(void))
{
        t->until_us = rt_mono_us(t->rt) + span_us;
        t->once = once;
        t->stop = stop;
        t->tick.on_due = on_tick;
        for (size_t i = 0; i < t->n; i++)
                if (t->slots[i]->made)
                        rt_timer_set(t->rt, &t->slots[i]->timer, 0);
        rt_timer_set(t->rt, &t->tick, TICK_US);
        rt_uv_run(t->rt);
}

/* ---- what came of it ---- */

size_t trial_items(const struct trial *t, const struct trial_item **items)
{
        *items = t->items;
        return t->n;
}

static int by_name(const void *a, const void *b)
{
        const struct trial_tag *x = a, *y = b;
        int order = strcmp(x->source, y->source);

        order = order ? order : strcmp(x->name, y->name);
        return order ? order : strcmp(x->labels, y->labels);
}

void trial_tags(const struct trial *t, const struct trial_item *item,
                void (*each)(void *ctx, const struct trial_tag *tag), void *ctx)
{
        size_t n = 0, cap = tags_count(t->tags);
        struct trial_tag *rows = mem_alloc(cap * sizeof(*rows) + 1);

        for (size_t i = 0; i < cap; i++) {
                const struct tag *tag = tags_get(t->tags, (uint32_t)i);
                const struct seen none = {NULL}, *seen = i < t->n_seen && t->seen[i].slot ? &t->seen[i] : &none;
                bool its = seen->slot ? seen->slot->item == item : tag->configured && !strcmp(tag->driver, item->name);

                if (!its || tag->first != i)
                        continue;
                rows[n] = (struct trial_tag){.source = tag->source,
                                             .name = tag->name,
                                             .unit = tags_get(t->tags, tag->current)->unit,
                                             .labels = tag->labels,
                                             .n = seen->n,
                                             .n_bad = seen->n_bad,
                                             .ts_us = seen->ts_us,
                                             .type = seen->type,
                                             .quality = seen->quality};
                memcpy(rows[n++].value, seen->value, sizeof(seen->value));
        }
        if (n)
                qsort(rows, n, sizeof(*rows), by_name);
        for (size_t i = 0; i < n; i++)
                each(ctx, &rows[i]);
        free(rows);
}

/* A thread that hangs (a name server that is silent) is left to its end. */
void trial_free(struct trial *t)
{
        bool quiet = rt_uv_quiesce(t->rt);

        for (size_t i = 0; i < t->n && quiet; i++) {
                struct slot *s = t->slots[i];

                if (s->made)
                        s->d.ops->fini(&s->d);
                free(s->subs);
                free(s);
        }
        if (!quiet)
                return;
        rt_uv_free(t->rt);
        tags_free(t->tags);
        free(t->slots);
        free(t->items);
        free(t->seen);
        free(t);
}
