/*
 * test_spool_live: another configuration while the spool runs.  Virtual time, a real file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

enum { S = 1000000, MIB = 1 << 20 };

static struct fixture T;
static uint32_t tag;

static int set_up(void **state)
{
        fixture_init(&T, "spool_live", 1);
        T.conf.max_size_bytes = 8 * MIB;
        T.conf.when_full = SPOOL_BLOCK;
        T.conf.batch_rows = 500;
        T.conf.batch_bytes = 64 << 10;
        fixture_open(&T);
        return tags_intern(T.tags, "m", "v", "", "", "d", &tag);
}

static int tear_down(void **state)
{
        fixture_close(&T);
        fixture_fini(&T);
        return 0;
}

/* A text of `len` bytes; 0 for a number. */
static int put(size_t len)
{
        static char text[4 * MIB];
        struct reading r = {.tag = tag, .type = len ? READING_TEXT : READING_F64, .arrival_us = T.sim.now.wall_us};

        r.ts_us = r.arrival_us;
        memset(text, 'x', len);
        if (len) {
                r.v.text = text;
                r.len = (uint32_t)len;
        }
        return spool_append(T.spool, &r);
}

static void fill(void)
{
        for (int i = 0; i < 100000; i++) {
                if (!spool_has_room(T.spool, 1, 1000)) {
                        fixture_run_for(&T, S / 10);
                        if (!spool_has_room(T.spool, 1, 1000))
                                return;
                }
                assert_int_equal(put(1000), 0);
        }
        fail();
}

/* What an operator does when the plant stands because the spool is full. */
static void a_larger_spool_takes_more_at_once(void **state)
{
        uint64_t held;

        fill();
        held = fixture_counts(&T).held;
        fixture_run_for(&T, 100 * S);
        assert_false(spool_has_room(T.spool, 1, 1000));
        T.conf.max_size_bytes = 16 * MIB;
        T.n_room = 0;
        spool_reconfigure(T.spool, &T.conf);
        fixture_run_for(&T, S);
        assert_int_equal(T.n_room, 1);
        fill();
        assert_in_range(fixture_counts(&T).held, held * 2, held * 3); /* the WAL's share does not grow with it */
        assert_true(db_bytes(T.path) <= 16 * MIB);
        assert_int_equal(T.n_dropped, 0);
}

static void a_smaller_one_gives_way_as_it_says(void **state)
{
        uint64_t held;

        T.conf.when_full = SPOOL_DROP_OLDEST;
        spool_reconfigure(T.spool, &T.conf);
        for (int i = 0; i < 8000; i++) {
                assert_int_equal(put(1000), 0);
                if (i % 50 == 49)
                        fixture_run_for(&T, S);
        }
        held = fixture_counts(&T).held;
        assert_true(T.n_dropped > 0);
        T.conf.max_size_bytes = 4 * MIB;
        spool_reconfigure(T.spool, &T.conf);
        for (int i = 0; i < 200; i++) {
                assert_int_equal(put(1000), 0);
                fixture_run_for(&T, S);
        }
        assert_true(db_bytes(T.path) <= 4 * MIB);
        assert_in_range(fixture_counts(&T).held, 1, held * 6 / 10);
        assert_int_equal(fixture_counts(&T).dropped, T.n_dropped);
}

static void blocked_sources_go_on_when_the_oldest_may_go(void **state)
{
        fill();
        assert_false(spool_has_room(T.spool, 1, 1000));
        T.conf.when_full = SPOOL_DROP_OLDEST;
        T.n_room = 0;
        spool_reconfigure(T.spool, &T.conf);
        fixture_run_for(&T, S);
        assert_int_equal(T.n_room, 1);
        for (int i = 0; i < 1000; i++) {
                assert_true(spool_has_room(T.spool, 1, 1000));
                assert_int_equal(put(1000), 0);
                if (i % 20 == 19)
                        fixture_run_for(&T, S);
        }
        fixture_run_for(&T, S);
        assert_int_equal(fixture_counts(&T).dropped, T.n_dropped);
        assert_true(T.n_dropped > 0);
}

/* A text that is longer than what was gathered in until now finds room in the next batch. */
static void larger_and_smaller_batches(void **state)
{
        T.conf.max_size_bytes = 64 * MIB;
        T.conf.batch_bytes = MIB;
        T.conf.batch_rows = 2000;
        assert_int_equal(put(1000), 0); /* the batch is in use */
        T.sim.work_delay_us = S / 2;
        spool_reconfigure(T.spool, &T.conf);
        fixture_run_for(&T, S / 10); /* its commit is under way, the next one gathers */
        assert_true(spool_has_room(T.spool, 1, MIB));
        assert_int_equal(put(MIB), 0);
        T.conf.batch_bytes = 32 << 10;
        T.conf.batch_rows = 100;
        spool_reconfigure(T.spool, &T.conf); /* holds more than it may from now on */
        assert_false(spool_has_room(T.spool, 1, 1));
        fixture_run_for(&T, 5 * S);
        assert_int_equal(put(MIB), SPOOL_E_BUSY);
        for (int i = 0; i < 100; i++)
                assert_int_equal(put(0), 0);
        assert_int_equal(put(0), SPOOL_E_BUSY);
        fixture_run_for(&T, 5 * S);
        assert_int_equal(fixture_counts(&T).accepted, 102);
}

static void the_interval_and_what_is_kept(void **state)
{
        T.conf.commit_interval_us = 10 * S;
        T.conf.keep_delivered_us = 0;
        spool_reconfigure(T.spool, &T.conf);
        fixture_run_for(&T, S);
        assert_int_equal(put(0), 0);
        fixture_run_for(&T, 9 * S);
        assert_int_equal(fixture_counts(&T).accepted, 0);
        fixture_run_for(&T, 2 * S);
        assert_int_equal(fixture_counts(&T).accepted, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_larger_spool_takes_more_at_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_smaller_one_gives_way_as_it_says, set_up, tear_down),
                cmocka_unit_test_setup_teardown(blocked_sources_go_on_when_the_oldest_may_go, set_up, tear_down),
                cmocka_unit_test_setup_teardown(larger_and_smaller_batches, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_interval_and_what_is_kept, set_up, tear_down),
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
