/*
 * decode: see decode.h.
 *
 * Why every order is one permutation: a value is first put into network order
 * (ABCD…) in a small buffer, whatever its length, and read from there.  Orders
 * that swap the bytes of a register (BADC, DCBA) do so for 16-bit values and
 * strings too, because it is the slave's memory that lies that way.  What comes
 * out is what lies there; agent/base/convert.h makes of it what is meant.
 *
 * Fails: never.  NaN and infinity are what slaves answer for a broken sensor,
 * and so is a digit that is none or a day that is not in the calendar:
 * bad/sensor.  A string that is not UTF-8 is taken as Latin-1 and is uncertain.
 */
#include "drivers/modbus/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/modbus/moment.h"

enum { IEC_INVALID = 0x80 }; /* beside the minutes */

static const struct {
        uint8_t registers, bits; /* bits of a whole number */
} shapes[N_MODBUS_TYPES] = {
        [MODBUS_INT16] = {1, 16}, [MODBUS_UINT16] = {1, 16}, [MODBUS_INT32] = {2, 32}, [MODBUS_UINT32] = {2, 32},
        [MODBUS_INT64] = {4, 64}, [MODBUS_UINT64] = {4, 64}, [MODBUS_FLOAT32] = {2},   [MODBUS_FLOAT64] = {4},
        [MODBUS_BOOL] = {1},      [MODBUS_BIT] = {1},        [MODBUS_INT8] = {1, 8},   [MODBUS_UINT8] = {1, 8},
        [MODBUS_INT48] = {3, 48}, [MODBUS_UINT48] = {3, 48}, [MODBUS_BCD16] = {1},     [MODBUS_BCD32] = {2},
        [MODBUS_BCD64] = {4},     [MODBUS_UNIX32] = {2},     [MODBUS_UNIX64] = {4},    [MODBUS_DATETIME3] = {3},
        [MODBUS_DATETIME4] = {4}, [MODBUS_DATETIME6] = {6},
};

unsigned modbus_type_width(enum modbus_type type, unsigned length)
{
        return type == MODBUS_STRING ? length : shapes[type].registers;
}

unsigned modbus_type_bits(enum modbus_type type)
{
        return shapes[type].bits;
}

static void to_network_order(enum modbus_order order, const uint8_t *data, unsigned n_registers, uint8_t *out)
{
        bool words = order == MODBUS_CDAB || order == MODBUS_DCBA, bytes = order == MODBUS_BADC || order == MODBUS_DCBA;

        for (unsigned i = 0; i < n_registers; i++) {
                const uint8_t *from = data + 2 * (words ? n_registers - 1 - i : i);

                out[2 * i] = from[bytes];
                out[2 * i + 1] = from[!bytes];
        }
}

static uint64_t big_endian(const uint8_t *p, unsigned n_bytes)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < n_bytes; i++)
                v = v << 8 | p[i];
        return v;
}

static void set_bad(struct reading *out, enum quality quality)
{
        out->type = READING_NONE;
        out->quality = (uint16_t)quality;
}

static void set_f64(double v, struct reading *out)
{
        if (!isfinite(v)) {
                set_bad(out, QUALITY_BAD_SENSOR);
                return;
        }
        out->type = READING_F64;
        out->v.f64 = v;
}

static void set_i64(int64_t v, struct reading *out)
{
        out->type = READING_I64;
        out->v.i64 = v;
}

/* Beyond int64 there is no exact type: the nearest double, and uncertain. */
static void set_u64(uint64_t v, struct reading *out)
{
        if (v <= INT64_MAX) {
                set_i64((int64_t)v, out);
                return;
        }
        set_f64((double)v, out);
        out->quality = QUALITY_UNCERTAIN;
}

/* What is no digit is what devices write for nothing. */
static void set_bcd(uint64_t u, struct reading *out)
{
        int64_t v = 0;

        for (int shift = 60; shift >= 0; shift -= 4) {
                unsigned digit = u >> shift & 15;

                if (digit > 9) {
                        set_bad(out, QUALITY_BAD_SENSOR);
                        return;
                }
                v = 10 * v + digit;
        }
        set_i64(v, out);
}

static void set_bool(bool v, struct reading *out)
{
        out->type = READING_BOOL;
        out->v.b = v;
}

static size_t latin1_to_utf8(char *out, const uint8_t *s, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++) {
                if (s[i] >= 0x80)
                        out[n++] = (char)(0xc0 | s[i] >> 6);
                out[n++] = (char)(s[i] >= 0x80 ? 0x80 | (s[i] & 0x3f) : s[i]);
        }
        return n;
}

/* Ends at the first NUL; padding at the end is no part of it. */
static void set_text(const struct modbus_format *f, const uint8_t *data, char *text, struct reading *out)
{
        enum modbus_order bytes_only = f->order == MODBUS_BADC || f->order == MODBUS_DCBA ? MODBUS_BADC : MODBUS_ABCD;
        uint8_t raw[2 * MODBUS_REGISTERS_MAX];
        size_t len;

        to_network_order(bytes_only, data, f->length, raw);
        len = strnlen((const char *)raw, 2u * f->length);
        while (len > 0 && raw[len - 1] == ' ')
                len--;
        out->type = READING_TEXT;
        out->v.text = text;
        out->len = (uint32_t)len;
        if (text_is_utf8((const char *)raw, len)) {
                memcpy(text, raw, len);
                return;
        }
        out->len = (uint32_t)latin1_to_utf8(text, raw, len);
        out->quality = QUALITY_UNCERTAIN;
}

static void set_number(const struct modbus_format *f, uint64_t u, struct reading *out)
{
        unsigned byte = (unsigned)(f->high ? u >> 8 : u) & 0xff;
        double f64;
        float f32;

        switch ((enum modbus_type)f->type) {
        case MODBUS_INT8:
                set_i64((int8_t)byte, out);
                break;
        case MODBUS_UINT8:
                set_i64(byte, out);
                break;
        case MODBUS_INT16:
                set_i64((int16_t)u, out);
                break;
        case MODBUS_INT32:
                set_i64((int32_t)u, out);
                break;
        case MODBUS_INT48:
                set_i64((int64_t)(u << 16) >> 16, out);
                break;
        case MODBUS_INT64:
                set_i64((int64_t)u, out);
                break;
        case MODBUS_FLOAT32:
                memcpy(&f32, &(uint32_t){(uint32_t)u}, sizeof(f32));
                set_f64((double)f32, out);
                break;
        case MODBUS_FLOAT64:
                memcpy(&f64, &u, sizeof(f64));
                set_f64(f64, out);
                break;
        case MODBUS_BCD16:
        case MODBUS_BCD32:
        case MODBUS_BCD64:
                set_bcd(u, out);
                break;
        case MODBUS_BOOL:
                set_bool(u != 0, out);
                break;
        case MODBUS_BIT:
                set_bool(u >> f->bit & 1, out);
                break;
        default:
                set_u64(u, out);
                break;
        }
}

/*
 * The registers of a time are parts by themselves: of an order only the bytes
 * in them.
 */
static void set_moment(const struct modbus_format *f, const uint8_t *data, char *text, struct reading *out)
{
        enum modbus_order order = f->order;
        uint8_t bytes[12];
        size_t len;

        if (f->type >= MODBUS_DATETIME3)
                order = order == MODBUS_BADC || order == MODBUS_DCBA ? MODBUS_BADC : MODBUS_ABCD;
        to_network_order(order, data, modbus_type_width(f->type, 0), bytes);
        len = modbus_put_moment(text, (enum modbus_type)f->type, bytes);
        if (len == 0) {
                set_bad(out, QUALITY_BAD_SENSOR);
                return;
        }
        out->type = READING_TEXT;
        out->v.text = text;
        out->len = (uint32_t)len;
        if (f->type == MODBUS_DATETIME4 && bytes[5] & IEC_INVALID)
                out->quality = QUALITY_UNCERTAIN;
}

void modbus_decode(const struct modbus_format *f, const uint8_t *data, char *text, struct reading *out)
{
        unsigned width = modbus_type_width(f->type, 0);
        uint8_t bytes[8];

        out->quality = QUALITY_GOOD;
        out->len = 0;
        if (f->type == MODBUS_STRING) {
                set_text(f, data, text, out);
        } else if (modbus_is_text(f->type)) {
                set_moment(f, data, text, out);
        } else {
                to_network_order(f->order, data, width, bytes);
                set_number(f, big_endian(bytes, 2 * width), out);
        }
}

void modbus_decode_bit(const uint8_t *bits, unsigned index, struct reading *out)
{
        out->quality = QUALITY_GOOD;
        out->len = 0;
        set_bool(bits[index / 8] >> index % 8 & 1, out);
}
