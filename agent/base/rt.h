/*
 * rt: the seam between what we decide and what the machine does.
 *
 * All time, timers, fd watches, off-loop work and randomness go through struct
 * rt.  There are two of them: libuv (agent/rt_uv.c) and a simulator with a
 * virtual clock (base/rt_sim.c), so the real pipeline, spool and uplink run in
 * virtual time in the tests.
 *
 * Thread: everything here is called on the loop thread, but for a work's run().
 * Nothing fails: what cannot be had (memory, an fd the kernel refuses to poll)
 * is our own bug and aborts. Ownership: timers, watches and works are embedded
 * in their owner and must outlive being armed; cancelling a timer or a watch is
 * synchronous, a work can't be cancelled.
 */
#ifndef MILLRACE_BASE_RT_H
#define MILLRACE_BASE_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"

struct rt;
struct rt_timer;
struct rt_watch;
struct rt_work;

struct rt_time {
        int64_t mono_us; /* for delays and deadlines */
        int64_t wall_us; /* since 1970, for readings; may step */
};

enum { RT_READ = 1, RT_WRITE = 2, RT_ERROR = 4 };

struct rt_watch {
        int fd;
        void (*on_event)(struct rt_watch *w, unsigned events);
        void *impl; /* the runtime's; NULL while not watched */
};

struct rt_work {
        void (*run)(struct rt_work *w);     /* off the loop */
        void (*on_done)(struct rt_work *w); /* on the loop, after run() */
        bool slow;                          /* names, connects, sensors: may hang, and nobody else waits for it */
        struct rt *rt;
        struct list node; /* the runtime's */
};

struct rt_ops {
        void (*now)(struct rt *rt, struct rt_time *now);
        int64_t (*mono_us)(struct rt *rt);               /* of it that alone, for half of what it costs */
        void (*arm)(struct rt *rt, int64_t due_mono_us); /* the one wake-up; INT64_MAX: none */
        void (*watch)(struct rt *rt, struct rt_watch *w, unsigned events); /* events 0: stop; synchronous */
        void (*work)(struct rt *rt, struct rt_work *w);
        void (*random)(struct rt *rt, void *out, size_t n_bytes);
};

struct rt {
        const struct rt_ops *ops;
        struct rt_timer **heap; /* by due time; grows, never shrinks */
        size_t n_timers, cap_timers;
};

/* ---- for users ---- */

static inline void rt_now(struct rt *rt, struct rt_time *now)
{
        rt->ops->now(rt, now);
}

static inline int64_t rt_mono_us(struct rt *rt)
{
        return rt->ops->mono_us(rt);
}

static inline void rt_watch_set(struct rt *rt, struct rt_watch *w, unsigned events)
{
        rt->ops->watch(rt, w, events);
}

static inline void rt_work_start(struct rt *rt, struct rt_work *w)
{
        w->rt = rt;
        rt->ops->work(rt, w);
}

/* Uniform in [0, 1). */
double rt_random(struct rt *rt);

/*
 * Owner fills on_due once (zeroed elsewhere); set again moves it, cancel of an
 * idle one is fine.
 */
struct rt_timer {
        void (*on_due)(struct rt_timer *t);
        int64_t due_us;  /* monotonic */
        size_t heap_pos; /* 1-based; 0: not armed */
};

void rt_timer_set(struct rt *rt, struct rt_timer *t, int64_t delay_us);
void rt_timer_cancel(struct rt *rt, struct rt_timer *t);
static inline bool rt_timer_armed(const struct rt_timer *t)
{
        return t->heap_pos != 0;
}

/* ---- for the two runtimes ---- */

/*
 * Runs what is due at `now_us`, at most one round of those due on entry, and
 * re-arms.
 */
void rt_run_due(struct rt *rt, int64_t now_us);
int64_t rt_next_due(const struct rt *rt); /* INT64_MAX: none */
void rt_fini(struct rt *rt);

#endif
