/*
 * lane: the arithmetic of one lane: seq, watermark, dropped ranges, counters.
 * Pure; no I/O, no clock.
 *
 * Every seq from 1 to `last` is exactly one of delivered (at or below the
 * watermark and not dropped), held, or dropped. The watermark never stops
 * before a dropped range that it touches: nobody would ever ack those seqs.
 *
 * Above the watermark there may be ranges that are delivered ahead of what is
 * pending below them.  A range grows at its end only, and ends when the
 * watermark reaches it and takes it along.  It may be empty, its `last` before
 * its `first`: what is delivered ahead begins there, or was to.
 */
#ifndef MILLRACE_STORE_LANE_H
#define MILLRACE_STORE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lane_range {
        uint64_t first, last;
};

enum { LANE_AHEAD_MAX = 32 };

struct lane_ahead {
        struct lane_range v[LANE_AHEAD_MAX]; /* ascending, disjoint, above the watermark */
        uint32_t n;
        uint64_t no; /* of changes */
};

struct lane_account {
        uint64_t appended;         /* last seq that was given */
        uint64_t acked;            /* watermark as the uplink wants it */
        uint64_t last;             /* durable: last seq */
        uint64_t acked_durable;    /* durable: watermark */
        uint64_t dropped;          /* durable: all of the epoch */
        uint64_t dropped_acked;    /* durable: those at or below the watermark */
        struct lane_range *ranges; /* dropped above the durable watermark; ascending, disjoint, not adjacent */
        size_t n_ranges, cap_ranges;
        struct lane_ahead ahead;         /* as the uplink wants it */
        struct lane_ahead ahead_durable; /* on disk */
};

void lane_account_fini(struct lane_account *l);

/*
 * Moves the wanted watermark to `seq` and over dropped ranges behind it. True
 * when it moved.
 */
bool lane_ack(struct lane_account *l, uint64_t seq);

/*
 * What comes from `first` on goes ahead of what is pending below it: a range
 * begins there that is empty yet.  One that stayed empty, with no row on disk
 * to send from there, is no more.  May: there is room for one.
 */
bool lane_may_go_ahead(const struct lane_account *l);
void lane_begin_ahead(struct lane_account *l, uint64_t first);

/*
 * The same of a range ahead: what is pending begins behind it. With a new
 * `first` there must be room for a range.
 */
bool lane_ack_ahead(struct lane_account *l, uint64_t first, uint64_t last);

/*
 * The next seqs behind `after` in no range: above what is returned, up to *upto
 * (UINT64_MAX: all that come).
 */
uint64_t lane_pending(const struct lane_ahead *a, uint64_t after, uint64_t *upto);

/*
 * Up to where the range that begins at `first` is on disk; 0: the watermark.
 */
uint64_t lane_durable(const struct lane_account *l, uint64_t first);

/*
 * A range that was not dropped before, all of it above the durable watermark,
 * is now in the ledger.
 */
void lane_drop(struct lane_account *l, uint64_t first, uint64_t last);

/*
 * A commit is on disk, its drops were told by lane_drop. NULL: no range was
 * ahead.
 */
void lane_committed(struct lane_account *l, uint64_t last, uint64_t acked, const struct lane_ahead *ahead);

bool lane_is_dropped(const struct lane_account *l, uint64_t seq);

/* Durable: of the ranges ahead, without what was dropped there. */
uint64_t lane_delivered_ahead(const struct lane_account *l);

/* Durable. */
uint64_t lane_held_below(const struct lane_account *l, uint64_t seq);

static inline uint64_t lane_delivered(const struct lane_account *l)
{
        return l->acked_durable - l->dropped_acked + lane_delivered_ahead(l);
}

static inline uint64_t lane_held(const struct lane_account *l)
{
        return l->last - l->dropped - lane_delivered(l);
}

#endif
