/*
 * query: reading a spool without being the daemon, for the command-line tool.
 *
 * Opens the file read-only, beside a running daemon or without one, and never
 * disturbs it: every call reads in slices, each slice is a read transaction of
 * a few milliseconds that is over before the callback sees its rows.  So a
 * listing of a live spool is a moving picture: a row may have been delivered or
 * trimmed since.
 *
 * Thread: one thread per struct spool_query; blocking.  Ownership: what a
 * callback gets is borrowed for the call. Result: 0, or -1 with a sentence that
 * names the file.  A callback ends the listing early by returning false.
 */
#ifndef MILLRACE_STORE_INSPECT_QUERY_H
#define MILLRACE_STORE_INSPECT_QUERY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/reading.h"
#include "store/spool.h"

struct spool_query;

int spool_query_open(struct spool_query **out, const char *path, struct err *e);
void spool_query_close(struct spool_query *q);

/*
 * From any thread: once *over is true, what goes on and all that comes fails.
 * It must outlive the query.
 */
void spool_query_give_up_on(struct spool_query *q, const atomic_bool *over);

const char *spool_query_gateway(const struct spool_query *q);
uint64_t spool_query_epoch(const struct spool_query *q);
bool spool_query_live(const struct spool_query *q); /* a daemon had the file open when we opened it */

/*
 * Whether Kafka has the reading, in the file or not any more: at or below the
 * watermark, or ahead of it.
 */
int spool_query_delivered(struct spool_query *q, uint64_t seq, bool *yes, struct err *e);

/*
 * From the file alone; commits, rows_committed, failing and fault stay 0.
 * quarantined, dead_lettered: rows in the file.
 */
int spool_query_counts(struct spool_query *q, struct spool_counts *out, struct err *e);

/* ---- rows ---- */

struct spool_query_row {
        uint64_t seq;
        struct reading r; /* events: ts_us and, as text, the body (JSON members without braces) */
        struct spool_aggregate a;
        const char *source, *name, *unit, *labels; /* "" for an event without a tag; labels as in struct tag */
        bool delivered;                            /* at or below the lane's watermark, or ahead */
        const char *kind;                          /* events only, else "" */
        int severity;                              /* events only */
};

/*
 * Zeroed: every held and delivered row of the events lane (set .lane =
 * SPOOL_SAMPLES for readings), in seq order.
 */
struct spool_filter {
        enum spool_lane lane;
        bool held_only;               /* above the watermark */
        uint64_t first_seq, last_seq; /* 0: open */
        int64_t from_us, to_us;       /* by ts_us, to_us exclusive; 0: open */
        const char *source, *name;    /* with * and ?; NULL: any */
        const char *labels;           /* that it has among others: line=l2,cell=3; NULL: any */
        uint64_t newest;              /* only the newest so many of what matches (still in seq order); 0: all */
        uint64_t limit;               /* stop after so many; 0: all */
};

/* `tail -f`: call again with first_seq = the last seq seen + 1. */
int spool_query_rows(struct spool_query *q, const struct spool_filter *f,
                     bool (*each)(void *ctx, const struct spool_query_row *row), void *ctx, struct err *e);

/* ---- tags ---- */

struct spool_query_tag {
        uint32_t id;
        const char *source, *name, *unit, *labels, *driver;
        int64_t last_ts_us;      /* saved from time to time: may lag; with stats: exact over the rows in the file */
        uint64_t n_held, n_kept; /* with stats: rows above / at or below the watermark */
        int64_t oldest_ts_us, newest_ts_us; /* with stats, of those rows; 0: none */
        bool has_last;                      /* with stats: `last` is the newest row, without its text */
        struct reading last;
        bool forgotten; /* with stats: its name is free, and readings of it are still there */
};

/*
 * In id order. `stats`: also walks all readings (about a second per million).
 */
int spool_query_tags(struct spool_query *q, bool stats, bool (*each)(void *ctx, const struct spool_query_tag *tag),
                     void *ctx, struct err *e);

/*
 * The same tags, each with its last reading (has_last) as far as it is among
 * the newest `most` rows; of a text the first bytes are there.  Walks from the
 * newest row down, and no further than to where every tag was met: a moment on
 * a file whose tags all speak now and then, whatever its size.
 */
enum { SPOOL_LAST_TEXT = 64 };
int spool_query_last(struct spool_query *q, uint64_t most, bool (*each)(void *ctx, const struct spool_query_tag *tag),
                     void *ctx, struct err *e);

/* ---- what did not go to Kafka ---- */

struct spool_query_drop {
        enum spool_lane lane;
        uint64_t first_seq, last_seq, n;
        const char *reason;
        int64_t at_us; /* of the last drop in the range */
};
int spool_query_dropped(struct spool_query *q, bool (*each)(void *ctx, const struct spool_query_drop *drop), void *ctx,
                        struct err *e);

struct spool_query_quarantine {
        uint64_t id;
        int64_t at_us;
        const char *driver, *origin, *reason;
        const void *payload;
        size_t len;
};
int spool_query_quarantine(struct spool_query *q, bool (*each)(void *ctx, const struct spool_query_quarantine *item),
                           void *ctx, struct err *e);

struct spool_query_dead {
        uint64_t id;
        enum spool_lane lane;
        struct spool_query_row row;
        const char *reason;
        int64_t at_us;
};
/*
 * Every alarm that ever was, by source, tag, rule; none in a file of before
 * there were any.
 */
int spool_query_alarms(struct spool_query *q, bool (*each)(void *ctx, const struct spool_alarm *a), void *ctx,
                       struct err *e);

struct spool_query_alarm_note {
        uint64_t id;
        struct spool_alarm_note n;
};
/*
 * The alarms' journal, oldest first: only what is not before `from_us`, and of
 * that the newest `most` (0: all).
 */
int spool_query_alarm_log(struct spool_query *q, int64_t from_us, uint64_t most,
                          bool (*each)(void *ctx, const struct spool_query_alarm_note *note), void *ctx, struct err *e);

int spool_query_dead_letters(struct spool_query *q, bool (*each)(void *ctx, const struct spool_query_dead *dead),
                             void *ctx, struct err *e);

#endif
