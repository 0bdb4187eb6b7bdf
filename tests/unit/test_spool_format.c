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
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "agent/base/rt_sim.h"
#include "store/spool.h"
#include "tests/fault/old_format.h"

#define HOUR_US 3600000000ll

static char dir[64], path[96];
static struct rt_sim sim;
static struct tags *tags;
static struct spool *spool;
static struct spool_fetch fetch;
static bool fetched;

static void open_spool(void)
{
        struct spool_conf conf = {.path = path,
                                  .max_size_bytes = 16 << 20,
                                  .commit_interval_us = 100000,
                                  .keep_delivered_us = 2 * HOUR_US,
                                  .batch_rows = 2000,
                                  .batch_bytes = 1 << 20,
                                  .quarantine_bytes = 1 << 16};
        struct err e;

        tags = tags_new(1000000);
        if (spool_open(&spool, &sim.rt, &conf, "gw-7", tags, NULL, &e) < 0)
                fail_msg("%s", e.text);
}

static void close_spool(void)
{
        rt_sim_cut(&sim);
        assert_true(spool_close(spool));
        tags_free(tags);
        spool = NULL;
}

static void run_for(int64_t us)
{
        rt_sim_run(&sim, sim.now.mono_us + us, NULL, NULL);
}

static sqlite3 *connect_file(void)
{
        sqlite3 *c;

        assert_int_equal(sqlite3_open(path, &c), SQLITE_OK);
        return c;
}

static void run_sql(const char *sql)
{
        char *said = NULL;
        sqlite3 *c = connect_file();

        if (sqlite3_exec(c, sql, NULL, NULL, &said) != SQLITE_OK)
                fail_msg("%s: %s", sql, said);
        sqlite3_close(c);
}

static int64_t ask(const char *sql)
{
        sqlite3 *c = connect_file();
        sqlite3_stmt *st;
        int64_t v;

        assert_int_equal(sqlite3_prepare_v2(c, sql, -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        v = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        sqlite3_close(c);
        return v;
}

static void on_rows(struct spool_fetch *f)
{
        fetched = true;
}

static uint32_t fetch_after(uint64_t seq)
{
        fetched = false;
        fetch.on_rows = on_rows;
        fetch.after_seq = seq;
        spool_fetch(spool, &fetch);
        while (!fetched)
                run_for(1000);
        assert_false(fetch.failed);
        return fetch.n_rows;
}

static struct reading reading(void)
{
        struct reading r = {.ts_us = sim.now.wall_us, .arrival_us = sim.now.wall_us};

        assert_int_equal(tags_intern(tags, "press-1", "temp", "", "", "sim", &r.tag), 0);
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
        uint64_t before = spool_appended_seq(spool, SPOOL_SAMPLES);

        for (int i = 0; i < n; i++)
                assert_int_equal(spool_append(spool, &all[i]), 0);
        run_for(200000);
        assert_int_equal(fetch_after(before), n);
        for (int i = 0; i < n; i++)
                assert_same(&fetch.rows[i].r, &all[i]);
}

static void check_sql_value(uint64_t seq, double v)
{
        sqlite3 *c = connect_file();
        sqlite3_stmt *st;
        double got;

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
        assert_int_equal(ask("SELECT typeof(value) = 'integer' FROM sample WHERE seq = 5"), 1);
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
                                 ((double)(rt_random(&sim.rt) * 2) - 1) * pow(10, i % 12));
                        all[i].v.f64 = strtod(text, NULL);
                }
                put_and_compare(all, 1500);
                run_for(1000000);
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
                ask("SELECT count(*) FROM reading WHERE quality <> (seq - 1) % 9 OR flags <> (seq - 1) % 256 OR mid"
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
                assert_int_equal(tags_intern(tags, "press-2", name, "", "", "sim", &at), 0);
        }
        r.tag = at;
        r.type = READING_BOOL;
        r.v.b = true;
        r.mid = 65535;
        r.flags = 255 & ~READING_HISTORICAL;
        put_and_compare(&r, 1);
        assert_true(fetch.rows[0].r.v.b);
        assert_int_equal(
                ask("SELECT tag = 20000 AND flags = (0x4000 | 239) AND mid = 65535 AND value = 1 FROM reading"), 1);
}

/* Each hour further and each step of the clock begins a span; one fetch goes through several. */
static void times_come_back_across_spans(void **state)
{
        static const int64_t steps[] = {0,           2 * HOUR_US, -30 * 365 * 24 * HOUR_US, 1, 31 * 365 * 24 * HOUR_US,
                                        -HOUR_US / 2};
        struct reading all[60];
        int n = 0;

        for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
                rt_sim_step_wall(&sim, steps[k]);
                for (int i = 0; i < 10; i++, n++) {
                        all[n] = reading();
                        all[n].type = READING_F64;
                        all[n].ts_us -= i;
                        all[n].flags = READING_HISTORICAL;
                        assert_int_equal(spool_append(spool, &all[n]), 0);
                        run_for(150000);
                }
        }
        assert_true(ask("SELECT count(*) FROM span") > 3);
        for (int after = 0; after < n; after += 7) {
                assert_int_equal(fetch_after((uint64_t)after), n - after);
                for (int i = after; i < n; i++) {
                        assert_int_equal(fetch.rows[i - after].seq, i + 1);
                        assert_same(&fetch.rows[i - after].r, &all[i]);
                }
        }
        assert_int_equal(ask("SELECT ts_us FROM reading WHERE seq = 25"), all[24].ts_us);
}

/* Spans go with the readings they are for. */
static void old_spans_go(void **state)
{
        for (int hour = 0; hour < 20; hour++) {
                for (int i = 0; i < 10000; i++) {
                        struct reading r = reading();

                        r.type = READING_F64;
                        assert_int_equal(spool_append(spool, &r), 0);
                        if (i % 1000 == 999)
                                run_for(1000000);
                }
                spool_ack(spool, SPOOL_SAMPLES, spool_appended_seq(spool, SPOOL_SAMPLES));
                run_for(HOUR_US + HOUR_US / 2);
        }
        assert_true(ask("SELECT min(seq) FROM reading") > 100000);
        assert_true(ask("SELECT count(*) FROM span") < 12);
        assert_int_equal(ask("SELECT count(*) FROM span_copy"), ask("SELECT count(*) FROM span"));
        assert_int_equal(ask("SELECT count(*) FROM reading WHERE ts_us IS NULL"), 0);
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
                assert_int_equal(spool_append(spool, &r), 0);
                if (i % 1000 == 999)
                        run_for(i % 5000 == 4999 ? HOUR_US / 2 : 200000);
        }
        run_for(1000000);
        close_spool();
        run_sql("CREATE TABLE before AS SELECT * FROM reading");
        run_sql(OLD_FORMAT_SQL);
        assert_int_equal(ask("SELECT count(*) FROM sqlite_master WHERE name = 'sample'"), 0);
}

static void check_moved(void)
{
        assert_int_equal(ask("PRAGMA user_version"), ask("SELECT 7"));
        assert_int_equal(ask("SELECT count(*) FROM sqlite_master WHERE name = 'reading_old'"), 0);
        assert_int_equal(ask("SELECT count(*) FROM reading"), OLD_ROWS);
        assert_int_equal(ask("SELECT count(*) FROM (SELECT * FROM reading EXCEPT SELECT * FROM before)"), 0);
        assert_int_equal(ask("SELECT count(*) FROM readings WHERE source = 'press-1' AND time IS NOT NULL"), OLD_ROWS);
        assert_int_equal(ask("PRAGMA freelist_count") < ask("PRAGMA page_count"), 1);
        assert_true(fetch_after(OLD_ROWS - 2) == 2 && fetch.rows[1].seq == OLD_ROWS);
}

static void readings_of_an_older_file_are_the_same(void **state)
{
        make_old_file();
        open_spool();
        check_moved();
}

/* What a program that ended in the middle left: the step is done, some rows have moved. */
static void a_move_goes_on_where_it_stopped(void **state)
{
        make_old_file();
        run_sql("CREATE TRIGGER stop BEFORE DELETE ON reading WHEN old.seq = 20000 BEGIN SELECT raise(ABORT, 'stop'); "
                "END");
        for (int i = 0; i < 2; i++) {
                struct spool_conf conf = {.path = path,
                                          .max_size_bytes = 4 << 20,
                                          .commit_interval_us = 100000,
                                          .batch_rows = 2000,
                                          .batch_bytes = 1 << 20,
                                          .quarantine_bytes = 1 << 16};
                struct err e;

                tags = tags_new(1000);
                assert_int_equal(spool_open(&spool, &sim.rt, &conf, "gw-7", tags, NULL, &e), -1);
                if (!strstr(e.text, "stop"))
                        fail_msg("%s", e.text);
                tags_free(tags);
                assert_true(ask("SELECT count(*) FROM sample") > 0);
                assert_true(ask("SELECT count(*) FROM reading_old") > 10000);
                assert_int_equal(ask("SELECT count(*) FROM reading"), OLD_ROWS);
        }
        run_sql("DROP TRIGGER stop");
        open_spool();
        check_moved();
}

/* Delivered ones are not taken along, but for what a redelivery is compared with. */
static void delivered_readings_are_left_behind(void **state)
{
        make_old_file();
        run_sql("UPDATE cursor SET acked_seq = 100000 + 25000 WHERE lane = 'samples'; UPDATE reading SET seq = seq + "
                "100000;"
                "UPDATE meta SET value = 130000 WHERE key = 'ts_saved_seq';"
                "INSERT INTO reading SELECT seq - 100000, ts_us, tag, quality, flags, value, delay_us, mid FROM "
                "reading");
        open_spool();
        assert_int_equal(ask("SELECT count(*) FROM reading"), 30000);
        assert_int_equal(ask("SELECT min(seq) FROM reading"), 100001);
}

static int start(void **state)
{
        snprintf(dir, sizeof(dir), "/tmp/test_spool_format_XXXXXX");
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/spool.db", dir);
        rt_sim_init(&sim, 7, 1795428000000000);
        spool_fetch_init(&fetch, SPOOL_SAMPLES, 4000, 1 << 20);
        open_spool();
        return 0;
}

static int end(void **state)
{
        char command[100];

        rt_sim_cut(&sim);
        if (spool) {
                spool_abandon(spool);
                tags_free(tags);
        }
        spool_fetch_fini(&fetch);
        rt_sim_fini(&sim);
        snprintf(command, sizeof(command), "rm -rf %s", dir);
        return system(command);
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
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
