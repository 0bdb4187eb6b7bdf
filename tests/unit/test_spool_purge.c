/*
 * test_spool_purge: what an operator has taken away goes, with a line in the ledger when it was held; nothing else
 * does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/rt_sim.h"
#include "store/inspect/query.h"
#include "store/inspect/verify.h"
#include "store/spool.h"

enum { ROWS = 30000 };

static char dir[64], path[96];
static struct rt_sim sim;
static struct tags *tags;
static struct spool *spool;
static uint64_t purged;

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        if (!strcmp(reason, "purged"))
                purged += n;
}

static void open_spool(void)
{
        struct spool_conf conf = {.path = path,
                                  .max_size_bytes = 64 << 20,
                                  .commit_interval_us = 100000,
                                  .keep_delivered_us = 3600000000,
                                  .batch_rows = 2000,
                                  .batch_bytes = 1 << 20,
                                  .quarantine_bytes = 1 << 16};
        struct spool_upcalls up = {.on_dropped = on_dropped};
        struct err e;

        tags = tags_new(10);
        if (spool_open(&spool, &sim.rt, &conf, "gw-7", tags, &up, &e) < 0)
                fail_msg("%s", e.text);
}

static void run_for(int64_t us)
{
        rt_sim_run(&sim, sim.now.mono_us + us, NULL, NULL);
}

static struct spool_counts counts(void)
{
        struct spool_counts c;

        run_for(5000000);
        spool_counts(spool, &c);
        assert_int_equal(c.accepted, c.delivered + c.held + c.dropped);
        return c;
}

static int setup(void **state)
{
        uint32_t tag;

        strcpy(dir, "/tmp/test_spool_purge_XXXXXX");
        if (!mkdtemp(dir))
                return -1;
        snprintf(path, sizeof(path), "%s/spool.db", dir);
        rt_sim_init(&sim, 3, 1795428000000000);
        purged = 0;
        open_spool();
        tags_intern(tags, "press-1", "temp", "degC", "", "plant", &tag);
        for (int i = 1; i <= ROWS; i++) {
                struct reading r = {
                        .ts_us = sim.now.wall_us, .arrival_us = sim.now.wall_us, .type = READING_F64, .v.f64 = i};

                if (i % 1000 == 0)
                        run_for(1000000);
                assert_int_equal(spool_append(spool, &r), 0);
        }
        spool_append_event(spool, sim.now.wall_us, "link", 100, SPOOL_NO_TAG, "\"kind\":\"link\"", 13);
        spool_ack(spool, SPOOL_SAMPLES, 1000);
        spool_pin(spool, SPOOL_SAMPLES, 1500);
        counts();
        return 0;
}

static int teardown(void **state)
{
        char command[128];

        rt_sim_cut(&sim);
        spool_abandon(spool);
        tags_free(tags);
        rt_sim_fini(&sim);
        snprintf(command, sizeof(command), "rm -rf %s", dir);
        return system(command);
}

static void on_fault(void *ctx, const char *what)
{
        fail_msg("verify: %s", what);
}

static void verify(void)
{
        struct spool_verify v = {.path = path, .pages = true, .on_fault = on_fault};
        struct err e;

        assert_int_equal(spool_verify(&v, &e), 0);
}

static void test_up_to_a_seq(void **state)
{
        struct spool_counts c;

        spool_purge(spool, 20000);
        assert_true(spool_is_purging(spool));
        c = counts();
        assert_false(spool_is_purging(spool));
        assert_int_equal(purged, 18500); /* 1,000 were delivered, 500 are on their way */
        assert_int_equal(c.dropped, 18500);
        assert_int_equal(c.delivered, 1000);
        assert_int_equal(c.held, 10500);
        assert_int_equal(c.events_held, 1);
        verify();
        spool_ack(spool, SPOOL_SAMPLES, 1500);
        c = counts();
        assert_int_equal(c.acked_seq[SPOOL_SAMPLES], 20000); /* over the gap */
        assert_int_equal(c.delivered, 1500);
        assert_int_equal(c.held, 10000);
}

static void test_everything_and_then_more_readings(void **state)
{
        struct reading r = {.ts_us = sim.now.wall_us, .arrival_us = sim.now.wall_us, .type = READING_F64, .v.f64 = 1};
        struct spool_counts c;

        spool_pin(spool, SPOOL_SAMPLES, 0);
        assert_int_equal(spool_append(spool, &r), 0);
        spool_purge(spool, ROWS + 1);
        assert_int_equal(spool_append(spool, &r), 0);
        c = counts();
        assert_int_equal(c.held, 1);
        assert_int_equal(c.dropped, ROWS + 1 - 1000);
        assert_int_equal(c.accepted, ROWS + 2);
        verify();
        rt_sim_cut(&sim);
        spool_abandon(spool);
        tags_free(tags);
        open_spool();
        assert_int_equal(counts().held, 1);
        assert_int_equal(spool_appended_seq(spool, SPOOL_SAMPLES), ROWS + 2);
        spool_purge(spool, 5); /* nothing there */
        assert_int_equal(counts().dropped, c.dropped);
        assert_false(spool_is_purging(spool));
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
        assert_int_equal(spool_query_open(&q, path, &e), 0);
        assert_int_equal(spool_query_dead_letters(q, on_dead, ids, &e), 0);
        spool_query_close(q);
        return ids[0];
}

static void test_a_dead_letter_that_was_delivered(void **state)
{
        uint64_t ids[4], held = counts().held;

        spool_dead_letter(spool, SPOOL_SAMPLES, 1200, "too large");
        spool_dead_letter(spool, SPOOL_SAMPLES, 1300, "too large");
        counts();
        assert_int_equal(dead_ids(ids), 2);
        assert_true(spool_forget_dead(spool, ids[1]));
        counts();
        assert_int_equal(dead_ids(ids), 1);
        assert_int_equal(counts().dropped, 2); /* the ledger does not change */
        assert_int_equal(counts().held, held - 2);
        verify();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_up_to_a_seq, setup, teardown),
                cmocka_unit_test_setup_teardown(test_everything_and_then_more_readings, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_dead_letter_that_was_delivered, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
