/*
 * kafka_impl: what the rooms of the Kafka sink share, and librdkafka.  Nobody
 * else includes this.
 *
 * kafka.c: the sink.  kafka_lines.c, kafka_line_work.c: lanes in transactions.
 * kafka_setup.c: what a producer is made from.
 * kafka_life.c: how producers end and come.  kafka_events.c: what librdkafka
 * tells, in words.  kafka_ask.c: are the topics there.  kafka_token.c: tokens
 * for SASL OAUTHBEARER.  For the tool:
 * kafka_topics.c, what they are set to, and kafka_reach.c, can they be reached
 * and written to.
 */
#ifndef MILLRACE_UPLINK_KAFKA_IMPL_H
#define MILLRACE_UPLINK_KAFKA_IMPL_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "agent/base/err.h"
#include "uplink/outstanding.h"
#include "uplink/token.h"
#include "uplink/uplink.h"

/*
 * What a turn's reports give back; a record's copy and release are 4
 * allocations.
 */
enum { KAFKA_SPARE_HEADERS = 4096 };

enum phase { PHASE_RUNS, PHASE_DRAINS, PHASE_PURGES, PHASE_REMAKES, PHASE_ENDS };

struct kafka_producer {
        rd_kafka_t *rk;
        rd_kafka_queue_t *queue;
        rd_kafka_topic_t *topic[SINK_TOPICS];
};

/* What librdkafka's threads use of a setup. */
struct kafka_shared {
        atomic_int certificate; /* why OpenSSL refused a broker's last */
        struct token_source *token;
};

/* What a producer is made from. */
struct kafka_setup {
        rd_kafka_conf_t *conf;
        char *topic_name[SINK_TOPICS];
        char user[128];
        char transactional_id[160]; /* ""; of a line */
        uint64_t fingerprint;       /* of all that was set, secrets included */
        struct kafka_shared *shared;
};

struct kafka_next {
        struct kafka_next *after; /* applied later */
        struct kafka_setup setup;
        struct kafka_producer p;
        struct kafka_setup *line; /* of each line; NULL: no transactions */
};

/*
 * A lane's own producer, with transactions.  While its work runs all but
 * `watch`, `n_out` and `out` is the work's.
 */
struct kafka_line {
        struct kafka *k;
        enum sink_line no;
        struct kafka_setup setup;
        struct kafka_setup coming, next; /* of another configuration, if it has a conf: the loop's; given to the work */
        struct kafka_producer p;
        char group[320]; /* its offsets are the mark */
        enum txn_act act;
        struct sink_mark mark;     /* to commit, or found */
        bool aborted;              /* the last one was */
        bool found, marked, spent; /* a mark was; it is in the transaction; the producer can't be used any more */
        enum txn_event outcome;
        char why[200];
        int64_t begun_us; /* its first record; 0: it has none */

        struct rt_watch watch;
        struct rt_timer tick;
        struct rt_work work;
        int ticks;
        enum { LINE_RESTS, LINE_WAITS, LINE_WORKS, LINE_TELLS, LINE_ENDS, LINE_ENDED } phase;
        bool left; /* its work hangs */
        uint64_t n_out;
        struct outstanding out;
};

struct kafka {
        struct sink sink; /* first */
        struct rt *rt;
        rd_kafka_headers_t *headers, *raw_headers;      /* to copy */
        rd_kafka_headers_t *spare[KAFKA_SPARE_HEADERS]; /* as `headers`; of records that were reported */
        size_t n_spare;
        struct kafka_setup setup;
        struct kafka_producer p;
        struct kafka_next *next;  /* waits until the producer there is has ended */
        struct kafka_next *taken; /* by the work under way */
        uint64_t fingerprint;     /* of the latest applied */
        enum phase phase;
        bool closing, changing;
        int purge_ticks;
        uint64_t n_out;
        struct outstanding out;
        struct rt_watch watch;
        struct rt_timer turn, tick, silent, ask;
        uint64_t n_answers, n_answers_seen;
        struct rt_work work;
        bool known, up;
        unsigned missing;          /* bits of enum sink_topic that the brokers do not have */
        bool sends_raw, asked_raw; /* raw payloads are sent; their topic was asked for */
        char fault[200];           /* what a broker connection failed with last */
        struct err made;           /* of the work */
        void (*on_closed)(void *ctx);
        void *close_ctx;
        struct kafka_line *line; /* SINK_LINES - 1 of them; NULL: no transactions */
        void (*on_lines_closed)(struct kafka *k);
};

/*
 * kafka_setup.c: any thread. On failure there is something to release as well.
 */
int kafka_setup_fill(struct kafka_setup *s, const struct kafka_conf *conf, const char *gateway, struct err *e);
/* Between the two. */
int kafka_setup_transactional(struct kafka_setup *s, const char *id, int timeout_ms, struct err *e);
int kafka_setup_complete(struct kafka_setup *s, const struct kafka_conf *conf, struct err *e);
void kafka_setup_fini(struct kafka_setup *s);
int kafka_producer_make(struct kafka_producer *p, const struct kafka_setup *s, struct err *e);
/* Any thread, one at a time.  NULL: rd_kafka_last_error() says why. */
rd_kafka_topic_t *kafka_producer_topic(struct kafka_producer *p, const struct kafka_setup *s, enum sink_topic which);
void kafka_producer_destroy(struct kafka_producer *p); /* blocking */

/*
 * kafka_token.c.  A token is had when librdkafka wants one, from when it is
 * served.
 */
int kafka_token_set(struct kafka_setup *s, const struct token_conf *conf, struct err *e);
int kafka_token_serve(rd_kafka_t *rk, const struct kafka_setup *s, struct err *e);

/* kafka_life.c */
void kafka_life_init(struct kafka *k);
void kafka_begin_purge(struct kafka *k);
void kafka_end_purge(struct kafka *k);

/* kafka_lines.c: nothing but with exactly once. */
int kafka_lines_open(struct kafka *k, const struct kafka_conf *conf, const char *gateway, struct err *e);
int kafka_lines_prepare(struct kafka_next *next, const struct kafka_conf *conf, const char *gateway, struct err *e);
void kafka_lines_change(struct kafka *k, struct kafka_next *next); /* takes over */
void kafka_lines_discard(struct kafka_next *next);                 /* what was not taken over */
int kafka_lines_produce(struct kafka *k, const struct sink_record *rec, struct err *e);
void kafka_lines_transact(struct sink *s, enum sink_line line, enum txn_act act, const struct sink_mark *mark);
void kafka_lines_close(struct kafka *k, void (*on_closed)(struct kafka *k)); /* reports what is out */
void kafka_lines_free(struct kafka *k);

/* kafka_line_work.c: off the loop. */
void kafka_line_work(struct kafka_line *l);
bool kafka_is_twin(rd_kafka_resp_err_t err);

/* kafka.c: 0, or SINK_E_*, or < 0: as sink_ops.produce.  One that was taken is noted in n_out and out. */
int kafka_put(struct kafka *k, struct kafka_producer *p, const struct kafka_setup *s, const struct sink_record *rec,
              struct err *e);

/* kafka_ask.c */
void kafka_ask_init(struct kafka *k);
void kafka_ask(struct kafka *k);        /* there is a producer, of which nothing is known */
void kafka_ask_again(struct kafka *k);  /* a broker answers again */
void kafka_ask_of_raw(struct kafka *k); /* a raw payload is out */
void kafka_take_topics(struct kafka *k, rd_kafka_event_t *ev);
void kafka_topic_is_there(struct kafka *k, const char *name); /* it took a record */

/* kafka_events.c */
size_t kafka_take_reports(struct kafka *k, rd_kafka_event_t *ev, uint64_t *n_out, struct outstanding *out);
bool kafka_error_is_fatal(rd_kafka_event_t *ev);
void kafka_take_error(struct kafka *k, rd_kafka_event_t *ev); /* none that is fatal */
void kafka_take_log(rd_kafka_event_t *ev);
void kafka_events_init(struct kafka *k);
void kafka_listen(struct kafka *k);
void kafka_serve(struct kafka *k);
void kafka_watch_silence(struct kafka *k); /* a record went out */
void kafka_put_headers(struct kafka *k, rd_kafka_headers_t *h);
void kafka_tell_state(struct kafka *k, bool up, const char *why);
enum sink_result kafka_result_of(rd_kafka_resp_err_t err);
/* Why a connection failed, any thread. In words of a person: kafka_plain.c. */
void kafka_plain_words(const char *words, char *out, size_t cap);
void kafka_connection_words(const struct kafka_setup *s, const char *words, char *out, size_t cap);
void kafka_refused_words(const struct kafka_setup *s, const char *words, char *out, size_t cap);
const char *kafka_words_of(const struct kafka *k, rd_kafka_resp_err_t err, const char *topic, char *out, size_t cap);

/* ---- for the tool: kafka_topics.c, kafka_reach.c ---- */

/* Where a sentence about the cluster goes. */
struct kafka_note {
        void (*on_note)(void *ctx, const char *text, enum kafka_note_kind kind);
        void *ctx;
};

void kafka_note_say(const struct kafka_note *n, enum kafka_note_kind kind, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* The brokers' own addresses, and the partitions of the producer's topics. */
void kafka_look_around(const struct kafka_producer *p, const struct kafka_note *n);
/*
 * `most`: the largest record a topic takes, as it says itself; 0: it is left
 * alone.  Nothing is written.
 */
void kafka_try_writing(const struct kafka_setup *s, const int64_t most[SINK_TOPICS], const struct kafka_note *n);

#endif
