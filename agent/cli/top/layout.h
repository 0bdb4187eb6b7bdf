/*
 * layout: what `millrace top` shows, as lines of text.  Pure: a status object,
 * a history and what the spool's file had in, lines out; the terminal is
 * top.c's.
 *
 * From above: the verdict, what is wrong with the way out, the river (sources →
 * spool → Kafka), then panes, as many as there is room for: sources with their
 * devices, tags, events, alarms.  Made for a serial console of 80×24 without
 * colour up to a wall of 200×50: what matters is in words.
 */
#ifndef MILLRACE_CLI_TOP_LAYOUT_H
#define MILLRACE_CLI_TOP_LAYOUT_H

#include "agent/cli/top/seen.h"

enum top_pane { TOP_SOURCES, TOP_TAGS, TOP_EVENTS, TOP_ALARMS, TOP_PANES };

struct top_screen {
        int rows, cols; /* given; smaller or larger ones are held within bounds */
        bool utf8, paused, utc;
        enum top_pane pane;    /* that the arrows are for; always shown */
        int scroll[TOP_PANES]; /* lines left out at the top; corrected when there are not so many */
        int cursor;            /* the alarm the keys are for; likewise */
        int64_t now_us;        /* of day */
        const char *notice;    /* what came of a key; NULL: nothing */
        const char *clock;     /* time of day */
        const char *trouble;   /* NULL: the status is fresh; else why not */
        const char *no_file;   /* NULL: the spool's file is read; else why not */
        struct line lines[LINE_ROWS_MAX];
};

struct top_data {
        const json_t *status, *alarms; /* alarms sorted; NULL: nothing has been heard yet */
        const struct top_history *history;
        const struct seen *seen;
};

/*
 * The reply to "alarms" as a list: unacknowledged first, then the severest,
 * then the latest. The caller's.
 */
json_t *top_sort_alarms(const json_t *reply);
/*
 * The row of `chosen`, an alarm of an older list or NULL; `row` when it is not
 * there any more.
 */
int top_alarm_row(const json_t *alarms, const json_t *chosen, int row);

void top_layout(struct top_screen *s, const struct top_data *d);

#endif
