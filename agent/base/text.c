/*
 * text: UTF-8, JSON strings, spelling, hash (see text.h; names are in
 * text_name.c, numbers in text_number.c, times and units in text_unit.c).
 *
 * Why by hand: isalnum() and friends follow the locale and take an int that
 * must not be negative, and the bytes here come straight from wires.  Every
 * function takes a length, reads nothing behind it, and has an answer for every
 * input; none fails but by its return value.
 *
 * UTF-8 is checked with the bounds of the second byte as the Unicode standard
 * lists them (table 3-7): that alone keeps out overlong forms, surrogates and
 * what lies above U+10FFFF.
 */
#include "agent/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Length of the valid sequence at s (1..4), or 0 when there is none. */
static size_t utf8_step(const unsigned char *s, size_t len)
{
        unsigned char c = s[0], low = 0x80, high = 0xbf;
        size_t n;

        if (c < 0x80)
                return 1;
        if (c < 0xc2 || c > 0xf4)
                return 0;
        n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (len < n)
                return 0;
        if (c == 0xe0)
                low = 0xa0;
        else if (c == 0xed)
                high = 0x9f;
        else if (c == 0xf0)
                low = 0x90;
        else if (c == 0xf4)
                high = 0x8f;
        if (s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        }
        return n;
}

size_t text_char(const char *s, size_t len)
{
        return len && *s ? utf8_step((const unsigned char *)s, len) : 0;
}

/* Eight bytes at once: all of them ASCII and none NUL? */
static bool is_plain_word(const unsigned char *s)
{
        const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
        uint64_t w;

        memcpy(&w, s, sizeof(w));
        return ((w | (w - ones)) & tops) == 0;
}

bool text_is_utf8(const char *s, size_t len)
{
        const unsigned char *p = (const unsigned char *)s, *end = p + len;

        while (p < end) {
                size_t n;

                if (end - p >= 8 && is_plain_word(p)) {
                        p += 8;
                        continue;
                }
                n = utf8_step(p, (size_t)(end - p));
                if (n == 0 || *p == '\0')
                        return false;
                p += n;
        }
        return true;
}

static size_t put_json_escape(char *out, unsigned char c)
{
        static const char hex[] = "0123456789abcdef";
        static const char short_of[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

        out[0] = '\\';
        if (c >= 0x20 || short_of[c]) {
                out[1] = c >= 0x20 ? (char)c : short_of[c];
                return 2;
        }
        memcpy(out + 1, "u00", 3);
        out[4] = hex[c >> 4];
        out[5] = hex[c & 15];
        return 6;
}

size_t text_put_json(char *out, const char *s, size_t len)
{
        const unsigned char *p = (const unsigned char *)s, *end = p + len;
        char *o = out;

        while (p < end) {
                unsigned char c = *p;
                size_t n;

                if (c < 0x20 || c == '"' || c == '\\') {
                        o += put_json_escape(o, c);
                        p++;
                        continue;
                }
                if (c < 0x80) {
                        *o++ = (char)c;
                        p++;
                        continue;
                }
                n = utf8_step(p, (size_t)(end - p));
                memcpy(o, n ? (const char *)p : "\xef\xbf\xbd", n ? n : 3);
                o += n ? n : 3;
                p += n ? n : 1;
        }
        return (size_t)(o - out);
}

size_t text_copy(char *out, size_t cap, const char *s)
{
        size_t left = strlen(s), len = 0;

        while (left) {
                size_t step = utf8_step((const unsigned char *)s, left), n = step ? step : 3;

                if (len + n >= cap)
                        break;
                memcpy(out + len, step ? s : "\xef\xbf\xbd", n);
                len += n;
                s += step ? step : 1;
                left -= step ? step : 1;
        }
        out[len] = '\0';
        return len;
}

size_t text_format(char *out, size_t cap, const char *fmt, ...)
{
        char whole[512];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(whole, sizeof(whole), fmt, ap);
        va_end(ap);
        return text_copy(out, cap, whole);
}

static unsigned least(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

/*
 * Edits (insert, delete, change, swap of neighbours) that make a of b; both at
 * most TEXT_NAME_MAX long.
 */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
        unsigned char rows[3][TEXT_NAME_MAX + 1];
        unsigned char *before = rows[0], *above = rows[1], *row = rows[2];

        for (size_t j = 0; j <= b_len; j++)
                above[j] = (unsigned char)j;
        memset(before, 0, TEXT_NAME_MAX + 1);
        for (size_t i = 1; i <= a_len; i++) {
                unsigned char *spare = before;

                row[0] = (unsigned char)i;
                for (size_t j = 1; j <= b_len; j++) {
                        unsigned d = least(above[j], row[j - 1]) + 1u;

                        d = least(d, above[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                d = least(d, before[j - 2] + 1u);
                        row[j] = (unsigned char)d;
                }
                before = above;
                above = row;
                row = spare;
        }
        return above[b_len];
}

const char *text_did_you_mean(const char *word, const char *const *candidates, size_t n)
{
        size_t len = strlen(word);
        unsigned best = len / 3 > 2 ? (unsigned)(len / 3) + 1 : 3;
        const char *nearest = NULL;

        if (len == 0 || len > TEXT_NAME_MAX)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                size_t other = strlen(candidates[i]);
                unsigned d;

                if (other > TEXT_NAME_MAX)
                        continue;
                d = edit_distance(word, len, candidates[i], other);
                if (d < best && d < len && d < other) {
                        best = d;
                        nearest = candidates[i];
                }
        }
        return nearest;
}

uint64_t text_hash_more(uint64_t h, const void *p, size_t len)
{
        const unsigned char *s = p;

        for (size_t i = 0; i < len; i++)
                h = (h ^ s[i]) * 1099511628211u;
        return h;
}

uint64_t text_hash(const void *p, size_t len, uint64_t seed)
{
        return text_hash_more(14695981039346656037u ^ seed, p, len);
}
