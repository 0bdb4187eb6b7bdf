/*
 * spool_tags: tags that are forgotten: their rows stay for as long as anything in the file points at them, then they
 * are used again; nothing that was there gets another name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "store/inspect/query.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

static struct fixture T;

enum { S = 1000000 };

static int set_up(void **state)
{
        fixture_init(&T, "spool_tags", 5);
        T.conf.keep_delivered_us = INT64_C(3600) * S;
        fixture_open(&T);
        return 0;
}

static int tear_down(void **state)
{
        fixture_fini(&T);
        return 0;
}

static uint32_t tag_of(const char *source, const char *unit)
{
        uint32_t tag;

        assert_int_equal(tags_intern(T.tags, source, "temp", unit, "", "plant", &tag), 0);
        return tag;
}

static void append(uint32_t tag, double v)
{
        struct reading r = {.ts_us = T.sim.now.wall_us,
                            .arrival_us = T.sim.now.wall_us,
                            .tag = tag,
                            .type = READING_F64,
                            .v.f64 = v};

        assert_int_equal(spool_append(T.spool, &r), 0);
        fixture_run_for(&T, S / 10);
}

static void ack_all(void)
{
        uint64_t seq = spool_appended_seq(T.spool, SPOOL_SAMPLES);

        fixture_run_for(&T, 3 * S);
        spool_pin(T.spool, SPOOL_SAMPLES, seq);
        spool_ack(T.spool, SPOOL_SAMPLES, seq);
        fixture_run_for(&T, 3 * S);
}

static void forget(uint32_t tag)
{
        assert_true(tags_forget(T.tags, tag));
        spool_tags_moved(T.spool);
        fixture_run_for(&T, 3 * S);
}

static void again(void)
{
        fixture_close(&T);
        fixture_open(&T);
}

/* "press mill", as the file's readings are named. */
static void expect_readings(const char *sources)
{
        char sql[200];

        fixture_run_for(&T, 3 * S);
        snprintf(sql, sizeof(sql), "SELECT '%s' = (SELECT coalesce(group_concat(source, ' '), '') FROM readings)",
                 sources);
        assert_int_equal(db_ask(T.path, sql), 1);
        fixture_verify(&T);
}

static void a_row_stays_for_its_readings(void **state)
{
        uint32_t press = tag_of("press", "degC"), mill = tag_of("mill", "");

        append(press, 1);
        append(mill, 2);
        append(tag_of("press", "K"), 3);
        ack_all();
        assert_false(spool_may_hold(T.spool, press));
        forget(press);
        append(mill, 4);
        expect_readings("press mill press mill");
        for (int i = 0; i < 3; i++) {
                struct tags_counts c;

                again();
                tags_counts(T.tags, &c);
                assert_int_equal(c.n, 1);
                assert_int_equal(c.n_forgotten, 2);
        }
        assert_int_equal(tag_of("press", "degC"), 3); /* a tag of its own */
        append(3, 5);
        expect_readings("press mill press mill press");
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM forgotten"), 2);
}

static void a_row_is_used_again_when_its_readings_are_gone(void **state)
{
        uint32_t press = tag_of("press", "degC"), mill = tag_of("mill", "");

        append(press, 1);
        append(mill, 2);
        ack_all();
        forget(press);
        append(mill, 3);
        spool_purge(T.spool, 2);
        fixture_run_for(&T, 3 * S);
        append(tag_of("saw", ""), 6);
        assert_int_equal(tag_of("saw", ""), 2); /* not while this run goes on: somebody may have the index */
        again();
        assert_int_equal(tag_of("drill", "rpm"), press);
        assert_int_equal(tag_of("lathe", ""), 3);
        append(press, 4);
        append(3, 5);
        expect_readings("mill saw drill lathe");
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM forgotten"), 0);
        assert_int_equal(db_ask(T.path, "SELECT turn FROM tag WHERE id = 0"), 1);
        again();
        assert_int_equal(tag_of("drill", "rpm"), press);
        assert_int_equal(tags_count(T.tags), 4);
        assert_true(tags_get(T.tags, press)->last_ts_us > 0);
}

static void events_and_dead_letters_hold_a_row(void **state)
{
        uint32_t press = tag_of("press", ""), mill = tag_of("mill", ""), saw = tag_of("saw", "");

        append(press, 1);
        append(mill, 2);
        fixture_run_for(&T, 3 * S);
        spool_dead_letter(T.spool, SPOOL_SAMPLES, 2, "too large");
        fixture_run_for(&T, 3 * S);
        ack_all();
        forget(press);
        forget(mill);
        spool_append_event(T.spool, T.sim.now.wall_us, "alarm", 100, press, "\"kind\":\"alarm\"", 14);
        fixture_run_for(&T, 3 * S);
        append(saw, 3);
        spool_purge(T.spool, 2);
        fixture_run_for(&T, 3 * S);
        again();
        assert_int_equal(tag_of("drill", ""), 3);
        assert_string_equal(tags_get(T.tags, press)->source, "press");
        assert_string_equal(tags_get(T.tags, mill)->source, "mill");
        fixture_verify(&T);
}

static void a_reading_by_the_index_brings_the_tag_back(void **state)
{
        uint32_t press = tag_of("press", "");

        append(press, 1);
        assert_true(spool_may_hold(T.spool, press));
        ack_all();
        forget(press);
        append(press, 2);
        expect_readings("press press");
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM forgotten"), 0);
        again();
        assert_int_equal(tag_of("press", ""), press);
        forget(press); /* and when the name is another's by then */
        assert_int_equal(tag_of("press", ""), 1);
        append(press, 3);
        expect_readings("press press press");
        assert_int_equal(db_ask(T.path, "SELECT bits >> 2 & 1048575 FROM sample WHERE seq = 3"), 1);
}

/* Nothing of it is on disk, or all. */
static void a_power_cut_before_the_commit(void **state)
{
        uint32_t press = tag_of("press", "");

        append(press, 1);
        ack_all();
        assert_true(tags_forget(T.tags, press));
        spool_tags_moved(T.spool);
        fixture_cut_power(&T);
        fixture_open(&T);
        assert_true(tags_is_tag(T.tags, press));
        forget(press);
        fixture_cut_power(&T);
        fixture_open(&T);
        assert_false(tags_is_tag(T.tags, press));
        fixture_verify(&T);
}

/* A tag that a polled driver has from now on has its name in the file, too. */
static void a_tag_goes_to_who_is_configured(void **state)
{
        uint32_t press = tag_of("press", ""), same;

        append(press, 1);
        assert_int_equal(tags_configure(T.tags, "press", "temp", "", "", "plc-1", &same), 0);
        assert_int_equal(same, press);
        append(press, 2);
        again();
        assert_string_equal(tags_get(T.tags, press)->driver, "plc-1");
        assert_true(tags_get(T.tags, press)->last_ts_us > 0);
}

static bool on_tag(void *ctx, const struct spool_query_tag *t)
{
        sprintf((char *)ctx + strlen(ctx), "%s %llu ", t->source, (unsigned long long)t->n_kept);
        return true;
}

static void expect_listing(struct spool_query *q, bool stats, const char *expected)
{
        char words[200] = "";
        struct err e;

        assert_int_equal(spool_query_tags(q, stats, on_tag, words, &e), 0);
        assert_string_equal(words, expected);
}

static void listings_show_what_is_known(void **state)
{
        uint32_t press = tag_of("press", "");
        struct spool_query *q;
        struct err e;

        append(press, 1);
        append(tag_of("mill", ""), 2);
        ack_all();
        assert_int_equal(spool_query_open(&q, T.path, &e), 0);
        expect_listing(q, false, "press 0 mill 0 ");
        spool_query_close(q);
        forget(press);
        assert_int_equal(spool_query_open(&q, T.path, &e), 0);
        expect_listing(q, false, "mill 0 ");
        expect_listing(q, true, "press 1 mill 1 ");
        spool_purge(T.spool, 2);
        fixture_run_for(&T, 3 * S);
        expect_listing(q, true, "mill 0 ");
        again(); /* a listing that goes on, as tail -f does, reads a row that is another tag's now */
        append(tag_of("drill", ""), 3);
        fixture_run_for(&T, 3 * S);
        expect_listing(q, false, "drill 0 mill 0 ");
        spool_query_close(q);
}

static void damage(const char *path)
{
        static const char noise[100] = "noise";
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, noise, sizeof(noise), 0), sizeof(noise));
        close(fd);
}

static void a_rescue_knows_whose_a_row_is(void **state)
{
        uint32_t press = tag_of("press", "");

        append(press, 1);
        ack_all();
        forget(press);
        append(tag_of("mill", ""), 2);
        spool_purge(T.spool, 1);
        fixture_run_for(&T, 3 * S);
        again();
        append(tag_of("drill", ""), 3);
        fixture_close(&T);
        damage(T.path);
        fixture_open(&T);
        expect_readings("mill drill");
}

int main(void)
{
#define AROUND(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                AROUND(a_row_stays_for_its_readings),       AROUND(a_row_is_used_again_when_its_readings_are_gone),
                AROUND(events_and_dead_letters_hold_a_row), AROUND(a_reading_by_the_index_brings_the_tag_back),
                AROUND(a_power_cut_before_the_commit),      AROUND(a_tag_goes_to_who_is_configured),
                AROUND(listings_show_what_is_known),        AROUND(a_rescue_knows_whose_a_row_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
