/*
 * pane: lines of text in a part of the screen, scrolled, with a head.
 *
 * A pane makes all its lines and shows some of them: that is simpler than to
 * know beforehand how many a folded reason takes, and a thousand devices are
 * two thousand short texts a second.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/cli/fit.h"
#include "agent/cli/top/parts.h"

enum { WORDS_LEAST = 16 };

void part_put(struct top_screen *s, struct box b, int row, enum line_weight weight, const char *text)
{
        if (row >= 0 && row < b.rows && b.row + row < s->rows)
                line_add(&s->lines[b.row + row], b.col, b.cols, weight, text);
}

void part_printf(struct top_screen *s, struct box b, int row, enum line_weight weight, const char *fmt, ...)
{
        char text[2 * LINE_BYTES];
        va_list args;

        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        part_put(s, b, row, weight, text);
}

void part_cell(char *out, size_t cap, const char *text, int cols, bool right, bool utf8)
{
        char shown[LINE_BYTES];
        int pad;

        fit_elide(shown, sizeof(shown), text, (size_t)(cols > 0 ? cols : 0), utf8);
        pad = cols - (int)fit_width(shown);
        pad = pad > 0 ? pad : 0;
        snprintf(out, cap, "%*s%s%*s", right ? pad : 0, "", shown, right ? 0 : pad, "");
}

static void add(struct pane *p, enum line_weight weight, const char *text)
{
        if (p->n == p->cap) {
                p->cap = 2 * p->cap + 32;
                p->v = mem_grow(p->v, (size_t)p->cap, sizeof(*p->v));
        }
        p->v[p->n++] = (struct pane_line){mem_strdup(text), weight};
}

void pane_add(struct pane *p, enum line_weight weight, const char *fmt, ...)
{
        char text[2 * LINE_BYTES];
        va_list args;

        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        add(p, weight, text);
}

void pane_words(struct pane *p, enum line_weight weight, const char *first, int indent, const char *words)
{
        int at = (int)fit_width(first);

        while (words) {
                int most = p->cols - at > WORDS_LEAST ? p->cols - at : WORDS_LEAST;
                const char *next;
                size_t n = fit_line(words, (size_t)most, &next);

                if (first)
                        pane_add(p, weight, "%s%.*s", first, (int)n, words);
                else
                        pane_add(p, weight, "%*s%.*s", indent, "", (int)n, words);
                words = next;
                first = NULL;
                at = indent;
        }
}

static int within(int n, int most)
{
        return n > most ? (most > 0 ? most : 0) : n < 0 ? 0 : n;
}

/* The cursor is always among the lines that are shown. */
static void follow_cursor(struct top_screen *s, const struct pane *p, int room)
{
        int *scroll = &s->scroll[TOP_ALARMS];

        s->cursor = within(s->cursor, p->n - 1);
        if (s->cursor < *scroll)
                *scroll = s->cursor;
        if (s->cursor >= *scroll + room)
                *scroll = s->cursor - room + 1;
}

void pane_draw(struct top_screen *s, struct box b, enum top_pane which, struct pane *p)
{
        int room = b.rows - 1, *scroll = &s->scroll[which];
        char head[LINE_BYTES];

        if (p->n > room && room > 1)
                room--;
        part_cell(head, sizeof(head), p->head, b.cols, false, s->utf8);
        part_put(s, b, 0, which == s->pane ? LINE_TITLE : LINE_HEAD, head);
        *scroll = within(*scroll, p->n - room);
        if (which == TOP_ALARMS)
                follow_cursor(s, p, room);
        for (int i = 0; i < room && *scroll + i < p->n; i++) {
                const struct pane_line *l = &p->v[*scroll + i];
                bool chosen = which == TOP_ALARMS && *scroll + i == s->cursor;

                part_printf(s, b, 1 + i, l->weight, "%s%s", chosen ? ">" : " ", l->text);
        }
        if (p->n > room)
                part_printf(s, b, 1 + room, LINE_DIM, " %d to %d of %d lines%s", *scroll + 1, *scroll + room, p->n,
                            which == s->pane ? ", arrows for the others" : "");
        if (p->n == 0 && p->empty)
                part_printf(s, b, 1, LINE_DIM, " %s", p->empty);
        for (int i = 0; i < p->n; i++)
                free(p->v[i].text);
        free(p->v);
}
