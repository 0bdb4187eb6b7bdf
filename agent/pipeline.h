/*
 * pipeline: the one place where readings meet the spool.
 *
 * Driver → pipeline → spool.  Between the two stand the rules (later) and the decision what happens when the spool can't
 * take more: a source that can wait is told to, one that can't has its readings dropped by name.  Also makes the agent's
 * own events (link, pause, drop), which travel the events lane.  Loop thread; borrows readings for the call.
 */
#ifndef MILLRACE_AGENT_PIPELINE_H
#define MILLRACE_AGENT_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reading.h"
#include "agent/base/rt.h"
#include "agent/base/tags.h"
#include "store/spool.h"

enum { PIPELINE_E_WAIT = 1 };

struct pipeline {
        struct rt *rt;
        struct tags *tags;
        struct spool *spool;
        bool clock_unsynced;
        uint64_t n_refused; /* readings that got a seq and a line in the ledger, not a row; since start */
};

void pipeline_init(struct pipeline *p, struct rt *rt, struct tags *tags, struct spool *spool);

/* All of them or none. PIPELINE_E_WAIT only when `may_wait`: nothing was taken, wait for the spool's on_room. */
int pipeline_take(struct pipeline *p, const struct reading *r, size_t n, bool may_wait);

/* An event of the agent's own; `members` is the rest of the JSON object after kind and severity, may be "". */
void pipeline_event(struct pipeline *p, const char *kind, int severity, uint32_t tag_or_none, const char *members, ...)
        __attribute__((format(printf, 5, 6)));

#endif
