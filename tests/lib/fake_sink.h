/*
 * fake_sink: a made-up Kafka of one log.  What is produced is out until it is
 * answered, in order and by itself a while later, or as a test says; it is
 * stored when it is answered as delivered, or survives a power cut on our side.
 * While it is away nothing is answered.
 *
 * With transactions what is answered on a line is stored when it is committed,
 * with the mark; what on_stored sees is what a read_committed consumer does.
 */
#ifndef MILLRACE_TESTS_FAKE_SINK_H
#define MILLRACE_TESTS_FAKE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/rt.h"
#include "uplink/sink.h"

struct fake_record {
        uint32_t opaque;
        enum sink_topic topic;
        enum sink_line line;
        uint64_t seq; /* 0: it has none */
        char value[]; /* ends with a 0 byte */
};

struct fake_line {
        struct fake_sink *k;
        struct fake_record **pending; /* answered, in the open transaction */
        int n, cap;
        bool spoiled, broken;
        enum txn_act act; /* asked for; TXN_NOTHING: none */
        struct sink_mark asked, mark;
        struct rt_timer timer;
};

struct fake_sink {
        struct sink sink; /* first */
        struct rt *rt;
        struct rt_timer timer;
        int64_t answer_after_us; /* 0: the test answers */
        int most;                /* answers at once */
        bool away;
        struct fake_record **out;
        int n_out, cap;
        struct fake_line line[SINK_LINES];

        /* A test's own, each may be NULL. */
        int (*on_produce)(struct fake_sink *k, const struct sink_record *rec, const struct fake_record *r);
        enum sink_result (*judge)(struct fake_sink *k, const struct fake_record *r);
        void (*on_stored)(struct fake_sink *k, const struct fake_record *r);
        /* How what a line was told to do ends: TXN_DONE if NULL. *happens: whether a commit that is BROKEN was done. */
        enum txn_event (*judge_line)(struct fake_sink *k, enum sink_line line, enum txn_act act, bool *happens);
};

/* Answers at most 300 at once, 5 ms after they came. */
void fake_sink_init(struct fake_sink *k, struct rt *rt);
void fake_sink_fini(struct fake_sink *k);

/* Goes away, or is back and answers at once. */
void fake_sink_set_away(struct fake_sink *k, bool away);

/* Takes transactions from now on. */
void fake_sink_exact(struct fake_sink *k);
/* Kafka forgets its marks. */
void fake_sink_forget(struct fake_sink *k);

/* One that was taken out of `out`; it is gone then. */
void fake_sink_report(struct fake_sink *k, struct fake_record *r, enum sink_result result);

/* Nobody is told about what is out; it is stored if it survives (NULL: none). */
void fake_sink_cut(struct fake_sink *k, bool (*survives)(struct fake_sink *k, const struct fake_record *r));

/* The number behind `key`; -1: there is none. */
int64_t fake_record_number(const struct fake_record *r, const char *key);

#endif
