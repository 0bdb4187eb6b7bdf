/*
 * decode: see decode.h.
 *
 * What people call a number on a display is wider than JSON's: +0012.50, "-
 * 3.1", .5, 12. and 12,5 where the comma is configured; all are brought to the
 * strict form first, and what then is none stays text, or is a bad reading when
 * a number was asked for ("OVER", "----").  A barcode is a number to nobody but
 * a parser: its reading needs type text.
 *
 * Fails: a line that does not match is malformed, with the reason; a value that
 * can't be read is a bad reading of its own tag and harms no other; a value the
 * frame does not reach is counted as absent.
 */
#include "drivers/serial/decode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drivers/serial/loose.h"
#include "drivers/serial/nmea.h"
#include "drivers/source_time.h"

#define EXACT_MAX (INT64_C(1) << 53)

enum { LOOSE_MAX = 4096 };

/* ---- setting up ---- */

static int find_groups(struct serial_decoder *d, const char **key, struct err *e)
{
        const struct serial_reading_conf *r = d->conf->readings.items;

        *key = "readings";
        for (size_t i = 0; i < d->conf->readings.n; i++) {
                d->group[i] = serial_match_group(d->match, r[i].value ? r[i].value : r[i].tag, e);
                if (d->group[i] < 0)
                        return -1;
        }
        *key = "quality";
        if (!d->conf->quality.value)
                return 0;
        d->quality_group = serial_match_group(d->match, d->conf->quality.value, e);
        return d->quality_group < 0 ? -1 : 0;
}

static struct serial_match *make_loose(const struct serial_conf *c)
{
        char pattern[LOOSE_MAX];
        struct err e;

        if (!c->quality.value || !loose_pattern(pattern, sizeof(pattern), c->match, c->quality.value, &c->quality.bad))
                return NULL;
        return serial_match_new(pattern, &e);
}

static int make_ignored(struct serial_decoder *d, const char **key, struct err *e)
{
        const char *const *patterns = d->conf->ignore.items;

        *key = "ignore";
        if (d->conf->ignore.n > SERIAL_IGNORE_MAX)
                return err_set(e, "%zu expressions; allowed: %d", d->conf->ignore.n, SERIAL_IGNORE_MAX);
        for (; d->n_ignore < d->conf->ignore.n; d->n_ignore++) {
                d->ignore[d->n_ignore] = serial_match_new(patterns[d->n_ignore], e);
                if (!d->ignore[d->n_ignore])
                        return -1;
        }
        return 0;
}

int serial_decoder_init(struct serial_decoder *d, const struct serial_conf *conf, const char **key, struct err *e)
{
        *d = (struct serial_decoder){.conf = conf, .quality_group = -1};
        if (make_ignored(d, key, e) < 0)
                return -1;
        if (conf->frame != SERIAL_LINE)
                return 0;
        *key = "match";
        d->match = serial_match_new(conf->match, e);
        if (!d->match)
                return -1;
        d->loose = make_loose(conf);
        return find_groups(d, key, e);
}

void serial_decoder_fini(struct serial_decoder *d)
{
        serial_match_free(d->match);
        serial_match_free(d->loose);
        for (size_t i = 0; i < d->n_ignore; i++)
                serial_match_free(d->ignore[i]);
        d->match = d->loose = NULL;
        d->n_ignore = 0;
}

bool serial_decoder_ignores(struct serial_decoder *d, const uint8_t *bytes, size_t len)
{
        for (size_t i = 0; i < d->n_ignore; i++)
                if (serial_match_run(d->ignore[i], bytes, len) == SERIAL_MATCHED)
                        return true;
        return false;
}

/* ---- values ---- */

static void set_bad(struct reading *r, enum quality quality)
{
        r->type = READING_NONE;
        r->quality = (uint16_t)quality;
}

static void set_scaled(struct reading *r, const struct serial_reading_conf *c, double v)
{
        v = v * c->scale + c->offset;
        if (!isfinite(v)) {
                set_bad(r, QUALITY_BAD_OUT_OF_RANGE);
                return;
        }
        r->type = READING_F64;
        r->v.f64 = v;
}

static void set_f64(struct reading *r, const struct serial_reading_conf *c, double v)
{
        if (isfinite(v))
                set_scaled(r, c, v);
        else
                set_bad(r, QUALITY_BAD_SENSOR);
}

/*
 * Beyond what a double holds exactly it stays an integer, if nothing is to be
 * done with it.
 */
static void set_i64(struct reading *r, const struct serial_reading_conf *c, int64_t v)
{
        if ((v >= -EXACT_MAX && v <= EXACT_MAX) || c->scale != 1 || c->offset != 0) {
                set_scaled(r, c, (double)v);
                return;
        }
        r->type = READING_I64;
        r->v.i64 = v;
}

static void set_text(struct reading *r, const char *s, size_t len)
{
        if (!text_is_utf8(s, len)) {
                set_bad(r, QUALITY_BAD_SENSOR);
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
                set_i64(r, c, i64);
        else if (is_plain_integer(plain, n) && f64 != 0)
                return false; /* more than 64 bits: its digits would be lost */
        else
                set_scaled(r, c, f64);
        return true;
}

/* A value written in characters. */
static void set_written(struct reading *r, const struct serial_reading_conf *c, int decimal, const char *s, size_t len)
{
        while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
                len--;
        for (; len && (*s == ' ' || *s == '\t'); s++)
                len--;
        if (!len)
                set_bad(r, QUALITY_BAD_SENSOR);
        else if (c->type == SERIAL_TEXT)
                set_text(r, s, len);
        else if (!set_number(r, c, decimal, s, len)) {
                if (c->type == SERIAL_NUMBER)
                        set_bad(r, QUALITY_BAD_SENSOR);
                else
                        set_text(r, s, len);
        }
}

static struct reading *add(struct serial_decoded *out, size_t i, const struct reading *model)
{
        struct reading *r = &out->r[out->n];

        *r = *model;
        out->value[out->n++] = (uint8_t)i;
        return r;
}

static int malformed(struct serial_decoded *out, const char *reason)
{
        out->n = 0;
        out->reason = reason;
        return SERIAL_E_MALFORMED;
}

/* ---- lines ---- */

static bool is_in(const struct schema_list *list, const char *s, size_t len)
{
        const char *const *words = list->items;

        for (size_t i = 0; i < list->n; i++)
                if (strlen(words[i]) == len && memcmp(words[i], s, len) == 0)
                        return true;
        return false;
}

static void trim(const char **s, size_t *len)
{
        while (*len && ((*s)[*len - 1] == ' ' || (*s)[*len - 1] == '\t'))
                --*len;
        for (; *len && (**s == ' ' || **s == '\t'); ++*s)
                --*len;
}

static enum quality line_quality(const struct serial_decoder *d, const char *line)
{
        const struct serial_quality_conf *q = &d->conf->quality;
        const char *word;
        size_t at, len;
        bool is_good;

        if (d->quality_group < 0)
                return QUALITY_GOOD;
        if (!serial_match_get(d->match, d->quality_group, &at, &len))
                return QUALITY_UNCERTAIN;
        word = line + at;
        is_good = is_in(&q->good, word, len);
        if (is_in(&q->bad, word, len))
                return QUALITY_BAD_SENSOR;
        trim(&word, &len);
        return is_in(&q->bad, word, len) ? QUALITY_BAD_SENSOR : is_good ? QUALITY_GOOD : QUALITY_UNCERTAIN;
}

/* Whether a value took part in the last line that matched, beside the status. */
static bool has_values(const struct serial_decoder *d)
{
        size_t at, n;

        for (size_t i = 0; i < d->conf->readings.n; i++)
                if (d->group[i] != d->quality_group && serial_match_get(d->match, d->group[i], &at, &n))
                        return true;
        return false;
}

/* The line says that there is no value: that is so for all its tags. */
static int all_bad(const struct serial_decoder *d, struct reading *model, struct serial_decoded *out)
{
        set_bad(model, QUALITY_BAD_SENSOR);
        for (size_t i = 0; i < d->conf->readings.n; i++)
                add(out, i, model);
        return 0;
}

static int read_groups(const struct serial_decoder *d, const char *line, const struct reading *model,
                       struct serial_decoded *out)
{
        const struct serial_reading_conf *c = d->conf->readings.items;
        size_t at, n;

        for (size_t i = 0; i < d->conf->readings.n; i++) {
                struct reading *r;

                if (!serial_match_get(d->match, d->group[i], &at, &n)) {
                        out->n_absent++;
                        continue;
                }
                r = add(out, i, model);
                if (!quality_is_bad(r->quality))
                        set_written(r, &c[i], d->conf->decimal, line + at, n);
        }
        return out->n ? 0 : malformed(out, "the line matches, but none of the groups took part");
}

static int decode_line(struct serial_decoder *d, const char *line, size_t len, struct reading *model,
                       struct serial_decoded *out)
{
        switch (serial_match_run(d->match, line, len)) {
        case SERIAL_NO_MATCH:
                if (d->loose && serial_match_run(d->loose, line, len) == SERIAL_MATCHED)
                        return all_bad(d, model, out);
                return malformed(out, "the line does not match");
        case SERIAL_TOO_COSTLY:
                return malformed(out, "the expression takes too long on this line");
        case SERIAL_MATCHED:
                break;
        }
        model->quality = (uint16_t)line_quality(d, line);
        if (quality_is_bad(model->quality) && !has_values(d))
                return all_bad(d, model, out);
        return read_groups(d, line, model, out);
}

/* ---- sentences ---- */

static void set_text_or_bad(struct reading *r, const char *s, size_t len)
{
        if (len)
                set_text(r, s, len);
        else
                set_bad(r, QUALITY_BAD_SENSOR);
}

static void set_time(struct reading *r, const struct nmea *s, size_t field, char text[TEXT_TIME_MAX])
{
        int64_t us;

        if (field != 1 || !nmea_has_date(s))
                set_text_or_bad(r, text, nmea_put_clock(text, s, field));
        else
                set_text_or_bad(r, text, nmea_date_time(s, &us) ? text_put_time(text, us) : 0);
}

static void set_field(struct reading *r, const struct serial_reading_conf *c, const struct nmea *s,
                      char text[TEXT_TIME_MAX])
{
        size_t i = (size_t)c->field;
        enum nmea_trust trust = nmea_trust(s, i);
        double degrees;

        if (trust == NMEA_VOID) {
                set_bad(r, QUALITY_BAD_SENSOR);
                return;
        }
        if (trust == NMEA_DOUBTFUL)
                r->quality = QUALITY_UNCERTAIN;
        switch (c->type) {
        case SERIAL_LATITUDE:
        case SERIAL_LONGITUDE:
                if (nmea_degrees(s, i, c->type == SERIAL_LATITUDE, &degrees))
                        set_scaled(r, c, degrees);
                else
                        set_bad(r, QUALITY_BAD_SENSOR);
                break;
        case SERIAL_TIME:
                set_time(r, s, i, text);
                break;
        default:
                set_written(r, c, SERIAL_DECIMAL_POINT, s->field[i], s->len[i]);
        }
}

static int decode_sentence(const struct serial_decoder *d, const uint8_t *frame, size_t len, struct reading *model,
                           struct serial_decoded *out)
{
        const struct serial_reading_conf *c = d->conf->readings.items;
        struct nmea s;
        int64_t us;

        nmea_split(&s, frame, len);
        if (d->conf->time == SERIAL_TIME_SENTENCE && nmea_date_time(&s, &us))
                source_time_set(model, us, true);
        for (size_t i = 0; i < d->conf->readings.n; i++) {
                if (!nmea_is(&s, c[i].sentence))
                        continue;
                if ((size_t)c[i].field >= s.n)
                        out->n_absent++;
                else
                        set_field(add(out, i, model), &c[i], &s, out->text[i]);
        }
        return 0;
}

/* ---- binary ---- */

static size_t width_of(const struct serial_reading_conf *c)
{
        static const uint8_t widths[] = {
                [SERIAL_INT8] = 1,  [SERIAL_UINT8] = 1,   [SERIAL_INT16] = 2,   [SERIAL_UINT16] = 2,
                [SERIAL_INT32] = 4, [SERIAL_UINT32] = 4,  [SERIAL_INT64] = 8,   [SERIAL_UINT64] = 8,
                [SERIAL_BIT] = 1,   [SERIAL_FLOAT32] = 4, [SERIAL_FLOAT64] = 8,
        };

        return c->type == SERIAL_TEXT ? (size_t)c->length : widths[c->type];
}

static void set_float(struct reading *r, const struct serial_reading_conf *c, uint64_t bits)
{
        uint32_t low = (uint32_t)bits;
        double f64;
        float f32;

        if (c->type == SERIAL_FLOAT64) {
                memcpy(&f64, &bits, sizeof(f64));
                set_f64(r, c, f64);
        } else {
                memcpy(&f32, &low, sizeof(f32));
                set_f64(r, c, (double)f32);
        }
}

static void set_padded(struct reading *r, const char *s, size_t len)
{
        while (len && (s[len - 1] == ' ' || s[len - 1] == '\0'))
                len--;
        set_text_or_bad(r, s, len);
}

static void set_binary(struct reading *r, const struct serial_reading_conf *c, const uint8_t *p, size_t width)
{
        uint64_t v = 0;

        if (c->type == SERIAL_TEXT) {
                set_padded(r, (const char *)p, width);
                return;
        }
        for (size_t i = 0; i < width; i++)
                v = v << 8 | p[c->order == SERIAL_LITTLE ? width - 1 - i : i];
        switch (c->type) {
        case SERIAL_BIT:
                r->type = READING_BOOL;
                r->v.b = v >> c->bit & 1;
                break;
        case SERIAL_FLOAT32:
        case SERIAL_FLOAT64:
                set_float(r, c, v);
                break;
        case SERIAL_INT8:
        case SERIAL_INT16:
        case SERIAL_INT32:
        case SERIAL_INT64:
                set_i64(r, c, (int64_t)(v << (64 - 8 * width)) >> (64 - 8 * width));
                break;
        default:
                if (v > INT64_MAX)
                        set_scaled(r, c, (double)v);
                else
                        set_i64(r, c, (int64_t)v);
        }
}

static int decode_binary(const struct serial_decoder *d, const uint8_t *frame, size_t len, const struct reading *model,
                         struct serial_decoded *out)
{
        const struct serial_reading_conf *c = d->conf->readings.items;

        for (size_t i = 0; i < d->conf->readings.n; i++) {
                size_t width = width_of(&c[i]), at = (size_t)c[i].where;

                if (at > len || width > len - at)
                        out->n_absent++;
                else
                        set_binary(add(out, i, model), &c[i], frame + at, width);
        }
        return out->n ? 0 : malformed(out, "the frame is too short for every reading");
}

int serial_decode(struct serial_decoder *d, const uint8_t *frame, size_t len, int64_t now_us,
                  struct serial_decoded *out)
{
        struct reading model = {.ts_us = now_us, .arrival_us = now_us};

        out->n = out->n_absent = 0;
        out->reason = NULL;
        switch ((enum serial_framing)d->conf->frame) {
        case SERIAL_LINE:
                return decode_line(d, (const char *)frame, len, &model, out);
        case SERIAL_NMEA0183:
                return decode_sentence(d, frame, len, &model, out);
        case SERIAL_BINARY:
                return decode_binary(d, frame, len, &model, out);
        }
        return 0;
}
