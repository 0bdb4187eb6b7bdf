/*
 * msgpack: the tokens of MessagePack (github.com/msgpack/msgpack, spec.md).
 *
 * Why not msgpack-c: its unpacker makes a tree, and room for as many elements
 * as a header says, before it has seen one.  Of version 4.0.0 155 bytes (31
 * arrays in each other, of 2^28 elements each) reserve 260 GB of addresses; 256
 * KiB of small integers become 8.4 MB.  There is no bound to set (its issues
 * 985 and 1013).  Its headers have the state machine below that as macros to
 * include, which would be bounded, but are its inside, and in Debian 12 and 13
 * in packages of different names.  So: one token at a time, nothing allocated.
 *
 * Extensions are bytes; the timestamp (type -1) among them is seconds since
 * 1970, as a number.
 */
#include <string.h>

#include "drivers/payload/binary.h"

static uint64_t big_endian(const unsigned char *p, size_t n)
{
        uint64_t v = 0;

        for (size_t i = 0; i < n; i++)
                v = v << 8 | p[i];
        return v;
}

static void set_i64(struct payload_token *t, int64_t v)
{
        t->value = (struct json_value){.type = SCAN_I64, .i64 = v};
}

static void set_f64(struct payload_token *t, double v)
{
        t->value = (struct json_value){.type = SCAN_F64, .f64 = v};
}

static size_t container(struct payload_token *t, enum payload_token_kind kind, uint64_t n, size_t used)
{
        t->kind = kind;
        t->n = n;
        return used;
}

/* `at` is behind the length. 0: it does not end. */
static size_t string(struct payload_token *t, bool is_text, const unsigned char *s, size_t at, size_t n, size_t len)
{
        if (n > len - at)
                return 0;
        payload_token_text(t, s + at, n);
        if (!is_text)
                t->value.type = SCAN_BYTES;
        return at + n;
}

static void timestamp(struct payload_token *t, const unsigned char *p, size_t n)
{
        uint64_t v = n == 12 ? big_endian(p + 4, 8) : big_endian(p, n);
        uint64_t ns = n == 12 ? big_endian(p, 4) : n == 8 ? v >> 34 : 0;
        int64_t s = n == 8 ? (int64_t)(v & 0x3ffffffff) : (int64_t)v;

        if (ns)
                set_f64(t, (double)s + (double)ns * 1e-9);
        else
                set_i64(t, s);
}

/* `at` is on its type. */
static size_t extension(struct payload_token *t, const unsigned char *s, size_t at, size_t n, size_t len)
{
        size_t used = at < len ? string(t, false, s, at + 1, n, len) : 0;

        if (used && s[at] == 0xff && (n == 4 || n == 8 || n == 12))
                timestamp(t, s + at + 1, n);
        return used;
}

static size_t number(struct payload_token *t, const unsigned char *s)
{
        unsigned size = 1u << (s[0] & 3);
        uint64_t v = big_endian(s + 1, size);

        if (s[0] < 0xd0)
                payload_token_unsigned(t, v);
        else
                set_i64(t, size == 8 ? (int64_t)v : (int64_t)(v << (64 - 8 * size)) >> (64 - 8 * size));
        return 1 + size;
}

static size_t floating(struct payload_token *t, const unsigned char *s)
{
        uint32_t bits = (uint32_t)big_endian(s + 1, 4);
        uint64_t wide;
        double f64;
        float f32;

        memcpy(&f32, &bits, sizeof(f32));
        if (s[0] == 0xca) {
                set_f64(t, f32);
                return 5;
        }
        wide = big_endian(s + 1, 8);
        memcpy(&f64, &wide, sizeof(f64));
        set_f64(t, f64);
        return 9;
}

/*
 * How many bytes a first byte from 0xc0 to 0xdf wants behind it to be read at
 * all.
 */
static const unsigned char behind[32] = {
        0, 0, 0, 0, 1, 2, 4, 2, 3,  5, 4, 8, 1, 2, 4, 8, /* nil, never, false, true, bin, ext, float, uint */
        1, 2, 4, 8, 2, 3, 5, 9, 17, 1, 2, 4, 2, 4, 2, 4  /* int, fixext, str, array, map */
};

static size_t wide(const unsigned char *s, size_t len, struct payload_token *t)
{
        unsigned c = s[0];

        if (c == 0xc0 || c == 0xc2 || c == 0xc3) {
                t->value.type = c == 0xc0 ? SCAN_NULL : c == 0xc2 ? SCAN_FALSE : SCAN_TRUE;
                return 1;
        }
        if (c >= 0xc4 && c <= 0xc6)
                return string(t, false, s, 1u + (1u << (c - 0xc4)), big_endian(s + 1, 1u << (c - 0xc4)), len);
        if (c >= 0xc7 && c <= 0xc9)
                return extension(t, s, 1u + (1u << (c - 0xc7)), big_endian(s + 1, 1u << (c - 0xc7)), len);
        if (c == 0xca || c == 0xcb)
                return floating(t, s);
        if (c >= 0xcc && c <= 0xd3)
                return number(t, s);
        if (c >= 0xd4 && c <= 0xd8)
                return extension(t, s, 1, (size_t)1 << (c - 0xd4), len);
        if (c >= 0xd9 && c <= 0xdb)
                return string(t, true, s, 1u + (1u << (c - 0xd9)), big_endian(s + 1, 1u << (c - 0xd9)), len);
        if (c == 0xdc || c == 0xdd)
                return container(t, TOKEN_ARRAY, big_endian(s + 1, c == 0xdc ? 2 : 4), c == 0xdc ? 3 : 5);
        return container(t, TOKEN_MAP, big_endian(s + 1, c == 0xde ? 2 : 4), c == 0xde ? 3 : 5);
}

size_t payload_msgpack_token(const unsigned char *s, size_t len, struct payload_token *t, const char **why)
{
        unsigned c = s[0];
        size_t used = 1;

        *t = (struct payload_token){.kind = TOKEN_VALUE};
        *why = NULL;
        if (c < 0x80)
                set_i64(t, c);
        else if (c >= 0xe0)
                set_i64(t, (int)c - 256);
        else if (c < 0x90)
                container(t, TOKEN_MAP, c & 15, 1);
        else if (c < 0xa0)
                container(t, TOKEN_ARRAY, c & 15, 1);
        else if (c < 0xc0)
                used = string(t, true, s, 1, c & 31, len);
        else if (c == 0xc1)
                *why = "a byte that MessagePack does not have";
        else
                used = len - 1 < behind[c - 0xc0] ? 0 : wide(s, len, t);
        if (*why)
                return 0;
        if (!used)
                *why = "it ends too early";
        return used;
}
