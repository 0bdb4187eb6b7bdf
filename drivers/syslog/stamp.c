/*
 * stamp: see stamp.h.
 *
 * Seen on the wire, and read here: "Nov 21 16:53:33", with one blank or two in
 * front of the day; with a year before or behind it ("2026 Nov 21 16:53:33",
 * "Nov 21 2026 16:53:33", "Nov 21 16:53:33 2026"); with a weekday in front;
 * with .123 or ,123; with a zone behind it, by name, as UTC, or as +0900 and
 * -8:00; ISO 8601, also with a blank for its T; with Cisco's * (the clock was
 * never set) or . (it has lost its servers).
 *
 * A time is believed only when year and zone are told; that of a clock which
 * says that it is not set, never.  Names of zones mean different things in
 * different countries, so they are passed over, but for UTC.
 *
 * Fails: never; what is no time is 0 bytes long.
 */
#include "drivers/syslog/stamp.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"

enum { ISO_MAX = 40 };

struct reader {
        const char *p, *end;
};

static size_t left(const struct reader *r)
{
        return (size_t)(r->end - r->p);
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool take_one(struct reader *r, const char *any)
{
        if (!left(r) || !*r->p || !strchr(any, *r->p))
                return false;
        r->p++;
        return true;
}

static void skip_blanks(struct reader *r)
{
        while (take_one(r, " "))
                ;
}

/* All digits there are, `least` to `most` of them; -1: others. */
static int take_digits(struct reader *r, size_t least, size_t most)
{
        struct reader at = *r;
        int n = 0;

        while (left(&at) && is_digit(*at.p) && (size_t)(at.p - r->p) <= most)
                n = 10 * n + (*at.p++ - '0');
        if ((size_t)(at.p - r->p) < least || (size_t)(at.p - r->p) > most)
                return -1;
        *r = at;
        return n;
}

/* Which of the words of three letters in `all`, from 1; 0: none. */
static int take_word(struct reader *r, const char *all)
{
        for (int i = 0; all[3 * i]; i++) {
                if (left(r) < 3 || strncmp(r->p, all + 3 * i, 3) != 0)
                        continue;
                r->p += 3;
                return i + 1;
        }
        return 0;
}

struct parts {
        int year, month, day, h, m, s; /* year 0: none */
        long us;
};

/* 16:53:33, also with .123 or ,123456 */
static bool take_clock(struct reader *r, struct parts *t)
{
        long unit = 100000;

        t->h = take_digits(r, 1, 2);
        if (t->h < 0 || t->h > 23 || !take_one(r, ":") || (t->m = take_digits(r, 2, 2)) < 0 || t->m > 59 ||
            !take_one(r, ":") || (t->s = take_digits(r, 2, 2)) < 0 || t->s > 60)
                return false;
        if (left(r) > 1 && (*r->p == '.' || *r->p == ',') && is_digit(r->p[1])) {
                for (r->p++; left(r) && is_digit(*r->p); r->p++, unit /= 10)
                        t->us += unit * (*r->p - '0');
        }
        return !left(r) || strchr(" :\t+-Z", *r->p);
}

static bool is_year(int year)
{
        return year >= 1970 && year < 2200;
}

/* A year of four digits with a blank behind it, or the end. */
static bool take_year(struct reader *r, struct parts *t)
{
        struct reader at = *r;
        int year = take_digits(&at, 4, 4);

        if (!is_year(year) || (left(&at) && *at.p != ' ' && *at.p != ':'))
                return false;
        t->year = year;
        *r = at;
        return true;
}

static bool take_date(struct reader *r, struct parts *t)
{
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

        if (take_word(r, days)) {
                take_one(r, ",");
                if (!take_one(r, " "))
                        return false;
        }
        if (take_year(r, t) && !take_one(r, " "))
                return false;
        t->month = take_word(r, months);
        if (!t->month || !take_one(r, " "))
                return false;
        skip_blanks(r);
        t->day = take_digits(r, 1, 2);
        if (t->day < 1 || t->day > 31 || !take_one(r, " "))
                return false;
        skip_blanks(r);
        if (!t->year && take_year(r, t))
                skip_blanks(r);
        return true;
}

/* +0900, -08:00, -8:00, Z: in minutes. */
static bool take_offset(struct reader *r, int *minutes)
{
        struct reader at = *r;
        int sign = take_one(&at, "+") ? 1 : take_one(&at, "-") ? -1 : 0, h, m = 0;

        if (!sign)
                return false;
        h = take_digits(&at, 4, 4);
        if (h >= 0) {
                m = h % 100;
                h /= 100;
        } else {
                h = take_digits(&at, 1, 2);
                if (h >= 0 && take_one(&at, ":"))
                        m = take_digits(&at, 2, 2);
        }
        if (h < 0 || h > 14 || m < 0 || m > 59 || (left(&at) && *at.p != ' ' && *at.p != ':'))
                return false;
        *minutes = sign * (60 * h + m);
        *r = at;
        return true;
}

/* A zone by its name. UTC is one that is known. */
static bool take_zone_name(struct reader *r, bool *is_utc)
{
        static const char *const names[] = {"UTC",  "GMT",  "Z",    "BST",  "IST",  "WET",  "WEST", "CET",
                                            "CEST", "EET",  "EEST", "MSK",  "EST",  "EDT",  "CST",  "CDT",
                                            "MST",  "MDT",  "PST",  "PDT",  "AKST", "AKDT", "HST",  "JST",
                                            "KST",  "HKT",  "SGT",  "AEST", "AEDT", "ACST", "ACDT", "AWST",
                                            "NZST", "NZDT", "CCT",  "BRT",  "SAST", "GST",  "WIB",  "ICT"};
        size_t len = 0;

        while (len < left(r) && r->p[len] >= 'A' && r->p[len] <= 'Z')
                len++;
        if (len < left(r) && r->p[len] != ' ' && r->p[len] != ':')
                return false;
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                if (strlen(names[i]) != len || strncmp(names[i], r->p, len) != 0)
                        continue;
                *is_utc = i < 3;
                r->p += len;
                return true;
        }
        return false;
}

/* What is behind the clock: a year, a zone; nothing of it has to be there. */
static void take_rest(struct reader *r, struct parts *t, bool *has_zone, int *minutes)
{
        struct reader at = *r;

        *has_zone = take_offset(r, minutes);
        if (*has_zone)
                return;
        skip_blanks(&at);
        if (!t->year && take_year(&at, t)) {
                *r = at;
                skip_blanks(&at);
        }
        if (take_zone_name(&at, has_zone)) {
                *r = at;
                skip_blanks(&at);
        }
        if (take_offset(&at, minutes)) {
                *has_zone = true;
                *r = at;
        }
}

static bool take_old(struct reader *r, struct syslog_stamp *out)
{
        struct parts t = {0};
        char iso[ISO_MAX];
        int minutes = 0, n;
        bool has_zone;

        if (!take_date(r, &t) || !take_clock(r, &t))
                return false;
        take_rest(r, &t, &has_zone, &minutes);
        if (!t.year || !has_zone)
                return true;
        n = snprintf(iso, sizeof(iso), "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", t.year, t.month, t.day, t.h, t.m, t.s,
                     t.us);
        out->has_zone = text_time(iso, (size_t)n, &out->time_us, &has_zone);
        out->time_us -= out->has_zone ? (int64_t)minutes * 60000000 : 0;
        return true;
}

/* One word, or date and clock with a blank between them. */
static bool take_iso(struct reader *r, struct syslog_stamp *out)
{
        char iso[ISO_MAX];
        size_t len = 0, blanks = 0;
        struct parts t = {.year = 1};
        bool has_zone;
        int minutes = 0;
        int64_t us;

        while (len < left(r) && len < sizeof(iso)) {
                if (r->p[len] == ' ' && (blanks++ || len != 10))
                        break;
                iso[len] = r->p[len] == ',' ? '.' : r->p[len];
                len++;
        }
        while (len && iso[len - 1] == ':')
                len--;
        if (len < 19 || len == sizeof(iso) || !text_time(iso, len, &us, &has_zone))
                return false;
        r->p += len;
        if (!has_zone)
                take_rest(r, &t, &has_zone, &minutes);
        out->has_zone = has_zone;
        out->time_us = has_zone ? us - (int64_t)minutes * 60000000 : 0;
        return true;
}

size_t syslog_stamp_take(const char *p, size_t len, struct syslog_stamp *out)
{
        struct reader r = {p, p + len}, at;
        bool is_off = take_one(&r, "*.");

        *out = (struct syslog_stamp){0};
        at = r;
        if (!take_iso(&at, out)) {
                at = r;
                if (!take_old(&at, out))
                        return 0;
        }
        if (is_off)
                *out = (struct syslog_stamp){0};
        return (size_t)(at.p - p);
}
