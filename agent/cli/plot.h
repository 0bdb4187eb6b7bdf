/*
 * plot: one tag's readings over time, in columns of equal spans, and the
 * drawing of it in characters.
 *
 * A column keeps least, most and last value, so that no peak is lost however
 * many readings fall into it.  Pure: readings and times in, rows of text out.
 * `struct plot` is large (30 KB); its owner is the caller.
 */
#ifndef MILLRACE_CLI_PLOT_H
#define MILLRACE_CLI_PLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/reading.h"
#include "agent/cli/line.h"

enum {
        PLOT_DOTS_X = 2, /* of a Braille pattern: so many columns are in one character */
        PLOT_COLUMNS = LINE_COLS_MAX * PLOT_DOTS_X,
        PLOT_BRIDGE = 3, /* columns: points nearer than this are joined, what is farther apart is a gap */
};

struct plot_column {
        double least, most, last; /* when n */
        unsigned n, n_uncertain, n_bad;
};

struct plot {
        int64_t span_us; /* of a column */
        int64_t newest;  /* number of the newest column: time / span_us */
        bool any;        /* a reading was added */
        struct plot_column ring[PLOT_COLUMNS];
        struct reading last; /* by time; its text is not kept */
};

/*
 * The smallest round span that lets `columns` of them reach from one time to
 * the other, at least one per reading.
 */
int64_t plot_span_us(int64_t from_us, int64_t to_us, uint64_t n_readings, int columns);

void plot_init(struct plot *p, int64_t span_us);

/*
 * Numbers and booleans are drawn; bad readings and texts are marked. One older
 * than the ring reaches is left out.
 */
void plot_add(struct plot *p, const struct reading *r);

/* Number `column`; none of it: all 0. */
struct plot_column plot_at(const struct plot *p, int64_t column);

struct plot_scale {
        double low, high, step; /* round numbers around what was asked, about three rows apart */
};
struct plot_scale plot_scale(double least, double most, int rows);

/*
 * `n` columns as `rows` lines of text, highest value first: Braille patterns
 * (PLOT_DOTS_X columns a character), or with !braille one '*' a column.  Values
 * outside of the scale lie on its edge.
 */
void plot_rows(const struct plot_column *columns, int n, const struct plot_scale *scale, int rows, bool braille,
               char out[][LINE_BYTES]);

/* The row of plot_rows() a value lies in. */
int plot_row_of(const struct plot_scale *scale, double value, int rows);

/* 'x' bad, '~' uncertain, '-' good, '.' nothing: the worst of `n` columns. */
char plot_mark(const struct plot_column *columns, int n);

#endif
