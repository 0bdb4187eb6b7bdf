/*
 * impl: what the files of the spool share.  Private to store/.
 *
 * The loop side (spool.c, budget.c, commit.c, batch.c) owns struct spool and fills batches; the work queue
 * owns struct spool_db and the batch handed to it while a commit runs; the reader (fetch.c) has a connection of its
 * own.
 */
#ifndef MILLRACE_STORE_IMPL_H
#define MILLRACE_STORE_IMPL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "agent/base/backoff.h"
#include "store/spool.h"
#include "store/lane.h"

enum {
        PAGE_BYTES = 4096,
        ROW_BYTES = 48,    /* what a reading without text is counted as */
        KEEP_ROWS = 65535, /* the newest seqs stay after delivery, for spool_recent: as many as MQTT has packet ids */
        FILE_VERSION = 7,  /* user_version */
        FILE_ID = 0x4d4c5231, /* application_id, "MLR1" */
        FLAG_BOOL = 0x4000,   /* in the file's flags: the integer is a boolean */
        REASON_MAX = 48,
        EVENT_BODY_MAX = 4096,
        VACUUM_PAGES = 128, /* given back to the file system per commit */
};

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

extern const char *const spool_lane_names[SPOOL_LANES];

/* Derived from max_size once; see spool_plan for how. */
struct spool_plan {
        uint64_t wal_bytes;        /* WAL never larger */
        uint64_t checkpoint_bytes; /* checkpoint when it is larger */
        uint64_t db_pages;         /* database never larger */
        uint64_t event_bytes;      /* of these for events */
        size_t batch_rows, batch_text, batch_events, batch_quarantine;
        uint64_t quarantine_bytes, dead_bytes;
        uint64_t save_rows, save_bytes; /* tag times are saved after so many */
};
void spool_plan(struct spool_plan *p, const struct spool_conf *conf);

/* Bytes a reading will take in the file, pages that can't be shared included; rather too much. */
static inline uint64_t spool_row_cost(size_t text_len)
{
        if (text_len < 400)
                return ROW_BYTES + text_len + text_len / 8;
        return text_len < PAGE_BYTES ? ROW_BYTES + 2 * text_len : text_len + 2 * PAGE_BYTES;
}

/* ---- a batch: what one commit writes ---- */

struct spool_drop {
        enum spool_lane lane;
        uint64_t first, last;
        char reason[REASON_MAX];
};

struct spool_drops {
        struct spool_drop *v;
        size_t n, cap;
};
/* Joins what is adjacent and has the same reason. */
void spool_drops_add(struct spool_drops *d, enum spool_lane lane, uint64_t first, uint64_t last, const char *reason);

struct spool_bytes {
        char *p;
        size_t n, cap;
};

struct spool_event_item {
        uint64_t seq;
        int64_t ts_us;
        int severity;
        uint32_t tag;
        size_t at, kind_len, len; /* kind, then body, in event_bytes */
};

struct spool_quarantine_item {
        int64_t at_us;
        size_t at, driver_len, origin_len, reason_len, len; /* in quarantine_bytes */
};

struct spool_dead_item {
        enum spool_lane lane;
        uint64_t seq;
        char reason[200];
};

struct spool_alarm_item {
        struct spool_alarm alarm;
        uint64_t order;
};

struct spool_repair {
        int64_t step_us, now_us;    /* now by the clock after the step */
        uint64_t after, upto, sure; /* seqs of rows in the file */
};
enum { REPAIRS_MOST = 4 };
bool spool_repair_applies(const struct spool_repair *r, uint64_t seq, const struct reading *reading);

struct spool_tag_save {
        uint32_t id;
        int64_t last_ts_us;
};

struct spool_batch {
        uint64_t no;
        struct spool_row *rows; /* text points into `text` */
        char *text;
        size_t n_rows, text_used;
        size_t cap_rows, cap_text;
        uint64_t cost_bytes; /* of the rows */
        struct spool_event_item *events;
        size_t n_events, cap_events;
        struct spool_quarantine_item *quarantine;
        size_t n_quarantine, cap_quarantine;
        struct spool_bytes event_bytes, quarantine_bytes;
        struct spool_drops refused;
        struct spool_dead_item *dead;
        size_t n_dead, cap_dead;
        struct spool_repair repairs[REPAIRS_MOST];
        size_t n_repairs;
        uint64_t purge_upto; /* 0: nothing */
        uint64_t *forget;    /* dead letters */
        size_t n_forget;
        struct spool_alarm_item *alarms;
        size_t n_alarms, cap_alarms;
        uint64_t alarm_order;
        struct spool_alarm_note *notes; /* by: NULL, or ours with the comment behind it */
        size_t n_notes, cap_notes;
        bool told; /* notifiers are done with all notes up to here */
        struct spool_learned *learned;
        size_t n_learned, cap_learned;

        /* Set when the commit starts. */
        uint64_t last[SPOOL_LANES], acked[SPOOL_LANES];
        struct lane_ahead ahead; /* of the readings */
        struct tag *new_tags;
        size_t n_new_tags, cap_new_tags;
        uint32_t first_new_tag;
        struct spool_tag_save *saves;
        size_t n_saves, cap_saves;
        bool save; /* tag times are complete up to last[SPOOL_SAMPLES] */
        int64_t wall_us;
};

void spool_batch_init(struct spool_batch *b, const struct spool_plan *plan);
/* Memory for what is planned; of an empty one. */
void spool_batch_fit(struct spool_batch *b, const struct spool_plan *plan);
void spool_batch_clear(struct spool_batch *b);
void spool_batch_free(struct spool_batch *b);
bool spool_batch_empty(const struct spool_batch *b);
void spool_batch_put(struct spool_batch *b, uint64_t seq, const struct reading *r, size_t text_len);
/* False: no memory for it (the batch's share of events is used up). */
bool spool_batch_put_event(struct spool_batch *b, const struct spool_plan *plan, uint64_t seq, int64_t ts_us,
                           const char *kind, int severity, uint32_t tag, const char *body, size_t len);
bool spool_batch_put_quarantine(struct spool_batch *b, const struct spool_plan *plan, int64_t at_us, const char *driver,
                                const char *origin, const char *reason, const void *payload, size_t len);
void spool_batch_put_dead(struct spool_batch *b, enum spool_lane lane, uint64_t seq, const char *reason);

/* ---- alarms (store/writer/alarm.c) ---- */

void spool_batch_put_alarm(struct spool_batch *b, const struct spool_alarm *a);
bool spool_batch_put_alarm_note(struct spool_batch *b, const struct spool_alarm_note *n); /* false: no room */
void spool_batch_clear_alarms(struct spool_batch *b);
struct spool_db;
void spool_db_put_alarms(struct spool_db *db, struct spool_batch *b);
uint64_t spool_alarm_lines(const struct spool_plan *plan); /* of the journal, at most */
#define SPOOL_ALARM_COLUMNS                                                                                  \
        "source, tag, rule, limit_kind, state, active, unacked, latched, visibility, activations, since_us," \
        " shelved_until_us, severity, event_id"
void spool_read_alarm(sqlite3_stmt *st, struct spool_alarm *a); /* texts are SQLite's until the next step */

/* ---- what rules have learned (store/writer/baseline.c) ---- */

void spool_batch_clear_learned(struct spool_batch *b);
void spool_db_put_learned(struct spool_db *db, const struct spool_batch *b);
uint64_t spool_learned_rows(const struct spool_plan *plan); /* at most */

/* ---- the writer's connection (store/writer/file.c opens it, store/writer/load.c reads it once, store/writer/transaction.c writes) ---- */

enum spool_stmt {
        STMT_PUT_READING,
        STMT_PUT_READINGS, /* INSERT_ROWS of them */
        STMT_PUT_SPAN,
        STMT_PUT_SPAN_COPY,
        STMT_CUT_SPANS,
        STMT_CUT_SPAN_COPIES,
        STMT_PUT_TAG,
        STMT_SAVE_TAG,
        STMT_PUT_EVENT,
        STMT_SET_CURSOR,
        STMT_PUT_AHEAD,
        STMT_CUT_AHEAD,
        STMT_SET_META,
        STMT_LEDGER_BEFORE,
        STMT_LEDGER_EXTEND,
        STMT_LEDGER_PUT,
        STMT_LEDGER_OLD,
        STMT_LEDGER_CUT,
        STMT_PROBE_READING,
        STMT_PROBE_EVENT,
        STMT_WALK_READING,
        STMT_WALK_EVENT,
        STMT_CUT_READING,
        STMT_CUT_EVENT,
        STMT_DEAD_READING,
        STMT_DEAD_EVENT,
        STMT_PUT_QUARANTINE,
        STMT_OLD_QUARANTINE,
        STMT_CUT_QUARANTINE,
        STMT_OLD_DEAD,
        STMT_CUT_DEAD,
        STMT_REPAIR,
        STMT_PAGES,
        STMT_FREE_PAGES,
        STMT_OLDEST_HELD,
        STMT_PUT_ALARM,
        STMT_PUT_ALARM_NOTE,
        STMT_CUT_ALARM_NOTES,
        STMT_NOTES_TOLD,
        STMT_PUT_LEARNED,
        STMT_CUT_LEARNED,
        STMT_PUT_META,
        STMT_THIN_WALK,
        STMT_THIN_MOVE,
        STMT_THIN_MEAN,
        STMT_GET_AGGREGATE,
        STMT_PUT_AGGREGATE,
        STMT_CUT_AGGREGATES,
        STMT_BEGIN,
        STMT_COMMIT,
        STMT_ROLLBACK,
        N_STMTS
};

struct spool_db {
        sqlite3 *conn;
        sqlite3_stmt *stmt[N_STMTS];
        char *path;
        int lock_fd;
        struct spool_plan plan;
        int when_full;
        int64_t keep_us;
        bool crowded;                 /* the disk: nothing that was delivered is kept */
        uint64_t disk_room, wal_room; /* bytes free for growing, and free in the WAL as it is */
        int rc;                       /* first SQLite code that is not fine in this transaction */
        bool fresh;                   /* made by a rescue: its marker is still there */
        bool damaged;                 /* what SQLite said, or we saw, means that the file can't be used as it is */
        int wal_frames;
        bool marked;   /* since the last checkpoint, see store/writer/mark.c */
        bool wal_done; /* all of it is in the database: it starts over when no reader is in it */
        uint64_t max_pages_set;
        struct spool_thin *thin; /* NULL: when_full is something else */

        /* Follows the transaction: put back when it is rolled back. */
        struct {
                uint64_t first[SPOOL_LANES]; /* no row in the file is below */
                uint64_t ts_saved_seq;       /* tag times are saved up to here: rows above must stay */
                uint64_t event_bytes, quarantine_bytes, dead_bytes;
                uint64_t n_ledger;
                bool has_span;
                int64_t base_us;      /* times of new rows count from it */
                uint64_t thinned_seq; /* rows up to here are as thin as they get */
                bool has_aggregates;
                uint64_t purge_upto;                           /* 0: nothing more */
                uint64_t ahead_no;                             /* which list of stretches is in the table */
                uint64_t ahead_gone;                           /* rows of stretches ahead are gone up to here */
                struct spool_repair repairs[2 * REPAIRS_MOST]; /* under way */
                size_t n_repairs;
        } v;
        uint64_t epoch;
        _Atomic uint64_t pin[SPOOL_LANES];     /* written by the loop at any time */
        _Atomic uint64_t gap_after, gap_below; /* as the pin: see store/writer/ahead.c */
        _Atomic bool cutting[SPOOL_LANES];     /* this commit has read the pin and may touch rows above it */
        _Atomic bool closing;
        _Atomic int n_close_waits; /* for locks, since closing */
};

struct spool_result {
        bool ok;
        bool rows_left; /* ok, but only acks and dead letters: no room for the rows (block, or no_space) */
        bool no_space;  /* the disk would be full */
        bool more;      /* trimming, purging or shrinking goes on */
        bool purging;
        bool damaged; /* not ok, and never will be with this file */
        bool crowded; /* the disk: tag times are to be saved, so that rows may go */
        struct spool_drops drops;
        uint64_t used_pages;
        uint64_t file_bytes;
        uint64_t event_bytes;
        uint64_t first_seq; /* of the readings in the file */
        int64_t oldest_held_ts_us;
        uint64_t n_rows;
        char fault[200];
};

int spool_db_open(struct spool_db *db, const struct spool_conf *conf, const char *gateway, int64_t wall_us,
                  struct err *e);
int spool_db_load(struct spool_db *db, struct tags *tags, struct lane lanes[SPOOL_LANES], struct err *e);
void spool_db_take_conf(struct spool_db *db, const struct spool_conf *conf); /* while no commit runs */
void spool_db_close(struct spool_db *db, bool clean);
void spool_db_forget(struct spool_db *db);
int spool_db_prepare(struct spool_db *db, struct err *e);
void spool_db_be_patient(struct spool_db *db, sqlite3 *c); /* how `c` waits for locks */
int spool_sync_directory(const char *path);                /* of the file */

int spool_db_migrate(struct spool_db *db, int64_t from, struct err *e);
/* The readings of a file that format 5 found in an older one, as far as they are not moved yet. Bounded at a time. */
int spool_db_move_readings(struct spool_db *db, struct err *e);
/* Times of rows from `seq` on will count from near `at_us`; a new span only when the last one is too far away. */
void spool_db_begin_span(struct spool_db *db, uint64_t seq, int64_t at_us);
enum { SAMPLE_COLUMNS = 5 };
int64_t spool_sample_bits(uint32_t tag, unsigned quality, unsigned flags, unsigned mid);
uint32_t spool_sample_tag(int64_t bits);
unsigned spool_sample_quality(int64_t bits);
unsigned spool_sample_flags(int64_t bits);
int spool_db_load_span(struct spool_db *db, struct err *e);
int spool_db_forget_old(struct spool_db *db, struct err *e);
int spool_db_get_int(sqlite3 *c, const char *sql, int64_t *out); /* an SQLite code; SQLITE_NOTFOUND: no row */
int spool_db_fail(struct spool_db *db, const char *doing, struct err *e);

/* The seq it must have (store/writer/mark.c). */
void spool_mark_note(struct spool_db *db, uint64_t seq);
uint64_t spool_mark_of(const struct spool_db *db, uint64_t epoch);
int spool_mark_check(struct spool_db *db, uint64_t last, struct err *e);

/* The disk under it (store/writer/disk.c). */
uint64_t spool_disk_size(const char *path, const char *suffix);
void spool_disk_look(struct spool_db *db);
bool spool_disk_takes(struct spool_db *db, uint64_t pages);
uint64_t spool_disk_trim_bytes(const struct spool_db *db);

/* Steps of a commit (store/writer/ledger.c, store/writer/trim.c, store/writer/put.c). */
void spool_db_write_ledger(struct spool_db *db, const struct spool_drops *drops, int64_t at_us);
void spool_db_join_ledger(struct spool_db *db, enum spool_lane lane, uint64_t acked);
/* True when `need` pages are free. Delivered rows go first; held ones by policy. */
bool spool_db_make_room(struct spool_db *db, const struct spool_batch *b, int64_t need, struct spool_result *res);
void spool_db_make_event_room(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
/* The oldest minute that is not thin yet becomes so (store/writer/thin.c). False: there is none, or no more in this commit. */
bool spool_db_thin(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
void spool_thin_begin(struct spool_db *db); /* before a commit makes room */
struct spool_thin *spool_thin_new(void);
void spool_thin_free(struct spool_thin *t);
uint64_t spool_thin_wal_bytes(const struct spool_plan *plan); /* that a commit may write for it */
void spool_db_cut_aggregates(struct spool_db *db, uint64_t first, uint64_t last);
#define SPOOL_GET_AGGREGATE "SELECT n, min, max FROM aggregate WHERE seq = ?1"
void spool_read_aggregate(sqlite3_stmt *st, struct spool_row *row); /* a statement of that, or NULL */
void spool_db_purge(struct spool_db *db, const struct spool_batch *b, struct spool_result *res); /* store/writer/purge.c */
/* Delivered rows whose time is over. Sets res->more when there are others. */
void spool_db_trim(struct spool_db *db, const struct spool_batch *b, enum spool_lane lane, struct spool_result *res);
void spool_db_shrink(struct spool_db *db, struct spool_result *res);
/*
 * Removes up to `most` rows from (after, upto], oldest first. With `reason` they are drops: each unbroken run of seqs that
 * was there goes to res->drops. Returns how many went.
 */
uint64_t spool_db_cut(struct spool_db *db, enum spool_lane lane, uint64_t after, uint64_t upto, uint64_t most,
                      const char *reason, struct spool_result *res);
/* The next readings behind *after that are neither out nor delivered: above *after, up to *upto. False: there are none. */
bool spool_db_next_owed(struct spool_db *db, const struct spool_batch *b, uint64_t *after, uint64_t *upto);
/* Removes at most `most` of those delivered ahead. False: there are none. */
bool spool_db_let_ahead_go(struct spool_db *db, const struct spool_batch *b, uint64_t most);
void spool_db_put_ahead(struct spool_db *db, const struct spool_batch *b);
/* Rows above may be changed by this commit; what is pinned from now on is fetched after it, see fetch.c. */
uint64_t spool_db_pinned(struct spool_db *db, const struct spool_batch *b, enum spool_lane lane);
void spool_db_put_tags(struct spool_db *db, const struct spool_batch *b);
void spool_db_put_saves(struct spool_db *db, const struct spool_batch *b);
void spool_db_repair_times(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
void spool_db_put_rows(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
void spool_db_put_events(struct spool_db *db, const struct spool_batch *b);
void spool_db_put_quarantine(struct spool_db *db, const struct spool_batch *b);
void spool_db_put_dead(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
void spool_db_put_cursors(struct spool_db *db, const struct spool_batch *b);

/* ---- a damaged file: begin (store/rescue/set_aside.c), open a fresh one, carry (store/rescue/rescue.c) ---- */

struct spool_rescue {
        int64_t at_us;
        char aside[4300]; /* where the file is now */
        int tries;
        uint64_t old_epoch;            /* 0: not known */
        uint64_t n_readings, n_events; /* carried over */
        uint64_t n_lost; /* seqs of the old epoch, in `lost` as "17-90,120-121"; a + at its end: and more */
        char lost[400];
        const char *stopped; /* why it ended early; NULL: it did not */
};

/* True when moving the file would not take another program's. */
bool spool_rescue_is_ours(const char *path);
bool spool_rescue_can_read(const char *path);
bool spool_rescue_is_marked(const char *path);
void spool_rescue_mark(const char *path);
void spool_rescue_unmark(const char *path);
int spool_rescue_begin(struct spool_rescue *r, const char *path, int64_t wall_us, struct err *e);
int spool_rescue_carry(struct spool_rescue *r, struct spool_db *db, const char *gateway, struct err *e);
void spool_db_commit(struct spool_db *db, struct spool_batch *b, struct spool_result *res);
void spool_fault_say(sqlite3 *conn, int code, int sys_errno, char *out, size_t cap); /* store/writer/fault.c */
int spool_fault_open(const char *spool, const char *file, struct err *e);
void spool_db_stat(struct spool_db *db, uint64_t acked, struct spool_result *res);
/* A row of SPOOL_COLUMNS or SPOOL_EVENT_COLUMNS; the text is SQLite's until the next step. */
void spool_read_row(sqlite3_stmt *st, struct spool_row *row);
void spool_read_event(sqlite3_stmt *st, struct spool_row *row);
/* A row as it lies in the table, whose times count from `base_us`. */
void spool_read_sample(sqlite3_stmt *st, int64_t base_us, struct spool_row *row);
/* A row of SPOOL_TAG_COLUMNS; the texts are SQLite's until the next step. */
void spool_read_tag(sqlite3_stmt *st, struct tag *out);
#define SPOOL_TAG_COLUMNS    "id, source, name, unit, labels, driver, last_ts_us"
#define SPOOL_SAMPLE_COLUMNS "seq, t_us, bits, delay_us, value"
#define SPOOL_COLUMNS        "seq, ts_us, tag, quality, flags, value, delay_us, mid"
#define SPOOL_EVENT_COLUMNS  "seq, ts_us, tag, body, kind, severity"

/* ---- the loop side ---- */

enum reader_stmt { READER_EVENTS, READER_SAMPLES, READER_SPANS, READER_BEGIN, READER_END, N_READER_STMTS };
enum commit_state { COMMIT_IDLE, COMMIT_RUNNING, COMMIT_BACKOFF };

struct spool {
        struct rt *rt;
        struct spool_conf conf;
        struct spool_upcalls up;
        struct tags *tags;
        struct spool_plan plan;
        struct lane lanes[SPOOL_LANES];

        struct spool_batch batches[2];
        struct spool_batch *gather, *committing;
        enum commit_state state;
        bool conf_moved;          /* the next commit takes it along */
        bool urgent;              /* a commit is wanted now */
        bool in_upcalls;          /* the end of a commit is being told: no new one yet */
        bool more;                /* the last commit left trimming to do */
        bool purging;             /* and rows to purge */
        bool wants_room;          /* somebody was told to wait */
        bool full;                /* block: no room on disk */
        bool crowded;             /* the disk is, said the last commit */
        bool high;                /* what on_pressure said last */
        struct rt_timer interval; /* commit is due */
        struct rt_timer retry;
        struct rt_timer kick; /* upcalls that must not come from within a call */
        struct backoff backoff;
        struct list syncs;
        struct spool_fetch *parked[SPOOL_LANES + 1]; /* start when the commit under way has ended */

        /* Tag times as they are on disk once the batch that saves them is. */
        int64_t *saved_ts;
        size_t n_tags_sent, cap_saved_ts;
        uint64_t rows_since_save, bytes_since_save;
        int64_t save_due_us;

        struct rt_work work;
        pthread_mutex_t db_lock;
        bool run_pending, run_done; /* under db_lock */
        struct spool_db db;
        struct spool_result result;
        uint64_t used_pages, file_bytes, event_bytes, first_seq;
        int64_t oldest_held_ts_us;
        uint64_t commits, rows_committed, quarantined, dead_lettered, alarm_notes_lost;
        bool failing;
        char fault[200];

        pthread_mutex_t reader_lock;
        bool reader_says_damaged;           /* under reader_lock */
        int reader_damaged, writer_damaged; /* so often in a row */
        sqlite3 *reader;
        sqlite3_stmt *reader_stmt[N_READER_STMTS], *reader_aggregate;
};

uint64_t spool_budget_bytes(const struct spool *s);
uint64_t spool_held_bytes(const struct spool *s);
int spool_room_for(const struct spool *s, size_t n, size_t text_bytes); /* 0 or SPOOL_E_* */
void spool_tell_room(struct spool *s);
void spool_tell_pressure(struct spool *s);

void spool_commit_init(struct spool *s);
void spool_take_conf(struct spool *s);
void spool_want_commit(struct spool *s);
bool spool_is_dirty(const struct spool *s); /* something is gathered, or acked and on no commit's way to disk */
void spool_go_on(struct spool *s);
/* The loop has ended: run here what did not, or one more. False: it was not committed. */
void spool_finish_running(struct spool *s);
bool spool_commit_here(struct spool *s);
void spool_note_damage(struct spool *s, int *in_a_row, bool damaged);
void spool_arm(struct spool *s); /* something was gathered: a commit follows */
int spool_reader_open(struct spool *s, struct err *e);
void spool_reader_close(struct spool *s);
void spool_fetch_parked(struct spool *s); /* no commit is under way */

#endif
