/*
 * sink: where records go.  Two of them: Kafka (uplink/kafka.c) and a fake one
 * in the tests.
 *
 * Thread: the loop thread.  produce copies key, value and headers.  Every
 * record that produce took ends in exactly one on_report, in any order over
 * partitions, also when the sink is closed.
 *
 * With transactions (exactly once) a lane has a line of its own to Kafka: what
 * is produced on it counts when it is committed, with a mark of how far it
 * goes.  What is produced beside the lines is in no transaction.
 */
#ifndef MILLRACE_UPLINK_SINK_H
#define MILLRACE_UPLINK_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "uplink/txn.h"

struct sink;

enum sink_line { SINK_BESIDE, SINK_LINE_EVENTS, SINK_LINE_SAMPLES, SINK_LINE_BACKLOG, SINK_LINES };

/*
 * Kafka has all of first..last of a spool (0: from its beginning on) that was
 * not dropped.
 */
struct sink_mark {
        uint64_t epoch, first, last;
};

enum sink_topic { SINK_SAMPLES, SINK_EVENTS, SINK_STATUS, SINK_BACKFILL, SINK_RAW, SINK_TOPICS };

enum sink_result {
        SINK_DELIVERED,
        SINK_RETRY,  /* not delivered: the topic, the rights, the producer; the same record may go again later */
        SINK_POISON, /* Kafka will never take this record */
};

struct sink_record {
        enum sink_topic topic;
        enum sink_line line;
        const char *key;
        size_t key_len;
        const char *value;
        size_t value_len;
        const char *headers; /* NULL: the standard ones; raw passthrough: JSON of the identity */
        size_t headers_len;
        int64_t ts_ms;
        uint32_t opaque; /* given back in the report; what fits a pointer on every board */
};

struct sink_upcalls {
        /* Reports come in batches; the end of each is told. */
        void (*on_report)(void *ctx, uint32_t opaque, enum sink_result result, const char *why);
        void (*on_reports_end)(void *ctx);
        /* up: a broker answers; !up: why none does. Also told: rights and authentication, in plain words. */
        void (*on_state)(void *ctx, bool up, const char *why);
        /* Bits of enum sink_topic that the brokers say they do not have; each time it is asked. */
        void (*on_missing)(void *ctx, unsigned missing);
        /*
         * What a line was told to do is done, or how it failed; or the line failed by itself (TXN_TWIN, TXN_BROKEN).
         * Before it all records of a transaction that ends are reported.  `mark`: of a START that is done; NULL:
         * Kafka has none.
         */
        void (*on_line)(void *ctx, enum sink_line line, enum txn_event outcome, const struct sink_mark *mark,
                        const char *why);
        void *ctx;
};

struct sink_ops {
        /*
         * 0; SINK_E_FULL: not taken, try again after reports; SINK_E_RETRY: not taken, and trying again needs patience
         * (told in *e); < 0: never (told in *e), it is poison.
         */
        int (*produce)(struct sink *k, const struct sink_record *rec, struct err *e);
        /* Ends: reports what is still out as SINK_RETRY, then calls on_closed. */
        void (*close)(struct sink *k, void (*on_closed)(void *ctx), void *ctx);
        /*
         * NULL: no transactions.  TXN_START, TXN_COMMIT or TXN_ABORT, one at a time on a line; answered by on_line
         * later.  Records are taken between a START, COMMIT or ABORT that is done and the next.  `mark`: of a commit;
         * of a start its epoch.
         */
        void (*transact)(struct sink *k, enum sink_line line, enum txn_act act, const struct sink_mark *mark);
};
enum { SINK_E_FULL = 1, SINK_E_RETRY = 2 };

struct sink {
        const struct sink_ops *ops;
        struct sink_upcalls up;
};

#endif
