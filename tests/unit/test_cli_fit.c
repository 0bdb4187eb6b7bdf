/*
 * Text in a terminal's columns: widths of all scripts, names made shorter in the middle, lines that end at a blank.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/fit.h"

static void test_widths(void **state)
{
        static const struct {
                const char *s;
                size_t cols;
        } rows[] = {
                {"", 0},      {"press-1", 7},  {"zwölf", 5}, {"온도", 4},     {"e\xcc\x81", 1},        {"▁▂▃", 3},
                {"±5 °C", 5}, {"\xff\xfe", 2}, {"ｗ", 2},    {"\xe2\x82", 2}, {"\xf0\x9f\x98\x80", 2},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                if (fit_width(rows[i].s) != rows[i].cols)
                        fail_msg("%s: %zu", rows[i].s, fit_width(rows[i].s));
}

/* The names of ten thousand devices in a pipe are one line: each character is looked at by itself. */
static void test_a_long_line(void **state)
{
        enum { N = 1000000 };
        static char text[3 * N + 1];
        const char *next;

        for (size_t i = 0; i < N; i++)
                memcpy(text + 3 * i, "온", 3);
        assert_int_equal(fit_width(text), 2 * N);
        assert_int_equal(fit_line(text, SIZE_MAX, &next), 3 * N);
        assert_null(next);
}

static void test_the_middle_goes(void **state)
{
        static const struct {
                const char *s;
                size_t cols;
                bool utf8;
                const char *shown;
        } rows[] = {
                {"line-1-press-17", 15, true, "line-1-press-17"},
                {"line-1-press-17", 14, true, "line-1…ress-17"},
                {"line-1-press-17", 9, true, "line…s-17"},
                {"line-1-press-17", 9, false, "line~s-17"},
                {"line-1-press-17", 2, true, "…7"},
                {"line-1-press-17", 1, true, "…"},
                {"line-1-press-17", 0, true, ""},
                {"온도온도온도", 12, true, "온도온도온도"},
                {"온도온도온도", 11, true, "온도…온도"},
                {"온도온도온도", 8, true, "온…온도"},
                {"온도온도온도", 2, true, "…"},
        };
        char out[80];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                fit_elide(out, sizeof(out), rows[i].s, rows[i].cols, rows[i].utf8);
                assert_string_equal(out, rows[i].shown);
                assert_true(fit_width(out) <= rows[i].cols);
        }
}

static void check_lines(const char *s, size_t cols, const char *const *lines)
{
        for (; *lines; lines++) {
                const char *next;
                size_t n = fit_line(s, cols, &next);

                assert_int_equal(n, strlen(*lines));
                assert_memory_equal(s, *lines, n);
                s = next ? next : "";
                if (!next)
                        assert_null(lines[1]);
        }
        assert_string_equal(s, "");
}

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_lines_end_at_a_blank(void **state)
{
        check_lines("the broker does not answer", 80, LINES("the broker does not answer"));
        check_lines("the broker does not answer", 15, LINES("the broker does", "not answer"));
        check_lines("the broker does not answer", 14, LINES("the broker", "does not", "answer"));
        check_lines("the  broker ", 5, LINES("the", "broke", "r"));
        check_lines("", 5, LINES(""));
        check_lines("abc", 1, LINES("a", "b", "c"));
        check_lines("온도", 1, LINES("온", "도"));
        check_lines(" abc", 3, LINES(" ab", "c"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_widths),
                cmocka_unit_test(test_a_long_line),
                cmocka_unit_test(test_the_middle_goes),
                cmocka_unit_test(test_lines_end_at_a_blank),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
