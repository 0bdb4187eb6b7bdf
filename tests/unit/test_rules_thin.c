/* The error bound of thinning is measured: every reading left out, against the line through what was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "agent/rules/swinging_door.h"

enum { N = 20000 };

static struct swinging_door_point in[N], out[N + 2];
static uint64_t seed;

static double any(void)
{
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return (double)(seed >> 11) / 0x1p53;
}

/* 0 noise, 1 random walk, 2 slow wave with noise, 3 steps, 4 ramps */
static void make(int shape)
{
        double v = 20;

        for (int i = 0; i < N; i++) {
                if (shape == 0)
                        v = any() * 10;
                else if (shape == 1)
                        v += any() - 0.5;
                else if (shape == 2)
                        v = 50 * sin(i / 300.0) + any();
                else if (shape == 3)
                        v = (i / 500) * 7 % 5;
                else
                        v = i % 1000 < 500 ? i % 1000 : 1000 - i % 1000;
                in[i] = (struct swinging_door_point){(i ? in[i - 1].ts_us : 0) + 1000 + (int64_t)(any() * 1e6), v};
        }
}

static size_t run(const struct swinging_door_conf *c)
{
        struct swinging_door t = {.begun = false};
        size_t n = 0;

        for (int i = 0; i < N; i++)
                n += (size_t)swinging_door_push(&t, c, in[i], out + n);
        return n + (size_t)swinging_door_break(&t, out + n);
}

static double worst(size_t n)
{
        double worst = 0;
        size_t k = 0;

        for (int i = 0; i < N; i++) {
                double line, error;

                while (k + 2 < n && out[k + 1].ts_us < in[i].ts_us)
                        k++;
                line = out[k].v + (out[k + 1].v - out[k].v) * (double)(in[i].ts_us - out[k].ts_us) /
                                          (double)(out[k + 1].ts_us - out[k].ts_us);
                error = fabs(in[i].v - line);
                worst = error > worst ? error : worst;
        }
        return worst;
}

static void check_sent(size_t n)
{
        size_t i = 0;

        assert_int_equal(out[0].ts_us, in[0].ts_us);
        assert_int_equal(out[n - 1].ts_us, in[N - 1].ts_us);
        for (size_t k = 0; k < n; k++, i++) {
                while (i < N && in[i].ts_us != out[k].ts_us)
                        i++;
                assert_true(i < N && in[i].v == out[k].v);
        }
}

static void test_bound(void **state)
{
        for (int shape = 0; shape < 5; shape++)
                for (int mode = THIN_NONE; mode <= THIN_SWINGING_DOOR; mode++)
                        for (double band = 0; band < 6; band = band * 2 + 0.25) {
                                struct swinging_door_conf c = {.mode = mode, .band = band};
                                double error;
                                size_t n;

                                seed = 7;
                                make(shape);
                                n = run(&c);
                                check_sent(n);
                                error = worst(n);
                                assert_true(error <= THIN_BOUND(mode) * band + 1e-9);
                                if (mode == THIN_NONE)
                                        assert_int_equal(n, N);
                                else if (mode == THIN_SWINGING_DOOR && shape >= 2 && band >= 0.7)
                                        assert_true(n < N / 3);
                        }
}

static void test_intervals(void **state)
{
        for (int mode = THIN_EXCEPTION; mode <= THIN_SWINGING_DOOR; mode++) {
                struct swinging_door_conf c = {.mode = mode, .band = 1e9, .max_us = 10000000};
                size_t n;

                seed = 1;
                make(1);
                n = run(&c);
                for (size_t i = 1; i < n; i++)
                        assert_true(out[i].ts_us - out[i - 1].ts_us <= 11001000);
                assert_true(n < N / 5);
        }
        struct swinging_door_conf c = {.mode = THIN_EXCEPTION, .band = 0, .min_us = 5000000};
        int64_t last = -5000000;
        struct swinging_door t = {.begun = false};

        for (int i = 0; i < N; i++) {
                int n = swinging_door_push(&t, &c, in[i], out);

                if (!n)
                        continue;
                assert_true(out[n - 1].ts_us - last >= 5000000);
                last = out[n - 1].ts_us;
        }
}

static void test_back_in_time(void **state)
{
        struct swinging_door_conf c = {.mode = THIN_SWINGING_DOOR, .band = 1};
        struct swinging_door t = {.begun = false};

        assert_int_equal(swinging_door_push(&t, &c, (struct swinging_door_point){100, 1}, out), 1);
        assert_int_equal(swinging_door_push(&t, &c, (struct swinging_door_point){200, 1}, out), 0);
        assert_int_equal(swinging_door_push(&t, &c, (struct swinging_door_point){200, 1}, out), 2);
        assert_int_equal(swinging_door_push(&t, &c, (struct swinging_door_point){50, 1}, out), 1);
        assert_int_equal(swinging_door_break(&t, out), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bound),
                cmocka_unit_test(test_intervals),
                cmocka_unit_test(test_back_in_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
