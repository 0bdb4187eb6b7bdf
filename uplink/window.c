/*
 * window: see window.h.  A ring of slots, allocated once.  Slots are named by
 * their place in the ring, which fits the opaque pointer of a 32-bit board; a
 * slot is not used again before its report is in, so a name is never ambiguous.
 *
 * A row that the spool no longer has when it is offered again counts as done:
 * the spool's ledger has it, and a watermark that waits for it would wait for
 * ever.
 */
#include "uplink/window.h"

#include <stdlib.h>

#include "agent/base/err.h"

enum slot_state { SLOT_FREE, SLOT_OUT, SLOT_WAITS, SLOT_DONE };

enum { BACKOFF_FIRST_US = 500000, BACKOFF_MAX_US = 30000000, SHRINK = 8 };

void window_init(struct window *w, uint32_t most_records, uint64_t most_bytes, uint64_t watermark)
{
        BUG_ON(!most_records || !most_bytes);
        *w = (struct window){.cap = most_records,
                             .most_group = most_records,
                             .most_bytes = most_bytes,
                             .watermark = watermark,
                             .backoff = {BACKOFF_FIRST_US, BACKOFF_MAX_US, 0}};
        w->slot = mem_alloc((unsigned long)most_records * sizeof(*w->slot));
}

void window_fini(struct window *w)
{
        free(w->slot);
        w->slot = NULL;
}

/* What window.h says of the numbers, after every change of them. */
static void check(const struct window *w)
{
        BUG_ON(w->n > w->cap || w->head >= w->cap);
        BUG_ON(w->cursor > w->n || w->n_out > w->n);
        BUG_ON(w->n_settled > w->cursor);
        BUG_ON(!w->n_out && w->bytes_out);
        BUG_ON(!w->most_group || w->most_group > w->cap);
}

static uint32_t index_at(const struct window *w, uint32_t from_head)
{
        uint32_t i = w->head + from_head;

        return i >= w->cap ? i - w->cap : i;
}

static struct window_slot *at(const struct window *w, uint32_t from_head)
{
        return &w->slot[index_at(w, from_head)];
}

uint32_t window_slot_at(const struct window *w, uint32_t from_head)
{
        return index_at(w, from_head);
}

static bool has_room(const struct window *w, uint32_t bytes)
{
        if (!w->n_out)
                return true;
        return w->bytes_out + bytes <= w->most_bytes && (w->most_group == w->cap || w->group < w->most_group);
}

/* A small group went through as a whole: the next may be larger. */
static void grow_group(struct window *w)
{
        if (w->n_out || w->most_group == w->cap || w->group < w->most_group)
                return;
        w->most_group = w->most_group > w->cap / 2 ? w->cap : 2 * w->most_group;
}

static enum window_answer send(struct window *w, uint64_t seq, uint32_t bytes, uint32_t *slot)
{
        if (!w->n_out)
                w->group = 0;
        w->group++;
        *slot = index_at(w, w->cursor++);
        w->slot[*slot] = (struct window_slot){.seq = seq, .bytes = bytes, .state = SLOT_OUT};
        w->n_out++;
        w->bytes_out += bytes;
        check(w);
        return WINDOW_SEND;
}

/* Slots before `seq` that wait are gone from the spool. */
static void pass_over(struct window *w, uint64_t seq)
{
        for (; w->cursor < w->n && at(w, w->cursor)->seq < seq; w->cursor++)
                at(w, w->cursor)->state = SLOT_DONE;
}

enum window_answer window_offer(struct window *w, uint64_t seq, uint32_t bytes, uint32_t *slot)
{
        if (!window_is_open(w))
                return WINDOW_WAIT;
        if (seq <= w->watermark)
                return WINDOW_SKIP;
        pass_over(w, seq);
        if (w->cursor < w->n) {
                struct window_slot *s = at(w, w->cursor);

                if (s->seq > seq)
                        return WINDOW_SKIP;
                if (s->state == SLOT_DONE) {
                        w->cursor++;
                        return WINDOW_SKIP;
                }
        }
        grow_group(w);
        if (!has_room(w, bytes) || (w->cursor == w->n && w->n == w->cap)) {
                w->full = has_room(w, bytes) ? WINDOW_FULL_KEPT : WINDOW_FULL_OUT;
                return WINDOW_WAIT;
        }
        if (w->cursor == w->n)
                w->n++;
        return send(w, seq, bytes, slot);
}

static void drain(struct window *w)
{
        w->phase = w->n_out ? WINDOW_DRAINS : WINDOW_BACKOFF;
}

static struct window_slot *settle(struct window *w, uint32_t slot, enum slot_state state)
{
        struct window_slot *s;

        BUG_ON(slot >= w->cap || w->slot[slot].state != SLOT_OUT);
        s = &w->slot[slot];
        BUG_ON(!w->n_out || w->bytes_out < s->bytes);
        s->state = state;
        w->n_out--;
        w->bytes_out -= s->bytes;
        return s;
}

void window_withdraw(struct window *w, uint32_t slot, bool retry)
{
        settle(w, slot, SLOT_WAITS);
        w->cursor--;
        BUG_ON(index_at(w, w->cursor) != slot);
        if (retry)
                drain(w);
        else if (w->n_out)
                w->full = WINDOW_FULL_OUT;
}

void window_refuse(struct window *w, uint32_t slot)
{
        settle(w, slot, SLOT_DONE);
        if (w->phase == WINDOW_DRAINS)
                drain(w);
}

enum sink_result window_report(struct window *w, uint32_t slot, enum sink_result result, uint64_t *seq)
{
        if (result == SINK_POISON && w->group > 1) {
                w->shrink = true;
                result = SINK_RETRY;
        }
        *seq = settle(w, slot, result == SINK_RETRY ? SLOT_WAITS : SLOT_DONE)->seq;
        if (result == SINK_RETRY || w->phase == WINDOW_DRAINS)
                drain(w);
        return result;
}

static void make_room(struct window *w)
{
        bool half = w->n <= w->cap / 2 && w->bytes_out <= w->most_bytes / 2;

        if (half || (w->full == WINDOW_FULL_OUT && !w->n_out))
                w->full = WINDOW_ROOM;
}

bool window_advance(struct window *w)
{
        uint32_t before = w->n_settled;

        while (w->n_settled < w->n && at(w, w->n_settled)->state == SLOT_DONE)
                w->watermark = at(w, w->n_settled++)->seq;
        if (w->cursor < w->n_settled)
                w->cursor = w->n_settled;
        if (w->n_settled != before)
                w->backoff.n = 0;
        make_room(w);
        check(w);
        return w->n_settled != before;
}

void window_durable(struct window *w, uint64_t seq)
{
        for (; w->n_settled && at(w, 0)->seq <= seq; w->n_settled--) {
                at(w, 0)->state = SLOT_FREE;
                w->head = index_at(w, 1);
                w->n--;
                w->cursor--;
        }
        make_room(w);
        check(w);
}

void window_gone(struct window *w, uint64_t seq)
{
        uint32_t i = w->n;

        for (; i > w->cursor && at(w, i - 1)->seq > seq; i--)
                at(w, i - 1)->state = SLOT_DONE;
        if (i == w->cursor)
                w->cursor = w->n; /* else rows up to `seq` are still to be offered */
}

uint64_t window_last(const struct window *w)
{
        return w->n ? at(w, w->n - 1)->seq : w->watermark;
}

uint64_t window_sent(const struct window *w)
{
        return w->cursor ? at(w, w->cursor - 1)->seq : w->watermark;
}

void window_roll_back(struct window *w, uint64_t watermark)
{
        BUG_ON(w->n_out);
        for (uint32_t i = 0; i < w->n; i++)
                at(w, i)->state = SLOT_FREE;
        w->head = w->n = w->cursor = w->n_settled = 0;
        w->watermark = watermark;
        w->phase = WINDOW_BACKOFF;
}

void window_restart(struct window *w, uint64_t watermark)
{
        BUG_ON(w->n || watermark < w->watermark);
        w->watermark = watermark;
}

int64_t window_backoff_us(struct window *w, double random)
{
        if (!w->shrink)
                return backoff_next_us(&w->backoff, random);
        w->shrink = false;
        if (w->group < w->most_group)
                w->most_group = w->group;
        w->most_group = w->most_group > SHRINK ? w->most_group / SHRINK : 1;
        return 0;
}

void window_resume(struct window *w)
{
        BUG_ON(w->phase != WINDOW_BACKOFF);
        w->phase = WINDOW_FLOWS;
        w->cursor = w->n_settled;
        w->group = 0;
        w->full = WINDOW_ROOM;
        check(w);
}
