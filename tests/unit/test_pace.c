/* The token bucket: the mean rate holds over any time, whatever the records' sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "uplink/pace.h"

static void test_no_limit(void **state)
{
        struct pace p;

        pace_init(&p, 0, 5);
        for (int i = 0; i < 1000; i++) {
                assert_int_equal(pace_wait_us(&p, 5), 0);
                pace_spend(&p, 1000000000);
        }
}

/* What goes in `seconds` is at most the burst, the rate, and one record; and not much less than the rate. */
static void test_mean_rate(void **state)
{
        static const struct {
                uint64_t bytes_s, record;
        } rows[] = {{1024, 200}, {1024, 500000}, {262144, 120}, {262144, 1000}, {100000000, 250}};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                int64_t now_us = 77, end_us = now_us + 20 * INT64_C(1000000);
                uint64_t sent = 0;
                struct pace p;

                pace_init(&p, rows[i].bytes_s, now_us);
                while (now_us < end_us) {
                        int64_t wait_us = pace_wait_us(&p, now_us);

                        assert_true(wait_us >= 0);
                        now_us += wait_us;
                        if (wait_us)
                                continue;
                        pace_spend(&p, rows[i].record);
                        sent += rows[i].record;
                }
                assert_true(sent <= p.burst + 20 * rows[i].bytes_s + rows[i].record);
                assert_true(sent + rows[i].record >= 20 * rows[i].bytes_s);
        }
}

static void test_a_wait_is_enough(void **state)
{
        struct pace p;
        int64_t now_us = 0;

        pace_init(&p, 3333, now_us);
        for (int i = 0; i < 1000; i++) {
                now_us += pace_wait_us(&p, now_us);
                assert_int_equal(pace_wait_us(&p, now_us), 0);
                pace_spend(&p, 40000);
        }
}

static void test_idle_time_fills_one_burst_only(void **state)
{
        struct pace p;

        pace_init(&p, 100000, 0);
        assert_int_equal(pace_wait_us(&p, INT64_C(3600000000)), 0);
        pace_spend(&p, p.burst);
        assert_true(pace_wait_us(&p, INT64_C(3600000000)) > 0);
        assert_true(pace_wait_us(&p, 0) > 0); /* a clock that stands still, or an old time, gives nothing */
}

/* At a limit records go in groups: each by itself would be a request of its own. */
static void test_what_waits_goes_together(void **state)
{
        int64_t now_us = 0;
        int n_waits = 0;
        struct pace p;

        pace_init(&p, 100000, now_us);
        for (int i = 0; i < 4000; i++) {
                int64_t wait_us;

                while ((wait_us = pace_wait_us(&p, now_us))) {
                        n_waits++;
                        now_us += wait_us;
                }
                pace_spend(&p, 250);
        }
        assert_in_range(n_waits, 30, 40); /* 1 MB less the burst, 25 KB each time */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_no_limit),
                cmocka_unit_test(test_mean_rate),
                cmocka_unit_test(test_a_wait_is_enough),
                cmocka_unit_test(test_idle_time_fills_one_burst_only),
                cmocka_unit_test(test_what_waits_goes_together),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
