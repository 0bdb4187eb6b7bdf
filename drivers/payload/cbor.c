/*
 * cbor: the tokens of CBOR (RFC 8949, section 3).
 *
 * Tags are passed over: what they say of time or size is the configuration's to
 * say.  Texts and bytes that come in pieces are refused, as no one has them in
 * one place.
 */
#include <math.h>
#include <string.h>

#include "drivers/payload/binary.h"

enum { UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, OTHER, OPEN = 31 };

static uint64_t big_endian(const unsigned char *p, size_t n)
{
        uint64_t v = 0;

        for (size_t i = 0; i < n; i++)
                v = v << 8 | p[i];
        return v;
}

static double half(uint64_t bits)
{
        int exponent = bits >> 10 & 31;
        double mantissa = (double)(bits & 1023), v;

        if (exponent == 31)
                v = mantissa != 0 ? NAN : INFINITY;
        else
                v = exponent ? ldexp(mantissa + 1024, exponent - 25) : ldexp(mantissa, -24);
        return bits & 0x8000 ? -v : v;
}

static void set_f64(struct payload_token *t, double v)
{
        t->value = (struct json_value){.type = SCAN_F64, .f64 = v};
}

static bool take_other(unsigned info, uint64_t v, struct payload_token *t)
{
        uint32_t bits = (uint32_t)v;
        double f64;
        float f32;

        t->kind = TOKEN_VALUE;
        if (info == 25) {
                set_f64(t, half(v));
        } else if (info == 26) {
                memcpy(&f32, &bits, sizeof(f32));
                set_f64(t, f32);
        } else if (info == 27) {
                memcpy(&f64, &v, sizeof(f64));
                set_f64(t, f64);
        } else if (info == 20 || info == 21) {
                t->value = (struct json_value){.type = info == 20 ? SCAN_FALSE : SCAN_TRUE};
        } else {
                t->value = (struct json_value){.type = SCAN_NULL}; /* null, undefined, and what is not known yet */
                return info != 24 || v >= 32;
        }
        return true;
}

static void take_negative(uint64_t v, struct payload_token *t)
{
        payload_token_unsigned(t, v);
        if (v <= INT64_MAX)
                t->value.i64 = -1 - (int64_t)v;
        else
                t->value = (struct json_value){.type = SCAN_NUMBER, .at = ""}; /* none that can be held */
}

/* What stands behind the first byte and its number. */
static size_t take_string(unsigned major, const unsigned char *s, size_t at, size_t len, uint64_t n,
                          struct payload_token *t)
{
        if (n > len - at)
                return 0;
        payload_token_text(t, s + at, (size_t)n);
        if (major == BYTES)
                t->value.type = SCAN_BYTES;
        return at + (size_t)n;
}

static size_t take_open(unsigned major, struct payload_token *t, const char **why)
{
        t->n = TOKEN_OPEN;
        t->kind = major == ARRAY ? TOKEN_ARRAY : major == MAP ? TOKEN_MAP : TOKEN_BREAK;
        if (major == ARRAY || major == MAP || major == OTHER)
                return 1;
        *why = major == TEXT || major == BYTES ? "a text in pieces" : "a byte that CBOR does not have";
        return 0;
}

size_t payload_cbor_token(const unsigned char *s, size_t len, struct payload_token *t, const char **why)
{
        unsigned major = s[0] >> 5, info = s[0] & 31;
        size_t more = info < 24 ? 0 : info < 28 ? (size_t)1 << (info - 24) : 0;
        uint64_t v;

        *t = (struct payload_token){.kind = TOKEN_VALUE};
        if (info == OPEN)
                return take_open(major, t, why);
        *why = info > 27 ? "a byte that CBOR does not have" : "it ends too early";
        if (info > 27 || len - 1 < more)
                return 0;
        v = more ? big_endian(s + 1, more) : info;
        t->n = v == TOKEN_OPEN ? v - 1 : v; /* more than there can be, either way */
        if (major == BYTES || major == TEXT) {
                more = take_string(major, s, 1 + more, len, v, t);
                *why = more ? NULL : *why;
                return more;
        }
        *why = NULL;
        if (major == UNSIGNED)
                payload_token_unsigned(t, v);
        else if (major == NEGATIVE)
                take_negative(v, t);
        else if (major == TAG)
                t->kind = TOKEN_TAG;
        else if (major != OTHER)
                t->kind = major == ARRAY ? TOKEN_ARRAY : TOKEN_MAP;
        else if (!take_other(info, v, t))
                *why = "a byte that CBOR does not have";
        return *why ? 0 : 1 + more;
}
