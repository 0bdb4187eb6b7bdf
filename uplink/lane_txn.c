/*
 * lane_txn: a lane's transactions (exactly once).  The steps are txn.h's, this
 * carries them out.
 *
 *   produce … due: commit(mark: the last row that was sent) -> ack -> the spool
 *
 * In a transaction a report only makes room in the window; the lane's watermark
 * moves when the transaction is committed, over all of it at once.  One that is
 * aborted never was: the lane goes back to where the last one ended, and reads
 * the spool again from there.  That is also what a START does, but with the
 * mark that Kafka has, which may be further than the spool knows: those rows
 * are acked to the spool and not sent.
 *
 * Readings are committed once a second.  Events have a producer and
 * transactions of their own, ended as soon as the loop has no more of them: a
 * reader that waits for commits has an alarm after two round trips, whatever
 * the readings are at, and a topic that is refused holds up its own lane only.
 *
 * Rows of one transaction are bounded: the spool keeps them from being dropped,
 * also after a restart.
 *
 * While small groups go (window.h) each is a transaction: what was isolated
 * from a record that Kafka will never take is not sent again with it.
 */
#include <inttypes.h>

#include "agent/base/log.h"
#include "uplink/lane.h"

enum {
        COMMIT_US = 1000000,
        PAUSE_FIRST_US = 500000,
        PAUSE_MAX_US = 4000000,
        FENCED_US = 300000000, /* the twin has so long between two takings */
};

static const enum sink_line lines[] = {
        [UPLINK_EVENTS] = SINK_LINE_EVENTS, [UPLINK_SAMPLES] = SINK_LINE_SAMPLES, [UPLINK_BACKLOG] = SINK_LINE_BACKLOG};
static const char *const names[] = {"events", "readings", "the backlog"};

static void step(struct uplink_lane_state *l, enum txn_event event, const struct sink_mark *mark);

static void transact(struct uplink_lane_state *l, enum txn_act act)
{
        rt_timer_cancel(l->u->rt, &l->txn.due);
        l->txn.mark.epoch = l->u->epoch;
        l->u->sink->ops->transact(l->u->sink, lines[l->no], act, &l->txn.mark);
}

static void begin_anew(struct uplink_lane_state *l)
{
        l->txn.n_rows = l->txn.n_delivered = 0;
        l->txn.spoiled = false;
}

/* ---- how far Kafka is ---- */

/*
 * The end of what Kafka has, as the lane counts; `from`: as the spool says.  A
 * range ahead that the mark tells of may have been reached by the watermark
 * meanwhile, and a mark of a range that is over tells nothing.
 */
static uint64_t end_of_mark(const struct uplink_lane_state *l, const struct sink_mark *mark, uint64_t from)
{
        struct spool_counts c;
        bool fits = mark->first == l->first || (!l->first && mark->first <= from + 1);

        if (!fits || mark->last <= from)
                return from;
        spool_counts(l->u->spool, &c);
        if (mark->last <= c.last_seq[l->id])
                return mark->last;
        log_warn("kafka", "Kafka has %s up to %" PRIu64 ", the spool only up to %" PRIu64, names[l->no], mark->last,
                 c.last_seq[l->id]);
        return c.last_seq[l->id];
}

static void take_mark(struct uplink_lane_state *l, const struct sink_mark *mark)
{
        uint64_t from = l->txn.committed, to = mark ? end_of_mark(l, mark, from) : from;

        if (to > from) {
                log_notice("kafka",
                           "Kafka has %s up to %" PRIu64 " already, those behind %" PRIu64 " are not sent again",
                           names[l->no], to, from);
                lane_tell_acked(l, l->first, to);
        }
        if (!mark && from && !l->txn.unmarked)
                log_warn("kafka",
                         "Kafka has no mark of %s (it is written with the first transaction, and kept for "
                         "offsets.retention.minutes): the spool's counts, rows behind %" PRIu64 " may come twice",
                         names[l->no], from);
        l->txn.unmarked = !mark && from;
        l->txn.committed = to;
        l->txn.backoff.n = 0;
        l->fault = (struct uplink_fault){.at_us = 0};
        begin_anew(l);
        lane_send_again(l, to, l->w.shrink ? window_backoff_us(&l->w, 0) : 0);
}

static void ack(struct uplink_lane_state *l)
{
        struct lane_txn *t = &l->txn;

        l->u->delivered += t->n_delivered;
        t->committed = t->mark.last;
        t->unmarked = false;
        t->backoff.n = 0;
        l->fault = (struct uplink_fault){.at_us = 0};
        begin_anew(l);
        lane_tell_acked(l, t->mark.first, t->mark.last);
}

static void roll_back(struct uplink_lane_state *l)
{
        l->u->retried += l->txn.n_delivered;
        begin_anew(l);
        lane_send_again(l, l->txn.committed, window_backoff_us(&l->w, rt_random(l->u->rt)));
}

/* ---- steps ---- */

static void commit(struct uplink_lane_state *l)
{
        l->txn.mark.first = l->first;
        l->txn.mark.last = window_sent(&l->w);
        transact(l, TXN_COMMIT);
}

static void rest(struct uplink_lane_state *l, int64_t us)
{
        rt_timer_cancel(l->u->rt, &l->txn.due);
        if (!l->u->stopping)
                rt_timer_set(l->u->rt, &l->txn.patience, us);
}

static void step(struct uplink_lane_state *l, enum txn_event event, const struct sink_mark *mark)
{
        enum txn_act act = txn_step(&l->txn.state, event);

        switch (act) {
        case TXN_COMMIT:
                if (event == TXN_AGAIN)
                        transact(l, act);
                else
                        commit(l);
                break;
        case TXN_START:
        case TXN_ABORT:
                transact(l, act);
                break;
        case TXN_TAKE_MARK:
                take_mark(l, mark);
                break;
        case TXN_ACK:
                ack(l);
                break;
        case TXN_ROLL_BACK:
                roll_back(l);
                break;
        case TXN_PAUSE:
                rest(l, backoff_next_us(&l->txn.backoff, rt_random(l->u->rt)));
                break;
        case TXN_WAIT:
                rest(l, FENCED_US);
                break;
        case TXN_NOTHING:
                break;
        }
}

static void on_due(struct rt_timer *t)
{
        struct uplink_lane_state *l = list_entry(t, struct uplink_lane_state, txn.due);

        step(l, l->w.phase == WINDOW_FLOWS && !l->txn.spoiled ? TXN_DUE : TXN_SPOILED, NULL);
}

static void on_patience(struct rt_timer *t)
{
        step(list_entry(t, struct uplink_lane_state, txn.patience), TXN_PATIENCE, NULL);
}

/* ---- for the lane ---- */

void lane_txn_init(struct uplink_lane_state *l)
{
        l->txn.due.on_due = on_due;
        l->txn.patience.on_due = on_patience;
        l->txn.backoff = (struct backoff){PAUSE_FIRST_US, PAUSE_MAX_US, 0};
        l->txn.committed = l->w.watermark;
        l->txn.state = TXN_STARTING;
}

void lane_txn_start(struct uplink_lane_state *l)
{
        if (l->u->exact)
                transact(l, TXN_START);
}

void lane_txn_fini(struct uplink_lane_state *l)
{
        rt_timer_cancel(l->u->rt, &l->txn.due);
        rt_timer_cancel(l->u->rt, &l->txn.patience);
}

bool lane_txn_takes(const struct uplink_lane_state *l)
{
        const struct lane_txn *t = &l->txn;

        if (!l->u->exact || t->state == TXN_IDLE)
                return true;
        if (t->state != TXN_OPEN || t->n_rows >= l->u->most_txn || t->spoiled)
                return false;
        return l->w.n_out || !window_is_shrunk(&l->w);
}

void lane_txn_record(struct uplink_lane_state *l)
{
        if (!l->u->exact)
                return;
        if (l->txn.state == TXN_IDLE)
                rt_timer_set(l->u->rt, &l->txn.due, l->no == UPLINK_EVENTS ? 0 : COMMIT_US);
        if (++l->txn.n_rows == l->u->most_txn)
                rt_timer_set(l->u->rt, &l->txn.due, 0);
        step(l, TXN_RECORD, NULL);
}

void lane_txn_end(struct uplink_lane_state *l)
{
        if (l->u->exact && l->txn.state == TXN_OPEN)
                rt_timer_set(l->u->rt, &l->txn.due, 0);
}

void lane_txn_settle(struct uplink_lane_state *l)
{
        window_durable(&l->w, l->w.watermark);
        if (l->txn.state == TXN_OPEN && (l->w.phase != WINDOW_FLOWS || l->txn.spoiled))
                step(l, TXN_SPOILED, NULL);
        else if (!l->w.n_out && window_is_shrunk(&l->w))
                lane_txn_end(l);
}

void lane_txn_refused(struct uplink_lane_state *l, uint64_t seq)
{
        if (!l->u->exact)
                return;
        l->txn.refused = seq;
        l->txn.spoiled = true;
}

void lane_txn_answer(struct uplink_lane_state *l, enum txn_event outcome, const struct sink_mark *mark, const char *why)
{
        if (outcome != TXN_DONE && why && *why) {
                uplink_note(l->u, &l->fault, why);
                log_info("kafka", "the transaction of %s, %s: %s", names[l->no], txn_state_names[l->txn.state], why);
        }
        step(l, outcome, mark);
}

bool lane_txn_is_idle(const struct uplink_lane_state *l)
{
        return !l->u->exact || l->txn.state == TXN_IDLE;
}

bool lane_txn_is_busy(const struct uplink_lane_state *l)
{
        return l->u->exact && l->txn.state >= TXN_OPEN && l->txn.state <= TXN_ABORTING;
}
