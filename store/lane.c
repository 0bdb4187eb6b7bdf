/*
 * lane: see lane.h.
 *
 * Dropped ranges are kept in memory only above the watermark, as a sorted array
 * with neighbours joined: one entry per range of outage or full disk, so a
 * handful in practice.  How it fails: it does not; memory ends in mem_grow.
 */
#include "store/lane.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

void lane_account_fini(struct lane_account *l)
{
        free(l->ranges);
        memset(l, 0, sizeof(*l));
}

/* What lane.h says of the numbers, after every change of them. */
static void check(const struct lane_account *l)
{
        const struct lane_ahead *a = &l->ahead;

        BUG_ON(l->acked_durable > l->acked);
        BUG_ON(l->acked > l->appended);
        BUG_ON(l->acked_durable > l->last);
        BUG_ON(l->dropped_acked > l->dropped || l->dropped > l->last);
        BUG_ON(l->n_ranges && l->ranges[0].first <= l->acked_durable);
        BUG_ON(a->n > LANE_AHEAD_MAX || (a->n && a->v[0].first <= l->acked));
}

/* Index of the first range that ends at or behind `seq`. */
static size_t find(const struct lane_account *l, uint64_t seq)
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

bool lane_is_dropped(const struct lane_account *l, uint64_t seq)
{
        size_t i = find(l, seq);

        return i < l->n_ranges && l->ranges[i].first <= seq;
}

/*
 * Over what is dropped or delivered right behind the watermark. True when there
 * was such a range.
 */
static bool pass(struct lane_account *l)
{
        size_t i = find(l, l->acked + 1);
        struct lane_ahead *a = &l->ahead;

        if (i < l->n_ranges && l->ranges[i].first <= l->acked + 1) {
                l->acked = l->ranges[i].last;
                return true;
        }
        if (!a->n || a->v[0].first > l->acked + 1)
                return false;
        if (l->acked < a->v[0].last)
                l->acked = a->v[0].last;
        memmove(a->v, a->v + 1, --a->n * sizeof(*a->v));
        a->no++;
        return true;
}

bool lane_ack(struct lane_account *l, uint64_t seq)
{
        uint64_t before = l->acked;

        if (seq > l->appended)
                seq = l->appended;
        if (seq > l->acked)
                l->acked = seq;
        while (pass(l))
                ;
        check(l);
        return l->acked != before;
}

static bool last_is_empty(const struct lane_ahead *a)
{
        return a->n && a->v[a->n - 1].last < a->v[a->n - 1].first;
}

bool lane_may_go_ahead(const struct lane_account *l)
{
        return l->ahead.n < LANE_AHEAD_MAX || last_is_empty(&l->ahead);
}

/* Nothing was sent from there, or there is no room to remember it. */
static bool last_is_needless(const struct lane_account *l)
{
        const struct lane_ahead *a = &l->ahead;

        return last_is_empty(a) && (a->v[a->n - 1].first > l->last || a->n == LANE_AHEAD_MAX);
}

void lane_begin_ahead(struct lane_account *l, uint64_t first)
{
        struct lane_ahead *a = &l->ahead;

        BUG_ON(first > l->appended + 1);
        if (last_is_needless(l)) {
                a->n--;
                a->no++;
        }
        if (first > l->acked + 1) {
                BUG_ON(a->n == LANE_AHEAD_MAX || (a->n && a->v[a->n - 1].last >= first));
                a->v[a->n++] = (struct lane_range){first, first - 1};
                a->no++;
        }
        check(l);
}

bool lane_ack_ahead(struct lane_account *l, uint64_t first, uint64_t last)
{
        struct lane_ahead *a = &l->ahead;

        if (first <= l->acked + 1)
                return lane_ack(l, last);
        if (last > l->appended)
                last = l->appended;
        if (!a->n || a->v[a->n - 1].first != first) {
                BUG_ON(a->n == LANE_AHEAD_MAX || (a->n && a->v[a->n - 1].last >= first));
                a->v[a->n++] = (struct lane_range){first, first - 1};
        }
        if (last <= a->v[a->n - 1].last)
                return false;
        a->v[a->n - 1].last = last;
        a->no++;
        check(l);
        return true;
}

uint64_t lane_pending(const struct lane_ahead *a, uint64_t after, uint64_t *upto)
{
        *upto = UINT64_MAX;
        for (uint32_t i = 0; i < a->n && *upto == UINT64_MAX; i++) {
                if (a->v[i].first > after + 1)
                        *upto = a->v[i].first - 1;
                else if (a->v[i].last > after)
                        after = a->v[i].last;
        }
        return after;
}

uint64_t lane_durable(const struct lane_account *l, uint64_t first)
{
        const struct lane_ahead *a = &l->ahead_durable;

        if (first <= l->acked_durable + 1)
                return l->acked_durable;
        for (uint32_t i = 0; i < a->n; i++)
                if (a->v[i].first == first)
                        return a->v[i].last;
        return first - 1;
}

static uint64_t dropped_in(const struct lane_account *l, uint64_t first, uint64_t last)
{
        uint64_t n = 0;

        for (size_t i = find(l, first); i < l->n_ranges && l->ranges[i].first <= last; i++) {
                const struct lane_range *r = &l->ranges[i];

                n += (r->last < last ? r->last : last) - (r->first > first ? r->first : first) + 1;
        }
        return n;
}

uint64_t lane_delivered_ahead(const struct lane_account *l)
{
        const struct lane_ahead *a = &l->ahead_durable;
        uint64_t n = 0;

        for (uint32_t i = 0; i < a->n; i++)
                n += a->v[i].last - a->v[i].first + 1 - dropped_in(l, a->v[i].first, a->v[i].last);
        return n;
}

uint64_t lane_held_below(const struct lane_account *l, uint64_t seq)
{
        uint64_t after = l->acked_durable, upto, n = 0;

        seq = seq > l->last + 1 ? l->last + 1 : seq;
        for (;; after = upto) {
                after = lane_pending(&l->ahead_durable, after, &upto);
                if (after + 1 >= seq)
                        return n;
                upto = upto < seq ? upto : seq - 1;
                n += upto - after - dropped_in(l, after + 1, upto);
        }
}

static void insert(struct lane_account *l, size_t at, uint64_t first, uint64_t last)
{
        if (l->n_ranges == l->cap_ranges) {
                l->cap_ranges = l->cap_ranges ? 2 * l->cap_ranges : 16;
                l->ranges = mem_grow(l->ranges, l->cap_ranges, sizeof(*l->ranges));
        }
        memmove(l->ranges + at + 1, l->ranges + at, (l->n_ranges - at) * sizeof(*l->ranges));
        l->ranges[at] = (struct lane_range){first, last};
        l->n_ranges++;
}

static void take_out(struct lane_account *l, size_t at, size_t n)
{
        memmove(l->ranges + at, l->ranges + at + n, (l->n_ranges - at - n) * sizeof(*l->ranges));
        l->n_ranges -= n;
}

void lane_drop(struct lane_account *l, uint64_t first, uint64_t last)
{
        size_t i = find(l, first);
        bool joins_before = i > 0 && l->ranges[i - 1].last + 1 == first;
        bool joins_after = i < l->n_ranges && l->ranges[i].first == last + 1;

        BUG_ON(last < first || first <= l->acked_durable);
        BUG_ON(i < l->n_ranges && l->ranges[i].first <= last);
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

void lane_committed(struct lane_account *l, uint64_t last, uint64_t acked, const struct lane_ahead *ahead)
{
        size_t n = 0;

        BUG_ON(last < l->last || acked < l->acked_durable);
        if (ahead && ahead->no != l->ahead_durable.no)
                l->ahead_durable = *ahead;
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
