/*
 * sim: made-up sources, polled by the host.
 *
 * Each poll emits one reading per source and tag with the time of the poll; the
 * values come from wave.c, which is pure.  One source's readings are handed
 * over together, as a device's answer would be.  Nothing waits for us, so what
 * the spool can't take is dropped and counted by the host.
 *
 * Cannot fail; what has no room in the table of tags is counted.
 */
#include "drivers/sim/sim.h"

#include <stdlib.h>

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

static void add_points(struct driver *d, struct sim *s)
{
        const struct sim_conf *c = d->conf;
        const struct sim_tag_conf *t = c->tags.items;
        struct point *p = s->points;
        char buf[SIM_SOURCE_MAX];

        for (int64_t i = 0; i < c->count; i++) {
                const char *source = sim_source(c, i, buf);

                for (size_t k = 0; k < c->tags.n; k++, p++) {
                        p->tag = driver_tag(d, source, t[k].tag, t[k].unit);
                        p->seed = sim_wave_seed(c->seed, source, t[k].tag);
                }
        }
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
        add_points(d, s);
        return 0;
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
                size_t n;

                for (size_t k = 0; k < c->tags.n; k++, p++) {
                        s->readings[k] = driver_reading(p->tag, now.wall_us);
                        sim_wave(&t[k], p->seed, now.wall_us, &s->readings[k]);
                }
                n = driver_tagged(d, s->readings, c->tags.n);
                if (n)
                        driver_emit(d, s->readings, n, false);
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
        .names = sim_names,
        .init = init,
        .start = start,
        .poll = poll,
        .pause = pause,
        .stop = stop,
        .fini = fini,
};
