/*
 * ledger: the lines of `dropped`: what went neither to Kafka nor is held, from
 * which seq to which, and why.
 *
 * Ranges that touch and have the same reason are one line.  Fails as the rest
 * of the transaction: db->rc says so.
 */
#include <string.h>

#include "store/writer/stmt.h"

static bool extend_ledger(struct spool_db *db, const struct spool_drop *d, int64_t at_us)
{
        const char *lane = spool_lane_names[d->lane], *reason;
        uint64_t first = 0;
        bool joins = false;

        stmt_bind_text(db, STMT_LEDGER_BEFORE, 1, lane, strlen(lane));
        stmt_bind(db, STMT_LEDGER_BEFORE, 2, d->first);
        if (stmt_next(db, STMT_LEDGER_BEFORE)) {
                reason = (const char *)sqlite3_column_text(db->stmt[STMT_LEDGER_BEFORE], 2);
                first = stmt_column(db, STMT_LEDGER_BEFORE, 0);
                joins = stmt_column(db, STMT_LEDGER_BEFORE, 1) + 1 == d->first && reason && !strcmp(reason, d->reason);
        }
        sqlite3_reset(db->stmt[STMT_LEDGER_BEFORE]);
        if (!joins)
                return false;
        stmt_bind_text(db, STMT_LEDGER_EXTEND, 1, lane, strlen(lane));
        stmt_bind(db, STMT_LEDGER_EXTEND, 2, first);
        stmt_bind(db, STMT_LEDGER_EXTEND, 3, d->last);
        stmt_bind(db, STMT_LEDGER_EXTEND, 4, d->last - d->first + 1);
        stmt_bind(db, STMT_LEDGER_EXTEND, 5, (uint64_t)at_us);
        stmt_run(db, STMT_LEDGER_EXTEND);
        return true;
}

static void put_ledger(struct spool_db *db, enum spool_lane lane, uint64_t first, uint64_t last, uint64_t n,
                       const char *reason, int64_t at_us)
{
        stmt_bind_text(db, STMT_LEDGER_PUT, 1, spool_lane_names[lane], strlen(spool_lane_names[lane]));
        stmt_bind(db, STMT_LEDGER_PUT, 2, first);
        stmt_bind(db, STMT_LEDGER_PUT, 3, last);
        stmt_bind(db, STMT_LEDGER_PUT, 4, n);
        stmt_bind_text(db, STMT_LEDGER_PUT, 5, reason, strlen(reason));
        stmt_bind(db, STMT_LEDGER_PUT, 6, (uint64_t)at_us);
        stmt_run(db, STMT_LEDGER_PUT);
        db->v.n_ledger++;
}

void spool_db_write_ledger(struct spool_db *db, const struct spool_drops *drops, int64_t at_us)
{
        for (size_t i = 0; i < drops->n && stmt_fine(db); i++) {
                const struct spool_drop *d = &drops->v[i];

                if (!extend_ledger(db, d, at_us))
                        put_ledger(db, d->lane, d->first, d->last, d->last - d->first + 1, d->reason, at_us);
        }
}

/*
 * The oldest lines, all about seqs below the watermark, become one; their sum
 * stays.
 */
void spool_db_join_ledger(struct spool_db *db, enum spool_lane lane, uint64_t acked)
{
        const char *name = spool_lane_names[lane];
        uint64_t first = 0, last = 0, n = 0, at_us = 0, lines = 0;

        stmt_bind_text(db, STMT_LEDGER_OLD, 1, name, strlen(name));
        stmt_bind(db, STMT_LEDGER_OLD, 2, acked);
        if (stmt_next(db, STMT_LEDGER_OLD)) {
                first = stmt_column(db, STMT_LEDGER_OLD, 0);
                last = stmt_column(db, STMT_LEDGER_OLD, 1);
                n = stmt_column(db, STMT_LEDGER_OLD, 2);
                at_us = stmt_column(db, STMT_LEDGER_OLD, 3);
                lines = stmt_column(db, STMT_LEDGER_OLD, 4);
        }
        sqlite3_reset(db->stmt[STMT_LEDGER_OLD]);
        if (lines < 2)
                return;
        stmt_bind_text(db, STMT_LEDGER_TRIM, 1, name, strlen(name));
        stmt_bind(db, STMT_LEDGER_TRIM, 2, first);
        stmt_bind(db, STMT_LEDGER_TRIM, 3, last);
        stmt_run(db, STMT_LEDGER_TRIM);
        db->v.n_ledger -= lines;
        put_ledger(db, lane, first, last, n, "several", (int64_t)at_us);
}
