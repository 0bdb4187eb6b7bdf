/*
 * line: see line.h.
 *
 * Lines are put together in bytes and cut in columns, so that a graph of
 * three-byte characters does not push anything over the edge.  Fails never:
 * what has no room is cut.
 */
#include "agent/cli/line.h"

#include <stdio.h>

/* A byte that goes on with a character takes no column. */
static void cut(char *s, int cols)
{
        int n = 0;

        for (; *s; s++) {
                if (((unsigned char)*s & 0xc0) == 0x80)
                        continue;
                if (n++ == cols) {
                        *s = '\0';
                        return;
                }
        }
}

void line_vput(struct line *l, enum line_weight weight, int cols, const char *fmt, va_list args)
{
        l->weight = weight;
        vsnprintf(l->text, sizeof(l->text), fmt, args);
        cut(l->text, cols);
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
