/*
 * lane: see lane.h.
 *
 *   spool_fetch -> batch (lane_read.c) -> window_offer -> encode -> produce … on_report -> window -> spool_ack
 *
 * Nothing is thrown away here but what Kafka will never take, and that goes to
 * the spool's dead letters.  When the window wants rows again (after a retry)
 * the batches are forgotten and reading begins behind the watermark.
 *
 * Pace: all readings draw from one bucket, fresh ones first, since their lane
 * is pumped first; the backlog draws from one of its own besides.
 */
#include "uplink/lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

enum {
        EVENT_WINDOW = 256,
        EVENT_WINDOW_BYTES = 1048576,
        FULL_AGAIN_US = 100000, /* the sink is full, and no report is to come */
};

static void on_wake(struct rt_timer *t);
static void on_acks_durable(struct spool_sync *q);

void lane_init(struct uplink_lane_state *l, struct uplink *u, enum uplink_lane no, uint32_t parts)
{
        struct spool_counts c;

        spool_counts(u->spool, &c);
        l->u = u;
        l->no = no;
        l->id = no == UPLINK_EVENTS ? SPOOL_EVENTS : SPOOL_SAMPLES;
        l->wake.on_due = on_wake;
        l->sync.on_durable = on_acks_durable;
        list_init(&l->sync.node);
        lane_read_init(l, c.acked_seq[l->id]);
        if (no == UPLINK_EVENTS)
                window_init(&l->w, EVENT_WINDOW, EVENT_WINDOW_BYTES, l->fetch_after);
        else
                window_init(&l->w, (uint32_t)u->conf->window_records / parts, u->conf->window_bytes / parts,
                            l->fetch_after);
        if (u->seals)
                l->leaf = mem_alloc(l->w.cap * sizeof(*l->leaf));
        pace_init(&l->pace, no == UPLINK_BACKLOG ? u->conf->backfill_rate_limit_bytes_s : 0, rt_mono_us(u->rt));
        lane_txn_init(l);
}

void lane_reconfigure(struct uplink_lane_state *l)
{
        const struct kafka_conf *conf = l->u->conf;

        if (l->no == UPLINK_EVENTS)
                return;
        l->w.most_bytes = conf->window_bytes / (l->u->n_lanes == UPLINK_LANES ? 2 : 1);
        if (l->no == UPLINK_BACKLOG && l->pace.bytes_s != conf->backfill_rate_limit_bytes_s)
                pace_init(&l->pace, conf->backfill_rate_limit_bytes_s, rt_mono_us(l->u->rt));
}

void lane_stop(struct uplink_lane_state *l)
{
        rt_timer_cancel(l->u->rt, &l->wake);
        spool_sync_cancel(&l->sync);
}

void lane_fini(struct uplink_lane_state *l)
{
        lane_stop(l);
        lane_txn_fini(l);
        window_fini(&l->w);
        free(l->leaf);
        lane_read_fini(l);
}

/* ---- producing ---- */

static const struct tag *tag_of(const struct uplink_lane_state *l, const struct spool_row *row)
{
        return row->r.tag < tags_count(l->u->tags) ? tags_get(l->u->tags, row->r.tag) : NULL;
}

static void encode(struct uplink_lane_state *l, const struct spool_row *row, const struct tag *tag,
                   struct sink_record *rec)
{
        struct uplink *u = l->u;
        bool event = l->id == SPOOL_EVENTS;
        size_t bound = event ? record_event_bound(&u->enc, tag, row) : record_bound(&u->enc, tag, row), len;

        if (bound > u->cap) {
                u->cap = bound + bound / 2;
                u->buf = mem_grow(u->buf, u->cap, 1);
        }
        if (event)
                len = record_encode_event(&u->enc, u->buf, u->cap, tag, row);
        else
                len = record_encode_sample(&u->enc, u->buf, u->cap, tag, row);
        rec->key = record_key(&u->enc, tag, row->r.tag, &rec->key_len);
        rec->value = u->buf;
        rec->value_len = len;
        if (!event && row->r.type == READING_RAW) {
                rec->headers = u->buf;
                rec->headers_len = len;
                rec->value = row->r.v.text;
                rec->value_len = row->r.len;
        }
}

bool lane_make_record(struct uplink_lane_state *l, const struct spool_row *row, const struct rt_time *now,
                      struct sink_record *rec)
{
        static const enum sink_topic topics[] = {
                [UPLINK_EVENTS] = SINK_EVENTS, [UPLINK_SAMPLES] = SINK_SAMPLES, [UPLINK_BACKLOG] = SINK_BACKFILL};
        const struct tag *tag = tag_of(l, row);

        if (!tag && l->id == SPOOL_SAMPLES)
                return false;
        rec->topic = l->id == SPOOL_SAMPLES && row->r.type == READING_RAW ? SINK_RAW : topics[l->no];
        rec->ts_ms = record_timestamp_ms(row->r.ts_us, now->wall_us);
        encode(l, row, tag, rec);
        return true;
}

/* A raw payload's identity is beside it. */
static void note_leaf(struct uplink_lane_state *l, const struct sink_record *rec, uint64_t seq, uint32_t slot)
{
        if (!l->leaf)
                return;
        seal_leaf(l->leaf[slot].hash, seq, rec->headers, rec->headers_len, rec->value, rec->value_len);
        l->leaf[slot].delivered = false;
}

/* With live_first two streams share the seqs: is one of the other's between? */
static bool is_apart(const struct uplink_lane_state *l, uint64_t seq)
{
        const struct seal_stream *t = l->u->seal.now.stream;
        uint64_t upto = t[l->no].upto, other, end;

        if (seq == upto + 1 || l->no == UPLINK_EVENTS)
                return false;
        other = t[l->no == UPLINK_SAMPLES ? UPLINK_BACKLOG : UPLINK_SAMPLES].upto;
        return (other > upto || l->first > upto + 1) &&
               (spool_pending(l->u->spool, l->id, upto, &end) > upto || end < seq);
}

/* Rows from the n-th on of the window are settled now. */
static void seal_settled(struct uplink_lane_state *l, uint32_t n)
{
        for (; l->leaf && n < l->w.n_settled; n++) {
                uint32_t slot = window_slot_at(&l->w, n);
                uint64_t seq = l->w.slot[slot].seq;

                if (l->leaf[slot].delivered)
                        seal_add(&l->u->seal.now.stream[l->no], seq, l->leaf[slot].hash, is_apart(l, seq));
        }
}

static void put_seal(struct uplink *u)
{
        unsigned char packed[SPOOL_SEAL_MAX];

        if (u->seals)
                spool_put_seal(u->spool, packed, seal_pack(&u->seal, packed));
}

static void poison(struct uplink_lane_state *l, uint64_t seq, const char *why)
{
        l->u->poisoned++;
        spool_dead_letter(l->u->spool, l->id, seq, why);
        log_warn("kafka", "row %llu of %s can't be sent and is kept as a dead letter: %s", (unsigned long long)seq,
                 l->id == SPOOL_EVENTS ? "events" : "samples", why);
}

/*
 * Gives a record that has a slot to the sink. False: it was not taken, and the
 * lane has to wait.
 */
static bool produce(struct uplink_lane_state *l, struct sink_record *rec, uint64_t seq, uint32_t slot, size_t n_bytes)
{
        struct err e = {""};
        int r;

        rec->opaque = slot << OPAQUE_LANE_BITS | (uint32_t)l->no;
        rec->line = l->u->exact ? (enum sink_line)(SINK_LINE_EVENTS + l->no) : SINK_BESIDE;
        note_leaf(l, rec, seq, slot);
        r = l->u->sink->ops->produce(l->u->sink, rec, &e);
        if (r > 0) {
                window_withdraw(&l->w, slot, r == SINK_E_RETRY);
                uplink_note(l->u, &l->fault, e.text);
                if (r == SINK_E_FULL && !l->w.n_out)
                        rt_timer_set(l->u->rt, &l->wake, FULL_AGAIN_US);
                return false;
        }
        if (r < 0) {
                window_refuse(&l->w, slot);
                poison(l, seq, e.text);
                return true;
        }
        lane_txn_record(l);
        if (l->no != UPLINK_EVENTS)
                pace_spend(&l->u->pace, n_bytes);
        pace_spend(&l->pace, n_bytes);
        l->u->bytes_sent += n_bytes;
        return true;
}

/* False: the lane has to wait, and the row's turn comes again. */
static bool send_row(struct uplink_lane_state *l, const struct spool_row *row, const struct rt_time *now)
{
        struct sink_record rec = {0};
        size_t n_bytes;
        uint32_t slot;

        if (!lane_make_record(l, row, now, &rec)) {
                if (window_offer(&l->w, row->seq, 0, &slot) == WINDOW_SEND) {
                        window_refuse(&l->w, slot);
                        poison(l, row->seq, "its tag is not in the table");
                }
                return window_is_open(&l->w);
        }
        n_bytes = rec.key_len + rec.value_len + rec.headers_len;
        switch (window_offer(&l->w, row->seq, (uint32_t)n_bytes, &slot)) {
        case WINDOW_SEND:
                if (row->seq != l->txn.refused)
                        return produce(l, &rec, row->seq, slot, n_bytes);
                window_refuse(&l->w, slot); /* it is a dead letter, with the next commit */
                return true;
        case WINDOW_SKIP:
                return true;
        case WINDOW_WAIT:
        default:
                return false;
        }
}

static bool wait_for_pace(struct uplink_lane_state *l, const struct rt_time *now)
{
        int64_t own_us = pace_wait_us(&l->pace, now->mono_us), wait_us = own_us;

        if (l->no != UPLINK_EVENTS && l->u->hours.quiet) /* it is kicked when they are over */
                return true;

        if (l->no != UPLINK_EVENTS)
                wait_us = pace_wait_us(&l->u->pace, now->mono_us);
        if (wait_us < own_us)
                wait_us = own_us;
        if (wait_us)
                rt_timer_set(l->u->rt, &l->wake, wait_us);
        return wait_us != 0;
}

bool lane_pump(struct uplink_lane_state *l, uint32_t *budget)
{
        const struct spool_row *row;
        struct rt_time now;

        rt_now(l->u->rt, &now);
        while (window_is_open(&l->w) && !l->gives_way && !l->u->stopping && lane_txn_takes(l)) {
                row = lane_next_row(l);
                lane_read_ahead(l);
                if (!row || wait_for_pace(l, &now))
                        break;
                if (!*budget)
                        return true;
                l->gives_way = lane_should_give_way(l, row, &now);
                if (l->gives_way || !send_row(l, row, &now))
                        break;
                --*budget;
                lane_took_row(l);
        }
        return lane_settle(l);
}

/* ---- reports ---- */

void lane_report(struct uplink_lane_state *l, uint32_t slot, enum sink_result result, const char *why)
{
        uint64_t seq;

        switch (window_report(&l->w, slot, result, &seq)) {
        case SINK_DELIVERED:
                if (l->leaf)
                        l->leaf[slot].delivered = true;
                if (l->u->exact)
                        l->txn.n_delivered++;
                else
                        l->u->delivered++;
                break;
        case SINK_RETRY:
                l->u->retried++;
                uplink_note(l->u, &l->fault, why);
                break;
        case SINK_POISON:
                poison(l, seq, why ? why : "Kafka refuses it");
                lane_txn_refused(l, seq);
                break;
        }
}

static void back_off(struct uplink_lane_state *l)
{
        bool first = !l->w.backoff.n;
        int64_t us = window_backoff_us(&l->w, rt_random(l->u->rt));

        l->in_backoff = true;
        lane_rewind(l, l->w.watermark);
        rt_timer_set(l->u->rt, &l->wake, us);
        if (first)
                log_warn("kafka", "%s wait and are sent again: %s", l->id == SPOOL_EVENTS ? "events" : "samples",
                         l->fault.why);
}

static void on_acks_durable(struct spool_sync *q)
{
        struct uplink_lane_state *l = list_entry(q, struct uplink_lane_state, sync);

        l->syncing = false;
        lane_learn_durable(l);
        uplink_pump(l->u);
}

/* With transactions slots are free before the spool has the ack. */
static bool acks_are_durable(const struct uplink_lane_state *l)
{
        if (!l->u->exact)
                return !l->w.n_settled;
        return !lane_txn_is_idle(l) || spool_durable(l->u->spool, l->id, l->first) >= l->txn.committed;
}

/*
 * Acks are made durable by the next commit, which may be a while off: who waits
 * for them asks for it.
 */
static void want_durable(struct uplink_lane_state *l)
{
        if ((l->w.full != WINDOW_FULL_KEPT && !l->gives_way) || acks_are_durable(l) || l->syncing)
                return;
        l->syncing = true;
        spool_sync(l->u->spool, &l->sync);
}

void lane_tell_acked(struct uplink_lane_state *l, uint64_t first, uint64_t last)
{
        if (first)
                spool_ack_ahead(l->u->spool, first, last);
        else
                spool_ack(l->u->spool, l->id, last);
}

void lane_send_again(struct uplink_lane_state *l, uint64_t after, int64_t rest_us)
{
        window_roll_back(&l->w, after);
        lane_rewind(l, after);
        if (l->u->stopping)
                return;
        l->in_backoff = true;
        rt_timer_set(l->u->rt, &l->wake, rest_us);
}

/* What a moved watermark, an ended transaction or acks on disk make possible. */
static void go_on(struct uplink_lane_state *l)
{
        if (l->no == UPLINK_BACKLOG && lane_txn_is_idle(l))
                lane_end_backlog(l);
        if (l->u->stopping)
                return;
        want_durable(l);
        if (l->gives_way && window_is_empty(&l->w) && lane_txn_is_idle(l) && acks_are_durable(l))
                lane_give_way(l);
        else if (l->gives_way)
                lane_txn_end(l);
        if (l->w.phase == WINDOW_BACKOFF && !l->in_backoff && lane_txn_is_idle(l))
                back_off(l);
}

bool lane_settle(struct uplink_lane_state *l)
{
        uint32_t n_before = l->w.n_settled;
        bool moved = window_advance(&l->w);

        if (l->u->exact) {
                lane_txn_settle(l);
        } else if (moved) {
                l->fault = (struct uplink_fault){.at_us = 0};
                seal_settled(l, n_before);
                put_seal(l->u);
                lane_tell_acked(l, l->first, l->w.watermark);
        }
        go_on(l);
        return moved;
}

static void on_wake(struct rt_timer *t)
{
        struct uplink_lane_state *l = list_entry(t, struct uplink_lane_state, wake);

        l->read_failed = false;
        if (l->in_backoff) {
                l->in_backoff = false;
                window_resume(&l->w);
        }
        uplink_pump(l->u);
}
