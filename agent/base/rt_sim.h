/*
 * rt_sim: the runtime of the tests.  Time moves only in rt_sim_run*(); works
 * run when they are started or when they finish (a coin decides, so that a
 * power cut may fall on either side), and finish after a virtual delay. One
 * thread, no fd is ever polled: a test raises an fd's event itself.
 */
#ifndef MILLRACE_BASE_RT_SIM_H
#define MILLRACE_BASE_RT_SIM_H

#include "rt.h"

struct rt_sim {
        struct rt rt; /* first */
        struct rt_time now;
        uint64_t seed;
        int64_t work_delay_us; /* how long each work takes from now on */
        struct list works;
};

void rt_sim_init(struct rt_sim *sim, uint64_t seed, int64_t wall_us);

/*
 * Runs everything up to `until_mono_us`; returns how many callbacks ran.
 * `on_step` (may be NULL) runs after each.
 */
long rt_sim_run(struct rt_sim *sim, int64_t until_mono_us, void (*on_step)(void *ctx), void *ctx);

/* Raises an event on a watched fd; false when it is not watched. */
bool rt_sim_fire(struct rt_sim *sim, struct rt_watch *w, unsigned events);

void rt_sim_step_wall(struct rt_sim *sim, int64_t by_us);

/*
 * A power cut: timers, watches and works are forgotten; a work that had not run
 * never runs.
 */
void rt_sim_cut(struct rt_sim *sim);
void rt_sim_fini(struct rt_sim *sim);

#endif
