/*
 * value: see value.h.
 *
 * Signed integers travel in unsigned fields, as two's complement.  Of what
 * width is not agreed: -1 as Int8 is sent as 0xff by some and as 0xffffffff by
 * others, and some put 32-bit numbers into the 64-bit field.  All of these are
 * read; what fits none is out of range, never cut.  Beyond int64 there is no
 * exact type: the nearest double, and uncertain.
 *
 * DateTime is a number: milliseconds since 1970.  Bytes, File and the arrays of
 * version 3 are raw bytes as they came. A metric without value is null:
 * bad/sensor, like a float that is not finite.
 *
 * Quality: the property "Quality" holds an OPC DA code or one of the larger
 * codes that are in use: 300 configuration, 301 communication, 404 not found,
 * 500 stale, and those with the severity in the highest two bits.  A metric
 * without it is good; one with a quality that is no integer is uncertain.
 */
#include "drivers/sparkplug/value.h"

#include <math.h>
#include <string.h>

#include "agent/base/text.h"

bool sparkplug_type_supported(uint32_t type)
{
        if (type == SPARKPLUG_DATASET || (type >= SPARKPLUG_TEMPLATE && type <= SPARKPLUG_PROPERTY_SET_LIST))
                return false;
        return type != SPARKPLUG_UNKNOWN && type <= SPARKPLUG_DATETIME_ARRAY;
}

const char *sparkplug_type_name(uint32_t type)
{
        switch (type) {
        case SPARKPLUG_DATASET:
                return "DataSet";
        case SPARKPLUG_TEMPLATE:
                return "Template";
        case SPARKPLUG_PROPERTY_SET:
                return "PropertySet";
        case SPARKPLUG_PROPERTY_SET_LIST:
                return "PropertySetList";
        default:
                return "unknown";
        }
}

static const char *bad(struct reading *r, enum quality quality, const char *why)
{
        r->type = READING_NONE;
        r->quality = (uint16_t)quality;
        return why;
}

static const char *other_field(struct reading *r)
{
        return bad(r, QUALITY_BAD_CONFIG, "the value is not of its datatype");
}

static const char *out_of_range(struct reading *r)
{
        return bad(r, QUALITY_BAD_OUT_OF_RANGE, "the value is beyond its datatype");
}

static const char *set_f64(struct reading *r, double v)
{
        if (!isfinite(v))
                return bad(r, QUALITY_BAD_SENSOR, NULL);
        r->type = READING_F64;
        r->v.f64 = v;
        return NULL;
}

static const char *set_i64(struct reading *r, int64_t v)
{
        r->type = READING_I64;
        r->v.i64 = v;
        return NULL;
}

static const char *set_signed(struct reading *r, uint64_t raw, unsigned wire_bits, unsigned bits)
{
        int64_t v = (int64_t)raw, half;

        if (bits == 64)
                return set_i64(r, v);
        if (wire_bits == 32)
                v = (int32_t)(uint32_t)raw;
        half = INT64_C(1) << (bits - 1);
        if (v >= -half && v < half)
                return set_i64(r, v);
        return raw >> bits ? out_of_range(r) : set_i64(r, (int64_t)raw - 2 * half);
}

static const char *set_unsigned(struct reading *r, uint64_t raw, unsigned bits)
{
        if (bits < 64 && raw >> bits)
                return out_of_range(r);
        if (raw <= INT64_MAX)
                return set_i64(r, (int64_t)raw);
        r->quality = QUALITY_UNCERTAIN;
        return set_f64(r, (double)raw);
}

static const char *set_integer(struct reading *r, const Spb__Metric *m, uint32_t type)
{
        static const uint8_t bits_of[] = {8, 16, 32, 64};
        unsigned bits = bits_of[(type - SPARKPLUG_INT8) % 4], wire_bits;
        uint64_t raw;

        if (m->value_case == SPB__METRIC__VALUE_INT_VALUE) {
                raw = m->int_value;
                wire_bits = 32;
        } else if (m->value_case == SPB__METRIC__VALUE_LONG_VALUE) {
                raw = m->long_value;
                wire_bits = 64;
        } else {
                return other_field(r);
        }
        return type >= SPARKPLUG_UINT8 ? set_unsigned(r, raw, bits) : set_signed(r, raw, wire_bits, bits);
}

static const char *set_real(struct reading *r, const Spb__Metric *m)
{
        if (m->value_case == SPB__METRIC__VALUE_FLOAT_VALUE)
                return set_f64(r, (double)m->float_value);
        if (m->value_case == SPB__METRIC__VALUE_DOUBLE_VALUE)
                return set_f64(r, m->double_value);
        return other_field(r);
}

static const char *set_bool(struct reading *r, const Spb__Metric *m)
{
        if (m->value_case != SPB__METRIC__VALUE_BOOLEAN_VALUE)
                return other_field(r);
        r->type = READING_BOOL;
        r->v.b = m->boolean_value;
        return NULL;
}

static const char *set_bytes(struct reading *r, uint16_t type, const ProtobufCBinaryData *from)
{
        r->type = type;
        r->v.text = from->len ? (const char *)from->data : "";
        r->len = (uint32_t)from->len;
        return NULL;
}

static const char *set_text(struct reading *r, const Spb__Metric *m)
{
        const ProtobufCBinaryData *s = &m->string_value;

        if (m->value_case != SPB__METRIC__VALUE_STRING_VALUE)
                return other_field(r);
        if (s->len && !text_is_utf8((const char *)s->data, s->len))
                return bad(r, QUALITY_BAD_CONFIG, "the text is not valid UTF-8 or holds a NUL");
        return set_bytes(r, READING_TEXT, s);
}

static const char *set_raw(struct reading *r, const Spb__Metric *m)
{
        if (m->value_case != SPB__METRIC__VALUE_BYTES_VALUE)
                return other_field(r);
        return set_bytes(r, READING_RAW, &m->bytes_value);
}

static const char *set_by_type(struct reading *r, const Spb__Metric *m, uint32_t type)
{
        switch (type) {
        case SPARKPLUG_FLOAT:
        case SPARKPLUG_DOUBLE:
                return set_real(r, m);
        case SPARKPLUG_BOOLEAN:
                return set_bool(r, m);
        case SPARKPLUG_STRING:
        case SPARKPLUG_TEXT:
        case SPARKPLUG_UUID:
                return set_text(r, m);
        case SPARKPLUG_DATETIME:
                return set_integer(r, m, SPARKPLUG_INT64);
        default:
                return type <= SPARKPLUG_UINT64 ? set_integer(r, m, type) : set_raw(r, m);
        }
}

static enum quality quality_of(const Spb__Metric *m)
{
        const Spb__PropertyValue *p = sparkplug_property(m, "Quality");

        if (!p || p->value_case == SPB__PROPERTY_VALUE__VALUE__NOT_SET)
                return QUALITY_GOOD;
        if (p->value_case == SPB__PROPERTY_VALUE__VALUE_INT_VALUE)
                return sparkplug_quality(p->int_value);
        if (p->value_case == SPB__PROPERTY_VALUE__VALUE_LONG_VALUE)
                return p->long_value <= UINT32_MAX ? sparkplug_quality((uint32_t)p->long_value) : QUALITY_BAD;
        return QUALITY_UNCERTAIN;
}

const char *sparkplug_value(const Spb__Metric *m, uint32_t type, struct reading *r)
{
        enum quality quality = quality_of(m);

        r->quality = (uint16_t)quality;
        if (quality_is_bad(quality))
                return bad(r, quality, NULL);
        if (m->value_case == SPB__METRIC__VALUE__NOT_SET || (m->has_is_null && m->is_null))
                return bad(r, QUALITY_BAD_SENSOR, NULL);
        if (!sparkplug_type_supported(type))
                return bad(r, QUALITY_BAD_CONFIG, "its datatype is not supported");
        return set_by_type(r, m, type);
}

const Spb__PropertyValue *sparkplug_property(const Spb__Metric *m, const char *name)
{
        const Spb__PropertySet *set = m->properties;
        size_t len = strlen(name);

        for (size_t i = 0; set && i < set->n_keys && i < set->n_values; i++)
                if (set->keys[i].len == len && memcmp(set->keys[i].data, name, len) == 0)
                        return set->values[i]->has_is_null && set->values[i]->is_null ? NULL : set->values[i];
        return NULL;
}

static enum quality opc_quality(uint32_t code)
{
        static const uint8_t bad_ones[16] = {
                [1] = QUALITY_BAD_CONFIG, [2] = QUALITY_BAD_NOT_CONNECTED, [3] = QUALITY_BAD_COMM_FAILURE,
                [4] = QUALITY_BAD_SENSOR, [5] = QUALITY_BAD_STALE,         [6] = QUALITY_BAD_COMM_FAILURE,
        };

        if ((code & 0xc0) == 0xc0)
                return QUALITY_GOOD;
        if ((code & 0xc0) == 0x40)
                return QUALITY_UNCERTAIN;
        return bad_ones[code >> 2 & 15] ? (enum quality)bad_ones[code >> 2 & 15] : QUALITY_BAD;
}

enum quality sparkplug_quality(uint32_t code)
{
        if (code <= 255)
                return opc_quality(code);
        switch (code) {
        case 300:
        case 404:
                return QUALITY_BAD_CONFIG;
        case 301:
                return QUALITY_BAD_COMM_FAILURE;
        case 500:
                return QUALITY_BAD_STALE;
        default:
                return code >> 30 == 1 ? QUALITY_UNCERTAIN : QUALITY_BAD;
        }
}
