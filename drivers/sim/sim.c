/*
 * sim: made-up sources, polled by the host.
 *
 * Each poll emits one reading per source and tag with the time of the poll; the
 * values come from wave.c, which is pure.  One source's readings are handed
 * over together, as a device's answer would be.  Nothing waits for us, so what
 * the spool can't take is dropped and counted by the host.
 *
 * Fails: at start, when the table of tags has no room for all of them.
 */
#include "drivers/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/text.h"
#include "drivers/sim/wave.h"

struct point {
        uint32_t tag;
        uint64_t seed;
};

struct sim {
        struct point *points;     /* source by source, in the order of the tags */
        struct reading *readings; /* of one source */
        bool paused;
};

static int add_point(struct driver *d, struct point *p, const char *source, const struct sim_tag_conf *t, struct err *e)
{
        const struct sim_conf *c = d->conf;

        if (tags_intern(d->tags, source, t->tag, t->unit ? t->unit : "", "", d->name, &p->tag) == TAGS_E_FULL)
                return err_set(e, "sim %s: no room for tag %s/%s; see max_tags", d->name, source, t->tag);
        p->seed = sim_wave_seed(c->seed, source, t->tag);
        return 0;
}

static int add_points(struct driver *d, struct sim *s, struct err *e)
{
        const struct sim_conf *c = d->conf;
        const struct sim_tag_conf *t = c->tags.items;
        struct point *p = s->points;
        char source[TEXT_NAME_MAX + 24];

        for (int64_t i = 0; i < c->count; i++) {
                if (c->count > 1)
                        snprintf(source, sizeof(source), "%s-%lld", c->source, (long long)i + 1);
                else
                        snprintf(source, sizeof(source), "%s", c->source);
                for (size_t k = 0; k < c->tags.n; k++)
                        if (add_point(d, p++, source, &t[k], e) < 0)
                                return -1;
        }
        return 0;
}

static void fini(struct driver *d)
{
        struct sim *s = d->priv;

        free(s->points);
        free(s->readings);
        free(s);
        d->priv = NULL;
}

static int init(struct driver *d, struct err *e)
{
        const struct sim_conf *c = d->conf;
        struct sim *s = mem_alloc(sizeof(*s));

        s->points = mem_alloc((size_t)c->count * c->tags.n * sizeof(*s->points) + 1);
        s->readings = mem_alloc(c->tags.n * sizeof(*s->readings) + 1);
        d->priv = s;
        d->period_us = c->period_us;
        if (add_points(d, s, e) == 0)
                return 0;
        fini(d);
        return -1;
}

static void start(struct driver *d)
{
        d->host->link_up(d);
}

static void poll(struct driver *d)
{
        const struct sim_conf *c = d->conf;
        const struct sim_tag_conf *t = c->tags.items;
        struct sim *s = d->priv;
        const struct point *p = s->points;
        struct rt_time now;

        if (s->paused)
                return;
        rt_now(d->rt, &now);
        for (int64_t i = 0; i < c->count; i++) {
                for (size_t k = 0; k < c->tags.n; k++, p++) {
                        s->readings[k] = driver_reading(p->tag, now.wall_us);
                        sim_wave(&t[k], p->seed, now.wall_us, &s->readings[k]);
                }
                driver_emit(d, s->readings, c->tags.n, false);
        }
}

static void pause(struct driver *d, bool on)
{
        struct sim *s = d->priv;

        s->paused = on;
}

static void stop(struct driver *d)
{
        d->host->stopped(d);
}

const struct driver_ops sim_ops = {
        .kind = "sim",
        .schema = &sim_schema,
        .init = init,
        .start = start,
        .poll = poll,
        .pause = pause,
        .stop = stop,
        .fini = fini,
};
