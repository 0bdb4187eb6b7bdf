/*
 * pipeline: the one place where readings meet the spool.
 *
 * Driver → pipeline → spool.  Between the two stand the rules, which see every
 * reading, thinning, which leaves out what the operator does not want sent, and
 * the decision what happens when the spool can't take more: a source that can
 * wait is told to, one that can't has its readings dropped by name.  Also makes
 * the agent's own events (link, pause, drop), which travel the events lane.
 * Loop thread; borrows readings for the call.
 */
#ifndef MILLRACE_AGENT_PIPELINE_H
#define MILLRACE_AGENT_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/alarms/alarms.h"
#include "agent/base/reading.h"
#include "agent/base/rt.h"
#include "agent/base/tags.h"
#include "agent/thinning.h"
#include "store/spool.h"

enum { PIPELINE_E_WAIT = 1 };

/* Of the agent's own events, on the scale of 1 to 1000 that alarms have. */
enum event_severity {
        EVENT_NORMAL = 100,  /* as it should be, again or still */
        EVENT_NOTICE = 300,  /* worth knowing; nothing is to be done */
        EVENT_FAULT = 500,   /* something of one's own is wrong: a link, a device, a configuration */
        EVENT_BACKLOG = 600, /* nothing is lost yet */
        EVENT_LOSS = 800,    /* readings were dropped */
        EVENT_FAILURE = 900, /* nothing can be kept */
};

struct pipeline {
        struct rt *rt;
        struct tags *tags;
        struct spool *spool;
        struct alarms *alarms;     /* NULL: nothing is watched */
        struct thinning *thinning; /* NULL: nothing is left out */
        bool clock_unsynced;
        int64_t units_since_us; /* changes of units that were told since then: `n_units` */
        unsigned n_units;
        uint64_t n_turned;  /* tags that were numbers and brought a text; since start */
        uint32_t turned;    /* the last of them */
        uint64_t n_refused; /* readings that got a seq and a line in the ledger, not a row; since start */
};

void pipeline_init(struct pipeline *p, struct rt *rt, struct tags *tags, struct spool *spool, struct alarms *alarms,
                   struct thinning *thinning);

/*
 * All of them or none. PIPELINE_E_WAIT only when `may_wait`: nothing was taken,
 * wait for the spool's on_room.
 */
int pipeline_take(struct pipeline *p, const struct reading *r, size_t n, bool may_wait);

/* No more readings will come: what thinning held back goes to the spool. */
void pipeline_end(struct pipeline *p);

uint64_t pipeline_thinned(const struct pipeline *p); /* readings left out since start */

/* A device or a driver's link is known to be down, or not any more. */
void pipeline_device(struct pipeline *p, const char *source, bool down);
void pipeline_link(struct pipeline *p, const char *driver, bool down);

/*
 * For tags_on_unit: the tag's unit is another one now. `ctx` is a struct
 * pipeline.
 */
void pipeline_unit_changed(void *ctx, uint32_t tag, const char *old_unit);

/* An event whose body is ready; `ctx` is a struct pipeline. */
void pipeline_put_event(void *ctx, int64_t ts_us, const char *kind, int severity, uint32_t tag_or_none,
                        const char *body, size_t len);

/*
 * Words from outside as the inside of a JSON string, for an event's members: at
 * most so many bytes of them (EVENT_WORDS is the most), in whole characters.
 * Returns what is in *w.
 */
enum { EVENT_WORDS = 200 };
struct event_words {
        char json[6 * EVENT_WORDS + 1];
};
const char *event_words(struct event_words *w, const char *words, size_t most);

/*
 * An event of the agent's own; `members` is the rest of the JSON object after
 * kind and severity, may be "".
 */
void pipeline_event(struct pipeline *p, const char *kind, enum event_severity severity, uint32_t tag_or_none,
                    const char *members, ...) __attribute__((format(printf, 5, 6)));

#endif
