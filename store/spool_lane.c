/*
 * spool_lane: see spool_lane.h.
 *
 * Dropped ranges are kept in memory only above the watermark, as a sorted array with neighbours joined: one entry per
 * stretch of outage or full disk, so a handful in practice.  How it fails: it does not; memory ends in mem_grow.
 */
#include "store/spool_lane.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

void lane_release(struct lane *l)
{
        free(l->ranges);
        memset(l, 0, sizeof(*l));
}

/* Index of the first range that ends at or behind `seq`. */
static size_t find(const struct lane *l, uint64_t seq)
{
        size_t low = 0, high = l->n_ranges;

        while (low < high) {
                size_t mid = (low + high) / 2;

                if (l->ranges[mid].last < seq)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

bool lane_is_dropped(const struct lane *l, uint64_t seq)
{
        size_t i = find(l, seq);

        return i < l->n_ranges && l->ranges[i].first <= seq;
}

bool lane_ack(struct lane *l, uint64_t seq)
{
        uint64_t before = l->acked;
        size_t i;

        if (seq > l->appended)
                seq = l->appended;
        if (seq > l->acked)
                l->acked = seq;
        i = find(l, l->acked + 1);
        if (i < l->n_ranges && l->ranges[i].first <= l->acked + 1)
                l->acked = l->ranges[i].last;
        return l->acked != before;
}

static void insert(struct lane *l, size_t at, uint64_t first, uint64_t last)
{
        if (l->n_ranges == l->cap_ranges) {
                l->cap_ranges = l->cap_ranges ? 2 * l->cap_ranges : 16;
                l->ranges = mem_grow(l->ranges, l->cap_ranges, sizeof(*l->ranges));
        }
        memmove(l->ranges + at + 1, l->ranges + at, (l->n_ranges - at) * sizeof(*l->ranges));
        l->ranges[at] = (struct lane_range){first, last};
        l->n_ranges++;
}

static void take_out(struct lane *l, size_t at, size_t n)
{
        memmove(l->ranges + at, l->ranges + at + n, (l->n_ranges - at - n) * sizeof(*l->ranges));
        l->n_ranges -= n;
}

void lane_drop(struct lane *l, uint64_t first, uint64_t last)
{
        size_t i = find(l, first);
        bool joins_before = i > 0 && l->ranges[i - 1].last + 1 == first;
        bool joins_after = i < l->n_ranges && l->ranges[i].first == last + 1;

        l->dropped += last - first + 1;
        if (joins_before && joins_after) {
                l->ranges[i - 1].last = l->ranges[i].last;
                take_out(l, i, 1);
        } else if (joins_before) {
                l->ranges[i - 1].last = last;
        } else if (joins_after) {
                l->ranges[i].first = first;
        } else {
                insert(l, i, first, last);
        }
}

void lane_committed(struct lane *l, uint64_t last, uint64_t acked)
{
        size_t n = 0;

        l->last = last;
        l->acked_durable = acked;
        while (n < l->n_ranges && l->ranges[n].first <= acked) {
                struct lane_range *r = &l->ranges[n];

                if (r->last > acked) {
                        l->dropped_acked += acked - r->first + 1;
                        r->first = acked + 1;
                        break;
                }
                l->dropped_acked += r->last - r->first + 1;
                n++;
        }
        if (n)
                take_out(l, 0, n);
        lane_ack(l, acked);
}
