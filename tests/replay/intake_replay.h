/*
 * intake_replay: a recording of MQTT messages through subscription, decoding and tags; what comes out must be what is
 * written down.  What the lines of a recording are, the programs that use it say.
 */
#ifndef MILLRACE_TESTS_INTAKE_REPLAY_H
#define MILLRACE_TESTS_INTAKE_REPLAY_H

#include <stdio.h>

#include "agent/base/rt_sim.h"
#include "drivers/mqtt/intake.h"

struct intake_replay {
        const char *usage;
        const struct mqtt_conf *conf;
        void (*on_line)(struct intake_replay *r, char *line); /* of the recording; without its end */
        void (*on_end)(struct intake_replay *r);              /* NULL: nothing more to print */
        FILE *out;                                            /* what came of it, one line each */
        struct rt_sim sim;
        struct driver d;
        struct mqtt_intake in;
};

/* RECORDING: prints. RECORDING EXPECTED: 0 when that is what it would print, else 1, and the first line that differs.
 */
int intake_replay_run(struct intake_replay *r, int argc, char **argv);

#endif
