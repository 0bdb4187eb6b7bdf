/*
 * history: the last minutes of a number, as a line of blocks.  Pure.
 */
#ifndef MILLRACE_CLI_TOP_HISTORY_H
#define MILLRACE_CLI_TOP_HISTORY_H

#include <jansson.h>
#include <stdbool.h>

#include "agent/cli/line.h"

enum {
        TOP_BUCKET_S = 5, /* of a column of a sparkline */
        TOP_BUCKETS = LINE_COLS_MAX,
};

enum top_series { TOP_IN, TOP_OUT, TOP_HELD, TOP_SERIES };

/* Means of five seconds each, a ring; the last bucket is still filling. */
struct top_history {
        struct {
                double sum[TOP_SERIES];
                unsigned n;
        } buckets[TOP_BUCKETS];
        unsigned last; /* counts up */
        bool any;
        long bucket_s; /* time of the last bucket */
};

/*
 * A sample of the second `now_s` (any clock that only grows). Seconds without
 * one leave gaps.
 */
void top_history_add(struct top_history *h, const json_t *status, long now_s);

/*
 * The last `width` buckets, oldest first: blocks, or with !utf8 one of "
 * .:-=+*#". Scaled to the largest, told in *most.
 */
void top_spark(const struct top_history *h, enum top_series series, unsigned width, bool utf8, char *out, double *most);

/*
 * `n` values, oldest first, NAN where there is none, from the smallest of them
 * to the largest; all the same: half up.
 */
void top_curve(const double *values, int n, bool utf8, char *out);

#endif
