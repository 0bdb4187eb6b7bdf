/* Records of contract v1, to the byte: the consumers' side is written against these lines. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uplink/record.h"

static const int64_t T = INT64_C(1795428000123456);

static const struct tag temp = {.source = "press-3", .name = "temp", .unit = "degC", .labels = ""};
static const struct tag bare = {.source = "press-3", .name = "state", .unit = "", .labels = ""};
static const struct tag odd = {.source = "a\"b",
                               .name = "t\\x",
                               .unit = "\xc2\xb0"
                                       "C\n",
                               .labels = "\"line\":\"l1\",\"cell\":\"3\""};

/* Encodes in a buffer of exactly the bound, so that a sanitizer sees what goes beyond. */
static char *encode(const struct tag *tag, const struct spool_row *from, bool event)
{
        struct uplink_identity id = {.gateway = "gw-7", .epoch = 3};
        struct spool_row now = *from, *row = &now; /* it arrives at once */
        struct record_encoder enc;
        size_t bound, len;
        char *buf;

        now.r.arrival_us = now.r.arrival_us ? now.r.arrival_us : now.r.ts_us;
        record_encoder_init(&enc, &id);
        bound = event ? record_event_bound(&enc, tag, row) : record_bound(&enc, tag, row);
        buf = malloc(bound + 1);
        assert_non_null(buf);
        len = event ? record_encode_event(&enc, buf, bound, tag, row)
                    : record_encode_sample(&enc, buf, bound, tag, row);
        assert_true(len <= bound);
        buf[len] = '\0';
        record_encoder_fini(&enc);
        return buf;
}

static void assert_sample(const struct tag *tag, struct reading r, const char *expected)
{
        struct spool_row row = {.seq = 918273, .r = r};
        char *text = encode(tag, &row, false);

        assert_string_equal(text, expected);
        free(text);
}

static void test_the_example_of_the_contract(void **state)
{
        assert_sample(&temp, (struct reading){.ts_us = T, .type = READING_F64, .v.f64 = 71.3},
                      "{\"id\":\"gw-7:3:918273\",\"gateway\":\"gw-7\",\"source\":\"press-3\",\"tag\":\"temp\","
                      "\"ts\":\"2026-11-23T10:00:00.123456Z\",\"ts_us\":1795428000123456,\"value\":71.3,"
                      "\"unit\":\"degC\",\"quality\":\"good\",\"epoch\":3,\"seq\":918273}");
}

#define HEAD                                                                                       \
        "{\"id\":\"gw-7:3:918273\",\"gateway\":\"gw-7\",\"source\":\"press-3\",\"tag\":\"state\"," \
        "\"ts\":\"2026-11-23T10:00:00.123456Z\",\"ts_us\":1795428000123456"
#define GOOD ",\"quality\":\"good\""
#define TAIL ",\"epoch\":3,\"seq\":918273}"

static struct reading f64(double v)
{
        return (struct reading){.ts_us = T, .type = READING_F64, .v.f64 = v};
}

static struct reading i64(int64_t v)
{
        return (struct reading){.ts_us = T, .type = READING_I64, .v.i64 = v};
}

static struct reading text(const char *s)
{
        return (struct reading){.ts_us = T, .type = READING_TEXT, .v.text = s, .len = (uint32_t)strlen(s)};
}

static void test_values(void **state)
{
        const struct {
                struct reading r;
                const char *expected;
        } rows[] = {
                {f64(71), HEAD ",\"value\":71.0" GOOD TAIL},
                {f64(-0.0), HEAD ",\"value\":-0.0" GOOD TAIL},
                {f64(5e-324), HEAD ",\"value\":5e-324" GOOD TAIL},
                {f64(1e-300), HEAD ",\"value\":1e-300" GOOD TAIL},
                {f64(NAN), HEAD ",\"quality\":\"bad\",\"reason\":\"sensor\"" TAIL},
                {f64(-INFINITY), HEAD ",\"quality\":\"bad\",\"reason\":\"sensor\"" TAIL},
                {i64(0), HEAD ",\"value\":0.0" GOOD TAIL},
                {i64(-7), HEAD ",\"value\":-7.0" GOOD TAIL},
                {i64(INT64_C(9007199254740992)), HEAD ",\"value\":9007199254740992.0" GOOD TAIL},
                {i64(INT64_C(9007199254740993)), HEAD ",\"value_int\":9007199254740993" GOOD TAIL},
                {i64(-INT64_C(9007199254740993)), HEAD ",\"value_int\":-9007199254740993" GOOD TAIL},
                {i64(INT64_MIN), HEAD ",\"value_int\":-9223372036854775808" GOOD TAIL},
                {{.ts_us = T, .type = READING_BOOL, .v.b = true}, HEAD ",\"value_bool\":true" GOOD TAIL},
                {{.ts_us = T, .type = READING_BOOL}, HEAD ",\"value_bool\":false" GOOD TAIL},
                {text(""), HEAD ",\"value_str\":\"\"" GOOD TAIL},
                {text("a\"b\\c\n\x01\xc3\xa9"), HEAD ",\"value_str\":\"a\\\"b\\\\c\\n\\u0001\xc3\xa9\"" GOOD TAIL},
                {{.ts_us = T, .type = READING_RAW, .v.text = "\x00\xff", .len = 2}, HEAD GOOD TAIL},
                {{.ts_us = T, .type = READING_NONE, .quality = QUALITY_BAD}, HEAD ",\"quality\":\"bad\"" TAIL},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                assert_sample(&bare, rows[i].r, rows[i].expected);
}

static void test_quality(void **state)
{
        static const char *const expected[N_QUALITIES] = {
                HEAD ",\"value\":1.5,\"quality\":\"good\"" TAIL,
                HEAD ",\"value\":1.5,\"quality\":\"uncertain\"" TAIL,
                HEAD ",\"quality\":\"bad\"" TAIL,
                HEAD ",\"quality\":\"bad\",\"reason\":\"comm_failure\"" TAIL,
                HEAD ",\"quality\":\"bad\",\"reason\":\"not_connected\"" TAIL,
                HEAD ",\"quality\":\"bad\",\"reason\":\"stale\"" TAIL,
                HEAD ",\"quality\":\"bad\",\"reason\":\"out_of_range\"" TAIL,
                HEAD ",\"quality\":\"bad\",\"reason\":\"config\"" TAIL,
                HEAD ",\"quality\":\"bad\",\"reason\":\"sensor\"" TAIL,
        };

        for (uint16_t q = 0; q < N_QUALITIES; q++) {
                struct reading r = f64(1.5);

                r.quality = q;
                assert_sample(&bare, r, expected[q]);
        }
}

static void test_flags(void **state)
{
        static const struct {
                uint16_t flags;
                const char *expected;
        } rows[] = {
                {READING_CLOCK_UNSYNCED, HEAD ",\"value\":1.5" GOOD ",\"clock\":\"unsynced\"" TAIL},
                {READING_TIME_UNTRUSTED, HEAD ",\"value\":1.5" GOOD ",\"time\":\"untrusted\"" TAIL},
                {READING_TIME_MOVED, HEAD ",\"value\":1.5" GOOD ",\"time\":\"moved\"" TAIL},
                {READING_TIME_REPAIRED, HEAD ",\"value\":1.5" GOOD ",\"time\":\"repaired\"" TAIL},
                {READING_TIME_BACK, HEAD ",\"value\":1.5" GOOD ",\"time\":\"back\"" TAIL},
                {READING_TIME_UNTRUSTED | READING_TIME_REPAIRED,
                 HEAD ",\"value\":1.5" GOOD ",\"time\":\"untrusted+repaired\"" TAIL},
                {READING_HISTORICAL, HEAD ",\"value\":1.5" GOOD ",\"historical\":true" TAIL},
                {READING_RETAINED, HEAD ",\"value\":1.5" GOOD ",\"retained\":true" TAIL},
                {READING_TEST, HEAD ",\"value\":1.5" GOOD ",\"test\":true" TAIL},
                {READING_SOURCE_TIME, HEAD ",\"value\":1.5" GOOD ",\"arrival_us\":1795428000999999" TAIL},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct reading r = f64(1.5);

                r.flags = rows[i].flags;
                r.arrival_us = r.flags & READING_SOURCE_TIME ? INT64_C(1795428000999999) : 0;
                assert_sample(&bare, r, rows[i].expected);
        }
}

/* An id of its own: its seq may be known elsewhere as that of a reading. */
#define AGGREGATE                                                                                   \
        "{\"id\":\"gw-7:3:a918273\",\"gateway\":\"gw-7\",\"source\":\"press-3\",\"tag\":\"state\"," \
        "\"ts\":\"2026-11-23T10:00:00.123456Z\",\"ts_us\":1795428000123456"

static void assert_aggregate(struct reading r, struct spool_aggregate a, const char *expected)
{
        struct spool_row row = {.seq = 918273, .r = r, .a = a};
        char *text;

        row.r.flags = READING_AGGREGATE;
        text = encode(&bare, &row, false);
        assert_string_equal(text, expected);
        free(text);
}

static void test_aggregates(void **state)
{
        static const struct spool_aggregate mean = {.n = 60, .has_range = true, .min = -1, .max = 71.3},
                                            last = {.n = 7};
        struct reading bad = f64(1.5);

        assert_aggregate(f64(1.5), mean,
                         AGGREGATE ",\"value\":1.5" GOOD ",\"agg\":\"mean\",\"n\":60,\"min\":-1.0,\"max\":71.3" TAIL);
        assert_aggregate((struct reading){.ts_us = T, .type = READING_TEXT, .v.text = "up", .len = 2}, last,
                         AGGREGATE ",\"value_str\":\"up\"" GOOD ",\"agg\":\"last\",\"n\":7" TAIL);
        assert_aggregate(f64(1.5), (struct spool_aggregate){.n = 1},
                         AGGREGATE ",\"value\":1.5" GOOD ",\"agg\":\"last\",\"n\":1" TAIL);
        bad.quality = QUALITY_BAD_OUT_OF_RANGE;
        assert_aggregate(bad, mean,
                         AGGREGATE ",\"quality\":\"bad\",\"reason\":\"out_of_range\",\"agg\":\"last\",\"n\":60" TAIL);
}

static void test_names_units_and_labels(void **state)
{
        assert_sample(&odd, f64(1.5),
                      "{\"id\":\"gw-7:3:918273\",\"gateway\":\"gw-7\",\"source\":\"a\\\"b\",\"tag\":\"t\\\\x\","
                      "\"ts\":\"2026-11-23T10:00:00.123456Z\",\"ts_us\":1795428000123456,\"value\":1.5,"
                      "\"unit\":\"\xc2\xb0"
                      "C\\n\",\"quality\":\"good\",\"line\":\"l1\",\"cell\":\"3\",\"epoch\":3,\"seq\":918273}");
}

static void test_times(void **state)
{
        static const struct {
                int64_t ts_us;
                const char *expected;
        } rows[] = {
                {0, "\"ts\":\"1970-01-01T00:00:00.000000Z\",\"ts_us\":0,"},
                {-1, "\"ts\":\"1969-12-31T23:59:59.999999Z\",\"ts_us\":-1,"},
                {999999, "\"ts\":\"1970-01-01T00:00:00.999999Z\",\"ts_us\":999999,"},
                {1000000, "\"ts\":\"1970-01-01T00:00:01.000000Z\",\"ts_us\":1000000,"},
                {INT64_C(1795428000000001), "\"ts\":\"2026-11-23T10:00:00.000001Z\",\"ts_us\":1795428000000001,"},
                {INT64_C(1795427999999999), "\"ts\":\"2026-11-23T09:59:59.999999Z\",\"ts_us\":1795427999999999,"},
        };
        struct uplink_identity id = {.gateway = "gw-7", .epoch = 3};
        struct record_encoder enc;
        char buf[4096];

        record_encoder_init(&enc, &id);
        for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(*rows); i++) {
                struct spool_row row = {.seq = 1, .r = f64(1)};

                row.r.ts_us = rows[i / 2].ts_us;
                buf[record_encode_sample(&enc, buf, sizeof(buf), &bare, &row)] = '\0';
                assert_non_null(strstr(buf, rows[i / 2].expected));
        }
        record_encoder_fini(&enc);
}

/* The longest of everything stays within the bound. */
static void test_bound(void **state)
{
        char s[3000];
        struct spool_row row = {.seq = UINT64_MAX};
        char *out;

        memset(s, 1, sizeof(s));
        row.r = (struct reading){.ts_us = INT64_MIN / 2,
                                 .arrival_us = INT64_MIN,
                                 .type = READING_TEXT,
                                 .quality = QUALITY_UNCERTAIN,
                                 .flags = 0xffff,
                                 .len = sizeof(s),
                                 .v.text = s};
        out = encode(&odd, &row, false);
        assert_int_equal(out[strlen(out) - 1], '}');
        free(out);
        row.r.type = READING_F64;
        row.r.v.f64 = -1.7976931348623157e308;
        row.a = (struct spool_aggregate){.n = UINT32_MAX, .has_range = true, .min = row.r.v.f64, .max = row.r.v.f64};
        out = encode(&odd, &row, false);
        assert_non_null(strstr(out, "-1.7976931348623157e308"));
        free(out);
        row.r.quality = QUALITY_BAD_NOT_CONNECTED;
        out = encode(&odd, &row, false);
        assert_int_equal(out[strlen(out) - 1], '}');
        free(out);
}

static void test_events(void **state)
{
        static const char body[] = "\"kind\":\"link\",\"state\":\"down\"";
        struct spool_row row = {.seq = 17, .r = {.ts_us = T, .tag = 0, .v.text = body, .len = sizeof(body) - 1}};
        char *out = encode(&temp, &row, true);

        assert_string_equal(out,
                            "{\"id\":\"gw-7:3:e17\",\"event_id\":\"gw-7:3:e17\",\"gateway\":\"gw-7\","
                            "\"source\":\"press-3\",\"tag\":\"temp\",\"ts\":\"2026-11-23T10:00:00.123456Z\","
                            "\"ts_us\":1795428000123456,\"kind\":\"link\",\"state\":\"down\",\"epoch\":3,\"seq\":17}");
        free(out);
        row.r.tag = SPOOL_NO_TAG;
        row.r.len = 0;
        out = encode(NULL, &row, true);
        assert_string_equal(
                out, "{\"id\":\"gw-7:3:e17\",\"event_id\":\"gw-7:3:e17\",\"gateway\":\"gw-7\","
                     "\"ts\":\"2026-11-23T10:00:00.123456Z\",\"ts_us\":1795428000123456,\"epoch\":3,\"seq\":17}");
        free(out);
}

static void test_key_and_timestamp(void **state)
{
        struct uplink_identity id = {.gateway = "gw-7", .epoch = 3};
        struct record_encoder enc;
        const char *key;
        size_t len;

        record_encoder_init(&enc, &id);
        key = record_key(&enc, &temp, 9, &len);
        assert_int_equal(len, strlen("gw-7/press-3"));
        assert_memory_equal(key, "gw-7/press-3", len);
        key = record_key(&enc, NULL, SPOOL_NO_TAG, &len);
        assert_int_equal(len, 4);
        assert_memory_equal(key, "gw-7", len);
        record_encoder_fini(&enc);

        assert_int_equal(record_timestamp_ms(T, T), T / 1000);
        assert_int_equal(record_timestamp_ms(T + 59999000, T), T / 1000 + 59999);
        assert_int_equal(record_timestamp_ms(T + 3600000000, T), T / 1000 + 60000);
        assert_int_equal(record_timestamp_ms(0, T), T / 1000); /* of a clock that was not set then */
        assert_int_equal(record_timestamp_ms(-5000000, T), T / 1000);
        assert_int_equal(record_timestamp_ms(1577836799999999, T), T / 1000);
        assert_int_equal(record_timestamp_ms(1577836800000000, T), 1577836800000);
        assert_int_equal(record_timestamp_ms(600000000, 600000000), RECORD_NO_TIMESTAMP); /* and is not set now */
        assert_int_equal(record_timestamp_ms(T, 600000000), RECORD_NO_TIMESTAMP);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_example_of_the_contract),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_quality),
                cmocka_unit_test(test_flags),
                cmocka_unit_test(test_aggregates),
                cmocka_unit_test(test_names_units_and_labels),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_bound),
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_key_and_timestamp),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
