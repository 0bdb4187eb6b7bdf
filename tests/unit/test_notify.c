/*
 * When the watchdog is fed: for as long as commits and deliveries move or have nothing to move, and not a moment longer
 * than they are given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/systemd.h"

enum { S = 1000000 };

/* One moment, and whether it is fed then. Times in seconds. */
struct moment {
        int64_t at_s;
        uint64_t commits;
        bool to_commit, disk_failing;
        uint64_t delivered;
        bool to_deliver;
        bool fed;
};

static void play(const struct moment *m, size_t n)
{
        struct notify_progress p = {0};

        for (size_t i = 0; i < n; i++) {
                struct notify_seen seen = {.mono_us = m[i].at_s * S,
                                           .commits = m[i].commits,
                                           .to_commit = m[i].to_commit,
                                           .disk_failing = m[i].disk_failing,
                                           .delivered = m[i].delivered,
                                           .to_deliver = m[i].to_deliver};

                if (notify_may_feed(&p, &seen) != m[i].fed)
                        fail_msg("moment %zu, at %lld s", i, (long long)m[i].at_s);
        }
}
#define PLAY(...)                                                     \
        do {                                                          \
                static const struct moment moments[] = {__VA_ARGS__}; \
                play(moments, sizeof(moments) / sizeof(*moments));    \
        } while (0)

static void test_idle_is_alive(void **state)
{
        PLAY({100, 0, .fed = true}, {4000, 0, .fed = true}, {90000, 0, .fed = true});
}

static void test_a_machine_that_has_been_up_for_long(void **state)
{
        PLAY({9000000, 7, .to_commit = true, .delivered = 9, .to_deliver = true, .fed = true});
}

static void test_a_commit_that_does_not_end(void **state)
{
        PLAY({100, 5, .to_commit = true, .fed = true}, {130, 5, .to_commit = true, .fed = true},
             {131, 5, .to_commit = true, .fed = false}, {500, 5, .to_commit = true, .fed = false},
             {501, 6, .to_commit = true, .fed = true}, {531, 6, .to_commit = true, .fed = true},
             {532, 6, .to_commit = true, .fed = false});
}

static void test_time_without_work_does_not_count(void **state)
{
        PLAY({100, 5, .fed = true}, {1000, 5, .fed = true}, {1001, 5, .to_commit = true, .fed = true},
             {1030, 5, .to_commit = true, .fed = true}, {1031, 5, .to_commit = true, .fed = false});
}

static void test_a_full_disk_is_no_reason_for_a_restart(void **state)
{
        PLAY({100, 5, .to_commit = true, .disk_failing = true, .fed = true},
             {9000, 5, .to_commit = true, .disk_failing = true, .fed = true}, {9030, 5, .to_commit = true, .fed = true},
             {9031, 5, .to_commit = true, .fed = false});
}

static void test_records_without_an_answer(void **state)
{
        PLAY({100, 1, .delivered = 3, .to_deliver = true, .fed = true},
             {700, 2, .delivered = 3, .to_deliver = true, .fed = true},
             {701, 3, .delivered = 3, .to_deliver = true, .fed = false},
             {702, 3, .delivered = 4, .to_deliver = true, .fed = true});
}

static void test_a_broker_that_is_away_is_no_reason_for_a_restart(void **state)
{
        PLAY({100, 1, .delivered = 3, .to_deliver = true, .fed = true}, {200, 1, .delivered = 3, .fed = true},
             {90000, 1, .delivered = 3, .fed = true}, {90001, 1, .delivered = 3, .to_deliver = true, .fed = true});
}

static void test_one_does_not_cover_for_the_other(void **state)
{
        PLAY({100, 1, .to_commit = true, .delivered = 1, .to_deliver = true, .fed = true},
             {140, 1, .to_commit = true, .delivered = 9, .to_deliver = true, .fed = false},
             {150, 2, .to_commit = true, .delivered = 9, .to_deliver = true, .fed = true},
             {751, 3, .to_commit = true, .delivered = 9, .to_deliver = true, .fed = false});
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_idle_is_alive),
                cmocka_unit_test(test_a_machine_that_has_been_up_for_long),
                cmocka_unit_test(test_a_commit_that_does_not_end),
                cmocka_unit_test(test_time_without_work_does_not_count),
                cmocka_unit_test(test_a_full_disk_is_no_reason_for_a_restart),
                cmocka_unit_test(test_records_without_an_answer),
                cmocka_unit_test(test_a_broker_that_is_away_is_no_reason_for_a_restart),
                cmocka_unit_test(test_one_does_not_cover_for_the_other),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
