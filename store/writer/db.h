/*
 * db: the writer's connection and the steps of a commit.  Work queue; nothing
 * of the loop is visible here.  Private to store/.
 */
#ifndef MILLRACE_STORE_WRITER_DB_H
#define MILLRACE_STORE_WRITER_DB_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "agent/base/text.h"
#include "store/batch.h"

/*
 * ---- the connection: file.c opens it, load.c reads, transaction.c writes ----
 */

enum spool_stmt {
        STMT_PUT_READING,
        STMT_PUT_READINGS, /* STMT_ROWS of them */
        STMT_PUT_SPAN,
        STMT_PUT_SPAN_COPY,
        STMT_TRIM_SPANS,
        STMT_TRIM_SPAN_COPIES,
        STMT_PUT_TAG,
        STMT_MOVE_TAG,
        STMT_FORGET_TAG,
        STMT_REMEMBER_TAG,
        STMT_SAVE_TAG,
        STMT_PUT_EVENT,
        STMT_SET_CURSOR,
        STMT_SET_SEAL,
        STMT_PUT_AHEAD,
        STMT_TRIM_AHEAD,
        STMT_SET_META,
        STMT_LEDGER_BEFORE,
        STMT_LEDGER_EXTEND,
        STMT_LEDGER_PUT,
        STMT_LEDGER_OLD,
        STMT_LEDGER_TRIM,
        STMT_PROBE_READING,
        STMT_PROBE_EVENT,
        STMT_WALK_READING,
        STMT_WALK_EVENT,
        STMT_TRIM_READING,
        STMT_TRIM_EVENT,
        STMT_DEAD_READING,
        STMT_DEAD_EVENT,
        STMT_PUT_QUARANTINE,
        STMT_OLD_QUARANTINE,
        STMT_OLD_QUARANTINE_OF,
        STMT_TRIM_QUARANTINE,
        STMT_OLD_DEAD,
        STMT_TRIM_DEAD,
        STMT_FORGET_DEAD,
        STMT_REPAIR,
        STMT_PAGES,
        STMT_FREE_PAGES,
        STMT_OLDEST_HELD,
        STMT_PUT_ALARM,
        STMT_PUT_ALARM_NOTE,
        STMT_TRIM_ALARM_NOTES,
        STMT_NOTES_NOTIFIED,
        STMT_PUT_BASELINE,
        STMT_TRIM_BASELINE,
        STMT_PUT_META,
        STMT_THIN_WALK,
        STMT_THIN_MOVE,
        STMT_THIN_MEAN,
        STMT_GET_AGGREGATE,
        STMT_PUT_AGGREGATE,
        STMT_TRIM_AGGREGATES,
        STMT_BEGIN,
        STMT_COMMIT,
        STMT_ROLLBACK,
        N_STMTS
};

/* What a file must have, see mark.c. Zeroed: not known. */
struct spool_mark {
        uint64_t epoch, last[SPOOL_LANES], acked[SPOOL_LANES];
        uint64_t wal_no; /* that the database has alone, see pair.c; 0: not known */
        uint64_t wal_id; /* of the WAL in use, see pair.c */
};

/* Which file it is, see place.c. */
enum { SPOOL_PLACES = 4 };
struct spool_place {
        struct {
                uint64_t dev, ino; /* 0: not known yet */
        } at[SPOOL_PLACES];
        bool lost;
        uint64_t n_held; /* when it was lost: readings in it that Kafka has not */
};

/* Bytes that an item has in the quarantine, see quarantine.c. */
enum { SPOOL_HOLDINGS = 32 };
struct spool_holding {
        char driver[TEXT_NAME_MAX + 2];
        uint64_t bytes;
};

struct spool_db {
        sqlite3 *conn;
        sqlite3_stmt *stmt[N_STMTS];
        char *path;
        int lock_fd;
        struct spool_plan plan;
        int when_full;
        int64_t keep_us;
        bool low_space;               /* the disk: nothing that was delivered is kept */
        uint64_t disk_room, wal_room; /* bytes free for growing, and free in the WAL as it is */
        uint64_t disk_free;           /* bytes; UINT64_MAX: not known */
        int rc;                       /* first SQLite code that is not fine in this transaction */
        bool fresh;                   /* made by a rescue: its marker is still there */
        bool was_open;                /* the one before did not end cleanly: there was a -wal */
        bool other_wal;               /* damaged, for the WAL is not that of this database */
        bool damaged;                 /* what SQLite said, or we saw, means that the file can't be used as it is */
        int wal_frames;
        bool wal_done;                      /* all of it is in the database: it starts over when no reader is in it */
        bool wal_was_done;                  /* when the last commit began */
        bool pair_due;                      /* a WAL has gone into the database and was not counted, see pair.c */
        bool overwritten;                   /* the open database, by an older copy: the WAL must not go into it */
        uint64_t pages_most, max_pages_set; /* that the database may have now, and SQLite was told */
        uint64_t wal_most;                  /* that the WAL may take now */
        uint64_t wal_left;                  /* of it for what may as well wait for the next commit */
        struct spool_mark mark;             /* as it is beside the file */
        struct spool_place place;
        struct spool_thin *thin; /* NULL: when_full is something else */

        /* Follows the transaction: put back when it is rolled back. */
        struct {
                uint64_t first[SPOOL_LANES]; /* no row in the file is below */
                uint64_t ts_saved_seq;       /* tag times are saved up to here: rows above must stay */
                uint64_t event_bytes, quarantine_bytes, dead_bytes;
                struct spool_holding holdings[SPOOL_HOLDINGS];
                uint64_t wal_no; /* see pair.c */
                uint64_t n_ledger;
                bool has_span;
                int64_t base_us;      /* times of new rows count from it */
                uint64_t thinned_seq; /* rows up to here are as thin as they get */
                bool has_aggregates;
                uint64_t purge_upto;                          /* 0: nothing more */
                uint64_t ahead_no;                            /* which list of ranges is in the table */
                uint64_t ahead_gone;                          /* rows of ranges ahead are gone up to here */
                struct spool_repair repairs[2 * REPAIRS_MAX]; /* under way */
                size_t n_repairs;
        } v;
        uint64_t epoch;
        uint64_t random;                            /* for an epoch; set before it is opened */
        uint64_t epoch_before;                      /* of a new file: the greatest that was known; 0: none was */
        _Atomic uint64_t pin[SPOOL_LANES];          /* written by the loop at any time */
        _Atomic uint64_t gap_after, gap_below;      /* as the pin: see ahead.c */
        struct lane_range sent[LANE_AHEAD_MAX + 2]; /* since before the start, perhaps; set before the first commit */
        uint32_t n_sent;
        _Atomic bool trimming[SPOOL_LANES]; /* this commit has read the pin and may touch rows above it */
        _Atomic bool closing;
        _Atomic int n_close_waits; /* for locks, since closing */
};

struct spool_result {
        bool ok;
        bool gone;      /* ok, but the file is not at its path any more: nothing may be acknowledged */
        bool rows_left; /* ok, but only acks and dead letters: no room for the rows (block, or no_space) */
        bool no_space;  /* the disk would be full */
        bool more;      /* trimming, purging or shrinking goes on */
        bool purging;
        bool damaged;   /* not ok, and never will be with this file */
        bool low_space; /* the disk: tag times are to be saved, so that rows may go */
        struct spool_drops drops;
        uint64_t used_pages;
        uint64_t file_bytes, disk_free_bytes;
        uint64_t event_bytes;
        uint64_t first_seq; /* of the readings in the file */
        int64_t oldest_held_ts_us;
        uint64_t n_rows;
        char fault[200];
};

int spool_db_open(struct spool_db *db, const struct spool_conf *conf, const char *gateway, int64_t wall_us,
                  struct err *e);
void spool_db_put_alarms(struct spool_db *db, struct spool_batch *b);
void spool_db_put_baselines(struct spool_db *db, const struct spool_batch *b);
#define SPOOL_ALARM_COLUMNS                                                                                  \
        "source, tag, rule, limit_kind, state, active, unacked, latched, visibility, activations, since_us," \
        " shelved_until_us, severity, event_id"
void spool_read_alarm(sqlite3_stmt *st, struct spool_alarm *a); /* texts are SQLite's until the next step */
int spool_db_load(struct spool_db *db, struct tags *tags, struct lane_account lanes[SPOOL_LANES], struct err *e);
void spool_db_reconfigure(struct spool_db *db, const struct spool_conf *conf); /* while no commit runs */
void spool_db_close(struct spool_db *db, bool clean);
void spool_db_forget(struct spool_db *db);
void spool_db_convert(struct spool_db *db, uint64_t max_size); /* to pages of today, when that is cheap */
int spool_db_prepare(struct spool_db *db, struct err *e);
void spool_db_be_patient(struct spool_db *db, sqlite3 *c); /* how `c` waits for locks */
int spool_sync_directory(const char *path);                /* of the file */

int spool_db_migrate(struct spool_db *db, int64_t from, struct err *e);
/*
 * SQL: alarms of before format 9, kept without their tags' labels, get them;
 * again is fine.
 */
extern const char spool_label_alarms[];
/*
 * SQL: names of before format 10 as they are today, once the connection has the
 * functions; again is fine.
 */
extern const char spool_names_today[];
int spool_names_functions(sqlite3 *conn); /* an SQLite code */
/*
 * The readings of a file that format 5 found in an older one, as far as they
 * are not moved yet. Bounded at a time.
 */
int spool_db_move_readings(struct spool_db *db, struct err *e);
/*
 * Times of rows from `seq` on will count from near `at_us`; a new span only
 * when the last one is too far away.
 */
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

/*
 * No lane ever comes that far: what says more is damaged. Exact for every
 * reader of JSON.
 */
#define SPOOL_SEQ_MAX ((UINT64_C(1) << 53) - 1)

/* What makes its ids differ from any other file's (epoch.c). */
#define SPOOL_EPOCH_MAX ((UINT64_C(1) << 53) - 1)
uint64_t spool_epoch_beside(const struct spool_db *db); /* 0: none */
int spool_epoch_write(const struct spool_db *db, uint64_t epoch, struct err *e);
uint64_t spool_epoch_next(struct spool_db *db, int64_t wall_us); /* of a new file */
int spool_epoch_check(struct spool_db *db, struct err *e);       /* of the open file */
int spool_epoch_exceed(struct spool_db *db, uint64_t old, struct err *e);

/*
 * What it must have (mark.c). Reading: false, and zeroes, when there is none,
 * or none of that epoch.
 */
int spool_mark_making(const struct spool_db *db, uint64_t epoch, struct err *e); /* its file comes next */
uint64_t spool_mark_being_made(const struct spool_db *db);                       /* that epoch; 0: none */
void spool_mark_renew(struct spool_db *db);
bool spool_mark_sync(const struct spool_db *db); /* as it is, it is there for good */
void spool_mark_note(struct spool_db *db, const struct spool_mark *m);
bool spool_mark_read(const struct spool_db *db, struct spool_mark *m);
bool spool_mark_of(const struct spool_db *db, uint64_t epoch, struct spool_mark *m);
/* It says what the file has; before the first id is given. */
int spool_mark_begin(struct spool_db *db, const struct lane_account lanes[SPOOL_LANES], struct err *e);
int spool_mark_check(struct spool_db *db, const struct lane_account lanes[SPOOL_LANES], struct err *e);

/*
 * Whether the open file is the one at its path (place.c). _check: before a
 * commit; false, with a sentence.
 */
void spool_place_note(struct spool_db *db);
bool spool_place_is_ours(const struct spool_place *p, const char *path); /* any thread */
bool spool_place_check(struct spool_db *db, const uint64_t acked[SPOOL_LANES], char *why, size_t cap);

/*
 * Whether database and WAL belong together (pair.c). _join: the WAL goes into
 * the database, as far as `mode` waits for readers; an SQLite code. _name:
 * which WAL it is goes into a mark that is about to be noted. _expect: before
 * it is opened.
 */
int spool_pair_expect(struct spool_db *db, struct err *e);
void spool_pair_begin(struct spool_db *db);
bool spool_pair_is_one(const struct spool_db *db);
int spool_pair_join(struct spool_db *db, int mode);
void spool_pair_name(struct spool_db *db, struct spool_mark *m);
bool spool_pair_may_join(struct spool_db *db);
void spool_pair_say(const struct spool_db *db, struct spool_result *res); /* overwritten */

/* The disk under it (disk.c). */
uint64_t spool_disk_size(const char *path, const char *suffix);
void spool_disk_measure(struct spool_db *db);
bool spool_disk_takes(struct spool_db *db, uint64_t pages);
uint64_t spool_disk_trim_bytes(const struct spool_db *db);

/*
 * How max_size is shared (room.c). _share: before a commit; false: it would
 * break the cap, or says why it may not be.
 */
bool spool_room_share(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
bool spool_room_wants_checkpoint(const struct spool_db *db);      /* after a commit */
static inline uint64_t spool_wal_bytes(const struct spool_db *db) /* that are in use */
{
        return (uint64_t)db->wal_frames * (db->plan.page_bytes + 24);
}

/*
 * Steps of a commit (ledger.c, trim.c, put.c).
 */
void spool_db_write_ledger(struct spool_db *db, const struct spool_drops *drops, int64_t at_us);
void spool_db_join_ledger(struct spool_db *db, enum spool_lane lane, uint64_t acked);
/* Pages that are not for rows: in use, or the events' unused share. */
uint64_t spool_db_taken_pages(struct spool_db *db);
/*
 * True when `need` pages are free. Delivered rows go first; held ones by
 * policy.
 */
bool spool_db_make_room(struct spool_db *db, const struct spool_batch *b, int64_t need, struct spool_result *res);
void spool_db_make_event_room(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
/*
 * The oldest minute that is not thin yet becomes so (thin.c). False: there is
 * none, or no more in this commit.
 */
bool spool_db_thin(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
void spool_thin_begin(struct spool_db *db); /* before a commit makes room */
struct spool_thin *spool_thin_new(void);
void spool_thin_free(struct spool_thin *t);
uint64_t spool_thin_wal_bytes(const struct spool_plan *plan); /* that a commit may write for it */
void spool_db_trim_aggregates(struct spool_db *db, uint64_t first, uint64_t last);
#define SPOOL_GET_AGGREGATE "SELECT n, min, max FROM aggregate WHERE seq = ?1"
void spool_read_aggregate(sqlite3_stmt *st, struct spool_row *row); /* a statement of that, or NULL */
void spool_db_purge(struct spool_db *db, const struct spool_batch *b, struct spool_result *res); /* purge.c */
/* Delivered rows whose time is over. Sets res->more when there are others. */
void spool_db_trim(struct spool_db *db, const struct spool_batch *b, enum spool_lane lane, struct spool_result *res);
void spool_db_shrink(struct spool_db *db, struct spool_result *res);
/*
 * Removes up to `most` rows from (after, upto], oldest first. With `reason`
 * they are drops: each unbroken run of seqs that was there goes to res->drops.
 * Returns how many went.
 */
uint64_t spool_db_trim_rows(struct spool_db *db, enum spool_lane lane, uint64_t after, uint64_t upto, uint64_t most,
                            const char *reason, struct spool_result *res);
/*
 * The next readings behind *after that are neither out nor delivered: above
 * *after, up to *upto. False: there are none.
 */
bool spool_db_next_pending(struct spool_db *db, const struct spool_batch *b, uint64_t *after, uint64_t *upto);
/* Removes at most `most` of those delivered ahead. False: there are none. */
bool spool_db_trim_ahead(struct spool_db *db, const struct spool_batch *b, uint64_t most);
void spool_db_put_ahead(struct spool_db *db, const struct spool_batch *b);
/*
 * Rows above may be changed by this commit; what is pinned from now on is
 * fetched after it, see fetch.c.
 */
uint64_t spool_db_pinned(struct spool_db *db, const struct spool_batch *b, enum spool_lane lane);
void spool_db_put_tags(struct spool_db *db, const struct spool_batch *b); /* tags.c */
#define SPOOL_FORGOTTEN_COLUMNS                                                                        \
        "seq, f.tag IS NOT NULL AND (tag.id IN (SELECT tag FROM dead_letter WHERE tag IS NOT NULL) OR" \
        " tag.id IN (SELECT tag FROM event WHERE tag IS NOT NULL))"
bool spool_db_tag_is_free(const struct spool_db *db, sqlite3_stmt *st, int at);
void spool_db_put_saves(struct spool_db *db, const struct spool_batch *b);
void spool_db_saved_upto(struct spool_db *db, uint64_t seq); /* tag times are, of rows up to there */
void spool_db_repair_times(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
void spool_db_put_rows(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
void spool_db_put_events(struct spool_db *db, const struct spool_batch *b);
#define SPOOL_QUARANTINE_BYTES "length(payload) + length(origin) + length(reason) + 64"
void spool_db_put_quarantine(struct spool_db *db, const struct spool_batch *b); /* quarantine.c */
int spool_db_load_quarantine(struct spool_db *db, struct err *e);
void spool_db_put_dead(struct spool_db *db, const struct spool_batch *b, struct spool_result *res);
void spool_db_put_cursors(struct spool_db *db, const struct spool_batch *b);

/*
 * ---- a damaged file: rescue/set_aside.c begins, rescue/rescue.c carries ----
 */

struct spool_rescue {
        int64_t at_us;
        char aside[4300]; /* where the file is now */
        int tries;
        uint64_t old_epoch;            /* 0: not known */
        uint64_t n_readings, n_events; /* carried over */
        uint64_t n_lost; /* seqs of the old epoch, in `lost` as "17-90,120-121"; a + at its end: and more */
        uint64_t n_lost_events;
        char lost[400];
        const char *stopped; /* why it ended early; NULL: it did not */
};

/* True when moving the file would not take another program's. */
bool spool_rescue_is_ours(const char *path);
bool spool_rescue_can_read(const char *path);
bool spool_rescue_is_marked(const char *path);
void spool_rescue_mark(const char *path);
void spool_rescue_unmark(const char *path);
int spool_rescue_begin(struct spool_rescue *r, const char *path, bool other_wal, int64_t wall_us, struct err *e);
/*
 * What it found and what is lost, into the file; an SQLite code (tell.c).
 * _gone: of a file that is not there, from its mark, or from its epoch alone
 * (not known).
 */
int spool_rescue_tell(const struct spool_rescue *r, sqlite3 *conn);
int spool_rescue_tell_gone(const struct spool_mark *m, bool known, int64_t wall_us, const char *path, sqlite3 *conn);
void spool_rescue_note_lost(struct spool_rescue *r, uint64_t first, uint64_t last);
int spool_rescue_carry(struct spool_rescue *r, struct spool_db *db, const char *gateway, struct err *e);
void spool_db_commit(struct spool_db *db, struct spool_batch *b, struct spool_result *res);
void spool_fault_say(sqlite3 *conn, int code, int sys_errno, char *out, size_t cap); /* fault.c */
int spool_fault_open(const char *spool, const char *file, struct err *e);
void spool_db_stat(struct spool_db *db, uint64_t acked, struct spool_result *res);
/*
 * Times as a file has them. What damage made of one is taken for the nearest
 * that is less than 10,000 years from 1970, so that it can be counted with.
 */
#define SPOOL_TIME_MAX (INT64_C(315576000000) * 1000000)
int64_t spool_read_time(sqlite3_stmt *st, int column);
int64_t spool_time_sum(int64_t us, int64_t more_us);
/*
 * A row of SPOOL_COLUMNS or SPOOL_EVENT_COLUMNS; the text is SQLite's until the
 * next step.
 */
void spool_read_row(sqlite3_stmt *st, struct spool_row *row);
void spool_read_event(sqlite3_stmt *st, struct spool_row *row);
/*
 * An event's body that is none, of damage, gives way to one that says so: a
 * record of it would be no JSON.
 */
void spool_sound_body(struct reading *r);
/* A row as it lies in the table, whose times count from `base_us`. */
void spool_read_sample(sqlite3_stmt *st, int64_t base_us, struct spool_row *row);
/* A row of SPOOL_TAG_COLUMNS; the texts are SQLite's until the next step. */
void spool_read_tag(sqlite3_stmt *st, struct tag *out);
#define SPOOL_TAG_COLUMNS    "id, source, name, unit, labels, driver, last_ts_us"
#define SPOOL_SAMPLE_COLUMNS "seq, t_us, bits, delay_us, value"
#define SPOOL_COLUMNS        "seq, ts_us, tag, quality, flags, value, delay_us, mid"
#define SPOOL_EVENT_COLUMNS  "seq, ts_us, tag, body, kind, severity"

#endif
