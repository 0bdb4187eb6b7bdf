/*
 * mqtt_time: how times are written, and in which zone.  What is expected is what Python's datetime and zoneinfo say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/payload/time.h"

#define NOW_US INT64_C(1795428000000000) /* 2026-11-23T10:00:00Z */

static void test_iso8601(void **state)
{
        static const struct {
                const char *text;
                int64_t us; /* 0: none */
        } rows[] = {
                {"2026-11-23T09:59:59Z", INT64_C(1795427999000000)},
                {"20261123T095959Z", INT64_C(1795427999000000)},
                {"2026-W48-1T09:59:59Z", INT64_C(1795427999000000)},
                {"2026W481T095959Z", INT64_C(1795427999000000)},
                {"2026-327T09:59:59Z", INT64_C(1795427999000000)},
                {"2026327T095959,5Z", INT64_C(1795427999500000)},
                {"2026-11-23 10:59:59.25+01:00", INT64_C(1795427999250000)},
                {"2026-11-23T10:59:59+01", INT64_C(1795427999000000)},
                {"2026-11-23T10:59:59+0100", INT64_C(1795427999000000)},
                {"2026-11-23T05:29:59\xe2\x88\x92"
                 "04:30",
                 INT64_C(1795427999000000)},
                {"2026-11-23T09:59Z", INT64_C(1795427940000000)},
                {"2026-11-23T09Z", INT64_C(1795424400000000)},
                {"2026-11-23T09,5Z", INT64_C(1795426200000000)},
                {"2026-11-23T09:59.5Z", INT64_C(1795427970000000)},
                {"2026-11-22T24:00Z", INT64_C(1795392000000000)},
                {"2026-11-23T09:59:59.123456789Z", INT64_C(1795427999123456)},
                {"2024-02-29T00:00:00z", INT64_C(1709164800000000)},
                {"2020-W53-5T00:00:00Z", INT64_C(1609459200000000)},
                {"2024-366T00:00Z", INT64_C(1735603200000000)},
                {"2026-12-31T23:59:60Z", INT64_C(1798761600000000)}, /* a leap second: the one that follows */
                {"2026-11-23 09:59:59 UTC", INT64_C(1795427999000000)},
                {"2026-11-23 10:59:59 +0100", INT64_C(1795427999000000)},
                {"2026-11-23 09:59:59 ", 0},
                {"2026-11-23 09:59:59 CET", 0},
                {"2026-11-23", 0},
                {"2026-11-23T", 0},
                {"2026-02-29T00:00Z", 0},
                {"2026-13-01T00:00Z", 0},
                {"2026-00-01T00:00Z", 0},
                {"2026-366T00:00Z", 0},
                {"2026-000T00:00Z", 0},
                {"2026-W54-1T00:00Z", 0},
                {"2026-W53-1T00:00:00Z", INT64_C(1798416000000000)},
                {"2025-W53-1T00:00Z", 0},
                {"2026-W01-8T00:00Z", 0},
                {"2026-W01T00:00Z", 0},
                {"2026-1123T00:00Z", 0},
                {"202611-23T00:00Z", 0},
                {"2026-11-23T25:00Z", 0},
                {"2026-11-23T24:00:01Z", 0},
                {"2026-11-23T23:60Z", 0},
                {"2026-11-23T23:58:60Z", 0},
                {"2026-11-23T10:00:00.Z", 0},
                {"2026-11-23T10:00:00+1", 0},
                {"2026-11-23T10:00:00+24:00", 0},
                {"2026-11-23T10:00:00X", 0},
                {"2026-11-23T10:00:00ZZ", 0},
                {"", 0},
                {"T", 0},
                {"2", 0},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                size_t len = strlen(rows[i].text);
                char *copy = malloc(len + 1);
                bool has_zone, is_time;
                int64_t us = 0;

                memcpy(copy, rows[i].text, len);
                is_time = payload_iso8601(copy, len, &us, &has_zone);
                print_message("%s\n", rows[i].text);
                assert_int_equal(is_time, rows[i].us != 0);
                if (is_time)
                        assert_true(us == rows[i].us && has_zone);
                free(copy);
        }
}

/* The reading's time, and how it is marked. */
static struct reading read_time(int format, const char *pattern, const char *zone, const char *text, int64_t now_us)
{
        struct json_value v = {.type = SCAN_TEXT, .at = text, .len = (uint32_t)strlen(text)};
        struct reading r = {.ts_us = now_us, .arrival_us = now_us};
        struct payload_time t;
        const char *key;
        struct err e = {""};

        if (payload_time_init(&t, format, pattern, zone, &key, &e) < 0)
                fail_msg("%s: %s", key, e.text);
        payload_time_set(&t, &v, &r);
        payload_time_fini(&t);
        return r;
}

static void test_zones(void **state)
{
        static const struct {
                const char *zone, *text;
                int64_t us, now_us; /* 0: NOW_US */
                bool doubtful;
        } rows[] = {
                {"Europe/Berlin", "2026-07-01T12:00:00", INT64_C(1782900000000000)},
                {"Europe/Berlin", "2026-01-01T12:00:00.5", INT64_C(1767265200500000)},
                /* shown twice: the later, if that can be */
                {"Europe/Berlin", "2025-10-26T02:30:00", INT64_C(1761442200000000), 0, true},
                {"Europe/Berlin", "2025-10-26T02:30:00", INT64_C(1761438600000000), INT64_C(1761438660000000), true},
                {"Australia/Lord_Howe", "2026-04-05T01:45:00", INT64_C(1775315700000000), 0, true},
                /* never shown: as if the clock had not been set */
                {"Europe/Berlin", "2026-03-29T01:59:59", INT64_C(1774745999000000)},
                {"Europe/Berlin", "2026-03-29T02:30:00", INT64_C(1774747800000000), 0, true},
                {"Europe/Berlin", "2026-03-29T03:00:00", INT64_C(1774746000000000)},
                {"Asia/Kolkata", "2026-07-01T12:00:00", INT64_C(1782887400000000)},
                {"America/St_Johns", "2026-07-01T12:00:00", INT64_C(1782916200000000)},
                {"America/Sao_Paulo", "2026-07-01T12:00:00", INT64_C(1782918000000000)},
                {"Africa/Casablanca", "2026-03-01T12:00:00", INT64_C(1772366400000000)},
                {"UTC", "2026-07-01T12:00:00", INT64_C(1782907200000000)},
                {"Etc/UTC", "2026-07-01T12:00:00", INT64_C(1782907200000000)},
                {"+02:00", "2026-07-01T14:00:00", INT64_C(1782907200000000)},
                {"-0330", "2026-07-01T08:30:00", INT64_C(1782907200000000)},
                {"Europe/Berlin", "2026-07-01T12:00:00Z", INT64_C(1782907200000000)}, /* its own goes before */
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct reading r = read_time(PAYLOAD_ISO8601, NULL, rows[i].zone, rows[i].text,
                                             rows[i].now_us ? rows[i].now_us : NOW_US);

                print_message("%s %s\n", rows[i].zone, rows[i].text);
                assert_true(r.ts_us == rows[i].us);
                assert_int_equal(r.flags, READING_SOURCE_TIME);
                assert_int_equal(r.quality, rows[i].doubtful ? QUALITY_UNCERTAIN : QUALITY_GOOD);
        }
}

static void test_patterns(void **state)
{
        static const struct {
                const char *pattern, *zone, *text;
                int64_t us; /* 0: not believed */
        } rows[] = {
                {"%d.%m.%Y %H:%M:%S", "Europe/Berlin", "23.11.2026 10:59:59", INT64_C(1795427999000000)},
                {"%d.%m.%Y %H:%M:%S.%f", "Europe/Berlin", "23.11.2026 10:59:59.25", INT64_C(1795427999250000)},
                {"%m/%d/%Y %I:%M:%S %p", "UTC", "11/23/2026 09:59:59 AM", INT64_C(1795427999000000)},
                {"%m/%d/%Y %I:%M:%S.%f %p", "UTC", "11/22/2026 09:59:59.5 PM", INT64_C(1795384799500000)},
                {"%d.%m.%Y %H:%M:%S.%f %z", NULL, "23.11.2026 10:59:59.25 +0100", INT64_C(1795427999250000)},
                {"%d %b %Y %H:%M:%S %z", NULL, "23 Nov 2026 10:59:59 +0100", INT64_C(1795427999000000)},
                {"%y%m%d%H%M%S", "+01:00", "261123105959", INT64_C(1795427999000000)},
                {"%d.%m.%Y %H:%M:%S", NULL, "23.11.2026 10:59:59", 0},
                {"%d.%m.%Y", "UTC", "30.02.2026", 0},
                {"%d.%m.%Y", "UTC", "23.11.2026 10:59", 0},
                {"%d.%m.%Y", "UTC", "yesterday", 0},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct reading r = read_time(PAYLOAD_ISO8601, rows[i].pattern, rows[i].zone, rows[i].text, NOW_US);

                print_message("%s %s\n", rows[i].pattern, rows[i].text);
                assert_true(r.ts_us == (rows[i].us ? rows[i].us : NOW_US));
                assert_int_equal(r.flags, rows[i].us ? READING_SOURCE_TIME : READING_TIME_UNTRUSTED);
                assert_int_equal(r.quality, rows[i].us ? QUALITY_GOOD : QUALITY_UNCERTAIN);
        }
}

static void test_nanoseconds(void **state)
{
        struct reading r = read_time(PAYLOAD_UNIX_NS, NULL, NULL, "1795427999123456789", NOW_US);

        assert_true(r.ts_us == INT64_C(1795427999123456));
        r = read_time(PAYLOAD_UNIX_NS, NULL, NULL, "1795427999123", NOW_US);
        assert_true(r.ts_us == NOW_US && r.flags == READING_TIME_UNTRUSTED);
}

static void test_what_is_no_zone(void **state)
{
        static const char *const names[] = {
                "",   "Europe/Nowhere", "../../../etc/passwd", "/etc/localtime", "+25:00",
                "+1", "01:00",          "posixrules\n",        "Europe",         "tzdata.zi"};
        struct payload_zone z;

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                struct err e = {""};

                assert_int_equal(payload_zone_init(&z, names[i], &e), -1);
                print_message("%s\n", e.text);
                assert_true(e.text[0]);
        }
}

/* As zic writes it without -b fat: the last entry of Berlin is that of 1996, and then a rule. */
static void test_a_rule_is_not_read(void **state)
{
        static const char none[45] = "TZif2";
        static const unsigned char
                entries[] =
                        {
                                'T',  'Z', 'i', 'f', '2',  0,    0,    0,    0, 0, 0, 0,
                                0,    0,   0,   0,   0,    0,    0,    0, /* no leaps */
                                0,    0,   0,   0,   0,    0,    0,    0,    0, 0, 0, 0,
                                0,    0,   0,   1,   0,    0,    0,    1,    0, 0, 0, 4, /* one of each */
                                0,    0,   0,   0,   0x32, 0x72, 0xb3, 0x90, 0, 0, 0, 0x0e,
                                0x10, 0,   0,   'C', 'E',  'T',  0,    '\n' /* +01:00 */
                        };
        static const char *const rules[] = {"CET-1CEST,M3.5.0,M10.5.0/3\n", "CET-1\n"};

        for (int i = 0; i < 2; i++) {
                size_t len = strlen(rules[i]);
                unsigned char file[200];
                struct payload_zone z = {0};
                const char *why;

                memcpy(file, none, 44);
                memcpy(file + 44, entries, sizeof(entries));
                memcpy(file + 44 + sizeof(entries), rules[i], len);
                why = payload_zone_read(&z, file, 44 + sizeof(entries) + len);
                assert_true(i == 0 ? why && strstr(why, "to a rule") : !why);
                payload_zone_fini(&z);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_iso8601),         cmocka_unit_test(test_zones),
                cmocka_unit_test(test_patterns),        cmocka_unit_test(test_nanoseconds),
                cmocka_unit_test(test_what_is_no_zone), cmocka_unit_test(test_a_rule_is_not_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
