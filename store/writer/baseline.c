/*
 * baseline: what rules have learned about their tags (mean and spread of
 * `deviation`), so that a restart need not begin anew.
 *
 * It is not worth a commit of its own: it waits for the next one, and what a
 * crash loses is learned again.  The memory is bytes of this machine; `form`
 * says which layout, and who reads it back judges whether it can be believed.
 * The table keeps the newest rows within a small part of the events' share; of
 * a plant with more than that the rest is learned anew.
 *
 * Fails as the rest of the transaction: db->rc says so, and all of it is tried
 * again.
 */
#include <stdlib.h>
#include <string.h>

#include "store/writer/db.h"

enum { ROW_BYTES_MAX = 512 };

uint64_t spool_baseline_rows(const struct spool_plan *plan)
{
        return plan->learned_bytes / ROW_BYTES_MAX;
}

static void write_one(struct spool_db *db, const struct spool_baseline *l)
{
        sqlite3_stmt *st = db->stmt[STMT_PUT_BASELINE];
        const char *texts[] = {l->source, l->tag, l->rule, l->limit_kind};
        int rc;

        sqlite3_bind_int64(st, 1, l->at_us);
        for (int i = 0; i < 4; i++)
                sqlite3_bind_text(st, 2 + i, texts[i], -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 6, l->form);
        sqlite3_bind_blob(st, 7, l->memory, (int)l->n_bytes, SQLITE_STATIC);
        rc = sqlite3_step(st);
        sqlite3_reset(st);
        if (rc != SQLITE_DONE)
                db->rc = rc;
}

void spool_db_put_baselines(struct spool_db *db, const struct spool_batch *b)
{
        sqlite3_stmt *cut = db->stmt[STMT_TRIM_BASELINE];
        int rc;

        for (size_t i = 0; i < b->n_baselines && db->rc == SQLITE_OK; i++)
                write_one(db, &b->baselines[i]);
        if (!b->n_baselines || db->rc != SQLITE_OK)
                return;
        sqlite3_bind_int64(cut, 1, (int64_t)spool_baseline_rows(&db->plan));
        rc = sqlite3_step(cut);
        sqlite3_reset(cut);
        if (rc != SQLITE_DONE)
                db->rc = rc;
}
