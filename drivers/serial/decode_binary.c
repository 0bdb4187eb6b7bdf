/*
 * decode_binary: the bytes of a frame -> readings.
 *
 * Fails: a value the frame does not reach is counted as absent.
 */
#include <string.h>

#include "drivers/serial/decode_impl.h"

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
                decode_set_f64(r, c, f64);
        } else {
                memcpy(&f32, &low, sizeof(f32));
                decode_set_f64(r, c, (double)f32);
        }
}

static void set_padded(struct reading *r, const char *s, size_t len)
{
        while (len && (s[len - 1] == ' ' || s[len - 1] == '\0'))
                len--;
        decode_set_text_or_bad(r, s, len);
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
                decode_set_i64(r, c, (int64_t)(v << (64 - 8 * width)) >> (64 - 8 * width));
                break;
        default:
                if (v > INT64_MAX)
                        decode_set_scaled(r, c, (double)v);
                else
                        decode_set_i64(r, c, (int64_t)v);
        }
}

int decode_binary(const struct serial_decoder *d, const uint8_t *frame, size_t len, const struct reading *model,
                  struct serial_decoded *out)
{
        const struct serial_reading_conf *c = d->conf->readings.items;

        for (size_t i = 0; i < d->conf->readings.n; i++) {
                size_t width = width_of(&c[i]), at = (size_t)c[i].where;

                if (at > len || width > len - at)
                        out->n_absent++;
                else
                        set_binary(decode_add(out, i, model), &c[i], frame + at, width);
        }
        return out->n ? 0 : decode_malformed(out, "the frame is too short for every reading");
}
