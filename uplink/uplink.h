/*
 * uplink: from the spool to a sink, with backpressure.
 *
 * Reads each lane in seq order (with live_first fresh readings beside a backlog
 * of them), encodes records, keeps at most a window of them out, and moves the
 * lane's watermark only over records the sink reported as delivered.  Events
 * have a window of their own and go first.  What can't be sent stays in the
 * spool; what Kafka will never take becomes a dead letter there.  Loop thread
 * only.
 */
#ifndef MILLRACE_UPLINK_UPLINK_H
#define MILLRACE_UPLINK_UPLINK_H

#include "agent/base/rt.h"
#include "agent/base/schema.h"
#include "agent/base/tags.h"
#include "store/spool.h"
#include "uplink/hours.h"
#include "uplink/record.h"
#include "uplink/seal.h"
#include "uplink/sink.h"
#include "uplink/token.h"

struct uplink;

enum kafka_delivery { KAFKA_AT_LEAST_ONCE, KAFKA_EXACTLY_ONCE };

/* The `kafka:` section. */
struct kafka_conf {
        struct schema_at at;
        struct schema_list brokers;  /* const char *: host:port */
        int delivery;                /* enum kafka_delivery */
        int compression;             /* none, gzip, snappy, lz4, zstd */
        const char *rate_limit;      /* as written, "256KiB/s" */
        uint64_t rate_limit_bytes_s; /* from it, by the section's check; 0: none */
        struct schema_list hours;    /* struct hours_conf */
        bool live_first;
        int64_t backfill_after_us;            /* with live_first: older rows are left to the backfill topic */
        const char *backfill_rate_limit;      /* as rate_limit */
        uint64_t backfill_rate_limit_bytes_s; /* of the backfill topic alone */
        int64_t linger_us;
        int64_t window_records;
        uint64_t window_bytes;
        const char *samples_topic, *events_topic, *status_topic, *backfill_topic, *raw_topic;
        struct schema_list properties; /* const char *: name=value, verbatim */
        struct token_conf token;
        struct schema_list secrets; /* const char *: name=file:/path or name=credential:NAME */
        const char *client_id;
        bool seal;            /* in heartbeats */
        const char *sign_key; /* a file; NULL: they are not signed */
};
extern const struct schema kafka_schema;

/*
 * Why something does not go on, and when that was told last (wall clock); ""
 * and 0: it does.
 */
struct uplink_fault {
        char why[200];
        int64_t at_us;
};

enum { UPLINK_LANES_MAX = 3 };

struct uplink_lane_status {
        const char *name;  /* events, samples, backlog */
        const char *state; /* as the uplink's, but of this lane */
        uint64_t held;
        struct uplink_fault fault;
        const char *transaction; /* "": there are none */
        bool fenced;             /* another agent has our name */
        bool unmarked;           /* Kafka had no mark of it at the start, and has none since */
};

struct uplink_status {
        const char *state; /* connecting, up, down, backoff */
        uint64_t in_flight;
        uint64_t backlog;            /* live_first: held readings that fresh ones have overtaken */
        bool paused;                 /* window full or waiting: nothing is read from the spool */
        int64_t quiet_until_us;      /* no readings are sent until then, wall clock; 0: they are */
        uint64_t rate_limit_bytes_s; /* of readings, now; 0: none */
        struct uplink_fault fault;   /* the link's, else the first lane's that has one */
        struct uplink_lane_status lane[UPLINK_LANES_MAX];
        int n_lanes;
        const char *heartbeat; /* connecting (none was answered yet), up, refused */
        struct uplink_fault heartbeat_fault;
        uint64_t delivered, retried, poisoned; /* records since start */
        uint64_t bytes_sent;
        unsigned missing; /* bits of enum sink_topic that Kafka does not have */
};

struct uplink_upcalls {
        void (*on_state)(void *ctx, bool up, const char *why); /* transitions only */
        void (*on_again)(void *ctx, uint32_t token, bool delivered,
                         const char *why); /* NULL: uplink_resend is not used */
        void *ctx;
};

struct uplink *uplink_new(struct rt *rt, const struct kafka_conf *conf, const struct uplink_identity *id,
                          struct spool *spool, struct tags *tags, struct sink *sink, const struct uplink_upcalls *up);
void uplink_kick(struct uplink *u); /* the spool has new rows */
/*
 * What `conf` points to has changed: rates, live_first, bytes of the window;
 * window_records stays what it was.
 */
void uplink_reconfigure(struct uplink *u);
void uplink_status(const struct uplink *u, struct uplink_status *out);
/*
 * The text of a seal (seal.h) for the next heartbeat, in which it stands as it
 * is.  False: there are no seals.
 */
bool uplink_seal(struct uplink *u, int64_t at_us, char out[SEAL_TEXT_MAX]);
/*
 * A heartbeat on the status topic: not spooled, lost when Kafka is away.  False:
 * there is no room for it now.
 */
bool uplink_heartbeat(struct uplink *u, const char *json, size_t len);
/*
 * The row once more, under its old id, beside what the lanes send; ends in
 * on_again with the token (at most 2^30) unless it is refused: SINK_E_FULL,
 * SINK_E_RETRY, or < 0 for ever (told in *e).
 */
int uplink_resend(struct uplink *u, enum spool_lane lane, const struct spool_row *row, uint32_t token, struct err *e);
/*
 * No more fetches or records; on_stopped when nothing is under way. Delivered
 * ones are acked to the spool before.
 */
void uplink_stop(struct uplink *u, int64_t within_us, void (*on_stopped)(void *ctx), void *ctx);
void uplink_free(struct uplink *u);

/*
 * The Kafka sink. Blocking file reads (secrets) happen here: before the loop
 * runs.
 */
struct sink *kafka_sink_open(struct rt *rt, const struct kafka_conf *conf, const char *gateway, struct err *e);
void kafka_sink_close(struct sink *k); /* after closed */
/*
 * 0, or -1 with a sentence: kafka_sink_open would refuse this section, and no
 * other machine or time would change that.  A file that is not here is no fault
 * here.  Blocking; no network.
 */
int kafka_sink_check(const struct kafka_conf *conf, const char *gateway, struct err *e);

/*
 * Asks the brokers what the topics are set to, whether each broker can be
 * reached at the address it names, and whether the topics may be written to
 * (one record to each that is too large for it: nothing is written); a sentence
 * to on_note for each, or -1 with one when
 * no broker answers.  Blocking, for about half a minute at most.
 */
enum kafka_note_kind {
        KAFKA_NOTE_UNSEEN, /* this user may not see it; records may be well */
        KAFKA_NOTE_LOSES,  /* records could be lost by it */
        KAFKA_NOTE_STOPS   /* records can't get through */
};
int kafka_topics_check(const struct kafka_conf *conf, const char *gateway,
                       void (*on_note)(void *ctx, const char *text, enum kafka_note_kind kind), void *ctx,
                       struct err *e);

/*
 * Another configuration while it runs.  prepare: any thread, blocking (secrets,
 * certificates), while nothing is applied; 0 and in *out what apply takes over,
 * NULL when the producer would be the same; or -1 with a sentence.
 */
struct kafka_next;
int kafka_sink_prepare(const struct sink *k, const struct kafka_conf *conf, const char *gateway,
                       struct kafka_next **out, struct err *e);
void kafka_sink_reconfigure(struct sink *k, struct kafka_next *next);
void kafka_next_free(struct kafka_next *next); /* blocking; NULL is fine */

#endif
