/*
 * transaction: what a commit does to the file, step by step; the SQL is in
 * stmt.c.
 *
 * Runs on the work queue, one commit at a time, on a connection nobody else
 * uses.  One transaction holds tags, acks, what the acks let go, dead letters,
 * room made for the batch, its readings and events, the ledger and the
 * quarantine; so the file is at every instant a state the loop once meant, and
 * accepted = delivered + held + dropped in it.
 *
 * Size: the database may have pages_most (max_page_count enforces it), the WAL
 * wal_most (room.c).  Room is made before rows are put, by an estimate that is
 * rather too high; should it be too low SQLite says FULL and the transaction is
 * tried again with more.  Only pages of the budget count for that: on a full
 * disk nothing is dropped, the commit fails.  The WAL is checkpointed here,
 * after a commit, and starts over (early when the disk is all but full:
 * disk.c).
 *
 * How it fails: db->rc holds the first SQLite code that is not fine, all later
 * steps do nothing, the transaction is rolled back and the batch is as it was:
 * the loop tries again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/writer/stmt.h"

enum {
        LEDGER_MAX = 4096, /* lines at or below the watermark are joined beyond that */
        ATTEMPTS_MAX = 4,
};

static void refuse_rows(const struct spool_batch *b, struct spool_result *res)
{
        for (size_t i = 0; i < b->n_rows; i++)
                spool_drops_add(&res->drops, SPOOL_SAMPLES, b->rows[i].seq, b->rows[i].seq, "full");
}

static int64_t pages_for(const struct spool_batch *b)
{
        return (int64_t)(spool_batch_bytes(b, b->n_new_tags) / b->page_bytes);
}

static void write_batch(struct spool_db *db, struct spool_batch *b, struct spool_result *res, int attempt)
{
        bool room;

        spool_db_put_tags(db, b);
        spool_db_put_dead(db, b, res);
        spool_db_put_saves(db, b);
        spool_db_put_cursors(db, b);
        spool_db_put_ahead(db, b);
        spool_db_repair_times(db, b, res);
        spool_db_purge(db, b, res);
        spool_db_trim(db, b, SPOOL_SAMPLES, res);
        spool_db_trim(db, b, SPOOL_EVENTS, res);
        room = spool_db_make_room(db, b, pages_for(b) << attempt, res);
        if (!stmt_fine(db))
                return;
        res->no_space = b->n_rows && !spool_disk_takes(db, (uint64_t)pages_for(b));
        if (room && !res->no_space) {
                spool_db_put_rows(db, b, res);
        } else if ((res->no_space || db->when_full == SPOOL_BLOCK) && b->n_rows) {
                res->rows_left = true;
                if (b->save)
                        spool_db_saved_upto(db, db->mark.last[SPOOL_SAMPLES]); /* the rows are not there yet */
                spool_db_write_ledger(db, &res->drops, b->wall_us);
                return;
        } else {
                refuse_rows(b, res);
        }
        spool_db_put_events(db, b);
        spool_db_put_alarms(db, b);
        spool_db_put_baselines(db, b);
        spool_db_make_event_room(db, b, res);
        spool_db_put_quarantine(db, b);
        for (size_t i = 0; i < b->refused.n; i++)
                spool_drops_add(&res->drops, b->refused.v[i].lane, b->refused.v[i].first, b->refused.v[i].last,
                                b->refused.v[i].reason);
        spool_db_write_ledger(db, &res->drops, b->wall_us);
        if (db->v.n_ledger > LEDGER_MAX)
                for (int i = 0; i < SPOOL_LANES; i++)
                        spool_db_join_ledger(db, (enum spool_lane)i, b->acked[i]);
        spool_db_shrink(db, res);
}

/*
 * A file that is larger, as max_size was smaller or a reader keeps the WAL from
 * getting small, still has a few pages: letting go may take some first.
 */
static void set_max_pages(struct spool_db *db)
{
        uint64_t pages = stmt_pages(db, STMT_PAGES), n_free = stmt_pages(db, STMT_FREE_PAGES);
        uint64_t most = db->pages_most;
        char text[128];

        if (pages > most)
                most = pages + (n_free < SPARE_PAGES ? SPARE_PAGES - n_free : 0);
        if (db->max_pages_set == most)
                return;
        snprintf(text, sizeof(text), "PRAGMA journal_size_limit=%" PRIu64 "; PRAGMA max_page_count=%" PRIu64,
                 db->plan.wal_most, most);
        if (sqlite3_exec(db->conn, text, NULL, NULL, NULL) == SQLITE_OK)
                db->max_pages_set = most;
}

static bool try_once(struct spool_db *db, struct spool_batch *b, struct spool_result *res, int attempt)
{
        __typeof__(db->v) before = db->v;

        db->rc = SQLITE_OK;
        errno = 0;
        res->rows_left = res->more = false;
        res->drops.n = 0;
        stmt_run(db, STMT_BEGIN);
        if (stmt_fine(db))
                write_batch(db, b, res, attempt);
        if (stmt_fine(db))
                stmt_run(db, STMT_COMMIT);
        if (stmt_fine(db))
                return true;
        spool_fault_say(db->conn, db->rc, errno, res->fault, sizeof(res->fault));
        res->damaged = ((db->rc & 0xff) == SQLITE_CORRUPT || (db->rc & 0xff) == SQLITE_NOTADB) &&
                       spool_rescue_can_read(db->path);
        if (!sqlite3_get_autocommit(db->conn)) {
                sqlite3_step(db->stmt[STMT_ROLLBACK]);
                sqlite3_reset(db->stmt[STMT_ROLLBACK]);
        }
        db->v = before;
        res->drops.n = 0;
        return false;
}

void spool_db_stat(struct spool_db *db, uint64_t acked, struct spool_result *res)
{
        db->rc = SQLITE_OK;
        res->used_pages = stmt_used_pages(db);
        res->event_bytes = db->v.event_bytes;
        res->first_seq = db->v.first[SPOOL_SAMPLES];
        stmt_bind(db, STMT_OLDEST_HELD, 1, acked);
        res->oldest_held_ts_us = stmt_next(db, STMT_OLDEST_HELD) ? spool_read_time(db->stmt[STMT_OLDEST_HELD], 0) : 0;
        sqlite3_reset(db->stmt[STMT_OLDEST_HELD]);
        res->file_bytes =
                spool_disk_size(db->path, "") + spool_disk_size(db->path, "-wal") + spool_disk_size(db->path, "-shm");
}

/* Before what the WAL has may be anywhere else, or be known to anybody. */
static void note_mark(struct spool_db *db, const struct spool_batch *b, bool rows_left)
{
        struct spool_mark m = db->mark;

        m.epoch = db->epoch;
        memcpy(m.acked, b->acked, sizeof(m.acked));
        if (!rows_left)
                memcpy(m.last, b->last, sizeof(m.last));
        spool_pair_name(db, &m);
        spool_mark_note(db, &m);
}

void spool_db_commit(struct spool_db *db, struct spool_batch *b, struct spool_result *res)
{
        bool done = false;

        res->ok = res->gone = res->damaged = false;
        res->n_rows = 0;
        res->fault[0] = '\0';
        if (!spool_place_check(db, b->acked, res->fault, sizeof(res->fault)))
                return;
        res->damaged = db->overwritten;
        if (db->overwritten) {
                spool_pair_say(db, res);
                return;
        }
        db->rc = SQLITE_OK;
        spool_disk_measure(db);
        res->low_space = db->low_space;
        res->disk_free_bytes = db->disk_free;
        if (!spool_room_share(db, b, res))
                return;
        set_max_pages(db);
        for (int attempt = 0; attempt < ATTEMPTS_MAX && !done; attempt++) {
                done = try_once(db, b, res, attempt);
                if (!done && (db->rc & 0xff) != SQLITE_FULL)
                        break;
        }
        if (done) {
                note_mark(db, b, res->rows_left);
                spool_place_note(db);
                res->gone = !spool_place_check(db, b->acked, res->fault, sizeof(res->fault));
        }
        if (!atomic_load(&db->closing) && (db->pair_due || spool_room_wants_checkpoint(db)))
                spool_pair_join(db, SQLITE_CHECKPOINT_PASSIVE);
        if (!done)
                return;
        if (db->overwritten) {
                res->gone = true;
                spool_pair_say(db, res);
        }
        spool_db_stat(db, b->acked[SPOOL_SAMPLES], res);
        res->purging = db->v.purge_upto != 0;
        res->ok = true;
}
