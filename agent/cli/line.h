/*
 * line: a screen as lines of text with weights; what `top` and `tail` lay out
 * and screen.c draws.  Pure.
 *
 * For a serial console without colour: weights are all that the terminal adds
 * to the words, and none of them says what the words don't.
 */
#ifndef MILLRACE_CLI_LINE_H
#define MILLRACE_CLI_LINE_H

#include <stdarg.h>

enum {
        LINE_COLS_MIN = 40,
        LINE_COLS_MAX = 240,
        LINE_ROWS_MAX = 200,
        LINE_BYTES = LINE_COLS_MAX * 3 + 1, /* a block and a Braille pattern have three bytes */
        LINE_MARKS = 8,
};

enum line_weight { LINE_PLAIN, LINE_TITLE, LINE_HEAD, LINE_WARN, LINE_BAD, LINE_GOOD, LINE_DIM };

struct line {
        char text[LINE_BYTES];
        enum line_weight weight;
        struct {
                int from; /* in bytes */
                enum line_weight weight;
        } marks[LINE_MARKS]; /* from there on another weight */
        int n_marks;
};

/* Cut after `cols` columns, between characters. */
void line_vput(struct line *l, enum line_weight weight, int cols, const char *fmt, va_list args);
void line_put(struct line *l, enum line_weight weight, int cols, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

/*
 * At column `at`, in `cols` columns, with a weight of its own; what was there
 * before is to end before it.  Longer text is cut.
 */
void line_add(struct line *l, int at, int cols, enum line_weight weight, const char *text);

/* The numbers of rows and columns, held within bounds. */
void line_bound(int *rows, int *cols);

#endif
