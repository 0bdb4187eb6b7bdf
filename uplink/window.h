/*
 * window: the rows of one lane that are on their way to Kafka.  Pure.
 *
 * Rows are offered in seq order; each that is sent takes a slot, and its report
 * comes back by slot, in any order.  The watermark is the last seq up to which
 * every row is done.  A row that was done behind a hole keeps its slot, so
 * nothing delivered is ever sent twice.  After a RETRY nothing new goes out;
 * when the last report is in, the lane rests, and then the rows behind the
 * watermark are offered again: those done are skipped, the others go in seq
 * order.
 *
 *   FLOWS --RETRY--> DRAINS --none out--> BACKOFF --window_resume--> FLOWS
 *
 * A row keeps its slot until the spool has the ack on disk: so what a power cut
 * can make go twice is one window at most.
 *
 * A broker refuses a whole batch for one record in it.  So POISON is believed
 * of a record that was out alone; of a group it means RETRY in smaller groups,
 * down to one, and after each group that goes through they may be twice as
 * large again.
 */
#ifndef MILLRACE_UPLINK_WINDOW_H
#define MILLRACE_UPLINK_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/backoff.h"
#include "uplink/sink.h"

enum window_phase { WINDOW_FLOWS, WINDOW_DRAINS, WINDOW_BACKOFF };

enum window_answer {
        WINDOW_SEND, /* it has a slot now: give it to the sink, or withdraw it */
        WINDOW_SKIP, /* done already */
        WINDOW_WAIT, /* full, or not flowing: offer it again later */
};

/* Why nothing more is taken; each lasts until half is free. */
enum window_full {
        WINDOW_ROOM,
        WINDOW_FULL_OUT,  /* until reports come */
        WINDOW_FULL_KEPT, /* all slots are taken: until the spool's acks are on disk, too */
};

struct window_slot {
        uint64_t seq;
        uint32_t bytes;
        uint32_t state;
};

struct window {
        struct window_slot *slot;
        uint32_t cap, head, n;
        uint32_t cursor; /* from head: slots behind it are to be offered again; n: none is */
        uint32_t n_out;
        uint64_t bytes_out, most_bytes;
        uint32_t n_settled; /* from head: done, and at or below the watermark */
        uint64_t watermark;
        enum window_phase phase;
        enum window_full full;
        uint32_t group, most_group; /* sent since none was out, and how many may be; cap: no such bound */
        bool shrink;
        struct backoff backoff;
};

void window_init(struct window *w, uint32_t most_records, uint64_t most_bytes, uint64_t watermark);
void window_fini(struct window *w);

enum window_answer window_offer(struct window *w, uint64_t seq, uint32_t bytes, uint32_t *slot);

/*
 * The sink did not take it; `retry`: and wants patience, so the window drains
 * and rests.
 */
void window_withdraw(struct window *w, uint32_t slot, bool retry);

/* The sink says before sending that Kafka will never take it. */
void window_refuse(struct window *w, uint32_t slot);

/*
 * Returns what it comes to: SINK_RETRY for a POISON that is not believed yet.
 * *seq is the row's.
 */
enum sink_result window_report(struct window *w, uint32_t slot, enum sink_result result, uint64_t *seq);

/*
 * Moves the watermark over what is done; true when it moved. Call after a batch
 * of reports or offers.
 */
bool window_advance(struct window *w);

/* The slot of the row `from_head` places behind the first that has one. */
uint32_t window_slot_at(const struct window *w, uint32_t from_head);

/* The spool has the ack of `seq` on disk. */
void window_durable(struct window *w, uint64_t seq);

/*
 * The spool has no row behind `seq`: rows that wait to be sent again are gone
 * (purged), and done with.
 */
void window_gone(struct window *w, uint64_t seq);

/*
 * How long to back off this time: grows until the watermark moves. random is
 * uniform in [0, 1).
 */
int64_t window_backoff_us(struct window *w, double random);

/* BACKOFF -> FLOWS. Offer all rows behind the watermark, from the first. */
void window_resume(struct window *w);

/* The newest row that has a slot, or the watermark. */
uint64_t window_last(const struct window *w);

/* The newest row that was sent or is done with, or the watermark. */
uint64_t window_sent(const struct window *w);

/* The next row is behind `watermark`. The window is empty. */
void window_restart(struct window *w, uint64_t watermark);

/*
 * Nothing behind `watermark` counts as done, and none is out; it may be behind
 * the one there was.  BACKOFF until window_resume.
 */
void window_roll_back(struct window *w, uint64_t watermark);

/* No row has a slot: all were acked, and the acks are on disk. */
static inline bool window_is_empty(const struct window *w)
{
        return w->n == 0;
}

/* Smaller groups go, as one held a record that Kafka will never take. */
static inline bool window_is_shrunk(const struct window *w)
{
        return w->most_group < w->cap;
}

/* All rows that have a slot are done. */
static inline bool window_is_settled(const struct window *w)
{
        return w->n == w->n_settled;
}

static inline bool window_is_open(const struct window *w)
{
        return w->phase == WINDOW_FLOWS && w->full == WINDOW_ROOM;
}

#endif
