/*
 * test_spool_format: a reading is the same reading when it comes back, whatever its form in the file, and after an
 * update from an older format; plain SQL sees the same.
 */
#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "tests/fault/old_format.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

#define HOUR_US 3600000000ll

static struct fixture T;

static struct reading reading(void)
{
        struct reading r = {.ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us};

        assert_int_equal(tags_intern(T.tags, "press-1", "temp", "", "", "sim", &r.tag), 0);
        return r;
}

static void assert_same(const struct reading *a, const struct reading *b)
{
        assert_int_equal(a->ts_us, b->ts_us);
        assert_int_equal(a->arrival_us, b->arrival_us);
        assert_int_equal(a->tag, b->tag);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->quality, b->quality);
        assert_int_equal(a->flags, b->flags);
        assert_int_equal(a->mid, b->mid);
        if (a->type == READING_F64)
                assert_memory_equal(&a->v.f64, &b->v.f64, sizeof(double));
        else if (a->type == READING_I64)
                assert_int_equal(a->v.i64, b->v.i64);
}

static void put_and_compare(const struct reading *all, int n)
{
        uint64_t before = spool_appended_seq(T.spool, SPOOL_SAMPLES);

        for (int i = 0; i < n; i++)
                assert_int_equal(spool_append(T.spool, &all[i]), 0);
        fixture_run_for(&T, 200000);
        assert_int_equal(fixture_fetch(&T, before), n);
        for (int i = 0; i < n; i++)
                assert_same(&T.fetch.rows[i].r, &all[i]);
}

static void check_sql_value(uint64_t seq, double v)
{
        sqlite3_stmt *st;
        sqlite3 *c;
        double got;

        assert_int_equal(sqlite3_open(T.path, &c), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(c, "SELECT value FROM reading WHERE seq = ?1", -1, &st, NULL), SQLITE_OK);
        sqlite3_bind_int64(st, 1, (int64_t)seq);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        assert_int_equal(sqlite3_column_type(st, 0), SQLITE_FLOAT);
        got = sqlite3_column_double(st, 0);
        assert_memory_equal(&got, &v, sizeof(v));
        sqlite3_finalize(st);
        sqlite3_close(c);
}

static void numbers_come_back_to_the_bit(void **state)
{
        static const double values[] = {0,
                                        -0.0,
                                        1,
                                        -1,
                                        71.3,
                                        71.25,
                                        0.001,
                                        -12.345,
                                        0.1 + 0.2,
                                        1e15 + 0.5,
                                        1e300,
                                        5e-324,
                                        1 / 3.,
                                        1e-3,
                                        123456.789,
                                        140737488355.328,
                                        140737488355.327,
                                        -140737488355.328,
                                        9007199254740993.0,
                                        2147483.648,
                                        -0.0005,
                                        4503599627370495.5,
                                        INFINITY,
                                        -INFINITY};
        enum { N = sizeof(values) / sizeof(*values) };
        struct reading all[N];

        for (int i = 0; i < N; i++) {
                all[i] = reading();
                all[i].ts_us += i;
                all[i].type = READING_F64;
                all[i].v.f64 = values[i];
        }
        put_and_compare(all, N);
        for (int i = 0; i < N; i++)
                check_sql_value((uint64_t)i + 1, values[i]);
        assert_int_equal(db_ask(T.path, "SELECT typeof(value) = 'integer' FROM sample WHERE seq = 5"), 1);
}

static void many_decimals_come_back_to_the_bit(void **state)
{
        struct reading all[1500];

        for (int k = 0; k < 40; k++) {
                for (int i = 0; i < 1500; i++) {
                        char text[40];

                        all[i] = reading();
                        all[i].ts_us += i;
                        all[i].type = READING_F64;
                        snprintf(text, sizeof(text), "%.*f", i % 5,
                                 ((double)(rt_random(&T.sim.rt) * 2) - 1) * pow(10, i % 12));
                        all[i].v.f64 = strtod(text, NULL);
                }
                put_and_compare(all, 1500);
                fixture_run_for(&T, 1000000);
        }
}

static void everything_of_a_reading_comes_back(void **state)
{
        struct reading all[300];

        for (int i = 0; i < 300; i++) {
                all[i] = reading();
                all[i].ts_us += i;
                all[i].type = i % 3 ? READING_I64 : READING_NONE;
                all[i].v.i64 = i % 2 ? INT64_MIN + i : INT64_MAX - i;
                all[i].quality = (uint16_t)(i % N_QUALITIES);
                all[i].flags = (uint16_t)(i % 256);
                all[i].mid = (uint16_t)(i * 219);
                if (all[i].flags & READING_HISTORICAL)
                        all[i].ts_us -= (int64_t)i * 1000 * HOUR_US;
        }
        put_and_compare(all, 300);
        assert_int_equal(
                db_ask(T.path,
                       "SELECT count(*) FROM reading WHERE quality <> (seq - 1) % 9 OR flags <> (seq - 1) % 256 OR mid"
                       " <> (seq - 1) * 219 % 65536  OR tag <> 0"),
                0);
}

static void booleans_and_the_last_tag_come_back(void **state)
{
        struct reading r = reading();
        uint32_t at = 0;
        char name[20];

        for (int i = 0; i < 20000; i++) {
                snprintf(name, sizeof(name), "t%d", i);
                assert_int_equal(tags_intern(T.tags, "press-2", name, "", "", "sim", &at), 0);
        }
        r.tag = at;
        r.type = READING_BOOL;
        r.v.b = true;
        r.mid = 65535;
        r.flags = 255 & ~READING_HISTORICAL;
        put_and_compare(&r, 1);
        assert_true(T.fetch.rows[0].r.v.b);
        assert_int_equal(
                db_ask(T.path,
                       "SELECT tag = 20000 AND flags = (0x4000 | 239) AND mid = 65535 AND value = 1 FROM reading"),
                1);
}

/* Each hour further and each step of the clock begins a span; one fetch goes through several. */
static void times_come_back_across_spans(void **state)
{
        static const int64_t steps[] = {0,           2 * HOUR_US, -30 * 365 * 24 * HOUR_US, 1, 31 * 365 * 24 * HOUR_US,
                                        -HOUR_US / 2};
        struct reading all[60];
        int n = 0;

        for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
                rt_sim_step_wall(&T.sim, steps[k]);
                for (int i = 0; i < 10; i++, n++) {
                        all[n] = reading();
                        all[n].type = READING_F64;
                        all[n].ts_us -= i;
                        all[n].flags = READING_HISTORICAL;
                        assert_int_equal(spool_append(T.spool, &all[n]), 0);
                        fixture_run_for(&T, 150000);
                }
        }
        assert_true(db_ask(T.path, "SELECT count(*) FROM span") > 3);
        for (int after = 0; after < n; after += 7) {
                assert_int_equal(fixture_fetch(&T, (uint64_t)after), n - after);
                for (int i = after; i < n; i++) {
                        assert_int_equal(T.fetch.rows[i - after].seq, i + 1);
                        assert_same(&T.fetch.rows[i - after].r, &all[i]);
                }
        }
        assert_int_equal(db_ask(T.path, "SELECT ts_us FROM reading WHERE seq = 25"), all[24].ts_us);
}

/* Spans go with the readings they are for. */
static void old_spans_go(void **state)
{
        for (int hour = 0; hour < 20; hour++) {
                for (int i = 0; i < 10000; i++) {
                        struct reading r = reading();

                        r.type = READING_F64;
                        assert_int_equal(spool_append(T.spool, &r), 0);
                        if (i % 1000 == 999)
                                fixture_run_for(&T, 1000000);
                }
                spool_ack(T.spool, SPOOL_SAMPLES, spool_appended_seq(T.spool, SPOOL_SAMPLES));
                fixture_run_for(&T, HOUR_US + HOUR_US / 2);
        }
        assert_true(db_ask(T.path, "SELECT min(seq) FROM reading") > 100000);
        assert_true(db_ask(T.path, "SELECT count(*) FROM span") < 12);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM span_copy"), db_ask(T.path, "SELECT count(*) FROM span"));
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM reading WHERE ts_us IS NULL"), 0);
}

/* ---- an older file ---- */

enum { OLD_ROWS = 30000 };

static void make_old_file(void)
{
        for (int i = 0; i < OLD_ROWS; i++) {
                struct reading r = reading();
                char text[40];

                r.type = i % 4 == 0 ? READING_TEXT : i % 4 == 1 ? READING_BOOL : READING_F64;
                r.flags = i % 7 ? 0 : READING_HISTORICAL;
                r.quality = i % 5 == 4;
                r.mid = (uint16_t)i;
                r.v.f64 = (double)i / 10;
                if (r.type == READING_TEXT) {
                        r.v.text = text;
                        r.len = (uint32_t)snprintf(text, sizeof(text), "text %d", i);
                } else if (r.type == READING_BOOL) {
                        r.v.b = i & 1;
                }
                assert_int_equal(spool_append(T.spool, &r), 0);
                if (i % 1000 == 999)
                        fixture_run_for(&T, i % 5000 == 4999 ? HOUR_US / 2 : 200000);
        }
        fixture_run_for(&T, 1000000);
        fixture_close(&T);
        db_run(T.path, "CREATE TABLE before AS SELECT * FROM reading");
        db_run(T.path, OLD_FORMAT_SQL);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM sqlite_master WHERE name = 'sample'"), 0);
}

static void check_moved(void)
{
        assert_int_equal(db_ask(T.path, "PRAGMA user_version"), db_ask(T.path, "SELECT 10"));
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM sqlite_master WHERE name = 'reading_old'"), 0);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM reading"), OLD_ROWS);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM (SELECT * FROM reading EXCEPT SELECT * FROM before)"), 0);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM readings WHERE source = 'press-1' AND time IS NOT NULL"),
                         OLD_ROWS);
        assert_int_equal(db_ask(T.path, "PRAGMA freelist_count") < db_ask(T.path, "PRAGMA page_count"), 1);
        assert_true(fixture_fetch(&T, OLD_ROWS - 2) == 2 && T.fetch.rows[1].seq == OLD_ROWS);
}

static void readings_of_an_older_file_are_the_same(void **state)
{
        make_old_file();
        fixture_open(&T);
        check_moved();
}

/* What a program that ended in the middle left: the step is done, some rows have moved. */
static void a_move_goes_on_where_it_stopped(void **state)
{
        make_old_file();
        db_run(T.path,
               "CREATE TRIGGER stop BEFORE DELETE ON reading WHEN old.seq = 20000 BEGIN SELECT raise(ABORT, 'stop'); "
               "END");
        T.conf.max_size_bytes = 4 << 20;
        T.conf.keep_delivered_us = 0;
        for (int i = 0; i < 2; i++) {
                assert_false(fixture_try_open(&T));
                if (!strstr(T.e.text, "stop"))
                        fail_msg("%s", T.e.text);
                assert_true(db_ask(T.path, "SELECT count(*) FROM sample") > 0);
                assert_true(db_ask(T.path, "SELECT count(*) FROM reading_old") > 10000);
                assert_int_equal(db_ask(T.path, "SELECT count(*) FROM reading"), OLD_ROWS);
        }
        db_run(T.path, "DROP TRIGGER stop");
        T.conf.max_size_bytes = 16 << 20;
        T.conf.keep_delivered_us = 2 * HOUR_US;
        fixture_open(&T);
        check_moved();
}

/* Delivered ones are not taken along, but for what a redelivery is compared with. */
static void delivered_readings_are_left_behind(void **state)
{
        make_old_file();
        db_run(T.path,
               "UPDATE cursor SET acked_seq = 100000 + 25000 WHERE lane = 'samples'; UPDATE reading SET seq = seq + "
               "100000;"
               "UPDATE meta SET value = 130000 WHERE key = 'ts_saved_seq';"
               "INSERT INTO reading SELECT seq - 100000, ts_us, tag, quality, flags, value, delay_us, mid FROM "
               "reading");
        fixture_open(&T);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM reading"), 30000);
        assert_int_equal(db_ask(T.path, "SELECT min(seq) FROM reading"), 100001);
}

/* ---- pages ---- */

static void give_old_pages(void)
{
        fixture_close(&T);
        db_run(T.path, OLD_PAGES_SQL);
        assert_int_equal(db_ask(T.path, "PRAGMA page_size"), 4096);
}

static void append_rows(int n)
{
        for (int i = 0; i < n; i++) {
                struct reading r = reading();

                r.type = READING_I64;
                r.v.i64 = T.sim.now.wall_us;
                assert_int_equal(spool_append(T.spool, &r), 0);
                if (i % 500 == 499)
                        fixture_run_for(&T, 1000000);
        }
        fixture_run_for(&T, 1000000);
}

static void a_small_file_gets_the_pages_of_today(void **state)
{
        uint64_t epoch = fixture_counts(&T).epoch;

        append_rows(3000);
        spool_ack(T.spool, SPOOL_SAMPLES, 1000);
        fixture_run_for(&T, 1000000);
        give_old_pages();
        fixture_open(&T);
        assert_int_equal(db_ask(T.path, "PRAGMA page_size"), 1024);
        append_rows(3000);
        fixture_cut_power(&T);
        fixture_open(&T);
        assert_int_equal(fixture_counts(&T).epoch, epoch);
        assert_int_equal(fixture_counts(&T).accepted, 6000);
        assert_int_equal(fixture_counts(&T).held, 5000);
        fixture_verify(&T);
        assert_true(fixture_fetch(&T, 5998) == 2 && T.fetch.rows[1].seq == 6000);
}

/* It works as before, and is as large as it may be. */
static void a_large_file_keeps_its_pages(void **state)
{
        T.conf.when_full = SPOOL_DROP_OLDEST;
        append_rows(300000);
        give_old_pages();
        assert_true(db_bytes(T.path) > T.conf.max_size_bytes / 4);
        for (int i = 0; i < 3; i++) {
                fixture_open(&T);
                assert_int_equal(db_ask(T.path, "PRAGMA page_size"), 4096);
                append_rows(200000);
                assert_in_range(db_bytes(T.path), T.conf.max_size_bytes / 4 * 3, T.conf.max_size_bytes);
                assert_int_equal(fixture_counts(&T).accepted, fixture_counts(&T).held + fixture_counts(&T).dropped);
                assert_in_range(fixture_counts(&T).held_bytes, T.conf.max_size_bytes / 2, T.conf.max_size_bytes);
                fixture_verify(&T);
                fixture_cut_power(&T);
        }
        fixture_open(&T);
}

static int start(void **state)
{
        fixture_init(&T, "spool_format", 7);
        T.conf.max_size_bytes = 16 << 20;
        T.conf.commit_interval_us = 100000;
        T.conf.keep_delivered_us = 2 * HOUR_US;
        T.max_tags = 1000000;
        spool_fetch_init(&T.fetch, SPOOL_SAMPLES, 4000, 1 << 20);
        fixture_open(&T);
        return 0;
}

static int end(void **state)
{
        fixture_fini(&T);
        return 0;
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(numbers_come_back_to_the_bit, start, end),
                cmocka_unit_test_setup_teardown(many_decimals_come_back_to_the_bit, start, end),
                cmocka_unit_test_setup_teardown(everything_of_a_reading_comes_back, start, end),
                cmocka_unit_test_setup_teardown(booleans_and_the_last_tag_come_back, start, end),
                cmocka_unit_test_setup_teardown(times_come_back_across_spans, start, end),
                cmocka_unit_test_setup_teardown(old_spans_go, start, end),
                cmocka_unit_test_setup_teardown(readings_of_an_older_file_are_the_same, start, end),
                cmocka_unit_test_setup_teardown(a_move_goes_on_where_it_stopped, start, end),
                cmocka_unit_test_setup_teardown(delivered_readings_are_left_behind, start, end),
                cmocka_unit_test_setup_teardown(a_small_file_gets_the_pages_of_today, start, end),
                cmocka_unit_test_setup_teardown(a_large_file_keeps_its_pages, start, end),
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
