/*
 * intake_replay: a recording of MQTT messages through subscription, decoding and tags; what comes out must be what is
 * written down.  What the lines of a recording are, replay_mqtt and replay_sparkplug say.
 */
#ifndef MILLRACE_TESTS_INTAKE_REPLAY_H
#define MILLRACE_TESTS_INTAKE_REPLAY_H

#include <stdio.h>

#include "agent/base/rt_sim.h"
#include "drivers/mqtt/intake.h"
#include "replay.h"

struct intake_replay {
        const struct mqtt_conf *conf;
        void (*on_line)(struct intake_replay *r, char *line); /* of the recording; without its end */
        void (*on_end)(struct intake_replay *r);              /* NULL: nothing more to print */
        FILE *out;                                            /* what came of it, one line each */
        struct rt_sim sim;
        struct driver d;
        struct mqtt_intake in;
};

long intake_replay_run(struct intake_replay *r, const struct replay_input *in, FILE *out);

#endif
