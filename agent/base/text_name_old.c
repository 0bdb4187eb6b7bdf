/*
 * text_name_old: names as they were until file format 9.
 *
 * They had 64 bytes at most and stood as they were sent, in no normal form, and
 * signs like ° stayed; the bytes that were changed stood in hex behind a ~,
 * where ._ is now.  Everything there is of an old name says what was sent, so
 * it becomes what that is today, and readings, alarms and configurations of
 * before mean the tag that they meant.  Only of what was cut nothing is left
 * but a hash: of ASCII that is the same today; any other is another name from
 * now on, of which no reading comes any more.
 *
 * Cannot fail.
 */
#include <string.h>

#include "agent/base/text.h"

enum {
        BYTES_MAX = 64,
        HASH_DIGITS = 18,
        CUT_CHARS = TEXT_NAME_CHARS - 3 - HASH_DIGITS,
};

static int hex_of(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What was sent: each _ of the head stands for two digits. False: it is none. */
static bool undo(char *out, const char *s, size_t n, const char *hex, size_t n_hex)
{
        for (size_t i = 0; i < n; i++) {
                int high, low;

                out[i] = s[i];
                if (s[i] != '_')
                        continue;
                if (n_hex < 2 || (high = hex_of(hex[0])) < 0 || (low = hex_of(hex[1])) < 0)
                        return false;
                out[i] = (char)(high << 4 | low);
                hex += 2;
                n_hex -= 2;
        }
        return n_hex == 0;
}

static bool is_hash(const char *s, size_t len)
{
        return len == 1 + HASH_DIGITS && *s == 'x' && strspn(s + 1, "0123456789abcdefghijklmnopqrstuv") >= HASH_DIGITS;
}

/* What was cut: the hash is of the same bytes, and the mark one byte longer. */
static void of_cut(char out[TEXT_NAME_MAX + 1], const char *s, size_t n, const char *tail, size_t marked)
{
        char cut[TEXT_NAME_MAX + 1], *to = cut;
        size_t chars = 0;

        for (size_t at = 0, step; at < n && chars < CUT_CHARS - marked; at += step, chars++) {
                step = text_char(s + at, n - at);
                step = step ? step : 1;
                to = text_is_name(s + at, step) ? mempcpy(to, s + at, step) : stpcpy(to, "_");
        }
        to = stpcpy(to, "._");
        to = mempcpy(to, tail, 1 + HASH_DIGITS + marked);
        *to = '\0';
        if (!text_read_name(out, cut, (size_t)(to - cut)))
                text_map_name(out, cut, (size_t)(to - cut));
}

static bool of_changed(char out[TEXT_NAME_MAX + 1], const char *s, size_t n, const char *tail, size_t len)
{
        size_t marked = len && (tail[len - 1] == 'y' || tail[len - 1] == 'z');
        char sent[BYTES_MAX], end = marked ? tail[len - 1] : '\0';

        len -= marked;
        if (is_hash(tail, len)) {
                of_cut(out, s, n, tail, marked);
                return true;
        }
        if (n == 1 && *s == '_' && len == 1 && *tail == '0')
                n = 0;
        else if (n + len == 0 || !undo(sent, s, n, tail, len))
                return false;
        if (!marked)
                return text_map_name(out, sent, n);
        text_mark_name(out, sent, n, end);
        return true;
}

bool text_name_of_old(char out[TEXT_NAME_MAX + 1], const char *s, size_t len)
{
        const char *mark = memchr(s, '~', len);
        size_t n = mark ? (size_t)(mark - s) : len;

        if (!mark || n == 0 || len > BYTES_MAX)
                return false;
        return of_changed(out, s, n, mark + 1, len - n - 1);
}

void text_name_today(char out[TEXT_NAME_MAX + 1], const char *s)
{
        size_t len = strlen(s);

        if (!text_read_name(out, s, len))
                text_map_name(out, s, len);
}
