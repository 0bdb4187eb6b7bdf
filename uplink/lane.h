/*
 * lane: one lane of the spool on its way to the sink; and what the lanes share.
 * Private to the uplink.
 *
 * Events have one, readings have one, or with live_first two: of fresh ones,
 * and of the backlog below them (lane_read.c).
 *
 * Everything stops by itself: a full window, a window in backoff, an empty
 * spool, an empty bucket; and is started again by what ends that: reports, the
 * lane's timer, a kick.
 */
#ifndef MILLRACE_UPLINK_LANE_H
#define MILLRACE_UPLINK_LANE_H

#include "uplink/pace.h"
#include "uplink/seal.h"
#include "uplink/uplink.h"
#include "uplink/window.h"

enum uplink_lane { UPLINK_EVENTS, UPLINK_SAMPLES, UPLINK_BACKLOG, UPLINK_LANES };

/* A report's opaque: the slot in the lane's window, and which lane. */
enum { OPAQUE_LANE_BITS = 3, OPAQUE_LANE_MASK = 7, OPAQUE_AGAIN = 6, OPAQUE_HEARTBEAT = 7 };

enum batch_state { BATCH_EMPTY, BATCH_FETCHING, BATCH_READY };

struct uplink_lane_state;

struct batch {
        struct spool_fetch fetch;
        struct uplink_lane_state *lane;
        enum batch_state state;
        bool stale;    /* the lane went back while it was being read: not to be used */
        bool kicked;   /* the spool got rows while it was being read */
        uint64_t upto; /* rows behind it are not to be used */
        uint32_t next; /* row to produce */
};

/* Of the record in a slot of the window. */
struct lane_leaf {
        unsigned char hash[SEAL_HASH];
        bool delivered;
};

/* A lane's transaction, with exactly once; else all zero (lane_txn.c). */
struct lane_txn {
        enum txn_state state;
        struct rt_timer due;      /* the commit */
        struct rt_timer patience; /* a pause, a wait */
        struct backoff backoff;
        struct sink_mark mark; /* being committed */
        uint64_t committed;    /* Kafka has all up to here; the spool is told, its disk perhaps not */
        uint64_t n_rows;       /* in it */
        uint64_t n_delivered;  /* of them */
        bool spoiled;          /* by a record that Kafka will never take */
        uint64_t refused;      /* row that made it fail, and is a dead letter */
        bool unmarked;         /* Kafka had no mark of it, and none was written since */
};

struct uplink_lane_state {
        struct uplink *u;
        enum uplink_lane no;
        enum spool_lane id;
        struct window w;
        struct lane_leaf *leaf; /* by slot; NULL: there are no seals */
        struct pace pace;       /* of the backlog alone */
        struct batch batch[2];  /* one is produced, the other read ahead */
        unsigned at;            /* the one being produced: its rows come before the other's */
        uint64_t fetch_after;
        uint64_t pinned;
        struct uplink_fault fault; /* until its watermark moves */
        uint64_t first;            /* of the readings: those below are the backlog's; 0: there was none */
        int64_t gave_way_us;       /* when that was last set; monotonic */
        bool gives_way;            /* the next row is too old: to be set as soon as the window is empty */
        bool idle;                 /* the spool has nothing behind fetch_after: until a kick */
        bool read_failed;          /* until the timer */
        bool in_backoff;           /* until the timer */
        struct rt_timer wake;
        struct spool_sync sync; /* the window waits for its acks to be on disk */
        bool syncing;
        struct lane_txn txn;
};

struct uplink {
        struct rt *rt;
        const struct kafka_conf *conf;
        struct spool *spool;
        struct tags *tags;
        struct sink *sink;
        struct uplink_upcalls up;
        char *gateway;
        uint64_t epoch;
        bool exact;        /* with transactions */
        uint64_t most_txn; /* rows in one */
        struct record_encoder enc;
        char *buf; /* of the record being made; grows with the largest text seen */
        size_t cap;
        struct uplink_lane_state lane[UPLINK_LANES];
        int n_lanes;
        struct pace pace; /* of readings */
        struct hours_now hours;
        struct rt_timer turn, stop_timer, hour;
        bool stopping, stop_expired, stopped;
        void (*on_stopped)(void *ctx);
        void *stop_ctx;
        enum { LINK_UNKNOWN, LINK_UP, LINK_DOWN } link;
        struct uplink_fault fault; /* of the link, until it is up */
        struct uplink_fault heartbeat;
        struct seal seal;
        bool seals;
        bool beats;       /* a heartbeat was delivered, and none refused since */
        unsigned missing; /* topics, as sink_upcalls.on_missing says */
        uint64_t delivered, retried, poisoned, bytes_sent;
};

/* uplink.c */
void uplink_pump(struct uplink *u);
void uplink_note(struct uplink *u, struct uplink_fault *f, const char *why);
void uplink_check_stopped(struct uplink *u);

/* lane_read.c */
void lane_read_init(struct uplink_lane_state *l, uint64_t acked_seq);
void lane_read_fini(struct uplink_lane_state *l);
void lane_read_ahead(struct uplink_lane_state *l);
bool lane_is_reading(const struct uplink_lane_state *l);
void lane_kick(struct uplink_lane_state *l);
void lane_learn_durable(struct uplink_lane_state *l);
/*
 * All that was read and not sent is forgotten; reading begins again behind
 * `after`.
 */
void lane_rewind(struct uplink_lane_state *l, uint64_t after);
struct spool_row *lane_next_row(struct uplink_lane_state *l); /* NULL when there is none yet */
void lane_took_row(struct uplink_lane_state *l);
/*
 * True when the row is too old to go before fresher ones; then lane_give_way
 * does it when the window is empty.
 */
bool lane_should_give_way(const struct uplink_lane_state *l, const struct spool_row *row, const struct rt_time *now);
void lane_give_way(struct uplink_lane_state *l);
/*
 * The backlog: when all of it is done the watermark goes up to the fresh rows.
 */
void lane_end_backlog(struct uplink_lane_state *l);

/* lane_txn.c: nothing happens but with exactly once. */
void lane_txn_init(struct uplink_lane_state *l);
void lane_txn_start(struct uplink_lane_state *l); /* the sink may be asked now */
void lane_txn_fini(struct uplink_lane_state *l);
bool lane_txn_takes(const struct uplink_lane_state *l); /* records */
void lane_txn_record(struct uplink_lane_state *l);      /* one was taken */
void lane_txn_end(struct uplink_lane_state *l);         /* soon: what is in it is wanted */
void lane_txn_settle(struct uplink_lane_state *l);      /* after reports */
/* Kafka will never take it, and what it was sent with was not taken either. */
void lane_txn_refused(struct uplink_lane_state *l, uint64_t seq);
void lane_txn_answer(struct uplink_lane_state *l, enum txn_event outcome, const struct sink_mark *mark,
                     const char *why);
/* Nothing is in it, and it is not under way. */
bool lane_txn_is_idle(const struct uplink_lane_state *l);
/* Something is to come of it yet: not where only patience helps. */
bool lane_txn_is_busy(const struct uplink_lane_state *l);

/* lane.c */
/*
 * What was sent behind `after` goes once more.  `rest_us`: after a pause.
 */
void lane_send_again(struct uplink_lane_state *l, uint64_t after, int64_t rest_us);
void lane_tell_acked(struct uplink_lane_state *l, uint64_t first, uint64_t last);
/* Readings: its window is one of `parts` of what is configured. */
void lane_init(struct uplink_lane_state *l, struct uplink *u, enum uplink_lane no, uint32_t parts);
void lane_fini(struct uplink_lane_state *l);

/*
 * Produces until something stops it; each row takes one of *budget. True: call
 * again soon.
 */
bool lane_pump(struct uplink_lane_state *l, uint32_t *budget);
void lane_reconfigure(struct uplink_lane_state *l);

/*
 * Topic, time, key and value; they live until the next one is made. False: it
 * is of a tag that nobody knows.
 */
bool lane_make_record(struct uplink_lane_state *l, const struct spool_row *row, const struct rt_time *now,
                      struct sink_record *rec);

/* Ends what can be ended at once. */
void lane_stop(struct uplink_lane_state *l);
void lane_report(struct uplink_lane_state *l, uint32_t slot, enum sink_result result, const char *why);

/*
 * After a batch of reports: the watermark moves, and a lane that has to back
 * off rests. True when it moved.
 */
bool lane_settle(struct uplink_lane_state *l);

#endif
