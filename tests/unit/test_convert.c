/*
 * What was sent to what was meant, by tables: each row is a configuration, a raw value and the value that is right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "agent/base/convert.h"
#include "agent/base/text.h"

#define WORDS(...)                                                                                            \
        {                                                                                                     \
                (void *)(const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *) \
        }
#define PAIRS(...)                                                                               \
        {                                                                                        \
                (struct schema_pair[]){__VA_ARGS__},                                             \
                        sizeof((struct schema_pair[]){__VA_ARGS__}) / sizeof(struct schema_pair) \
        }
/* A scale of 0 stands for 1. */
#define CONF(...)             \
        (struct convert_conf) \
        {                     \
                __VA_ARGS__   \
        }
#define ON_OFF .yes = WORDS("ON"), .no = WORDS("OFF")

/* A value as a text: "t:ON" a text, "b:true", "i:12" an integer, "12.5" a number, "bad/sensor"; "?12" is uncertain. */
static const char *shown(char out[128], const struct reading *r)
{
        const char *mark = r->quality == QUALITY_UNCERTAIN ? "?" : "";
        char number[TEXT_DOUBLE_MAX];

        if (r->type == READING_NONE)
                snprintf(out, 128, "bad/%s", quality_reason(r->quality));
        else if (r->type == READING_TEXT)
                snprintf(out, 128, "%st:%.*s", mark, (int)r->len, r->v.text);
        else if (r->type == READING_BOOL)
                snprintf(out, 128, "%sb:%s", mark, r->v.b ? "true" : "false");
        else if (r->type == READING_I64)
                snprintf(out, 128, "%si:%lld", mark, (long long)r->v.i64);
        else
                snprintf(out, 128, "%s%.*s", mark, (int)text_put_double(number, r->v.f64), number);
        return out;
}

static struct reading raw(const char *s)
{
        struct reading r = {.ts_us = 1, .arrival_us = 1};
        double f64;
        int64_t i64;
        bool is_i64;

        if (strncmp(s, "i:", 2) == 0) {
                assert_true(text_number(s + 2, strlen(s + 2), &f64, &r.v.i64, &is_i64) && is_i64);
                r.type = READING_I64;
        } else if (strncmp(s, "b:", 2) == 0) {
                r.type = READING_BOOL;
                r.v.b = s[2] == 't';
        } else if (strncmp(s, "n:", 2) == 0) {
                assert_true(text_number(s + 2, strlen(s + 2), &r.v.f64, &i64, &is_i64));
                r.type = READING_F64;
        } else {
                r.type = READING_TEXT;
                r.v.text = s;
                r.len = (uint32_t)strlen(s);
        }
        return r;
}

static void try_one(const struct convert_conf *row, const char *unit, unsigned bits, const char *from,
                    const char *right, bool unfit)
{
        char text[128], room[CONVERT_ROOM];
        struct convert_conf conf = *row;
        struct reading r = raw(from);
        struct convert c;
        const char *key;
        struct err e;
        int result;

        conf.scale = conf.scale == 0 ? 1 : conf.scale;
        if (convert_init(&c, &conf, unit, bits, &key, &e) < 0)
                fail_msg("%s: %s: %s", from, key ? key : "", e.text);
        result = convert_apply(&c, &r, room);
        if (strcmp(shown(text, &r), right) != 0 || (result == CONVERT_E_UNFIT) != unfit)
                fail_msg("\"%s\" became %s%s, %s%s is right", from, text, result ? ", unfit" : "", right,
                         unfit ? ", unfit" : "");
        assert_true(r.ts_us == 1 && r.arrival_us == 1);
        assert_true(quality_is_bad(r.quality) == (r.type == READING_NONE));
        convert_fini(&c);
}

struct row {
        struct convert_conf conf;
        const char *unit, *from, *right;
        bool unfit;
        unsigned bits;
};

static void try_all(const struct row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++)
                try_one(&rows[i].conf, rows[i].unit, rows[i].bits, rows[i].from, rows[i].right, rows[i].unfit);
}

#define TRY(rows) try_all(rows, sizeof(rows) / sizeof(*(rows)))

static void nothing_configured_changes_nothing(void **state)
{
        const struct row rows[] = {
                {CONF(0), NULL, "21.3 C", "t:21.3 C"}, {CONF(0), NULL, "317.3988", "t:317.3988"},
                {CONF(0), NULL, "n:-0.0", "-0.0"},     {CONF(0), NULL, "i:9007199254740993", "i:9007199254740993"},
                {CONF(0), NULL, "b:true", "b:true"},   {CONF(0), "degC", "b:true", "b:true"},
        };

        TRY(rows);
}

static void texts_that_are_numbers(void **state)
{
        static const struct {
                const char *from, *right;
                bool unfit;
        } rows[] = {
                {"317.3988", "317.3988"},
                {" 12 ", "12.0"},
                {"+0012.50", "12.5"},
                {"- 3.1", "-3.1"},
                {"-.5", "-0.5"},
                {"12.", "12.0"},
                {"1e3", "1000.0"},
                {"1.5E-3", "0.0015"},
                {"-0", "-0.0"},
                {"000", "0.0"},
                {"9007199254740993", "i:9007199254740993"},
                {"99999999999999999999", "bad/sensor", true},
                {"1e999", "bad/sensor", true},
                {"", "bad/sensor"},
                {"   ", "bad/sensor"},
                {"nan", "bad/sensor"},
                {"NaN", "bad/sensor"},
                {"-inf", "bad/sensor"},
                {"null", "bad/sensor"},
                {"----", "bad/sensor", true},
                {"unavailable", "bad/sensor", true},
                {"ON", "bad/sensor", true},
                {"12,5", "bad/sensor", true},
                {"1,234.5", "bad/sensor", true},
                {"12:30", "bad/sensor", true},
                {"2026-11-30", "bad/sensor", true},
                {"10.0.0.1", "bad/sensor", true},
                {"12 13", "bad/sensor", true},
                {"1.2.3", "bad/sensor", true},
                {"0x10", "bad/sensor", true},
                {".", "bad/sensor", true},
                {"-", "bad/sensor", true},
                {"e5", "bad/sensor", true},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                try_one(&CONF(.type = CONVERT_NUMBER), NULL, 0, rows[i].from, rows[i].right, rows[i].unfit);
}

static void a_comma_before_the_fraction(void **state)
{
        const struct row rows[] = {
                {CONF(.decimal = CONVERT_COMMA), NULL, "12,5", "12.5"},
                {CONF(.decimal = CONVERT_COMMA), NULL, "-0,5", "-0.5"},
                {CONF(.decimal = CONVERT_COMMA), NULL, "12", "12.0"},
                {CONF(.decimal = CONVERT_COMMA), NULL, "12,5 kg", "12.5"},
                {CONF(.decimal = CONVERT_COMMA), NULL, "12.5", "bad/sensor", true}, /* a thousand more, or not */
                {CONF(.decimal = CONVERT_COMMA), NULL, "1.234,5", "bad/sensor", true},
        };

        TRY(rows);
}

static void units_are_cut_off(void **state)
{
        const struct row rows[] = {
                {CONF(.type = CONVERT_NUMBER), NULL,
                 "21.3 \xc2\xb0"
                 "C",
                 "21.3"},
                {CONF(.type = CONVERT_NUMBER), NULL, "21.3C", "21.3"},
                {CONF(.type = CONVERT_NUMBER), NULL, "55 %", "55.0"},
                {CONF(.type = CONVERT_NUMBER), NULL, "1e3 kWh", "1000.0"},
                {CONF(.type = CONVERT_NUMBER), NULL, "5 FAULT", "?5.0"},
                {CONF(0),
                 "\xc2\xb0"
                 "C",
                 "21.3 \xc2\xb0"
                 "C",
                 "21.3"},
                {CONF(0),
                 "\xc2\xb0"
                 "C",
                 "21.3 C", "21.3"},
                {CONF(0), "C",
                 "21.3 \xc2\xb0"
                 "C",
                 "21.3"},
                {CONF(0),
                 "\xc2\xb0"
                 "C",
                 "21.3", "21.3"},
                {CONF(0),
                 "\xc2\xb0"
                 "C",
                 "70.3 \xc2\xb0"
                 "F",
                 "?t:70.3 \xc2\xb0"
                 "F"},
                {CONF(0), "bar", "3 mbar", "?t:3 mbar"},
                {CONF(0), "\xc2\xb5m", "4 \xce\xbcm", "4.0"},
                {CONF(0), "Stk", "4 Stk", "4.0"},
                {CONF(0), "mm", "n/a", "?t:n/a"}, /* a note; nothing but the unit said that a number comes */
                {CONF(0), "mm", "", "?t:"},
                {CONF(0), "mm", "nan", "bad/sensor"},
                {CONF(.type = CONVERT_NUMBER), "mm", "n/a", "bad/sensor", true},
                {CONF(.type = CONVERT_NUMERIC), "mm", "n/a", "bad/sensor", true},
        };

        TRY(rows);
}

static void scales(void **state)
{
        const struct row rows[] = {
                {CONF(.scale = 0.1), NULL, "n:3", "0.3"},
                {CONF(.scale = 0.001), NULL, "i:45123", "45.123"},
                {CONF(.scale = 0.01, .offset = -40), NULL, "i:4000", "0.0"},
                {CONF(.scale = 1.8, .offset = 32), NULL, "n:100", "212.0"},
                {CONF(.scale = -1), NULL, "n:5", "-5.0"},
                {CONF(.scale = 0.000001), NULL, "18446744073709551615", "18446744073709.55"},
                {CONF(.scale = 0.1), NULL, "215", "21.5"},
                {CONF(.scale = 1e300), NULL, "n:1e300", "bad/out_of_range"},
                {CONF(.scale = 0.1, .type = CONVERT_INTEGER), NULL, "n:217", "i:22"},
                {CONF(.scale = 0.1), NULL, "b:true", "b:true"},
                {CONF(.scale = 0.1, .type = CONVERT_NUMBER), NULL, "b:true", "0.1"},
        };

        TRY(rows);
}

static void types(void **state)
{
        const struct row rows[] = {
                {CONF(.type = CONVERT_INTEGER), NULL, "n:21", "i:21"},
                {CONF(.type = CONVERT_INTEGER), NULL, "21.0", "i:21"},
                {CONF(.type = CONVERT_INTEGER), NULL, "n:21.5", "bad/sensor", true},
                {CONF(.type = CONVERT_INTEGER), NULL, "n:1e19", "bad/out_of_range"},
                {CONF(.type = CONVERT_INTEGER), NULL, "b:true", "i:1"},
                {CONF(.type = CONVERT_INTEGER), NULL, "x", "bad/sensor", true},
                {CONF(.type = CONVERT_NUMBER), NULL, "b:false", "0.0"},
                {CONF(.type = CONVERT_NUMBER), NULL, "i:7", "i:7"},
                {CONF(.type = CONVERT_BOOLEAN), NULL, "on", "b:true"},
                {CONF(.type = CONVERT_BOOLEAN), NULL, "False", "b:false"},
                {CONF(.type = CONVERT_BOOLEAN), NULL, "n:1", "b:true"},
                {CONF(.type = CONVERT_BOOLEAN), NULL, "i:0", "b:false"},
                {CONF(.type = CONVERT_BOOLEAN), NULL, "n:2", "bad/sensor", true},
                {CONF(.type = CONVERT_BOOLEAN), NULL, "open", "bad/sensor", true},
                {CONF(.type = CONVERT_BOOLEAN), NULL, "", "bad/sensor"},
                {CONF(.type = CONVERT_TEXT), NULL, "n:12.5", "t:12.5"},
                {CONF(.type = CONVERT_TEXT), NULL, "i:-7", "t:-7"},
                {CONF(.type = CONVERT_TEXT), NULL, "b:true", "t:true"},
                {CONF(.type = CONVERT_TEXT), "kg", "0012345", "t:0012345"},
        };

        TRY(rows);
}

static void where_numbers_are_usual(void **state)
{
        const struct row rows[] = {
                {CONF(.type = CONVERT_NUMERIC), NULL, "12.5", "12.5"},
                {CONF(.type = CONVERT_NUMERIC), NULL, "warm", "bad/sensor", true},
                {CONF(.type = CONVERT_NUMERIC), NULL, "b:true", "b:true"},
                {CONF(.type = CONVERT_NUMERIC, ON_OFF), NULL, "ON", "b:true"},
                {CONF(.type = CONVERT_NUMERIC, .map = PAIRS({"0", "closed"})), NULL, "0", "t:closed"},
                {CONF(.type = CONVERT_NUMERIC, .map = PAIRS({"0", "closed"})), NULL, "jammed", "?t:jammed"},
        };

        TRY(rows);
}

static void words(void **state)
{
        const struct row rows[] = {
                {CONF(ON_OFF), NULL, "ON", "b:true"},
                {CONF(ON_OFF), NULL, " off ", "b:false"},
                {CONF(ON_OFF), NULL, "standby", "bad/sensor", true},
                {CONF(ON_OFF), NULL, "b:true", "b:true"},
                {CONF(.yes = WORDS("open")), NULL, "open", "b:true"},
                {CONF(.yes = WORDS("open")), NULL, "off", "b:false"},
                {CONF(.yes = WORDS("open")), NULL, "on", "bad/sensor", true},
                {CONF(.yes = WORDS("0"), .no = WORDS("1")), NULL, "i:0", "b:true"},
                {CONF(.yes = WORDS("0"), .no = WORDS("1")), NULL, "1", "b:false"},
                {CONF(.yes = WORDS("0"), .no = WORDS("1")), NULL, "b:true", "b:false"},
                {CONF(.bad = WORDS("unavailable", "unknown")), NULL, "Unavailable", "bad/sensor"},
                {CONF(.bad = WORDS("unavailable"), .type = CONVERT_NUMBER), NULL, "12", "12.0"},
                {CONF(.bad = WORDS("-999")), NULL, "n:-999", "bad/sensor"},
                {CONF(.bad = WORDS("-999")), NULL, "-999.0", "bad/sensor"},
                {CONF(.bad = WORDS("850")), NULL, "n:851", "851.0"},
                {CONF(.none = WORDS("0xFFFF")), NULL, "i:65535", "bad/sensor", false, 16},
                {CONF(.none = WORDS("0xFFFF")), NULL, "i:-1", "bad/sensor", false, 16},
                {CONF(.none = WORDS("0x8000")), NULL, "i:-32768", "bad/sensor", false, 16},
                {CONF(.none = WORDS("0x8000")), NULL, "i:-32768", "i:-32768", false, 32},
                {CONF(.none = WORDS("0x7FFFFFFF")), NULL, "i:2147483647", "bad/sensor", false, 32},
                {CONF(.none = WORDS("0xFFFFFFFFFFFFFFFF")), NULL, "i:-1", "bad/sensor", false, 64},
                {CONF(.none = WORDS("0xFFFF"), .scale = 0.1), NULL, "i:65535", "bad/sensor", false, 16},
        };

        TRY(rows);
}

static void maps(void **state)
{
        const struct row rows[] = {
                {CONF(.map = PAIRS({"0", "stopped"}, {"1", "running"})), NULL, "i:1", "t:running"},
                {CONF(.map = PAIRS({"0", "stopped"}, {"1", "running"})), NULL, "n:0", "t:stopped"},
                {CONF(.map = PAIRS({"0", "stopped"}, {"1", "running"})), NULL, "b:true", "t:running"},
                {CONF(.map = PAIRS({"0", "stopped"}, {"1", "running"})), NULL, "i:7", "?i:7"},
                {CONF(.map = PAIRS({"low", "1"}, {"high", "2.5"})), NULL, "HIGH", "2.5"},
                {CONF(.map = PAIRS({"low", "1"}, {"high", "2.5"})), NULL, "mid", "?t:mid"},
                {CONF(.map = PAIRS({"low", "1"}), .type = CONVERT_INTEGER), NULL, "low", "i:1"},
                {CONF(.map = PAIRS({"low", "1"}), .type = CONVERT_NUMBER), NULL, "mid", "bad/sensor", true},
                {CONF(.map = PAIRS({"low", "1"}), .type = CONVERT_TEXT), NULL, "low", "t:1"},
                {CONF(.map = PAIRS({"0x10", "door"}), .mask = "0xF0"), NULL, "i:31", "t:door"},
        };

        TRY(rows);
}

static void bits(void **state)
{
        const struct row rows[] = {
                {CONF(.mask = "0x0FF0", .shift = 4), NULL, "i:43981", "i:188"}, /* 0xABCD -> 0xBC */
                {CONF(.mask = "15"), NULL, "n:31", "15.0"},
                {CONF(.shift = 8), NULL, "i:-1", "i:72057594037927935"},
                {CONF(.mask = "0xFF"), NULL, "i:-1", "i:255"},
                {CONF(.mask = "0xFF"), NULL, "300", "44.0"},
                {CONF(.mask = "0xFF"), NULL, "n:1.5", "bad/sensor", true},
                {CONF(.mask = "0x01", .type = CONVERT_BOOLEAN), NULL, "i:3", "b:true"},
        };

        TRY(rows);
}

static void ranges(void **state)
{
        const struct row rows[] = {
                {CONF(.range = WORDS("-40", "125")), NULL, "n:125", "125.0"},
                {CONF(.range = WORDS("-40", "125")), NULL, "n:125.1", "bad/out_of_range"},
                {CONF(.range = WORDS("-40", "125")), NULL, "-41", "bad/out_of_range"},
                {CONF(.range = WORDS("-40", "125")), NULL, "i:-40", "i:-40"},
                {CONF(.range = WORDS("0", "1e3")), NULL, "warm", "bad/sensor", true},
        };

        TRY(rows);
}

static void what_is_refused(void **state)
{
        const struct {
                struct convert_conf conf;
                const char *key, *part;
        } rows[] = {
                {{.scale = 0}, "scale", "every value the same"},
                {CONF(.range = WORDS("1")), "range", "two numbers"},
                {CONF(.range = WORDS("2", "1")), "range", "two numbers"},
                {CONF(.range = WORDS("a", "1")), "range", "two numbers"},
                {CONF(.range = WORDS("1", "2", "3")), "range", "two numbers"},
                {CONF(.mask = "x"), "mask", "no bits"},
                {CONF(.mask = "0"), "mask", "no bits"},
                {CONF(.mask = "0x0"), "mask", "no bits"},
                {CONF(.mask = "-1"), "mask", "no bits"},
                {CONF(.type = CONVERT_TEXT, .range = WORDS("1", "2")), "range", "only for numbers"},
                {CONF(.type = CONVERT_NUMBER, ON_OFF), "true", "makes a boolean"},
                {CONF(.type = CONVERT_BOOLEAN, .map = PAIRS({"a", "b"})), "map", "which words are"},
                {CONF(.type = CONVERT_NUMBER, .map = PAIRS({"a", "b"})), "map", "is no number"},
                {CONF(.yes = WORDS("ON"), .no = WORDS("on")), "false", "twice"},
                {CONF(.none = WORDS("0xFFFF"), .bad = WORDS("65535")), "none", "twice"},
                {CONF(.bad = WORDS(" ")), "none", "empty"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const char *key = NULL;
                struct convert_conf conf = rows[i].conf;
                struct err e = {""};

                conf.scale = i && conf.scale == 0 ? 1 : conf.scale;
                if (convert_check(&conf, NULL, &key, &e) == 0)
                        fail_msg("row %zu is taken", i);
                if (!key || strcmp(key, rows[i].key) != 0 || !strstr(e.text, rows[i].part))
                        fail_msg("row %zu: %s: %s", i, key ? key : "-", e.text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_configured_changes_nothing),
                cmocka_unit_test(texts_that_are_numbers),
                cmocka_unit_test(a_comma_before_the_fraction),
                cmocka_unit_test(units_are_cut_off),
                cmocka_unit_test(scales),
                cmocka_unit_test(types),
                cmocka_unit_test(where_numbers_are_usual),
                cmocka_unit_test(words),
                cmocka_unit_test(maps),
                cmocka_unit_test(bits),
                cmocka_unit_test(ranges),
                cmocka_unit_test(what_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
