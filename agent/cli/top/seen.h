/*
 * seen: what the spool's file had of late: each tag's last reading and its
 * values of the last minutes, and the last events.  Pure: rows in.
 */
#ifndef MILLRACE_CLI_TOP_SEEN_H
#define MILLRACE_CLI_TOP_SEEN_H

#include "agent/base/tags.h"
#include "agent/base/text.h"
#include "agent/cli/top/history.h"
#include "store/inspect/query.h"

enum {
        SEEN_TAGS_MAX = 2000,
        SEEN_EVENTS_MAX = 200,
        SEEN_COLUMNS = 120,
        SEEN_HELD = 12, /* columns for which a value counts as still there */
        SEEN_WORDS = 600,
};

struct seen_tag {
        char name[TEXT_NAME_MAX + TAGS_IDENT_MAX + 2], unit[24], value[48];
        unsigned quality;
        int64_t ts_us;
        float values[SEEN_COLUMNS]; /* a ring by time; NAN: none */
        int64_t newest;             /* number of the newest column, since 1970 */
};

struct seen_event {
        int64_t ts_us;
        enum line_weight weight;
        char kind[32], words[SEEN_WORDS];
};

struct seen {
        struct seen_tag *tags; /* by name */
        size_t n_tags, n_more; /* readings of further tags, for which there is no room */
        struct seen_event *events;
        uint64_t n_events; /* that ever came; the last SEEN_EVENTS_MAX are there */
};

void seen_init(struct seen *s);
void seen_fini(struct seen *s);
void seen_forget(struct seen *s); /* the file is another one */

/*
 * `now_us`: wall clock.  What is from later stands until the next one comes, and
 * is in the curve where now is.
 */
void seen_reading(struct seen *s, const struct spool_query_row *row, int64_t now_us);
void seen_event(struct seen *s, const struct spool_query_row *row);

/* `ago` 0: the latest.  NULL: there are not so many. */
const struct seen_event *seen_event_at(const struct seen *s, uint64_t ago);

/* The values of the last `n` columns up to now, oldest first. */
void seen_curve(const struct seen_tag *t, int64_t now_us, int n, double *values);

#endif
