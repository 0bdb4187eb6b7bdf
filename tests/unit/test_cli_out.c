/*
 * The writer: one listing as a table, as lines for a pipe and as JSON; and readings as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/cli/out.h"
#include "agent/cli/reading_view.h"

enum form { TABLE, PIPE, JSON };

static const struct out_column columns[] = {
        {"name", "NAME", OUT_TEXT}, {"n", "COUNT", OUT_COUNT},  {"bytes", "SIZE", OUT_SIZE},
        {"at", "AT", OUT_TIME},     {"age_s", "AGE", OUT_SPAN}, {"rate", "RATE", OUT_REAL},
};

static const struct out_cell rows[][6] = {
        {{.text = "a"}, {.n = 1234567}, {.n = 2048}, {.us = 1795428000123456}, {.us = 90000000}, {.real = 2.25}},
        {{.text = "zw\xc3\xb6lf"}, {.n = 0}, {.n = 0}, {.absent = true}, {.absent = true}, {.absent = true}},
        {{.text = "tab\tline\nesc\033[2J\"q\""}, {.n = 7}, {.n = 1}, {.us = 0}, {.us = 0}, {.real = 0}},
};

static char *listed(enum form form)
{
        char *text;
        size_t len;
        struct out o = {.f = open_memstream(&text, &len), .json = form == JSON, .terminal = form == TABLE, .utc = true};

        out_table(&o, columns, 6);
        for (size_t i = 0; i < 3; i++)
                out_row(&o, rows[i]);
        out_table_end(&o);
        assert_true(out_end(&o));
        fclose(o.f);
        return text;
}

static void check(enum form form, const char *expected)
{
        char *text = listed(form);

        assert_string_equal(text, expected);
        free(text);
}

static void test_table(void **state)
{
        check(TABLE, "NAME                     COUNT     SIZE  AT                       AGE  RATE\n"
                     "a                    1,234,567  2.0 KiB  2026-11-23 10:00:00Z  1m 30s   2.2\n"
                     "zw\xc3\xb6lf                        0      0 B  -                          -     -\n"
                     "tab?line?esc?[2J\"q\"          7      1 B  1970-01-01 00:00:00Z      0s   0.0\n");
}

static void test_pipe(void **state)
{
        check(PIPE, "NAME\tCOUNT\tSIZE\tAT\tAGE\tRATE\n"
                    "a\t1234567\t2.0 KiB\t2026-11-23T10:00:00.123456Z\t1m 30s\t2.2\n"
                    "zw\xc3\xb6lf\t0\t0 B\t-\t-\t-\n"
                    "tab?line?esc?[2J\"q\"\t7\t1 B\t1970-01-01T00:00:00.000000Z\t0s\t0.0\n");
}

static void test_json(void **state)
{
        check(JSON,
              "{\"name\":\"a\",\"n\":1234567,\"bytes\":2048,\"at\":\"2026-11-23T10:00:00.123456Z\",\"age_s\":90.000,"
              "\"rate\":2.250}\n"
              "{\"name\":\"zw\xc3\xb6lf\",\"n\":0,\"bytes\":0,\"at\":null,\"age_s\":null,\"rate\":null}\n"
              "{\"name\":\"tab\\tline\\nesc\\u001b[2J\\\"q\\\"\",\"n\":7,\"bytes\":1,\"at\":\"1970-01-01T00:00:00."
              "000000Z\","
              "\"age_s\":0.000,\"rate\":0.000}\n");
}

static const struct out_column two[] = {
        {"source", "SOURCE", OUT_TEXT}, {"n", "N", OUT_COUNT}, {"why", "WHY", OUT_TEXT}};

static char *two_columns(size_t cols, bool utf8, bool colour, bool filled)
{
        static const struct out_cell row[] = {
                {.text = "line-1-press-17"}, {.n = 1234}, {.text = "no answer within 300 ms", .colour = OUT_RED}};
        char *text;
        size_t len;
        struct out o = {
                .f = open_memstream(&text, &len), .terminal = true, .cols = cols, .utf8 = utf8, .colour = colour};

        out_table(&o, two, 3);
        out_when_empty(&o, "no source yet");
        if (filled)
                out_row(&o, row);
        out_table_end(&o);
        fclose(o.f);
        return text;
}

static void test_a_narrow_terminal(void **state)
{
        static const struct {
                size_t cols;
                bool utf8;
                const char *text;
        } cases[] = {
                {0, true, "SOURCE               N  WHY\nline-1-press-17  1,234  no answer within 300 ms\n"},
                {47, true, "SOURCE               N  WHY\nline-1-press-17  1,234  no answer within 300 ms\n"},
                {40, true, "SOURCE               N  WHY\nline-1-press-17  1,234  no answ…n 300 ms\n"},
                {35, true, "SOURCE             N  WHY\nline-1…ess-17  1,234  no ans…300 ms\n"},
                {27, false, "SOURCE         N  WHY\nline~s-17  1,234  no a~0 ms\n"},
                {5, false, "SOURCE        N  WHY\nlin~s-17  1,234  no ~0 ms\n"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                char *text = two_columns(cases[i].cols, cases[i].utf8, false, true);

                assert_string_equal(text, cases[i].text);
                free(text);
        }
}

static void test_colours_and_empty_lists(void **state)
{
        char *text = two_columns(0, true, true, true);

        assert_non_null(strstr(text, "\033[1mWHY\033[0m\n"));
        assert_non_null(strstr(text, "\033[1;31mno answer within 300 ms\033[0m\n"));
        free(text);
        text = two_columns(0, true, true, false);
        assert_string_equal(text, "no source yet\n");
        free(text);
}

static void test_times_of_people(void **state)
{
        static const struct {
                const char *tz;
                bool utc;
                const char *shown;
        } cases[] = {
                {"UTC", false, "2026-11-23 10:00:00Z"},          {"CET-1", false, "2026-11-23 11:00:00+01"},
                {"EST5", false, "2026-11-23 05:00:00-05"},       {"IST-5:30", false, "2026-11-23 15:30:00+05:30"},
                {"NST3:30", false, "2026-11-23 06:30:00-03:30"}, {"CET-1", true, "2026-11-23 10:00:00Z"},
        };
        char s[48];

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                setenv("TZ", cases[i].tz, 1);
                tzset();
                assert_int_equal(out_put_time(s, sizeof(s), 1795428000123456, cases[i].utc), strlen(cases[i].shown));
                assert_string_equal(s, cases[i].shown);
        }
        out_put_time(s, sizeof(s), -1, true);
        assert_string_equal(s, "1969-12-31 23:59:59Z");
        out_put_time(s, sizeof(s), INT64_MIN, true);
        out_put_time(s, sizeof(s), INT64_MAX, true);
}

static void test_clean(void **state)
{
        static const struct {
                const char *text;
                size_t cap;
                const char *shown;
        } cases[] = {
                {"plain", 16, "plain"},
                {"\x07\x7f", 16, "??"},
                {"\xc2\x9b"
                 "31m",
                 16, "?31m"},
                {"cut here", 5, "cut "},
                {"ab\xc3\xb6", 4, "ab"},
                {"\xc3\xb6", 3, "\xc3\xb6"},
                {"\xe2\x82\xac\xe2\x82\xac", 6, "\xe2\x82\xac"},
                {"", 4, ""},
        };
        char shown[16];

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                out_put_clean(shown, cases[i].cap, cases[i].text);
                assert_string_equal(shown, cases[i].shown);
        }
}

static void test_members_are_cut_between_characters(void **state)
{
        char shown[9];

        out_put_members(shown, sizeof(shown), "\"line\":\"l2\",\"a\":\"b\"");
        assert_string_equal(shown, "line=l2,");
        out_put_members(shown, sizeof(shown), "\"line\":\"a\xe2\x82\xac\"");
        assert_string_equal(shown, "line=a");
        out_put_members(shown, sizeof(shown), "\"lin\":\"a\xe2\x82\xac\"");
        assert_string_equal(shown, "lin=a\xe2\x82\xac");
}

static void test_counts(void **state)
{
        static const struct {
                uint64_t n;
                const char *grouped, *plain;
        } cases[] = {
                {0, "0", "0"},
                {999, "999", "999"},
                {1000, "1,000", "1000"},
                {123456, "123,456", "123456"},
                {UINT64_MAX, "18,446,744,073,709,551,615", "18446744073709551615"},
        };
        char s[40];

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                out_put_count(s, sizeof(s), cases[i].n, true);
                assert_string_equal(s, cases[i].grouped);
                out_put_count(s, sizeof(s), cases[i].n, false);
                assert_string_equal(s, cases[i].plain);
        }
}

static void test_values(void **state)
{
        static const struct {
                struct reading r;
                size_t cap;
                const char *shown;
        } cases[] = {
                {{.type = READING_F64, .v.f64 = 71}, 64, "71.0"},
                {{.type = READING_I64, .v.i64 = INT64_MIN}, 64, "-9223372036854775808"},
                {{.type = READING_BOOL, .v.b = true}, 64, "true"},
                {{.type = READING_BOOL, .v.b = false}, 64, "false"},
                {{.type = READING_TEXT, .len = 5, .v.text = "hallo!"}, 64, "hallo"},
                {{.type = READING_TEXT, .len = 4, .v.text = "ab\xc3\xb6"}, 4, "ab"},
                {{.type = READING_RAW, .len = 3, .v.text = "\x00\xff\x10"}, 64, "0x00ff10"},
                {{.type = READING_RAW, .len = 3, .v.text = "\x00\xff\x10"}, 6, "0x00"},
                {{.type = READING_NONE, .quality = QUALITY_BAD}, 64, ""},
        };
        char s[64];

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                memset(s, 'x', sizeof(s));
                assert_int_equal(view_put_value(s, cases[i].cap, &cases[i].r), strlen(cases[i].shown));
                assert_string_equal(s, cases[i].shown);
        }
}

static void test_floats_as_their_type_prints(void **state)
{
        static const struct {
                double v;
                const char *shown;
        } cases[] = {
                {(double)71.3f, "71.3"},
                {71.3, "71.3"},
                {(double)0.1f, "0.1"},
                {71, "71.0"},
                {(double)-1.17e-5f, "-0.0000117"},
                {16777217, "16777217.0"},
                {(double)3.4e38f, "3.4e38"},
                {1e300, "1e300"},
                {0, "0.0"},
                {(double)1e10f, "10000000000.0"},
                {71.300003, "71.300003"},
                {(double)3.1415927f, "3.1415927"},
        };
        char s[64];

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                view_put_shown(s, sizeof(s), &(struct reading){.type = READING_F64, .v.f64 = cases[i].v});
                assert_string_equal(s, cases[i].shown);
        }
}

static void test_members(void **state)
{
        static const struct out_column labels = {"labels", "LABELS", OUT_MEMBERS};
        struct out_cell cell = {.text = "\"line\":\"l1\",\"cell\":\"3\""};
        char *text, shown[32];
        size_t len;
        struct out o = {.f = open_memstream(&text, &len), .json = true};

        out_put_cell(&o, shown, sizeof(shown), OUT_MEMBERS, &cell);
        assert_string_equal(shown, "line=l1,cell=3");
        out_put_cell(&o, shown, 6, OUT_MEMBERS, &cell);
        assert_string_equal(shown, "line=");
        out_table(&o, &labels, 1);
        out_row(&o, &cell);
        out_row(&o, &(struct out_cell){.text = ""});
        fclose(o.f);
        assert_string_equal(text, "{\"labels\":{\"line\":\"l1\",\"cell\":\"3\"}}\n{\"labels\":{}}\n");
        free(text);
}

static void test_qualities(void **state)
{
        char s[48];

        view_put_quality(s, sizeof(s), QUALITY_GOOD);
        assert_string_equal(s, "good");
        view_put_quality(s, sizeof(s), QUALITY_BAD_COMM_FAILURE);
        assert_string_equal(s, "bad/comm_failure");
        for (unsigned bit = 1; bit <= READING_TEST; bit <<= 1)
                assert_non_null(view_flag_name(bit));
        assert_null(view_flag_name(READING_TEST << 1));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_pipe),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_clean),
                cmocka_unit_test(test_members_are_cut_between_characters),
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_qualities),
                cmocka_unit_test(test_members),
                cmocka_unit_test(test_a_narrow_terminal),
                cmocka_unit_test(test_colours_and_empty_lists),
                cmocka_unit_test(test_times_of_people),
                cmocka_unit_test(test_floats_as_their_type_prints),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
