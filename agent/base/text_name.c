/*
 * text_name: which names there are, and what becomes of one that is none.
 *
 * A name is what was sent, byte by byte, in any script: nothing is folded, so e
 * with an accent as one character and as two are two names.  Left out is what
 * people can't see or can't type into a command: controls, blanks, marks of
 * direction and of no width, and of ASCII all but letters, digits, _ - and a
 * dot, because topics, commands and configurations have a meaning for them. The
 * unassigned is left in: scripts are added every year, and a name must not
 * change with a version of ours.
 *
 * What is changed is changed without loss: each byte that may not stay becomes
 * _, and behind a ~ (which no name from outside keeps) stand in hex, in order,
 * the bytes that became _ or were one: `Motor/Speed_1` is `Motor_Speed_1~2f5f`.
 * So two names are never one, whatever else was sent and in which order.  Only
 * what gets too long in this way is cut, and has 90 bits of a hash behind ~x.
 *
 * Cannot fail.
 */
#include <string.h>

#include "agent/base/text.h"

enum {
        HASH_DIGITS = 18,
        CUT_MAX = TEXT_NAME_MAX - 2 - HASH_DIGITS, /* of the name, in front of ~x and the hash */
        SECOND_SEED = 0x7a3d,
};

struct range {
        uint32_t first, last;
};

/*
 * Cc, Zs, Zl, Zp and Cf of Unicode 15, and marks and fillers that show nothing.
 */
static const struct range unseen[] = {
        {0x80, 0xa0},       {0xad, 0xad},       {0x34f, 0x34f},     {0x600, 0x605},     {0x61c, 0x61c},
        {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},     {0x115f, 0x1160},
        {0x1680, 0x1680},   {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x2000, 0x200f},   {0x2028, 0x202f},
        {0x205f, 0x206f},   {0x2800, 0x2800},   {0x3000, 0x3000},   {0x3164, 0x3164},   {0xfdd0, 0xfdef},
        {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},   {0x110bd, 0x110bd},
        {0x110cd, 0x110cd}, {0x13430, 0x1345f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_seen(uint32_t c)
{
        size_t low = 0, high = sizeof(unseen) / sizeof(*unseen);

        while (low < high) {
                size_t mid = (low + high) / 2;

                if (c > unseen[mid].last)
                        low = mid + 1;
                else if (c < unseen[mid].first)
                        high = mid;
                else
                        return false;
        }
        return (c & 0xfffe) != 0xfffe;
}

static bool is_plain_byte(unsigned char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '.';
}

static uint32_t code_point(const unsigned char *s, size_t n)
{
        uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

        for (size_t i = 1; i < n; i++)
                c = c << 6 | (s[i] & 0x3f);
        return c;
}

/* Length of the character that may stay here, or 0. */
static size_t plain_step(const char *s, size_t len)
{
        size_t n = text_char(s, len);

        if (n <= 1)
                return n && is_plain_byte((unsigned char)*s);
        return is_seen(code_point((const unsigned char *)s, n)) ? n : 0;
}

static size_t plain_length(const char *s, size_t len)
{
        size_t at = 0, n;

        while (at < len && (n = plain_step(s + at, len - at)))
                at += n;
        return at;
}

/*
 * Behind the ~ of a changed name: hex, or x and a hash; a letter of a driver.
 */
static bool is_tail(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (!(s[i] >= '0' && s[i] <= '9') && !(s[i] >= 'a' && s[i] <= 'z'))
                        return false;
        }
        return len > 0;
}

bool text_is_name(const char *s, size_t len)
{
        size_t n;

        if (len == 0 || len > TEXT_NAME_MAX)
                return false;
        n = plain_length(s, len);
        return n == len || (n && s[n] == '~' && is_tail(s + n + 1, len - n - 1));
}

bool text_is_ascii_name(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (!is_plain_byte((unsigned char)s[i]))
                        return false;
        }
        return len > 0 && len <= TEXT_NAME_MAX;
}

/* ---- changing ---- */

static char *put_hex(char *to, unsigned char c)
{
        static const char hex[] = "0123456789abcdef";

        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
        return to;
}

static char *put_digits(char *to, uint64_t h, int n)
{
        for (int i = 0; i < n; i++, h >>= 5)
                *to++ = "0123456789abcdefghijklmnopqrstuv"[h & 31];
        return to;
}

/* All of it with its tail; false: there is no room. */
static bool put_whole(char out[TEXT_NAME_MAX + 1], const char *s, size_t len, const char *mark)
{
        char tail[2 * TEXT_NAME_MAX], *end = tail;
        size_t at = 0, room = TEXT_NAME_MAX - 1 - strlen(mark);

        if (len > room)
                return false;
        while (at < len) {
                size_t n = plain_step(s + at, len - at);

                if (!n || s[at] == '_')
                        end = put_hex(end, (unsigned char)s[at]);
                if (n)
                        memcpy(out + at, s + at, n);
                else
                        out[at] = '_';
                at += n ? n : 1;
        }
        if (len + (size_t)(end - tail) > room)
                return false;
        out[len] = '~';
        memcpy(out + len + 1, tail, (size_t)(end - tail));
        strcpy(out + len + 1 + (end - tail), mark);
        return true;
}

static void put_cut(char out[TEXT_NAME_MAX + 1], const char *s, size_t len, const char *mark)
{
        size_t at = 0, seed = strlen(mark);
        char *to;

        while (at < len) {
                size_t n = plain_step(s + at, len - at), step = n ? n : 1;

                if (at + step > CUT_MAX - seed)
                        break;
                if (n)
                        memcpy(out + at, s + at, n);
                else
                        out[at] = '_';
                at += step;
        }
        to = stpcpy(out + at, "~x");
        to = put_digits(to, text_hash(s, len, seed), 13);
        to = put_digits(to, text_hash(s, len, SECOND_SEED + seed), HASH_DIGITS - 13);
        strcpy(to, mark);
}

static bool map(char out[TEXT_NAME_MAX + 1], const char *s, size_t len, const char *mark)
{
        if (len == 0) {
                stpcpy(stpcpy(out, "_~0"), mark);
                return true;
        }
        if (!*mark && len <= TEXT_NAME_MAX && plain_length(s, len) == len) {
                memcpy(out, s, len);
                out[len] = '\0';
                return false;
        }
        if (!put_whole(out, s, len, mark))
                put_cut(out, s, len, mark);
        return true;
}

bool text_map_name(char out[TEXT_NAME_MAX + 1], const char *s, size_t len)
{
        return map(out, s, len, "");
}

void text_mark_name(char out[TEXT_NAME_MAX + 1], const char *s, size_t len, char mark)
{
        const char word[] = {mark, '\0'};

        map(out, s, len, word);
}
