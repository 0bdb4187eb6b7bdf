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
                "gw-7.A_z", "공장", "온도", "Küche", "温度センサー", "Темп-1", "حرارة",
                "आर्द्रता",   "ห้อง",  "µ",    "〇Ⅷ",   "θερμοκρασία",  "٣",      "\314\201",
                "é_-.",     "a._",  "a._2", "a._g0", "._20",         "a_20",   "a._2F",
        };
        char out[TEXT_NAME_MAX + 1];

        for (size_t i = 0; i < LENGTH(names); i++) {
                assert_true(text_is_name(names[i], strlen(names[i])));
                assert_false(text_map_name(out, names[i], strlen(names[i])));
                assert_string_equal(out, names[i]);
                assert_true(text_read_name(out, names[i], strlen(names[i])));
                assert_string_equal(out, names[i]);
        }
}

/* However it was typed it is one name, and nothing is changed by that. */
static void test_one_form(void **state)
{
        static const struct {
                const char *from, *to;
        } cases[] = {
                {"e\u0301", "\u00e9"},
                {"Ko\u0308che", "K\u00f6che"},
                {"\u1112\u1161\u11ab", "\ud55c"},
                {"\u212b", "\u00c5"},
                {"a\u0301\u0323", "\u1ea1\u0301"},
                {"\u0958", "\u0915\u093c"}, /* one that is never composed */
                {"\u0344", "\u0308\u0301"},
        };
        char out[TEXT_NAME_MAX + 1];

        for (size_t i = 0; i < LENGTH(cases); i++) {
                assert_false(text_map_name(out, cases[i].from, strlen(cases[i].from)));
                assert_string_equal(out, cases[i].to);
                assert_false(text_is_name(cases[i].from, strlen(cases[i].from)));
                assert_true(text_read_name(out, cases[i].from, strlen(cases[i].from)));
                assert_string_equal(out, cases[i].to);
                assert_true(text_is_name(out, strlen(out)));
        }
}

static void test_what_is_changed(void **state)
{
        static const struct {
                const char *from;
                size_t len;
                const char *to;
        } cases[] = {
                {"a/b c", 5, "a_b_c._2f20"},
                {"a_b c", 5, "a_b_c._5f20"},
                {"t#1", 3, "t_1._23"},
                {"t+1", 3, "t_1._2b"},
                {"t~1", 3, "t_1._7e"},
                {"t_1._23", 7, "t_1._23._5f5f"},
                {"a._xabcdefghij01234567", 22, "a._xabcdefghij01234567._5f"},
                {"a._z", 4, "a._z._5f"},
                {"_._0", 4, "_._0._5f5f"},
                {"", 0, "_._0"},
                {" ", 1, "_._20"},
                {"a\0b", 3, "a_b._00"},
                {"\xff", 1, "_._ff"},
                {"\xc3", 1, "_._c3"},
                {"\xed\xa0\x80", 3, "___._eda080"},
                {"a\u00a0b", 4, "a__b._c2a0"},
                {"a\u200b", 4, "a___._e2808b"},
                {"\u202e온도", 9, "___온도._e280ae"},
                {"\ufeffx", 4, "___x._efbbbf"},
                {"\uffef", 3, "___._efbfaf"},
                {"온/도", 7, "온_도._2f"},
                {"e\u0301/", 4, "\u00e9_._2f"},
                {"a\"b\\c{d=e,f}", 12, "a_b_c_d_e_f_._225c7b3d2c7d"},
                {"°C", 3, "__C._c2b0"},
                {"m³", 3, "m__._c2b3"},
                {"\U0001f321", 4, "____._f09f8ca1"},
                {"\u3164", 3, "___._e385a4"}, /* a letter, which shows nothing */
                {"a\ufe0f", 4, "a___._efb88f"},
                {"\ue000", 3, "___._ee8080"},
                {"\u0378", 2, "__._cdb8"}, /* of no version yet */
        };
        char out[TEXT_NAME_MAX + 1];

        for (size_t i = 0; i < LENGTH(cases); i++) {
                assert_true(text_map_name(out, cases[i].from, cases[i].len));
                assert_string_equal(out, cases[i].to);
                assert_true(text_is_name(out, strlen(out)));
                assert_int_not_equal(text_name_head(out, strlen(out)), strlen(out));
        }
}

static void test_what_is_no_name(void **state)
{
        static const char *const none[] = {"",    "a b",   "a/b",  "~",     "~20",  "a~",           "a_b~20", "a~20",
                                           "a~A", "a~2~3", "a\tb", "a~2f/", "\xc3", "\xe2\x80\x8b", "m³"};
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

static void test_why_it_is_none(void **state)
{
        static const struct {
                const char *name, *why;
        } cases[] = {
                {"", "has 0 characters; allowed: 1 to 64"},
                {"온도 1", "holds a blank, which no name may have; it could be 온도_1"},
                {"a/b~c", "holds /, which no name may have; it could be a_b_c"},
                {"m³", "holds ³, which no name may have; it could be m__"},
                {"a\tb", "holds what can't be shown, which no name may have; it could be a_b"},
                {"\xff", "holds what can't be shown, which no name may have; it could be _"},
        };
        char why[TEXT_NAME_WHY], out[TEXT_NAME_MAX + 1];

        for (size_t i = 0; i < LENGTH(cases); i++) {
                assert_false(text_read_name(out, cases[i].name, strlen(cases[i].name)));
                text_name_fault(why, cases[i].name, strlen(cases[i].name));
                assert_string_equal(why, cases[i].why);
        }
}

#define AS   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 44 */
#define HASH "0123456789abcdefgh"

/* A name of before means what it meant. */
static void test_old_names(void **state)
{
        static const struct {
                const char *was, *is;
        } cases[] = {
                {"Motor_Speed~2f", "Motor_Speed._2f"},
                {"Motor_Speed_1~2f5f", "Motor_Speed_1._2f5f"},
                {"t_1_23~5f7e", "t_1_23._5f7e"},
                {"_~0", "_._0"},
                {"a~z", "a._z"},
                {"a_b~20z", "a_b._20z"},
                {"_~0y", "_._0y"},
                {"plain", "plain"},
                {"a._20", "a._20"},
                {"°C", "__C._c2b0"},
                {"°_C~20", "___C._c2b020"},
                {"e\u0301", "\u00e9"},
                {"e\u0301_~20", "\u00e9_._20"},
                {AS "~x" HASH, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa._x" HASH},
                {"a~20", "a_20._7e"}, /* never made by us */
                {"a_b~5f", "a_b_5f._5f7e"},
        };
        char out[TEXT_NAME_MAX + 1], again[TEXT_NAME_MAX + 1];

        for (size_t i = 0; i < LENGTH(cases); i++) {
                text_name_today(out, cases[i].was);
                assert_string_equal(out, cases[i].is);
                assert_true(text_is_name(out, strlen(out)));
                text_name_today(again, out);
                assert_string_equal(out, again);
        }
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
        static const char bytes[] = {'a', '_', '.', '/', '2', 'f', '\0', '\xc3', '\xa9', 'y'};
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
        char out[TEXT_NAME_MAX + 1], marked[TEXT_NAME_MAX + 1], s[4 * 65];

        for (int i = 0; i < 65; i++)
                memcpy(s + 4 * i, "\U00020000", 4);
        assert_false(text_map_name(out, s, 256));
        assert_int_equal(strlen(out), 256);
        assert_true(text_is_name(out, 256));
        assert_true(text_map_name(out, s, 260));
        assert_true(text_is_name(out, strlen(out)));
        assert_int_equal(text_name_chars(out), 64);
        assert_non_null(strstr(out, "\U00020000._x"));
        text_mark_name(marked, s, 260, 'z');
        assert_string_not_equal(out, marked);
        assert_true(text_is_name(marked, strlen(marked)));
}

/* More on a letter than anybody writes does not stay; whole or in parts it is another name. */
static void test_a_heap_of_marks(void **state)
{
        char s[2 * 60 + 1] = "a", out[TEXT_NAME_MAX + 1], again[TEXT_NAME_MAX + 1];

        for (int i = 0; i < 60; i++) {
                memcpy(s + 1 + 2 * i, i % 2 ? "\u0323" : "\u0308", 2);
                text_map_name(out, s, 3 + 2 * (size_t)i);
                assert_true(text_is_name(out, strlen(out)));
                if (i < 29) {
                        assert_false(text_map_name(again, out, strlen(out)));
                        assert_string_equal(out, again);
                }
        }
}

/* A byte that is no UTF-8 gets the marks behind it when it is replaced; so many that there is one too many then. */
static void test_marks_behind_a_byte(void **state)
{
        static const char *const in_front[] = {"\xd4", "a\u0308\xd4", "", "/", "\u1161\xff"};
        char s[200], out[TEXT_NAME_MAX + 1], again[TEXT_NAME_MAX + 1];

        for (size_t k = 0; k < sizeof(in_front) / sizeof(*in_front); k++) {
                size_t n = strlen(in_front[k]);

                memcpy(s, in_front[k], n);
                for (int i = 0; i < 40; i++, n += 2) {
                        memcpy(s + n, "\u0308", 2);
                        text_map_name(out, s, n + 2);
                        assert_true(text_is_name(out, strlen(out)));
                        text_mark_name(again, s, n + 2, 'z');
                        assert_true(text_is_name(again, strlen(again)));
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_any_script_stays),
                cmocka_unit_test(test_one_form),
                cmocka_unit_test(test_what_is_changed),
                cmocka_unit_test(test_what_is_no_name),
                cmocka_unit_test(test_why_it_is_none),
                cmocka_unit_test(test_old_names),
                cmocka_unit_test(test_short_ones_never_meet),
                cmocka_unit_test(test_long_ones_never_meet),
                cmocka_unit_test(test_a_cut),
                cmocka_unit_test(test_a_heap_of_marks),
                cmocka_unit_test(test_marks_behind_a_byte),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
