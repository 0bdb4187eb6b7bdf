/*
 * fit: see fit.h.
 *
 * Why not wcwidth: it knows what the locale knows, and a gateway's is often C,
 * where every name that is not ASCII would have no width at all.  The ranges
 * are those of Unicode's wide and full-width blocks, and of what stands upon
 * the character before it.  Fails never: a byte that is no UTF-8 is one column.
 */
#include "agent/cli/fit.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"

struct range {
        uint32_t first, last;
};

static const struct range wide[] = {
        {0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},
        {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd},
};
static const struct range marks[] = {
        {0x0300, 0x036f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};

static bool is_in(const struct range *ranges, size_t n, uint32_t c)
{
        for (size_t i = 0; i < n; i++)
                if (c >= ranges[i].first && c <= ranges[i].last)
                        return true;
        return false;
}

/* The character at `s`: its bytes, and its columns. */
static size_t look(const char *s, size_t *cols)
{
        static const unsigned char head[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
        size_t len = (unsigned char)*s < 0x80 ? 1 : text_char(s, strnlen(s, 4));
        uint32_t c = (unsigned char)*s & head[len];

        *cols = 1;
        if (len < 2)
                return 1;
        for (size_t i = 1; i < len; i++)
                c = c << 6 | ((unsigned char)s[i] & 0x3f);
        if (c >= marks[0].first && is_in(marks, sizeof(marks) / sizeof(*marks), c))
                *cols = 0;
        else if (c >= wide[0].first && is_in(wide, sizeof(wide) / sizeof(*wide), c))
                *cols = 2;
        return len;
}

size_t fit_width(const char *s)
{
        size_t n = 0, cols;

        while (*s) {
                s += look(s, &cols);
                n += cols;
        }
        return n;
}

size_t fit_bytes(const char *s, size_t cols)
{
        size_t at = 0, n = 0, one;

        while (s[at]) {
                size_t len = look(s + at, &one);

                if (n + one > cols)
                        break;
                n += one;
                at += len;
        }
        return at;
}

/* Where the last characters begin that have room in `cols` columns. */
static const char *tail_of(const char *s, size_t cols)
{
        size_t left = fit_width(s), one;

        while (left > cols) {
                s += look(s, &one);
                left -= one;
        }
        while (*s && (look(s, &one), one == 0))
                s += look(s, &one);
        return s;
}

void fit_elide(char *out, size_t cap, const char *s, size_t cols, bool utf8)
{
        size_t head = cols > 0 ? (cols - 1) / 2 : 0;

        if (fit_width(s) <= cols)
                snprintf(out, cap, "%s", s);
        else if (cols == 0)
                *out = '\0';
        else
                snprintf(out, cap, "%.*s%s%s", (int)fit_bytes(s, head), s, utf8 ? "…" : "~",
                         tail_of(s, cols - 1 - head));
}

static size_t without_blanks(const char *s, size_t n)
{
        while (n > 1 && s[n - 1] == ' ')
                n--;
        return n;
}

size_t fit_line(const char *s, size_t cols, const char **next)
{
        size_t most = fit_bytes(s, cols), end, one;

        *next = NULL;
        if (!s[most])
                return without_blanks(s, most);
        most = most ? most : look(s, &one);
        for (end = most; end > 0 && s[end] != ' ';)
                end--;
        end = end ? end : most;
        *next = s + end + strspn(s + end, " ");
        if (!**next)
                *next = NULL;
        return without_blanks(s, end);
}
