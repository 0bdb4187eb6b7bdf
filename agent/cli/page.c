/*
 * page: see page.h.
 *
 * What is folded ends at blanks, so that a command in it can be copied line by
 * line.  Fails never: a terminal narrower than the indent folds at characters.
 */
#include "agent/cli/page.h"

#include <string.h>

#include "agent/cli/fit.h"

enum { APART = 4, LEAST = 16 };

void page_words(struct out *o, enum out_colour colour, const char *head, size_t indent, const char *text)
{
        size_t at = fit_width(head), most = o->cols > at + LEAST ? o->cols - at : o->cols ? LEAST : SIZE_MAX;

        fprintf(o->f, "%s%s%s", colour ? out_on(o, colour) : "", head, colour ? out_off(o) : "");
        while (text) {
                const char *next;
                size_t n = fit_line(text, most, &next);

                fprintf(o->f, "%.*s\n", (int)n, text);
                text = next;
                if (text)
                        fprintf(o->f, "%*s", (int)indent, "");
                most = o->cols > indent + LEAST ? o->cols - indent : most;
        }
}

/* Columns of the line's first `n` bytes; what sets a colour has none. */
static size_t shown_width(const char *line, size_t n)
{
        char plain[512];
        size_t at = 0;

        for (size_t i = 0; i < n && at + 1 < sizeof(plain); i++) {
                if (line[i] == '\033')
                        while (i < n && line[i] != 'm')
                                i++;
                else
                        plain[at++] = line[i];
        }
        plain[at] = '\0';
        return fit_width(plain);
}

static size_t widest(const char *lines)
{
        size_t most = 0;

        while (*lines) {
                size_t n = strcspn(lines, "\n"), width = shown_width(lines, n);

                most = width > most ? width : most;
                lines += n + (lines[n] == '\n');
        }
        return most;
}

void page_beside(struct out *o, const char *left, const char *right)
{
        size_t to = widest(left) + APART;

        if (!o->terminal || !o->cols || to + widest(right) > o->cols) {
                fprintf(o->f, "%s%s", left, right);
                return;
        }
        while (*left || *right) {
                size_t n = strcspn(left, "\n"), m = strcspn(right, "\n");

                fprintf(o->f, "%.*s", (int)n, left);
                if (m)
                        fprintf(o->f, "%*s%.*s", (int)(to - shown_width(left, n)), "", (int)m, right);
                fputc('\n', o->f);
                left += n + (left[n] == '\n');
                right += m + (right[m] == '\n');
        }
}
