/*
 * kafka_line_work: what librdkafka blocks for in a line's transactions, off the
 * loop, with a bound on each call (see kafka_lines.c).
 *
 * The mark.  It is an offset that the transaction commits for a consumer group
 * of the line's own, on partition 0 of the line's topic: the offset is the last
 * row, its metadata where the range begins.  The group's name has the spool's
 * epoch in it, so no other spool's mark is ever taken for ours.  A restart
 * costs one request, whatever else is in the cluster; as a record of a
 * compacted topic the mark would have to be looked for in all that a fleet
 * wrote since the last compaction.  What it costs: brokers forget offsets
 * (offsets.retention.minutes, 7 days) of who is away for longer.
 *
 * Answers.  A call that says nothing in time is made again; librdkafka knows
 * what it was at.  rd_kafka_send_offsets_to_transaction keeps no time (2.0 to
 * 2.14): a broker that is away keeps the work as long, which costs a thread and
 * nothing else.
 *
 * How it fails: `outcome`, and `why` in words.  A transaction that the broker
 * gave up after transaction.timeout.ms looks like a twin's doing: it is one only
 * if ours was younger.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "uplink/kafka_impl.h"

enum { CALL_MS = 2000, MARK_MS = 5000 };

/* ---- answers ---- */

bool kafka_is_twin(rd_kafka_resp_err_t err)
{
        return err == RD_KAFKA_RESP_ERR__FENCED || err == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
               err == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/*
 * Some calls say that a fenced producer's transaction can be aborted; it can't.
 */
static enum txn_event outcome_of(const rd_kafka_error_t *error)
{
        rd_kafka_resp_err_t err = rd_kafka_error_code(error);
        bool fatal = rd_kafka_error_is_fatal(error) != 0;

        if (kafka_is_twin(err) && (fatal || err != RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH))
                return TXN_TWIN;
        if (fatal)
                return TXN_BROKEN;
        if (rd_kafka_error_txn_requires_abort(error))
                return TXN_ABORTABLE;
        return rd_kafka_error_is_retriable(error) ? TXN_AGAIN : TXN_BROKEN;
}

/* Takes `error`. True: there was none. */
static bool is_done(struct kafka_line *l, rd_kafka_error_t *error, const char *what)
{
        if (!error)
                return true;
        snprintf(l->why, sizeof(l->why), "%s: %.160s", what, rd_kafka_error_string(error));
        l->outcome = outcome_of(error);
        rd_kafka_error_destroy(error);
        return false;
}

static bool failed(struct kafka_line *l, enum txn_event outcome, const char *what, const char *why)
{
        snprintf(l->why, sizeof(l->why), "%s: %.160s", what, why);
        l->outcome = outcome;
        return false;
}

/* ---- the mark ---- */

static const char *mark_topic(const struct kafka_line *l)
{
        static const enum sink_topic topics[] = {[SINK_LINE_EVENTS] = SINK_EVENTS,
                                                 [SINK_LINE_SAMPLES] = SINK_SAMPLES,
                                                 [SINK_LINE_BACKLOG] = SINK_BACKFILL};

        return l->setup.topic_name[topics[l->no]];
}

static bool put_mark(struct kafka_line *l)
{
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, mark_topic(l), 0);
        rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(l->group);
        char first[32];
        bool done;

        at->offset = (int64_t)l->mark.last;
        at->metadata_size = (size_t)snprintf(first, sizeof(first), "first=%" PRIu64, l->mark.first);
        at->metadata = mem_strdup(first);
        done = is_done(l, rd_kafka_send_offsets_to_transaction(l->p.rk, list, group, CALL_MS), "the mark");
        rd_kafka_consumer_group_metadata_destroy(group);
        rd_kafka_topic_partition_list_destroy(list);
        return done;
}

static bool take_offset(struct kafka_line *l, const rd_kafka_topic_partition_t *at)
{
        char first[32] = "";

        if (at->err)
                return failed(l, TXN_AGAIN, "reading the mark", rd_kafka_err2str(at->err));
        l->found = at->offset >= 0;
        l->mark.first = 0;
        l->mark.last = l->found ? (uint64_t)at->offset : 0;
        if (at->metadata && at->metadata_size < sizeof(first))
                memcpy(first, at->metadata, at->metadata_size);
        sscanf(first, "first=%" SCNu64, &l->mark.first);
        return true;
}

/*
 * By a consumer of the group, which joins nothing.  An admin request would do
 * without one, but librdkafka (its issue 5040) ends the process on it when the
 * group's coordinator has moved.
 */
static rd_kafka_t *reader_of(struct kafka_line *l)
{
        rd_kafka_conf_t *conf = rd_kafka_conf_dup(l->setup.conf);
        rd_kafka_t *rk;
        char text[200];

        rd_kafka_conf_set(conf, "group.id", l->group, NULL, 0);
        rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
        if (rk)
                return rk;
        rd_kafka_conf_destroy(conf);
        failed(l, TXN_AGAIN, "reading the mark", text);
        return NULL;
}

static bool get_mark(struct kafka_line *l)
{
        rd_kafka_topic_partition_list_t *list;
        rd_kafka_t *reader = reader_of(l);
        rd_kafka_resp_err_t err;
        bool done;

        if (!reader)
                return false;
        list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, mark_topic(l), 0);
        err = rd_kafka_committed(reader, list, MARK_MS);
        done = err ? failed(l, TXN_AGAIN, "reading the mark", rd_kafka_err2str(err)) : take_offset(l, &list->elems[0]);
        rd_kafka_topic_partition_list_destroy(list);
        rd_kafka_destroy_flags(reader, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        return done;
}

/* ---- what the loop asks for ---- */

static void let_go(struct kafka_line *l)
{
        if (l->p.rk)
                rd_kafka_purge(l->p.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        kafka_producer_destroy(&l->p);
        l->spent = false;
}

/* init_transactions is once a producer: where the mark could not be read a new one is made. */
static void start(struct kafka_line *l)
{
        struct err e = {""};

        if (l->spent)
                let_go(l);
        if (!l->p.rk && l->next.conf) {
                kafka_setup_fini(&l->setup);
                l->setup = l->next;
                l->next = (struct kafka_setup){0};
        }
        if (!l->p.rk && kafka_producer_make(&l->p, &l->setup, &e) < 0) {
                l->spent = true;
                failed(l, TXN_BROKEN, "a producer", e.text);
                return;
        }
        if (!is_done(l, rd_kafka_init_transactions(l->p.rk, CALL_MS), "beginning"))
                return;
        l->spent = !get_mark(l) || !is_done(l, rd_kafka_begin_transaction(l->p.rk), "beginning");
}

static void commit(struct kafka_line *l)
{
        l->marked = l->marked || put_mark(l);
        if (l->marked && is_done(l, rd_kafka_commit_transaction(l->p.rk, CALL_MS), "committing")) {
                l->marked = l->aborted = false;
                is_done(l, rd_kafka_begin_transaction(l->p.rk), "beginning");
        }
}

/* Two in a row: librdkafka and the broker may not agree on the numbers of records any more. */
static void abort_it(struct kafka_line *l)
{
        bool again = l->aborted;

        l->marked = false;
        l->aborted = true;
        if (again)
                failed(l, TXN_BROKEN, "aborting", "the one before was aborted as well; the producer is made anew");
        else if (is_done(l, rd_kafka_abort_transaction(l->p.rk, CALL_MS), "aborting"))
                is_done(l, rd_kafka_begin_transaction(l->p.rk), "beginning");
}

void kafka_line_work(struct kafka_line *l)
{
        l->outcome = TXN_DONE;
        l->why[0] = '\0';
        switch (l->act) {
        case TXN_START:
                l->marked = l->aborted = false;
                start(l);
                break;
        case TXN_COMMIT:
                commit(l);
                break;
        case TXN_ABORT:
                abort_it(l);
                break;
        default: /* it ends */
                let_go(l);
                break;
        }
        if (l->outcome == TXN_BROKEN || l->outcome == TXN_TWIN)
                l->spent = true;
}
