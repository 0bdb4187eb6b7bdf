/*
 * fuzz_convert: any conversion of any value.
 *
 * Input: one byte for the type, one for the raw value's type, one for bits and decimal, then lines: unit, scale,
 * offset, mask, lowest, highest, words of none, true, false, the key and the value of a map; then the raw value's text.
 * Holds: what is accepted gives a value that is fit for a record and of the type that is asked for, twice the same.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/convert.h"
#include "agent/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 11, LINE_MAX_BYTES = 64 };
enum { UNIT, SCALE, OFFSET, MASK, LOW, HIGH, NONE, YES, NO, KEY, VALUE };

struct input {
        char line[LINES][LINE_MAX_BYTES];
        char *text;
        size_t len;
};

static void take_lines(struct input *in, const uint8_t *data, size_t size)
{
        size_t at = 0;

        for (int i = 0; i < LINES; i++) {
                size_t n = 0;

                for (; at < size && data[at] != '\n'; at++)
                        if (n < LINE_MAX_BYTES - 1 && data[at])
                                in->line[i][n++] = (char)data[at];
                in->line[i][n] = '\0';
                at += at < size;
        }
        in->len = size - at;
        in->text = malloc(in->len + 1); /* no byte more than there is, but for an empty one */
        memcpy(in->text, data + at, in->len);
}

static double number(const char *s, double otherwise)
{
        double f64;
        int64_t i64;
        bool is_i64;

        return text_number(s, strlen(s), &f64, &i64, &is_i64) && isfinite(f64) ? f64 : otherwise;
}

static struct reading raw(const struct input *in, unsigned kind)
{
        struct reading r = {.ts_us = 1, .arrival_us = 1};
        int64_t i64 = 0;

        memcpy(&i64, in->text, in->len < 8 ? in->len : 8);
        r.type = (uint16_t)(kind % 6);
        r.v.i64 = i64;
        if (r.type == READING_F64 && !isfinite(r.v.f64))
                r.v.f64 = 0;
        if (r.type == READING_BOOL)
                r.v.b = i64 & 1;
        if (r.type == READING_TEXT || r.type == READING_RAW) {
                r.v.text = in->text;
                r.len = (uint32_t)in->len;
                if (r.type == READING_TEXT && !text_is_utf8(in->text, in->len))
                        r.len = 0;
        }
        r.quality = r.type == READING_NONE ? QUALITY_BAD : kind & 8 ? QUALITY_UNCERTAIN : QUALITY_GOOD;
        return r;
}

static void check(const struct convert *c, const struct reading *r, const struct reading *before)
{
        BUG_ON(r->quality >= N_QUALITIES || quality_is_bad(r->quality) != (r->type == READING_NONE));
        BUG_ON(r->type == READING_F64 && !isfinite(r->v.f64));
        BUG_ON(r->type == READING_TEXT && !text_is_utf8(r->v.text, r->len));
        BUG_ON(r->ts_us != 1 || r->arrival_us != 1 || r->flags);
        BUG_ON(before->quality == QUALITY_UNCERTAIN && r->quality == QUALITY_GOOD);
        if (r->type == READING_NONE || r->type == READING_RAW)
                return;
        BUG_ON(c->type == CONVERT_NUMBER && r->type != READING_F64 && r->type != READING_I64);
        BUG_ON(c->type == CONVERT_INTEGER && r->type != READING_I64);
        BUG_ON(c->type == CONVERT_BOOLEAN && r->type != READING_BOOL);
        BUG_ON(c->type == CONVERT_TEXT && r->type != READING_TEXT && !c->has_mask);
        BUG_ON(c->has_range && r->type == READING_F64 && (r->v.f64 < c->low || r->v.f64 > c->high));
}

static void convert_twice(const struct convert *c, const struct reading *from)
{
        char room[2][CONVERT_ROOM];
        struct reading r[2] = {*from, *from};
        int result = convert_apply(c, &r[0], room[0]);

        BUG_ON(result != 0 && (result != CONVERT_E_UNFIT || r[0].type != READING_NONE));
        check(c, &r[0], from);
        BUG_ON(convert_apply(c, &r[1], room[1]) != result || r[0].type != r[1].type);
        if (r[0].type == READING_TEXT)
                BUG_ON(r[0].len != r[1].len || memcmp(r[0].v.text, r[1].v.text, r[0].len) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input in;
        const char *none[] = {in.line[NONE]}, *yes[] = {in.line[YES]}, *no[] = {in.line[NO]};
        const char *range[] = {in.line[LOW], in.line[HIGH]}, *key;
        struct schema_pair map[] = {{in.line[KEY], in.line[VALUE]}};
        struct convert_conf conf;
        struct convert c;
        struct err e;

        if (size < 3)
                return 0;
        take_lines(&in, data + 3, size - 3);
        conf = (struct convert_conf){.type = data[0] % 6,
                                     .decimal = data[2] & 1,
                                     .scale = number(in.line[SCALE], 1),
                                     .offset = number(in.line[OFFSET], 0),
                                     .mask = *in.line[MASK] ? in.line[MASK] : NULL,
                                     .shift = data[2] >> 2,
                                     .range = {range, *in.line[LOW] ? 2 : 0},
                                     .none = {none, *in.line[NONE] != 0},
                                     .yes = {yes, *in.line[YES] != 0},
                                     .no = {no, *in.line[NO] != 0},
                                     .map = {map, *in.line[KEY] != 0}};
        if (!text_is_utf8(in.line[VALUE], strlen(in.line[VALUE])))
                in.line[VALUE][0] = '\0';
        if (convert_init(&c, &conf, in.line[UNIT], 8u << (data[2] >> 1 & 3), &key, &e) == 0) {
                struct reading r = raw(&in, data[1]);

                convert_twice(&c, &r);
                convert_fini(&c);
        } else {
                BUG_ON(!e.text[0]);
        }
        free(in.text);
        return 0;
}
