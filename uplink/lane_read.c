/*
 * lane_read: from the spool into a lane's batches.  Two of them: while the rows
 * of one are produced the other is being read.
 *
 * live_first.  Readings are sent in seq order by one lane, to the samples
 * topic, until its next row is older than backfill_after: there was an outage,
 * or the link is too slow.  Then this lane gives way: it leaves all that is on
 * disk at that moment (or being committed) to the lane of the backlog, which
 * sends it to the backfill topic, and goes on behind it.
 *
 *   seq:   1 … acked | backlog … | delivered ahead … | on their way | to come
 *                     ^ UPLINK_BACKLOG                 ^ UPLINK_SAMPLES, `first` is where its part begins
 *
 * So in each topic the rows of a key are in the order of seq, and none is in
 * both.  The spool's watermark follows the backlog; what is acked ahead of it
 * is a range of its own in the spool (spool_ack_ahead), which the watermark
 * takes along when it gets there.  After a restart both lanes go on where these
 * two say; where a range begins is on disk with the first row that is sent from
 * there (spool_go_ahead), or what is left of a backlog could follow it in the
 * samples topic.  A lane gives way with an empty window, whose acks are on
 * disk: no row is in two windows, and each window holds half of what a crash
 * may send twice.  During a backlog it may give way again: then there are two
 * ranges ahead, and so on, up to what the spool can note; and not more often
 * than every backfill_after, so that some rows do go out where commits are
 * rare.
 *
 * Fails as reading does: a second later it is tried again.
 */
#include <inttypes.h>

#include "agent/base/log.h"
#include "uplink/lane.h"

enum {
        FETCH_ROWS = 1000,
        FETCH_BYTES = 262144,
        EVENT_FETCH_ROWS = 64,
        EVENT_FETCH_BYTES = 65536,
        READ_AGAIN_US = 1000000, /* the spool could not be read */
};

static void on_rows(struct spool_fetch *f);

void lane_read_init(struct uplink_lane_state *l, uint64_t acked_seq)
{
        bool events = l->no == UPLINK_EVENTS;

        l->fetch_after = acked_seq;
        if (l->no == UPLINK_SAMPLES)
                l->first = spool_goes_ahead_from(l->u->spool);
        if (l->first)
                l->fetch_after = spool_durable(l->u->spool, l->id, l->first);
        if (l->no == UPLINK_BACKLOG)
                spool_pin_gap(l->u->spool, 0, l->u->lane[UPLINK_SAMPLES].first);
        for (int i = 0; i < 2; i++) {
                struct batch *b = &l->batch[i];

                b->lane = l;
                spool_fetch_init(&b->fetch, l->id, events ? EVENT_FETCH_ROWS : FETCH_ROWS,
                                 events ? EVENT_FETCH_BYTES : FETCH_BYTES);
                b->fetch.on_rows = on_rows;
                b->fetch.may_be_fresh = true;
        }
}

void lane_read_fini(struct uplink_lane_state *l)
{
        spool_fetch_fini(&l->batch[0].fetch);
        spool_fetch_fini(&l->batch[1].fetch);
}

bool lane_is_reading(const struct uplink_lane_state *l)
{
        return l->batch[0].state == BATCH_FETCHING || l->batch[1].state == BATCH_FETCHING;
}

/* ---- rows ---- */

/*
 * What is read may go out: the spool is told first, so that it drops none of it
 * meanwhile.
 */
static void pin(struct uplink_lane_state *l, uint64_t seq)
{
        if (seq <= l->pinned)
                return;
        l->pinned = seq;
        if (l->no == UPLINK_BACKLOG)
                spool_pin_gap(l->u->spool, seq, l->u->lane[UPLINK_SAMPLES].first);
        else
                spool_pin(l->u->spool, l->id, seq);
}

/*
 * What is the backlog's and on disk: its last rows may be on their way there.
 */
static uint64_t backlog_end(const struct uplink_lane_state *l)
{
        uint64_t first = l->u->lane[UPLINK_SAMPLES].first;
        struct spool_counts c;

        spool_counts(l->u->spool, &c);
        return first && first <= c.last_seq[l->id] ? first - 1 : first ? c.last_seq[l->id] : 0;
}

/*
 * Moves fetch_after over what is delivered. False: nothing behind it is this
 * lane's.
 */
static bool find_pending(struct uplink_lane_state *l, uint64_t *upto)
{
        uint64_t end = l->no == UPLINK_BACKLOG ? backlog_end(l) : UINT64_MAX;

        l->fetch_after = spool_pending(l->u->spool, l->id, l->fetch_after, upto);
        *upto = *upto < end ? *upto : end;
        return l->fetch_after < *upto;
}

void lane_read_ahead(struct uplink_lane_state *l)
{
        struct batch *b = &l->batch[l->at];

        if (l->idle || l->read_failed || l->u->stopping || lane_is_reading(l))
                return;
        if (b->state != BATCH_EMPTY)
                b = &l->batch[l->at ^ 1];
        if (b->state != BATCH_EMPTY)
                return;
        if (!find_pending(l, &b->upto)) {
                l->idle = true;
                return;
        }
        b->state = BATCH_FETCHING;
        b->stale = b->kicked = false;
        b->next = 0;
        b->fetch.after_seq = l->fetch_after;
        pin(l, l->fetch_after + b->fetch.most_rows);
        spool_fetch(l->u->spool, &b->fetch);
}

/*
 * Behind a gap in seq rows may be read that were not pinned meanwhile: those
 * are left, and read again.
 */
static uint32_t rows_pinned(struct uplink_lane_state *l, const struct spool_fetch *f)
{
        uint32_t n = f->n_rows;

        while (n && f->rows[n - 1].seq > l->pinned)
                n--;
        if (!n)
                pin(l, f->rows[f->n_rows - 1].seq);
        return n;
}

/* There is nothing between b->fetch.after_seq and b->upto. */
static void end_range(struct uplink_lane_state *l, const struct batch *b)
{
        uint64_t upto;

        if (b->upto != UINT64_MAX) {
                l->fetch_after = b->upto;
                if (find_pending(l, &upto))
                        return;
        }
        window_gone(&l->w, b->fetch.after_seq);
        l->idle = !b->kicked;
}

static void take_rows(struct uplink_lane_state *l, struct batch *b)
{
        struct spool_counts c;

        while (b->fetch.n_rows && b->fetch.rows[b->fetch.n_rows - 1].seq > b->upto)
                b->fetch.n_rows--;
        if (!b->fetch.n_rows) {
                end_range(l, b);
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
        struct uplink_lane_state *l = b->lane;

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

void lane_learn_durable(struct uplink_lane_state *l)
{
        window_durable(&l->w, spool_durable(l->u->spool, l->id, l->first));
}

/* Most commits have no event, and none is looked for then. */
void lane_kick(struct uplink_lane_state *l)
{
        struct spool_counts c;

        lane_learn_durable(l);
        spool_counts(l->u->spool, &c);
        l->idle = l->fetch_after >= c.last_seq[l->id];
        l->batch[0].kicked = l->batch[1].kicked = true;
}

void lane_rewind(struct uplink_lane_state *l, uint64_t after)
{
        for (int i = 0; i < 2; i++) {
                if (l->batch[i].state == BATCH_FETCHING)
                        l->batch[i].stale = true;
                else
                        l->batch[i].state = BATCH_EMPTY;
        }
        l->fetch_after = after;
        l->idle = l->gives_way = false;
}

struct spool_row *lane_next_row(struct uplink_lane_state *l)
{
        struct batch *b;

        if (l->batch[l->at].state == BATCH_EMPTY)
                l->at ^= 1;
        b = &l->batch[l->at];
        return b->state == BATCH_READY ? &b->fetch.rows[b->next] : NULL;
}

void lane_took_row(struct uplink_lane_state *l)
{
        struct batch *b = &l->batch[l->at];

        if (++b->next == b->fetch.n_rows)
                b->state = BATCH_EMPTY;
}

/* ---- fresh ones first ---- */

bool lane_should_give_way(const struct uplink_lane_state *l, const struct spool_row *row, const struct rt_time *now)
{
        const struct kafka_conf *conf = l->u->conf;
        const struct reading *r = &row->r;
        int64_t arrival_us = r->flags & READING_SOURCE_TIME ? r->arrival_us : r->ts_us;

        return conf->live_first && l->no == UPLINK_SAMPLES && now->wall_us - arrival_us > conf->backfill_after_us &&
               row->seq > window_last(&l->w) &&
               (!l->gave_way_us || now->mono_us - l->gave_way_us > conf->backfill_after_us) &&
               spool_may_go_ahead(l->u->spool);
}

void lane_give_way(struct uplink_lane_state *l)
{
        struct uplink_lane_state *backlog = &l->u->lane[UPLINK_BACKLOG];

        l->gave_way_us = rt_mono_us(l->u->rt);
        l->first = spool_go_ahead(l->u->spool);
        log_notice("kafka", "readings up to %" PRIu64 " follow through the backfill topic, fresh ones go first",
                   l->first - 1);
        window_restart(&l->w, l->first - 1);
        l->txn.committed = l->first - 1;
        lane_rewind(l, l->first - 1);
        spool_pin_gap(l->u->spool, backlog->pinned, l->first);
        lane_kick(backlog);
        rt_timer_set(l->u->rt, &l->u->turn, 0);
}

void lane_end_backlog(struct uplink_lane_state *l)
{
        uint64_t upto;

        if (l->batch[0].state == BATCH_EMPTY && l->batch[1].state == BATCH_EMPTY && window_is_settled(&l->w) &&
            !find_pending(l, &upto) && upto)
                spool_ack(l->u->spool, l->id, upto);
}
