/*
 * The listings of a spool, from a real file written in virtual time: what each command prints and answers.
 *
 * The file: gateway gw-7, epoch 1; readings 1..6 of press-1/temp (odd) and press-1/note (even, text), one a second;
 * 1 and 2 are acknowledged and kept, 7 was refused, 8 is bad.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/cli.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

static void append(struct fixture *h, uint32_t tag, const struct reading *like)
{
        struct reading r = *like;

        r.tag = tag;
        r.ts_us = r.arrival_us = h->sim.now.wall_us;
        assert_int_equal(spool_append(h->spool, &r), 0);
        fixture_run_for(h, 1000000);
}

static void fill(struct fixture *h)
{
        uint32_t temp, note;

        tags_intern(h->tags, "press-1", "temp", "degC", "\"line\":\"l1\"", "plant", &temp);
        tags_intern(h->tags, "press-1", "note", "", "", "plant", &note);
        for (int i = 1; i <= 6; i++) {
                if (i % 2)
                        append(h, temp, &(struct reading){.type = READING_F64, .v.f64 = 70 + i});
                else
                        append(h, note, &(struct reading){.type = READING_TEXT, .len = 4, .v.text = "a,\"b"});
        }
        spool_ack(h->spool, SPOOL_SAMPLES, 2);
        spool_refuse(h->spool, 1, "disk_full");
        append(h, temp, &(struct reading){.type = READING_NONE, .quality = QUALITY_BAD_COMM_FAILURE});
}

static int setup(void **state)
{
        struct fixture *h = calloc(1, sizeof(*h));

        fixture_init(h, "cli_spool", 7);
        h->conf.commit_interval_us = 100000;
        h->conf.keep_delivered_us = 3600000000;
        fixture_open(h);
        fill(h);
        fixture_close(h);
        db_run(h->path, "UPDATE meta SET value = 1 WHERE key = 'epoch'"); /* a file of before epochs differed */
        *state = h;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *h = *state;

        fixture_fini(h);
        free(h);
        return 0;
}

/* Runs a command line on the spool; *text is what it printed. */
static int run(struct fixture *h, const char *const *words, char **text)
{
        const char *argv[12] = {"millrace", "--spool", h->path};
        struct cli c = {.now_us = FIXTURE_WALL_US + 10000000, .lines = 10};
        struct err e;
        size_t len;
        int argc = 3, r;

        for (; *words; words++)
                argv[argc++] = *words;
        if (cli_parse(&c, argc, argv, &e) != 0)
                fail_msg("%s", e.text);
        c.out = (struct out){.f = open_memstream(text, &len), .json = cli_has(&c, CLI_BIT(JSON))};
        r = c.command->run(&c);
        fclose(c.out.f);
        return r;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check(struct fixture *h, const char *const *words, int result, const char *expected)
{
        char *text;

        assert_int_equal(run(h, words, &text), result);
        assert_string_equal(text, expected);
        free(text);
}

static const char record_3[] = "{\"id\":\"gw-7:1:3\",\"gateway\":\"gw-7\",\"source\":\"press-1\",\"tag\":\"temp\","
                               "\"ts\":\"2026-11-23T10:00:02.000000Z\",\"ts_us\":1795428002000000,\"value\":73.0,"
                               "\"unit\":\"degC\",\"quality\":\"good\",\"line\":\"l1\",\"epoch\":1,\"seq\":3}\n";

static void test_export(void **state)
{
        struct fixture *h = *state;

        check(h, WORDS("spool", "export", "--tag", "press-*/temp", "--until", "2026-11-23T10:00:03Z"), 0, record_3);
        check(h, WORDS("spool", "export", "--csv", "--all"), 0,
              "seq,ts,source,tag,value,unit,quality,state\n"
              "1,2026-11-23T10:00:00.000000Z,press-1,temp,71.0,degC,good,delivered\n"
              "2,2026-11-23T10:00:01.000000Z,press-1,note,\"a,\"\"b\",,good,delivered\n"
              "3,2026-11-23T10:00:02.000000Z,press-1,temp,73.0,degC,good,held\n"
              "4,2026-11-23T10:00:03.000000Z,press-1,note,\"a,\"\"b\",,good,held\n"
              "5,2026-11-23T10:00:04.000000Z,press-1,temp,75.0,degC,good,held\n"
              "6,2026-11-23T10:00:05.000000Z,press-1,note,\"a,\"\"b\",,good,held\n"
              "8,2026-11-23T10:00:06.000000Z,press-1,temp,,degC,bad/comm_failure,held\n");
        check(h, WORDS("spool", "export", "--csv", "--since", "5s"), 0,
              "seq,ts,source,tag,value,unit,quality,state\n"
              "6,2026-11-23T10:00:05.000000Z,press-1,note,\"a,\"\"b\",,good,held\n"
              "8,2026-11-23T10:00:06.000000Z,press-1,temp,,degC,bad/comm_failure,held\n");
        check(h, WORDS("spool", "export", "--tag", "nobody"), CLI_NO, "");
}

static void test_tail(void **state)
{
        struct fixture *h = *state;

        check(h, WORDS("spool", "tail", "-n", "2"), 0,
              "SEQ\tTIME\tTAG\tVALUE\tUNIT\tQUALITY\tSTATE\n"
              "6\t2026-11-23T10:00:05.000000Z\tpress-1/note\ta,\"b\t\tgood\theld\n"
              "8\t2026-11-23T10:00:06.000000Z\tpress-1/temp\t-\tdegC\tbad/comm_failure\theld\n");
        check(h, WORDS("spool", "tail", "-n0"), 0, "SEQ\tTIME\tTAG\tVALUE\tUNIT\tQUALITY\tSTATE\n");
}

static void test_show(void **state)
{
        struct fixture *h = *state;
        char *text;

        check(h, WORDS("spool", "show", "3"), CLI_OK,
              "id       gw-7:1:3\nsource   press-1\ntag      temp\nvalue    73.0 degC\nquality  good\n"
              "time     2026-11-23T10:00:02.000000Z\narrival  2026-11-23T10:00:02.000000Z\nlabels   line=l1\n"
              "flags    -\nstate    held\n");
        assert_int_equal(run(h, WORDS("spool", "show", "3", "--json"), &text), CLI_OK);
        assert_memory_equal(text, record_3, strlen(record_3) - 2);
        assert_non_null(strstr(text, "\"arrival_us\":1795428002000000,\"flags\":[],\"state\":\"held\"}\n"));
        free(text);
        assert_int_equal(run(h, WORDS("spool", "show", "7"), &text), CLI_NO);
        assert_memory_equal(text, "7: dropped (disk_full)", strlen("7: dropped (disk_full)"));
        free(text);
        check(h, WORDS("spool", "show", "9"), CLI_NO, "9: never given out; the last one is 8\n");
        check(h, WORDS("spool", "show", "0", "--json"), CLI_NO, "{\"seq\":0,\"state\":\"never\"}\n");
}

static void test_lists(void **state)
{
        struct fixture *h = *state;
        char *text;

        assert_int_equal(run(h, WORDS("spool", "ls", "--json"), &text), CLI_OK);
        assert_memory_equal(
                text,
                "{\"lane\":\"samples\",\"first_seq\":1,\"first_held_seq\":3,\"last_seq\":8,\"held\":5,"
                "\"kept\":2,\"accepted\":8,\"delivered\":2,\"dropped\":1,",
                strlen("{\"lane\":\"samples\",\"first_seq\":1,\"first_held_seq\":3,\"last_seq\":8,\"held\":5,"
                       "\"kept\":2,\"accepted\":8,\"delivered\":2,\"dropped\":1,"));
        free(text);
        assert_int_equal(run(h, WORDS("spool", "dropped", "--json"), &text), CLI_OK);
        assert_non_null(
                strstr(text, "{\"lane\":\"samples\",\"first_seq\":7,\"last_seq\":7,\"n\":1,\"reason\":\"disk_full\""));
        free(text);
        check(h, WORDS("spool", "stats"), CLI_OK,
              "SOURCE\tTAG\tUNIT\tHELD\tKEPT\tPER SECOND\tFIRST\tLAST\n"
              "press-1\ttemp\tdegC\t3\t1\t0.5\t2026-11-23T10:00:00.000000Z\t2026-11-23T10:00:06.000000Z\n"
              "press-1\tnote\t\t2\t1\t0.5\t2026-11-23T10:00:01.000000Z\t2026-11-23T10:00:05.000000Z\n");
        check(h, WORDS("tags", "--json", "--tag", "*/temp"), CLI_OK,
              "{\"source\":\"press-1\",\"tag\":\"temp\",\"labels\":{\"line\":\"l1\"},\"last_value\":null,\"unit\":"
              "\"degC\",\"quality\":\"bad/comm_failure\",\"age_s\":4.000,\"last_ts\":"
              "\"2026-11-23T10:00:06.000000Z\",\"driver\":\"plant\"}\n");
        check(h, WORDS("tags", "--tag", "*/note"), CLI_OK,
              "SOURCE\tTAG\tLABELS\tVALUE\tUNIT\tQUALITY\tAGE\tLAST\tDRIVER\n"
              "press-1\tnote\t\ta,\"b\t\tgood\t5.0s\t2026-11-23T10:00:05.000000Z\tplant\n");
}

/* No daemon: the same keys from the file, and "no" for an answer. */
static void test_sql(void **state)
{
        struct fixture *h = *state;
        char *text;

        check(h, WORDS("spool", "sql", "SELECT seq, value AS v, NULL AS absent FROM reading WHERE seq < 3"), 0,
              "seq\tv\tabsent\n1\t71.0\t-\n2\ta,\"b\t-\n");
        check(h, WORDS("spool", "sql", "SELECT seq, value AS v, NULL AS absent FROM reading WHERE seq < 3", "--json"),
              0, "{\"seq\":1,\"v\":71.0,\"absent\":null}\n{\"seq\":2,\"v\":\"a,\\\"b\",\"absent\":null}\n");
        assert_int_equal(run(h, WORDS("spool", "sql", "DELETE FROM reading"), &text), CLI_USAGE);
        assert_string_equal(text, "");
        free(text);
}

static void test_status(void **state)
{
        static const char *const keys[] = {
                "\"health\":\"failed\"", "\"gateway\":\"gw-7\"",   "\"epoch\":1",          "\"uptime_s\":null",
                "\"accepted\":8",        "\"delivered\":2",        "\"held\":5",           "\"dropped\":1",
                "\"held_bytes\":",       "\"oldest_held_age_s\":", "\"spool_bytes\":",     "\"spool_max_bytes\":",
                "\"accept_rate\":null",  "\"deliver_rate\":null",  "\"drain_eta_s\":null", "\"alarms\":{",
                "\"drivers\":[]",        "\"state\":\"stopped\"",  "\"flash\":{",
        };
        char *text;

        assert_int_equal(run(*state, WORDS("status", "--json"), &text), CLI_NO);
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
                if (!strstr(text, keys[i]))
                        fail_msg("%s is not in %s", keys[i], text);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_export, setup, teardown),
                cmocka_unit_test_setup_teardown(test_tail, setup, teardown),
                cmocka_unit_test_setup_teardown(test_show, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sql, setup, teardown),
                cmocka_unit_test_setup_teardown(test_status, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
