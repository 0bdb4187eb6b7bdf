/*
 * decode_binary: the bytes of a frame -> readings.
 *
 * Fails: a value the frame does not reach is counted as absent.
 */
#include <string.h>

#include "drivers/serial/decode_impl.h"

size_t serial_width(const struct serial_reading_conf *c)
{
        static const uint8_t widths[] = {
                [SERIAL_INT8] = 1,  [SERIAL_UINT8] = 1,   [SERIAL_INT16] = 2,   [SERIAL_UINT16] = 2,
                [SERIAL_INT32] = 4, [SERIAL_UINT32] = 4,  [SERIAL_INT64] = 8,   [SERIAL_UINT64] = 8,
                [SERIAL_BIT] = 1,   [SERIAL_FLOAT32] = 4, [SERIAL_FLOAT64] = 8,
        };

        return c->type == SERIAL_TEXT ? (size_t)c->length : widths[c->type];
}

static double float_of(const struct serial_reading_conf *c, uint64_t bits)
{
        uint32_t low = (uint32_t)bits;
        double f64;
        float f32;

        memcpy(&f64, &bits, sizeof(f64));
        memcpy(&f32, &low, sizeof(f32));
        return c->type == SERIAL_FLOAT64 ? f64 : (double)f32;
}

static void set_number(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r,
                       uint64_t v, size_t width)
{
        const struct serial_reading_conf *c = (const struct serial_reading_conf *)d->conf->readings.items + i;

        switch (c->type) {
        case SERIAL_BIT:
                decode_set_bool(d, out, i, r, v >> c->bit & 1);
                break;
        case SERIAL_FLOAT32:
        case SERIAL_FLOAT64:
                decode_set_f64(d, out, i, r, float_of(c, v));
                break;
        case SERIAL_INT8:
        case SERIAL_INT16:
        case SERIAL_INT32:
        case SERIAL_INT64:
                decode_set_i64(d, out, i, r, (int64_t)(v << (64 - 8 * width)) >> (64 - 8 * width));
                break;
        default:
                if (v > INT64_MAX)
                        decode_set_f64(d, out, i, r, (double)v);
                else
                        decode_set_i64(d, out, i, r, (int64_t)v);
        }
}

static void set_binary(const struct serial_decoder *d, struct serial_decoded *out, size_t i, struct reading *r,
                       const uint8_t *p)
{
        const struct serial_reading_conf *c = (const struct serial_reading_conf *)d->conf->readings.items + i;
        size_t width = serial_width(c);
        uint64_t v = 0;

        if (c->type == SERIAL_TEXT) {
                decode_set_written(d, out, i, r, (const char *)p, width);
                return;
        }
        for (size_t k = 0; k < width; k++)
                v = v << 8 | p[c->order == SERIAL_LITTLE ? width - 1 - k : k];
        set_number(d, out, i, r, v, width);
}

int decode_binary(const struct serial_decoder *d, const uint8_t *frame, size_t len, const struct reading *model,
                  struct serial_decoded *out)
{
        const struct serial_reading_conf *c = d->conf->readings.items;

        for (size_t i = 0; i < d->conf->readings.n; i++) {
                size_t width = serial_width(&c[i]), at = (size_t)c[i].where;

                if (at > len || width > len - at)
                        out->n_absent++;
                else
                        set_binary(d, out, i, decode_add(out, i, model), frame + at);
        }
        return out->n ? 0 : decode_malformed(out, "the frame is too short for every reading");
}
