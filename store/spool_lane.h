/*
 * spool_lane: the arithmetic of one lane: seq, watermark, dropped ranges, counters.  Pure; no I/O, no clock.
 *
 * Every seq from 1 to `last` is exactly one of delivered (at or below the watermark and not dropped), held, or dropped.
 * The watermark never stops before a dropped range that it touches: nobody would ever ack those seqs.
 */
#ifndef MILLRACE_STORE_SPOOL_LANE_H
#define MILLRACE_STORE_SPOOL_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lane_range {
        uint64_t first, last;
};

struct lane {
        uint64_t appended;         /* last seq that was given */
        uint64_t acked;            /* watermark as the uplink wants it */
        uint64_t last;             /* durable: last seq */
        uint64_t acked_durable;    /* durable: watermark */
        uint64_t dropped;          /* durable: all of the epoch */
        uint64_t dropped_acked;    /* durable: those at or below the watermark */
        struct lane_range *ranges; /* dropped above the durable watermark; ascending, disjoint, not adjacent */
        size_t n_ranges, cap_ranges;
};

void lane_release(struct lane *l);

/* Moves the wanted watermark to `seq` and over dropped ranges behind it. True when it moved. */
bool lane_ack(struct lane *l, uint64_t seq);

/* A range that was not dropped before, all of it above the durable watermark, is now in the ledger. */
void lane_drop(struct lane *l, uint64_t first, uint64_t last);

/* A commit is on disk, its drops were told by lane_drop. */
void lane_committed(struct lane *l, uint64_t last, uint64_t acked);

bool lane_is_dropped(const struct lane *l, uint64_t seq);

static inline uint64_t lane_delivered(const struct lane *l)
{
        return l->acked_durable - l->dropped_acked;
}

static inline uint64_t lane_held(const struct lane *l)
{
        return l->last - l->acked_durable - (l->dropped - l->dropped_acked);
}

#endif
