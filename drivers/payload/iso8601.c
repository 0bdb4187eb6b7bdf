/*
 * iso8601: dates and times in all forms of ISO 8601 that name a point in time.
 *
 * Dates: 2026-11-23, 20261123, 2026-W48-1, 2026W481, 2026-327, 2026327.  Times:
 * 10, 10:00, 1000, 10:00:00, 100000, with a fraction of the last part behind .
 * or a comma, and 24:00.  Zones: Z, +01, +0100, +01:00, with - or the sign of
 * Unicode, UTC, GMT.  A blank may stand for the T, and before the zone.
 *
 * A date alone is a day, not a time: refused.  Reads nothing behind `len`;
 * allocates nothing.
 */
#include <string.h>

#include "drivers/payload/time.h"

struct reader {
        const char *p, *end;
};

static int count_digits(const struct reader *r)
{
        int n = 0;

        while (r->p + n < r->end && r->p[n] >= '0' && r->p[n] <= '9')
                n++;
        return n;
}

/* -1: there are not so many. */
static int take(struct reader *r, int n)
{
        int v = 0;

        if (count_digits(r) < n)
                return -1;
        for (int i = 0; i < n; i++)
                v = v * 10 + *r->p++ - '0';
        return v;
}

static bool skip(struct reader *r, const char *one_of)
{
        if (r->p == r->end || !*r->p || !strchr(one_of, *r->p))
                return false;
        r->p++;
        return true;
}

/* Days since 1970 of the Gregorian calendar (March is the first month). */
static int64_t days_of(int64_t year, int month, int day)
{
        int64_t y = month > 2 ? year : year - 1, era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
        int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool calendar(int year, int month, int day, int64_t *days)
{
        static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

        if (month < 1 || month > 12 || day < 1 || day > length[month - 1] + (leap && month == 2))
                return false;
        *days = days_of(year, month, day);
        return true;
}

/* Week 1 has the year's first Thursday; 4 January always lies in it. */
static bool week_date(int year, int week, int day, int64_t *days)
{
        int64_t fourth = days_of(year, 1, 4), next = days_of(year + 1, 1, 4);
        int64_t monday = fourth - (fourth + 3) % 7, next_monday = next - (next + 3) % 7;

        *days = monday + (week - 1) * 7 + day - 1;
        return week >= 1 && day >= 1 && day <= 7 && *days < next_monday;
}

static bool ordinal(int year, int day, int64_t *days)
{
        *days = days_of(year, 1, 1) + day - 1;
        return day >= 1 && *days < days_of(year + 1, 1, 1);
}

static bool take_date(struct reader *r, int64_t *days)
{
        int year = take(r, 4), a;
        bool dash = skip(r, "-");

        if (year < 0)
                return false;
        if (skip(r, "W")) {
                a = take(r, 2);
                if (dash != skip(r, "-"))
                        return false;
                return week_date(year, a, take(r, 1), days);
        }
        if (count_digits(r) == 3)
                return ordinal(year, take(r, 3), days);
        a = take(r, 2);
        return dash == skip(r, "-") && calendar(year, a, take(r, 2), days);
}

/* Of `unit_us` microseconds; what is finer than one is cut. */
static bool take_fraction(struct reader *r, int64_t unit_us, int64_t *us)
{
        int64_t value = 0, scale = 1;

        if (!skip(r, ".,"))
                return true;
        if (!count_digits(r))
                return false;
        for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
                if (scale > 100000000)
                        continue;
                value = value * 10 + *r->p - '0';
                scale *= 10;
        }
        *us += value * unit_us / scale;
        return true;
}

/* A leap second ends an hour in every zone; it is read as the next one. */
static bool is_time(int h, int m, int s, int64_t fraction)
{
        if (h == 24)
                return m == 0 && s == 0 && fraction == 0;
        return h >= 0 && h < 24 && m >= 0 && m < 60 && s >= 0 && (s < 60 || (s == 60 && m == 59));
}

static bool take_time(struct reader *r, int64_t *us)
{
        int64_t unit = INT64_C(3600000000), fraction = 0;
        int h = take(r, 2), m = 0, s = 0;
        bool colon = skip(r, ":");

        if (h < 0)
                return false;
        if (colon || count_digits(r)) {
                unit = 60000000;
                m = take(r, 2);
                if (colon ? skip(r, ":") : count_digits(r) > 0) {
                        unit = 1000000;
                        s = take(r, 2);
                }
        }
        if (!take_fraction(r, unit, &fraction) || !is_time(h, m, s, fraction))
                return false;
        *us = ((int64_t)h * 3600 + m * 60 + s) * 1000000 + fraction;
        return true;
}

static bool take_zone(struct reader *r, int64_t *offset_s, bool *has_zone)
{
        static const char minus[] = "\xe2\x88\x92";
        int sign = 1, h, m = 0;

        *offset_s = 0;
        *has_zone = r->p < r->end;
        if (!*has_zone)
                return true;
        skip(r, " ");
        if (r->end - r->p == 3 && (!memcmp(r->p, "UTC", 3) || !memcmp(r->p, "GMT", 3))) {
                r->p += 3;
                return true;
        }
        if (skip(r, "Zz"))
                return true;
        if (r->end - r->p > 3 && memcmp(r->p, minus, 3) == 0) {
                r->p += 3;
                sign = -1;
        } else if (skip(r, "-")) {
                sign = -1;
        } else if (!skip(r, "+")) {
                return false;
        }
        h = take(r, 2);
        if (skip(r, ":") || count_digits(r))
                m = take(r, 2);
        *offset_s = sign * (h * 3600 + m * 60);
        return h >= 0 && h < 24 && m >= 0 && m < 60;
}

bool payload_iso8601(const char *s, size_t len, int64_t *us, bool *has_zone)
{
        struct reader r = {s, s + len};
        int64_t days, of_day, offset;

        if (!take_date(&r, &days) || !skip(&r, "Tt ") || !take_time(&r, &of_day))
                return false;
        if (!take_zone(&r, &offset, has_zone) || r.p != r.end)
                return false;
        *us = (days * 86400 - offset) * 1000000 + of_day;
        return true;
}
