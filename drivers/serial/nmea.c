/*
 * nmea: see nmea.h.
 *
 * Receivers leave fields empty while they know nothing, write 2 to 8 decimals,
 * and send sentences longer than the 82 characters of the standard; all that is
 * taken.  What looks wrong (60 minutes of arc, the 32nd) is no value; nothing
 * is guessed.  The two digits of RMC's year are 1980 to 2079.
 */
#include "drivers/serial/nmea.h"

#include <stdio.h>
#include <string.h>

void nmea_split(struct nmea *s, const void *bytes, size_t len)
{
        const char *p = bytes, *end = p + len;

        for (s->n = 0; s->n < NMEA_FIELDS_MAX; s->n++) {
                const char *comma = memchr(p, ',', (size_t)(end - p));

                s->field[s->n] = p;
                s->len[s->n] = (size_t)((comma ? comma : end) - p);
                if (!comma) {
                        s->n++;
                        return;
                }
                p = comma + 1;
        }
}

bool nmea_is(const struct nmea *s, const char *name)
{
        size_t len = strlen(name);

        if (s->len[0] == len)
                return memcmp(s->field[0], name, len) == 0;
        return len == 3 && s->len[0] == 5 && s->field[0][0] != 'P' && memcmp(s->field[0] + 2, name, 3) == 0;
}

static bool field_is(const struct nmea *s, size_t i, char c)
{
        return i < s->n && s->len[i] == 1 && s->field[i][0] == c;
}

static bool is_digits(const char *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (p[i] < '0' || p[i] > '9')
                        return false;
        return n > 0;
}

static unsigned number(const char *p, size_t n)
{
        unsigned v = 0;

        for (size_t i = 0; i < n; i++)
                v = 10 * v + (unsigned)(p[i] - '0');
        return v;
}

/* "12345.678": digits before the point; 0: it is not of that form. */
static size_t whole_digits(const char *p, size_t len)
{
        const char *point = memchr(p, '.', len);
        size_t n = point ? (size_t)(point - p) : len;

        if (!is_digits(p, n) || (n + 1 < len && !is_digits(p + n + 1, len - n - 1)))
                return 0;
        return n;
}

bool nmea_degrees(const struct nmea *s, size_t i, bool is_latitude, double *degrees)
{
        const char *hemispheres = is_latitude ? "NS" : "EW", *p;
        double minutes, most = is_latitude ? 90 : 180;
        size_t len, n;
        int64_t i64;
        bool is_i64;
        unsigned whole;

        if (i + 1 >= s->n || s->len[i + 1] != 1)
                return false;
        p = s->field[i];
        len = s->len[i];
        n = whole_digits(p, len);
        if (n < 3 || n > 5)
                return false;
        whole = number(p, n - 2);
        p += n - 2;
        len -= n - 2;
        if (*p == '0') { /* a number does not begin with 0 */
                p++;
                len--;
        }
        len -= p[len - 1] == '.';
        if (!text_number(p, len, &minutes, &i64, &is_i64) || minutes >= 60)
                return false;
        *degrees = whole + minutes / 60;
        if (*degrees > most)
                return false;
        if (field_is(s, i + 1, hemispheres[1]))
                *degrees = -*degrees;
        return field_is(s, i + 1, hemispheres[0]) || field_is(s, i + 1, hemispheres[1]);
}

/* ---- times ---- */

size_t nmea_put_clock(char out[TEXT_TIME_MAX], const struct nmea *s, size_t i)
{
        const char *p = i < s->n ? s->field[i] : "";
        size_t len = i < s->n ? s->len[i] : 0, more;

        if (len < 6 || whole_digits(p, len) != 6 || number(p, 2) > 23 || number(p + 2, 2) > 59 || number(p + 4, 2) > 60)
                return 0;
        more = len > 7 ? len - 6 : 0;
        if (more > 10)
                more = 10;
        return (size_t)snprintf(out, TEXT_TIME_MAX, "%.2s:%.2s:%.2s%.*s", p, p + 2, p + 4, (int)more, p + 6);
}

bool nmea_has_date(const struct nmea *s)
{
        return nmea_is(s, "RMC") || nmea_is(s, "ZDA");
}

/* As 2026-11-23T; 0: there is none. */
static size_t put_date(char out[TEXT_TIME_MAX], const struct nmea *s)
{
        if (nmea_is(s, "ZDA")) {
                if (s->n < 5 || s->len[2] != 2 || s->len[3] != 2 || s->len[4] != 4)
                        return 0;
                return (size_t)snprintf(out, TEXT_TIME_MAX, "%.4s-%.2s-%.2sT", s->field[4], s->field[3], s->field[2]);
        }
        if (s->n < 10 || s->len[9] != 6 || !is_digits(s->field[9], 6))
                return 0;
        return (size_t)snprintf(out, TEXT_TIME_MAX, "%s%.2s-%.2s-%.2sT", s->field[9][4] >= '8' ? "19" : "20",
                                s->field[9] + 4, s->field[9] + 2, s->field[9]);
}

bool nmea_date_time(const struct nmea *s, int64_t *us)
{
        char text[3 * TEXT_TIME_MAX];
        size_t n, n_clock;
        bool has_zone;

        n = nmea_has_date(s) ? put_date(text, s) : 0;
        n_clock = n ? nmea_put_clock(text + n, s, 1) : 0;
        if (!n_clock)
                return false;
        n += n_clock;
        text[n++] = 'Z';
        return text_time(text, n, us, &has_zone);
}
