/*
 * test_spool_fresh: the last commit's rows come from memory, as they would from the file, and only as long as the file
 * would say the same.  Virtual time, a real file.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/spool_fixture.h"

enum { S = 1000000, MOST = 100 };

static struct fixture T;
static struct spool_fetch fresh;
static bool came, from_memory;

static int set_up(void **state)
{
        fixture_init(&T, "spool_fresh", 1);
        fixture_open(&T);
        spool_fetch_init(&T.fetch, SPOOL_SAMPLES, MOST, 1 << 16);
        spool_fetch_init(&fresh, SPOOL_SAMPLES, MOST, 1 << 16);
        return 0;
}

static int tear_down(void **state)
{
        spool_fetch_fini(&fresh);
        fixture_close(&T);
        fixture_fini(&T);
        return 0;
}

static struct reading a(unsigned type)
{
        struct reading r = {.ts_us = FIXTURE_WALL_US, .arrival_us = FIXTURE_WALL_US + 5, .type = (uint16_t)type};

        assert_int_equal(tags_intern(T.tags, "m", "v", "", "", "d", &r.tag), 0);
        return r;
}

static void put(const struct reading *r)
{
        assert_int_equal(spool_append(T.spool, r), 0);
}

static void put_number(double v)
{
        struct reading r = a(READING_F64);

        r.v.f64 = v;
        put(&r);
}

static void put_text(unsigned type, const char *text, size_t len)
{
        struct reading r = a(type);

        r.v.text = text;
        r.len = (uint32_t)len;
        put(&r);
}

static void commit(void)
{
        fixture_run_for(&T, 2 * S);
}

static void on_rows(struct spool_fetch *f)
{
        came = true;
}

static uint32_t fetch_fresh(uint64_t after)
{
        came = false;
        fresh.may_be_fresh = true;
        fresh.on_rows = on_rows;
        fresh.after_seq = after;
        spool_fetch(T.spool, &fresh);
        from_memory = rt_timer_armed(&fresh.soon);
        assert_false(came); /* never from within a call */
        for (int i = 0; i < 100 && !came; i++)
                fixture_run_for(&T, 1000);
        assert_true(came && !fresh.failed);
        return fresh.n_rows;
}

static void check_same(const struct spool_row *row, const struct spool_row *filed)
{
        assert_int_equal(row->seq, filed->seq);
        assert_int_equal(row->r.ts_us, filed->r.ts_us);
        assert_int_equal(row->r.arrival_us, filed->r.arrival_us);
        assert_int_equal(row->r.tag, filed->r.tag);
        assert_int_equal(row->r.type, filed->r.type);
        assert_int_equal(row->r.quality, filed->r.quality);
        assert_int_equal(row->r.flags, filed->r.flags);
        assert_int_equal(row->r.mid, filed->r.mid);
        if (row->r.type == READING_TEXT || row->r.type == READING_RAW) {
                assert_int_equal(row->r.len, filed->r.len);
                assert_memory_equal(row->r.v.text, filed->r.v.text, row->r.len);
        } else if (row->r.type == READING_BOOL) {
                assert_int_equal(row->r.v.b, filed->r.v.b);
        } else if (row->r.type != READING_NONE) {
                assert_int_equal(row->r.v.i64, filed->r.v.i64);
        }
}

static void check_same_as_filed(uint64_t after, uint32_t n)
{
        assert_int_equal(fetch_fresh(after), n);
        assert_int_equal(fixture_fetch(&T, after), n);
        for (uint32_t i = 0; i < n; i++)
                check_same(&fresh.rows[i], &T.fetch.rows[i]);
}

static void put_all_kinds(void)
{
        static const double numbers[] = {0, 71.3, -71.3, 1e-300, 5e-324, 1e300, 1e15, 123456789012345.0, 8.5, 0.1234};
        struct reading r = a(READING_I64);

        for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
                put_number(numbers[i]);
        r.v.i64 = INT64_MIN;
        put(&r);
        r.v.i64 = 7;
        r.mid = 65535;
        put(&r);
        r = a(READING_BOOL);
        r.v.b = true;
        r.flags = READING_SOURCE_TIME | READING_RETAINED | READING_CLOCK_UNSYNCED;
        put(&r);
        r.v.b = false;
        put(&r);
        r = a(READING_NONE);
        r.quality = QUALITY_BAD_COMM_FAILURE;
        r.len = 77;
        put(&r);
        put_text(READING_TEXT, "", 0);
        put_text(READING_TEXT, "a\0b\xff", 4);
        put_text(READING_RAW, "", 0);
        put_text(READING_RAW, "\0\1\2", 3);
        r = a(READING_F64);
        r.ts_us = 1; /* a clock of 1970 */
        r.v.f64 = 1;
        put(&r);
}

static void as_from_the_file(void **state)
{
        put_all_kinds();
        commit();
        check_same_as_filed(0, 20);
        check_same_as_filed(13, 7);
        put_number(1);
        put_number(2);
        commit();
        check_same_as_filed(20, 2);
        assert_int_equal(fetch_fresh(20), 2);
        assert_true(from_memory);
}

static void memory_serves_only_the_last_commit(void **state)
{
        put_number(1);
        commit();
        put_number(2);
        commit();
        assert_int_equal(fetch_fresh(1), 1);
        assert_true(from_memory);
        assert_int_equal(fetch_fresh(0), 2); /* what came before is not there */
        assert_false(from_memory);
        spool_ack(T.spool, SPOOL_SAMPLES, 1);
        commit();
        assert_int_equal(fetch_fresh(1), 1); /* another commit has run since */
        assert_false(from_memory);
}

static void what_does_not_read_back_comes_from_the_file(void **state)
{
        static const double odd[] = {NAN, -0.0, INFINITY};

        for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
                put_number(odd[i]);
                commit();
                check_same_as_filed(i, 1);
                fetch_fresh(i);
                assert_false(from_memory);
        }
}

static void who_asks_for_the_file_gets_the_file(void **state)
{
        put_number(1);
        commit();
        T.fetch.after_seq = 0;
        T.fetch.on_rows = on_rows;
        spool_fetch(T.spool, &T.fetch);
        assert_false(rt_timer_armed(&T.fetch.soon));
        fixture_run_for(&T, S);
}

static void text_that_does_not_fit_comes_later(void **state)
{
        static char text[3000];

        memset(text, 'x', sizeof(text));
        spool_fetch_fini(&fresh);
        spool_fetch_init(&fresh, SPOOL_SAMPLES, MOST, 4000);
        put_text(READING_TEXT, text, sizeof(text));
        put_text(READING_TEXT, text, sizeof(text));
        commit();
        assert_int_equal(fetch_fresh(0), 1);
        assert_true(from_memory);
        assert_int_equal(fetch_fresh(1), 1);
        assert_true(from_memory);
        assert_int_equal(fresh.rows[0].seq, 2);
}

static void what_a_commit_purges_is_not_handed_out(void **state)
{
        put_number(1);
        commit();
        put_number(2);
        spool_purge(T.spool, 2);
        put_number(3);
        commit();
        commit();
        assert_int_equal(fetch_fresh(0), fixture_fetch(&T, 0));
        assert_false(from_memory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(as_from_the_file, set_up, tear_down),
                cmocka_unit_test_setup_teardown(memory_serves_only_the_last_commit, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_does_not_read_back_comes_from_the_file, set_up, tear_down),
                cmocka_unit_test_setup_teardown(who_asks_for_the_file_gets_the_file, set_up, tear_down),
                cmocka_unit_test_setup_teardown(text_that_does_not_fit_comes_later, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_a_commit_purges_is_not_handed_out, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
