/* Hours of the line: which of them it is, until when, over midnight, by days, across changes of summer time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/err.h"
#include "uplink/hours.h"

enum { USUAL = 5000 };

static struct hours_conf hour(const char *from, const char *to, bool quiet, const char *rate, const char *day)
{
        static const char *days[16];
        static int n;
        struct hours_conf c = {.from = from, .to = to, .quiet = quiet, .rate_limit = rate};
        const char *key;
        struct err e;

        if (day) {
                days[n] = day;
                c.days = (struct schema_list){(void *)&days[n++], 1};
        }
        if (hours_schema.check(&c, &key, &e) < 0)
                fail_msg("%s: %s", key, e.text);
        return c;
}

/* "2026-12-01 21:59:30", of the zone. */
static int64_t at(const char *text)
{
        struct tm tm = {.tm_isdst = -1};

        assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
        return (int64_t)mktime(&tm) * 1000000;
}

static const char *shown(const struct schema_list *list, const char *when)
{
        static char out[80];
        struct hours_now now;
        time_t until;
        char clock[32];

        hours_at(list, USUAL, at(when), &now);
        until = (time_t)(now.until_us / 1000000);
        strftime(clock, sizeof(clock), "%a %H:%M", localtime(&until));
        snprintf(out, sizeof(out), "%s%d until %s", now.quiet ? "quiet " : "", (int)now.bytes_s, clock);
        return out;
}

static void test_of_the_day(void **state)
{
        struct hours_conf c[] = {hour("12:00", "13:00", true, NULL, NULL),
                                 hour("22:00", "05:30", false, "64KiB/s", NULL),
                                 hour("05:00", "08:00", false, NULL, "wed")};
        struct schema_list list = {c, 3};
        static const char *const rows[][2] = {
                /* 2026-12-01 is a Tuesday */
                {"2026-12-01 11:59:59", "5000 until Tue 12:00"},    {"2026-12-01 12:00:00", "quiet 0 until Tue 13:00"},
                {"2026-12-01 12:59:59", "quiet 0 until Tue 13:00"}, {"2026-12-01 13:00:00", "5000 until Tue 22:00"},
                {"2026-12-01 22:00:00", "65536 until Wed 05:30"},   {"2026-12-01 23:59:59", "65536 until Wed 05:30"},
                {"2026-12-02 00:00:00", "65536 until Wed 05:30"},   {"2026-12-02 05:15:00", "65536 until Wed 05:30"},
                {"2026-12-02 05:30:00", "0 until Wed 08:00"},       {"2026-12-02 08:00:00", "5000 until Wed 12:00"},
                {"2026-12-03 05:30:00", "5000 until Thu 12:00"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                if (strcmp(shown(&list, rows[i][0]), rows[i][1]) != 0)
                        fail_msg("%s: %s, not %s", rows[i][0], shown(&list, rows[i][0]), rows[i][1]);
}

/* Each minute of a year: what it says stays so until it says, and that is in the future. */
static void test_until_is_kept(void **state)
{
        struct hours_conf c[] = {hour("01:30", "03:30", true, NULL, NULL),
                                 hour("23:00", "02:15", false, "8KiB/s", "sat"),
                                 hour("02:30", "02:45", false, "9KiB/s", "sun")};
        struct schema_list list = {c, 3};
        int64_t end_us = at("2027-01-02 00:00:00");
        struct hours_now now, before;

        hours_at(&list, USUAL, at("2026-01-01 00:00:00"), &before);
        for (int64_t us = at("2026-01-01 00:01:00"); us < end_us; us += 60000000) {
                hours_at(&list, USUAL, us, &now);
                assert_true(now.until_us > us && now.until_us <= us + 25ll * 3600 * 1000000);
                if (us < before.until_us && us - 60000000 != before.until_us)
                        if (now.quiet != before.quiet || now.bytes_s != before.bytes_s) {
                                time_t s = (time_t)(us / 1000000);
                                struct tm *tm = localtime(&s);

                                /* only where the clock itself jumps */
                                assert_true(tm->tm_wday == 0 && (tm->tm_mon == 2 || tm->tm_mon == 9) &&
                                            tm->tm_mday >= 25);
                        }
                before = now;
        }
}

static void test_none(void **state)
{
        struct hours_now now;

        hours_at(&(struct schema_list){NULL, 0}, USUAL, at("2026-12-01 12:00:00"), &now);
        assert_true(!now.quiet && now.bytes_s == USUAL && now.until_us == INT64_MAX);
}

static void test_faults(void **state)
{
        const struct {
                struct hours_conf c;
                const char *key;
        } rows[] = {
                {{.from = "24:00", .to = "01:00"}, "from"},
                {{.from = "1:00", .to = "02:00"}, "from"},
                {{.from = "01:60", .to = "02:00"}, "from"},
                {{.from = "01:00", .to = "0x:00"}, "to"},
                {{.from = "-1:00", .to = "02:00"}, "from"},
                {{.from = "01:00", .to = "01:00"}, "to"},
                {{.from = "01:00", .to = "02:00", .quiet = true, .rate_limit = "9KiB/s"}, "rate_limit"},
                {{.from = "01:00", .to = "02:00", .rate_limit = "9KiB"}, "rate_limit"},
                {{.from = "01:00", .to = "02:00", .rate_limit = "9B/s"}, "rate_limit"},
                {{.from = "01:00", .to = "02:00", .days = {(void *)(const char *[]){"monday"}, 1}}, "days"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct hours_conf c = rows[i].c;
                const char *key = "";
                struct err e;

                assert_int_equal(hours_schema.check(&c, &key, &e), -1);
                assert_string_equal(key, rows[i].key);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_of_the_day),
                cmocka_unit_test(test_until_is_kept),
                cmocka_unit_test(test_none),
                cmocka_unit_test(test_faults),
        };

        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        tzset();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
