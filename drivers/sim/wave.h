/*
 * wave: the value of a made-up tag at a time.  Pure: the same seed and time
 * give the same value.
 */
#ifndef MILLRACE_DRIVERS_SIM_WAVE_H
#define MILLRACE_DRIVERS_SIM_WAVE_H

#include "agent/base/reading.h"
#include "drivers/sim/sim.h"

/*
 * Fills type, quality and value of `r`; text is constant. `seed` is the tag's
 * own (see sim_wave_seed).
 */
void sim_wave(const struct sim_tag_conf *t, uint64_t seed, int64_t us, struct reading *r);

uint64_t sim_wave_seed(int64_t seed, const char *source, const char *tag);

#endif
