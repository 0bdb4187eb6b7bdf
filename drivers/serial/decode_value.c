/*
 * decode_value: what instruments write -> the value of a reading.
 *
 * What it means is the conversion's (agent/base/convert.h).  Here is what lines
 * have beside it: with type auto a text that is a number is one, also where
 * nothing says that a number is meant; whole numbers are given on in floating
 * point as far as it holds them exactly.  A barcode is a number to nobody but a
 * parser: its reading needs type text.
 *
 * Fails: a value that can't be read is a bad reading; one that is not what was
 * meant is named in the result.
 */
#include <math.h>

#include "drivers/serial/decode_impl.h"

#define EXACT_MAX (INT64_C(1) << 53)

void decode_set_bad(struct reading *r, enum quality quality)
{
        r->type = READING_NONE;
        r->quality = (uint16_t)quality;
}

static void convert(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r)
{
        const struct serial_reading_conf *c = d->conf->readings.items;

        if (convert_apply(&d->convert[i], r, out->text[i]) == CONVERT_E_UNFIT)
                out->unfit = c[i].tag;
        if (r->type == READING_I64 && r->v.i64 >= -EXACT_MAX && r->v.i64 <= EXACT_MAX && c[i].type != SERIAL_INTEGER) {
                r->type = READING_F64;
                r->v.f64 = (double)r->v.i64;
        }
}

void decode_set_f64(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r, double v)
{
        if (!isfinite(v)) {
                decode_set_bad(r, QUALITY_BAD_SENSOR);
                return;
        }
        r->type = READING_F64;
        r->v.f64 = v;
        convert(d, out, i, r);
}

void decode_set_i64(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r, int64_t v)
{
        r->type = READING_I64;
        r->v.i64 = v;
        convert(d, out, i, r);
}

void decode_set_bool(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r, bool v)
{
        r->type = READING_BOOL;
        r->v.b = v;
        convert(d, out, i, r);
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\0';
}

void decode_set_text_or_bad(struct reading *r, const char *s, size_t len)
{
        if (!len || !text_is_utf8(s, len)) {
                decode_set_bad(r, QUALITY_BAD_SENSOR);
                return;
        }
        r->type = READING_TEXT;
        r->v.text = s;
        r->len = (uint32_t)len;
}

/* With type auto, and nothing that says that a number is meant. */
static bool is_number(const struct serial_decoder *d, size_t i, const struct reading *r, double *f64, int64_t *i64,
                      bool *is_i64)
{
        const struct serial_reading_conf *c = d->conf->readings.items;

        return c[i].type == SERIAL_AUTO && !d->convert[i].number_meant && r->type == READING_TEXT &&
               convert_number(r->v.text, r->len, d->decimal, f64, i64, is_i64);
}

void decode_set_written(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r,
                        const char *s, size_t len)
{
        double f64;
        int64_t i64;
        bool is_i64;

        while (len && is_blank(s[len - 1]))
                len--;
        for (; len && is_blank(*s); s++)
                len--;
        decode_set_text_or_bad(r, s, len);
        if (!is_number(d, i, r, &f64, &i64, &is_i64)) {
                convert(d, out, i, r);
                return;
        }
        r->len = 0;
        if (is_i64)
                decode_set_i64(d, out, i, r, i64);
        else
                decode_set_f64(d, out, i, r, f64 + 0.0); /* a display's -0 is 0 */
}
