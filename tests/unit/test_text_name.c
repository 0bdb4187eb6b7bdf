/*
 * test_text_name: letters of any script stay, and whatever is changed, no two
 * names become one: by example, by all short names over a nasty alphabet, and
 * by long names that differ in one byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/text.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))

static void test_any_script_stays(void **state)
{
        static const char *const names[] = {
                "gw-7.A_z",         "공장",         "온도",  "Küche",  "Ko\314\210che", /* an o, and two dots for it */
                "温度センサー",     "Темп-1",       "حرارة", "आर्द्रता", "θερμοκρασία",   "ห้อง", "m³", "°C", "µ",
                "\xf0\x9f\x8c\xa1", "\xee\x80\x80",
        };
        char out[TEXT_NAME_MAX + 1];

        for (size_t i = 0; i < LENGTH(names); i++) {
                assert_true(text_is_name(names[i], strlen(names[i])));
                assert_false(text_map_name(out, names[i], strlen(names[i])));
                assert_string_equal(out, names[i]);
        }
}

static void test_what_is_changed(void **state)
{
        static const struct {
                const char *from;
                size_t len;
                const char *to;
        } cases[] = {
                {"a/b c", 5, "a_b_c~2f20"},
                {"a_b c", 5, "a_b_c~5f20"},
                {"t#1", 3, "t_1~23"},
                {"t+1", 3, "t_1~2b"},
                {"t~1", 3, "t_1~7e"},
                {"t_1~23", 6, "t_1_23~5f7e"},
                {"", 0, "_~0"},
                {" ", 1, "_~20"},
                {"a\0b", 3, "a_b~00"},
                {"\xff", 1, "_~ff"},
                {"\xc3", 1, "_~c3"},
                {"\xed\xa0\x80", 3, "___~eda080"},
                {"a\xc2\xa0"
                 "b",
                 4, "a__b~c2a0"},
                {"a\xe2\x80\x8b", 4, "a___~e2808b"},
                {"\xe2\x80\xae온도", 9, "___온도~e280ae"},
                {"\xef\xbb\xbfx", 4, "___x~efbbbf"},
                {"\xef\xbf\xbe", 3, "___~efbfbe"},
                {"온/도", 7, "온_도~2f"},
                {"a\"b\\c{d=e,f}", 12, "a_b_c_d_e_f_~225c7b3d2c7d"},
        };
        char out[TEXT_NAME_MAX + 1];

        for (size_t i = 0; i < LENGTH(cases); i++) {
                assert_true(text_map_name(out, cases[i].from, cases[i].len));
                assert_string_equal(out, cases[i].to);
                assert_true(text_is_name(out, strlen(out)));
        }
}

static void test_what_is_no_name(void **state)
{
        static const char *const none[] = {"",    "a b",   "a/b",  "~",     "~20",  "a~",
                                           "a~A", "a~2~3", "a\tb", "a~2f/", "\xc3", "\xe2\x80\x8b"};
        char longer[80];

        memset(longer, 'a', sizeof(longer));
        assert_true(text_is_name(longer, 64));
        assert_false(text_is_name(longer, 65));
        assert_false(text_is_name("a\0", 2));
        for (size_t i = 0; i < LENGTH(none); i++)
                assert_false(text_is_name(none[i], strlen(none[i])));
        assert_true(text_is_ascii_name("gw-7.A_z", 8));
        assert_false(text_is_ascii_name("é", 2));
        assert_false(text_is_ascii_name("a_b~20", 6));
}

static int by_text(const void *a, const void *b)
{
        return strcmp(a, b);
}

static void assert_all_differ(char (*v)[TEXT_NAME_MAX + 1], size_t n)
{
        qsort(v, n, sizeof(*v), by_text);
        for (size_t i = 1; i < n; i++)
                assert_string_not_equal(v[i - 1], v[i]);
        for (size_t i = 0; i < n; i++)
                assert_true(text_is_name(v[i], strlen(v[i])));
}

/* All of up to five bytes over ten of the nastiest, also with both marks. */
static void test_short_ones_never_meet(void **state)
{
        static const char bytes[] = {'a', '_', '~', '/', '2', 'f', '\0', '\xc3', '\xa9', 'y'};
        enum { MOST = 5, N = 1 + 10 + 100 + 1000 + 10000 + 100000 };
        char(*v)[TEXT_NAME_MAX + 1] = malloc(3 * N * sizeof(*v));
        size_t n = 0;

        for (int len = 0; len <= MOST; len++) {
                size_t all = 1;

                for (int i = 0; i < len; i++)
                        all *= LENGTH(bytes);
                for (size_t k = 0; k < all; k++) {
                        char s[MOST];
                        size_t rest = k;

                        for (int i = 0; i < len; i++, rest /= LENGTH(bytes))
                                s[i] = bytes[rest % LENGTH(bytes)];
                        text_map_name(v[n++], s, (size_t)len);
                        text_mark_name(v[n++], s, (size_t)len, 'y');
                        text_mark_name(v[n++], s, (size_t)len, 'z');
                }
        }
        assert_all_differ(v, n);
        free(v);
}

/* Lengths around the bound, one byte or its place other. */
static void test_long_ones_never_meet(void **state)
{
        enum { LONGEST = 150 };
        char(*v)[TEXT_NAME_MAX + 1] = malloc((size_t)4 * LONGEST * LONGEST * sizeof(*v));
        char s[LONGEST];
        size_t n = 0;

        for (size_t len = 20; len < LONGEST; len++) {
                memset(s, 'a', sizeof(s));
                text_map_name(v[n++], s, len);
                for (size_t i = 0; i < len; i++) {
                        static const char other[] = {'/', '_', 'b'};

                        for (size_t k = 0; k < LENGTH(other); k++) {
                                s[i] = other[k];
                                text_map_name(v[n++], s, len);
                        }
                        s[i] = 'a';
                }
        }
        assert_all_differ(v, n);
        free(v);
}

/* A cut is between two characters, and leaves room for what tells them apart. */
static void test_a_cut(void **state)
{
        char out[TEXT_NAME_MAX + 1], marked[TEXT_NAME_MAX + 1], s[120];

        for (int i = 0; i < 40; i++)
                memcpy(s + 3 * i, "온", 3);
        assert_false(text_map_name(out, s, 63));
        assert_int_equal(strlen(out), 63);
        assert_true(text_map_name(out, s, 66));
        assert_true(text_is_utf8(out, strlen(out)));
        assert_non_null(strstr(out, "온~x"));
        text_mark_name(marked, s, 66, 'z');
        assert_string_not_equal(out, marked);
        assert_true(text_is_name(marked, strlen(marked)));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_any_script_stays),     cmocka_unit_test(test_what_is_changed),
                cmocka_unit_test(test_what_is_no_name),      cmocka_unit_test(test_short_ones_never_meet),
                cmocka_unit_test(test_long_ones_never_meet), cmocka_unit_test(test_a_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
