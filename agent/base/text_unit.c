/*
 * text_unit: durations, sizes and points of time (see text.h).
 *
 * Quantities are read as integers and checked for overflow; a fraction must
 * come out even (1.5us is refused).  Dates are counted from a year that begins
 * in March, so that the leap day is the last of its year and months have a
 * closed form; no libc calendar, so no time zone database, no locale and no
 * time_t.  Failing means false: the text is not one of these.
 */
#include "agent/base/text.h"

#include <stdio.h>
#include <string.h>

struct unit {
        const char *name;
        uint64_t factor;
};

static const struct unit time_units[] = {
        {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000u}, {NULL, 0},
};

static const struct unit size_units[] = {
        {"B", 1},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
        {"KiB", 1ull << 10},
        {"MiB", 1ull << 20},
        {"GiB", 1ull << 30},
        {"TiB", 1ull << 40},
        {NULL, 0},
};

static bool read_quantity(const char *s, const struct unit *units, uint64_t *out)
{
        uint64_t whole = 0, part = 0, part_of = 1;
        const char *first = s;

        for (; *s >= '0' && *s <= '9'; s++) {
                if (__builtin_mul_overflow(whole, 10u, &whole) ||
                    __builtin_add_overflow(whole, (uint64_t)(*s - '0'), &whole))
                        return false;
        }
        if (s == first)
                return false;
        if (*s == '.') {
                first = ++s;
                for (; *s >= '0' && *s <= '9' && s - first < 6; s++) {
                        part = part * 10 + (uint64_t)(*s - '0');
                        part_of *= 10;
                }
                if (s == first)
                        return false;
        }
        while (units->name && strcmp(units->name, s) != 0)
                units++;
        if (!units->name || part * units->factor % part_of != 0)
                return false;
        return !__builtin_mul_overflow(whole, units->factor, out) &&
               !__builtin_add_overflow(*out, part * units->factor / part_of, out);
}

bool text_duration(const char *s, int64_t *us)
{
        uint64_t v;

        if (!read_quantity(s, time_units, &v) || v > INT64_MAX)
                return false;
        *us = (int64_t)v;
        return true;
}

bool text_size(const char *s, uint64_t *bytes)
{
        return read_quantity(s, size_units, bytes);
}

static size_t bounded(int n, size_t cap)
{
        return cap == 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;
}

size_t text_put_size(char *out, size_t cap, uint64_t bytes)
{
        static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double v = (double)bytes;
        unsigned i = 0;

        /* 1023.95 would be shown as 1024.0 */
        for (; v >= (i ? 1023.95 : 1024) && i < 6; i++)
                v /= 1024;
        return bounded(snprintf(out, cap, i ? "%.1f %s" : "%.0f %s", v, names[i]), cap);
}

size_t text_put_duration(char *out, size_t cap, int64_t us)
{
        const char *sign = us < 0 ? "-" : "";
        uint64_t u = us < 0 ? 0 - (uint64_t)us : (uint64_t)us, s = u / 1000000;
        int n;

        if (u < 1000)
                n = u ? snprintf(out, cap, "%s%uus", sign, (unsigned)u) : snprintf(out, cap, "0s");
        else if (u < 1000000)
                n = snprintf(out, cap, "%s%ums", sign, (unsigned)(u / 1000));
        else if (s < 60)
                n = snprintf(out, cap, "%s%u.%us", sign, (unsigned)s, (unsigned)(u / 100000 % 10));
        else if (s < 3600)
                n = snprintf(out, cap, "%s%um %us", sign, (unsigned)(s / 60), (unsigned)(s % 60));
        else if (s < 86400)
                n = snprintf(out, cap, "%s%uh %um", sign, (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
        else
                n = snprintf(out, cap, "%s%llud %uh", sign, (unsigned long long)(s / 86400), (unsigned)(s / 3600 % 24));
        return bounded(n, cap);
}

/* Days since 1970-01-01 of a date that exists. */
static int64_t days_of(int year, unsigned month, unsigned day)
{
        int y = month <= 2 ? year - 1 : year;
        int64_t era = (y >= 0 ? y : y - 399) / 400;
        unsigned in_era = (unsigned)(y - era * 400);
        unsigned in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

        return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static void put_number(char *out, unsigned v, unsigned width)
{
        while (width--) {
                out[width] = (char)('0' + v % 10);
                v /= 10;
        }
}

/*
 * 2026-11-23 of days since 0000-03-01, which are not negative but in the first
 * two months of year 0.
 */
static void put_date(char *out, int64_t days)
{
        uint32_t z = (uint32_t)(days + 719468 + 146097); /* one era more, so that it is never negative */
        uint32_t era = z / 146097, in_era = z % 146097;
        uint32_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
        uint32_t in_year = in_era - (365 * year + year / 4 - year / 100);
        uint32_t m = (5 * in_year + 2) / 153;
        uint32_t month = m < 10 ? m + 3 : m - 9;

        put_number(out, year + era * 400 - 400 + (month <= 2), 4);
        put_number(out + 5, month, 2);
        put_number(out + 8, in_year - (153 * m + 2) / 5 + 1, 2);
}

size_t text_put_time(char out[TEXT_TIME_MAX], int64_t us)
{
        const int64_t first = -62167219200000000, last = 253402300799999999, day = 86400000000;
        int64_t days;
        uint64_t rest;
        uint32_t s;

        us = us < first ? first : us > last ? last : us;
        days = us >= 0 ? us / day : -((day - 1 - us) / day);
        rest = (uint64_t)(us - days * day);
        s = (uint32_t)(rest / 1000000);
        memcpy(out, "0000-00-00T00:00:00.000000Z", 27);
        put_date(out, days);
        put_number(out + 11, s / 3600, 2);
        put_number(out + 14, s / 60 % 60, 2);
        put_number(out + 17, s % 60, 2);
        put_number(out + 20, (uint32_t)(rest % 1000000), 6);
        return 27;
}

struct reader {
        const char *p, *end;
        bool bad;
};

static char peek(const struct reader *r)
{
        return r->p < r->end ? *r->p : '\0';
}

static unsigned take_number(struct reader *r, unsigned width)
{
        unsigned v = 0;

        while (width--) {
                char c = peek(r);

                if (c < '0' || c > '9') {
                        r->bad = true;
                        return 0;
                }
                v = v * 10 + (unsigned)(c - '0');
                r->p++;
        }
        return v;
}

static void take_one_of(struct reader *r, const char *set)
{
        char c = peek(r);

        if (c == '\0' || !strchr(set, c))
                r->bad = true;
        else
                r->p++;
}

/* Microseconds; what is finer is cut. */
static int64_t take_fraction(struct reader *r)
{
        int64_t us = 0, worth = 100000;
        const char *first;

        if (peek(r) != '.' && peek(r) != ',')
                return 0;
        first = ++r->p;
        for (; peek(r) >= '0' && peek(r) <= '9'; r->p++) {
                us += (*r->p - '0') * worth;
                worth /= 10;
        }
        r->bad |= r->p == first;
        return us;
}

/* Microseconds east of UTC. */
static int64_t take_zone(struct reader *r, bool *has_zone)
{
        char c = peek(r);
        unsigned h, m;

        *has_zone = r->p < r->end;
        if (!*has_zone)
                return 0;
        take_one_of(r, "Zz+-");
        if (c != '+' && c != '-')
                return 0;
        h = take_number(r, 2);
        if (peek(r) == ':')
                r->p++;
        m = take_number(r, 2);
        r->bad |= h > 23 || m > 59;
        return (c == '-' ? -60000000ll : 60000000ll) * (h * 60 + m);
}

static bool is_date(unsigned year, unsigned month, unsigned day)
{
        static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

        return month >= 1 && month <= 12 && day >= 1 && day <= lengths[month - 1] + (unsigned)(leap && month == 2);
}

bool text_time(const char *s, size_t len, int64_t *us, bool *has_zone)
{
        struct reader r = {s, s + len, false};
        unsigned year, month, day, h, m, sec;
        int64_t fraction, zone;

        year = take_number(&r, 4);
        take_one_of(&r, "-");
        month = take_number(&r, 2);
        take_one_of(&r, "-");
        day = take_number(&r, 2);
        take_one_of(&r, "Tt ");
        h = take_number(&r, 2);
        take_one_of(&r, ":");
        m = take_number(&r, 2);
        take_one_of(&r, ":");
        sec = take_number(&r, 2);
        fraction = take_fraction(&r);
        zone = take_zone(&r, has_zone);
        /* A leap second ends an hour in every zone; it is read as the second that follows. */
        if (r.bad || r.p != r.end || !is_date(year, month, day) || h > 23 || m > 59 || sec > 60 ||
            (sec == 60 && m != 59))
                return false;
        *us = (days_of((int)year, month, day) * 86400 + h * 3600 + m * 60 + sec) * 1000000 + fraction - zone;
        return true;
}
