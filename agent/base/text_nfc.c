/*
 * text_nfc: a text in Unicode's normal form C: e and an accent behind it are
 * one character, and marks stand in one order, however a keyboard, a file
 * system or a PLC's tool wrote them.
 *
 * By pieces, so that a name of any length needs no memory: a piece is a
 * character with the marks behind it (and a syllable of Hangul with all its
 * letters); nothing is composed or sorted across the border of two.  A piece
 * has a bound, and what is beyond stays as it came and is said to be raw, as is
 * what is no UTF-8.  The bound holds for what went in and for what came out, so
 * a text that was normalised stays as it is.
 *
 * Cannot fail.
 */
#include <string.h>
#include <utf8proc.h>

#include "agent/base/text.h"
#include "agent/base/text_nfc.h"

enum {
        DECOMPOSED_MAX = 4 * TEXT_NFC_MAX, /* of one character come 4 at most */
        JAMO_FIRST = 0x1160,               /* vowels and ends of a syllable */
        JAMO_LAST = 0x11ff,
};

static bool is_first(const char *s, size_t len)
{
        utf8proc_int32_t c = 0;
        utf8proc_category_t k;

        if ((unsigned char)*s < 0x80)
                return true;
        utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &c);
        k = utf8proc_category(c);
        return k != UTF8PROC_CATEGORY_MN && k != UTF8PROC_CATEGORY_MC && k != UTF8PROC_CATEGORY_ME &&
               (c < JAMO_FIRST || c > JAMO_LAST);
}

/*
 * The bytes of the next piece, and how many characters they are. Marks without
 * a character count one more: where a byte in front is replaced, they get it.
 */
static size_t find_piece(const char *s, size_t len, size_t *chars, bool *orphan)
{
        size_t at = text_char(s, len), n;

        *orphan = !is_first(s, at);
        *chars = 1 + *orphan;
        while (at < len && (n = text_char(s + at, len - at)) && !is_first(s + at, n)) {
                at += n;
                ++*chars;
        }
        return at;
}

/* Into the room; false: it is more than anybody writes. */
static bool compose(struct text_nfc *n, size_t len, bool orphan)
{
        const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
        utf8proc_int32_t c[DECOMPOSED_MAX];
        utf8proc_ssize_t many =
                utf8proc_decompose((const utf8proc_uint8_t *)n->at, (utf8proc_ssize_t)len, c, DECOMPOSED_MAX, options);

        if (many < 0 || many > DECOMPOSED_MAX)
                return false;
        many = utf8proc_normalize_utf32(c, many, options);
        if (many < 0 || many + orphan > TEXT_NFC_MAX)
                return false;
        n->len = 0;
        for (utf8proc_ssize_t i = 0; i < many; i++)
                n->len += (size_t)utf8proc_encode_char(c[i], (utf8proc_uint8_t *)n->room + n->len);
        return true;
}

bool text_nfc_next(struct text_nfc *n)
{
        size_t left = (size_t)(n->end - n->at), chars, len;
        bool orphan;

        if (!left)
                return false;
        n->piece = n->at;
        n->raw = !text_char(n->at, left);
        n->len = len = n->raw ? 1 : find_piece(n->at, left, &chars, &orphan);
        if (!n->raw && (unsigned char)*n->at < 0x80 && len == 1) {
                n->at++;
                return true;
        }
        if (!n->raw && chars <= TEXT_NFC_MAX && compose(n, len, orphan))
                n->piece = n->room;
        else
                n->raw = true;
        n->at += len;
        return true;
}
