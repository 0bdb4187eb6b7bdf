/*
 * purge: what an operator has taken away: readings that nobody wants any more,
 * dead letters that Kafka took after all.
 *
 * A purge goes by seq, oldest first, a range per commit, as trimming does; held
 * readings are in the ledger as "purged". What may be on its way to Kafka
 * stays.  It is not remembered over a restart: what is left then is asked for
 * again. Fails as the rest of the transaction: db->rc says so.
 */
#include "store/writer/stmt.h"

enum { ROWS_MIN = 50, ROWS_MAX = 8000 };

/* ---- in a commit ---- */

/*
 * So many that the pages they free, which the WAL takes as well, stay within a
 * part of its share.
 */
static uint64_t rows_at_once(struct spool_db *db, const struct spool_batch *b)
{
        uint64_t rows = b->last[SPOOL_SAMPLES] - db->v.first[SPOOL_SAMPLES] + 1;
        uint64_t mean = stmt_used_pages(db) * db->plan.page_bytes / (rows ? rows : 1) + 1,
                 most = db->wal_left / 4 / mean;

        return most < ROWS_MIN ? ROWS_MIN : most > ROWS_MAX ? ROWS_MAX : most;
}

void spool_db_purge(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        uint64_t upto, most, n, after = 0, end;

        for (size_t i = 0; i < b->n_forget; i++) {
                stmt_bind(db, STMT_FORGET_DEAD, 1, b->forget[i]);
                if (stmt_next(db, STMT_FORGET_DEAD))
                        db->v.dead_bytes -= min_u64(stmt_column(db, STMT_FORGET_DEAD, 0), db->v.dead_bytes);
                sqlite3_reset(db->stmt[STMT_FORGET_DEAD]);
        }
        if (b->purge_upto > db->v.purge_upto)
                db->v.purge_upto = b->purge_upto;
        if (!db->v.first[SPOOL_SAMPLES])
                db->v.purge_upto = 0; /* there is nothing, and what comes later was not meant */
        if (!db->v.purge_upto)
                return;
        upto = min_u64(db->v.purge_upto, db->v.ts_saved_seq);
        most = rows_at_once(db, b);
        n = spool_db_trim_rows(db, SPOOL_SAMPLES, db->v.first[SPOOL_SAMPLES] - 1,
                               min_u64(upto, b->acked[SPOOL_SAMPLES]), most, NULL, res);
        for (; n < most && spool_db_next_pending(db, b, &after, &end); after = end)
                n += spool_db_trim_rows(db, SPOOL_SAMPLES, after, min_u64(upto, end), most - n, "purged", res);
        if (n < most)
                db->v.purge_upto = 0;
        else
                res->more = true;
}
