/*
 * test_text: numbers there and back, times, units, names, UTF-8, spelling.
 *
 * The shortest form is checked without the code under test: no text with one digit less may read back, neither the
 * nearest one (printf) nor its neighbours.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/text.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed;
}

static uint64_t bits_of(double v)
{
        uint64_t u;

        memcpy(&u, &v, sizeof(u));
        return u;
}

static double double_of(uint64_t u)
{
        double v;

        memcpy(&v, &u, sizeof(v));
        return v;
}

static const char *put(double v)
{
        static char out[TEXT_DOUBLE_MAX + 1];
        size_t n = text_put_double(out, v);

        assert_in_range(n, 3, TEXT_DOUBLE_MAX);
        out[n] = '\0';
        return out;
}

/* Significant digits of what was written; 10.0 has one. */
static int digits_in(const char *s)
{
        char digits[40];
        int n = 0;

        for (; *s && *s != 'e'; s++) {
                if (*s >= '0' && *s <= '9' && (n > 0 || *s != '0'))
                        digits[n++] = *s;
        }
        while (n > 1 && digits[n - 1] == '0')
                n--;
        return n;
}

static bool reads_back_with(double v, int digits)
{
        char text[64];
        char *e;
        long long mantissa;
        int exponent;

        snprintf(text, sizeof(text), "%.*e", digits - 1, fabs(v));
        e = strchr(text, 'e');
        exponent = atoi(e + 1) - (digits - 1);
        *e = '\0';
        if (digits > 1)
                memmove(text + 1, text + 2, strlen(text + 2) + 1);
        mantissa = atoll(text);
        for (int step = -1; step <= 1; step++) {
                snprintf(text, sizeof(text), "%llde%d", mantissa + step, exponent);
                if (strtod(text, NULL) == fabs(v))
                        return true;
        }
        return false;
}

static void check_round_trip(double v)
{
        const char *s = put(v);

        if (bits_of(strtod(s, NULL)) != bits_of(v))
                fail_msg("%s does not read back to %.17g", s, v);
        if (!strpbrk(s, ".e"))
                fail_msg("%s has neither fraction nor exponent", s);
}

static void check_shortest(double v)
{
        const char *s = put(v);
        int n = digits_in(s);

        if (n > 1 && reads_back_with(v, n - 1))
                fail_msg("%s: %d digits would do", s, n - 1);
}

static void test_double_forms(void **state)
{
        static const struct {
                double v;
                const char *text;
        } rows[] = {
                {0.0, "0.0"},
                {-0.0, "-0.0"},
                {71, "71.0"},
                {-71.3, "-71.3"},
                {0.1, "0.1"},
                {100, "100.0"},
                {0.0001, "0.0001"},
                {-0.00012, "-0.00012"},
                {0.00005, "0.00005"},
                {12345.6789, "12345.6789"},
                {99999.99995, "99999.99995"},
                {428999.9999, "428999.9999"},
                {429000, "429000.0"},
                {429496.7296, "429496.7296"},
                {1000000.5, "1000000.5"},
                {0.10000000000000002, "0.10000000000000002"},
                {99.899999999999991, "99.89999999999999"},
                {1e-300, "1e-300"},
                {5e-324, "5e-324"},
                {1e22, "1e22"},
                {1e16, "1e16"},
                {9999999999999998.0, "9999999999999998.0"},
                {1e15, "1000000000000000.0"},
                {9007199254740992.0, "9007199254740992.0"},
                {9007199254740993.0, "9007199254740992.0"},
                {1.7976931348623157e308, "1.7976931348623157e308"},
                {2.2250738585072014e-308, "2.2250738585072014e-308"},
                {2.225073858507201e-308, "2.225073858507201e-308"},
                {0x1p-44, "5.684341886080802e-14"},
                {0x1p-1074, "5e-324"},
                {0x1p-1022, "2.2250738585072014e-308"},
                {0x1p1023, "8.98846567431158e307"},
                {1e-5, "0.00001"},
                {9.999999999999999e-6, "9.999999999999999e-6"},
                {1.5e-6, "1.5e-6"},
                {0.000123, "0.000123"},
                {1.0 / 3, "0.3333333333333333"},
                {2.0 / 3, "0.6666666666666666"},
                {71.3f, "71.30000305175781"},
                {0.30000000000000004, "0.30000000000000004"},
                {123456789012345680.0, "1.2345678901234568e17"},
                {4.35, "4.35"},
                {1e23, "1e23"},
                {9.5367431640625e-07, "9.5367431640625e-7"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                assert_string_equal(put(rows[i].v), rows[i].text);
                check_round_trip(rows[i].v);
        }
}

static void test_double_powers_of_two(void **state)
{
        for (int e = -1074; e <= 1023; e++) {
                double v = ldexp(1, e);

                check_round_trip(v);
                check_shortest(v);
                check_shortest(nextafter(v, 0));
                check_round_trip(nextafter(v, 0));
                check_round_trip(nextafter(v, HUGE_VAL));
        }
}

static void test_double_random_bits(void **state)
{
        for (int i = 0; i < 1000000;) {
                double v = double_of(next_random());

                if (!isfinite(v))
                        continue;
                check_round_trip(v);
                if (i % 20 == 0)
                        check_shortest(v);
                i++;
        }
}

static void test_double_sensor_values(void **state)
{
        for (int i = 0; i < 1000000; i++) {
                uint64_t r = next_random();
                int decimals = (int)(r % 7);
                double v = (double)((int64_t)(r >> 8) % 100000000) / pow(10, decimals);

                check_round_trip(v);
                if (digits_in(put(v)) > 15)
                        fail_msg("%s is too long for %.17g", put(v), v);
                if (i % 20 == 0)
                        check_shortest(v);
        }
}

static void test_double_floats(void **state)
{
        for (int i = 0; i < 50000; i++) {
                double v = (float)(next_random() % 1000000) / 997.0f;

                check_round_trip(v);
                check_shortest(v);
        }
}

static void test_i64(void **state)
{
        static const struct {
                int64_t v;
                const char *text;
        } rows[] = {
                {0, "0"},       {7, "7"},
                {-1, "-1"},     {10, "10"},
                {1234, "1234"}, {INT64_MAX, "9223372036854775807"},
                {99, "99"},     {INT64_MIN, "-9223372036854775808"},
        };
        char out[TEXT_DOUBLE_MAX];

        for (size_t i = 0; i < LENGTH(rows); i++) {
                size_t n = text_put_i64(out, rows[i].v);

                assert_int_equal(n, strlen(rows[i].text));
                assert_memory_equal(out, rows[i].text, n);
        }
}

static void test_number(void **state)
{
        static const struct {
                const char *s;
                double f64;
                bool is_i64;
                int64_t i64;
        } rows[] = {
                {"0", 0, true, 0},
                {"71", 71, true, 71},
                {"-5", -5, true, -5},
                {"-0", -0.0, false, 0},
                {"-0.0", -0.0, false, 0},
                {"71.0", 71, false, 0},
                {"1e3", 1000, false, 0},
                {"1E+3", 1000, false, 0},
                {"0.1", 0.1, false, 0},
                {"1.5e-3", 0.0015, false, 0},
                {"9223372036854775807", 9223372036854775807.0, true, INT64_MAX},
                {"9223372036854775808", 9223372036854775808.0, false, 0},
                {"-9223372036854775808", -9223372036854775808.0, true, INT64_MIN},
                {"-9223372036854775809", -9223372036854775808.0, false, 0},
                {"9007199254740993", 9007199254740992.0, true, 9007199254740993},
                {"5e-324", 5e-324, false, 0},
                {"1e-400", 0, false, 0},
                {"0e999999999", 0, false, 0},
                {"1.7976931348623157e308", 1.7976931348623157e308, false, 0},
                {"123456789012345678901234567890", 123456789012345678901234567890.0, false, 0},
                {"0.000000000000000000000000000001", 1e-30, false, 0},
                {"1.00000000000000011102230246251565404236316680908203125", 1, false, 0},
                {"1.00000000000000011102230246251565404236316680908203126", 1.0000000000000002, false, 0},
        };
        double f64;
        int64_t i64;
        bool is_i64;

        for (size_t i = 0; i < LENGTH(rows); i++) {
                if (!text_number(rows[i].s, strlen(rows[i].s), &f64, &i64, &is_i64))
                        fail_msg("%s is a number", rows[i].s);
                assert_true(bits_of(f64) == bits_of(rows[i].f64));
                assert_int_equal(is_i64, rows[i].is_i64);
                assert_true(!is_i64 || i64 == rows[i].i64);
        }
}

static void test_no_number(void **state)
{
        static const char *const rows[] = {"",    "-",     "+1",  "01",       "-01",    ".5",    "5.",   "1e",
                                           "1e+", "0x10",  "NaN", "Infinity", "-inf",   "1 ",    " 1",   "1_000",
                                           "1,5", "1.5.2", "--1", "1e999",    "-1e999", "1e5.5", "1.e5", "٣"};
        double f64;
        int64_t i64;
        bool is_i64;

        for (size_t i = 0; i < LENGTH(rows); i++) {
                if (text_number(rows[i], strlen(rows[i]), &f64, &i64, &is_i64))
                        fail_msg("%s is no number", rows[i]);
        }
        assert_false(text_number("1\0", 2, &f64, &i64, &is_i64));
}

/* The digit that decides stands behind 1,000 others. */
static void test_number_long(void **state)
{
        char s[2000];
        double f64;
        int64_t i64;
        bool is_i64;

        strcpy(s, "1.00000000000000011102230246251565404236316680908203125");
        memset(s + strlen(s), '0', 1500);
        s[1500] = '\0';
        assert_true(text_number(s, 1500, &f64, &i64, &is_i64));
        assert_true(f64 == 1);
        s[1499] = '1';
        assert_true(text_number(s, 1500, &f64, &i64, &is_i64));
        assert_true(f64 == 1.0000000000000002);
        memset(s, '7', 1500);
        assert_false(text_number(s, 1500, &f64, &i64, &is_i64));
}

static void test_number_reads_what_double_writes(void **state)
{
        for (int i = 0; i < 100000; i++) {
                double v = i % 2 ? double_of(next_random()) : (double)(next_random() % 10000000) / 1000, f64;
                const char *s;
                int64_t i64;
                bool is_i64;

                if (!isfinite(v))
                        continue;
                s = put(v);
                assert_true(text_number(s, strlen(s), &f64, &i64, &is_i64));
                assert_true(bits_of(f64) == bits_of(v));
        }
}

static void test_put_time(void **state)
{
        static const struct {
                int64_t us;
                const char *text;
        } rows[] = {
                {0, "1970-01-01T00:00:00.000000Z"},
                {-1, "1969-12-31T23:59:59.999999Z"},
                {1795428000123456, "2026-11-23T10:00:00.123456Z"},
                {951782400000000, "2000-02-29T00:00:00.000000Z"},
                {4107542400000000, "2100-03-01T00:00:00.000000Z"},
                {1709164800000000, "2024-02-29T00:00:00.000000Z"},
                {1735689599999999, "2024-12-31T23:59:59.999999Z"},
                {-62167219200000000, "0000-01-01T00:00:00.000000Z"},
                {-62162035200000000, "0000-03-01T00:00:00.000000Z"},
                {INT64_MIN, "0000-01-01T00:00:00.000000Z"},
                {253402300799999999, "9999-12-31T23:59:59.999999Z"},
                {INT64_MAX, "9999-12-31T23:59:59.999999Z"},
        };
        char out[TEXT_TIME_MAX];

        for (size_t i = 0; i < LENGTH(rows); i++) {
                assert_int_equal(text_put_time(out, rows[i].us), 27);
                if (memcmp(out, rows[i].text, 27) != 0)
                        fail_msg("%.27s, expected %s", out, rows[i].text);
        }
}

static void test_time(void **state)
{
        static const struct {
                const char *s;
                int64_t us;
                bool has_zone;
        } rows[] = {
                {"1970-01-01T00:00:00Z", 0, true},
                {"2026-11-23T10:00:00.123456Z", 1795428000123456, true},
                {"2026-11-23T10:00:00,5Z", 1795428000500000, true},
                {"2026-11-23t10:00:00.123456789z", 1795428000123456, true},
                {"2026-11-23 10:00:00", 1795428000000000, false},
                {"2026-11-23T19:00:00+09:00", 1795428000000000, true},
                {"2026-11-23T19:00:00+0900", 1795428000000000, true},
                {"2026-11-23T04:30:00-05:30", 1795428000000000, true},
                {"2000-02-29T00:00:00Z", 951782400000000, true},
                {"2016-12-31T23:59:60Z", 1483228800000000, true},
                {"0000-01-01T00:00:00Z", -62167219200000000, true},
                {"9999-12-31T23:59:59.999999Z", 253402300799999999, true},
        };
        int64_t us;
        bool has_zone;

        for (size_t i = 0; i < LENGTH(rows); i++) {
                if (!text_time(rows[i].s, strlen(rows[i].s), &us, &has_zone))
                        fail_msg("%s is a time", rows[i].s);
                if (us != rows[i].us)
                        fail_msg("%s: %lld", rows[i].s, (long long)us);
                assert_int_equal(has_zone, rows[i].has_zone);
        }
}

static void test_no_time(void **state)
{
        static const char *const rows[] = {
                "",
                "2026",
                "2026-11-23",
                "2026-11-23T10:00Z",
                "2026-13-01T00:00:00Z",
                "2026-00-01T00:00:00Z",
                "2026-11-31T00:00:00Z",
                "2026-11-00T00:00:00Z",
                "2026-02-29T00:00:00Z",
                "2100-02-29T00:00:00Z",
                "2026-11-23T24:00:00Z",
                "2026-11-23T10:60:00Z",
                "2026-11-23T10:00:61Z",
                "2026-11-23T10:00:60Z",
                "2026-11-23T10:00:00.Z",
                "2026-11-23T10:00:00ZZ",
                "2026-11-23T10:00:00 Z",
                "2026-11-23T10:00:00+24:00",
                "2026-11-23T10:00:00+09:60",
                "2026-11-23T10:00:00+09",
                "2026-11-23T10:00:00+9:00",
                "2026-11-23_10:00:00Z",
                "2026/11/23T10:00:00Z",
                "+026-11-23T10:00:00Z",
                "-026-11-23T10:00:00Z",
        };
        int64_t us;
        bool has_zone;

        for (size_t i = 0; i < LENGTH(rows); i++) {
                if (text_time(rows[i], strlen(rows[i]), &us, &has_zone))
                        fail_msg("%s is no time", rows[i]);
        }
        assert_false(text_time("2026-11-23T10:00:00\0", 20, &us, &has_zone));
}

static void test_time_there_and_back(void **state)
{
        for (int i = 0; i < 100000; i++) {
                int64_t us = (int64_t)(next_random() % 315569520000000000) - 62167219200000000, back;
                char out[TEXT_TIME_MAX];
                bool has_zone;

                assert_true(text_time(out, text_put_time(out, us), &back, &has_zone));
                assert_true(us == back && has_zone);
        }
}

static void test_duration(void **state)
{
        static const struct {
                const char *s;
                int64_t us;
        } rows[] = {
                {"0s", 0},      {"100ms", 100000},    {"5s", 5000000},
                {"1us", 1},     {"1.5h", 5400000000}, {"2d", 172800000000},
                {"0.5ms", 500}, {"30m", 1800000000},  {"0.000001s", 1},
        };
        static const char *const bad[] = {"",          "0",    "5",    "s",   "5 s",
                                          "-5s",       "5S",   "5sec", ".5s", "5.s",
                                          "1.5us",     "1e3s", "5s ",  " 5s", "99999999999999999999s",
                                          "999999999d"};
        int64_t us;

        for (size_t i = 0; i < LENGTH(rows); i++) {
                assert_true(text_duration(rows[i].s, &us));
                assert_int_equal(us, rows[i].us);
        }
        for (size_t i = 0; i < LENGTH(bad); i++) {
                if (text_duration(bad[i], &us))
                        fail_msg("%s is no duration", bad[i]);
        }
}

static void test_size(void **state)
{
        static const struct {
                const char *s;
                uint64_t bytes;
        } rows[] = {{"0B", 0},         {"512B", 512},       {"64KiB", 65536},       {"1GiB", 1 << 30},
                    {"100kB", 100000}, {"1.5MiB", 1572864}, {"2TiB", 2199023255552}};
        static const char *const bad[] = {"", "64", "64K", "64KB", "64 KiB", "-1B", "1.3B", "99999999999TiB", "1GIB"};
        uint64_t bytes;

        for (size_t i = 0; i < LENGTH(rows); i++) {
                assert_true(text_size(rows[i].s, &bytes));
                assert_int_equal(bytes, rows[i].bytes);
        }
        for (size_t i = 0; i < LENGTH(bad); i++) {
                if (text_size(bad[i], &bytes))
                        fail_msg("%s is no size", bad[i]);
        }
}

static void test_for_people(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } sizes[] = {{0, "0 B"},           {1023, "1023 B"},        {1024, "1.0 KiB"}, {1288490189, "1.2 GiB"},
                     {1048575, "1.0 MiB"}, {UINT64_MAX, "16.0 EiB"}};
        static const struct {
                int64_t us;
                const char *text;
        } durations[] = {{0, "0s"},
                         {12, "12us"},
                         {1500, "1ms"},
                         {5200000, "5.2s"},
                         {65000000, "1m 5s"},
                         {11520000000, "3h 12m"},
                         {183600000000, "2d 3h"},
                         {-5200000, "-5.2s"}};
        char out[32];

        for (size_t i = 0; i < LENGTH(sizes); i++) {
                assert_int_equal(text_put_size(out, sizeof(out), sizes[i].bytes), strlen(sizes[i].text));
                assert_string_equal(out, sizes[i].text);
        }
        for (size_t i = 0; i < LENGTH(durations); i++) {
                assert_int_equal(text_put_duration(out, sizeof(out), durations[i].us), strlen(durations[i].text));
                assert_string_equal(out, durations[i].text);
        }
        assert_int_equal(text_put_size(out, 4, 1024), 3);
        assert_int_equal(text_put_duration(out, 3, 65000000), 2);
}

static void test_utf8(void **state)
{
        static const char *const good[] = {"",
                                           "plain ASCII, longer than a word",
                                           "é",
                                           "온도 71.3 °C",
                                           "\xf0\x9f\x8c\xbe",
                                           "\xed\x9f\xbf",
                                           "\xee\x80\x80",
                                           "\xf4\x8f\xbf\xbf",
                                           "12345678é",
                                           "1234567é"};
        static const char *const bad[] = {"\x80",
                                          "\xc0\x80",
                                          "\xc1\xbf",
                                          "\xe0\x80\x80",
                                          "\xed\xa0\x80",
                                          "\xf0\x80\x80\x80",
                                          "\xf4\x90\x80\x80",
                                          "\xf5\x80\x80\x80",
                                          "\xff",
                                          "\xc3",
                                          "\xe2\x82",
                                          "12345678\xff",
                                          "1234567\xff",
                                          "\xc3(",
                                          "\xe2(\xa1"};

        for (size_t i = 0; i < LENGTH(good); i++) {
                if (!text_is_utf8(good[i], strlen(good[i])))
                        fail_msg("row %zu is UTF-8", i);
        }
        for (size_t i = 0; i < LENGTH(bad); i++) {
                if (text_is_utf8(bad[i], strlen(bad[i])))
                        fail_msg("row %zu is not UTF-8", i);
        }
        assert_false(text_is_utf8("a\0b", 3));
        assert_false(text_is_utf8("12345\0789", 9));
}

static void test_json(void **state)
{
        static const struct {
                const char *s;
                size_t len;
                const char *json;
        } rows[] = {
                {"plain", 5, "plain"},
                {"a\"b\\c", 5, "a\\\"b\\\\c"},
                {"\n\t\r\b\f", 5, "\\n\\t\\r\\b\\f"},
                {"\x01\x1f\0", 3, "\\u0001\\u001f\\u0000"},
                {"é/", 3, "é/"},
                {"a\xff"
                 "b\xc3",
                 4,
                 "a\xef\xbf\xbd"
                 "b\xef\xbf\xbd"},
                {"\x7f", 1, "\x7f"},
        };
        char out[64];

        for (size_t i = 0; i < LENGTH(rows); i++) {
                size_t n = text_put_json(out, rows[i].s, rows[i].len);

                assert_int_equal(n, strlen(rows[i].json));
                assert_memory_equal(out, rows[i].json, n);
        }
}

static void test_did_you_mean(void **state)
{
        static const char *const keys[] = {"brokers", "compression", "rate_limit", "url", "qos"};
        static const struct {
                const char *word, *answer;
        } rows[] = {
                {"borkers", "brokers"},
                {"brokerz", "brokers"},
                {"kompresion", "compression"},
                {"rate-limit", "rate_limit"},
                {"ratelimit", "rate_limit"},
                {"ulr", "url"},
                {"topics", NULL},
                {"", NULL},
                {"x", NULL},
                {"completely_else", NULL},
        };
        char longer[200];

        for (size_t i = 0; i < LENGTH(rows); i++) {
                const char *answer = text_did_you_mean(rows[i].word, keys, LENGTH(keys));

                if (answer != rows[i].answer && (!answer || !rows[i].answer || strcmp(answer, rows[i].answer) != 0))
                        fail_msg("%s: %s", rows[i].word, answer ? answer : "nothing");
        }
        memset(longer, 'a', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        assert_null(text_did_you_mean(longer, keys, LENGTH(keys)));
}

static void test_hash(void **state)
{
        assert_true(text_hash("", 0, 0) == 0xcbf29ce484222325u);
        assert_true(text_hash("a", 1, 0) == 0xaf63dc4c8601ec8cu);
        assert_true(text_hash("foobar", 6, 0) == 0x85944171f73967e8u);
        assert_true(text_hash("a", 1, 1) != text_hash("a", 1, 2));
}

static void test_copy(void **state)
{
        static const struct {
                const char *text;
                size_t cap;
                const char *copy;
        } rows[] = {
                {"", 1, ""},
                {"abc", 4, "abc"},
                {"abc", 3, "ab"},
                {"abc", 1, ""},
                {"20 \xc2\xb0", 6, "20 \xc2\xb0"},
                {"20 \xc2\xb0", 5, "20 "},
                {"\xe2\x82\xac", 3, ""},
                {"a\xf0\x9f\x98\x80z", 5, "a"},
                {"a\xff"
                 "b",
                 9,
                 "a\xef\xbf\xbd"
                 "b"},
                {"a\xff"
                 "b",
                 4, "a"},
                {"a\xe2\x82", 9, "a\xef\xbf\xbd\xef\xbf\xbd"},
        };
        char out[10], whole[600];

        for (size_t i = 0; i < LENGTH(rows); i++) {
                memset(out, 'x', sizeof(out));
                assert_int_equal(text_copy(out, rows[i].cap, rows[i].text), strlen(rows[i].copy));
                assert_string_equal(out, rows[i].copy);
                assert_int_equal(text_format(out, rows[i].cap, "%s", rows[i].text), strlen(rows[i].copy));
                assert_string_equal(out, rows[i].copy);
        }
        for (size_t i = 0; i + 2 < sizeof(whole); i += 2)
                memcpy(whole + i, "\xc3\xa4", 3);
        for (size_t cap = 1; cap < 300; cap++) { /* a driver's fault, wherever it is cut */
                char fault[300];

                assert_true(text_is_utf8(fault, text_format(fault, cap, "plant: %s", whole)));
        }
}

/* ---- patterns ---- */

static void test_matches(void **state)
{
        static const struct {
                const char *pattern, *s;
                bool yes;
        } rows[] = {
                {"", "", true},           {"", "a", false},           {"*", "", true},
                {"?", "", false},         {"?", "ä", true},           {"??", "ä", false},
                {"K?che", "Küche", true}, {"K??che", "Küche", false}, {"?", "𝒳", true},
                {"*?", "도", true},       {"*??", "도", false},       {"*?b?c", "äbxbäc", true},
                {"?", "\xff", true}, /* not UTF-8: bytes */
                {"[ab]", "a", false},     {"[ab]", "[ab]", true},     {"a\\*", "a\\b", true},
                {"*a*b", "xaxxb", true},  {"*a*b", "xaxxbx", false},
        };

        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_int_equal(text_matches(rows[i].pattern, rows[i].s), rows[i].yes);
        assert_true(text_part_matches("ab?x", 3, "abäx", 4));
        assert_false(text_part_matches("ab?x", 3, "abäx", 5));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_double_forms),
                cmocka_unit_test(test_double_powers_of_two),
                cmocka_unit_test(test_double_random_bits),
                cmocka_unit_test(test_double_sensor_values),
                cmocka_unit_test(test_double_floats),
                cmocka_unit_test(test_i64),
                cmocka_unit_test(test_number),
                cmocka_unit_test(test_no_number),
                cmocka_unit_test(test_number_long),
                cmocka_unit_test(test_number_reads_what_double_writes),
                cmocka_unit_test(test_put_time),
                cmocka_unit_test(test_time),
                cmocka_unit_test(test_no_time),
                cmocka_unit_test(test_time_there_and_back),
                cmocka_unit_test(test_duration),
                cmocka_unit_test(test_size),
                cmocka_unit_test(test_for_people),
                cmocka_unit_test(test_utf8),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_copy),
                cmocka_unit_test(test_did_you_mean),
                cmocka_unit_test(test_hash),
                cmocka_unit_test(test_matches),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
