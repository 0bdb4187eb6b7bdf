/*
 * test_spool_time: a clock that was wrong at boot and is then set: what was not yet sent is moved, and says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

#define S_US 1000000

static struct fixture T;

static void put(unsigned flags)
{
        struct reading r = {.ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us, .type = READING_F64};

        assert_int_equal(
                tags_intern(T.tags, "press-1", flags & READING_SOURCE_TIME ? "source" : "own", "", "", "sim", &r.tag),
                0);
        if (flags & READING_SOURCE_TIME)
                r.ts_us = 1700000000ll * S_US + T.sim.now.mono_us;
        r.flags = (uint16_t)flags;
        assert_int_equal(spool_append(T.spool, &r), 0);
}

static int64_t ask(const char *what, uint64_t seq)
{
        char sql[200];

        snprintf(sql, sizeof(sql), "SELECT %s FROM reading WHERE seq = %lu", what, (unsigned long)seq);
        return db_ask(T.path, sql);
}

enum { UNSYNCED = READING_CLOCK_UNSYNCED, REPAIRED = READING_CLOCK_UNSYNCED | READING_TIME_REPAIRED };

/* A board of 1970: readings are kept as they are, then moved by 56 years; the file's and the batch's alike. */
static void rows_of_1970_find_their_time(void **state)
{
        int64_t by_us = 1795428000ll * S_US, first_us = T.sim.now.wall_us;

        for (int i = 0; i < 20; i++) {
                put(UNSYNCED);
                fixture_run_for(&T, S_US);
        }
        assert_int_equal(ask("ts_us", 1), first_us);
        put(UNSYNCED); /* 21: still in memory */
        fixture_run_for(&T, 1000);
        rt_sim_step_wall(&T.sim, by_us);
        put(UNSYNCED); /* 22: after the step, before it was seen */
        spool_repair_time(T.spool, by_us, 0, 20);
        put(0);
        fixture_run_for(&T, 5 * S_US);
        for (uint64_t seq = 1; seq <= 21; seq++) {
                assert_int_equal(ask("ts_us", seq), first_us + by_us + ((int64_t)seq - 1) * S_US);
                assert_int_equal(ask("delay_us", seq), 0);
                assert_int_equal(ask("flags", seq), REPAIRED);
        }
        assert_int_equal(ask("flags", 22), UNSYNCED);
        assert_true(ask("ts_us", 22) > ask("ts_us", 21));
        assert_int_equal(ask("flags", 23), 0);
}

/* What the source said about time stays; only when it came is moved. */
static void the_sources_own_time_stays(void **state)
{
        int64_t ts_us, arrival_us = T.sim.now.wall_us;

        put(UNSYNCED | READING_SOURCE_TIME);
        fixture_run_for(&T, S_US);
        ts_us = ask("ts_us", 1);
        rt_sim_step_wall(&T.sim, 3600ll * S_US);
        spool_repair_time(T.spool, 3600ll * S_US, 0, 1);
        fixture_run_for(&T, 5 * S_US);
        assert_int_equal(ask("ts_us", 1), ts_us);
        assert_int_equal(ask("ts_us + delay_us", 1), arrival_us + 3600ll * S_US);
        assert_int_equal(ask("flags", 1), REPAIRED | READING_SOURCE_TIME);
}

static void what_may_be_out_already_is_left_alone(void **state)
{
        int64_t first_us = T.sim.now.wall_us;

        for (int i = 0; i < 10; i++) {
                put(i == 8 ? 0 : UNSYNCED); /* the ninth came while the clock was right */
                fixture_run_for(&T, S_US);
        }
        spool_ack(T.spool, SPOOL_SAMPLES, 2);
        spool_pin(T.spool, SPOOL_SAMPLES, 5);
        rt_sim_step_wall(&T.sim, 3600ll * S_US);
        spool_repair_time(T.spool, 3600ll * S_US, 6, 10);
        fixture_run_for(&T, 5 * S_US);
        for (uint64_t seq = 3; seq <= 10; seq++) {
                bool moved = seq > 6 && seq != 9;

                assert_int_equal(ask("ts_us", seq), first_us + ((int64_t)seq - 1) * S_US + (moved ? 3600ll * S_US : 0));
        }
}

/* A clock set back: times go back with it, and the next reading is not pushed ahead of the old ones. */
static void a_step_back_takes_the_tags_times_along(void **state)
{
        int64_t first_us = T.sim.now.wall_us, by_us = -7200ll * S_US;

        for (int i = 0; i < 5; i++) {
                put(UNSYNCED);
                fixture_run_for(&T, S_US);
        }
        rt_sim_step_wall(&T.sim, by_us);
        spool_repair_time(T.spool, by_us, 0, 5);
        put(0);
        fixture_run_for(&T, 5 * S_US);
        assert_int_equal(ask("ts_us", 5), first_us + by_us + 4 * S_US);
        assert_int_equal(ask("ts_us", 6), first_us + by_us + 5 * S_US);
        assert_int_equal(ask("flags", 6), 0);
}

/* More rows than one commit moves; and a second step before the first is through. */
static void many_rows_are_moved_a_stretch_at_a_time(void **state)
{
        int64_t first_us = T.sim.now.wall_us;

        for (int i = 0; i < 24000; i++) {
                put(UNSYNCED);
                fixture_run_for(&T, 1000);
        }
        fixture_run_for(&T, S_US);
        rt_sim_step_wall(&T.sim, 100ll * S_US);
        spool_repair_time(T.spool, 100ll * S_US, 0, 24000);
        fixture_run_for(&T, 150000);
        rt_sim_step_wall(&T.sim, 1000ll * S_US);
        spool_repair_time(T.spool, 1000ll * S_US, 0, 24000);
        fixture_run_for(&T, 30 * S_US);
        assert_int_equal(ask("ts_us", 1), first_us + 1100ll * S_US);
        assert_int_equal(ask("ts_us", 24000), first_us + 1100ll * S_US + 23999 * 1000);
        assert_int_equal(ask("(SELECT count(*) FROM reading WHERE flags <> 34)", 1), 0);
}

static int setup(void **state)
{
        log_init((enum log_level)0);
        fixture_init(&T, "spool_time", 1);
        T.sim.now.wall_us = 3 * S_US;
        T.conf.max_size_bytes = 16 << 20;
        T.conf.commit_interval_us = 100000;
        fixture_open(&T);
        return 0;
}

static int teardown(void **state)
{
        fixture_close(&T);
        fixture_fini(&T);
        return 0;
}

int main(void)
{
#define AROUND(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                AROUND(rows_of_1970_find_their_time),
                AROUND(the_sources_own_time_stays),
                AROUND(what_may_be_out_already_is_left_alone),
                AROUND(a_step_back_takes_the_tags_times_along),
                AROUND(many_rows_are_moved_a_stretch_at_a_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
