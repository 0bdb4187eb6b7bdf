/*
 * Frames to readings: numbers as instruments write them, groups that took no part, quality words, expressions that
 * would never end, sentences, and every type of a binary frame.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/serial/decode.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))
#define LIST(a)                                   \
        {                                         \
                (void *)(uintptr_t)(a), LENGTH(a) \
        }
#define BYTES(s) (const uint8_t *)s, sizeof(s) - 1
#define NOW_US   INT64_C(1795428000000000)

static struct serial_decoded out;

/* As "7.5", "'text'", "true", with ? when uncertain; "bad reason". */
static const char *put(const struct reading *r)
{
        static char text[200];
        char number[TEXT_DOUBLE_MAX];
        const char *reason = quality_reason(r->quality);

        if (r->type == READING_NONE)
                snprintf(text, sizeof(text), "bad %s", reason ? reason : "");
        else if (r->type == READING_F64)
                snprintf(text, sizeof(text), "%.*s", (int)text_put_double(number, r->v.f64), number);
        else if (r->type == READING_I64)
                snprintf(text, sizeof(text), "i%lld", (long long)r->v.i64);
        else if (r->type == READING_BOOL)
                snprintf(text, sizeof(text), "%s", r->v.b ? "true" : "false");
        else
                snprintf(text, sizeof(text), "'%.*s'", (int)r->len, r->v.text);
        if (r->quality == QUALITY_UNCERTAIN)
                strcat(text, "?");
        return text;
}

static int decode(const struct serial_conf *conf, const uint8_t *frame, size_t len)
{
        struct serial_decoder d;
        const char *key;
        struct err e;
        int r;

        assert_int_equal(serial_decoder_init(&d, conf, &key, &e), 0);
        r = serial_decode(&d, frame, len, NOW_US, &out);
        serial_decoder_fini(&d);
        for (size_t i = 0; i < out.n; i++)
                assert_int_equal(out.r[i].arrival_us, NOW_US);
        return r;
}

static void numbers(void **state)
{
        static const struct {
                int type, decimal;
                const char *text, *expected;
        } rows[] = {
                {SERIAL_AUTO, 0, "12.5", "12.5"},
                {SERIAL_AUTO, 0, "  -12.50 ", "-12.5"},
                {SERIAL_AUTO, 0, "+0012.50", "12.5"},
                {SERIAL_AUTO, 0, "-  3.1", "-3.1"},
                {SERIAL_AUTO, 0, ".5", "0.5"},
                {SERIAL_AUTO, 0, "-.5", "-0.5"},
                {SERIAL_AUTO, 0, "12.", "12.0"},
                {SERIAL_AUTO, 0, "1.5e3", "1500.0"},
                {SERIAL_AUTO, 0, "000", "0.0"},
                {SERIAL_AUTO, 0, "-0", "0.0"},
                {SERIAL_AUTO, 0, "9007199254740993", "i9007199254740993"},
                {SERIAL_AUTO, 0, "123456789012345678901", "'123456789012345678901'"},
                {SERIAL_AUTO, 0, "12,5", "'12,5'"},
                {SERIAL_AUTO, 1, "12,5", "12.5"},
                {SERIAL_AUTO, 1, "-,5", "-0.5"},
                {SERIAL_AUTO, 1, "12.5", "'12.5'"},
                {SERIAL_AUTO, 0, "12.5.1", "'12.5.1'"},
                {SERIAL_AUTO, 0, "0x12", "'0x12'"},
                {SERIAL_AUTO, 0, "--5", "'--5'"},
                {SERIAL_AUTO, 0, "+", "'+'"},
                {SERIAL_AUTO, 0, ".", "'.'"},
                {SERIAL_AUTO, 0, "nan", "'nan'"},
                {SERIAL_AUTO, 0, "1 2", "'1 2'"},
                {SERIAL_AUTO, 0, "OVER", "'OVER'"},
                {SERIAL_AUTO, 0, "  ", "bad sensor"},
                {SERIAL_AUTO, 0, "", "bad sensor"},
                {SERIAL_AUTO, 0, "\xb0", "bad sensor"},
                {SERIAL_NUMBER, 0, "OVER", "bad sensor"},
                {SERIAL_NUMBER, 0, "1e999", "bad sensor"},
                {SERIAL_NUMBER, 0, "7", "7.0"},
                {SERIAL_TEXT, 0, " 0012 ", "'0012'"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct serial_reading_conf readings[] = {{.tag = "v", .type = rows[i].type, .convert.scale = 1}};
                struct serial_conf conf = {
                        .match = "^(?<v>.*)$", .decimal = rows[i].decimal, .readings = LIST(readings)};

                assert_int_equal(decode(&conf, (const uint8_t *)rows[i].text, strlen(rows[i].text)), 0);
                assert_string_equal(put(&out.r[0]), rows[i].expected);
        }
}

static const struct serial_reading_conf scale_readings[] = {
        {.tag = "weight", .value = "weight", .convert.scale = 1000, .convert.offset = 1},
        {.tag = "stable", .convert.scale = 1},
        {.tag = "note", .convert.scale = 1},
};
static const char *const good_words[] = {"ST"}, *const bad_words[] = {"OL"};
static const struct serial_conf scale_conf = {
        .match = "^(?<stable>ST|US|OL),GS,(?<weight>[ +-][0-9.]+)kg(?: (?<note>.+))?$",
        .quality = {.value = "stable", .good = LIST(good_words), .bad = LIST(bad_words)},
        .readings = LIST(scale_readings),
};

static void a_scale(void **state)
{
        assert_int_equal(decode(&scale_conf, BYTES("ST,GS,+0012.5kg")), 0);
        assert_int_equal(out.n, 2);
        assert_int_equal(out.n_absent, 1);
        assert_string_equal(put(&out.r[0]), "12501.0");
        assert_string_equal(put(&out.r[1]), "'ST'");
        assert_int_equal(decode(&scale_conf, BYTES("US,GS, 1kg tare")), 0);
        assert_string_equal(put(&out.r[0]), "1001.0?");
        assert_string_equal(put(&out.r[2]), "'tare'?");
        assert_int_equal(decode(&scale_conf, BYTES("OL,GS, 1kg")), 0);
        assert_string_equal(put(&out.r[0]), "bad sensor");
        assert_int_equal(decode(&scale_conf, BYTES("ST,GS,12.5kg")), SERIAL_E_MALFORMED);
        assert_string_equal(out.reason, "the line does not match");
}

static void an_expression_that_never_ends(void **state)
{
        static const struct serial_reading_conf readings[] = {{.tag = "v", .convert.scale = 1}};
        static const char *const wicked[] = {"^(?<v>(a+)+)$", "^(?<v>(a|aa)+)$", "^(?<v>(.*)*)[bc]$",
                                             "(?<v>(a*)*)[bc]"};
        uint8_t line[4096];

        memset(line, 'a', sizeof(line));
        line[sizeof(line) - 1] = '!';
        for (size_t i = 0; i < LENGTH(wicked); i++) {
                struct serial_conf conf = {.match = wicked[i], .readings = LIST(readings)};

                assert_int_equal(decode(&conf, line, sizeof(line)), SERIAL_E_MALFORMED);
                assert_string_equal(out.reason, "the expression takes too long on this line");
        }
}

static void wrong_expressions(void **state)
{
        static const struct serial_reading_conf readings[] = {{.tag = "weight", .convert.scale = 1}};
        static const struct {
                const char *match, *key, *told;
        } rows[] = {
                {"(?<weight>[0-9]+", "match", "not a regular expression: missing closing parenthesis, at character 17"},
                {"(?<weigth>[0-9]+)", "readings",
                 "\"weight\" is no group of `match`; allowed: weigth (did you mean weigth?)"},
                {"[0-9]+", "readings", "`match` has no named groups; write them as (?<weight>…)"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct serial_conf conf = {.match = rows[i].match, .readings = LIST(readings)};
                struct serial_decoder d;
                const char *key;
                struct err e;

                assert_int_equal(serial_decoder_init(&d, &conf, &key, &e), -1);
                assert_string_equal(key, rows[i].key);
                assert_string_equal(e.text, rows[i].told);
                serial_decoder_fini(&d);
        }
}

static void sentences(void **state)
{
        static const struct serial_reading_conf readings[] = {
                {.tag = "lat", .sentence = "GGA", .field = 2, .type = SERIAL_LATITUDE, .convert.scale = 1},
                {.tag = "altitude", .sentence = "GGA", .field = 9, .type = SERIAL_NUMBER, .convert.scale = 1},
                {.tag = "time", .sentence = "RMC", .field = 1, .type = SERIAL_TIME, .convert.scale = 1},
                {.tag = "clock", .sentence = "GGA", .field = 1, .type = SERIAL_TIME, .convert.scale = 1},
        };
        struct serial_conf conf = {.frame = SERIAL_NMEA0183, .readings = LIST(readings)};

        assert_int_equal(decode(&conf, BYTES("GPGGA,113938.50,3842.5,N,11705.4,W,2,09,1.5,1864.182,M")), 0);
        assert_int_equal(out.n, 3);
        assert_string_equal(put(&out.r[1]), "1864.182");
        assert_string_equal(put(&out.r[2]), "'11:39:38.50'");
        assert_int_equal(decode(&conf, BYTES("GPGGA,,,,,,0,00,,,M")), 0);
        assert_string_equal(put(&out.r[0]), "bad sensor");
        assert_int_equal(decode(&conf, BYTES("GPGGA,113938.50,3842.5,N,11705.4,W,0,09")), 0);
        assert_int_equal(out.n_absent, 1);
        assert_string_equal(put(&out.r[0]), "bad sensor");
        assert_int_equal(decode(&conf, BYTES("GPGGA,113938.50,3842.5,N,11705.4,W,6,09")), 0);
        assert_int_equal(out.r[0].quality, QUALITY_UNCERTAIN);
        assert_int_equal(decode(&conf, BYTES("GPGSV,3,1,12")), 0);
        assert_int_equal(out.n, 0);
        assert_int_equal(decode(&conf, BYTES("GPRMC,113938.50,A,,,,,,,231122")), 0);
        assert_string_equal(put(&out.r[0]), "'2022-11-23T11:39:38.500000Z'");
        assert_int_equal(out.r[0].ts_us, NOW_US);

        conf.time = SERIAL_TIME_SENTENCE;
        assert_int_equal(decode(&conf, BYTES("GPRMC,113938.50,A,,,,,,,231122")), 0);
        assert_int_equal(out.r[0].ts_us, 1669203578500000);
        assert_int_equal(out.r[0].flags, READING_SOURCE_TIME);
        /* a receiver that has lost its calendar, and one ahead of us */
        assert_int_equal(decode(&conf, BYTES("GPRMC,113938.50,A,,,,,,,070419")), 0);
        assert_int_equal(out.r[0].ts_us, NOW_US);
        assert_int_equal(out.r[0].flags, READING_TIME_UNTRUSTED);
        assert_int_equal(out.r[0].quality, QUALITY_UNCERTAIN);
        assert_int_equal(decode(&conf, BYTES("GPRMC,113938.50,A,,,,,,,231136")), 0);
        assert_int_equal(out.r[0].flags, READING_TIME_UNTRUSTED);
}

static void binary(void **state)
{
        static const uint8_t frame[] = {0x02, 0xff, 0xfe, 0x01, 0x02, 0x42, 0xf6, 0xe9, 0x79, 0x79, 0xe9, 0xf6, 0x42,
                                        0x7f, 0xc0, 0,    0,    'A',  'B',  ' ',  0,    0x80, 0,    0,    0,    0,
                                        0,    0,    1,    0x3f, 0xf8, 0,    0,    0,    0,    0,    0};
        static const struct {
                int type, order;
                int64_t at, length, bit;
                double scale, offset;
                const char *expected;
        } rows[] = {
                {SERIAL_UINT8, 0, 1, -1, -1, 1, 0, "255.0"},
                {SERIAL_INT8, 0, 1, -1, -1, 1, 0, "-1.0"},
                {SERIAL_INT16, SERIAL_BIG, 1, -1, -1, 1, 0, "-2.0"},
                {SERIAL_INT16, SERIAL_LITTLE, 1, -1, -1, 1, 0, "-257.0"},
                {SERIAL_UINT16, SERIAL_BIG, 3, -1, -1, 0.5, -8, "121.0"},
                {SERIAL_UINT16, SERIAL_LITTLE, 3, -1, -1, 1, 0, "513.0"},
                {SERIAL_INT32, SERIAL_BIG, 1, -1, -1, 1, 0, "-130814.0"},
                {SERIAL_UINT32, SERIAL_BIG, 1, -1, -1, 1, 0, "4294836482.0"},
                {SERIAL_FLOAT32, SERIAL_BIG, 5, -1, -1, 1, 0, "123.45600128173828"},
                {SERIAL_FLOAT32, SERIAL_LITTLE, 9, -1, -1, 1, 0, "123.45600128173828"},
                {SERIAL_FLOAT32, SERIAL_BIG, 13, -1, -1, 1, 0, "bad sensor"},
                {SERIAL_FLOAT64, SERIAL_BIG, 29, -1, -1, 1, 0, "1.5"},
                {SERIAL_INT64, SERIAL_BIG, 21, -1, -1, 1, 0, "i-9223372036854775807"},
                {SERIAL_UINT64, SERIAL_BIG, 21, -1, -1, 1, 0, "9.223372036854776e18"},
                {SERIAL_TEXT, 0, 17, 4, -1, 1, 0, "'AB'"},
                {SERIAL_TEXT, 0, 21, 2, -1, 1, 0, "bad sensor"},
                {SERIAL_BIT, 0, 2, -1, 0, 1, 0, "false"},
                {SERIAL_BIT, 0, 2, -1, 7, 1, 0, "true"},
        };
        static const struct serial_reading_conf far[] = {
                {.tag = "v", .type = SERIAL_UINT16, .where = 36, .convert.scale = 1}};
        const struct serial_conf short_frame = {.frame = SERIAL_BINARY, .readings = LIST(far)};

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct serial_reading_conf readings[] = {{.tag = "v",
                                                          .type = rows[i].type,
                                                          .order = rows[i].order,
                                                          .where = rows[i].at,
                                                          .length = rows[i].length,
                                                          .bit = rows[i].bit,
                                                          .convert.scale = rows[i].scale,
                                                          .convert.offset = rows[i].offset}};
                struct serial_conf conf = {.frame = SERIAL_BINARY, .readings = LIST(readings)};

                assert_int_equal(decode(&conf, frame, sizeof(frame)), 0);
                assert_string_equal(put(&out.r[0]), rows[i].expected);
        }
        assert_int_equal(decode(&short_frame, frame, sizeof(frame)), SERIAL_E_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(numbers),
                cmocka_unit_test(a_scale),
                cmocka_unit_test(an_expression_that_never_ends),
                cmocka_unit_test(wrong_expressions),
                cmocka_unit_test(sentences),
                cmocka_unit_test(binary),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
