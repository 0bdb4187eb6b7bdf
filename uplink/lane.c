/*
 * lane: see lane.h.  Two batches: while the rows of one are produced the other is being read.
 *
 *   spool_fetch -> batch -> window_offer -> encode -> produce … on_report -> window -> spool_ack
 *
 * Nothing is thrown away here but what Kafka will never take, and that goes to the spool's dead letters.  When the window
 * wants rows again (after a retry) the batches are forgotten and reading begins behind the watermark.
 */
#include "uplink/lane.h"

#include <stdio.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

enum {
        FETCH_ROWS = 1000,
        FETCH_BYTES = 262144,
        EVENT_FETCH_ROWS = 64,
        EVENT_FETCH_BYTES = 65536,
        EVENT_WINDOW = 256,
        EVENT_WINDOW_BYTES = 1048576,
        READ_AGAIN_US = 1000000, /* the spool could not be read */
        FULL_AGAIN_US = 100000,  /* the sink is full, and no report is to come */
};

static void on_wake(struct rt_timer *t);
static void on_rows(struct spool_fetch *f);
static void on_acks_durable(struct spool_sync *q);

void lane_init(struct lane *l, struct uplink *u, enum spool_lane id, uint64_t acked_seq)
{
        bool samples = id == SPOOL_SAMPLES;

        l->u = u;
        l->id = id;
        l->fetch_after = acked_seq;
        l->wake.on_due = on_wake;
        l->sync.on_durable = on_acks_durable;
        list_init(&l->sync.node);
        if (samples)
                window_init(&l->w, (uint32_t)u->conf->window_records, u->conf->window_bytes, acked_seq);
        else
                window_init(&l->w, EVENT_WINDOW, EVENT_WINDOW_BYTES, acked_seq);
        pace_init(&l->pace, samples ? u->conf->rate_limit_bytes_s : 0, rt_mono_us(u->rt));
        for (int i = 0; i < 2; i++) {
                struct batch *b = &l->batch[i];

                b->lane = l;
                spool_fetch_init(&b->fetch, id, samples ? FETCH_ROWS : EVENT_FETCH_ROWS,
                                 samples ? FETCH_BYTES : EVENT_FETCH_BYTES);
                b->fetch.on_rows = on_rows;
        }
}

void lane_reconfigure(struct lane *l)
{
        if (l->id != SPOOL_SAMPLES)
                return;
        l->w.most_bytes = l->u->conf->window_bytes;
        if (l->pace.bytes_s != l->u->conf->rate_limit_bytes_s)
                pace_init(&l->pace, l->u->conf->rate_limit_bytes_s, rt_mono_us(l->u->rt));
}

void lane_stop(struct lane *l)
{
        rt_timer_cancel(l->u->rt, &l->wake);
        spool_sync_cancel(&l->sync);
}

void lane_fini(struct lane *l)
{
        rt_timer_cancel(l->u->rt, &l->wake);
        window_free(&l->w);
        spool_fetch_free(&l->batch[0].fetch);
        spool_fetch_free(&l->batch[1].fetch);
}

bool lane_is_reading(const struct lane *l)
{
        return l->batch[0].state == BATCH_FETCHING || l->batch[1].state == BATCH_FETCHING;
}

/* ---- reading the spool ---- */

/* What is read may go out: the spool is told first, so that it drops none of it meanwhile. */
static void pin(struct lane *l, uint64_t seq)
{
        if (seq <= l->pinned)
                return;
        l->pinned = seq;
        spool_pin(l->u->spool, l->id, seq);
}

static void read_ahead(struct lane *l)
{
        struct batch *b = &l->batch[l->at];

        if (l->idle || l->read_failed || l->u->stopping || lane_is_reading(l))
                return;
        if (b->state != BATCH_EMPTY)
                b = &l->batch[l->at ^ 1];
        if (b->state != BATCH_EMPTY)
                return;
        b->state = BATCH_FETCHING;
        b->stale = b->kicked = false;
        b->next = 0;
        b->fetch.after_seq = l->fetch_after;
        pin(l, l->fetch_after + b->fetch.most_rows);
        spool_fetch(l->u->spool, &b->fetch);
}

/* Behind a gap in seq rows may be read that were not pinned meanwhile: those are left, and read again. */
static uint32_t rows_pinned(struct lane *l, const struct spool_fetch *f)
{
        uint32_t n = f->n_rows;

        while (n && f->rows[n - 1].seq > l->pinned)
                n--;
        if (!n)
                pin(l, f->rows[f->n_rows - 1].seq);
        return n;
}

static void take_rows(struct lane *l, struct batch *b)
{
        struct spool_counts c;

        if (!b->fetch.n_rows) {
                window_gone(&l->w, b->fetch.after_seq);
                l->idle = !b->kicked;
                return;
        }
        b->fetch.n_rows = rows_pinned(l, &b->fetch);
        if (!b->fetch.n_rows)
                return;
        b->state = BATCH_READY;
        l->fetch_after = b->fetch.rows[b->fetch.n_rows - 1].seq;
        spool_counts(l->u->spool, &c);
        l->idle = l->fetch_after >= c.last_seq[l->id];
}

static void on_rows(struct spool_fetch *f)
{
        struct batch *b = list_entry(f, struct batch, fetch);
        struct lane *l = b->lane;

        b->state = BATCH_EMPTY;
        if (l->u->stopping) {
                uplink_check_stopped(l->u);
                return;
        }
        if (f->failed) {
                l->read_failed = true;
                rt_timer_set(l->u->rt, &l->wake, READ_AGAIN_US);
        } else if (!b->stale) {
                take_rows(l, b);
        }
        uplink_pump(l->u);
}

static void learn_durable(struct lane *l)
{
        struct spool_counts c;

        spool_counts(l->u->spool, &c);
        window_durable(&l->w, c.acked_seq[l->id]);
}

void lane_kick(struct lane *l)
{
        learn_durable(l);
        l->idle = false;
        l->batch[0].kicked = l->batch[1].kicked = true;
}

/* All that was read and not sent is forgotten; reading begins again behind the watermark. */
static void go_back(struct lane *l)
{
        for (int i = 0; i < 2; i++) {
                if (l->batch[i].state == BATCH_FETCHING)
                        l->batch[i].stale = true;
                else
                        l->batch[i].state = BATCH_EMPTY;
        }
        l->fetch_after = l->w.watermark;
        l->idle = false;
}

/* ---- producing ---- */

static const struct tag *tag_of(const struct lane *l, const struct spool_row *row)
{
        return row->r.tag < tags_count(l->u->tags) ? tags_get(l->u->tags, row->r.tag) : NULL;
}

static enum sink_topic topic_of(const struct lane *l, const struct reading *r, int64_t wall_us)
{
        int64_t arrival_us = r->flags & READING_SOURCE_TIME ? r->arrival_us : r->ts_us;

        if (l->id == SPOOL_EVENTS)
                return SINK_EVENTS;
        return l->u->conf->live_first && wall_us - arrival_us > l->u->conf->backfill_after_us ? SINK_BACKFILL
                                                                                              : SINK_SAMPLES;
}

static void encode(struct lane *l, const struct spool_row *row, const struct tag *tag, struct sink_record *rec)
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

bool lane_make_record(struct lane *l, const struct spool_row *row, const struct rt_time *now, struct sink_record *rec)
{
        const struct tag *tag = tag_of(l, row);

        if (!tag && l->id == SPOOL_SAMPLES)
                return false;
        rec->topic = topic_of(l, &row->r, now->wall_us);
        rec->ts_ms = record_timestamp_ms(row->r.ts_us, now->wall_us);
        encode(l, row, tag, rec);
        return true;
}

static void poison(struct lane *l, uint64_t seq, const char *why)
{
        l->u->poisoned++;
        spool_dead_letter(l->u->spool, l->id, seq, why);
        log_warn("kafka", "row %llu of %s can't be sent and is kept as a dead letter: %s", (unsigned long long)seq,
                 l->id == SPOOL_EVENTS ? "events" : "samples", why);
}

static void note_error(struct uplink *u, const char *why)
{
        if (why && *why)
                text_copy(u->last_error, sizeof(u->last_error), why);
}

/* Gives a record that has a slot to the sink. False: it was not taken, and the lane has to wait. */
static bool produce(struct lane *l, struct sink_record *rec, uint64_t seq, uint32_t slot, size_t n_bytes)
{
        struct err e = {""};
        int r;

        rec->opaque = slot << OPAQUE_LANE_BITS | (uint32_t)l->id;
        r = l->u->sink->ops->produce(l->u->sink, rec, &e);
        if (r > 0) {
                window_withdraw(&l->w, slot, r == SINK_E_RETRY);
                note_error(l->u, e.text);
                if (r == SINK_E_FULL && !l->w.n_out)
                        rt_timer_set(l->u->rt, &l->wake, FULL_AGAIN_US);
                return false;
        }
        if (r < 0) {
                window_refuse(&l->w, slot);
                poison(l, seq, e.text);
                return true;
        }
        pace_spend(&l->pace, n_bytes);
        l->u->bytes_sent += n_bytes;
        return true;
}

/* False: the lane has to wait, and the row's turn comes again. */
static bool send_row(struct lane *l, const struct spool_row *row, const struct rt_time *now)
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
                return produce(l, &rec, row->seq, slot, n_bytes);
        case WINDOW_SKIP:
                return true;
        case WINDOW_WAIT:
        default:
                return false;
        }
}

static bool wait_for_pace(struct lane *l, const struct rt_time *now)
{
        int64_t wait_us = pace_wait_us(&l->pace, now->mono_us);

        if (wait_us)
                rt_timer_set(l->u->rt, &l->wake, wait_us);
        return wait_us != 0;
}

/* The batch whose rows are next; NULL when there is none yet. */
static struct batch *ready_batch(struct lane *l)
{
        if (l->batch[l->at].state == BATCH_EMPTY)
                l->at ^= 1;
        return l->batch[l->at].state == BATCH_READY ? &l->batch[l->at] : NULL;
}

bool lane_pump(struct lane *l, uint32_t *budget)
{
        struct batch *b;
        struct rt_time now;

        rt_now(l->u->rt, &now);
        while (window_is_open(&l->w) && !l->u->stopping) {
                b = ready_batch(l);
                read_ahead(l);
                if (!b || wait_for_pace(l, &now))
                        break;
                if (!*budget)
                        return true;
                if (!send_row(l, &b->fetch.rows[b->next], &now))
                        break;
                --*budget;
                if (++b->next == b->fetch.n_rows)
                        b->state = BATCH_EMPTY;
        }
        return lane_settle(l);
}

/* ---- reports ---- */

void lane_report(struct lane *l, uint32_t slot, enum sink_result result, const char *why)
{
        uint64_t seq;

        switch (window_report(&l->w, slot, result, &seq)) {
        case SINK_DELIVERED:
                l->u->delivered++;
                break;
        case SINK_RETRY:
                l->u->retried++;
                note_error(l->u, why);
                break;
        case SINK_POISON:
                poison(l, seq, why ? why : "Kafka refuses it");
                break;
        }
}

static void rest(struct lane *l)
{
        bool first = !l->w.rest.n;
        int64_t us = window_rest_us(&l->w, rt_random(l->u->rt));

        l->resting = true;
        go_back(l);
        rt_timer_set(l->u->rt, &l->wake, us);
        if (first)
                log_warn("kafka", "%s wait and are sent again: %s", l->id == SPOOL_EVENTS ? "events" : "samples",
                         l->u->last_error);
}

static void on_acks_durable(struct spool_sync *q)
{
        struct lane *l = list_entry(q, struct lane, sync);

        l->syncing = false;
        learn_durable(l);
        uplink_pump(l->u);
}

/* Acks are made durable by the next commit, which may be a while off: a window that is full of them asks for it. */
static void want_durable(struct lane *l)
{
        if (l->w.full != WINDOW_FULL_KEPT || !l->w.n_settled || l->syncing)
                return;
        l->syncing = true;
        spool_sync(l->u->spool, &l->sync);
}

bool lane_settle(struct lane *l)
{
        bool moved = window_advance(&l->w);

        if (moved)
                spool_ack(l->u->spool, l->id, l->w.watermark);
        if (!l->u->stopping)
                want_durable(l);
        if (l->w.phase == WINDOW_RESTS && !l->resting && !l->u->stopping)
                rest(l);
        return moved;
}

static void on_wake(struct rt_timer *t)
{
        struct lane *l = list_entry(t, struct lane, wake);

        l->read_failed = false;
        if (l->resting) {
                l->resting = false;
                window_resume(&l->w);
        }
        uplink_pump(l->u);
}
