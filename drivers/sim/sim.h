/*
 * sim: a source that makes its readings up, for the demo, for tests and for
 * trying rules before a sensor is there.
 *
 * Deterministic: the value of a tag is a function of (seed, source, tag, time),
 * so two runs tell the same story.
 */
#ifndef MILLRACE_DRIVERS_SIM_SIM_H
#define MILLRACE_DRIVERS_SIM_SIM_H

#include "drivers/driver.h"

enum sim_wave { SIM_CONSTANT, SIM_SINE, SIM_RAMP, SIM_STEP, SIM_NOISE, SIM_TEXT, SIM_BOOL };

struct sim_tag_conf {
        struct schema_at at;
        const char *tag, *unit;
        int wave; /* enum sim_wave */
        double min, max;
        double noise; /* added on top, +- */
        int64_t cycle_us;
        int64_t fail_every_us, fail_for_us; /* 0: never fails */
};

struct sim_conf {
        struct schema_at at;
        const char *name, *source;
        int64_t period_us, seed;
        int64_t count;           /* sources: `source`, or source-1 … source-N when more than one */
        struct schema_list tags; /* struct sim_tag_conf */
};

enum { SIM_SOURCE_MAX = 96 };
/* The i-th of its sources, from 0. */
const char *sim_source(const struct sim_conf *c, int64_t i, char buf[SIM_SOURCE_MAX]);
void sim_names(const void *conf, struct driver_names *to);

extern const struct schema sim_schema;
extern const struct driver_ops sim_ops;

#endif
