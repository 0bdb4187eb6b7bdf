/*
 * spool: every accepted reading and event, on disk, until Kafka has it.
 *
 * What: typed rows in one SQLite file (WAL, synchronous=FULL), written in group
 * commits on the runtime's work queue, at most one in flight; what arrives
 * meanwhile is the next one.  Read back in seq order for the uplink on a
 * connection of its own.  Acks are a watermark per lane, made durable by the
 * next commit.
 *
 * Thread: the loop thread, but for what says otherwise.  Ownership: text and
 * raw bytes are copied by append. Errors: a commit that fails is retried with
 * growing pauses and nothing is forgotten meanwhile; spool_counts() tells.
 *
 * seq: per lane from 1, gapless in what is accepted, never reused; `epoch`
 * names the file. At every instant, for the samples lane: accepted = delivered
 * + held + dropped.
 */
#ifndef MILLRACE_STORE_SPOOL_H
#define MILLRACE_STORE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/list.h"
#include "agent/base/reading.h"
#include "agent/base/rt.h"
#include "agent/base/schema.h"
#include "agent/base/tags.h"

struct spool;

enum spool_lane { SPOOL_EVENTS = 0, SPOOL_SAMPLES = 1, SPOOL_LANES };

enum spool_when_full { SPOOL_DROP_OLDEST, SPOOL_DROP_NEWEST, SPOOL_BLOCK, SPOOL_THIN };

/*
 * How readings go that there was no room for. REFUSED: their source could not
 * wait.
 */
enum spool_gone { SPOOL_GONE_OLDEST, SPOOL_GONE_NEWEST, SPOOL_GONE_THINNED, SPOOL_GONE_REFUSED, SPOOL_N_GONE };

/* The `spool:` section. */
struct spool_conf {
        struct schema_at at;
        const char *path;
        uint64_t max_size_bytes; /* hard cap: database + WAL + shm */
        int when_full;           /* enum spool_when_full */
        int64_t commit_interval_us;
        int64_t keep_delivered_us;
        int64_t batch_rows;        /* most rows gathered in memory */
        uint64_t batch_bytes;      /* most bytes of text gathered in memory */
        uint64_t quarantine_bytes; /* most bytes kept of malformed payloads */
};
extern const struct schema spool_schema;

/* The longest text a reading can have: a longer one is refused, memory_full. */
uint64_t spool_text_most(const struct spool_conf *conf);

/*
 * What a reading without text is reckoned with as long as it is not there, here
 * and by all who size a spool; it takes 25 to 30.
 */
enum { SPOOL_READING_BYTES = 48 };

/* What held rows may take before when_full acts; less than max_size. */
uint64_t spool_usable_bytes(const struct spool_conf *conf);

enum {
        SPOOL_E_BUSY = 1, /* append: the batch being gathered is full; wait for on_room */
        SPOOL_E_FULL = 2, /* append: when_full is block and the disk budget is used up; wait for on_room */
};

/* All are called on the loop thread. Any may be NULL. */
struct spool_upcalls {
        void (*on_room)(void *ctx);                    /* appends are taken again after SPOOL_E_BUSY or SPOOL_E_FULL */
        void (*on_interval)(void *ctx);                /* a commit begins that nobody waits for: who will, may now */
        void (*on_committed)(void *ctx);               /* new rows can be fetched, or counters moved */
        void (*on_pressure)(void *ctx, bool high);     /* held bytes passed 90 % / fell under 75 % of the usable */
        void (*on_fault)(void *ctx, const char *what); /* the disk fails (what), or works again (NULL) */
        void (*on_dropped)(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason);
        void (*on_damaged)(void *ctx); /* the file must be rescued, which the next open does; does not return */
        void *ctx;
};

/*
 * Opens or makes the file. Blocking: before the loop runs. `tags` is filled
 * from the file, and new tags are written with the commit that first needs
 * them. `gateway` is stored; another gateway's file is refused (rename it back
 * or move the file). Returns 0, or -1 with a sentence.
 */
int spool_open(struct spool **out, struct rt *rt, const struct spool_conf *conf, const char *gateway, struct tags *tags,
               const struct spool_upcalls *up, struct err *e);

/*
 * Commits what was appended and acked. Blocking: after the loop has ended.
 * False when something could not be committed: it waits for others' locks for a
 * second at most, and begins no try later than that.
 */
bool spool_close(struct spool *s);

/*
 * Forgets all that is in memory, closes the file as it is: what kill -9 would
 * do. For the tests.
 */
void spool_abandon(struct spool *s);

/* ---- writing ---- */

/*
 * 0 or SPOOL_E_*. The reading's seq is assigned now; it is durable after a
 * later commit.
 */
int spool_append(struct spool *s, const struct reading *r);

/*
 * True when `n` more readings with `text_bytes` of text would be taken now:
 * lets a caller append all of a message or none. Also true when nothing is
 * gathered: what does not fit then never will, and append says so.
 */
bool spool_has_room(struct spool *s, size_t n, size_t text_bytes);

/*
 * The seq the last append to the lane got; 0: none yet. Not yet durable, see
 * spool_sync.
 */
uint64_t spool_appended_seq(const struct spool *s, enum spool_lane lane);

/*
 * A reading that can't be taken (memory or disk full) of a source that can't
 * wait: it gets a seq and a line in the ledger.
 */
void spool_refuse(struct spool *s, uint64_t n, const char *reason);

/*
 * An event: `body` is JSON members without braces
 * ("kind":"link","state":"down",…), at most 4 KiB. Events have a share of the
 * budget that readings can't eat; beyond it the oldest event is dropped and
 * told in the ledger. Never refused.
 */
void spool_append_event(struct spool *s, int64_t ts_us, const char *kind, int severity, uint32_t tag_or_none,
                        const char *body, size_t len);
enum { SPOOL_NO_TAG = UINT32_MAX };

/*
 * "Call me when all that was appended before now is on disk." Starts a commit
 * at once, or right behind the one in flight. Acks alone are reason enough for
 * one.
 */
struct spool_sync {
        void (*on_durable)(struct spool_sync *q);
        struct list node; /* the spool's; list_init before first use */
        uint64_t batch;   /* the spool's */
};
void spool_sync(struct spool *s, struct spool_sync *q);
void spool_sync_cancel(struct spool_sync *q);

/*
 * To be called about once a second: looks off the loop whether the open file is
 * still the one at its path; on_fault tells when it is not.
 */
void spool_watch(struct spool *s);

/* From the next commit on; to spare flash. */
void spool_set_commit_interval(struct spool *s, int64_t us);

/*
 * A new configuration while it runs: all of it but the path.  What is held
 * above a smaller max_size gives way as when_full says, with the next commits.
 */
void spool_reconfigure(struct spool *s, const struct spool_conf *conf);

/*
 * The wall clock stepped by `step_us` while it was not synchronised: readings
 * above `since_seq` that carry READING_CLOCK_UNSYNCED and may not be on their
 * way to Kafka yet are moved by it and flagged READING_TIME_REPAIRED; of those
 * whose time came from the source only the arrival is.  Readings up to
 * `sure_seq` came before the step, later ones where their arrival is nearer to
 * what the old clock would show now.  On disk with the next commits.
 */
void spool_repair_time(struct spool *s, int64_t step_us, uint64_t since_seq, uint64_t sure_seq);

/*
 * What was appended is committed within this time, with whatever else comes
 * until then.
 */
void spool_hurry(struct spool *s, int64_t within_us);

/*
 * A malformed payload, kept for inspection in a bounded table: the oldest go
 * first, of the driver that has most there. `len` may be cut for keeping.
 */
void spool_quarantine(struct spool *s, const char *driver, const char *origin, const char *reason, const void *payload,
                      size_t len);

/* ---- tags ---- */

/*
 * Tags were forgotten (tags_forget): so is the file with the next commit.
 */
void spool_tags_moved(struct spool *s);

/*
 * Kafka does not have the tag's last reading since start; false as well when it
 * had none.
 */
bool spool_may_hold(const struct spool *s, uint32_t tag);

/* ---- alarms: the last state of each, and the journal ---- */

/*
 * (source, tag, rule, limit_kind) is the key; tag "" is the source as a whole.
 */
struct spool_alarm {
        const char *source, *tag, *rule, *limit_kind;
        const char *state; /* as shown */
        bool active, unacked, latched;
        int visibility, severity;
        uint32_t activations;
        int64_t since_us, shelved_until_us;
        char event_id[24]; /* of the last activation */
};

/*
 * The row of its key is replaced in the transaction of what is appended next;
 * so put it before the reading that moved it. Texts are borrowed until
 * spool_close. Never refused: memory is bounded by the number of different
 * alarms.
 */
void spool_put_alarm(struct spool *s, const struct spool_alarm *a);

struct spool_alarm_note {
        int64_t at_us;
        const char *source, *tag, *rule, *limit_kind, *change; /* borrowed until spool_close */
        const char *by, *comment;                              /* the operator; copied; "": nobody */
        double value, limit;                                   /* NaN: none */
        int severity;
        char event_id[24];
};

/*
 * The newest lines are kept. A line for which a batch has no room is counted.
 */
void spool_note_alarm(struct spool *s, const struct spool_alarm_note *n);

/*
 * All lines until now were heard: kept with the next commit, which it does not
 * ask for.
 */
void spool_notes_notified(struct spool *s);
/* The lines behind that mark, oldest first. As spool_each_alarm. */
int spool_each_unnotified(struct spool *s, void (*each)(void *ctx, const struct spool_alarm_note *n), void *ctx,
                          struct err *e);

/*
 * What the file has; after spool_open, before the loop runs. 0, or -1 with a
 * sentence.
 */
int spool_each_alarm(struct spool *s, void (*each)(void *ctx, const struct spool_alarm *a), void *ctx, struct err *e);

/*
 * Since it was opened these could not be read, as the file is damaged: the next
 * open rescues it.
 */
bool spool_is_damaged(const struct spool *s);

/* What a rule has learned about a tag; texts are borrowed until spool_close. */
enum { SPOOL_BASELINE_MAX = 256 };
struct spool_baseline {
        const char *source, *tag, *rule, *limit_kind;
        int64_t at_us;
        int form; /* the layout of the memory */
        size_t n_bytes;
        char memory[SPOOL_BASELINE_MAX];
};

/*
 * With the next commit, which it does not ask for. The newest are kept, as many
 * as there is room for.
 */
void spool_put_baseline(struct spool *s, const struct spool_baseline *l);

/* As spool_each_alarm. */
int spool_each_baseline(struct spool *s, void (*each)(void *ctx, const struct spool_baseline *l), void *ctx,
                        struct err *e);

/* ---- for the uplink ---- */

/*
 * What a row with READING_AGGREGATE stands for: its value is the mean, or with
 * has_range unset the last value.
 */
struct spool_aggregate {
        double min, max; /* finite */
        uint32_t n;
        bool has_range;
};

struct spool_row {
        uint64_t seq;
        struct reading r; /* text points into the fetch's buffer. Events: ts_us, tag, v.text = body, len */
        struct spool_aggregate a;
};

/*
 * One fetch in flight per lane, of the readings two. The rows stay valid until
 * the next fetch with the same struct.
 */
struct spool_fetch {
        enum spool_lane lane;
        uint64_t after_seq;
        uint32_t most_rows;                     /* capacity of rows; set once by spool_fetch_init */
        uint32_t most_bytes;                    /* of text; a single larger row still comes alone */
        void (*on_rows)(struct spool_fetch *f); /* n_rows 0: nothing there; failed: could not be read, try later */
        uint32_t n_rows;
        bool failed;
        struct spool_row *rows;
        char *text;
        size_t text_cap;
        struct spool *spool;
        struct rt_work work;
        uint64_t n_launched; /* the spool's, from here on */
        unsigned n_again;
        bool is_alone;
        bool may_be_fresh; /* set by who only wants the rows: those of the last commit need not come from the file */
        struct rt *rt;
        struct rt_timer soon;
};
void spool_fetch_init(struct spool_fetch *f, enum spool_lane lane, uint32_t most_rows, uint32_t most_bytes);
void spool_fetch_fini(struct spool_fetch *f);
void spool_fetch(struct spool *s, struct spool_fetch *f);

/*
 * Kafka has everything of the lane up to and including `seq` that was not
 * dropped. Monotonic.
 */
void spool_ack(struct spool *s, enum spool_lane lane, uint64_t seq);

/*
 * Rows up to `seq` may be on their way to Kafka: drop_oldest leaves them alone.
 * Pin first, then fetch; a row above the pin may be dropped though a fetch
 * brought it.
 */
void spool_pin(struct spool *s, enum spool_lane lane, uint64_t seq);

/*
 * After the start, before the loop runs: `n` rows of a lane may have been on
 * their way when the last run ended, so Kafka may have the first ones behind
 * the watermark and behind what went ahead.  They are left alone until it says
 * so.
 */
void spool_pin_sent(struct spool *s, enum spool_lane lane, uint64_t n);

/*
 * Two readers of the readings: fresh ones go ahead of a backlog
 * (store/writer/ahead.c).
 *
 * spool_go_ahead: from the row on that it returns they do, and with the first
 * of these that is on disk this is, too; of its range nothing is delivered yet.
 * All that is on disk now lies before it, and perhaps what is being committed.
 *
 * spool_ack_ahead: Kafka has what was not dropped of first..last, and below
 * `first` rows are pending yet.  With one `first`, `last` grows; another
 * `first` begins another range, of which there may be a few
 * (spool_may_go_ahead), ascending.
 */
uint64_t spool_go_ahead(struct spool *s);
void spool_ack_ahead(struct spool *s, uint64_t first, uint64_t last);
bool spool_may_go_ahead(const struct spool *s);
uint64_t spool_goes_ahead_from(const struct spool *s); /* `first` of the last range; 0: there is none */

/*
 * The next seqs behind `after` that are pending: above what is returned, up to
 * *upto (UINT64_MAX: all that come).
 */
uint64_t spool_pending(const struct spool *s, enum spool_lane lane, uint64_t after, uint64_t *upto);

/*
 * Up to where the acks of the range that begins at `first` are on disk; 0: of
 * the watermark.
 */
uint64_t spool_durable(const struct spool *s, enum spool_lane lane, uint64_t first);

/* How many readings below `seq` are held. */
uint64_t spool_held_below(const struct spool *s, uint64_t seq);

/*
 * Readings above `after` and below `below` are not on their way, though the pin
 * is higher.
 */
void spool_pin_gap(struct spool *s, uint64_t after, uint64_t below);

/*
 * Kafka will never take this one: into the dead-letter table with its reason,
 * and into the ledger as dropped.
 */
void spool_dead_letter(struct spool *s, enum spool_lane lane, uint64_t seq, const char *reason);

/* ---- for the heartbeat ---- */

/*
 * Bytes that are on disk with exactly the acks that were given when they were
 * put; what the file had after open, nothing (0) when it had none.
 */
enum { SPOOL_SEAL_MAX = 2048 };
void spool_put_seal(struct spool *s, const void *bytes, size_t n);
const void *spool_get_seal(const struct spool *s, size_t *n);

/*
 * The newest lines of the ledger, in no order: what was dropped, from which seq
 * to which, and why.  A line that is new or has grown has a greater `no`.
 */
enum { SPOOL_LEDGER_LINES = 128, SPOOL_REASON_MAX = 48 };
struct spool_ledger {
        struct spool_ledger_line {
                uint64_t no;
                enum spool_lane lane;
                uint64_t first, last;
                char reason[SPOOL_REASON_MAX];
        } line[SPOOL_LEDGER_LINES];
        size_t n, next;
        uint64_t no; /* the greatest */
};
const struct spool_ledger *spool_ledger(const struct spool *s);

/* ---- an operator's word ---- */

/*
 * Readings up to `upto` go, delivered or not, with a line in the ledger
 * ("purged") for those that are held; those at or below the pin stay when they
 * are not delivered.  In ranges, with the next commits, until spool_is_purging
 * says no.
 */
void spool_purge(struct spool *s, uint64_t upto);
bool spool_is_purging(const struct spool *s);

/*
 * The dead letter was delivered after all; it stays in the ledger. False: too
 * many at a time, try again after a commit.
 */
bool spool_forget_dead(struct spool *s, uint64_t id);

/* ---- what people see ---- */

struct spool_counts {
        uint64_t accepted, delivered, held, dropped; /* of the samples lane since the epoch began; durable state */
        uint64_t events_accepted, events_delivered, events_held, events_dropped;
        uint64_t acked_seq[SPOOL_LANES], last_seq[SPOOL_LANES]; /* last durable */
        uint64_t epoch;
        uint64_t spool_bytes, held_bytes;    /* file sizes; estimate of the held rows' part */
        uint64_t usable_bytes;               /* what held rows may take before when_full acts */
        int64_t oldest_held_ts_us;           /* arrival of the oldest held reading; 0: none held */
        uint64_t commits, rows_committed;    /* since start */
        uint64_t quarantined, dead_lettered; /* since start */
        uint64_t alarm_notes_lost;           /* since start: journal lines a batch had no room for */
        bool failing;                        /* commits do not get through */
        char fault[200];

        /* Of the running spool alone. */
        int64_t full_since_us;              /* wall clock; 0: when_full has nothing to do */
        uint64_t gone[SPOOL_N_GONE];        /* since start, for want of room */
        double gone_per_s[SPOOL_N_GONE];    /* over the last minute */
        double fill_bytes_per_s, full_in_s; /* held bytes grow, and then it is full; 0: not in sight */
        uint64_t disk_free_bytes;           /* of the file system; UINT64_MAX: it does not say */
        int64_t commit_us, commit_most_us;  /* what the last took, and the longest of a minute or two */
};
void spool_counts(const struct spool *s, struct spool_counts *out);

/*
 * Readings with a MQTT packet id among the last rows, oldest first; for
 * recognising redeliveries. After open only.
 */
void spool_recent(struct spool *s, size_t most, void (*each)(void *ctx, const struct reading *r), void *ctx);

#endif
