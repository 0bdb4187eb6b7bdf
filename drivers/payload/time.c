/*
 * time: see time.h.
 *
 * What a payload says is believed when it has a zone (its own, or the
 * configured one), is not before 2020 and at most a minute ahead of us; else
 * the arrival stands and the reading is uncertain.
 *
 * A local time that the clock showed twice, or never, is the one of the two
 * that is nearest before the arrival, or what a clock that was not set forward
 * would mean; the reading has it, and is uncertain.
 *
 * Cannot fail but at start, with a sentence.
 */
#include "drivers/payload/time.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "agent/base/text.h"
#include "drivers/source_time.h"

enum { PATTERN_MAX = 64, TEXT_MAX = 96 };

int payload_time_init(struct payload_time *t, int format, const char *pattern, const char *zone, const char **key,
                      struct err *e)
{
        *t = (struct payload_time){.format = pattern ? PAYLOAD_PATTERN : format, .pattern = pattern};
        *key = "time_pattern";
        if (pattern && strlen(pattern) >= PATTERN_MAX)
                return err_set(e, "longer than %d characters", PATTERN_MAX - 1);
        if (pattern && strstr(pattern, "%s"))
                return err_set(e, "not with %%s: seconds since 1970 are time_format unix_s");
        if (pattern && !strstr(pattern, "%Y") && !strstr(pattern, "%y") && !strstr(pattern, "%F") &&
            !strstr(pattern, "%D"))
                return err_set(e, "a pattern of strptime with a year (%%Y or %%y), like \"%%d.%%m.%%Y %%H:%%M:%%S\"");
        t->pattern_has_zone = pattern && strstr(pattern, "%z");
        *key = "time_zone";
        if (!zone)
                return 0;
        if (format != PAYLOAD_ISO8601 && !pattern)
                return err_set(e, "seconds since 1970 have no time zone");
        t->has_zone = true;
        return payload_zone_init(&t->zone, zone, e);
}

void payload_time_fini(struct payload_time *t)
{
        payload_zone_fini(&t->zone);
}

/* ---- numbers ---- */

static bool scale(double v, double per_unit, int64_t *us)
{
        if (!(fabs(v * per_unit) < 9e18))
                return false;
        *us = (int64_t)llround(v * per_unit);
        return true;
}

static bool number_of(const struct json_value *v, double *f64, int64_t *i64, bool *is_i64)
{
        *is_i64 = v->type == SCAN_I64;
        if (v->type == SCAN_I64)
                *i64 = v->i64;
        else if (v->type == SCAN_F64)
                *f64 = v->f64;
        else
                return (v->type == SCAN_NUMBER || v->type == SCAN_TEXT) && text_number(v->at, v->len, f64, i64, is_i64);
        return true;
}

static bool unix_time(const struct json_value *v, int format, int64_t *us)
{
        static const int64_t per_unit[] = {[PAYLOAD_UNIX_S] = 1000000, [PAYLOAD_UNIX_MS] = 1000, [PAYLOAD_UNIX_US] = 1};
        int64_t i64;
        double f64;
        bool is_i64;

        if (!number_of(v, &f64, &i64, &is_i64))
                return false;
        if (format == PAYLOAD_UNIX_NS && is_i64)
                *us = i64 / 1000;
        else if (format == PAYLOAD_UNIX_NS)
                return scale(f64, 1e-3, us);
        else if (is_i64)
                return !__builtin_mul_overflow(i64, per_unit[format], us);
        else
                return scale(f64, (double)per_unit[format], us);
        return true;
}

/* ---- patterns ---- */

/*
 * Where %f stands the digits are taken out first: what is behind them (PM) says
 * something of what is before, so that all of it is read at once.
 */
static bool parse(const char *s, const char *pattern, struct tm *tm, int64_t *fraction_us)
{
        const char *f = strstr(pattern, "%f"), *at;
        char text[TEXT_MAX], how[PATTERN_MAX] = "", *to;
        struct tm before = *tm;

        if (f) {
                memcpy(how, pattern, (size_t)(f - pattern));
                at = strptime(s, how, &before);
                if (!at)
                        return false;
                to = mempcpy(text, s, (size_t)(at - s));
                for (int64_t unit = 100000; *at >= '0' && *at <= '9'; at++, unit /= 10)
                        *fraction_us += (*at - '0') * unit;
                strcpy(to, at);
                strcpy(how + (f - pattern), f + 2);
        }
        s = strptime(f ? text : s, f ? how : pattern, tm);
        return s && !*s;
}

static bool pattern_time(const struct payload_time *t, const char *text, size_t len, int64_t *us, bool *has_zone)
{
        struct tm tm = {0}, back;
        char s[TEXT_MAX];
        int64_t fraction = 0;
        long offset;
        time_t at;

        if (len >= sizeof(s))
                return false;
        memcpy(s, text, len);
        s[len] = '\0';
        if (!parse(s, t->pattern, &tm, &fraction))
                return false;
        offset = tm.tm_gmtoff;
        back = tm;
        at = timegm(&back);
        if (back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon) /* 30 February */
                return false;
        *has_zone = t->pattern_has_zone;
        *us = ((int64_t)at - (*has_zone ? offset : 0)) * 1000000 + fraction;
        return true;
}

/* ---- what the reading gets ---- */

static int64_t floor_second(int64_t us)
{
        return us / 1000000 - (us % 1000000 < 0);
}

/* True: it is that time, or (doubtful) the likeliest of those it may be. */
static bool with_zone(const struct payload_time *t, int64_t local_us, int64_t now_us, int64_t *us, bool *doubtful)
{
        int64_t second = floor_second(local_us), utc, later;
        int r;

        if (!t->has_zone)
                return false;
        r = payload_zone_utc(&t->zone, second, &utc, &later);
        if (r == PAYLOAD_ZONE_E_TWICE && later * 1000000 <= now_us + 60000000)
                utc = later;
        *doubtful = r != 0;
        *us = local_us + (utc - second) * 1000000;
        return true;
}

static bool text_of(const struct payload_time *t, const struct json_value *v, int64_t *us, bool *has_zone)
{
        if (v->type != SCAN_TEXT && !(t->format == PAYLOAD_PATTERN && v->type == SCAN_NUMBER))
                return false;
        return t->format == PAYLOAD_PATTERN ? pattern_time(t, v->at, v->len, us, has_zone)
                                            : payload_iso8601(v->at, v->len, us, has_zone);
}

void payload_time_set(const struct payload_time *t, const struct json_value *v, struct reading *r)
{
        bool right, has_zone = true, doubtful = false;
        int64_t us = 0;

        if (!v || v->type == SCAN_ABSENT || v->type == SCAN_NULL)
                return;
        if (t->format == PAYLOAD_ISO8601 || t->format == PAYLOAD_PATTERN)
                right = text_of(t, v, &us, &has_zone);
        else
                right = unix_time(v, t->format, &us);
        if (right && !has_zone)
                has_zone = with_zone(t, us, r->arrival_us, &us, &doubtful);
        source_time_set(r, us, right && has_zone);
        if (doubtful && r->quality == QUALITY_GOOD)
                r->quality = QUALITY_UNCERTAIN;
}
