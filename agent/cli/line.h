/*
 * line: a screen as lines of text with a weight each; what `top` and `tail` lay
 * out and screen.c draws.  Pure.
 *
 * For a serial console without colour: a line's weight is all that the terminal
 * adds to the words.
 */
#ifndef MILLRACE_CLI_LINE_H
#define MILLRACE_CLI_LINE_H

#include <stdarg.h>

enum {
        LINE_COLS_MIN = 40,
        LINE_COLS_MAX = 240,
        LINE_ROWS_MAX = 200,
        LINE_BYTES = LINE_COLS_MAX * 3 + 1, /* a block and a Braille pattern have three bytes */
};

enum line_weight { LINE_PLAIN, LINE_TITLE, LINE_HEAD, LINE_WARN };

struct line {
        char text[LINE_BYTES];
        enum line_weight weight;
};

/* Cut after `cols` columns, between characters. */
void line_vput(struct line *l, enum line_weight weight, int cols, const char *fmt, va_list args);
void line_put(struct line *l, enum line_weight weight, int cols, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

/* The numbers of rows and columns, held within bounds. */
void line_bound(int *rows, int *cols);

#endif
