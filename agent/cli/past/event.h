/*
 * event: one event of the spool in words: whom it is about, what happened, and
 * whether something began with it or ended.
 *
 * Pure: a row in, words out.  The row comes from a file, so each member may be
 * absent or of another type; a kind that this program does not know is shown by
 * its members.
 */
#ifndef MILLRACE_CLI_PAST_EVENT_H
#define MILLRACE_CLI_PAST_EVENT_H

#include <jansson.h>

#include "store/inspect/query.h"

enum past_edge { PAST_POINT, PAST_BEGAN, PAST_ENDED };

enum { PAST_KIND = 24, PAST_SUBJECT = 336, PAST_KEY = 480, PAST_WORDS = 480 };

struct past_event {
        int64_t ts_us;
        uint64_t seq;
        int severity;
        char kind[PAST_KIND];
        char subject[PAST_SUBJECT];
        char key[PAST_KEY]; /* what begins and ends under it is one thing */
        enum past_edge edge;
        int64_t duration_us; /* of what has ended, when the event says so; else -1 */
        int64_t step_us;     /* the clock was set by it, just before */
        char what[PAST_WORDS], todo[PAST_WORDS];
        bool starts, stops; /* the agent itself does */
        bool echo;          /* a condition whose link, device or spool is told of as itself, too */
};

/* *members, when asked for: all that the event says, the caller's. */
void past_read(struct past_event *out, const struct spool_query_row *row, json_t **members);

/* The kinds that are known, from 0; NULL behind the last. */
const char *past_kind(size_t i);

/* "12s", "3h 12m"; "0.4s" below a second. */
void past_put_duration(char *out, size_t cap, int64_t us);

#endif
