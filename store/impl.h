/*
 * impl: the loop side: struct spool and its parts.  Loop thread.  Private to
 * store/; the writer does not include it.
 */
#ifndef MILLRACE_STORE_SPOOL_IMPL_H
#define MILLRACE_STORE_SPOOL_IMPL_H

#include <pthread.h>

#include "store/forecast.h"
#include "store/writer/db.h"

/* ---- the loop side ---- */

enum reader_stmt { READER_EVENTS, READER_SAMPLES, READER_SPANS, READER_BEGIN, READER_END, N_READER_STMTS };
struct spool_watch;
struct spool_recheck;
enum commit_state { COMMIT_IDLE, COMMIT_RUNNING, COMMIT_BACKOFF };

struct spool {
        struct rt *rt;
        struct spool_conf conf;
        uint64_t random; /* for an epoch */
        struct spool_upcalls up;
        struct tags *tags;
        struct spool_plan plan;
        struct lane_account lanes[SPOOL_LANES];

        struct spool_seal seal; /* as it goes with the next acks */
        struct spool_ledger ledger;
        struct spool_batch batches[2];
        struct spool_batch *gather, *committing;
        enum commit_state state;
        bool conf_moved;          /* the next commit takes it along */
        bool urgent;              /* a commit is wanted now */
        bool in_upcalls;          /* the end of a commit is being told, or its begin: no new one yet */
        bool more;                /* the last commit left trimming to do */
        bool purging;             /* and rows to purge */
        bool wants_room;          /* somebody was told to wait */
        bool full;                /* block: no room on disk */
        bool rows_left;           /* the batch waits for room, which acks make: they are not to wait, too */
        bool low_space;           /* the disk is, said the last commit */
        bool high;                /* what on_pressure said last */
        struct rt_timer interval; /* commit is due */
        struct rt_timer retry;
        struct rt_timer kick; /* upcalls that must not come from within a call */
        struct backoff backoff;
        struct list syncs;
        struct spool_fetch *parked[SPOOL_LANES + 2]; /* start when the commit under way has ended */

        /* Tag times as they are on disk once the batch that saves them is. */
        int64_t *saved_ts;
        size_t n_tags_sent, cap_saved_ts;
        uint64_t rows_since_save, bytes_since_save;
        int64_t save_due_us;

        struct spool_watch *watch;
        struct spool_recheck *recheck;
        uint64_t n_launched; /* tries of commits */
        uint64_t fresh_after;
        size_t n_fresh; /* all rows behind fresh_after, still in `committing` */
        struct rt_work work;
        pthread_mutex_t db_lock;
        bool run_pending, run_done; /* under db_lock */
        struct spool_db db;
        struct spool_result result;
        uint64_t used_pages, file_bytes, event_bytes, first_seq;
        uint64_t batch_bytes; /* of the largest lately */
        int64_t oldest_held_ts_us;
        uint64_t commits, rows_committed, quarantined, dead_lettered, alarm_notes_lost;
        bool failing;
        char fault[200];

        struct forecast forecast;
        uint64_t gone[SPOOL_N_GONE], disk_free_bytes;
        int64_t full_since_us; /* wall; 0: not full */
        int64_t launched_us, commit_us;
        int64_t commit_most_us[2], minute_us; /* of the minute from then on, and the one before */

        pthread_mutex_t reader_lock;
        bool reader_says_damaged;           /* under reader_lock */
        int reader_damaged, writer_damaged; /* so often in a row */
        bool damaged;                       /* at the start: the marker is there */
        sqlite3 *reader;
        sqlite3_stmt *reader_stmt[N_READER_STMTS], *reader_aggregate;
};

int spool_room_for(const struct spool *s, size_t n, size_t text_bytes); /* 0 or SPOOL_E_* */
void spool_tell_room(struct spool *s);
void spool_tell_pressure(struct spool *s);
void spool_note_batch(struct spool *s, const struct spool_batch *b); /* that is on disk */

/* seal.c */
void spool_seal_load(struct spool *s); /* after open */
void spool_ledger_note(struct spool *s, const struct spool_drop *d);

/* outlook.c */
void spool_note_drop(struct spool *s, const struct spool_drop *d); /* before its commit counts */
void spool_note_full(struct spool *s);                             /* something gives way, or is to wait */
void spool_note_commit(struct spool *s);                           /* has ended, well or not */
void spool_note_level(struct spool *s, uint64_t held_bytes, uint64_t usable_bytes);
void spool_tell_outlook(const struct spool *s, struct spool_counts *out);

void spool_commit_init(struct spool *s);
void spool_reconfigure_idle(struct spool *s);
void spool_want_commit(struct spool *s);
void spool_want_room(struct spool *s, int64_t within_us); /* there are acks for a batch that waits for room */
bool spool_is_dirty(const struct spool *s); /* something is gathered, or acked and on no commit's way to disk */
void spool_go_on(struct spool *s);
/*
 * The loop has ended: run here what did not, or one more. False: it was not
 * committed.
 */
void spool_finish_running(struct spool *s);
bool spool_commit_here(struct spool *s);
void spool_note_damage(struct spool *s, int *in_a_row, bool damaged);
void spool_recheck_begin(struct spool *s); /* after all was loaded */
void spool_recheck_free(struct spool_recheck *c);

/* Loop; of a fetch that has ended well. */
enum spool_whole { SPOOL_WHOLE, SPOOL_ASK_AGAIN, SPOOL_NOT_WHOLE };
enum spool_whole spool_fetch_is_whole(const struct spool *s, struct spool_fetch *f);

void spool_arm(struct spool *s);                                   /* something was gathered: a commit follows */
void spool_snapshot_moves(struct spool *s, struct spool_batch *b); /* tags.c: rows that are not as in the file */
uint32_t spool_note_tag(struct spool *s, uint32_t tag, uint64_t seq);
void spool_note_event_tag(struct spool *s, uint32_t tag);
void spool_watch_free(struct spool_watch *w);
/*
 * What `sql` asks for could not be read, said SQLite (`rc`): -1 and a sentence;
 * when another connection can't read it either, the next start rescues the
 * file.
 */
int spool_unreadable(struct spool *s, int rc, const char *sql, const char *what, struct err *e);
int spool_reader_open(struct spool *s, struct err *e);
void spool_reader_close(struct spool *s);
void spool_fetch_parked(struct spool *s); /* no commit is under way */
/* Into the fetch's own buffer; false: it does not fit behind the others. */
bool spool_keep_text(struct spool_fetch *f, struct reading *r, size_t *used);

/* fresh.c; false: ask the file. */
void spool_keep_fresh(struct spool *s, const struct spool_batch *b);
bool spool_take_fresh(const struct spool *s, struct spool_fetch *f);

#endif
