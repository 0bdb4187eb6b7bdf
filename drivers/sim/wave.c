/*
 * wave: what a made-up sensor shows at a time (see wave.h).
 *
 * No state: a value is worked out from the wall time, so a restart goes on
 * where the wave would be, and a test can ask for any moment.  Each tag has a
 * phase of its own from its seed, else a hundred sources would rise and fall as
 * one.
 */
#include "drivers/sim/wave.h"

#include <math.h>
#include <string.h>

#include "agent/base/text.h"

#define PI 3.14159265358979323846

static const char *const words[] = {"idle", "running", "setup", "blocked"};

/* One round of a mixer whose every output bit depends on every input bit. */
static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return x ^ (x >> 31);
}

static double unit_of(uint64_t x)
{
        return (double)(mix(x) >> 11) * 0x1p-53;
}

uint64_t sim_wave_seed(int64_t seed, const char *source, const char *tag)
{
        return mix(text_hash(tag, strlen(tag), text_hash(source, strlen(source), mix((uint64_t)seed))));
}

static bool failing(const struct sim_tag_conf *t, int64_t us)
{
        return t->fail_every_us && us % t->fail_every_us >= t->fail_every_us - t->fail_for_us;
}

/* 0..1 */
static double shape(const struct sim_tag_conf *t, uint64_t seed, int64_t us, double phase)
{
        switch (t->wave) {
        case SIM_SINE:
                return 0.5 + 0.5 * sin(2 * PI * phase);
        case SIM_RAMP:
                return phase;
        case SIM_STEP:
                return phase < 0.5 ? 0 : 1;
        case SIM_NOISE:
                return unit_of(seed ^ (uint64_t)us);
        default:
                return 0;
        }
}

static double to_milli(double v)
{
        return fabs(v) < 1e12 ? round(v * 1000) / 1000 : v;
}

void sim_wave(const struct sim_tag_conf *t, uint64_t seed, int64_t us, struct reading *r)
{
        int64_t at = us + (int64_t)(unit_of(seed) * (double)t->cycle_us);
        double phase = (double)(at % t->cycle_us) / (double)t->cycle_us;
        double noise = t->noise * (2 * unit_of(~seed ^ (uint64_t)us) - 1);

        if (failing(t, us)) {
                r->type = READING_NONE;
                r->quality = QUALITY_BAD_COMM_FAILURE;
        } else if (t->wave == SIM_BOOL) {
                r->type = READING_BOOL;
                r->v.b = phase >= 0.5;
        } else if (t->wave == SIM_TEXT) {
                r->type = READING_TEXT;
                r->v.text = words[(int)(phase * 4) & 3];
                r->len = (uint32_t)strlen(r->v.text);
        } else {
                r->type = READING_F64;
                r->v.f64 = to_milli(t->min + (t->max - t->min) * shape(t, seed, us, phase) + noise);
        }
}
