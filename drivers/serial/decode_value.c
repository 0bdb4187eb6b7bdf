/*
 * decode_value: what instruments write -> the value of a reading.
 *
 * What people call a number on a display is wider than JSON's: +0012.50, "-
 * 3.1", .5, 12. and 12,5 where the comma is configured; all are brought to the
 * strict form first, and what then is none stays text, or is a bad reading when
 * a number was asked for ("OVER", "----").  A barcode is a number to nobody but
 * a parser: its reading needs type text.
 *
 * Fails: a value that can't be read is a bad reading.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drivers/serial/decode_impl.h"

#define EXACT_MAX (INT64_C(1) << 53)

void decode_set_bad(struct reading *r, enum quality quality)
{
        r->type = READING_NONE;
        r->quality = (uint16_t)quality;
}

void decode_set_scaled(struct reading *r, const struct serial_reading_conf *c, double v)
{
        v = v * c->scale + c->offset;
        if (!isfinite(v)) {
                decode_set_bad(r, QUALITY_BAD_OUT_OF_RANGE);
                return;
        }
        r->type = READING_F64;
        r->v.f64 = v;
}

void decode_set_f64(struct reading *r, const struct serial_reading_conf *c, double v)
{
        if (isfinite(v))
                decode_set_scaled(r, c, v);
        else
                decode_set_bad(r, QUALITY_BAD_SENSOR);
}

/*
 * Beyond what a double holds exactly it stays an integer, if nothing is to be
 * done with it.
 */
void decode_set_i64(struct reading *r, const struct serial_reading_conf *c, int64_t v)
{
        if ((v >= -EXACT_MAX && v <= EXACT_MAX) || c->scale != 1 || c->offset != 0) {
                decode_set_scaled(r, c, (double)v);
                return;
        }
        r->type = READING_I64;
        r->v.i64 = v;
}

void decode_set_text(struct reading *r, const char *s, size_t len)
{
        if (!text_is_utf8(s, len)) {
                decode_set_bad(r, QUALITY_BAD_SENSOR);
                return;
        }
        r->type = READING_TEXT;
        r->v.text = s;
        r->len = (uint32_t)len;
}

/* ---- numbers as instruments write them ---- */

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* In JSON's form; 0: it can't be one. */
static size_t plain_number(char out[TEXT_NAME_MAX], const char *s, size_t len, char point)
{
        const char *end = s + len;
        size_t n = 0;

        if (len == 0 || len > TEXT_NAME_MAX - 2)
                return 0;
        if (*s == '-')
                out[n++] = '-';
        if (*s == '-' || *s == '+')
                for (s++; s < end && *s == ' '; s++)
                        ;
        while (end - s > 1 && *s == '0' && is_digit(s[1]))
                s++;
        if (end - s > 1 && *s == point && is_digit(s[1]))
                out[n++] = '0';
        for (; s < end; s++) {
                bool ends = *s == point && n && is_digit(out[n - 1]) && (s + 1 == end || !is_digit(s[1]));

                if (*s == '.' && point != '.')
                        return 0;
                if (!ends)
                        out[n++] = *s == point ? '.' : *s;
        }
        return n;
}

static bool is_plain_integer(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (s[i] != '-' && !is_digit(s[i]))
                        return false;
        return true;
}

static bool set_number(struct reading *r, const struct serial_reading_conf *c, int decimal, const char *s, size_t len)
{
        char plain[TEXT_NAME_MAX];
        size_t n = plain_number(plain, s, len, decimal == SERIAL_DECIMAL_COMMA ? ',' : '.');
        double f64;
        int64_t i64;
        bool is_i64;

        if (!n || !text_number(plain, n, &f64, &i64, &is_i64))
                return false;
        if (is_i64 && f64 != 0)
                decode_set_i64(r, c, i64);
        else if (is_plain_integer(plain, n) && f64 != 0)
                return false; /* more than 64 bits: its digits would be lost */
        else
                decode_set_scaled(r, c, f64);
        return true;
}

/* A value written in characters. */
void decode_set_written(struct reading *r, const struct serial_reading_conf *c, int decimal, const char *s, size_t len)
{
        while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
                len--;
        for (; len && (*s == ' ' || *s == '\t'); s++)
                len--;
        if (!len)
                decode_set_bad(r, QUALITY_BAD_SENSOR);
        else if (c->type == SERIAL_TEXT)
                decode_set_text(r, s, len);
        else if (!set_number(r, c, decimal, s, len)) {
                if (c->type == SERIAL_NUMBER)
                        decode_set_bad(r, QUALITY_BAD_SENSOR);
                else
                        decode_set_text(r, s, len);
        }
}

void decode_set_text_or_bad(struct reading *r, const char *s, size_t len)
{
        if (len)
                decode_set_text(r, s, len);
        else
                decode_set_bad(r, QUALITY_BAD_SENSOR);
}
