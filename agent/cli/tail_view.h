/*
 * tail_view: what `millrace tail` shows of one tag, as lines of text.  Pure: a
 * plot and a time in, lines out; the terminal is tail.c's.  Made for 80×24 in
 * plain ASCII; with `braille` the curve is drawn finer.
 */
#ifndef MILLRACE_CLI_TAIL_VIEW_H
#define MILLRACE_CLI_TAIL_VIEW_H

#include "agent/cli/plot.h"

enum { TAIL_LABEL = 10 }; /* width of the values beside the axis */

struct tail_screen {
        int rows, cols; /* given; smaller or larger ones are held within bounds */
        bool braille, paused;
        bool utc;       /* times are */
        bool live;      /* the right edge is now, not the newest reading; keys are told of */
        int64_t now_us; /* live: the present */
        const char *source, *tag, *unit;
        const char *trouble; /* NULL: none */
        struct line lines[LINE_ROWS_MAX];
};

/* Columns of a plot that a screen of so many characters has room for. */
int tail_columns(int cols, bool braille);

void tail_layout(struct tail_screen *s, const struct plot *p);

#endif
