/*
 * convert: see convert.h.
 *
 * Why one for all: each driver had a scale, a decimal comma or a word for bad
 * of its own, and what one knew the others did not.  Words and codes are looked
 * for one after the other, because lists of them are short.
 *
 * Fails: never; what does not fit is bad, and the caller is told.
 */
#include "agent/base/convert.h"

#include <math.h>
#include <string.h>

#include "agent/base/convert_impl.h"
#include "agent/base/text.h"

static int set_bad(struct reading *r, enum quality quality)
{
        r->type = READING_NONE;
        r->quality = (uint16_t)quality;
        r->len = 0;
        return 0;
}

static int unfit(struct reading *r)
{
        set_bad(r, QUALITY_BAD_SENSOR);
        return CONVERT_E_UNFIT;
}

static void set_uncertain(struct reading *r)
{
        if (r->quality == QUALITY_GOOD)
                r->quality = QUALITY_UNCERTAIN;
}

static void set_text(struct reading *r, const char *s, size_t len)
{
        r->type = READING_TEXT;
        r->v.text = s;
        r->len = (uint32_t)len;
}

static void set_f64(struct reading *r, double v)
{
        r->type = READING_F64;
        r->v.f64 = v;
        r->len = 0;
}

static void set_i64(struct reading *r, int64_t v)
{
        r->type = READING_I64;
        r->v.i64 = v;
        r->len = 0;
}

static int set_bool(struct reading *r, bool v)
{
        r->type = READING_BOOL;
        r->v.b = v;
        r->len = 0;
        return 0;
}

/* ---- words and codes ---- */

/* An integer below 0 is also what its bits are without a sign. */
static bool is_code(const struct convert *c, const struct convert_word *w, const struct reading *r)
{
        if (!w->is_code)
                return false;
        if (r->type == READING_BOOL)
                return w->f64_code == (double)r->v.b;
        if (r->type == READING_F64)
                return w->f64_code == r->v.f64;
        if (!w->is_i64)
                return w->f64_code == (double)r->v.i64;
        return w->code == r->v.i64 ||
               (c->bits && c->bits < 63 && r->v.i64 < 0 && w->code == r->v.i64 + (INT64_C(1) << c->bits));
}

static bool is_word(const struct convert *c, const struct convert_word *w, const struct reading *r)
{
        const char *s = r->type == READING_BOOL ? r->v.b ? "true" : "false" : r->v.text;
        size_t len = r->type == READING_BOOL ? strlen(s) : r->len;
        double f64;
        int64_t i64;
        bool is_i64;

        convert_trim(&s, &len);
        if (convert_same_word(s, len, w->text, w->len))
                return true;
        return w->is_code && convert_number(s, len, c->decimal, &f64, &i64, &is_i64) && f64 == w->f64_code;
}

static bool is_this(const struct convert *c, const struct convert_word *w, const struct reading *r)
{
        if (r->type == READING_F64 || r->type == READING_I64)
                return is_code(c, w, r);
        return is_word(c, w, r) || (r->type == READING_BOOL && is_code(c, w, r));
}

/* Of those that mean that there is no value, or of the others. */
static const struct convert_word *find_word(const struct convert *c, const struct reading *r, bool none)
{
        for (size_t i = 0; i < c->n_words; i++)
                if ((c->words[i].kind == WORD_NONE) == none && is_this(c, &c->words[i], r))
                        return &c->words[i];
        return NULL;
}

static bool is_usual(const struct reading *r, const char *const words[4])
{
        const char *s = r->v.text;
        size_t len = r->len;

        if (r->type == READING_F64)
                return r->v.f64 == (double)(*words[0] == '1');
        if (r->type == READING_I64)
                return r->v.i64 == (*words[0] == '1');
        convert_trim(&s, &len);
        for (int i = 0; i < 4; i++)
                if (convert_same_word(s, len, words[i], strlen(words[i])))
                        return true;
        return false;
}

/*
 * Neither of the configured words: a boolean, or one of the usual words of a
 * list that is not there.
 */
static int to_boolean(const struct convert *c, struct reading *r)
{
        static const char *const yes[] = {"1", "true", "on", "yes"}, *const no[] = {"0", "false", "off", "no"};

        if (r->type == READING_BOOL)
                return 0;
        if (c->usual_true && is_usual(r, yes))
                return set_bool(r, true);
        if (c->usual_false && is_usual(r, no))
                return set_bool(r, false);
        if (r->type == READING_TEXT && r->len == 0)
                return set_bad(r, QUALITY_BAD_SENSOR);
        return unfit(r);
}

/* ---- numbers ---- */

static int text_to_number(const struct convert *c, struct reading *r)
{
        bool nothing, sure = true;

        if (!convert_text(c, r->v.text, r->len, r, &nothing, &sure))
                return unfit(r);
        if (nothing)
                return set_bad(r, QUALITY_BAD_SENSOR);
        if (!sure)
                set_uncertain(r);
        return 0;
}

/* Of the one with a unit: a note in its place is kept as it came, and no rule takes it for good. */
static int hope_for_number(const struct convert *c, struct reading *r)
{
        struct reading as_number = *r;
        bool nothing, sure = true;

        if (r->len && convert_text(c, r->v.text, r->len, &as_number, &nothing, &sure)) {
                *r = as_number;
                if (nothing)
                        return set_bad(r, QUALITY_BAD_SENSOR);
        } else {
                sure = false;
        }
        if (!sure)
                set_uncertain(r);
        return 0;
}

/* False: it is no integer. */
static bool get_integer(const struct reading *r, int64_t *out)
{
        if (r->type == READING_I64)
                *out = r->v.i64;
        else if (r->type == READING_BOOL)
                *out = r->v.b;
        else if (r->type == READING_F64 && fabs(r->v.f64) < 9.2e18 && r->v.f64 == trunc(r->v.f64))
                *out = (int64_t)r->v.f64;
        else
                return false;
        return true;
}

static int take_bits(const struct convert *c, struct reading *r)
{
        int result = r->type == READING_TEXT ? text_to_number(c, r) : 0;
        bool was_f64 = r->type == READING_F64;
        uint64_t bits;
        int64_t v;

        if (result || r->type == READING_NONE)
                return result;
        if (!get_integer(r, &v))
                return unfit(r);
        bits = ((uint64_t)v & c->mask) >> c->shift;
        if (bits > INT64_MAX)
                return unfit(r);
        if (was_f64 && bits <= (uint64_t)CONVERT_EXACT_MAX)
                set_f64(r, (double)bits);
        else
                set_i64(r, (int64_t)bits);
        return 0;
}

static void scale(const struct convert *c, struct reading *r)
{
        double v;

        if (!c->scaled || (r->type != READING_F64 && r->type != READING_I64))
                return;
        v = r->type == READING_F64 ? r->v.f64 : (double)r->v.i64;
        v = (c->divisor != 0 ? v / c->divisor : v * c->scale) + c->offset;
        if (isfinite(v))
                set_f64(r, v);
        else
                set_bad(r, QUALITY_BAD_OUT_OF_RANGE);
}

static int to_number(struct reading *r)
{
        if (r->type == READING_BOOL)
                set_f64(r, r->v.b);
        return 0;
}

/* Scaled it is rounded; as it was sent it has to be one. */
static int to_integer(const struct convert *c, struct reading *r)
{
        int64_t v;

        if (r->type == READING_F64 && c->scaled)
                set_f64(r, round(r->v.f64));
        if (r->type == READING_F64 && fabs(r->v.f64) >= 9.2e18)
                return set_bad(r, QUALITY_BAD_OUT_OF_RANGE);
        if (r->type == READING_NONE)
                return 0;
        if (!get_integer(r, &v))
                return unfit(r);
        set_i64(r, v);
        return 0;
}

static int to_text(struct reading *r, char room[CONVERT_ROOM])
{
        if (r->type == READING_F64)
                set_text(r, room, text_put_double(room, r->v.f64));
        else if (r->type == READING_I64)
                set_text(r, room, text_put_i64(room, r->v.i64));
        else if (r->type == READING_BOOL)
                set_text(r, r->v.b ? "true" : "false", r->v.b ? 4 : 5);
        return 0;
}

static void check_range(const struct convert *c, struct reading *r)
{
        double v = r->type == READING_I64 ? (double)r->v.i64 : r->v.f64;

        if (c->has_range && (r->type == READING_F64 || r->type == READING_I64) && (v < c->low || v > c->high))
                set_bad(r, QUALITY_BAD_OUT_OF_RANGE);
}

/* ---- the whole ---- */

/* What the word stands for is the value. */
static int take_word(const struct convert *c, const struct convert_word *w, struct reading *r)
{
        if (w->kind != WORD_MAP)
                return set_bool(r, w->kind == WORD_TRUE);
        if (w->is_number && c->type != CONVERT_TEXT)
                set_f64(r, w->number);
        else
                set_text(r, w->to, strlen(w->to));
        return c->type == CONVERT_INTEGER ? to_integer(c, r) : 0;
}

static int by_type(const struct convert *c, struct reading *r, char room[CONVERT_ROOM])
{
        int result = c->number_meant && r->type == READING_TEXT ? text_to_number(c, r) : 0;

        if (c->number_hoped && r->type == READING_TEXT)
                result = hope_for_number(c, r);
        if (result || r->type == READING_NONE)
                return result;
        if (c->booleans)
                return to_boolean(c, r);
        if (c->type == CONVERT_TEXT)
                return to_text(r, room);
        if (c->type == CONVERT_NUMBER)
                to_number(r);
        scale(c, r);
        return c->type == CONVERT_INTEGER ? to_integer(c, r) : 0;
}

int convert_any(const struct convert *c, struct reading *r, char room[CONVERT_ROOM])
{
        const struct convert_word *w;
        int result;

        if (r->type == READING_NONE || r->type == READING_RAW)
                return 0;
        if (find_word(c, r, true))
                return set_bad(r, QUALITY_BAD_SENSOR);
        if (c->has_mask) {
                result = take_bits(c, r);
                if (result || r->type == READING_NONE)
                        return result;
        }
        w = find_word(c, r, false);
        if (w) {
                result = take_word(c, w, r);
        } else {
                if (c->has_map)
                        set_uncertain(r);
                result = by_type(c, r, room);
        }
        check_range(c, r);
        return result;
}
