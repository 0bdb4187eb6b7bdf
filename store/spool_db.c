/*
 * spool_db: what a commit does to the file; all SQL that writes, but for the schema.
 *
 * Runs on the work queue, one commit at a time, on a connection nobody else uses.  One transaction holds tags, acks, what
 * the acks let go, dead letters, room made for the batch, its readings and events, the ledger and the quarantine; so the
 * file is at every instant a state the loop once meant, and accepted = delivered + held + dropped in it.
 *
 * Size: the database may have plan.db_pages (max_page_count enforces it), the WAL plan.wal_bytes.  Room is made before
 * rows are put, by an estimate that is rather too high; should it be too low SQLite says FULL and the transaction is tried
 * again with more.  Only pages of the budget count for that: on a full disk nothing is dropped, the commit fails.
 * The WAL is checkpointed here, after a commit, and starts over; a reader that never ends can keep it from that, and then
 * commits fail with that reason rather than break the cap.
 *
 * How it fails: db->rc holds the first SQLite code that is not fine, all later steps do nothing, the transaction is rolled
 * back and the batch is as it was: the loop tries again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/spool_impl.h"

enum {
        CHUNK_ROWS = 512,     /* dropped at once to make room */
        TRIM_LEAST = 1000,    /* not before so many can go: a trim rewrites pages at the old end */
        TRIM_ROWS = 8000,     /* delivered rows removed per commit */
        TRIM_BYTES = 4 << 20, /* the same, in bytes */
        VACUUM_PAGES = 128,   /* given back to the file system per commit */
        SPARE_PAGES = 12,     /* for small tables and inner pages */
        LEDGER_MOST = 4096,   /* lines at or below the watermark are joined beyond that */
        SQUEEZES = 4,
        REPAIR_ROWS = 5000, /* moved in time per commit */
        INSERT_ROWS = 8,    /* by one statement: a fifth less CPU per row than one by one */
        N_COLUMNS = 8,
};

static const char *const sql[N_STMTS] = {
        [STMT_PUT_READING] = "INSERT INTO reading VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        [STMT_PUT_READINGS] =
                "INSERT INTO reading VALUES (?,?,?,?,?,?,?,?),(?,?,?,?,?,?,?,?),(?,?,?,?,?,?,?,?),"
                "(?,?,?,?,?,?,?,?),(?,?,?,?,?,?,?,?),(?,?,?,?,?,?,?,?),(?,?,?,?,?,?,?,?),(?,?,?,?,?,?,?,?)",
        [STMT_PUT_TAG] = "INSERT OR IGNORE INTO tag VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
        [STMT_SAVE_TAG] = "UPDATE tag SET last_ts_us = ?2 WHERE id = ?1",
        [STMT_PUT_EVENT] = "INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        [STMT_SET_CURSOR] = "UPDATE cursor SET acked_seq = ?2 WHERE lane = ?1 AND acked_seq <> ?2",
        [STMT_SET_META] = "UPDATE meta SET value = ?2 WHERE key = ?1",
        [STMT_LEDGER_BEFORE] = "SELECT first_seq, last_seq, reason FROM dropped WHERE lane = ?1 AND first_seq < ?2"
                               " ORDER BY first_seq DESC LIMIT 1",
        [STMT_LEDGER_EXTEND] = "UPDATE dropped SET last_seq = ?3, n = n + ?4, at_us = ?5"
                               " WHERE lane = ?1 AND first_seq = ?2",
        [STMT_LEDGER_PUT] = "INSERT INTO dropped VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        [STMT_LEDGER_OLD] =
                "SELECT min(first_seq), max(last_seq), sum(n), max(at_us), count(*) FROM (SELECT * FROM dropped"
                " WHERE lane = ?1 AND last_seq <= ?2 ORDER BY first_seq LIMIT 512)",
        [STMT_LEDGER_CUT] = "DELETE FROM dropped WHERE lane = ?1 AND first_seq BETWEEN ?2 AND ?3",
        [STMT_PROBE_READING] = "SELECT seq, ts_us + delay_us FROM reading WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
        [STMT_PROBE_EVENT] = "SELECT seq, ts_us FROM event WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
        [STMT_WALK_READING] = "SELECT seq, 0 FROM reading WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
        [STMT_WALK_EVENT] =
                "SELECT seq, length(body) + 64 FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
        [STMT_CUT_READING] = "DELETE FROM reading WHERE seq BETWEEN ?1 AND ?2",
        [STMT_CUT_EVENT] = "DELETE FROM event WHERE seq BETWEEN ?1 AND ?2",
        [STMT_DEAD_READING] = "INSERT INTO dead_letter SELECT NULL, 'samples', seq, ts_us, tag, quality, flags, value,"
                              " delay_us, mid, ?2, ?3 FROM reading WHERE seq = ?1",
        [STMT_DEAD_EVENT] = "INSERT INTO dead_letter SELECT NULL, 'events', seq, ts_us, tag, 0, 0, body, 0, 0, ?2, ?3"
                            " FROM event WHERE seq = ?1",
        [STMT_PUT_QUARANTINE] = "INSERT INTO quarantine VALUES (NULL, ?1, ?2, ?3, ?4, ?5)",
        [STMT_OLD_QUARANTINE] = "SELECT id, length(payload) + length(origin) + length(reason) + 64 FROM quarantine"
                                " ORDER BY id LIMIT 1",
        [STMT_CUT_QUARANTINE] = "DELETE FROM quarantine WHERE id = ?1",
        [STMT_OLD_DEAD] = "SELECT id, coalesce(length(value), 0) + 128 FROM dead_letter ORDER BY id LIMIT 1",
        [STMT_CUT_DEAD] = "DELETE FROM dead_letter WHERE id = ?1",
        [STMT_REPAIR] =
                "UPDATE reading SET ts_us = ts_us + iif(flags & 1, 0, ?3), delay_us = delay_us + iif(flags & 1, ?3, 0),"
                " flags = flags | 32 WHERE seq > ?1 AND seq <= ?2 AND flags & 2 AND (seq <= ?4 OR abs(ts_us + delay_us "
                "-"
                " (?5 - ?3)) < abs(ts_us + delay_us - ?5))",
        [STMT_PAGES] = "PRAGMA page_count",
        [STMT_FREE_PAGES] = "PRAGMA freelist_count",
        [STMT_OLDEST_HELD] = "SELECT ts_us + delay_us FROM reading WHERE seq > ?1 ORDER BY seq LIMIT 1",
        [STMT_PUT_ALARM] = "INSERT OR REPLACE INTO alarm (" SPOOL_ALARM_COLUMNS ")"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        [STMT_PUT_ALARM_NOTE] =
                "INSERT INTO alarm_log VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        [STMT_CUT_ALARM_NOTES] = "DELETE FROM alarm_log WHERE id <= (SELECT max(id) FROM alarm_log) - ?1",
        [STMT_BEGIN] = "BEGIN IMMEDIATE",
        [STMT_COMMIT] = "COMMIT",
        [STMT_ROLLBACK] = "ROLLBACK",
};

/*
 * Of max_size a quarter, at most 16 MiB, is the WAL's: room for two whole batches above where it is checkpointed.
 * 96 KiB are for the -shm file and the two small files beside.
 */
void spool_plan(struct spool_plan *p, const struct spool_conf *conf)
{
        uint64_t max = conf->max_size_bytes, part = max / 32;

        p->wal_bytes = max * 3 / 8 < (16u << 20) ? max * 3 / 8 : 16u << 20;
        p->checkpoint_bytes = p->wal_bytes / 4;
        p->db_pages = (max - p->wal_bytes - (96u << 10)) / PAGE_BYTES;
        p->event_bytes = p->db_pages * PAGE_BYTES / 10;
        p->batch_rows = (size_t)conf->batch_rows;
        if (p->batch_rows > part / 64)
                p->batch_rows = (size_t)(part / 64);
        p->batch_text = (size_t)spool_text_most(conf);
        p->batch_events = (size_t)(part / 2 < (256u << 10) ? part / 2 : 256u << 10);
        p->quarantine_bytes = conf->quarantine_bytes < part ? conf->quarantine_bytes : part;
        p->batch_quarantine = (size_t)(p->quarantine_bytes / 2 < (64u << 10) ? p->quarantine_bytes / 2 : 64u << 10);
        p->dead_bytes = part;
        p->save_bytes = p->db_pages * PAGE_BYTES / 16;
        p->save_rows = p->save_bytes / ROW_BYTES < 20000 ? p->save_bytes / ROW_BYTES : 20000;
}

static int on_wal(void *ctx, sqlite3 *conn, const char *name, int n_frames)
{
        ((struct spool_db *)ctx)->wal_frames = n_frames;
        return SQLITE_OK;
}

int spool_db_prepare(struct spool_db *db, struct err *e)
{
        for (int i = 0; i < N_STMTS; i++)
                if (sqlite3_prepare_v3(db->conn, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &db->stmt[i], NULL) !=
                    SQLITE_OK)
                        return err_set(e, "spool %s: cannot be used: %s", db->path, sqlite3_errmsg(db->conn));
        sqlite3_wal_hook(db->conn, on_wal, db);
        return 0;
}

/* ---- steps ---- */

static bool fine(const struct spool_db *db)
{
        return db->rc == SQLITE_OK;
}

/* Nothing runs behind a failure: SQLite may have rolled back by itself, and it would be a transaction of its own. */
static void run(struct spool_db *db, enum spool_stmt which)
{
        int rc;

        if (!fine(db))
                return;
        rc = sqlite3_step(db->stmt[which]);
        sqlite3_reset(db->stmt[which]);
        if (rc != SQLITE_DONE && rc != SQLITE_ROW)
                db->rc = rc;
}

/* True on a row; the caller resets. */
static bool next(struct spool_db *db, enum spool_stmt which)
{
        int rc;

        if (!fine(db))
                return false;
        rc = sqlite3_step(db->stmt[which]);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                db->rc = rc;
        return rc == SQLITE_ROW;
}

static void bind(struct spool_db *db, enum spool_stmt which, int at, uint64_t v)
{
        sqlite3_bind_int64(db->stmt[which], at, (int64_t)v);
}

static void bind_text(struct spool_db *db, enum spool_stmt which, int at, const char *s, size_t len)
{
        sqlite3_bind_text(db->stmt[which], at, s, (int)len, SQLITE_STATIC);
}

static uint64_t column(struct spool_db *db, enum spool_stmt which, int at)
{
        return (uint64_t)sqlite3_column_int64(db->stmt[which], at);
}

static uint64_t get_pages(struct spool_db *db, enum spool_stmt which)
{
        uint64_t n = next(db, which) ? column(db, which, 0) : 0;

        sqlite3_reset(db->stmt[which]);
        return n;
}

static uint64_t used_pages(struct spool_db *db)
{
        return get_pages(db, STMT_PAGES) - get_pages(db, STMT_FREE_PAGES);
}

static enum spool_stmt of(enum spool_lane lane, enum spool_stmt reading, enum spool_stmt event)
{
        return lane == SPOOL_SAMPLES ? reading : event;
}

/* ---- the ledger ---- */

static bool extend_ledger(struct spool_db *db, const struct spool_drop *d, int64_t at_us)
{
        const char *lane = spool_lane_names[d->lane], *reason;
        uint64_t first = 0;
        bool joins = false;

        bind_text(db, STMT_LEDGER_BEFORE, 1, lane, strlen(lane));
        bind(db, STMT_LEDGER_BEFORE, 2, d->first);
        if (next(db, STMT_LEDGER_BEFORE)) {
                reason = (const char *)sqlite3_column_text(db->stmt[STMT_LEDGER_BEFORE], 2);
                first = column(db, STMT_LEDGER_BEFORE, 0);
                joins = column(db, STMT_LEDGER_BEFORE, 1) + 1 == d->first && reason && !strcmp(reason, d->reason);
        }
        sqlite3_reset(db->stmt[STMT_LEDGER_BEFORE]);
        if (!joins)
                return false;
        bind_text(db, STMT_LEDGER_EXTEND, 1, lane, strlen(lane));
        bind(db, STMT_LEDGER_EXTEND, 2, first);
        bind(db, STMT_LEDGER_EXTEND, 3, d->last);
        bind(db, STMT_LEDGER_EXTEND, 4, d->last - d->first + 1);
        bind(db, STMT_LEDGER_EXTEND, 5, (uint64_t)at_us);
        run(db, STMT_LEDGER_EXTEND);
        return true;
}

static void put_ledger(struct spool_db *db, enum spool_lane lane, uint64_t first, uint64_t last, uint64_t n,
                       const char *reason, int64_t at_us)
{
        bind_text(db, STMT_LEDGER_PUT, 1, spool_lane_names[lane], strlen(spool_lane_names[lane]));
        bind(db, STMT_LEDGER_PUT, 2, first);
        bind(db, STMT_LEDGER_PUT, 3, last);
        bind(db, STMT_LEDGER_PUT, 4, n);
        bind_text(db, STMT_LEDGER_PUT, 5, reason, strlen(reason));
        bind(db, STMT_LEDGER_PUT, 6, (uint64_t)at_us);
        run(db, STMT_LEDGER_PUT);
        db->v.n_ledger++;
}

static void write_ledger(struct spool_db *db, const struct spool_drops *drops, int64_t at_us)
{
        for (size_t i = 0; i < drops->n && fine(db); i++) {
                const struct spool_drop *d = &drops->v[i];

                if (!extend_ledger(db, d, at_us))
                        put_ledger(db, d->lane, d->first, d->last, d->last - d->first + 1, d->reason, at_us);
        }
}

/* The oldest lines, all about seqs below the watermark, become one; their sum stays. */
static void join_ledger(struct spool_db *db, enum spool_lane lane, uint64_t acked)
{
        const char *name = spool_lane_names[lane];
        uint64_t first = 0, last = 0, n = 0, at_us = 0, lines = 0;

        bind_text(db, STMT_LEDGER_OLD, 1, name, strlen(name));
        bind(db, STMT_LEDGER_OLD, 2, acked);
        if (next(db, STMT_LEDGER_OLD)) {
                first = column(db, STMT_LEDGER_OLD, 0);
                last = column(db, STMT_LEDGER_OLD, 1);
                n = column(db, STMT_LEDGER_OLD, 2);
                at_us = column(db, STMT_LEDGER_OLD, 3);
                lines = column(db, STMT_LEDGER_OLD, 4);
        }
        sqlite3_reset(db->stmt[STMT_LEDGER_OLD]);
        if (lines < 2)
                return;
        bind_text(db, STMT_LEDGER_CUT, 1, name, strlen(name));
        bind(db, STMT_LEDGER_CUT, 2, first);
        bind(db, STMT_LEDGER_CUT, 3, last);
        run(db, STMT_LEDGER_CUT);
        db->v.n_ledger -= lines;
        put_ledger(db, lane, first, last, n, "several", (int64_t)at_us);
}

/* ---- making room ---- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* Removes the oldest delivered readings: at most `most` seqs, none above `upto`. False: there is none. */
static bool let_go(struct spool_db *db, uint64_t upto, uint64_t most)
{
        uint64_t first = db->v.first[SPOOL_SAMPLES];

        if (!first || upto < first || !fine(db))
                return false;
        upto = min_u64(upto, first + most - 1);
        bind(db, STMT_CUT_READING, 1, first);
        bind(db, STMT_CUT_READING, 2, upto);
        run(db, STMT_CUT_READING);
        db->v.first[SPOOL_SAMPLES] = upto + 1;
        return true;
}

/*
 * Removes up to `most` rows from (after, upto], oldest first. With `reason` they are drops: each unbroken run of seqs that
 * was there goes to res->drops. Returns how many went.
 */
static uint64_t cut(struct spool_db *db, enum spool_lane lane, uint64_t after, uint64_t upto, uint64_t most,
                    const char *reason, struct spool_result *res)
{
        enum spool_stmt walk = of(lane, STMT_WALK_READING, STMT_WALK_EVENT);
        enum spool_stmt del = of(lane, STMT_CUT_READING, STMT_CUT_EVENT);
        uint64_t n = 0, first = 0, last = 0, bytes = 0, run_first = 0;

        if (upto <= after)
                return 0;
        bind(db, walk, 1, after);
        bind(db, walk, 2, upto);
        bind(db, walk, 3, most);
        while (next(db, walk)) {
                uint64_t seq = column(db, walk, 0);

                bytes += column(db, walk, 1);
                if (!n++)
                        first = run_first = seq;
                else if (seq != last + 1) {
                        if (reason)
                                spool_drops_add(&res->drops, lane, run_first, last, reason);
                        run_first = seq;
                }
                last = seq;
        }
        sqlite3_reset(db->stmt[walk]);
        if (!n || !fine(db))
                return 0;
        if (reason)
                spool_drops_add(&res->drops, lane, run_first, last, reason);
        bind(db, del, 1, first);
        bind(db, del, 2, last);
        run(db, del);
        if (first <= db->v.first[lane])
                db->v.first[lane] = last + 1;
        if (lane == SPOOL_EVENTS)
                db->v.event_bytes -= bytes < db->v.event_bytes ? bytes : db->v.event_bytes;
        return n;
}

/* Pages free for rows: what is left of the budget, the events' unused share taken off. */
static int64_t free_pages(struct spool_db *db)
{
        uint64_t share = db->v.event_bytes < db->plan.event_bytes ? db->plan.event_bytes - db->v.event_bytes : 0;

        return (int64_t)db->plan.db_pages - SPARE_PAGES - (int64_t)(share / PAGE_BYTES) - (int64_t)used_pages(db);
}

/* Rows above may be changed by this commit; what is pinned from now on is fetched after it, see spool_fetch.c. */
static uint64_t pinned(struct spool_db *db, const struct spool_batch *b, enum spool_lane lane)
{
        uint64_t pin;

        atomic_store(&db->cutting[lane], true);
        pin = atomic_load(&db->pin[lane]);
        return pin > b->acked[lane] ? pin : b->acked[lane];
}

/* True when `need` pages are free. Delivered rows go first; held ones by policy. */
static bool make_room(struct spool_db *db, const struct spool_batch *b, int64_t need, struct spool_result *res)
{
        uint64_t saved = db->v.ts_saved_seq;

        while (fine(db) && free_pages(db) < need) {
                if (let_go(db, min_u64(b->acked[SPOOL_SAMPLES], saved), CHUNK_ROWS))
                        continue;
                if (db->when_full != SPOOL_DROP_OLDEST)
                        return false;
                if (!cut(db, SPOOL_SAMPLES, pinned(db, b, SPOOL_SAMPLES), saved, CHUNK_ROWS, "full", res))
                        return false;
        }
        return fine(db);
}

static void make_event_room(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        while (fine(db) && db->v.event_bytes > db->plan.event_bytes) {
                if (cut(db, SPOOL_EVENTS, 0, b->acked[SPOOL_EVENTS], 32, NULL, res))
                        continue;
                if (!cut(db, SPOOL_EVENTS, pinned(db, b, SPOOL_EVENTS), b->last[SPOOL_EVENTS], 32, "full", res))
                        return;
        }
}

/* ---- trimming ---- */

static uint64_t trim_rows(struct spool_db *db, const struct spool_batch *b)
{
        uint64_t rows = b->last[SPOOL_SAMPLES] - db->v.first[SPOOL_SAMPLES] + 1;
        uint64_t mean = used_pages(db) * PAGE_BYTES / (rows ? rows : 1) + 1;
        uint64_t most = TRIM_BYTES / mean;

        return most > TRIM_ROWS ? TRIM_ROWS : most < 64 ? 64 : most;
}

/* The highest seq up to `upto` whose row came before `cutoff_us`, looking at a few rows only; 0: none. */
static uint64_t probe(struct spool_db *db, enum spool_lane lane, uint64_t upto, int64_t cutoff_us)
{
        enum spool_stmt which = of(lane, STMT_PROBE_READING, STMT_PROBE_EVENT);
        uint64_t first = db->v.first[lane], found = 0;

        while (upto >= first && fine(db)) {
                bind(db, which, 1, upto);
                if (next(db, which) && (int64_t)column(db, which, 1) <= cutoff_us)
                        found = column(db, which, 0);
                sqlite3_reset(db->stmt[which]);
                if (found || upto - first < 16)
                        break;
                upto = first + (upto - first) / 2;
        }
        return found;
}

/* Delivered rows whose time is over. Sets res->more when there are others. */
static void trim(struct spool_db *db, const struct spool_batch *b, enum spool_lane lane, struct spool_result *res)
{
        uint64_t most = trim_rows(db, b), first = db->v.first[lane], limit = b->acked[lane], upto;
        /* Well below where a blocked source may go on (tell_room): nothing delivered is kept at its expense. */
        bool crowded = used_pages(db) >= db->plan.db_pages / 2;

        if (lane == SPOOL_SAMPLES) {
                limit = min_u64(limit, db->v.ts_saved_seq);
                if (!crowded)
                        limit = min_u64(limit, b->last[lane] > KEEP_ROWS ? b->last[lane] - KEEP_ROWS : 0);
        }
        if (!first || limit < first || (lane == SPOOL_SAMPLES && !crowded && limit - first < TRIM_LEAST))
                return;
        upto = min_u64(limit, first + most - 1);
        if (db->keep_us > 0 && !crowded)
                upto = probe(db, lane, upto, b->wall_us - db->keep_us);
        if (!upto)
                return;
        if (lane == SPOOL_SAMPLES)
                let_go(db, upto, most);
        else
                cut(db, lane, first - 1, upto, most, NULL, res);
        if (upto < limit)
                res->more = true;
}

/* Gives pages back only when most of a large file is free: moving pages costs flash. */
static void shrink(struct spool_db *db, struct spool_result *res)
{
        uint64_t pages = get_pages(db, STMT_PAGES), n_free = get_pages(db, STMT_FREE_PAGES);
        bool over = pages > db->plan.db_pages;
        char text[64];
        int rc;

        if (!fine(db) || !(over ? n_free > 0 : n_free > 4096 && n_free > pages / 2))
                return;
        snprintf(text, sizeof(text), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
        rc = sqlite3_exec(db->conn, text, NULL, NULL, NULL);
        if (rc != SQLITE_OK)
                db->rc = rc;
        res->more = true;
}

/* ---- what the batch brings ---- */

static void put_tags(struct spool_db *db, const struct spool_batch *b)
{
        for (size_t i = 0; i < b->n_new_tags && fine(db); i++) {
                const struct tag *t = &b->new_tags[i];

                bind(db, STMT_PUT_TAG, 1, b->first_new_tag + i);
                bind_text(db, STMT_PUT_TAG, 2, t->source, strlen(t->source));
                bind_text(db, STMT_PUT_TAG, 3, t->name, strlen(t->name));
                bind_text(db, STMT_PUT_TAG, 4, t->unit, strlen(t->unit));
                bind_text(db, STMT_PUT_TAG, 5, t->labels, strlen(t->labels));
                bind_text(db, STMT_PUT_TAG, 6, t->driver, strlen(t->driver));
                run(db, STMT_PUT_TAG);
        }
}

static void put_saves(struct spool_db *db, const struct spool_batch *b)
{
        if (!b->save)
                return;
        for (size_t i = 0; i < b->n_saves && fine(db); i++) {
                bind(db, STMT_SAVE_TAG, 1, b->saves[i].id);
                bind(db, STMT_SAVE_TAG, 2, (uint64_t)b->saves[i].last_ts_us);
                run(db, STMT_SAVE_TAG);
        }
        bind_text(db, STMT_SET_META, 1, "ts_saved_seq", 12);
        bind(db, STMT_SET_META, 2, b->last[SPOOL_SAMPLES]);
        run(db, STMT_SET_META);
        db->v.ts_saved_seq = b->last[SPOOL_SAMPLES];
}

static void bind_value(sqlite3_stmt *st, int at, const struct reading *r)
{
        switch (r->type) {
        case READING_F64:
                sqlite3_bind_double(st, at, r->v.f64);
                return;
        case READING_I64:
                sqlite3_bind_int64(st, at, r->v.i64);
                return;
        case READING_BOOL:
                sqlite3_bind_int64(st, at, r->v.b);
                return;
        case READING_TEXT:
                sqlite3_bind_text(st, at, r->v.text, (int)r->len, SQLITE_STATIC);
                return;
        case READING_RAW:
                sqlite3_bind_blob(st, at, r->v.text, (int)r->len, SQLITE_STATIC);
                return;
        default:
                sqlite3_bind_null(st, at);
        }
}

static void bind_row(sqlite3_stmt *st, int at, const struct spool_row *row)
{
        const struct reading *r = &row->r;

        sqlite3_bind_int64(st, at + 1, (int64_t)row->seq);
        sqlite3_bind_int64(st, at + 2, r->ts_us);
        sqlite3_bind_int64(st, at + 3, r->tag);
        sqlite3_bind_int64(st, at + 4, r->quality);
        sqlite3_bind_int64(st, at + 5, r->flags | (r->type == READING_BOOL ? FLAG_BOOL : 0));
        bind_value(st, at + 6, r);
        sqlite3_bind_int64(st, at + 7, r->arrival_us - r->ts_us);
        sqlite3_bind_int64(st, at + 8, r->mid);
}

/* A stretch at a time, before the uplink gets there: what is pinned may be out already. */
static void repair_times(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        struct spool_repair *all = db->v.repairs, *r;
        uint64_t budget = REPAIR_ROWS;

        for (size_t i = 0; i < b->n_repairs && db->v.n_repairs < 2 * REPAIRS_MOST; i++)
                all[db->v.n_repairs++] = b->repairs[i];
        while (db->v.n_repairs && budget && fine(db)) {
                uint64_t upto;

                r = &all[0];
                if (r->after < pinned(db, b, SPOOL_SAMPLES))
                        r->after = pinned(db, b, SPOOL_SAMPLES);
                upto = min_u64(r->upto, r->after + budget);
                if (upto > r->after) {
                        bind(db, STMT_REPAIR, 1, r->after);
                        bind(db, STMT_REPAIR, 2, upto);
                        bind(db, STMT_REPAIR, 3, (uint64_t)r->step_us);
                        bind(db, STMT_REPAIR, 4, r->sure);
                        bind(db, STMT_REPAIR, 5, (uint64_t)r->now_us);
                        run(db, STMT_REPAIR);
                        budget -= upto - r->after;
                        r->after = upto;
                }
                if (r->after >= r->upto)
                        memmove(all, all + 1, --db->v.n_repairs * sizeof(*all));
        }
        if (db->v.n_repairs)
                res->more = true;
}

static void put_rows(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        size_t i = 0;

        for (; i + INSERT_ROWS <= b->n_rows && fine(db); i += INSERT_ROWS) {
                for (size_t k = 0; k < INSERT_ROWS; k++)
                        bind_row(db->stmt[STMT_PUT_READINGS], (int)k * N_COLUMNS, &b->rows[i + k]);
                run(db, STMT_PUT_READINGS);
        }
        for (; i < b->n_rows && fine(db); i++) {
                bind_row(db->stmt[STMT_PUT_READING], 0, &b->rows[i]);
                run(db, STMT_PUT_READING);
        }
        if (b->n_rows && !db->v.first[SPOOL_SAMPLES])
                db->v.first[SPOOL_SAMPLES] = b->rows[0].seq;
        res->n_rows = b->n_rows;
}

static void refuse_rows(const struct spool_batch *b, struct spool_result *res)
{
        for (size_t i = 0; i < b->n_rows; i++)
                spool_drops_add(&res->drops, SPOOL_SAMPLES, b->rows[i].seq, b->rows[i].seq, "full");
}

static void put_events(struct spool_db *db, const struct spool_batch *b)
{
        for (size_t i = 0; i < b->n_events && fine(db); i++) {
                const struct spool_event_item *v = &b->events[i];
                const char *p = b->event_bytes.p + v->at;

                bind(db, STMT_PUT_EVENT, 1, v->seq);
                bind(db, STMT_PUT_EVENT, 2, (uint64_t)v->ts_us);
                bind_text(db, STMT_PUT_EVENT, 3, p, v->kind_len);
                bind(db, STMT_PUT_EVENT, 4, (uint64_t)v->severity);
                if (v->tag == SPOOL_NO_TAG)
                        sqlite3_bind_null(db->stmt[STMT_PUT_EVENT], 5);
                else
                        bind(db, STMT_PUT_EVENT, 5, v->tag);
                bind_text(db, STMT_PUT_EVENT, 6, p + v->kind_len, v->len);
                run(db, STMT_PUT_EVENT);
                db->v.event_bytes += v->len + 64;
                if (!db->v.first[SPOOL_EVENTS])
                        db->v.first[SPOOL_EVENTS] = v->seq;
        }
}

/* Removes the oldest of a bounded table until it is small enough. */
static void bound_table(struct spool_db *db, enum spool_stmt oldest, enum spool_stmt del, uint64_t *bytes,
                        uint64_t most)
{
        while (*bytes > most && fine(db)) {
                uint64_t id = 0, len = *bytes;

                if (next(db, oldest)) {
                        id = column(db, oldest, 0);
                        len = column(db, oldest, 1);
                }
                sqlite3_reset(db->stmt[oldest]);
                bind(db, del, 1, id);
                run(db, del);
                *bytes -= min_u64(len, *bytes);
        }
}

static void put_quarantine(struct spool_db *db, const struct spool_batch *b)
{
        for (size_t i = 0; i < b->n_quarantine && fine(db); i++) {
                const struct spool_quarantine_item *q = &b->quarantine[i];
                const char *p = b->quarantine_bytes.p + q->at;

                bind(db, STMT_PUT_QUARANTINE, 1, (uint64_t)q->at_us);
                bind_text(db, STMT_PUT_QUARANTINE, 2, p, q->driver_len);
                bind_text(db, STMT_PUT_QUARANTINE, 3, p += q->driver_len, q->origin_len);
                bind_text(db, STMT_PUT_QUARANTINE, 4, p += q->origin_len, q->reason_len);
                sqlite3_bind_blob(db->stmt[STMT_PUT_QUARANTINE], 5, p + q->reason_len, (int)q->len, SQLITE_STATIC);
                run(db, STMT_PUT_QUARANTINE);
                db->v.quarantine_bytes += q->origin_len + q->reason_len + q->len + 64;
        }
        bound_table(db, STMT_OLD_QUARANTINE, STMT_CUT_QUARANTINE, &db->v.quarantine_bytes, db->plan.quarantine_bytes);
}

/* A row that is not there any more was dropped by another reason, which the ledger has. */
static void put_dead(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        for (size_t i = 0; i < b->n_dead && fine(db); i++) {
                const struct spool_dead_item *d = &b->dead[i];
                enum spool_stmt copy = of(d->lane, STMT_DEAD_READING, STMT_DEAD_EVENT);

                bind(db, copy, 1, d->seq);
                bind_text(db, copy, 2, d->reason, strlen(d->reason));
                bind(db, copy, 3, (uint64_t)b->wall_us);
                run(db, copy);
                if (!fine(db) || !cut(db, d->lane, d->seq - 1, d->seq, 1, "dead_letter", res))
                        continue;
                db->v.dead_bytes += 128 + strlen(d->reason);
        }
        bound_table(db, STMT_OLD_DEAD, STMT_CUT_DEAD, &db->v.dead_bytes, db->plan.dead_bytes);
}

static void put_cursors(struct spool_db *db, const struct spool_batch *b)
{
        for (int i = 0; i < SPOOL_LANES; i++) {
                bind_text(db, STMT_SET_CURSOR, 1, spool_lane_names[i], strlen(spool_lane_names[i]));
                bind(db, STMT_SET_CURSOR, 2, b->acked[i]);
                run(db, STMT_SET_CURSOR);
        }
}

/* ---- the transaction ---- */

static int64_t pages_for(const struct spool_batch *b)
{
        uint64_t bytes = b->cost_bytes + b->quarantine_bytes.n + b->n_new_tags * 200 + b->refused.n * 64 +
                         b->n_alarms * 256 + b->n_notes * 320;

        return (int64_t)(bytes + bytes / 8) / PAGE_BYTES + 4;
}

static void write_batch(struct spool_db *db, struct spool_batch *b, struct spool_result *res, int squeeze)
{
        bool room;

        put_tags(db, b);
        put_dead(db, b, res);
        put_saves(db, b);
        put_cursors(db, b);
        repair_times(db, b, res);
        trim(db, b, SPOOL_SAMPLES, res);
        trim(db, b, SPOOL_EVENTS, res);
        room = make_room(db, b, pages_for(b) << squeeze, res);
        if (!fine(db))
                return;
        if (room) {
                put_rows(db, b, res);
        } else if (db->when_full == SPOOL_BLOCK && b->n_rows) {
                res->rows_left = true;
                write_ledger(db, &res->drops, b->wall_us);
                return;
        } else {
                refuse_rows(b, res);
        }
        put_events(db, b);
        spool_db_put_alarms(db, b);
        make_event_room(db, b, res);
        put_quarantine(db, b);
        for (size_t i = 0; i < b->refused.n; i++)
                spool_drops_add(&res->drops, b->refused.v[i].lane, b->refused.v[i].first, b->refused.v[i].last,
                                b->refused.v[i].reason);
        write_ledger(db, &res->drops, b->wall_us);
        if (db->v.n_ledger > LEDGER_MOST)
                for (int i = 0; i < SPOOL_LANES; i++)
                        join_ledger(db, (enum spool_lane)i, b->acked[i]);
        shrink(db, res);
}

static void set_max_pages(struct spool_db *db)
{
        char text[64];

        if (db->max_pages_set == db->plan.db_pages)
                return;
        snprintf(text, sizeof(text), "PRAGMA max_page_count=%" PRIu64, db->plan.db_pages);
        if (sqlite3_exec(db->conn, text, NULL, NULL, NULL) == SQLITE_OK &&
            get_pages(db, STMT_PAGES) <= db->plan.db_pages)
                db->max_pages_set = db->plan.db_pages;
}

static bool try_once(struct spool_db *db, struct spool_batch *b, struct spool_result *res, int squeeze)
{
        __typeof__(db->v) before = db->v;

        db->rc = SQLITE_OK;
        res->rows_left = res->more = false;
        res->drops.n = 0;
        run(db, STMT_BEGIN);
        if (fine(db))
                write_batch(db, b, res, squeeze);
        if (fine(db))
                run(db, STMT_COMMIT);
        if (fine(db))
                return true;
        snprintf(res->fault, sizeof(res->fault), "%s%s%s", sqlite3_errmsg(db->conn),
                 sqlite3_system_errno(db->conn) ? ": " : "",
                 sqlite3_system_errno(db->conn) ? strerror(sqlite3_system_errno(db->conn)) : "");
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

static uint64_t wal_bytes(const struct spool_db *db)
{
        return (uint64_t)db->wal_frames * (PAGE_BYTES + 24);
}

/* Before a commit that would push the WAL over its share: start it over, waiting for readers. */
static bool wal_has_room(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        uint64_t need = (uint64_t)pages_for(b) * PAGE_BYTES + b->event_bytes.n * 2 + VACUUM_PAGES * PAGE_BYTES / 2;
        int rc;

        if (wal_bytes(db) + need <= db->plan.wal_bytes || wal_bytes(db) <= db->plan.checkpoint_bytes / 2)
                return true;
        rc = sqlite3_wal_checkpoint_v2(db->conn, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        if (rc == SQLITE_OK) {
                db->wal_frames = 0;
                return true;
        }
        if (rc == SQLITE_BUSY)
                snprintf(res->fault, sizeof(res->fault), "another program has been reading the spool for too long");
        else
                snprintf(res->fault, sizeof(res->fault), "checkpoint: %s", sqlite3_errmsg(db->conn));
        return false;
}

static uint64_t size_of(const char *path, const char *suffix)
{
        char name[4200];
        struct stat st;

        snprintf(name, sizeof(name), "%s%s", path, suffix);
        return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void spool_db_stat(struct spool_db *db, uint64_t acked, struct spool_result *res)
{
        db->rc = SQLITE_OK;
        res->used_pages = used_pages(db);
        res->event_bytes = db->v.event_bytes;
        res->first_seq = db->v.first[SPOOL_SAMPLES];
        bind(db, STMT_OLDEST_HELD, 1, acked);
        res->oldest_held_ts_us = next(db, STMT_OLDEST_HELD) ? (int64_t)column(db, STMT_OLDEST_HELD, 0) : 0;
        sqlite3_reset(db->stmt[STMT_OLDEST_HELD]);
        res->file_bytes = size_of(db->path, "") + size_of(db->path, "-wal") + size_of(db->path, "-shm");
}

void spool_db_commit(struct spool_db *db, struct spool_batch *b, struct spool_result *res)
{
        bool done = false;

        res->ok = res->damaged = false;
        res->n_rows = 0;
        res->fault[0] = '\0';
        set_max_pages(db);
        if (!wal_has_room(db, b, res))
                return;
        for (int squeeze = 0; squeeze < SQUEEZES && !done; squeeze++) {
                done = try_once(db, b, res, squeeze);
                if (!done && (db->rc & 0xff) != SQLITE_FULL)
                        return;
        }
        if (!done)
                return;
        if (wal_bytes(db) > db->plan.checkpoint_bytes)
                sqlite3_wal_checkpoint_v2(db->conn, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        spool_db_stat(db, b->acked[SPOOL_SAMPLES], res);
        res->ok = true;
}
