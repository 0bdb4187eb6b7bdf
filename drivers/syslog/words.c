/*
 * words: see words.h.
 *
 * By hand and by bytes, because the text is a sender's: letters are ASCII's and
 * every byte of a longer character.  Nothing behind the end is read; none fails
 * but by its answer.
 */
#include "drivers/syslog/words.h"

#include <string.h>

enum { APP_MAX = 48, PID_MAX = 24, HOST_MAX = 255 };

size_t words_left(const struct words *r)
{
        return (size_t)(r->end - r->p);
}

bool words_take(struct words *r, const char *s)
{
        size_t n = strlen(s);

        if (words_left(r) < n || memcmp(r->p, s, n) != 0)
                return false;
        r->p += n;
        return true;
}

void words_skip_blanks(struct words *r)
{
        while (words_take(r, " "))
                ;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80);
}

size_t words_count(const struct words *r, const char *also, bool letters)
{
        size_t n = 0;

        while (n < words_left(r) &&
               (is_digit(r->p[n]) || (letters && is_letter(r->p[n])) || (r->p[n] && strchr(also, r->p[n]))))
                n++;
        return n;
}

bool words_has_letter(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (is_letter(s[i]))
                        return true;
        return false;
}

/* ---- programs ---- */

size_t words_program(const struct words *r, size_t *whole)
{
        struct words at = *r;
        size_t len = words_count(&at, "_-./", true), pid;

        if (len == 0 || len > APP_MAX || !words_has_letter(at.p, len))
                return 0;
        at.p += len;
        if (((len == 3 && !memcmp(r->p, "CEF", 3)) || (len == 4 && !memcmp(r->p, "LEEF", 4))) && words_take(&at, ":")) {
                *whole = 0; /* the text of these begins with it */
                return len;
        }
        if (words_take(&at, "[")) {
                pid = words_count(&at, "_-.", true);
                at.p += pid;
                if (pid > PID_MAX || !words_take(&at, "]"))
                        return 0;
                words_take(&at, " "); /* IOS XR */
        }
        if (!words_take(&at, ":") || (words_left(&at) && !words_take(&at, " ")))
                return 0;
        *whole = (size_t)(at.p - r->p);
        return len;
}

bool words_is_mnemonic(const struct words *r)
{
        struct words at = *r;
        bool severity = false;
        size_t n;

        if (!words_take(&at, "%"))
                return false;
        if (words_take(&at, "$"))
                return true;
        n = words_count(&at, "_-", true);
        for (size_t i = 1; i + 1 < n; i++)
                severity |= at.p[i - 1] == '-' && at.p[i] >= '0' && at.p[i] <= '7' && at.p[i + 1] == '-';
        return severity;
}

/* ---- hosts ---- */

static bool is_v4(const char *s, size_t len)
{
        int dots = 0, digits = 0;

        for (size_t i = 0; i < len; i++) {
                dots += s[i] == '.';
                digits = s[i] == '.' ? 0 : digits + 1;
                if ((s[i] != '.' && !is_digit(s[i])) || digits > 3 || (s[i] == '.' && (i == 0 || s[i - 1] == '.')))
                        return false;
        }
        return dots == 3 && digits > 0;
}

static bool is_v6(const char *s, size_t len)
{
        const char *zone = memchr(s, '%', len);
        size_t n = zone ? (size_t)(zone - s) : len;
        int colons = 0;

        for (size_t i = 0; i < n; i++) {
                colons += s[i] == ':';
                if (!is_digit(s[i]) && !(s[i] >= 'a' && s[i] <= 'f') && !(s[i] >= 'A' && s[i] <= 'F') && s[i] != ':' &&
                    s[i] != '.')
                        return false;
        }
        return colons >= 2 && n <= 45;
}

size_t words_address(const char **s, size_t len)
{
        const char *at = *s, *end;

        if (len > 2 && *at == '[' && (end = memchr(at, ']', len))) {
                *s = at + 1;
                return is_v6(at + 1, (size_t)(end - at - 1)) ? (size_t)(end - at - 1) : 0;
        }
        end = memchr(at, ':', len);
        if (end && is_v4(at, (size_t)(end - at)))
                return (size_t)(end - at);
        return is_v4(at, len) || is_v6(at, len) ? len : 0;
}

size_t words_dots(const char *s, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++)
                n += s[i] == '.';
        return n;
}

bool words_is_host(const char *s, size_t len)
{
        struct words r = {s, s + len};

        return len > 0 && len <= HOST_MAX && words_count(&r, "._-/@", true) == len &&
               (words_has_letter(s, len) || words_dots(s, len) == 3) && (is_letter(*s) || is_digit(*s));
}
