/*
 * text_name: which names there are, and what becomes of one that is none.
 *
 * Letters stay, with the marks that belong to them, and digits, in any script,
 * and _ - and a dot: classes L, M, Nd and Nl of Unicode (Nl, because the zero
 * of Chinese and Roman numbers are written with it; No, as in m³, are signs, as
 * ° is).  What nobody sees is left out though its class be a letter's: a filler,
 * a selector of variants.  A name is in normal form C, so it does not count how
 * an é was typed.  What a version of Unicode does not know yet, is changed.
 *
 * What is changed is changed without loss: each byte that may not stay becomes
 * _, and behind a mark, ._ , stand in hex, in order, the bytes that became _ or
 * were one: `Motor/Speed_1` is `Motor_Speed_1._2f5f`.  What looks like that and
 * was sent is changed too, so it can be read back and two names are never one,
 * whatever else was sent and in which order.  Only what gets too long in this
 * way is cut, and has 90 bits of a hash behind ._x.
 *
 * Nearly all names are short and of ASCII: they are looked at once, byte by
 * byte, and nothing else is done.  Cannot fail.
 */
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "agent/base/text.h"
#include "agent/base/text_nfc.h"

enum {
        HASH_DIGITS = 18,
        CUT_CHARS = TEXT_NAME_CHARS - 3 - HASH_DIGITS, /* of the name, in front of ._x and the hash */
        SECOND_SEED = 0x7a3d,
};

/* A name while it is put together. */
struct draft {
        char head[TEXT_NAME_MAX + 1]; /* as much as a name has room for */
        size_t n, chars;              /* bytes there; characters of all of it */
        size_t n_cut;                 /* bytes of its first `cut` characters */
        size_t cut;
        char tail[TEXT_NAME_CHARS]; /* likewise */
        size_t n_tail;
        uint64_t hash[2];
        bool changed;
};

static bool is_plain_byte(unsigned char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '.';
}

/* Of one character, in UTF-8. */
static bool may_stay(const char *s, size_t n)
{
        utf8proc_int32_t c = 0;
        utf8proc_category_t k;

        if (n == 1)
                return is_plain_byte((unsigned char)*s);
        utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &c);
        k = utf8proc_category(c);
        return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NL && !utf8proc_get_property(c)->ignorable;
}

static bool is_hex(const char *s, size_t len)
{
        return strspn(s, "0123456789abcdef") >= len;
}

/* Behind the mark: hex, or x and a hash, or 0 for nothing; a driver's letter. */
static bool is_tail(const char *s, size_t len)
{
        bool marked = len && (s[len - 1] == 'y' || s[len - 1] == 'z');

        len -= marked;
        if (len == 0)
                return marked;
        if (*s == 'x')
                return len == 1 + HASH_DIGITS && strspn(s + 1, "0123456789abcdefghijklmnopqrstuv") >= HASH_DIGITS;
        return (len == 1 && *s == '0') || (len % 2 == 0 && is_hex(s, len));
}

size_t text_name_head(const char *s, size_t len)
{
        const char *mark = len > 3 ? memrchr(s, '_', len) : NULL;
        size_t n = mark ? (size_t)(mark - s) : 0;
        char tail[TEXT_NAME_CHARS + 1];

        if (n < 2 || mark[-1] != '.' || len - n > sizeof(tail))
                return len;
        memcpy(tail, mark + 1, len - n - 1);
        tail[len - n - 1] = '\0';
        return is_tail(tail, len - n - 1) ? n - 1 : len;
}

static bool is_ascii(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (!is_plain_byte((unsigned char)s[i]))
                        return false;
        }
        return len > 0 && len <= TEXT_NAME_CHARS;
}

bool text_is_ascii_name(const char *s, size_t len)
{
        return is_ascii(s, len);
}

/* ---- what it is made of ---- */

static void put_char(struct draft *d, const char *s, size_t n)
{
        if (++d->chars > TEXT_NAME_CHARS)
                return;
        memcpy(d->head + d->n, s, n);
        d->n += n;
        if (d->chars <= d->cut)
                d->n_cut = d->n;
}

static void put_hex(struct draft *d, unsigned char c)
{
        static const char hex[] = "0123456789abcdef";

        if (d->n_tail + 2 <= sizeof(d->tail)) {
                d->tail[d->n_tail] = hex[c >> 4];
                d->tail[d->n_tail + 1] = hex[c & 15];
        }
        d->n_tail += 2;
}

static void put_piece(struct draft *d, const struct text_nfc *p)
{
        size_t at = 0;

        while (at < p->len) {
                size_t n = p->raw ? 0 : text_char(p->piece + at, p->len - at);
                bool stays = n && may_stay(p->piece + at, n);

                n = n ? n : 1;
                if (stays)
                        put_char(d, p->piece + at, n);
                for (size_t i = 0; i < n && (!stays || p->piece[at] == '_'); i++) {
                        if (!stays)
                                put_char(d, "_", 1);
                        put_hex(d, (unsigned char)p->piece[at + i]);
                }
                d->changed |= !stays;
                at += n;
        }
        d->hash[0] = text_hash_more(d->hash[0], p->piece, p->len);
        d->hash[1] = text_hash_more(d->hash[1], p->piece, p->len);
}

static void draft_of(struct draft *d, const char *s, size_t len, size_t mark)
{
        struct text_nfc p;

        d->n = d->chars = d->n_cut = d->n_tail = 0;
        d->cut = CUT_CHARS - mark;
        d->hash[0] = text_hash("", 0, mark);
        d->hash[1] = text_hash("", 0, SECOND_SEED + mark);
        d->changed = false;
        p.at = s;
        p.end = s + len;
        while (text_nfc_next(&p))
                put_piece(d, &p);
        d->head[d->n] = '\0';
}

static char *put_digits(char *to, uint64_t h, int n)
{
        for (int i = 0; i < n; i++, h >>= 5)
                *to++ = "0123456789abcdefghijklmnopqrstuv"[h & 31];
        return to;
}

static void put_changed(char out[TEXT_NAME_MAX + 1], const struct draft *d, const char *mark)
{
        size_t seed = strlen(mark);
        bool whole = d->chars + 2 + d->n_tail + seed <= TEXT_NAME_CHARS;
        char *to = stpcpy(mempcpy(out, d->head, whole ? d->n : d->n_cut), "._");

        if (whole) {
                to = mempcpy(to, d->tail, d->n_tail);
        } else {
                *to++ = 'x';
                to = put_digits(to, d->hash[0], 13);
                to = put_digits(to, d->hash[1], HASH_DIGITS - 13);
        }
        strcpy(to, mark);
}

/* ---- names ---- */

bool text_map_name(char out[TEXT_NAME_MAX + 1], const char *s, size_t len)
{
        struct draft d;

        if (is_ascii(s, len) && text_name_head(s, len) == len) {
                memcpy(out, s, len);
                out[len] = '\0';
                return false;
        }
        if (len == 0) {
                strcpy(out, "_._0");
                return true;
        }
        draft_of(&d, s, len, 0);
        if (!d.changed && d.chars <= TEXT_NAME_CHARS && text_name_head(d.head, d.n) == d.n) {
                memcpy(out, d.head, d.n + 1);
                return false;
        }
        put_changed(out, &d, "");
        return true;
}

void text_mark_name(char out[TEXT_NAME_MAX + 1], const char *s, size_t len, char mark)
{
        const char word[] = {mark, '\0'};
        struct draft d;

        draft_of(&d, s, len, 1);
        if (len)
                put_changed(out, &d, word);
        else
                stpcpy(stpcpy(out, "_._0"), word);
}

bool text_read_name(char out[TEXT_NAME_MAX + 1], const char *s, size_t len)
{
        struct draft d;

        if (len == 0)
                return false;
        draft_of(&d, s, len, 0);
        if (d.changed || d.chars > TEXT_NAME_CHARS)
                return text_name_of_old(out, s, len);
        memcpy(out, d.head, d.n + 1);
        return true;
}

bool text_is_name(const char *s, size_t len)
{
        struct draft d;

        if (is_ascii(s, len))
                return true;
        if (len == 0 || len > TEXT_NAME_MAX)
                return false;
        draft_of(&d, s, len, 0);
        return !d.changed && d.chars <= TEXT_NAME_CHARS && d.n == len && !memcmp(d.head, s, len);
}

bool text_name_pattern(char *out, size_t cap, const char *s)
{
        struct text_nfc p = {.at = s, .end = s + strlen(s)};
        size_t n = 0;

        while (text_nfc_next(&p)) {
                for (size_t at = 0, step; at < p.len; at += step) {
                        bool stays;

                        step = text_char(p.piece + at, p.len - at);
                        stays = step == 1 || (step && !p.raw && may_stay(p.piece + at, step));
                        step = step ? step : 1;
                        if (n + step + 2 > cap)
                                return false;
                        if (p.piece[at] == '~')
                                memcpy(out + n++, "._", 2);
                        else if (stays)
                                memcpy(out + n, p.piece + at, step);
                        else
                                memset(out + n, '_', step);
                        n += step;
                }
        }
        out[n] = '\0';
        return true;
}

size_t text_name_chars(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += (*s & 0xc0) != 0x80;
        return n;
}

void text_name_fault(char out[TEXT_NAME_WHY], const char *s, size_t len)
{
        char name[TEXT_NAME_MAX + 1];
        size_t at = 0, n = 0;
        struct draft d;

        draft_of(&d, s, len, 0);
        if (!d.changed) {
                snprintf(out, TEXT_NAME_WHY, "has %zu characters; allowed: 1 to %d", d.chars, TEXT_NAME_CHARS);
                return;
        }
        while (at < len && (n = text_char(s + at, len - at)) && may_stay(s + at, n))
                at += n;
        memcpy(name, d.head, d.n_cut);
        name[d.n_cut] = '\0';
        if (at >= len)
                n = 0; /* more marks on a letter than anybody writes */
        if (n > 1 || (n && *(s + at) > ' ' && s[at] != 0x7f))
                snprintf(out, TEXT_NAME_WHY, "holds %.*s, which no name may have; it could be %s", (int)n, s + at,
                         name);
        else
                snprintf(out, TEXT_NAME_WHY, "holds %s, which no name may have; it could be %s",
                         n && s[at] == ' ' ? "a blank" : "what can't be shown", name);
}
