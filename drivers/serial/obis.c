/*
 * obis: see obis.h.
 *
 * A value may stand in the line behind its address (the gas meters of DSMR 2
 * and 3), and an address may have many values, the first of which is a time.
 * What a value holds is not looked at here.
 *
 * Fails: a parenthesis that is not closed in its line, an address without a
 * value, a value without an address: the text is wrong as a whole.
 */
#include "drivers/serial/obis.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"

void obis_begin(struct obis *o, const char *text, size_t len)
{
        *o = (struct obis){.at = text, .end = text + len};
}

static bool is_blank(char c)
{
        return c == '\r' || c == '\n' || c == ' ' || c == '\t';
}

static void split_unit(struct obis *o)
{
        const char *star = memrchr(o->value, '*', o->len);

        o->unit = star ? star + 1 : "";
        o->unit_len = star ? (size_t)(o->value + o->len - o->unit) : 0;
        if (star)
                o->len = (size_t)(star - o->value);
}

/* `at` is an address: up to its parenthesis. */
static bool take_id(struct obis *o)
{
        const char *s = o->at;

        while (s < o->end && *s != '(' && *s != ')' && !is_blank(*s))
                s++;
        o->id = o->at;
        o->id_len = (size_t)(s - o->at);
        o->number = 0;
        o->at = s;
        return s < o->end && *s == '(';
}

enum obis_next obis_next(struct obis *o)
{
        const char *s;

        while (o->at < o->end && is_blank(*o->at))
                o->at++;
        if (o->at == o->end)
                return OBIS_END;
        if (*o->at != '(' && !take_id(o))
                return OBIS_WRONG;
        if (!o->id)
                return OBIS_WRONG;
        for (s = o->at + 1; s < o->end && *s != ')' && *s != '(' && *s != '\r' && *s != '\n'; s++)
                ;
        if (s == o->end || *s != ')')
                return OBIS_WRONG;
        o->value = o->at + 1;
        o->len = (size_t)(s - o->value);
        o->number++;
        o->at = s + 1;
        split_unit(o);
        return OBIS_VALUE;
}

bool obis_is(const struct obis *o, const char *id)
{
        static const char now[] = "*255";
        size_t len = strlen(id);

        if (o->id_len == len + sizeof(now) - 1 && memcmp(o->id + len, now, sizeof(now) - 1) != 0)
                return false;
        return (o->id_len == len || o->id_len == len + sizeof(now) - 1) && memcmp(o->id, id, len) == 0;
}

/* ---- times ---- */

enum { DIGITS = 12, HOUR_S = 3600 };

bool obis_time(const char *s, size_t len, int64_t winter_us, int64_t *us)
{
        char text[TEXT_TIME_MAX];
        bool has_zone;
        int n;

        if (len != DIGITS + 1 || (s[DIGITS] != 'W' && s[DIGITS] != 'S'))
                return false;
        n = snprintf(text, sizeof(text), "20%.2s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s, s + 2, s + 4, s + 6, s + 8, s + 10);
        if (!text_time(text, (size_t)n, us, &has_zone))
                return false;
        *us -= winter_us + (s[DIGITS] == 'S' ? HOUR_S * INT64_C(1000000) : 0);
        return true;
}

bool obis_zone(const char *s, int64_t *us)
{
        char text[TEXT_TIME_MAX];
        int64_t utc_us;
        bool has_zone;
        int n = snprintf(text, sizeof(text), "2000-01-01T00:00:00%.8s", s);

        if (!text_time(text, (size_t)n, &utc_us, &has_zone) || !has_zone)
                return false;
        *us = INT64_C(946684800000000) - utc_us;
        return true;
}
