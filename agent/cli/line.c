/*
 * line: see line.h.
 *
 * Lines are put together in bytes and cut in columns, so that a graph of
 * three-byte characters does not push anything over the edge.  Fails never:
 * what has no room is cut.
 */
#include "agent/cli/line.h"

#include <stdio.h>
#include <string.h>

#include "agent/cli/fit.h"

void line_vput(struct line *l, enum line_weight weight, int cols, const char *fmt, va_list args)
{
        l->weight = weight;
        l->n_marks = 0;
        vsnprintf(l->text, sizeof(l->text), fmt, args);
        l->text[fit_bytes(l->text, (size_t)cols)] = '\0';
}

static void mark(struct line *l, size_t from, enum line_weight weight)
{
        enum line_weight now = l->n_marks ? l->marks[l->n_marks - 1].weight : l->weight;

        if (now == weight || l->n_marks == LINE_MARKS)
                return;
        l->marks[l->n_marks].from = (int)from;
        l->marks[l->n_marks++].weight = weight;
}

void line_add(struct line *l, int at, int cols, enum line_weight weight, const char *text)
{
        size_t end = strlen(l->text), width = fit_width(l->text), n = cols > 0 ? fit_bytes(text, (size_t)cols) : 0;

        if (end < LINE_BYTES && width < (size_t)at) {
                mark(l, end, LINE_PLAIN);
                end += (size_t)snprintf(l->text + end, sizeof(l->text) - end, "%*s", at - (int)width, "");
        }
        if (end + n >= LINE_BYTES || n == 0)
                return;
        mark(l, end, weight);
        memcpy(l->text + end, text, n);
        l->text[end + n] = '\0';
}

void line_put(struct line *l, enum line_weight weight, int cols, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        line_vput(l, weight, cols, fmt, args);
        va_end(args);
}

static int within(int n, int least, int most)
{
        return n < least ? least : n > most ? most : n;
}

void line_bound(int *rows, int *cols)
{
        *rows = within(*rows, 2, LINE_ROWS_MAX);
        *cols = within(*cols, LINE_COLS_MIN, LINE_COLS_MAX);
}
