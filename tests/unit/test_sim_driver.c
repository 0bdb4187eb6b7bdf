/*
 * sim: the waves, their determinism, and the driver against a host that counts.
 */
#include "tests/lib/driver_bench.h"

#include <math.h>

#include "drivers/sim/sim.h"
#include "drivers/sim/wave.h"

enum { SECOND = 1000000 };

static void test_waves_stay_in_range(void **state)
{
        static const struct {
                struct sim_tag_conf t;
                double low, high; /* to be come near to */
        } rows[] = {
                {{.wave = SIM_SINE, .min = 10, .max = 20}, 10.01, 19.99},
                {{.wave = SIM_RAMP, .min = 10, .max = 20}, 10.2, 19.8},
                {{.wave = SIM_STEP, .min = 10, .max = 20}, 10, 20},
                {{.wave = SIM_NOISE, .min = 10, .max = 20}, 11, 19},
                {{.wave = SIM_CONSTANT, .min = 10, .max = 20}, 10, 10},
                {{.wave = SIM_CONSTANT, .min = 10, .max = 20, .noise = 1}, 9.2, 10.8},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct sim_tag_conf t = rows[i].t;
                double low = INFINITY, high = -INFINITY;

                t.cycle_us = 60 * SECOND;
                for (int64_t us = 0; us < t.cycle_us; us += SECOND / 2) {
                        struct reading r = {0}, again = {0};

                        sim_wave(&t, 77, us, &r);
                        sim_wave(&t, 77, us, &again);
                        assert_memory_equal(&r, &again, sizeof(r));
                        assert_int_equal(r.type, READING_F64);
                        assert_true(r.v.f64 >= t.min - t.noise && r.v.f64 <= t.max + t.noise);
                        low = fmin(low, r.v.f64);
                        high = fmax(high, r.v.f64);
                }
                assert_true(low <= rows[i].low);
                assert_true(high >= rows[i].high);
        }
}

static void test_text_bool_and_failure(void **state)
{
        struct sim_tag_conf t = {.wave = SIM_BOOL, .cycle_us = 10 * SECOND};
        int n_true = 0, n_bad = 0;

        for (int i = 0; i < 100; i++) {
                struct reading r = {0};

                sim_wave(&t, 5, i * SECOND, &r);
                assert_int_equal(r.type, READING_BOOL);
                n_true += r.v.b;
        }
        assert_int_equal(n_true, 50);
        t = (struct sim_tag_conf){
                .wave = SIM_TEXT, .cycle_us = 10 * SECOND, .fail_every_us = 10 * SECOND, .fail_for_us = 3 * SECOND};
        for (int i = 0; i < 100; i++) {
                struct reading r = {0};

                sim_wave(&t, 5, i * SECOND, &r);
                n_bad += r.type == READING_NONE && r.quality == QUALITY_BAD_COMM_FAILURE;
                assert_true(r.type == READING_NONE || (r.type == READING_TEXT && r.len > 0));
        }
        assert_int_equal(n_bad, 30);
}

static size_t n_in_words;

static void count(struct driver *d, const struct reading *r)
{
        n_in_words++;
}

static void test_driver(void **state)
{
        struct sim_tag_conf tags[] = {{.tag = "temp", .unit = "degC", .wave = SIM_SINE, .max = 1, .cycle_us = SECOND},
                                      {.tag = "run", .wave = SIM_BOOL, .cycle_us = SECOND}};
        struct sim_conf conf = {
                .name = "demo", .source = "press", .period_us = SECOND, .count = 150, .tags = {tags, 2}};
        static struct driver_bench b;

        bench_init(&b, &sim_ops, "demo", &conf);
        b.note = count;
        tags_set_most(b.d.tags, 0); /* bounds are for what comes from the wire */
        bench_start(&b);
        assert_true(b.d.period_us == SECOND);
        assert_string_equal(tags_get(b.d.tags, 2)->source, "press-2");
        assert_string_equal(tags_get(b.d.tags, 2)->unit, "degC");
        transcript_expect("up ");
        sim_ops.poll(&b.d);
        assert_int_equal(b.n_taken, 300);
        assert_int_equal(b.n_calls, 150); /* a source at a time */
        sim_ops.pause(&b.d, true);
        sim_ops.poll(&b.d);
        assert_int_equal(b.n_taken, 300);
        sim_ops.pause(&b.d, false);
        sim_ops.poll(&b.d);
        assert_int_equal(b.n_taken, 600);
        assert_int_equal(n_in_words, 600);
        transcript[0] = '\0';
        sim_ops.stop(&b.d);
        transcript_expect("stopped ");
        bench_fini(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_waves_stay_in_range),
                cmocka_unit_test(test_text_bool_and_failure),
                cmocka_unit_test(test_driver),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
