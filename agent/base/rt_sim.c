/*
 * rt_sim: see rt_sim.h.  Determinism is the point: same seed, same order of
 * callbacks.  splitmix64 gives the random bits (Steele, Lea, Flood: Fast
 * Splittable Pseudorandom Number Generators, 2014).
 */
#include "agent/base/rt_sim.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

static uint64_t next_random(struct rt_sim *sim)
{
        uint64_t z = sim->seed += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static void sim_now(struct rt *rt, struct rt_time *now)
{
        *now = ((struct rt_sim *)rt)->now;
}

static int64_t sim_mono_us(struct rt *rt)
{
        return ((struct rt_sim *)rt)->now.mono_us;
}

static void sim_arm(struct rt *rt, int64_t due_mono_us)
{
}

static void sim_watch(struct rt *rt, struct rt_watch *w, unsigned events)
{
        w->impl = events ? (void *)(uintptr_t)events : NULL;
}

static void sim_random(struct rt *rt, void *out, size_t n_bytes)
{
        unsigned char *p = out;

        for (size_t i = 0; i < n_bytes; i++)
                p[i] = (unsigned char)next_random((struct rt_sim *)rt);
}

/*
 * One work under way: its end is a timer; whether run() happens now or then is
 * the coin's.
 */
struct sim_work {
        struct rt_timer end;
        struct list node;
        struct rt_work *work;
        bool ran;
};

static void on_work_end(struct rt_timer *t)
{
        struct sim_work *sw = list_entry(t, struct sim_work, end);
        struct rt_work *w = sw->work;

        list_remove(&sw->node);
        if (!sw->ran)
                w->run(w);
        free(sw);
        w->on_done(w);
}

static void sim_work(struct rt *rt, struct rt_work *w)
{
        struct rt_sim *sim = (struct rt_sim *)rt;
        struct sim_work *sw = mem_alloc(sizeof(*sw));

        sw->work = w;
        sw->end.on_due = on_work_end;
        list_append(&sim->works, &sw->node);
        rt_timer_set(rt, &sw->end, sim->work_delay_us);
        sw->ran = next_random(sim) & 1;
        if (sw->ran)
                w->run(w);
}

static const struct rt_ops sim_ops = {.now = sim_now,
                                      .mono_us = sim_mono_us,
                                      .arm = sim_arm,
                                      .watch = sim_watch,
                                      .work = sim_work,
                                      .random = sim_random};

void rt_sim_init(struct rt_sim *sim, uint64_t seed, int64_t wall_us)
{
        memset(sim, 0, sizeof(*sim));
        sim->rt.ops = &sim_ops;
        sim->seed = seed;
        sim->now = (struct rt_time){.mono_us = 1000000, .wall_us = wall_us};
        sim->work_delay_us = 1000;
        list_init(&sim->works);
}

static void advance(struct rt_sim *sim, int64_t mono_us)
{
        if (mono_us > sim->now.mono_us) {
                sim->now.wall_us += mono_us - sim->now.mono_us;
                sim->now.mono_us = mono_us;
        }
}

long rt_sim_run(struct rt_sim *sim, int64_t until_mono_us, void (*on_step)(void *ctx), void *ctx)
{
        long steps = 0;

        while (rt_next_due(&sim->rt) <= until_mono_us) {
                struct rt_timer *t = sim->rt.heap[0];

                advance(sim, t->due_us);
                rt_timer_cancel(&sim->rt, t);
                t->on_due(t);
                steps++;
                if (on_step)
                        on_step(ctx);
        }
        advance(sim, until_mono_us);
        return steps;
}

bool rt_sim_fire(struct rt_sim *sim, struct rt_watch *w, unsigned events)
{
        if (!((uintptr_t)w->impl & events))
                return false;
        w->on_event(w, events);
        return true;
}

void rt_sim_step_wall(struct rt_sim *sim, int64_t by_us)
{
        sim->now.wall_us += by_us;
}

void rt_sim_cut(struct rt_sim *sim)
{
        struct list *node;

        while (sim->rt.n_timers)
                rt_timer_cancel(&sim->rt, sim->rt.heap[0]);
        while ((node = list_take(&sim->works)))
                free(list_entry(node, struct sim_work, node));
}

void rt_sim_fini(struct rt_sim *sim)
{
        rt_sim_cut(sim);
        rt_fini(&sim->rt);
}
