/*
 * mqtt_payload: what each payload becomes, a row per case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/mqtt/payload.h"

#define NOW_US  INT64_C(1795428000000000) /* 2026-11-23T10:00:00Z */
#define S(text) text, sizeof(text) - 1

static struct mqtt_decoded out;

struct row {
        const char *payload;
        size_t len;
        int type; /* -1: malformed */
        int quality;
        double f64;
        int64_t i64;      /* also of bool */
        const char *text; /* or a part of the reason */
};

static void check_value(const struct row *row, const struct reading *r)
{
        assert_int_equal(r->type, row->type);
        assert_int_equal(r->quality, row->quality);
        switch (row->type) {
        case READING_F64:
                assert_memory_equal(&r->v.f64, &row->f64, sizeof(double)); /* -0.0 is not 0.0 */
                break;
        case READING_I64:
                assert_true(r->v.i64 == row->i64);
                break;
        case READING_BOOL:
                assert_int_equal(r->v.b, row->i64);
                break;
        case READING_TEXT:
        case READING_RAW:
                assert_int_equal(r->len, strlen(row->text));
                assert_memory_equal(r->v.text, row->text, r->len);
                break;
        default:
                break;
        }
}

static void check_row(struct mqtt_decoder *d, const struct row *row)
{
        /* an exact copy on the heap, so that a sanitizer sees a read behind the end */
        char *copy = malloc(row->len + (row->len == 0));
        int rc;

        memcpy(copy, row->payload, row->len);
        rc = mqtt_decode(d, copy, row->len, NOW_US, &out);
        print_message("%.40s\n", row->payload);
        if (row->type < 0) {
                assert_int_equal(rc, MQTT_E_MALFORMED);
                assert_non_null(out.reason);
                if (row->text && !strstr(out.reason, row->text))
                        fail_msg("the reason is '%s', not '%s'", out.reason, row->text);
        } else {
                if (rc)
                        print_message("%s\n", out.reason);
                assert_int_equal(rc, 0);
                assert_int_equal(out.n, 1);
                assert_true(out.r[0].arrival_us == NOW_US);
                check_value(row, &out.r[0]);
        }
        free(copy);
}

static void test_number(void **state)
{
        static const struct row rows[] = {
                {S("71.3"), READING_F64, .f64 = 71.3},
                {S("71"), READING_F64, .f64 = 71},
                {S("  71\r\n"), READING_F64, .f64 = 71},
                {S("-0"), READING_F64, .f64 = -0.0},
                {S("-0.0"), READING_F64, .f64 = -0.0},
                {S("0"), READING_F64, .f64 = 0},
                {S("1e300"), READING_F64, .f64 = 1e300},
                {S("5e-324"), READING_F64, .f64 = 5e-324},
                {S("9007199254740992"), READING_F64, .f64 = 9007199254740992.0},
                {S("9007199254740993"), READING_I64, .i64 = 9007199254740993},
                {S("-9007199254740993"), READING_I64, .i64 = -9007199254740993},
                {S("9223372036854775807"), READING_I64, .i64 = INT64_MAX},
                {S("-9223372036854775808"), READING_I64, .i64 = INT64_MIN},
                {S("9223372036854775808"), -1, .text = "64 bits"},
                {S("1e400"), -1},
                {S("-1e400"), -1},
                {S("true"), READING_BOOL, .i64 = 1},
                {S("false"), READING_BOOL, .i64 = 0},
                {S("True"), -1},
                {S("null"), READING_NONE, QUALITY_BAD_SENSOR},
                {S("NaN"), READING_NONE, QUALITY_BAD_SENSOR},
                {S("nan"), READING_NONE, QUALITY_BAD_SENSOR},
                {S("-nan"), READING_NONE, QUALITY_BAD_SENSOR},
                {S("inf"), READING_NONE, QUALITY_BAD_SENSOR},
                {S("-Infinity"), READING_NONE, QUALITY_BAD_SENSOR},
                {S("\"\""), READING_TEXT, .text = ""},
                {S("\"open\""), READING_TEXT, .text = "open"},
                {S("\"\xc3\xbc\""), READING_TEXT, .text = "\xc3\xbc"},
                {S("\"a\\\"b\\u00fc\""), READING_TEXT, .text = "a\"b\xc3\xbc"},
                {S("\"a\\u0000b\""), -1, .text = "quoted"},
                {S("\"a\nb\""), -1, .text = "quoted"},
                {S("\"\xff\""), -1, .text = "quoted"},
                {S("\"a\" \"b\""), -1, .text = "quoted"},
                {S("\"a\"b\""), -1, .text = "quoted"},
                {S("\""), -1, .text = "quoted"},
                {S("\"\\\""), -1, .text = "quoted"},
                {S("open"), -1, .text = "neither"},
                {S(""), -1, .text = "empty"},
                {S("  "), -1, .text = "empty"},
                {S("71.3\0"), -1, .text = "neither"},
                {S("\0"), -1, .text = "neither"},
                {S("71.3x"), -1},
                {S("71 3"), -1},
                {S("71,3"), -1},
                {S("+71"), -1},
                {S("071"), -1},
                {S(".5"), -1},
                {S("5."), -1},
                {S("0x10"), -1},
                {S("-"), -1},
                {S("{\"a\":1}"), -1, .text = "object"},
                {S("[1]"), -1, .text = "object"},
        };
        struct mqtt_decoder d = {.kind = MQTT_NUMBER, .n_values = 1};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                check_row(&d, &rows[i]);
        mqtt_decoder_fini(&d);
}

/* Where a unit is configured it may stand behind the number, and nothing else makes one of a text. */
static void test_number_with_its_unit(void **state)
{
        static const struct row rows[] = {
                {S("21.3 \xc2\xb0"
                   "C"),
                 READING_F64, .f64 = 21.3},
                {S(" 21.3C\r\n"), READING_F64, .f64 = 21.3},
                {S("-4"), READING_F64, .f64 = -4},
                {S("nan"), READING_NONE, QUALITY_BAD_SENSOR},
                {S("\"21.3 C\""), READING_F64, .f64 = 21.3},
                {S("\"open\""), READING_TEXT, QUALITY_UNCERTAIN, .text = "open"}, /* as a text of JSON */
                {S("open"), -1, .text = "neither"},
                {S("21.3 F"), -1, .text = "neither"},
                {S("21.3 C 4"), -1, .text = "neither"},
                {S("21.3 C\0"), -1, .text = "NUL"},
                {S("1e400"), -1},
                {S("9223372036854775808"), -1, .text = "64 bits"},
                {S(""), -1, .text = "empty"},
                {S("[21.3]"), -1, .text = "object"},
        };
        const struct mqtt_sub_conf c = {.topic = "t",
                                        .payload = MQTT_NUMBER,
                                        .unit = "\xc2\xb0"
                                                "C"};
        struct mqtt_decoder d;
        struct err e;

        assert_int_equal(mqtt_decoder_init(&d, &c, &e), 0);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                check_row(&d, &rows[i]);
        mqtt_decoder_fini(&d);
}

static void test_text_and_raw(void **state)
{
        static const struct row rows[] = {
                {S("a \"b\"\n"), READING_TEXT, .text = "a \"b\"\n"},
                {S("71"), READING_TEXT, .text = "71"},
                {S(""), -1, .text = "empty"},
                {S("a\0b"), -1, .text = "NUL"},
                {S("\xc3"), -1, .text = "UTF-8"},
                {S("\xed\xa0\x80"), -1, .text = "UTF-8"}, /* a surrogate */
                {S("\xc0\x80"), -1, .text = "UTF-8"},     /* NUL, overlong */
        };
        static const struct row raw = {S("\xff\xfe"), READING_RAW, .text = "\xff\xfe"};
        struct mqtt_decoder d = {.kind = MQTT_TEXT, .n_values = 1};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                check_row(&d, &rows[i]);
        d.kind = MQTT_RAW;
        check_row(&d, &raw);
        assert_int_equal(mqtt_decode(&d, NULL, 0, NOW_US, &out), 0);
        assert_int_equal(out.r[0].len, 0);
        mqtt_decoder_fini(&d);
}

static void init_json(struct mqtt_decoder *d, struct mqtt_reading_conf *r, size_t n, const char *time, int format)
{
        struct mqtt_sub_conf c = {.payload = MQTT_JSON, .readings = {r, n}, .time = time, .time_format = format};
        struct err e;

        assert_int_equal(mqtt_decoder_init(d, &c, &e), 0);
}

static void test_json_value(void **state)
{
        static const struct row rows[] = {
                {S("{\"v\":71.3}"), READING_F64, .f64 = 71.3},
                {S("{\"v\":71}"), READING_F64, .f64 = 71},
                {S("{\"v\":-0.0}"), READING_F64, .f64 = -0.0},
                {S("{\"v\":9007199254740993}"), READING_I64, .i64 = 9007199254740993},
                {S("{\"v\":9223372036854775808}"), -1, .text = "64 bits"},
                {S("{\"v\":1e400}"), -1, .text = "beyond"},
                {S("{\"v\":true}"), READING_BOOL, .i64 = 1},
                {S("{\"v\":false}"), READING_BOOL, .i64 = 0},
                {S("{\"v\":\"open\"}"), READING_TEXT, .text = "open"},
                {S("{\"v\":\"\"}"), READING_TEXT, .text = ""},
                {S("{\"v\":null}"), READING_NONE, QUALITY_BAD_SENSOR},
                {S("{\"v\":{}}"), READING_NONE, QUALITY_BAD_CONFIG},
                {S("{\"v\":[1]}"), READING_NONE, QUALITY_BAD_CONFIG},
                {S("{\"v\":1,\"v\":2}"), -1, .text = "stands twice"},
                {S("{\"w\":1}"), -1, .text = "none of the configured values"},
                {S("[{\"v\":1}]"), -1, .text = "none of the configured values"},
                {S("71.3"), -1, .text = "none of the configured values"},
                {S("{\"v\":NaN}"), -1, .text = "not JSON"},
                {S("{\"v\":Infinity}"), -1, .text = "not JSON"},
                {S("{\"v\":\"\xff\"}"), -1, .text = "not JSON"},
                {S("{\"v\":\"a\\u0000\"}"), -1, .text = "not JSON"},
                {S("{\"v\":1}\0"), -1, .text = "not JSON"},
                {S("{\"v\":1}x"), -1, .text = "not JSON"},
                {S("{\"v\":1"), -1, .text = "not JSON"},
                {S("{v:1}"), -1, .text = "not JSON"},
                {S(""), -1, .text = "empty"},
        };
        struct mqtt_reading_conf r = {.tag = "v"};
        struct mqtt_decoder d;

        init_json(&d, &r, 1, NULL, 0);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                check_row(&d, &rows[i]);
        mqtt_decoder_fini(&d);
}

static void test_json_several(void **state)
{
        static const char payload[] =
                "{\"temp\":71.5,\"vib\":{\"rms\":2},\"a/b\":3,\"m~n\":4,\"list\":[5,{\"x\":6}],\"\":7}";
        struct mqtt_reading_conf r[] = {{.tag = "temp"},
                                        {.tag = "gone"},
                                        {.tag = "rms", .value = "/vib/rms"},
                                        {.tag = "slash", .value = "/a~1b"},
                                        {.tag = "tilde", .value = "/m~0n"},
                                        {.tag = "first", .value = "/list/0"},
                                        {.tag = "deep", .value = "/list/1/x"},
                                        {.tag = "behind", .value = "/list/2"},
                                        {.tag = "zero", .value = "/list/00"},
                                        {.tag = "into", .value = "/temp/x"},
                                        {.tag = "empty", .value = "/"}};
        static const struct {
                int value;
                double f64;
        } want[] = {{0, 71.5}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {10, 7}};
        struct mqtt_decoder d;

        init_json(&d, r, sizeof(r) / sizeof(*r), NULL, 0);
        assert_int_equal(mqtt_decode(&d, S(payload), NOW_US, &out), 0);
        assert_int_equal(out.n, 7);
        assert_int_equal(out.n_absent, 4);
        for (size_t i = 0; i < out.n; i++) {
                assert_int_equal(out.value[i], want[i].value);
                assert_true(out.r[i].v.f64 == want[i].f64);
        }
        mqtt_decoder_fini(&d);
}

static void test_time(void **state)
{
        static const struct {
                int format;
                const char *time;
                int64_t us; /* 0: not believed; -1: none, and nothing wrong with that */
        } rows[] = {
                {MQTT_UNIX_S, "1795427999", NOW_US - 1000000},
                {MQTT_UNIX_S, "1795427999.25", NOW_US - 750000},
                {MQTT_UNIX_S, "\"1795427999\"", NOW_US - 1000000},
                {MQTT_UNIX_S, "\"1795427999.25\"", NOW_US - 750000},
                {MQTT_UNIX_MS, "1795427999123", NOW_US - 877000},
                {MQTT_UNIX_US, "1795427999123456", NOW_US - 876544},
                {MQTT_UNIX_S, "1795428060", NOW_US + 60000000}, /* a minute ahead is as far as it goes */
                {MQTT_UNIX_S, "1795428061", 0},
                {MQTT_UNIX_S, "1577836800", INT64_C(1577836800000000)},
                {MQTT_UNIX_S, "1577836799", 0}, /* before 2020 */
                {MQTT_UNIX_S, "1795427999123", 0},
                {MQTT_UNIX_S, "9223372036854775807", 0},
                {MQTT_UNIX_S, "1e300", 0},
                {MQTT_UNIX_S, "-1", 0},
                {MQTT_UNIX_S, "true", 0},
                {MQTT_UNIX_S, "\"soon\"", 0},
                {MQTT_UNIX_S, "\"\"", 0},
                {MQTT_UNIX_S, "{}", 0},
                {MQTT_UNIX_S, "null", -1},
                {MQTT_ISO8601, "\"2026-11-23T09:59:59Z\"", NOW_US - 1000000},
                {MQTT_ISO8601, "\"2026-11-23T10:59:59.5+01:00\"", NOW_US - 500000},
                {MQTT_ISO8601, "\"2026-11-23T09:59:59\"", 0}, /* no zone */
                {MQTT_ISO8601, "\"2019-12-31T23:59:59Z\"", 0},
                {MQTT_ISO8601, "\"2026-11-23T10:02:00Z\"", 0},
                {MQTT_ISO8601, "\"yesterday\"", 0},
                {MQTT_ISO8601, "1795427999", 0},
        };
        struct mqtt_reading_conf r = {.tag = "v"};
        struct mqtt_decoder d;
        char payload[200];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                int n = snprintf(payload, sizeof(payload), "{\"t\":{\"s\":%s},\"v\":1}", rows[i].time);

                print_message("%s\n", payload);
                init_json(&d, &r, 1, "/t/s", rows[i].format);
                assert_int_equal(mqtt_decode(&d, payload, (size_t)n, NOW_US, &out), 0);
                assert_true(out.r[0].ts_us == (rows[i].us > 0 ? rows[i].us : NOW_US));
                assert_true(out.r[0].arrival_us == NOW_US);
                assert_int_equal(out.r[0].flags, rows[i].us > 0    ? READING_SOURCE_TIME
                                                 : rows[i].us == 0 ? READING_TIME_UNTRUSTED
                                                                   : 0);
                assert_int_equal(out.r[0].quality, rows[i].us == 0 ? QUALITY_UNCERTAIN : QUALITY_GOOD);
                mqtt_decoder_fini(&d);
        }
}

/* Two readings of one text with escapes, and another text behind it. */
static void test_escaped_texts(void **state)
{
        struct mqtt_reading_conf r[] = {
                {.tag = "a", .value = "/x"}, {.tag = "b", .value = "/x"}, {.tag = "c", .value = "/y"}};
        struct mqtt_decoder d;

        init_json(&d, r, 3, NULL, 0);
        assert_int_equal(mqtt_decode(&d, S("{\"x\":\"\\u00fc\\n\",\"y\":\"\\\"z\"}"), NOW_US, &out), 0);
        assert_int_equal(out.n, 3);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(out.r[i].len, 3);
                assert_memory_equal(out.r[i].v.text, "\xc3\xbc\n", 3);
        }
        assert_int_equal(out.r[2].len, 2);
        assert_memory_equal(out.r[2].v.text, "\"z", 2);
        mqtt_decoder_fini(&d);
}

/* Bad is not made better by a time that is not believed. */
static void test_untrusted_time_of_a_bad_value(void **state)
{
        struct mqtt_reading_conf r = {.tag = "v"};
        struct mqtt_decoder d;

        init_json(&d, &r, 1, "/t", MQTT_UNIX_S);
        assert_int_equal(mqtt_decode(&d, S("{\"t\":1,\"v\":null}"), NOW_US, &out), 0);
        assert_int_equal(out.r[0].quality, QUALITY_BAD_SENSOR);
        assert_int_equal(out.r[0].flags, READING_TIME_UNTRUSTED);
        mqtt_decoder_fini(&d);
}

static void test_large_and_deep(void **state)
{
        const size_t mib = 1 << 20, depth = 10000;
        struct mqtt_reading_conf r = {.tag = "v"};
        struct mqtt_decoder d;
        char *p = malloc(mib + 64);
        size_t n;

        init_json(&d, &r, 1, NULL, 0);
        memset(p, '[', depth);
        memset(p + depth, ']', depth);
        assert_int_equal(mqtt_decode(&d, p, 2 * depth, NOW_US, &out), MQTT_E_MALFORMED);
        assert_non_null(strstr(out.reason, "deeper"));

        n = (size_t)sprintf(p, "{\"v\":\"");
        memset(p + n, 'x', mib - n - 2);
        memcpy(p + mib - 2, "\"}", 2);
        assert_int_equal(mqtt_decode(&d, p, mib, NOW_US, &out), 0);
        assert_int_equal(out.r[0].len, mib - n - 2);
        assert_int_equal(out.r[0].v.text[out.r[0].len - 1], 'x');

        /* half of it */
        assert_int_equal(mqtt_decode(&d, p, mib / 2, NOW_US, &out), MQTT_E_MALFORMED);
        assert_int_equal(mqtt_decode(&d, S("{\"v\":1}"), NOW_US, &out), 0);

        /* many small values */
        n = (size_t)sprintf(p, "{\"v\":[0");
        while (n < mib / 8)
                n += (size_t)sprintf(p + n, ",{\"a\":\"b\"}");
        n += (size_t)sprintf(p + n, "]}");
        for (int i = 0; i < 3; i++)
                assert_int_equal(mqtt_decode(&d, p, n, NOW_US, &out), 0);
        assert_int_equal(mqtt_decode(&d, S("{}"), NOW_US, &out), MQTT_E_MALFORMED);
        mqtt_decoder_fini(&d);
        free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_number),
                cmocka_unit_test(test_number_with_its_unit),
                cmocka_unit_test(test_text_and_raw),
                cmocka_unit_test(test_json_value),
                cmocka_unit_test(test_json_several),
                cmocka_unit_test(test_time),
                cmocka_unit_test(test_untrusted_time_of_a_bad_value),
                cmocka_unit_test(test_large_and_deep),
                cmocka_unit_test(test_escaped_texts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
