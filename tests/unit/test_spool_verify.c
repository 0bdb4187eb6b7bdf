/*
 * test_spool_verify: nothing is found in a healthy spool, and each of the faults made here is.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "store/inspect/verify.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

enum { ROWS = 5000 };

static struct fixture T;

static void make_fixture(void)
{
        fixture_init(&T, "spool_verify", 1);
        T.conf.max_size_bytes = 16 << 20;
        T.conf.commit_interval_us = 100000;
}

/* Delivered, held and dropped rows of every type, events, a dead letter, something in quarantine. */
static void make_healthy(void)
{
        static const char body[] = "\"kind\":\"link\"";

        fixture_fini(&T);
        make_fixture();
        fixture_open(&T);
        for (int i = 0; i < ROWS; i++) {
                struct reading r = {
                        .ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us, .type = (uint16_t)(i % 6)};

                assert_int_equal(tags_intern(T.tags, "press-1", i % 2 ? "temp" : "load", "", "", "sim", &r.tag), 0);
                r.v.i64 = 0;
                if (r.type == READING_TEXT || r.type == READING_RAW) {
                        r.v.text = "hello";
                        r.len = 5;
                }
                assert_int_equal(spool_append(T.spool, &r), 0);
                if (i % 500 == 0) {
                        spool_append_event(T.spool, T.sim.now.wall_us, "link", 100, i ? 0 : SPOOL_NO_TAG, body,
                                           sizeof(body) - 1);
                        spool_refuse(T.spool, 3, "memory_full");
                        fixture_run_for(&T, 500000);
                }
        }
        spool_quarantine(T.spool, "mqtt", "a/b", "not JSON", body, sizeof(body));
        fixture_run_for(&T, 500000);
        spool_ack(T.spool, SPOOL_SAMPLES, 3000);
        spool_ack(T.spool, SPOOL_EVENTS, 2);
        spool_dead_letter(T.spool, SPOOL_SAMPLES, 3500, "too large");
        fixture_run_for(&T, 500000);
        fixture_close(&T);
}

static char found[4000];

static void on_fault(void *ctx, const char *what)
{
        size_t n = strlen(found);

        snprintf(found + n, sizeof(found) - n, "%s\n", what);
}

static uint64_t verify(void)
{
        struct spool_verify v = {.path = T.path, .pages = true, .on_fault = on_fault};
        struct err e;

        found[0] = '\0';
        if (spool_verify(&v, &e) < 0)
                fail_msg("%s", e.text);
        return v.n_faults;
}

static void nothing_is_found_in_a_healthy_file(void **state)
{
        make_healthy();
        assert_int_equal(verify(), 0);
        assert_string_equal(found, "");
}

static void nothing_is_found_in_a_live_file(void **state)
{
        make_healthy();
        fixture_open(&T);
        assert_int_equal(verify(), 0);
        fixture_cut_power(&T);
}

static void each_fault_is_found(void **state)
{
        static const struct {
                const char *sql, *words;
        } faults[] = {
                {"DELETE FROM sample WHERE seq = 4000", "missing before 4001"},
                {"DELETE FROM sample WHERE seq BETWEEN 3001 AND 3050", "missing before"},
                {"UPDATE sample SET seq = 1 << 62 WHERE seq = 4500", "4611686018427387904 has a number that none can"},
                {"UPDATE sample SET seq = 1 << 50 WHERE seq = (SELECT max(seq) FROM sample)",
                 "missing before 1125899906842624"},
                {"UPDATE sample SET seq = -5 WHERE seq = 4500", "-5 has a number that none can"},
                {"INSERT INTO dropped VALUES ('samples', 4100, 4110, 11, 'full', 1)", "also in the ledger"},
                {"UPDATE dropped SET n = n + 1 WHERE first_seq = 3500", "counts wrongly"},
                {"UPDATE dropped SET last_seq = first_seq - 1 WHERE first_seq = 3500", "not a range"},
                {"INSERT INTO dropped VALUES ('samples', 3499, 3501, 3, 'several', 1)", "overlaps"},
                {"UPDATE dropped SET reason = '' WHERE first_seq = 3500", "no reason"},
                {"INSERT INTO dropped VALUES ('logs', 1, 1, 1, 'full', 1)", "unknown lane"},
                {"DELETE FROM dropped WHERE first_seq = 3500", "dead letter 3500 is not in the ledger"},
                {"UPDATE cursor SET acked_seq = 999999 WHERE lane = 'samples'", "beyond the last"},
                {"UPDATE cursor SET acked_seq = -1 WHERE lane = 'samples'", "no seq"},
                {"DELETE FROM cursor WHERE lane = 'events'", "no watermark of the lane events"},
                {"UPDATE sample SET bits = 77 << 2 WHERE seq = 4000", "reading 4000 has a tag"},
                {"UPDATE sample SET bits = bits | (12 << 23) WHERE seq = 4000", "unknown quality"},
                {"UPDATE sample SET bits = bits | (0x2000 << 43) WHERE seq = 4000", "flags nobody sets"},
                {"UPDATE sample SET bits = bits | (1 << 22), value = 7 WHERE seq = 4000", "boolean"},
                {"UPDATE sample SET value = cast(x'ff41' AS TEXT) WHERE seq = 4000", "not valid UTF-8"},
                {"UPDATE sample SET t_us = NULL WHERE seq = 4000", "no time"},
                {"DELETE FROM span", "has no time"},
                {"UPDATE span_copy SET base_us = base_us + 1", "and its copy differ"},
                {"INSERT INTO aggregate VALUES (3500, 3, 1, 2)", "aggregate 3500 has no reading"},
                {"INSERT INTO aggregate VALUES (4000, 3, 1, 2)", "aggregate 4000 does not hold"},
                {"UPDATE tag SET id = 5 WHERE id = 1", "ids are not"},
                {"UPDATE tag SET name = 'temp'", "the name of another"},
                {"UPDATE event SET tag = 77 WHERE seq = 5", "event 5 has a tag"},
                {"UPDATE event SET body = cast(x'ff41' AS TEXT) WHERE seq = 5", "event 5 is not valid UTF-8"},
                {"DELETE FROM event WHERE seq = 6", "events are missing before 7"},
                {"UPDATE meta SET value = 0 WHERE key = 'epoch'", "the epoch is 0"},
                {"DELETE FROM meta WHERE key = 'gateway'", "meta has no gateway"},
                {"DROP TABLE quarantine", "quarantine is missing"},
                {"DROP TABLE span_copy", "span_copy is missing"},
                {"DROP TABLE ahead", "no such table: ahead"},
                {"INSERT INTO ahead VALUES (3900, 3898)", "ahead is not a range"},
                {"INSERT INTO ahead VALUES (3900, 3910), (3910, 3920)", "ahead overlaps"},
                {"INSERT INTO ahead VALUES (2900, 3100)", "not above the watermark"},
                {"INSERT INTO ahead VALUES (4000, 4009); DELETE FROM sample WHERE seq BETWEEN 4000 AND 4010",
                 "missing before 4011"},
                {"DROP VIEW readings", "readings is missing"},
                {"PRAGMA user_version = 99", "version"},
        };

        for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
                make_healthy();
                db_run(T.path, faults[i].sql);
                assert_true(verify() > 0);
                if (!strstr(found, faults[i].words))
                        fail_msg("%s\n found: %s\n not: %s", faults[i].sql, found, faults[i].words);
        }
}

/* Rows that went ahead may be gone, also the last ones; a drop among them is counted once. */
static void what_went_ahead_need_not_be_there(void **state)
{
        make_healthy();
        db_run(T.path, "INSERT INTO ahead VALUES (3450, 3600), (4000, 4010);"
                       "DELETE FROM sample WHERE seq BETWEEN 3480 AND 3600 OR seq BETWEEN 4000 AND 4010");
        assert_int_equal(verify(), 0);
        db_run(T.path, "DELETE FROM sample WHERE seq BETWEEN 2900 AND 2910"); /* the watermark took them along */
        assert_int_equal(verify(), 0);
        db_run(T.path, "INSERT INTO ahead SELECT 4500, max(seq) FROM sample; DELETE FROM sample WHERE seq >= 4500");
        assert_int_equal(verify(), 0);
}

/* An é that was typed in two ways is one name since format 10, and both rows are there. */
static void names_that_became_one_are_no_fault(void **state)
{
        static const char *const names[] = {"é", "_._2f", "a"};

        for (int i = 0; i < 3; i++) {
                char sql[200];

                make_healthy();
                snprintf(sql, sizeof(sql), "UPDATE tag SET source = 's', name = '%s', unit = '', labels = ''",
                         names[i]);
                db_run(T.path, sql);
                assert_true((verify() > 0) == (i == 2));
        }
}

/* Each flag that a reading may have (agent/base/reading.h): one that is forgotten here or there is told. */
static void no_flag_is_a_fault(void **state)
{
        make_healthy();
        for (unsigned flag = 1; flag <= READING_TIME_BACK; flag *= 2) {
                char sql[120];

                snprintf(sql, sizeof(sql), "UPDATE sample SET bits = bits | (%u << 43) WHERE seq = 4000", flag);
                db_run(T.path, sql);
        }
        assert_int_equal(verify(), 0);
}

static void a_torn_page_is_found(void **state)
{
        char junk[4096];
        int fd;

        make_healthy();
        memset(junk, 0x5a, sizeof(junk));
        fd = open(T.path, O_RDWR);
        assert_int_equal(pwrite(fd, junk, sizeof(junk), 4096 * 20), sizeof(junk));
        close(fd);
        assert_true(verify() > 0);
}

static void a_file_without_a_head_is_counted_all_the_same(void **state)
{
        struct spool_verify v = {.path = T.path, .pages = true, .on_fault = on_fault};
        char junk[100] = {0};
        int fd;

        make_healthy();
        fd = open(T.path, O_RDWR);
        assert_int_equal(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk));
        close(fd);
        assert_int_equal(spool_verify(&v, NULL), 0);
        assert_false(v.readable);
        assert_true(v.n_faults > 0);
        assert_true(v.n_readings >= 2000);
}

static int setup(void **state)
{
        log_init((enum log_level)0);
        make_fixture();
        return 0;
}

static int teardown(void **state)
{
        fixture_fini(&T);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_found_in_a_healthy_file),
                cmocka_unit_test(nothing_is_found_in_a_live_file),
                cmocka_unit_test(each_fault_is_found),
                cmocka_unit_test(what_went_ahead_need_not_be_there),
                cmocka_unit_test(names_that_became_one_are_no_fault),
                cmocka_unit_test(no_flag_is_a_fault),
                cmocka_unit_test(a_torn_page_is_found),
                cmocka_unit_test(a_file_without_a_head_is_counted_all_the_same),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
