/*
 * trim: what goes from the file: rows whose time is over, rows for which there
 * is no room, and pages nobody uses.
 *
 * Room is made before rows are put, by an estimate that is rather too high:
 * delivered rows first, then held ones by policy, each drop a line in the
 * ledger.  Only pages of the budget count for that: on a full disk nothing is
 * dropped. Fails as the rest of the transaction: db->rc says so.
 */
#include <stdio.h>

#include "store/writer/stmt.h"

enum {
        CHUNK_ROWS = 512,     /* dropped at once to make room */
        TRIM_MIN = 4000,      /* not before so many can go: a trim rewrites pages at the old end */
        TRIM_ALONG = 500,     /* but as many as come, when so many do */
        TRIM_ROWS = 32000,    /* delivered rows removed per commit */
        TRIM_BYTES = 4 << 20, /* the same, in bytes */
        SPARE_PAGES = 12,     /* for small tables and inner pages */
};

/*
 * Removes the oldest delivered readings: at most `most` seqs, none above
 * `upto`. False: there is none.
 */
static bool trim_delivered(struct spool_db *db, uint64_t upto, uint64_t most)
{
        uint64_t first = db->v.first[SPOOL_SAMPLES];

        if (!first || upto < first || !stmt_fine(db))
                return false;
        upto = min_u64(upto, first + most - 1);
        stmt_bind(db, STMT_TRIM_READING, 1, first);
        stmt_bind(db, STMT_TRIM_READING, 2, upto);
        stmt_run(db, STMT_TRIM_READING);
        spool_db_trim_aggregates(db, first, upto);
        db->v.first[SPOOL_SAMPLES] = upto + 1;
        return true;
}

uint64_t spool_db_trim_rows(struct spool_db *db, enum spool_lane lane, uint64_t after, uint64_t upto, uint64_t most,
                            const char *reason, struct spool_result *res)
{
        enum spool_stmt walk = stmt_of(lane, STMT_WALK_READING, STMT_WALK_EVENT);
        enum spool_stmt del = stmt_of(lane, STMT_TRIM_READING, STMT_TRIM_EVENT);
        uint64_t n = 0, first = 0, last = 0, bytes = 0, run_first = 0;

        if (upto <= after)
                return 0;
        stmt_bind(db, walk, 1, after);
        stmt_bind(db, walk, 2, upto);
        stmt_bind(db, walk, 3, most);
        while (stmt_next(db, walk)) {
                uint64_t seq = stmt_column(db, walk, 0);

                if (seq <= (n ? last : after) || seq > upto) /* of a damaged page: it would never end */
                        db->rc = SQLITE_CORRUPT;

                bytes += stmt_column(db, walk, 1);
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
        if (!n || !stmt_fine(db))
                return 0;
        if (reason)
                spool_drops_add(&res->drops, lane, run_first, last, reason);
        stmt_bind(db, del, 1, first);
        stmt_bind(db, del, 2, last);
        stmt_run(db, del);
        if (stmt_fine(db) && sqlite3_changes(db->conn) == 0)
                db->rc = SQLITE_CORRUPT;
        if (lane == SPOOL_SAMPLES)
                spool_db_trim_aggregates(db, first, last);
        if (first <= db->v.first[lane])
                db->v.first[lane] = last + 1;
        if (lane == SPOOL_EVENTS)
                db->v.event_bytes -= bytes < db->v.event_bytes ? bytes : db->v.event_bytes;
        return n;
}

/*
 * Pages free for rows: what is left of the budget, the events' unused share
 * taken off.
 */
static int64_t free_pages(struct spool_db *db)
{
        uint64_t share = db->v.event_bytes < db->plan.event_bytes ? db->plan.event_bytes - db->v.event_bytes : 0;

        return (int64_t)db->plan.db_pages - SPARE_PAGES - (int64_t)(share / PAGE_BYTES) - (int64_t)stmt_used_pages(db);
}

static bool drop_oldest(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        uint64_t after = 0, upto, n = 0;

        for (; !n && spool_db_next_pending(db, b, &after, &upto); after = upto)
                n = spool_db_trim_rows(db, SPOOL_SAMPLES, after, min_u64(upto, db->v.ts_saved_seq), CHUNK_ROWS, "full",
                                       res);
        return n != 0;
}

bool spool_db_make_room(struct spool_db *db, const struct spool_batch *b, int64_t need, struct spool_result *res)
{
        uint64_t saved = db->v.ts_saved_seq;

        spool_thin_begin(db);
        while (stmt_fine(db) && free_pages(db) < need) {
                if (trim_delivered(db, min_u64(b->acked[SPOOL_SAMPLES], saved), CHUNK_ROWS) ||
                    spool_db_trim_ahead(db, b, CHUNK_ROWS))
                        continue;
                if (spool_db_thin(db, b, res))
                        continue;
                if ((db->when_full != SPOOL_DROP_OLDEST && db->when_full != SPOOL_THIN) || !drop_oldest(db, b, res))
                        return false;
        }
        return stmt_fine(db);
}

void spool_db_make_event_room(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        while (stmt_fine(db) && db->v.event_bytes > db->plan.event_bytes) {
                if (spool_db_trim_rows(db, SPOOL_EVENTS, 0, b->acked[SPOOL_EVENTS], 32, NULL, res))
                        continue;
                if (!spool_db_trim_rows(db, SPOOL_EVENTS, spool_db_pinned(db, b, SPOOL_EVENTS), b->last[SPOOL_EVENTS],
                                        32, "full", res))
                        return;
        }
}

/* ---- trimming ---- */

static uint64_t trim_most(struct spool_db *db, const struct spool_batch *b)
{
        uint64_t rows = b->last[SPOOL_SAMPLES] - db->v.first[SPOOL_SAMPLES] + 1;
        uint64_t mean = stmt_used_pages(db) * PAGE_BYTES / (rows ? rows : 1) + 1;
        uint64_t most = min_u64(min_u64(TRIM_BYTES, db->plan.wal_bytes / 4), spool_disk_trim_bytes(db)) / mean;

        return most > TRIM_ROWS ? TRIM_ROWS : most < 64 ? 64 : most;
}

/* True when what came up to `seq` came before `cutoff_us`. */
static bool is_old(struct spool_db *db, enum spool_lane lane, uint64_t seq, int64_t cutoff_us)
{
        enum spool_stmt which = stmt_of(lane, STMT_PROBE_READING, STMT_PROBE_EVENT);
        bool old;

        stmt_bind(db, which, 1, seq);
        old = !stmt_next(db, which) || (int64_t)stmt_column(db, which, 1) <= cutoff_us;
        sqlite3_reset(db->stmt[which]);
        return old && stmt_fine(db);
}

/*
 * How many of the `n` oldest may go: all of them, or `least` doubled as long as
 * all are old.
 */
static uint64_t old_ones(struct spool_db *db, enum spool_lane lane, uint64_t n, uint64_t least, int64_t cutoff_us)
{
        uint64_t first = db->v.first[lane], found = 0;

        if (is_old(db, lane, first + n - 1, cutoff_us))
                return n;
        for (uint64_t try = least; try < n && is_old(db, lane, first + try - 1, cutoff_us); try *= 2)
                found = try;
        return found;
}

/*
 * A page that gets free and is not used again in the same transaction is
 * written all the same, so at best as many rows go as come: what a commit
 * brings lies on the pages that it cleared.
 */
void spool_db_trim(struct spool_db *db, const struct spool_batch *b, enum spool_lane lane, struct spool_result *res)
{
        uint64_t first = db->v.first[lane], limit = b->acked[lane], least = 1, n;
        /* Well below where a blocked source may go on (spool_tell_room): nothing delivered is kept at its expense. */
        bool low_space = db->low_space || stmt_used_pages(db) >= db->plan.db_pages / 2;
        bool along = lane == SPOOL_SAMPLES && !low_space && b->n_rows >= TRIM_ALONG;

        if (lane == SPOOL_SAMPLES) {
                if (low_space && spool_db_trim_ahead(db, b, trim_most(db, b)))
                        res->more = true;
                limit = min_u64(limit, db->v.ts_saved_seq);
                if (!low_space) {
                        limit = min_u64(limit, b->last[lane] > KEEP_ROWS ? b->last[lane] - KEEP_ROWS : 0);
                        least = along ? b->n_rows : TRIM_MIN;
                }
        }
        if (!first || limit < first || limit - first + 1 < least)
                return;
        n = min_u64(limit - first + 1, trim_most(db, b));
        if (along)
                n = min_u64(n, b->n_rows + b->n_rows / 8);
        if (db->keep_us > 0 && !low_space)
                n = old_ones(db, lane, n, least, b->wall_us - db->keep_us);
        if (!n)
                return;
        if (lane == SPOOL_SAMPLES)
                trim_delivered(db, first + n - 1, n);
        else
                spool_db_trim_rows(db, lane, first - 1, first + n - 1, n, NULL, res);
        if (!along && limit - (first + n - 1) >= least)
                res->more = true;
}

/*
 * Gives pages back only when most of a large file is free: moving pages costs
 * flash.
 */
void spool_db_shrink(struct spool_db *db, struct spool_result *res)
{
        uint64_t pages = stmt_pages(db, STMT_PAGES), n_free = stmt_pages(db, STMT_FREE_PAGES);
        bool over = pages > db->plan.db_pages;
        char text[64];
        int rc;

        if (!stmt_fine(db) || !(over ? n_free > 0 : n_free > 4096 && n_free > pages / 2))
                return;
        snprintf(text, sizeof(text), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
        rc = sqlite3_exec(db->conn, text, NULL, NULL, NULL);
        if (rc != SQLITE_OK)
                db->rc = rc;
        res->more = true;
}
