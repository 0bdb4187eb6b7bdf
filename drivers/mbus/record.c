/*
 * record: see record.h.
 *
 * Numbers are signed; the lowest of each size means "no value".  BCD may have a
 * sign in its highest digit (F); another digit above 9 is how a meter shows a
 * fault, and no value.  Texts come last letter first.
 *
 * Fails: a record that goes on behind the end of its telegram, a data structure
 * that is encrypted or not known: the telegram is malformed, with the reason.
 */
#include "drivers/mbus/record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CI_VARIABLE = 0x72, CI_FIXED = 0x73, CI_NO_HEAD = 0x78, CI_SHORT_HEAD = 0x7a };
enum { DIF_MORE = 0x80, DIF_REAL = 5, DIF_SELECT = 8, DIF_VARIABLE = 0xd, DIF_SPECIAL = 0xf };
enum { DIF_MAKER = 0x0f, DIF_MAKER_MORE = 0x1f, DIF_FILLER = 0x2f };
enum { HEAD = 12, SHORT_HEAD = 4, FIXED = 16, DIFE_MAX = 10 };

static enum mbus_walked wrong(struct mbus_walk *w, const char *why)
{
        w->why = why;
        w->at = w->end;
        return MBUS_MALFORMED;
}

/* ---- heads ---- */

static int wrong_head(struct mbus_walk *w, const char *why)
{
        wrong(w, why);
        return -1;
}

/*
 * Access number, status, and two bytes whose middle says how it is encrypted.
 */
static int take_short_head(struct mbus_walk *w, const uint8_t *p)
{
        w->status = p[1];
        w->at += SHORT_HEAD;
        return p[3] & 0x1f ? wrong_head(w, "the data is encrypted") : 0;
}

static int begin_fixed(struct mbus_walk *w, const uint8_t *p, size_t n)
{
        if (n != FIXED)
                return wrong_head(w, "a fixed data structure of another length");
        w->is_fixed = w->has_head = true;
        w->meter = (struct mbus_secondary){.id = {p[0], p[1], p[2], p[3]},
                                           .manufacturer = 0xffff,
                                           .version = 0xff,
                                           .medium = (uint8_t)(p[6] >> 6 | (p[7] >> 6) << 2)};
        w->status = p[5];
        w->fixed[0] = p[6] & 0x3f;
        w->fixed[1] = p[7] & 0x3f;
        w->at += 8;
        return 0;
}

int mbus_walk_begin(struct mbus_walk *w, const struct mbus_frame *f, unsigned number)
{
        const uint8_t *p = f->data;

        *w = (struct mbus_walk){.at = p, .end = p + f->len, .number = number};
        switch (f->ci) {
        case CI_VARIABLE:
                if (f->len < HEAD)
                        return wrong_head(w, "its head is cut");
                w->has_head = true;
                w->meter = (struct mbus_secondary){.id = {p[0], p[1], p[2], p[3]},
                                                   .manufacturer = (uint16_t)(p[4] | p[5] << 8),
                                                   .version = p[6],
                                                   .medium = p[7]};
                w->at += HEAD - SHORT_HEAD;
                return take_short_head(w, p + 8);
        case CI_SHORT_HEAD:
                return f->len < SHORT_HEAD ? wrong_head(w, "its head is cut") : take_short_head(w, p);
        case CI_NO_HEAD:
                return 0;
        case CI_FIXED:
                return begin_fixed(w, p, f->len);
        default:
                return wrong_head(w, "a data structure that is not known");
        }
}

/* ---- data ---- */

static int64_t get_int(const uint8_t *p, size_t n)
{
        uint64_t v = 0;

        for (size_t i = 0; i < n; i++)
                v |= (uint64_t)p[i] << (8 * i);
        return (int64_t)(v << (64 - 8 * n)) >> (64 - 8 * n);
}

static void set_int(struct mbus_record *r, const uint8_t *p, size_t n)
{
        r->i64 = get_int(p, n);
        r->kind = r->i64 == (int64_t)(UINT64_MAX << (8 * n - 1)) ? MBUS_INVALID : MBUS_INTEGER;
}

static void set_bcd(struct mbus_record *r, const uint8_t *p, size_t n, bool may_have_sign)
{
        bool minus = false;
        int64_t v = 0;

        r->kind = n ? MBUS_INTEGER : MBUS_NOTHING;
        for (size_t i = 2 * n; i-- > 0;) {
                unsigned digit = p[i / 2] >> (i & 1 ? 4 : 0) & 15;

                if (digit == 15 && i == 2 * n - 1 && may_have_sign)
                        minus = true;
                else if (digit > 9)
                        r->kind = MBUS_INVALID;
                else
                        v = 10 * v + digit;
        }
        r->i64 = minus ? -v : v;
}

static void set_real(struct mbus_record *r, const uint8_t *p)
{
        uint32_t bits = (uint32_t)get_int(p, 4);
        float f32;

        memcpy(&f32, &bits, sizeof(f32));
        r->f64 = (double)f32;
        r->kind = isfinite(r->f64) ? MBUS_REAL : MBUS_INVALID;
}

static void set_text(struct mbus_record *r, const uint8_t *p, size_t n)
{
        r->kind = n ? MBUS_TEXT : MBUS_NOTHING;
        r->len = n < MBUS_TEXT_MAX ? n : MBUS_TEXT_MAX;
        for (size_t i = 0; i < r->len; i++)
                r->text[i] = (char)p[n - 1 - i];
}

/* How many bytes the data has whose length comes first; -1: reserved. */
static int variable_len(uint8_t lvar)
{
        return lvar < 0xc0                                      ? lvar
               : lvar <= 0xc9 || (lvar >= 0xd0 && lvar <= 0xd9) ? lvar & 15
               : lvar >= 0xe0 && lvar <= 0xef                   ? lvar - 0xe0
               : lvar >= 0xf0 && lvar <= 0xf4                   ? 4 * (lvar - 0xec)
               : lvar == 0xf5                                   ? 48
               : lvar == 0xf6                                   ? 64
                                                                : -1;
}

static void set_variable(struct mbus_record *r, uint8_t lvar, const uint8_t *p, size_t n)
{
        if (lvar < 0xc0) {
                set_text(r, p, n);
        } else if (lvar < 0xe0) {
                set_bcd(r, p, n, false);
                r->i64 = lvar >= 0xd0 ? -r->i64 : r->i64;
        } else if (n >= 1 && n <= 8) {
                set_int(r, p, n);
        } else {
                r->kind = MBUS_NOTHING; /* a number no reading can hold */
        }
}

static size_t width_of(unsigned field)
{
        static const uint8_t widths[16] = {0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 0, 6, 0};

        return widths[field];
}

static void set_time(struct mbus_record *r, const uint8_t *p, size_t n)
{
        r->len = mbus_put_time(r->text, p, n);
        r->kind = r->len ? MBUS_TEXT : MBUS_INVALID;
}

static enum mbus_walked take_data(struct mbus_walk *w, struct mbus_record *r, unsigned field, bool is_time)
{
        size_t n = width_of(field), have = (size_t)(w->end - w->at);
        const uint8_t *p = w->at;

        if (field == DIF_VARIABLE) {
                int len = have ? variable_len(p[0]) : -1;

                if (len < 0)
                        return wrong(w, "data of a length that is reserved");
                if (have - 1 < (size_t)len)
                        return wrong(w, "a record is cut");
                set_variable(r, p[0], p + 1, (size_t)len);
                w->at += 1 + len;
                return MBUS_RECORD;
        }
        if (have < n)
                return wrong(w, "a record is cut");
        w->at += n;
        if (n == 0)
                r->kind = MBUS_NOTHING;
        else if (is_time && field < DIF_SELECT && (n == 2 || n == 3 || n == 4 || n == 6))
                set_time(r, p, n);
        else if (field == DIF_REAL)
                set_real(r, p);
        else if (field < DIF_SELECT)
                set_int(r, p, n);
        else
                set_bcd(r, p, n, true);
        return MBUS_RECORD;
}

/* ---- records ---- */

static enum mbus_walked next_fixed(struct mbus_walk *w, struct mbus_record *r)
{
        unsigned which = w->number & 1 ? 1 : 0, code = w->fixed[which];

        if (w->at == w->end)
                return MBUS_END;
        r->number = w->number++;
        if (code == 0x3e) { /* the same as the first, of a day that is fixed */
                code = w->fixed[0];
                r->storage = 1;
        }
        mbus_fixed_unit(code, r);
        if (w->status & 1)
                set_int(r, w->at, 4);
        else
                set_bcd(r, w->at, 4, true);
        w->at += 4;
        return MBUS_RECORD;
}

/* False: it goes on behind the end. */
static bool take_dif(struct mbus_walk *w, struct mbus_record *r, uint8_t dif)
{
        r->function = dif >> 4 & 3;
        r->storage = dif >> 6 & 1;
        for (unsigned i = 0; dif & DIF_MORE; i++) {
                if (w->at == w->end || i == DIFE_MAX)
                        return false;
                dif = *w->at++;
                r->storage |= (uint64_t)(dif & 15) << (4 * i + 1);
                r->tariff |= i < 10 ? (unsigned)(dif >> 4 & 3) << (2 * i) : 0;
                r->subunit |= (unsigned)(dif >> 6 & 1) << i;
        }
        return true;
}

enum mbus_walked mbus_walk_next(struct mbus_walk *w, struct mbus_record *out)
{
        uint8_t dif;
        bool is_time;
        size_t n;

        *out = (struct mbus_record){.unit = "", .factor = 1};
        if (w->is_fixed)
                return next_fixed(w, out);
        while (w->at < w->end && *w->at == DIF_FILLER)
                w->at++;
        if (w->at == w->end)
                return MBUS_END;
        dif = *w->at++;
        if (dif == DIF_MAKER || dif == DIF_MAKER_MORE) {
                w->at = w->end;
                return dif == DIF_MAKER ? MBUS_END : MBUS_END_OF_PART;
        }
        if ((dif & 15) == DIF_SPECIAL || (dif & 15) == DIF_SELECT)
                return wrong(w, "a record of a kind that is not known");
        out->number = w->number++;
        if (!take_dif(w, out, dif))
                return wrong(w, "a record is cut");
        n = mbus_vif(w->at, (size_t)(w->end - w->at), out, &is_time);
        if (n == 0)
                return wrong(w, "a record is cut");
        w->at += n;
        if (take_data(w, out, dif & 15, is_time) == MBUS_MALFORMED)
                return MBUS_MALFORMED;
        if (out->faulty)
                out->kind = MBUS_INVALID;
        return MBUS_RECORD;
}

/* ---- times ---- */

static int year_of(unsigned low, unsigned high, unsigned hundreds)
{
        int year = (int)(low >> 5 | (high & 0xf0) >> 1);

        return year > 99 ? -1 : hundreds || year > 80 ? 1900 + 100 * (int)hundreds + year : 2000 + year;
}

/* Two bytes of a date. */
static size_t put_date(char out[MBUS_TEXT_MAX], const uint8_t *p, unsigned hundreds)
{
        int year = year_of(p[0], p[1], hundreds), month = p[1] & 15, day = p[0] & 31;

        if (year < 0 || month < 1 || month > 12 || day < 1)
                return 0;
        return (size_t)snprintf(out, MBUS_TEXT_MAX, "%04d-%02d-%02d", year, month, day);
}

static size_t put_clock(char *out, size_t cap, unsigned hour, unsigned minute, int second)
{
        if (hour > 23 || minute > 59 || second > 59)
                return 0;
        if (second < 0)
                return (size_t)snprintf(out, cap, "%02u:%02u", hour, minute);
        return (size_t)snprintf(out, cap, "%02u:%02u:%02d", hour, minute, second);
}

size_t mbus_put_time(char out[MBUS_TEXT_MAX], const uint8_t *p, size_t n)
{
        size_t len, more;

        if (n == 2)
                return put_date(out, p, 0);
        if (n == 3)
                return put_clock(out, MBUS_TEXT_MAX, p[2] & 31, p[1] & 63, p[0] & 63);
        if (n == 4 ? p[0] & 0x80 : p[1] & 0x80) /* "invalid" */
                return 0;
        len = n == 4 ? put_date(out, p + 2, p[1] >> 5 & 3) : put_date(out, p + 3, 0);
        if (len == 0)
                return 0;
        out[len++] = 'T';
        more = n == 4 ? put_clock(out + len, MBUS_TEXT_MAX - len, p[1] & 31, p[0] & 63, -1)
                      : put_clock(out + len, MBUS_TEXT_MAX - len, p[2] & 31, p[1] & 63, p[0] & 63);
        return more ? len + more : 0;
}
