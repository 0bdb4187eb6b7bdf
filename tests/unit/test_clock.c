/*
 * test_clock: steps of the wall clock are told from its running.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/clock.h"

static void steps_are_told_and_nothing_else(void **state)
{
        static const struct {
                int64_t mono_us, wall_us, by_us;
                bool unsynced, was_unsynced;
        } looks[] = {
                {1000000, 3000000, 0, true, false}, /* the first look knows nothing */
                {2000000, 4000000, 0, true, true},
                {3000000, 5000500, 0, true, true},                                   /* slewed */
                {4000000, 1795428000000000, 1795427993999500, true, true},           /* 1970 no more */
                {5000000, 1795428001000000, 0, false, true},                         /* synchronised */
                {6000000, 1795428002000000 - 7200000000, -7200000000, false, false}, /* set back by hand */
                {7000000, 1795428003000000 - 7200000000 + 900000, 0, false, false},  /* less than a second */
                {90000000, 1795428086000000 - 7200000000 + 900000, 0, false, false}, /* a late look */
        };
        struct clock c = {0};

        for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
                struct rt_time now = {.mono_us = looks[i].mono_us, .wall_us = looks[i].wall_us};
                bool was;

                assert_int_equal(clock_update(&c, &now, looks[i].unsynced, &was), looks[i].by_us);
                assert_int_equal(was, looks[i].was_unsynced);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(steps_are_told_and_nothing_else)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
