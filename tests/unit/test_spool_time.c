/*
 * test_spool_time: a clock that was wrong at boot and is then set: what was not yet sent is moved, and says so.
 */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "agent/base/rt_sim.h"
#include "store/spool.h"

#define S_US 1000000

static char dir[64], path[96];
static struct rt_sim sim;
static struct tags *tags;
static struct spool *spool;

static void open_spool(void)
{
        struct spool_conf conf = {.path = path,
                                  .max_size_bytes = 16 << 20,
                                  .commit_interval_us = 100000,
                                  .batch_rows = 2000,
                                  .batch_bytes = 1 << 20,
                                  .quarantine_bytes = 1 << 16};
        struct err e;

        tags = tags_new(100);
        if (spool_open(&spool, &sim.rt, &conf, "gw-7", tags, NULL, &e) < 0)
                fail_msg("%s", e.text);
}

static void run_for(int64_t us)
{
        rt_sim_run(&sim, sim.now.mono_us + us, NULL, NULL);
}

static void put(unsigned flags)
{
        struct reading r = {.ts_us = sim.now.wall_us, .arrival_us = sim.now.wall_us, .type = READING_F64};

        assert_int_equal(
                tags_intern(tags, "press-1", flags & READING_SOURCE_TIME ? "source" : "own", "", "", "sim", &r.tag), 0);
        if (flags & READING_SOURCE_TIME)
                r.ts_us = 1700000000ll * S_US + sim.now.mono_us;
        r.flags = (uint16_t)flags;
        assert_int_equal(spool_append(spool, &r), 0);
}

static int64_t ask(const char *what, uint64_t seq)
{
        sqlite3_stmt *st;
        char sql[200];
        sqlite3 *c;
        int64_t v;

        snprintf(sql, sizeof(sql), "SELECT %s FROM reading WHERE seq = %lu", what, (unsigned long)seq);
        assert_int_equal(sqlite3_open_v2(path, &c, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(c, sql, -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        v = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        sqlite3_close(c);
        return v;
}

enum { UNSYNCED = READING_CLOCK_UNSYNCED, REPAIRED = READING_CLOCK_UNSYNCED | READING_TIME_REPAIRED };

/* A board of 1970: readings are kept as they are, then moved by 56 years; the file's and the batch's alike. */
static void rows_of_1970_find_their_time(void **state)
{
        int64_t by_us = 1795428000ll * S_US, first_us = sim.now.wall_us;

        for (int i = 0; i < 20; i++) {
                put(UNSYNCED);
                run_for(S_US);
        }
        assert_int_equal(ask("ts_us", 1), first_us);
        put(UNSYNCED); /* 21: still in memory */
        run_for(1000);
        rt_sim_step_wall(&sim, by_us);
        put(UNSYNCED); /* 22: after the step, before it was seen */
        spool_repair_time(spool, by_us, 0, 20);
        put(0);
        run_for(5 * S_US);
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
        int64_t ts_us, arrival_us = sim.now.wall_us;

        put(UNSYNCED | READING_SOURCE_TIME);
        run_for(S_US);
        ts_us = ask("ts_us", 1);
        rt_sim_step_wall(&sim, 3600ll * S_US);
        spool_repair_time(spool, 3600ll * S_US, 0, 1);
        run_for(5 * S_US);
        assert_int_equal(ask("ts_us", 1), ts_us);
        assert_int_equal(ask("ts_us + delay_us", 1), arrival_us + 3600ll * S_US);
        assert_int_equal(ask("flags", 1), REPAIRED | READING_SOURCE_TIME);
}

static void what_may_be_out_already_is_left_alone(void **state)
{
        int64_t first_us = sim.now.wall_us;

        for (int i = 0; i < 10; i++) {
                put(i == 8 ? 0 : UNSYNCED); /* the ninth came while the clock was right */
                run_for(S_US);
        }
        spool_ack(spool, SPOOL_SAMPLES, 2);
        spool_pin(spool, SPOOL_SAMPLES, 5);
        rt_sim_step_wall(&sim, 3600ll * S_US);
        spool_repair_time(spool, 3600ll * S_US, 6, 10);
        run_for(5 * S_US);
        for (uint64_t seq = 3; seq <= 10; seq++) {
                bool moved = seq > 6 && seq != 9;

                assert_int_equal(ask("ts_us", seq), first_us + ((int64_t)seq - 1) * S_US + (moved ? 3600ll * S_US : 0));
        }
}

/* A clock set back: times go back with it, and the next reading is not pushed ahead of the old ones. */
static void a_step_back_takes_the_tags_times_along(void **state)
{
        int64_t first_us = sim.now.wall_us, by_us = -7200ll * S_US;

        for (int i = 0; i < 5; i++) {
                put(UNSYNCED);
                run_for(S_US);
        }
        rt_sim_step_wall(&sim, by_us);
        spool_repair_time(spool, by_us, 0, 5);
        put(0);
        run_for(5 * S_US);
        assert_int_equal(ask("ts_us", 5), first_us + by_us + 4 * S_US);
        assert_int_equal(ask("ts_us", 6), first_us + by_us + 5 * S_US);
        assert_int_equal(ask("flags", 6), 0);
}

/* More rows than one commit moves; and a second step before the first is through. */
static void many_rows_are_moved_a_stretch_at_a_time(void **state)
{
        int64_t first_us = sim.now.wall_us;

        for (int i = 0; i < 24000; i++) {
                put(UNSYNCED);
                run_for(1000);
        }
        run_for(S_US);
        rt_sim_step_wall(&sim, 100ll * S_US);
        spool_repair_time(spool, 100ll * S_US, 0, 24000);
        run_for(150000);
        rt_sim_step_wall(&sim, 1000ll * S_US);
        spool_repair_time(spool, 1000ll * S_US, 0, 24000);
        run_for(30 * S_US);
        assert_int_equal(ask("ts_us", 1), first_us + 1100ll * S_US);
        assert_int_equal(ask("ts_us", 24000), first_us + 1100ll * S_US + 23999 * 1000);
        assert_int_equal(ask("(SELECT count(*) FROM reading WHERE flags <> 34)", 1), 0);
}

static int setup(void **state)
{
        strcpy(dir, "/tmp/test_time_XXXXXX");
        log_init((enum log_level)0);
        rt_sim_init(&sim, 1, 3 * S_US);
        if (!mkdtemp(dir))
                return -1;
        snprintf(path, sizeof(path), "%s/spool.db", dir);
        open_spool();
        return 0;
}

static int teardown(void **state)
{
        static const char *const suffix[] = {"", "-wal", "-shm", ".lock", ".epoch"};
        char name[128];

        rt_sim_cut(&sim);
        spool_close(spool);
        tags_free(tags);
        rt_sim_fini(&sim);
        for (size_t i = 0; i < sizeof(suffix) / sizeof(*suffix); i++) {
                snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
                unlink(name);
        }
        return rmdir(dir);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(rows_of_1970_find_their_time),
                T(the_sources_own_time_stays),
                T(what_may_be_out_already_is_left_alone),
                T(a_step_back_takes_the_tags_times_along),
                T(many_rows_are_moved_a_stretch_at_a_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
