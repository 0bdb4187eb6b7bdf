/*
 * top_view: what `millrace top` shows, as lines of text.  Pure: a status object
 * and a history in, lines out; the terminal is top.c's.
 *
 * Made for a serial console of 80×24 without colour: what matters is in words,
 * a line's weight (title, warning) is all that the terminal adds.
 */
#ifndef MILLRACE_CLI_TOP_VIEW_H
#define MILLRACE_CLI_TOP_VIEW_H

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

struct top_screen {
        int rows, cols; /* given; smaller or larger ones are held within bounds */
        bool utf8, paused;
        bool show_alarms;    /* instead of the drivers */
        int scroll;          /* lines of the list left out at the top; corrected when there are not so many */
        int cursor;          /* the alarm the keys are for; likewise */
        const char *notice;  /* what came of a key; NULL: nothing */
        const char *clock;   /* time of day */
        const char *trouble; /* NULL: the status is fresh; else why not */
        struct line lines[LINE_ROWS_MAX];
};

/*
 * The reply to "alarms" as a list: unacknowledged first, then the severest,
 * then the latest. The caller's.
 */
json_t *top_sort_alarms(const json_t *reply);

/* `status` and `alarms` (sorted) may be NULL: nothing has been heard yet. */
void top_layout(struct top_screen *s, const json_t *status, const json_t *alarms, const struct top_history *h);

#endif
