/*
 * excerpt: see excerpt.h.
 *
 * A tab is shown as an arrow, since it is what most often should not be there,
 * and so that the mark stands where it should.  A line that is too long is cut
 * on both sides of the place.  Lines that may hold a secret are not shown: what
 * a check prints lands in logs and mails.
 *
 * Fails: silently; the fault's own line is the message.
 */
#include "agent/cli/excerpt.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/file.h"
#include "agent/config/yaml.h"

enum { BEFORE = 60 }; /* columns in front of the place, of a long line */

static const char *find_line(const char *text, size_t len, int line, size_t *n)
{
        const char *s = text, *end = text + len, *stop;

        for (; line > 1; line--) {
                s = memchr(s, '\n', (size_t)(end - s));
                if (!s)
                        return NULL;
                s++;
        }
        stop = memchr(s, '\n', (size_t)(end - s));
        *n = (size_t)((stop ? stop : end) - s);
        return s;
}

/* user:password@ of an address. */
static bool has_login(const char *s, size_t n)
{
        const char *at = memmem(s, n, "://", 3), *end = s + n;

        return at && memchr(at, '@', (size_t)(end - at));
}

static bool may_be_secret(const char *s, size_t n)
{
        static const char *const words[] = {"password", "secret", "passphrase", "jaas", "token", "private"};

        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                for (size_t k = 0, len = strlen(words[i]); k + len <= n; k++)
                        if (strncasecmp(s + k, words[i], len) == 0)
                                return true;
        return has_login(s, n);
}

static size_t put_char(char *out, const char *s, size_t n)
{
        if (*s == '\t')
                return (size_t)sprintf(out, "→");
        if (n == 2 && (unsigned char)*s == 0xc2 && (unsigned char)s[1] < 0xa0) {
                *out = '?';
                return 1;
        }
        memcpy(out, s, n);
        if (n == 1 && ((unsigned char)*s < 0x20 || *s == 0x7f || (unsigned char)*s >= 0x80))
                *out = '?';
        return n;
}

/* Columns `from` to `from` + EXCERPT_COLS; the count of bytes. */
static size_t put_window(char *out, const char *s, size_t len, int from)
{
        int column = 0;
        size_t n = 0;

        if (from > 0)
                n = (size_t)sprintf(out, "…");
        for (size_t i = 0, size; i < len; i += size, column++) {
                size = text_char(s + i, len - i);
                size = size ? size : 1;
                if (column >= from + EXCERPT_COLS)
                        return n + (size_t)sprintf(out + n, "…");
                if (column >= from && s[i] != '\r')
                        n += put_char(out + n, s + i, size);
        }
        return n;
}

void excerpt(const char *text, size_t len, int line, int column, char out[EXCERPT_BYTES])
{
        size_t size = 0, n;
        const char *s = line > 0 ? find_line(text, len, line, &size) : NULL;
        int from = column > EXCERPT_COLS ? column - BEFORE : 0;

        out[0] = '\0';
        if (!s || column < 1 || (size_t)column > size + 1 || may_be_secret(s, size))
                return;
        n = (size_t)sprintf(out, "%6d | ", line);
        n += put_window(out + n, s, size, from);
        sprintf(out + n, "\n       | %*s^\n", column - 1 - from + (from > 0), "");
}

/* The last file that was read. */
struct page {
        const char *file;
        char *text;
        size_t len;
};

static void turn_to(struct page *p, const char *file)
{
        if (p->file && strcmp(p->file, file) == 0)
                return;
        free(p->text);
        p->file = file;
        p->text = file_read(file, CONFIG_BYTES_MAX, &p->len);
}

void excerpt_faults(const struct faults *f, FILE *out)
{
        struct page page = {0};
        char lines[EXCERPT_BYTES];

        for (size_t i = 0; i < f->n; i++) {
                const struct schema_at *at = &f->items[i].at;

                fault_print(&f->items[i], out);
                if (at->line < 1 || (at->line == 1 && at->column == 1)) /* of the file as a whole */
                        continue;
                turn_to(&page, at->file);
                if (!page.text)
                        continue;
                excerpt(page.text, page.len, at->line, at->column, lines);
                fputs(lines, out);
        }
        if (f->n_more)
                fprintf(out, "and %zu more\n", f->n_more);
        if (f->n + f->n_more > 1)
                fprintf(out, "%zu faults\n", f->n + f->n_more);
        free(page.text);
}
