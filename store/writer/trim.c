/*
 * trim: what goes from the file: rows whose time is over, rows for which there
 * is no room, and pages nobody uses.
 *
 * Room is made before rows are put, by an estimate that is rather too high:
 * delivered rows first, then held ones by policy, each drop a line in the
 * ledger.  Only pages of the budget count for that: on a full disk nothing is
 * dropped. Fails as the rest of the transaction: db->rc says so.
 */
#include <inttypes.h>
#include <stdio.h>

#include "store/writer/stmt.h"

enum {
        CHUNK_ROWS = 512,     /* dropped at once to make room */
        TRIM_MIN = 4000,      /* not before so many can go: a trim rewrites pages at the old end */
        TRIM_ALONG = 200,     /* but as many as come, when so many do */
        TRIM_ROWS = 32000,    /* delivered rows removed per commit */
        TRIM_BYTES = 4 << 20, /* the same, in bytes */
        KEEP_EVENTS = 10000,  /* the newest ones stay after delivery, in half of their share */
        EVENTS_MIN = 200,     /* delivered events removed at once, at least */
};
#define KEEP_EVENTS_US (31 * INT64_C(86400000000))

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

uint64_t spool_db_taken_pages(struct spool_db *db)
{
        uint64_t share = db->v.event_bytes < db->plan.event_bytes ? db->plan.event_bytes - db->v.event_bytes : 0;

        return SPARE_PAGES + share / db->plan.page_bytes + stmt_used_pages(db);
}

static int64_t free_pages(struct spool_db *db)
{
        return (int64_t)db->pages_most - (int64_t)spool_db_taken_pages(db);
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
        uint64_t mean = stmt_used_pages(db) * db->plan.page_bytes / (rows ? rows : 1) + 1;
        uint64_t most = min_u64(min_u64(TRIM_BYTES, db->wal_left / 4), spool_disk_trim_bytes(db)) / mean;

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
 * How many of the `n` oldest events, all delivered, go.  The newest stay, for
 * people who ask later what happened: so many, so long, in half of the events'
 * share, which readings can't have anyway.
 */
static uint64_t events_over(struct spool_db *db, const struct spool_batch *b, uint64_t n)
{
        uint64_t n_all = b->last[SPOOL_EVENTS] - db->v.first[SPOOL_EVENTS] + 1, share = db->plan.event_bytes / 2;
        uint64_t over = n_all > KEEP_EVENTS ? n_all - KEEP_EVENTS : 0, old = 0;

        if (db->low_space)
                return n;
        if (db->v.event_bytes > share)
                over += (db->v.event_bytes - share) / (db->v.event_bytes / n_all + 1) + 1;
        if (n >= EVENTS_MIN)
                old = old_ones(db, SPOOL_EVENTS, n, EVENTS_MIN, b->wall_us - KEEP_EVENTS_US);
        return min_u64(over > old ? over : old, n);
}

/* Some hundreds at a time: each trim writes pages at the old end. */
static void trim_events(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        uint64_t first = db->v.first[SPOOL_EVENTS], acked = b->acked[SPOOL_EVENTS], over, n;

        if (!first || acked < first)
                return;
        over = events_over(db, b, acked - first + 1);
        if (over < (db->low_space ? 1 : EVENTS_MIN))
                return;
        n = min_u64(over, trim_most(db, b));
        spool_db_trim_rows(db, SPOOL_EVENTS, first - 1, first + n - 1, n, NULL, res);
        if (n < over)
                res->more = true;
}

/*
 * A page that gets free and is not used again in the same transaction is
 * written all the same, so at best as many rows go as come: what a commit
 * brings lies on the pages that it cleared.
 */
void spool_db_trim(struct spool_db *db, const struct spool_batch *b, enum spool_lane lane, struct spool_result *res)
{
        uint64_t first = db->v.first[SPOOL_SAMPLES], limit = b->acked[SPOOL_SAMPLES], least = 1, n;
        /* Well below where a blocked source may go on (spool_tell_room): nothing delivered is kept at its expense. */
        bool low_space = db->low_space || stmt_used_pages(db) >= db->plan.db_pages / 2;
        bool along = !low_space && b->n_rows >= TRIM_ALONG;

        if (lane == SPOOL_EVENTS) {
                trim_events(db, b, res);
                return;
        }
        if (low_space && spool_db_trim_ahead(db, b, trim_most(db, b)))
                res->more = true;
        limit = min_u64(limit, db->v.ts_saved_seq);
        if (!low_space) {
                limit = min_u64(limit, b->last[lane] > KEEP_ROWS ? b->last[lane] - KEEP_ROWS : 0);
                least = along ? b->n_rows : TRIM_MIN;
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
        trim_delivered(db, first + n - 1, n);
        if (!along && limit - (first + n - 1) >= least)
                res->more = true;
}

/*
 * Gives pages back only when most of a large file is free: moving pages costs
 * flash.  Of a file that is too large all but a few that letting go may take.
 */
void spool_db_shrink(struct spool_db *db, struct spool_result *res)
{
        uint64_t pages = stmt_pages(db, STMT_PAGES), n_free = stmt_pages(db, STMT_FREE_PAGES);
        bool over = pages > db->plan.db_pages;
        uint64_t n = min_u64(VACUUM_PAGES, db->wal_left / db->plan.page_bytes / 4);
        char text[64];
        int rc;

        if (over)
                n = min_u64(n, n_free > SPARE_PAGES ? n_free - SPARE_PAGES : 0);
        if (!stmt_fine(db) || !n || !(over || (n_free > 4096 && n_free > pages / 2)))
                return;
        snprintf(text, sizeof(text), "PRAGMA incremental_vacuum(%" PRIu64 ")", n);
        rc = sqlite3_exec(db->conn, text, NULL, NULL, NULL);
        if (rc != SQLITE_OK)
                db->rc = rc;
        res->more = true;
}
