/*
 * cbor: the tokens of CBOR (RFC 8949, section 3), by libcbor.
 *
 * Its decoder for streams tells of one item at a time, by a callback, and
 * allocates nothing; cbor_load of the same library is not for us, as it
 * allocates what a message says it holds.  Three things are not left to it, all
 * because of versions that Debian 12 (0.8) and 13 (0.10) have:
 *  - lengths of 2^32 and more: with a size_t of 32 bits they lose their upper half before they are held against what
 *    is there, so that a read goes behind the end (GHSA-frh9-3gqx-pqg2);
 *  - tags 6 to 20 are refused, which are in use by now;
 *  - simple values without a meaning are refused; they are no value, as null.
 *
 * Tags are passed over: what they say of time or size is the configuration's to
 * say.  Texts and bytes that come in pieces are refused, as no one has them in
 * one place.
 */
#include <cbor.h>
#include <string.h>

#include "drivers/payload/binary.h"

#if CBOR_MAJOR_VERSION == 0 && CBOR_MINOR_VERSION < 9
#define LENGTH size_t
#else
#define LENGTH uint64_t
#endif

enum { BYTES = 2, TEXT, ARRAY, MAP, TAG, OTHER, WIDE = 27 };

struct item {
        struct payload_token *t;
        const char *why;
};

static void set(void *ctx, enum scan_type type)
{
        struct item *i = ctx;

        i->t->value = (struct json_value){.type = type};
}

static void on_unsigned(void *ctx, uint64_t v)
{
        struct item *i = ctx;

        payload_token_unsigned(i->t, v);
}

static void on_u8(void *ctx, uint8_t v)
{
        on_unsigned(ctx, v);
}

static void on_u16(void *ctx, uint16_t v)
{
        on_unsigned(ctx, v);
}

static void on_u32(void *ctx, uint32_t v)
{
        on_unsigned(ctx, v);
}

/* -1 - v is meant. */
static void on_negative(void *ctx, uint64_t v)
{
        struct item *i = ctx;

        payload_token_unsigned(i->t, v);
        if (v <= INT64_MAX)
                i->t->value.i64 = -1 - (int64_t)v;
        else
                i->t->value = (struct json_value){.type = SCAN_NUMBER, .at = ""}; /* none that can be held */
}

static void on_n8(void *ctx, uint8_t v)
{
        on_negative(ctx, v);
}

static void on_n16(void *ctx, uint16_t v)
{
        on_negative(ctx, v);
}

static void on_n32(void *ctx, uint32_t v)
{
        on_negative(ctx, v);
}

static void on_double(void *ctx, double v)
{
        struct item *i = ctx;

        i->t->value = (struct json_value){.type = SCAN_F64, .f64 = v};
}

static void on_float(void *ctx, float v)
{
        on_double(ctx, v);
}

static void on_bool(void *ctx, bool v)
{
        set(ctx, v ? SCAN_TRUE : SCAN_FALSE);
}

static void on_nothing(void *ctx)
{
        set(ctx, SCAN_NULL);
}

static void on_text(void *ctx, cbor_data s, LENGTH len)
{
        struct item *i = ctx;

        payload_token_text(i->t, s, (size_t)len);
}

static void on_bytes(void *ctx, cbor_data s, LENGTH len)
{
        struct item *i = ctx;

        i->t->value = (struct json_value){.type = SCAN_BYTES, .at = (const char *)s, .len = (uint32_t)len};
}

static void on_pieces(void *ctx)
{
        struct item *i = ctx;

        i->why = "a text in pieces";
}

static void container(void *ctx, enum payload_token_kind kind, uint64_t n)
{
        struct item *i = ctx;

        i->t->kind = kind;
        i->t->n = n;
}

static void on_array(void *ctx, LENGTH n)
{
        container(ctx, TOKEN_ARRAY, n);
}

static void on_map(void *ctx, LENGTH n)
{
        container(ctx, TOKEN_MAP, n);
}

static void on_open_array(void *ctx)
{
        container(ctx, TOKEN_ARRAY, TOKEN_OPEN);
}

static void on_open_map(void *ctx)
{
        container(ctx, TOKEN_MAP, TOKEN_OPEN);
}

static void on_break(void *ctx)
{
        container(ctx, TOKEN_BREAK, 0);
}

static void on_tag(void *ctx, uint64_t tag)
{
        container(ctx, TOKEN_TAG, 0);
}

static const struct cbor_callbacks callbacks = {.uint8 = on_u8,
                                                .uint16 = on_u16,
                                                .uint32 = on_u32,
                                                .uint64 = on_unsigned,
                                                .negint8 = on_n8,
                                                .negint16 = on_n16,
                                                .negint32 = on_n32,
                                                .negint64 = on_negative,
                                                .byte_string_start = on_pieces,
                                                .byte_string = on_bytes,
                                                .string = on_text,
                                                .string_start = on_pieces,
                                                .indef_array_start = on_open_array,
                                                .array_start = on_array,
                                                .indef_map_start = on_open_map,
                                                .map_start = on_map,
                                                .tag = on_tag,
                                                .float2 = on_float,
                                                .float4 = on_float,
                                                .float8 = on_double,
                                                .undefined = on_nothing,
                                                .null = on_nothing,
                                                .boolean = on_bool,
                                                .indef_break = on_break};

/* Longer than any message. */
static bool is_endless(const unsigned char *s, size_t len)
{
        unsigned major = s[0] >> 5;

        return (s[0] & 31) == WIDE && major >= BYTES && major <= MAP && len > 8 && (s[1] | s[2] | s[3] | s[4]);
}

/* How many bytes of it the library does not know; 0: none. */
static size_t unknown(const unsigned char *s, size_t len, struct item *i)
{
        unsigned major = s[0] >> 5, info = s[0] & 31;

        if (major == TAG && info < 24) {
                on_tag(i, info);
                return 1;
        }
        if (major != OTHER || info > 24 || (info > 19 && info < 24) || (info == 24 && (len < 2 || s[1] < 32)))
                return 0;
        on_nothing(i);
        return info == 24 ? 2 : 1;
}

size_t payload_cbor_token(const unsigned char *s, size_t len, struct payload_token *t, const char **why)
{
        struct item i = {.t = t};
        struct cbor_decoder_result r;
        size_t n;

        *t = (struct payload_token){.kind = TOKEN_VALUE};
        *why = NULL;
        if (is_endless(s, len)) {
                *why = s[0] >> 5 < ARRAY ? "it ends too early" : "it says it holds more than there is";
                return 0;
        }
        n = unknown(s, len, &i);
        if (n)
                return n;
        r = cbor_stream_decode(s, len, &callbacks, &i);
        if (r.status == CBOR_DECODER_FINISHED && !i.why)
                return r.read;
        *why = i.why ? i.why : r.status == CBOR_DECODER_NEDATA ? "it ends too early" : "a byte that CBOR does not have";
        return 0;
}
