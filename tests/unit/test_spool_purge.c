/*
 * test_spool_purge: what an operator has taken away goes, with a line in the ledger when it was held; nothing else
 * does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "store/inspect/query.h"
#include "tests/lib/spool_fixture.h"

enum { ROWS = 30000 };

static struct fixture T;
static uint64_t purged;

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        if (!strcmp(reason, "purged"))
                purged += n;
}

static struct spool_counts counts(void)
{
        fixture_run_for(&T, 5000000);
        return fixture_counts(&T);
}

static int setup(void **state)
{
        uint32_t tag;

        fixture_init(&T, "spool_purge", 3);
        T.conf.commit_interval_us = 100000;
        T.conf.keep_delivered_us = 3600000000;
        T.up.on_dropped = on_dropped;
        purged = 0;
        fixture_open(&T);
        tags_intern(T.tags, "press-1", "temp", "degC", "", "plant", &tag);
        for (int i = 1; i <= ROWS; i++) {
                struct reading r = {
                        .ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us, .type = READING_F64, .v.f64 = i};

                if (i % 1000 == 0)
                        fixture_run_for(&T, 1000000);
                assert_int_equal(spool_append(T.spool, &r), 0);
        }
        spool_append_event(T.spool, T.sim.now.wall_us, "link", 100, SPOOL_NO_TAG, "\"kind\":\"link\"", 13);
        spool_ack(T.spool, SPOOL_SAMPLES, 1000);
        spool_pin(T.spool, SPOOL_SAMPLES, 1500);
        counts();
        return 0;
}

static int teardown(void **state)
{
        fixture_fini(&T);
        return 0;
}

static void test_up_to_a_seq(void **state)
{
        struct spool_counts c;

        spool_purge(T.spool, 20000);
        assert_true(spool_is_purging(T.spool));
        c = counts();
        assert_false(spool_is_purging(T.spool));
        assert_int_equal(purged, 18500); /* 1,000 were delivered, 500 are on their way */
        assert_int_equal(c.dropped, 18500);
        assert_int_equal(c.delivered, 1000);
        assert_int_equal(c.held, 10500);
        assert_int_equal(c.events_held, 1);
        fixture_verify(&T);
        spool_ack(T.spool, SPOOL_SAMPLES, 1500);
        c = counts();
        assert_int_equal(c.acked_seq[SPOOL_SAMPLES], 20000); /* over the gap */
        assert_int_equal(c.delivered, 1500);
        assert_int_equal(c.held, 10000);
}

static void test_everything_and_then_more_readings(void **state)
{
        struct reading r = {
                .ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us, .type = READING_F64, .v.f64 = 1};
        struct spool_counts c;

        spool_pin(T.spool, SPOOL_SAMPLES, 0);
        assert_int_equal(spool_append(T.spool, &r), 0);
        spool_purge(T.spool, ROWS + 1);
        assert_int_equal(spool_append(T.spool, &r), 0);
        c = counts();
        assert_int_equal(c.held, 1);
        assert_int_equal(c.dropped, ROWS + 1 - 1000);
        assert_int_equal(c.accepted, ROWS + 2);
        fixture_verify(&T);
        fixture_cut_power(&T);
        fixture_open(&T);
        assert_int_equal(counts().held, 1);
        assert_int_equal(spool_appended_seq(T.spool, SPOOL_SAMPLES), ROWS + 2);
        spool_purge(T.spool, 5); /* nothing there */
        assert_int_equal(counts().dropped, c.dropped);
        assert_false(spool_is_purging(T.spool));
}

/* Of a spool without a reading; what comes later was not meant. */
static void test_nothing(void **state)
{
        struct reading r = {.ts_us = FIXTURE_WALL_US, .arrival_us = FIXTURE_WALL_US};
        uint32_t tag;

        fixture_init(&T, "spool_purge", 4);
        fixture_open(&T);
        tags_intern(T.tags, "press-1", "temp", "degC", "", "plant", &tag);
        spool_purge(T.spool, 10);
        counts();
        assert_false(spool_is_purging(T.spool));
        assert_int_equal(spool_append(T.spool, &r), 0);
        assert_int_equal(counts().held, 1);
}

/* A batch waits for room: what is purged meanwhile is told all the same, and once. */
static void test_while_sources_are_blocked(void **state)
{
        struct reading r = {.ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us};
        struct spool_counts c;

        T.conf.when_full = SPOOL_BLOCK;
        T.conf.max_size_bytes = 1 << 20;
        assert_int_equal(spool_append(T.spool, &r), 0);
        spool_reconfigure(T.spool, &T.conf);
        c = counts();
        assert_true(c.failing);
        assert_int_equal(c.accepted, ROWS);
        spool_purge(T.spool, 2000);
        fixture_run_for(&T, 120000000);
        c = counts();
        assert_true(c.failing);
        assert_int_equal(c.dropped, 500);
        assert_int_equal(purged, 500);
        spool_purge(T.spool, ROWS);
        fixture_run_for(&T, 120000000);
        c = counts();
        assert_false(c.failing);
        assert_int_equal(c.held, 501);
        assert_int_equal(purged, ROWS - 1500);
        fixture_verify(&T);
}

static bool on_dead(void *ctx, const struct spool_query_dead *dead)
{
        uint64_t *ids = ctx;

        ids[ids[0] + 1] = dead->id;
        ids[0]++;
        return true;
}

static uint64_t dead_ids(uint64_t ids[4])
{
        struct spool_query *q;
        struct err e;

        ids[0] = 0;
        assert_int_equal(spool_query_open(&q, T.path, &e), 0);
        assert_int_equal(spool_query_dead_letters(q, on_dead, ids, &e), 0);
        spool_query_close(q);
        return ids[0];
}

static void test_a_dead_letter_that_was_delivered(void **state)
{
        uint64_t ids[4], held = counts().held;

        spool_dead_letter(T.spool, SPOOL_SAMPLES, 1200, "too large");
        spool_dead_letter(T.spool, SPOOL_SAMPLES, 1300, "too large");
        counts();
        assert_int_equal(dead_ids(ids), 2);
        assert_true(spool_forget_dead(T.spool, ids[1]));
        counts();
        assert_int_equal(dead_ids(ids), 1);
        assert_int_equal(counts().dropped, 2); /* the ledger does not change */
        assert_int_equal(counts().held, held - 2);
        fixture_verify(&T);
}

static bool count_dead(void *ctx, const struct spool_query_dead *dead)
{
        ++*(int *)ctx;
        return true;
}

static int n_dead(void)
{
        struct spool_query *q;
        struct err e;
        int n = 0;

        assert_int_equal(spool_query_open(&q, T.path, &e), 0);
        assert_int_equal(spool_query_dead_letters(q, count_dead, &n, &e), 0);
        spool_query_close(q);
        return n;
}

static void bury(uint64_t first, uint64_t last)
{
        for (uint64_t seq = first; seq <= last; seq++)
                spool_dead_letter(T.spool, SPOOL_SAMPLES, seq, "too large");
        counts();
}

/* What was delivered makes room for others; what is kept is bounded by what it takes, text and all. */
static void test_the_room_for_dead_letters(void **state)
{
        static const char text[3000] = {[0 ... 2999] = 'x'};
        struct reading r = {.ts_us = FIXTURE_WALL_US, .arrival_us = FIXTURE_WALL_US, .type = READING_TEXT};
        uint32_t tag;

        fixture_init(&T, "spool_purge", 5);
        T.conf.max_size_bytes = 1 << 20; /* a 32nd is theirs */
        fixture_open(&T);
        tags_intern(T.tags, "press-1", "temp", "degC", "", "plant", &tag);
        for (int i = 0; i < 340; i++) {
                r.v.text = text;
                r.len = i < 300 ? 1 : sizeof(text);
                assert_int_equal(spool_append(T.spool, &r), 0);
                if (i % 10 == 9)
                        fixture_run_for(&T, 2000000);
        }
        bury(1, 200);
        assert_int_equal(n_dead(), 200);
        for (uint64_t id = 1; id <= 200; id++)
                assert_true(spool_forget_dead(T.spool, id));
        counts();
        assert_int_equal(n_dead(), 0);
        bury(201, 300);
        assert_int_equal(n_dead(), 100);
        bury(301, 340);
        assert_in_range(n_dead(), 5, 11);
        fixture_verify(&T);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_up_to_a_seq, setup, teardown),
                cmocka_unit_test_setup_teardown(test_everything_and_then_more_readings, setup, teardown),
                cmocka_unit_test_teardown(test_nothing, teardown),
                cmocka_unit_test_teardown(test_the_room_for_dead_letters, teardown),
                cmocka_unit_test_setup_teardown(test_while_sources_are_blocked, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_dead_letter_that_was_delivered, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
