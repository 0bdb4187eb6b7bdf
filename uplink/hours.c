/*
 * hours: see hours.h.
 *
 * A mobile contract is cheap at night, or a line belongs to the office by day;
 * people think of that in local time, so a change to summer time moves the
 * hours with it: mktime knows.  The minutes are compared as the clock on the
 * wall shows them, so an hour that comes twice in autumn is in it twice.
 *
 * How it fails: a time or a day that is none is a fault of the configuration.
 * While the clock is wrong so are the hours; nothing is lost by that, it is
 * sent at another time.
 */
#include "uplink/hours.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/base/err.h"
#include "agent/base/text.h"

#define AT(member) offsetof(struct hours_conf, member)

enum { DAY_MIN = 24 * 60 };

static const struct schema_key keys[] = {
        {.name = "from",
         .type = SCHEMA_TEXT,
         .flags = SCHEMA_REQUIRED,
         .offset = AT(from),
         .help = "Local time, HH:MM."},
        {.name = "to",
         .type = SCHEMA_TEXT,
         .flags = SCHEMA_REQUIRED,
         .offset = AT(to),
         .help = "When it is over; earlier than from: on the next day."},
        {.name = "days",
         .type = SCHEMA_TEXTS,
         .offset = AT(days),
         .help = "mon, tue, wed, thu, fri, sat, sun: on which it begins. Absent: each day."},
        {.name = "quiet",
         .type = SCHEMA_BOOL,
         .offset = AT(quiet),
         .def = "false",
         .help = "No readings are sent; events and alarms are."},
        {.name = "rate_limit",
         .type = SCHEMA_TEXT,
         .offset = AT(rate_limit),
         .help = "In place of the section's rate_limit, as 256KiB/s. Absent, and not quiet: no limit."},
        {.name = NULL},
};

int hours_rate(const char *text, uint64_t *bytes_s, struct err *e)
{
        char size[64];
        size_t n = text ? strlen(text) : 0;

        if (!text)
                return 0;
        if (n < 3 || n >= sizeof(size) || strcmp(text + n - 2, "/s") != 0)
                return err_set(e, "\"%s\" is not a rate: a size per second is expected, as 256KiB/s", text);
        memcpy(size, text, n - 2);
        size[n - 2] = '\0';
        if (!text_size(size, bytes_s))
                return err_set(e, "\"%s\" is not a rate: a size per second is expected, as 256KiB/s", text);
        if (*bytes_s < 1024)
                return err_set(e, "a rate under 1KiB/s can't carry whole records");
        return 0;
}

static int read_minute(const char *text, int *min, struct err *e)
{
        int hour, minute, end = 0;

        if (strlen(text) != 5 || sscanf(text, "%2d:%2d%n", &hour, &minute, &end) != 2 || end != 5 || text[2] != ':' ||
            strspn(text, "0123456789:") != 5 || hour > 23 || minute > 59)
                return err_set(e, "\"%s\" is no time of the day: HH:MM is expected, 00:00 to 23:59, in quotes", text);
        *min = hour * 60 + minute;
        return 0;
}

static int read_days(struct hours_conf *c, struct err *e)
{
        static const char *const names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
        const char *const *items = c->days.items;

        c->on = c->days.n ? 0 : 0x7f;
        for (size_t i = 0; i < c->days.n; i++) {
                int day = 0;

                while (day < 7 && strcmp(names[day], items[i]) != 0)
                        day++;
                if (day == 7)
                        return err_set(e, "\"%s\" is no day: mon, tue, wed, thu, fri, sat or sun is expected",
                                       items[i]);
                c->on |= 1u << day;
        }
        return 0;
}

static int check(void *obj, const char **key, struct err *e)
{
        struct hours_conf *c = obj;

        *key = "from";
        if (read_minute(c->from, &c->from_min, e) < 0)
                return -1;
        *key = "to";
        if (read_minute(c->to, &c->to_min, e) < 0)
                return -1;
        if (c->to_min == c->from_min)
                return err_set(e, "it is over when it begins; for whole days: 00:00 to 23:59");
        *key = "days";
        if (read_days(c, e) < 0)
                return -1;
        *key = "rate_limit";
        if (c->quiet && c->rate_limit)
                return err_set(e, "quiet: nothing is sent, so there is no rate");
        return hours_rate(c->rate_limit, &c->bytes_s, e);
}

const struct schema hours_schema = {
        .name = "hours",
        .help = "Hours of the day with a rate of their own, or none at all; the first that it is counts.",
        .keys = keys,
        .size = sizeof(struct hours_conf),
        .has_at = true,
        .check = check,
};

/* ---- what it is now ---- */

static bool is_in(const struct hours_conf *c, const struct tm *tm)
{
        int now = tm->tm_hour * 60 + tm->tm_min;
        unsigned today = 1u << tm->tm_wday, yesterday = 1u << (tm->tm_wday + 6) % 7;

        if (c->from_min < c->to_min)
                return c->on & today && now >= c->from_min && now < c->to_min;
        return (c->on & today && now >= c->from_min) || (c->on & yesterday && now < c->to_min);
}

/* The wall's next `min`, in the future. */
static int64_t next_us(const struct tm *now, int min)
{
        struct tm tm = *now;
        bool tomorrow = now->tm_hour * 60 + now->tm_min >= min;

        tm.tm_mday += tomorrow;
        tm.tm_hour = min / 60;
        tm.tm_min = min % 60;
        tm.tm_sec = 0;
        tm.tm_isdst = -1;
        return (int64_t)mktime(&tm) * 1000000;
}

void hours_at(const struct schema_list *hours, uint64_t usual_bytes_s, int64_t wall_us, struct hours_now *out)
{
        const struct hours_conf *c = hours->items;
        time_t s = (time_t)(wall_us / 1000000);
        struct tm tm;

        *out = (struct hours_now){.bytes_s = usual_bytes_s, .until_us = INT64_MAX};
        if (!hours->n || !localtime_r(&s, &tm))
                return;
        for (size_t i = 0; i < hours->n; i++) {
                int64_t at_us = next_us(&tm, c[i].from_min), end_us = next_us(&tm, c[i].to_min);

                if (is_in(&c[i], &tm)) {
                        out->quiet = c[i].quiet;
                        out->bytes_s = c[i].bytes_s;
                        out->until_us = end_us < out->until_us ? end_us : out->until_us;
                        break;
                }
                out->until_us = at_us < out->until_us ? at_us : out->until_us; /* one before it begins then */
        }
        if (out->until_us <= wall_us) /* an hour that is left out in spring */
                out->until_us = wall_us + 60000000;
}
