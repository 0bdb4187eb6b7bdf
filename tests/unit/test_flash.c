/*
 * test_flash: the factor settles where the budget is kept, goes back when there is less to write, and has an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/flash.h"

static struct flash f;
static uint64_t written;
static int64_t now_us;

/* A disk whose writes are `per_commit` bytes each commit plus `per_s` for the rows, one commit a second times slowdown.
 */
static void run(double hours, double per_commit, double per_s, uint64_t limit)
{
        struct flash_conf conf = {.max_per_day_bytes = limit};

        for (int s = 0; s < (int)(hours * 3600); s++) {
                written += (uint64_t)(per_commit / f.slowdown + per_s);
                now_us += 1000000;
                flash_update(&f, &conf, written, now_us);
        }
}

static int setup(void **state)
{
        flash_init(&f);
        written = 123456789;
        now_us = 5000000;
        return 0;
}

static void without_a_budget_nothing_is_stretched(void **state)
{
        run(3, 30000, 8000, 0);
        assert_true(f.slowdown == 1);
        assert_true(flash_forecast(&f) > 38000 * 86400.0 * 0.99 && flash_forecast(&f) < 38000 * 86400.0 * 1.01);
}

static void the_factor_settles_under_the_budget(void **state)
{
        run(6, 30000, 8000, 1200000000);
        assert_true(flash_forecast(&f) <= 1200000000 * 1.02 && flash_forecast(&f) >= 1200000000 * 0.75);
        assert_true(f.slowdown > 4 && f.slowdown < 12);
}

/* A commit a minute is a burst, and the checkpoint of 4 MB of them another: an hour's sum counts. */
static void bursts_do_not_make_it_swing(void **state)
{
        static const double per_commit[] = {48000, 30000, 80000}, per_s[] = {3700, 3000, 1200};
        struct flash_conf conf = {.max_per_day_bytes = 800000000};

        for (int k = 0; k < 3; k++) {
                double next_s = 0, rows = 0, in_wal = 0, to_copy = 0;
                uint64_t before = 0;

                setup(NULL);
                for (int s = 0; s < 9 * 3600; s++) {
                        rows += per_s[k];
                        if (s >= next_s) {
                                written += (uint64_t)(per_commit[k] + rows);
                                in_wal += per_commit[k] + rows;
                                to_copy += rows;
                                next_s = s + f.slowdown;
                                rows = 0;
                        }
                        if (in_wal > 4 << 20) {
                                written += (uint64_t)to_copy;
                                in_wal = to_copy = 0;
                        }
                        now_us += 1000000;
                        flash_update(&f, &conf, written, now_us);
                        if (s == 5 * 3600)
                                before = written;
                }
                assert_true((written - before) * 6 <= conf.max_per_day_bytes);
                assert_true((written - before) * 6 >= conf.max_per_day_bytes / 10 * 6);
        }
}

static void it_goes_back_when_there_is_less_to_write(void **state)
{
        run(6, 30000, 8000, 1200000000);
        run(6, 300, 80, 1200000000);
        assert_true(f.slowdown == 1);
}

static void a_budget_that_is_raised_or_taken_away_is_felt_soon(void **state)
{
        run(6, 30000, 800000, 1200000000);
        run(0.2, 30000, 800000, 1200000000000);
        assert_true(f.slowdown == 1);
        run(6, 30000, 800000, 1200000000);
        run(0.003, 30000, 800000, 0);
        assert_true(f.slowdown == 1);
}

static void it_has_an_end(void **state)
{
        run(6, 30000, 800000, 1200000000);
        assert_true(f.slowdown == 60);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(without_a_budget_nothing_is_stretched, setup),
                cmocka_unit_test_setup(the_factor_settles_under_the_budget, setup),
                cmocka_unit_test_setup(bursts_do_not_make_it_swing, setup),
                cmocka_unit_test_setup(it_goes_back_when_there_is_less_to_write, setup),
                cmocka_unit_test_setup(a_budget_that_is_raised_or_taken_away_is_felt_soon, setup),
                cmocka_unit_test_setup(it_has_an_end, setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
