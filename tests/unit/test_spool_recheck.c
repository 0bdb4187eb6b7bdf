/*
 * test_spool_recheck: what a damaged file hides is found, by whoever reads it, and after a start that was not clean
 * though nobody reads; and what is gone for a reason is no damage.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

#define S_US 1000000

enum { ROWS = 20000, ACKED = 500 };

static struct fixture T;
static jmp_buf damaged;

static void on_damaged(void *ctx)
{
        longjmp(damaged, 1);
}

static void put(int64_t value)
{
        struct reading r = {.ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us, .type = READING_I64};

        assert_int_equal(tags_intern(T.tags, "press-1", value % 2 ? "a" : "b", "", "", "sim", &r.tag), 0);
        r.v.i64 = value;
        assert_int_equal(spool_append(T.spool, &r), 0);
}

static void fill(void)
{
        fixture_open(&T);
        for (int i = 0; i < ROWS; i++) {
                put(i + 1);
                if (i % 1000 == 999)
                        fixture_run_for(&T, 2 * S_US);
        }
        spool_append_event(T.spool, T.sim.now.wall_us, "link", 100, SPOOL_NO_TAG, "\"kind\":\"link\"", 13);
        spool_ack(T.spool, SPOOL_SAMPLES, ACKED);
        spool_dead_letter(T.spool, SPOOL_SAMPLES, 3000, "too large");
        spool_refuse(T.spool, 7, "spool_full");
        fixture_run_for(&T, 3 * S_US);
}

/* What the start looks at itself is over; then the file is damaged under it and the power cut. */
static void damage(const char *sql)
{
        fill();
        fixture_close(&T);
        fixture_open(&T);
        put(1);
        fixture_run_for(&T, 2 * S_US);
        db_run(T.path, sql);
        fixture_cut_power(&T);
}

/* True: within so long the file was found damaged, and what runs was forgotten. */
static bool is_found_within(int64_t us)
{
        if (setjmp(damaged)) {
                fixture_cut_power(&T);
                return true;
        }
        fixture_run_for(&T, us);
        return false;
}

/* The next start has a new file with all but `lost`. */
static void assert_rescued(uint64_t lost)
{
        uint64_t epoch = (uint64_t)db_ask(T.path, "SELECT value FROM meta WHERE key = 'epoch'");
        struct spool_counts c;

        fixture_open(&T);
        c = fixture_counts(&T);
        assert_true(c.epoch > epoch);
        assert_int_equal(c.held, ROWS + 1 - ACKED - 1 - lost);
        assert_int_equal(db_ask(T.path, "SELECT coalesce(sum(n), 0) FROM dropped WHERE reason = 'lost'"), lost);
}

static void rows_that_are_gone_are_found_though_nobody_reads(void **state)
{
        damage("DELETE FROM sample WHERE seq BETWEEN 15000 AND 15003");
        fixture_open(&T);
        assert_true(is_found_within(60 * S_US));
        assert_rescued(4);
}

static void a_row_of_no_tag_is_found(void **state)
{
        damage("UPDATE sample SET bits = bits | 4194303 WHERE seq = 15000");
        fixture_open(&T);
        assert_true(is_found_within(60 * S_US));
}

static void noise_in_pages_is_found(void **state)
{
        char noise[40000];
        struct stat st;
        int fd;

        damage("PRAGMA wal_checkpoint(TRUNCATE)");
        fixture_open(&T); /* and a -wal again */
        put(1);
        fixture_run_for(&T, 2 * S_US);
        fixture_cut_power(&T);
        for (size_t i = 0; i < sizeof(noise); i++)
                noise[i] = (char)(i * 2654435761u >> 7);
        fd = open(T.path, O_WRONLY);
        assert_true(fd >= 0 && fstat(fd, &st) == 0);
        assert_int_equal(pwrite(fd, noise, sizeof(noise), st.st_size / 2), sizeof(noise));
        close(fd);
        fixture_open(&T);
        assert_true(is_found_within(60 * S_US));
        fixture_open(&T);
        assert_true(fixture_counts(&T).dropped > 100);
}

static void on_rows(struct spool_fetch *f)
{
        assert_true(f->failed && !f->n_rows);
}

/* A clean start does not look; whoever reads does. */
static void who_reads_finds_it(void **state)
{
        fill();
        fixture_close(&T);
        db_run(T.path, "DELETE FROM sample WHERE seq BETWEEN 15000 AND 15003");
        fixture_open(&T);
        assert_false(is_found_within(60 * S_US));
        spool_fetch_init(&T.fetch, SPOOL_SAMPLES, 1000, 1000);
        T.fetch.after_seq = 14500;
        T.fetch.on_rows = on_rows;
        if (setjmp(damaged)) {
                fixture_cut_power(&T);
                fixture_open(&T);
                assert_int_equal(db_ask(T.path, "SELECT sum(n) FROM dropped WHERE reason = 'lost'"), 4);
                return;
        }
        for (int i = 0; i < 10; i++) {
                spool_fetch(T.spool, &T.fetch);
                fixture_run_for(&T, S_US);
        }
        fail();
}

/* Delivered, in the ledger, purged meanwhile: no damage. */
static void what_is_gone_for_a_reason_is_none(void **state)
{
        fill();
        fixture_cut_power(&T);
        fixture_open(&T);
        spool_purge(T.spool, 9000);
        assert_false(is_found_within(60 * S_US));
        assert_true(fixture_counts(&T).held > 0);
}

static int setup(void **state)
{
        fixture_init_in_memory(&T, "spool_recheck", 11);
        T.up.on_damaged = on_damaged;
        log_init(LOG_ERROR);
        return 0;
}

static int teardown(void **state)
{
        fixture_fini(&T);
        return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(rows_that_are_gone_are_found_though_nobody_reads),
                TEST(a_row_of_no_tag_is_found),
                TEST(noise_in_pages_is_found),
                TEST(who_reads_finds_it),
                TEST(what_is_gone_for_a_reason_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
