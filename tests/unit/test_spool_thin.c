/*
 * test_spool_thin: when_full: thin.  Every reading that went is in exactly one aggregate or in the ledger as "full";
 * mean, minimum, maximum and count are those of its tag and minute; the books balance and the cap holds after each
 * second.
 */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

enum { TAGS = 20, WALL_S = 1795428000 };

static struct fixture T;
static uint64_t thinned, full;
static bool gaps; /* crashes took what was not committed yet */

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        assert_int_equal(n, last_seq - first_seq + 1);
        if (!strcmp(reason, "thinned"))
                thinned += n;
        else if (!strcmp(reason, "full"))
                full += n;
        else
                fail_msg("dropped: %s", reason);
}

static void open_with_tags(void)
{
        char name[16];

        fixture_open(&T);
        for (uint32_t i = 0, at; i < TAGS; i++) {
                snprintf(name, sizeof(name), "t%02u", i);
                assert_int_equal(tags_intern(T.tags, "press-1", name, "", "", "sim", &at), 0);
        }
}

static int setup(void **state)
{
        fixture_init_in_memory(&T, "spool_thin", 5);
        T.conf.max_size_bytes = 4 << 20;
        T.conf.when_full = SPOOL_THIN;
        T.up.on_dropped = on_dropped;
        spool_fetch_init(&T.fetch, SPOOL_SAMPLES, 500, 1 << 20);
        thinned = full = gaps = 0;
        open_with_tags();
        return 0;
}

static int teardown(void **state)
{
        fixture_fini(&T);
        return 0;
}

static struct spool_counts check_books(void)
{
        struct spool_counts c = fixture_counts(&T);

        assert_false(c.failing);
        assert_true(db_bytes(T.path) <= 4 << 20);
        return c;
}

/* What tag `tag` shows in second `s`: never the same minute twice. */
static double value_of(uint32_t tag, int64_t s)
{
        return (double)((s * 7919 + tag * 104729) % 100003) / 8;
}

static void append(uint32_t tag, int64_t in_s, const struct reading *like)
{
        struct reading r = *like;

        r.tag = tag;
        r.ts_us = r.arrival_us = T.sim.now.wall_us + in_s * 1000000 + tag;
        assert_int_equal(spool_append(T.spool, &r), 0);
}

/* Every tag once a second, for so long; committed every `every` seconds. */
static void feed(int64_t seconds, int64_t every)
{
        for (int64_t i = 0; i < seconds; i += every) {
                int64_t s = T.sim.now.wall_us / 1000000;

                for (int64_t k = 0; k < every; k++)
                        for (uint32_t t = 0; t < TAGS; t++)
                                append(t, k, &(struct reading){.type = READING_F64, .v.f64 = value_of(t, s + k)});
                fixture_run_for(&T, every * 1000000);
                check_books();
        }
}

/* ---- the uplink of the test ---- */

/* The row's own minute again, from what was fed. */
static void check_aggregate(const struct spool_row *row)
{
        int64_t last_s = row->r.ts_us / 1000000, from = last_s / 60 * 60 > WALL_S ? last_s / 60 * 60 : WALL_S;
        double min = INFINITY, max = -INFINITY, sum = 0;

        assert_true(row->a.has_range);
        if (gaps)
                return;
        assert_int_equal(row->a.n, last_s - from + 1);
        for (int64_t s = from; s <= last_s; s++) {
                double v = value_of(row->r.tag, s);

                min = v < min ? v : min;
                max = v > max ? v : max;
                sum += v;
        }
        assert_true(row->a.min == min && row->a.max == max);
        assert_true(fabs(row->r.v.f64 - sum / (double)row->a.n) < 1e-6);
}

/* Everything held, in order; returns how many readings it stands for. */
static uint64_t drain(void)
{
        int64_t last_ts[TAGS] = {0};
        uint64_t last = 0, stands_for = 0, rows = 0, held;

        fixture_run_for(&T, 5000000);
        held = check_books().held;
        while (fixture_fetch(&T, last)) {
                for (uint32_t i = 0; i < T.fetch.n_rows; i++) {
                        const struct spool_row *row = &T.fetch.rows[i];
                        bool is_aggregate = row->r.flags & READING_AGGREGATE;

                        assert_true(row->seq > last);
                        assert_true(row->r.ts_us > last_ts[row->r.tag]);
                        last = row->seq;
                        last_ts[row->r.tag] = row->r.ts_us;
                        stands_for += is_aggregate ? row->a.n : 1;
                        if (is_aggregate)
                                check_aggregate(row);
                        else
                                assert_true(row->r.v.f64 == value_of(row->r.tag, row->r.ts_us / 1000000));
                }
                rows += T.fetch.n_rows;
                spool_ack(T.spool, SPOOL_SAMPLES, last);
                fixture_run_for(&T, 1000);
                check_books();
        }
        fixture_run_for(&T, 5000000);
        assert_int_equal(rows, held);
        assert_int_equal(check_books().held, 0);
        return stands_for;
}

static void test_old_readings_become_one_a_minute(void **state)
{
        struct spool_counts c;

        feed(12000, 10); /* twice as many as fit */
        fixture_run_for(&T, 5000000);
        c = check_books();
        assert_int_equal(c.accepted, 12000 * TAGS);
        assert_int_equal(full, 0);
        assert_true(thinned > 20000 && c.dropped == thinned);
        assert_true(db_ask(T.path, "SELECT count(*) FROM aggregate") > 100);
        assert_true(db_ask(T.path, "SELECT count(*) FROM dropped") < 200); /* a line a minute, not one a reading */
        assert_int_equal(db_ask(T.path, "SELECT sum(n - 1) FROM aggregate"), thinned);
        fixture_verify(&T);
        assert_int_equal(drain(), c.accepted);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM aggregate WHERE seq NOT IN (SELECT seq FROM reading)"),
                         0);
}

static void test_what_does_not_fit_even_so_is_dropped_oldest_first(void **state)
{
        struct spool_counts c;

        feed(150000, 50);
        c = check_books();
        assert_true(full > 0 && thinned > full);
        assert_int_equal(c.dropped, full + thinned);
        assert_true(db_ask(T.path, "SELECT min(seq) FROM reading") > 1);
        fixture_verify(&T);
        assert_true(drain() < c.accepted - full); /* of what was dropped much stood for more than one */
}

static void test_a_crash_keeps_the_place(void **state)
{
        gaps = true;
        for (int i = 0; i < 12; i++) {
                feed(500, 10);
                append(0, 0, &(struct reading){.type = READING_F64, .v.f64 = value_of(0, T.sim.now.wall_us / 1000000)});
                fixture_cut_power(&T);
                open_with_tags();
                check_books();
        }
        fixture_verify(&T);
        assert_int_equal(full, 0);
        assert_int_equal(drain(), check_books().accepted);
}

/* What the aggregates stand for comes along into the new file, under their new seqs. */
static void test_a_damaged_file_keeps_them(void **state)
{
        uint64_t stood_for, epoch;
        int64_t n;
        int fd;

        feed(12000, 10);
        fixture_run_for(&T, 5000000);
        n = db_ask(T.path, "SELECT count(*) FROM aggregate");
        stood_for = (uint64_t)db_ask(T.path, "SELECT sum(coalesce(n, 1)) FROM reading LEFT JOIN aggregate USING (seq)");
        assert_true(n > 100);
        epoch = fixture_counts(&T).epoch;
        fixture_close(&T);
        fd = open(T.path, O_RDWR);
        assert_int_equal(pwrite(fd, "no database any more", 20, 0), 20);
        close(fd);
        open_with_tags();
        fixture_run_for(&T, 5000000);
        assert_true(check_books().epoch > epoch);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM aggregate"), n);
        fixture_verify(&T);
        assert_int_equal(drain(), stood_for);
}

static void test_what_is_pinned_stays(void **state)
{
        uint64_t last;

        feed(10, 10);
        spool_pin(T.spool, SPOOL_SAMPLES, 1000);
        feed(12000, 10);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM reading WHERE seq <= 1000 AND flags & 64 = 0"), 1000);
        assert_int_equal(db_ask(T.path, "SELECT min(seq) FROM aggregate") > 1000, 1);
        assert_true(fixture_fetch(&T, 0) == 500);
        last = T.fetch.rows[499].seq;
        assert_int_equal(last, 500);
        fixture_verify(&T);
}

/* What one minute of everything becomes. */
static void test_kinds_and_qualities_are_kept_apart(void **state)
{
        struct reading r;

        for (int s = 0; s < 60; s++) {
                append(0, 0, &(struct reading){.type = READING_I64, .v.i64 = s});
                append(1, 0, &(struct reading){.type = READING_BOOL, .v.b = s % 2});
                append(2, 0,
                       &(struct reading){
                               .type = READING_TEXT, .v.text = s < 59 ? "begin" : "end", .len = s < 59 ? 5 : 3});
                r = (struct reading){
                        .type = READING_F64, .v.f64 = s, .quality = s % 3 ? QUALITY_GOOD : QUALITY_UNCERTAIN};
                append(3, 0, &r);
                r = (struct reading){.quality = s < 30 ? QUALITY_BAD_COMM_FAILURE : QUALITY_BAD_STALE};
                append(4, 0, &r);
                append(5, 0, &(struct reading){.type = READING_F64, .v.f64 = s == 30 ? INFINITY : 1e308});
                append(6, 0, &(struct reading){.type = READING_I64, .v.i64 = INT64_MAX - s});
                if (s == 10)
                        append(7, 0, &(struct reading){.type = READING_F64, .v.f64 = 4.5});
                fixture_run_for(&T, 1000000);
        }
        feed(12000, 10);
#define ROW(tag) " FROM reading r LEFT JOIN aggregate a USING (seq) WHERE r.tag = " tag " AND ts_us < 1795428060000000"
        assert_int_equal(
                db_ask(T.path, "SELECT count(*) || sum(n) || min(value = 29.5 AND min = 0 AND max = 59)" ROW("0")),
                1601);
        assert_int_equal(
                db_ask(T.path, "SELECT count(*) || sum(n) || (value = 1 AND flags & 0x4000 AND min IS NULL)" ROW("1")),
                1601);
        assert_int_equal(db_ask(T.path, "SELECT count(*) || sum(n) || (value = 'end')" ROW("2")), 1601);
        assert_int_equal(db_ask(T.path, "SELECT count(*) || sum(n) || count(DISTINCT quality)" ROW("3")), 2602);
        assert_int_equal(
                db_ask(T.path, "SELECT sum(n)" ROW("3") " AND quality = 1 AND min = 0 AND max = 57 AND value = 28.5"),
                20);
        assert_int_equal(db_ask(T.path, "SELECT count(*) || sum(n)" ROW("4")), 260);
        assert_int_equal(
                db_ask(T.path, "SELECT count(*) || sum(coalesce(n, 1)) || max(value)" ROW("5") " AND value < 9e999"),
                1591);
        assert_int_equal(db_ask(T.path, "SELECT sum(n)" ROW("6") " AND value = 9223372036854775748"), 60);
        assert_int_equal(db_ask(T.path, "SELECT count(*) || (value = 4.5) || (n IS NULL)" ROW("7")), 111);
        fixture_verify(&T);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_old_readings_become_one_a_minute, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_does_not_fit_even_so_is_dropped_oldest_first, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_crash_keeps_the_place, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_damaged_file_keeps_them, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_pinned_stays, setup, teardown),
                cmocka_unit_test_setup_teardown(test_kinds_and_qualities_are_kept_apart, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
