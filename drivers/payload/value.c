/*
 * value: see value.h.
 *
 * null is a bad reading (sensor), as are NaN and the infinities; an object or
 * list where a value should be is a bad reading (config).
 *
 * Fails: a number that nothing can hold, with a sentence.
 */
#include "drivers/payload/value.h"

#include <math.h>

#include "agent/base/text.h"

#define EXACT_MAX (INT64_C(1) << 53)

void payload_set_bad(struct reading *r, enum quality quality)
{
        r->type = READING_NONE;
        r->quality = (uint16_t)quality;
}

static void set_f64(struct reading *r, double v)
{
        r->type = READING_F64;
        r->v.f64 = v;
}

void payload_set_text(struct reading *r, const char *s, size_t len)
{
        r->type = READING_TEXT;
        r->v.text = s;
        r->len = (uint32_t)len;
}

/* An integer a double can hold is a number like any other. */
static void set_i64(struct reading *r, int64_t v)
{
        if (v >= -EXACT_MAX && v <= EXACT_MAX) {
                set_f64(r, (double)v);
                return;
        }
        r->type = READING_I64;
        r->v.i64 = v;
}

const char *payload_set_numeral(struct reading *r, const char *s, size_t len)
{
        double f64;
        int64_t i64;
        bool is_i64, is_integer;

        if (!text_number(s, len, &f64, &i64, &is_i64) || !isfinite(f64))
                return "a number beyond what can be held";
        if (is_i64 && i64 != 0) {
                set_i64(r, i64);
                return NULL;
        }
        set_f64(r, f64);                  /* -0 keeps its sign */
        is_integer = fabs(f64) >= 0x1p63; /* none smaller is beyond 64 bits */
        for (size_t i = 0; i < len && is_integer; i++)
                is_integer = s[i] == '-' || (s[i] >= '0' && s[i] <= '9');
        if (is_integer && !is_i64 && f64 != 0)
                return "an integer of more than 64 bits";
        return NULL;
}

const char *payload_set_value(struct reading *r, const struct json_value *v)
{
        switch (v->type) {
        case SCAN_NUMBER:
                return payload_set_numeral(r, v->at, v->len);
        case SCAN_TRUE:
        case SCAN_FALSE:
                r->type = READING_BOOL;
                r->v.b = v->type == SCAN_TRUE;
                break;
        case SCAN_TEXT:
                payload_set_text(r, v->at, v->len);
                break;
        case SCAN_F64:
                if (isfinite(v->f64))
                        set_f64(r, v->f64);
                else
                        payload_set_bad(r, QUALITY_BAD_SENSOR);
                break;
        case SCAN_I64:
                set_i64(r, v->i64);
                break;
        case SCAN_U64:
                return "an integer of more than 64 bits";
        case SCAN_BYTES:
                payload_set_text(r, v->at, v->len);
                r->type = READING_RAW;
                break;
        case SCAN_NULL:
                payload_set_bad(r, QUALITY_BAD_SENSOR);
                break;
        default:
                payload_set_bad(r, QUALITY_BAD_CONFIG);
        }
        return NULL;
}
