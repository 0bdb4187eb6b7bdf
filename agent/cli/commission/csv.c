/*
 * csv: see csv.h.
 *
 * Quotes as RFC 4180 has them; a quote that is never closed ends with its line,
 * so that one slip does not swallow the rest of the file.  Spreadsheets of the
 * West write Windows-1252 when they are not asked: what is not UTF-8 is taken
 * as that.
 *
 * Fails: never.
 */
#include "agent/cli/commission/csv.h"

#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"

static char choose_separator(const char *s)
{
        static const char separators[] = {',', ';', '\t'};
        size_t best = 0, n[3] = {0};

        for (; *s && *s != '\n'; s++)
                for (size_t i = 0; i < 3; i++)
                        n[i] += *s == separators[i];
        for (size_t i = 1; i < 3; i++)
                best = n[i] > n[best] ? i : best;
        return separators[best];
}

void csv_init(struct csv *c, char *text, size_t len)
{
        text[len] = '\0';
        *c = (struct csv){.at = text, .end = text + len};
        if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
                c->at += 3;
        c->separator = choose_separator(c->at);
}

/*
 * Where the quoted text ends, which is written to its beginning; NULL: never
 * closed.
 */
static char *unquote(char *from, const char *line_end, char **end)
{
        char *to = from, *s = from + 1;

        for (; s < line_end; s++) {
                if (*s == '"' && s[1] != '"')
                        break;
                s += *s == '"';
        }
        if (s >= line_end)
                return NULL;
        *end = s + 1;
        for (char *p = from + 1; p < s; p++) {
                p += *p == '"';
                *to++ = *p;
        }
        *to = '\0';
        return to;
}

static char *trim(char *s, char *end)
{
        while (end > s && (end[-1] == ' ' || end[-1] == '\r' || end[-1] == '\t'))
                end--;
        *end = '\0';
        while (*s == ' ' || *s == '\t')
                s++;
        return s;
}

static void split(struct csv *c, char *s, char *line_end)
{
        c->n = 0;
        for (;;) {
                char *quoted = s, *end, *text_end;

                while (*quoted == ' ')
                        quoted++;
                end = quoted;
                text_end = *quoted == '"' ? unquote(quoted, line_end, &end) : NULL;
                if (!text_end)
                        quoted = s;
                while (end < line_end && *end != c->separator)
                        end++;
                if (c->n < CSV_FIELDS_MAX)
                        c->field[c->n++] = trim(quoted, text_end ? text_end : end);
                if (end >= line_end)
                        return;
                s = end + 1;
        }
}

bool csv_next(struct csv *c)
{
        while (c->at < c->end) {
                char *line = c->at, *end = memchr(line, '\n', (size_t)(c->end - line));

                end = end ? end : c->end;
                c->at = end + 1;
                c->line++;
                if (strspn(line, " \t\r,;") >= (size_t)(end - line))
                        continue;
                *end = '\0';
                split(c, line, end);
                return true;
        }
        return false;
}

char *csv_utf8(const char *text, size_t *len)
{
        static const unsigned short high[32] = {0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
                                                0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
                                                0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                                0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};
        bool is_utf8 = text_is_utf8(text, *len);
        char *out = mem_alloc(3 * *len + 1);
        size_t n = 0;

        for (size_t i = 0; i < *len; i++) {
                unsigned b = (unsigned char)text[i];
                unsigned c = b >= 0x80 && b < 0xa0 ? high[b - 0x80] : b;

                if (is_utf8 || c < 0x80) {
                        out[n++] = b ? (char)b : ' ';
                        continue;
                }
                if (c >= 0x800)
                        out[n++] = (char)(0xe0 | c >> 12);
                out[n++] = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6);
                out[n++] = (char)(0x80 | (c & 0x3f));
        }
        *len = n;
        return out;
}
