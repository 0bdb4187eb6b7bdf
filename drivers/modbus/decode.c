/*
 * decode: see decode.h.
 *
 * Why every order is one permutation: a value is first put into network order
 * (ABCD…) in a small buffer, whatever its length, and read from there.  Orders
 * that swap the bytes of a register (BADC, DCBA) do so for 16-bit values and
 * strings too, because it is the slave's memory that lies that way.  An
 * unscaled integer stays one, everything else is a double.
 *
 * Fails: never.  NaN and infinity are what slaves answer for a broken sensor:
 * bad/sensor.  What does not fit any more after scaling is bad/out_of_range.  A
 * string that is not UTF-8 is taken as Latin-1 and is uncertain.
 */
#include "drivers/modbus/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

unsigned modbus_type_width(enum modbus_type type, unsigned length)
{
        static const uint8_t widths[N_MODBUS_TYPES] = {
                [MODBUS_INT16] = 1, [MODBUS_UINT16] = 1, [MODBUS_INT32] = 2,   [MODBUS_UINT32] = 2,
                [MODBUS_INT64] = 4, [MODBUS_UINT64] = 4, [MODBUS_FLOAT32] = 2, [MODBUS_FLOAT64] = 4,
                [MODBUS_BOOL] = 1,  [MODBUS_BIT] = 1,
        };

        return type == MODBUS_STRING ? length : widths[type];
}

void modbus_format_scale(struct modbus_format *f, double scale, double offset)
{
        double inverse = scale != 0 ? round(1 / scale) : 0, power = 10;

        f->scale = scale;
        f->offset = offset;
        f->scaled = scale != 1 || offset != 0;
        f->divisor = 0;
        while (power < inverse)
                power *= 10;
        if (power == inverse && 1 / power == scale)
                f->divisor = power;
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

static void set_f64(const struct modbus_format *f, double v, struct reading *out)
{
        if (!isfinite(v)) {
                set_bad(out, QUALITY_BAD_SENSOR);
                return;
        }
        if (f->scaled)
                v = (f->divisor != 0 ? v / f->divisor : v * f->scale) + f->offset;
        if (!isfinite(v)) {
                set_bad(out, QUALITY_BAD_OUT_OF_RANGE);
                return;
        }
        out->type = READING_F64;
        out->v.f64 = v;
}

static void set_i64(const struct modbus_format *f, int64_t v, struct reading *out)
{
        if (f->scaled) {
                set_f64(f, (double)v, out);
                return;
        }
        out->type = READING_I64;
        out->v.i64 = v;
}

/* Beyond int64 there is no exact type: the nearest double, and uncertain. */
static void set_u64(const struct modbus_format *f, uint64_t v, struct reading *out)
{
        if (v <= INT64_MAX) {
                set_i64(f, (int64_t)v, out);
                return;
        }
        set_f64(f, (double)v, out);
        if (!f->scaled)
                out->quality = QUALITY_UNCERTAIN;
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

void modbus_decode(const struct modbus_format *f, const uint8_t *data, char *text, struct reading *out)
{
        unsigned width = modbus_type_width(f->type, 0);
        uint8_t bytes[8];
        uint64_t u = 0;
        double f64;
        float f32;

        out->quality = QUALITY_GOOD;
        out->len = 0;
        if (f->type != MODBUS_STRING) {
                to_network_order(f->order, data, width, bytes);
                u = big_endian(bytes, 2 * width);
        }
        switch ((enum modbus_type)f->type) {
        case MODBUS_INT16:
                set_i64(f, (int16_t)u, out);
                break;
        case MODBUS_INT32:
                set_i64(f, (int32_t)u, out);
                break;
        case MODBUS_INT64:
                set_i64(f, (int64_t)u, out);
                break;
        case MODBUS_UINT16:
        case MODBUS_UINT32:
        case MODBUS_UINT64:
                set_u64(f, u, out);
                break;
        case MODBUS_FLOAT32:
                memcpy(&f32, &(uint32_t){(uint32_t)u}, sizeof(f32));
                set_f64(f, (double)f32, out);
                break;
        case MODBUS_FLOAT64:
                memcpy(&f64, &u, sizeof(f64));
                set_f64(f, f64, out);
                break;
        case MODBUS_BOOL:
                set_bool(u != 0, out);
                break;
        case MODBUS_BIT:
                set_bool(u >> f->bit & 1, out);
                break;
        case MODBUS_STRING:
        case N_MODBUS_TYPES:
                set_text(f, data, text, out);
                break;
        }
}

void modbus_decode_bit(const uint8_t *bits, unsigned index, struct reading *out)
{
        out->quality = QUALITY_GOOD;
        out->len = 0;
        set_bool(bits[index / 8] >> index % 8 & 1, out);
}

/* ---- where ---- */

static const char *const table_names[N_MODBUS_TABLES] = {"coil", "discrete", "holding", "input"};

static int fault_where(const char *text, struct err *e)
{
        return err_set(
                e,
                "\"%.80s\" is not a register; allowed: coil:N, discrete:N, holding:N, input:N (N from 0 to 65535), "
                "or as manuals count from 1: 400001 or 40001 (holding), 300001 (input), 100001 (discrete), 1 (coil)",
                text);
}

/* All of `s` is one number; strtoul would take signs and spaces too. */
static bool parse_number(const char *s, bool may_be_hex, unsigned long *out)
{
        bool hex = may_be_hex && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
        const char *digits = hex ? s + 2 : s;
        size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");

        if (n == 0 || n > 6 || digits[n])
                return false;
        *out = strtoul(digits, NULL, hex ? 16 : 10);
        return true;
}

/*
 * The reference's first digit is the table when it has five or six digits;
 * shorter ones are coils.
 */
static bool parse_reference(const char *text, enum modbus_table *table, unsigned long *number)
{
        static const int8_t by_digit[10] = {
                MODBUS_COIL, MODBUS_DISCRETE, -1, MODBUS_INPUT, MODBUS_HOLDING, -1, -1, -1, -1, -1};
        size_t len = strlen(text);
        unsigned digit = len >= 5 ? (unsigned)(text[0] - '0') : 0;
        unsigned long most = len == 6 ? 65536 : 9999;

        if (!parse_number(text, false, number) || by_digit[digit] < 0)
                return false;
        *table = (enum modbus_table)by_digit[digit];
        *number -= digit * (len == 6 ? 100000ul : 10000ul) * (len >= 5);
        if (*number < 1 || *number > most)
                return false;
        --*number;
        return true;
}

int modbus_where_parse(const char *text, enum modbus_table *table, unsigned *address, struct err *e)
{
        const char *colon = strchr(text, ':');
        unsigned long number;

        if (!colon) {
                if (!parse_reference(text, table, &number))
                        return fault_where(text, e);
                *address = (unsigned)number;
                return 0;
        }
        for (unsigned t = 0; t < N_MODBUS_TABLES; t++) {
                size_t len = strlen(table_names[t]);

                if ((size_t)(colon - text) != len || strncmp(text, table_names[t], len) != 0)
                        continue;
                if (!parse_number(colon + 1, true, &number) || number > 65535)
                        return fault_where(text, e);
                *table = (enum modbus_table)t;
                *address = (unsigned)number;
                return 0;
        }
        return fault_where(text, e);
}
