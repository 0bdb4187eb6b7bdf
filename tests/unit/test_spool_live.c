/*
 * test_spool_live: another configuration while the spool runs.  Virtual time, a real file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "agent/base/rt_sim.h"
#include "store/spool.h"

enum { S = 1000000, MIB = 1 << 20 };

static struct {
        struct rt_sim sim;
        char dir[64], path[96];
        struct spool_conf conf;
        struct tags *tags;
        struct spool *spool;
        uint32_t tag;
        int n_room;
        uint64_t n_dropped;
} T;

static void on_room(void *ctx)
{
        T.n_room++;
}

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        T.n_dropped += n;
}

static int set_up(void **state)
{
        struct spool_upcalls up = {.on_room = on_room, .on_dropped = on_dropped};
        struct err e;

        memset(&T, 0, sizeof(T));
        snprintf(T.dir, sizeof(T.dir), "/tmp/live-XXXXXX");
        assert_non_null(mkdtemp(T.dir));
        snprintf(T.path, sizeof(T.path), "%s/spool.db", T.dir);
        rt_sim_init(&T.sim, 1, INT64_C(1795428000) * S);
        T.tags = tags_new(10);
        T.conf = (struct spool_conf){.path = T.path,
                                     .max_size_bytes = 8 * MIB,
                                     .when_full = SPOOL_BLOCK,
                                     .commit_interval_us = S,
                                     .batch_rows = 500,
                                     .batch_bytes = 64 << 10,
                                     .quarantine_bytes = 64 << 10};
        if (spool_open(&T.spool, &T.sim.rt, &T.conf, "gw", T.tags, &up, &e) < 0)
                fail_msg("%s", e.text);
        return tags_intern(T.tags, "m", "v", "", "", "d", &T.tag);
}

static int tear_down(void **state)
{
        char cmd[128];

        assert_true(spool_close(T.spool));
        tags_free(T.tags);
        rt_sim_fini(&T.sim);
        snprintf(cmd, sizeof(cmd), "rm -rf %s", T.dir);
        return system(cmd);
}

static void run_for(int64_t us)
{
        rt_sim_run(&T.sim, T.sim.now.mono_us + us, NULL, NULL);
}

/* A text of `len` bytes; 0 for a number. */
static int put(size_t len)
{
        static char text[4 * MIB];
        struct reading r = {.tag = T.tag, .type = len ? READING_TEXT : READING_F64, .arrival_us = T.sim.now.wall_us};

        r.ts_us = r.arrival_us;
        memset(text, 'x', len);
        if (len) {
                r.v.text = text;
                r.len = (uint32_t)len;
        }
        return spool_append(T.spool, &r);
}

static uint64_t files_bytes(void)
{
        static const char *const suffix[] = {"", "-wal", "-shm"};
        uint64_t sum = 0;
        char name[128];
        struct stat st;

        for (int i = 0; i < 3; i++) {
                snprintf(name, sizeof(name), "%s%s", T.path, suffix[i]);
                sum += stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
        }
        return sum;
}

static void fill(void)
{
        for (int i = 0; i < 100000; i++) {
                if (!spool_has_room(T.spool, 1, 1000)) {
                        run_for(S / 10);
                        if (!spool_has_room(T.spool, 1, 1000))
                                return;
                }
                assert_int_equal(put(1000), 0);
        }
        fail();
}

static struct spool_counts counts(void)
{
        struct spool_counts c;

        spool_counts(T.spool, &c);
        assert_int_equal(c.accepted, c.delivered + c.held + c.dropped);
        return c;
}

/* What an operator does when the plant stands because the spool is full. */
static void a_larger_spool_takes_more_at_once(void **state)
{
        uint64_t held;

        fill();
        held = counts().held;
        run_for(100 * S);
        assert_false(spool_has_room(T.spool, 1, 1000));
        T.conf.max_size_bytes = 16 * MIB;
        T.n_room = 0;
        spool_reconfigure(T.spool, &T.conf);
        run_for(S);
        assert_int_equal(T.n_room, 1);
        fill();
        assert_in_range(counts().held, held * 19 / 10, held * 23 / 10);
        assert_true(files_bytes() <= 16 * MIB);
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
                        run_for(S);
        }
        held = counts().held;
        assert_true(T.n_dropped > 0);
        T.conf.max_size_bytes = 4 * MIB;
        spool_reconfigure(T.spool, &T.conf);
        for (int i = 0; i < 200; i++) {
                assert_int_equal(put(1000), 0);
                run_for(S);
        }
        assert_true(files_bytes() <= 4 * MIB);
        assert_in_range(counts().held, 1, held * 6 / 10);
        assert_int_equal(counts().dropped, T.n_dropped);
}

static void blocked_sources_go_on_when_the_oldest_may_go(void **state)
{
        fill();
        assert_false(spool_has_room(T.spool, 1, 1000));
        T.conf.when_full = SPOOL_DROP_OLDEST;
        T.n_room = 0;
        spool_reconfigure(T.spool, &T.conf);
        run_for(S);
        assert_int_equal(T.n_room, 1);
        for (int i = 0; i < 1000; i++) {
                assert_true(spool_has_room(T.spool, 1, 1000));
                assert_int_equal(put(1000), 0);
                if (i % 20 == 19)
                        run_for(S);
        }
        run_for(S);
        assert_int_equal(counts().dropped, T.n_dropped);
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
        run_for(S / 10); /* its commit is under way, the next one gathers */
        assert_true(spool_has_room(T.spool, 1, MIB));
        assert_int_equal(put(MIB), 0);
        T.conf.batch_bytes = 32 << 10;
        T.conf.batch_rows = 100;
        spool_reconfigure(T.spool, &T.conf); /* holds more than it may from now on */
        assert_false(spool_has_room(T.spool, 1, 1));
        run_for(5 * S);
        assert_int_equal(put(MIB), SPOOL_E_BUSY);
        for (int i = 0; i < 100; i++)
                assert_int_equal(put(0), 0);
        assert_int_equal(put(0), SPOOL_E_BUSY);
        run_for(5 * S);
        assert_int_equal(counts().accepted, 102);
}

static void the_interval_and_what_is_kept(void **state)
{
        T.conf.commit_interval_us = 10 * S;
        T.conf.keep_delivered_us = 0;
        spool_reconfigure(T.spool, &T.conf);
        run_for(S);
        assert_int_equal(put(0), 0);
        run_for(9 * S);
        assert_int_equal(counts().accepted, 0);
        run_for(2 * S);
        assert_int_equal(counts().accepted, 1);
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
