/*
 * rt: the timers both runtimes share.  A binary heap of the owners' own
 * structs, so that setting and cancelling is synchronous and a runtime needs
 * one wake-up only.
 */
#include "agent/base/rt.h"

#include <stdlib.h>

#include "agent/base/err.h"

double rt_random(struct rt *rt)
{
        uint64_t x;

        rt->ops->random(rt, &x, sizeof(x));
        return (double)(x >> 11) / 9007199254740992.0;
}

static void place(struct rt *rt, size_t pos, struct rt_timer *t)
{
        rt->heap[pos - 1] = t;
        t->heap_pos = pos;
}

static void sift_up(struct rt *rt, size_t pos, struct rt_timer *t)
{
        while (pos > 1 && rt->heap[pos / 2 - 1]->due_us > t->due_us) {
                place(rt, pos, rt->heap[pos / 2 - 1]);
                pos /= 2;
        }
        place(rt, pos, t);
}

static void sift_down(struct rt *rt, size_t pos, struct rt_timer *t)
{
        for (;;) {
                size_t child = 2 * pos;

                if (child > rt->n_timers)
                        break;
                if (child < rt->n_timers && rt->heap[child]->due_us < rt->heap[child - 1]->due_us)
                        child++;
                if (rt->heap[child - 1]->due_us >= t->due_us)
                        break;
                place(rt, pos, rt->heap[child - 1]);
                pos = child;
        }
        place(rt, pos, t);
}

static void take_out(struct rt *rt, struct rt_timer *t)
{
        size_t pos = t->heap_pos;
        struct rt_timer *last;

        BUG_ON(pos > rt->n_timers || rt->heap[pos - 1] != t);
        last = rt->heap[--rt->n_timers];

        t->heap_pos = 0;
        if (last == t)
                return;
        if (pos > 1 && rt->heap[pos / 2 - 1]->due_us > last->due_us)
                sift_up(rt, pos, last);
        else
                sift_down(rt, pos, last);
}

int64_t rt_next_due(const struct rt *rt)
{
        return rt->n_timers ? rt->heap[0]->due_us : INT64_MAX;
}

void rt_timer_cancel(struct rt *rt, struct rt_timer *t)
{
        if (t->heap_pos)
                take_out(rt, t);
}

void rt_timer_set(struct rt *rt, struct rt_timer *t, int64_t delay_us)
{
        int64_t before = rt_next_due(rt);

        rt_timer_cancel(rt, t);
        if (rt->n_timers == rt->cap_timers) {
                rt->cap_timers = rt->cap_timers ? 2 * rt->cap_timers : 32;
                rt->heap = mem_grow(rt->heap, rt->cap_timers, sizeof(*rt->heap));
        }
        t->due_us = rt_mono_us(rt) + (delay_us > 0 ? delay_us : 0);
        rt->n_timers++;
        sift_up(rt, rt->n_timers, t);
        if (rt_next_due(rt) < before)
                rt->ops->arm(rt, rt_next_due(rt));
}

void rt_run_due(struct rt *rt, int64_t now_us)
{
        /* A timer that sets itself again at once waits for the next round: the fds get their turn. */
        for (size_t most = rt->n_timers; most && rt->n_timers && rt->heap[0]->due_us <= now_us; most--) {
                struct rt_timer *t = rt->heap[0];

                take_out(rt, t);
                t->on_due(t);
        }
        rt->ops->arm(rt, rt_next_due(rt));
}

void rt_fini(struct rt *rt)
{
        free(rt->heap);
        rt->heap = NULL;
        rt->n_timers = rt->cap_timers = 0;
}
