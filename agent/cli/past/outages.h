/*
 * outages: which events belong together: what began with one and ended with
 * another, and how long it lasted.
 *
 * Pure: events in order of seq in, spans of time out.  The agent tells each
 * thing anew that is wrong after its start, and nothing of what is well.  So
 * what was open when it ended goes on when it is told again soon; else it was
 * over when the agent was there again, at the latest.
 *
 * When the clock was set, what is open of this run began as much earlier or
 * later: else a gateway that starts in 1970 has outages of fifty years.
 *
 * Memory: grows to OUTAGES_MOST; those beyond are counted.
 */
#ifndef MILLRACE_CLI_PAST_OUTAGES_H
#define MILLRACE_CLI_PAST_OUTAGES_H

#include "agent/cli/past/event.h"

enum { OUTAGES_MOST = 20000 };

enum outage_end {
        OUTAGE_GOES_ON,
        OUTAGE_ENDED,
        OUTAGE_BY_RESTART, /* not told any more after the agent's start at to_us */
};

struct outage {
        char kind[PAST_KIND], subject[PAST_SUBJECT], what[PAST_WORDS];
        int severity; /* the worst */
        int64_t from_us, to_us;
        bool from_known; /* else: at from_us or later (the agent's own), or earlier (its begin is not there any more) */
        enum outage_end end;
        bool echo; /* of a condition that another outage tells, too */
};

struct outages {
        struct outage *v;
        size_t n, cap, n_left_out;
        struct outage_open *open;
        size_t n_open, cap_open;
        int64_t first_us, last_us; /* of all events; 0: there was none */
        uint64_t n_starts;
        bool off; /* the agent is: it said so */
};

void outages_fini(struct outages *o);

/* How long what ended with the event had lasted; -1: nothing did, or not known. */
int64_t outages_take(struct outages *o, const struct past_event *v);

/* No more events: what is open then goes on at `now_us`. */
void outages_end(struct outages *o, int64_t now_us);

#endif
