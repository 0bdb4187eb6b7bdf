/*
 * put: what a batch brings into the file, table by table, in the transaction of
 * its commit.
 *
 * Each step does nothing when one before has failed (stmt.h).  Bounded tables
 * lose their oldest rows here.
 */
#include <string.h>

#include "store/writer/stmt.h"

enum { REPAIR_ROWS = 5000 /* moved in time per commit */ };

void spool_db_saved_upto(struct spool_db *db, uint64_t seq)
{
        stmt_bind_text(db, STMT_SET_META, 1, "ts_saved_seq", 12);
        stmt_bind(db, STMT_SET_META, 2, seq);
        stmt_run(db, STMT_SET_META);
        db->v.ts_saved_seq = seq;
}

void spool_db_put_saves(struct spool_db *db, const struct spool_batch *b)
{
        if (!b->save)
                return;
        for (size_t i = 0; i < b->n_saves && stmt_fine(db); i++) {
                stmt_bind(db, STMT_SAVE_TAG, 1, b->saves[i].id);
                stmt_bind(db, STMT_SAVE_TAG, 2, (uint64_t)b->saves[i].last_ts_us);
                stmt_run(db, STMT_SAVE_TAG);
        }
        spool_db_saved_upto(db, b->last[SPOOL_SAMPLES]);
}

/*
 * A range at a time, before the uplink gets there: what is pinned may be out
 * already.
 */
void spool_db_repair_times(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        struct spool_repair *all = db->v.repairs, *r;
        uint64_t budget = REPAIR_ROWS;

        for (size_t i = 0; i < b->n_repairs && db->v.n_repairs < 2 * REPAIRS_MAX; i++)
                all[db->v.n_repairs++] = b->repairs[i];
        while (db->v.n_repairs && budget && stmt_fine(db)) {
                uint64_t upto;

                r = &all[0];
                if (!spool_db_next_pending(db, b, &r->after, &upto))
                        upto = 0;
                upto = min_u64(min_u64(r->upto, upto), r->after + budget);
                if (upto > r->after) {
                        stmt_bind(db, STMT_REPAIR, 1, r->after);
                        stmt_bind(db, STMT_REPAIR, 2, upto);
                        stmt_bind(db, STMT_REPAIR, 3, (uint64_t)r->step_us);
                        stmt_bind(db, STMT_REPAIR, 4, r->sure);
                        stmt_bind(db, STMT_REPAIR, 5, (uint64_t)r->now_us);
                        stmt_run(db, STMT_REPAIR);
                        budget -= upto - r->after;
                        r->after = upto;
                }
                if (r->after >= r->upto)
                        memmove(all, all + 1, --db->v.n_repairs * sizeof(*all));
        }
        if (db->v.n_repairs)
                res->more = true;
}

void spool_db_put_events(struct spool_db *db, const struct spool_batch *b)
{
        for (size_t i = 0; i < b->n_events && stmt_fine(db); i++) {
                const struct spool_event_item *v = &b->events[i];
                const char *p = b->event_bytes.p + v->at;

                stmt_bind(db, STMT_PUT_EVENT, 1, v->seq);
                stmt_bind(db, STMT_PUT_EVENT, 2, (uint64_t)v->ts_us);
                stmt_bind_text(db, STMT_PUT_EVENT, 3, p, v->kind_len);
                stmt_bind(db, STMT_PUT_EVENT, 4, (uint64_t)v->severity);
                if (v->tag == SPOOL_NO_TAG)
                        sqlite3_bind_null(db->stmt[STMT_PUT_EVENT], 5);
                else
                        stmt_bind(db, STMT_PUT_EVENT, 5, v->tag);
                stmt_bind_text(db, STMT_PUT_EVENT, 6, p + v->kind_len, v->len);
                stmt_run(db, STMT_PUT_EVENT);
                db->v.event_bytes += v->len + 64;
                if (!db->v.first[SPOOL_EVENTS])
                        db->v.first[SPOOL_EVENTS] = v->seq;
        }
}

/* Removes the oldest of a bounded table until it is small enough. */
static void bound_table(struct spool_db *db, enum spool_stmt oldest, enum spool_stmt del, uint64_t *bytes,
                        uint64_t most)
{
        while (*bytes > most && stmt_fine(db)) {
                uint64_t id = 0, len = *bytes;
                bool there = stmt_next(db, oldest);

                if (there) {
                        id = stmt_column(db, oldest, 0);
                        len = stmt_column(db, oldest, 1);
                }
                sqlite3_reset(db->stmt[oldest]);
                stmt_bind(db, del, 1, id);
                stmt_run(db, del);
                if (there && stmt_fine(db) && (sqlite3_changes(db->conn) == 0 || !len))
                        db->rc = SQLITE_CORRUPT; /* it would never end */
                *bytes -= min_u64(len, *bytes);
        }
}

/*
 * A row that is not there any more was dropped by another reason, which the
 * ledger has.
 */
void spool_db_put_dead(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        for (size_t i = 0; i < b->n_dead && stmt_fine(db); i++) {
                const struct spool_dead_item *d = &b->dead[i];
                enum spool_stmt copy = stmt_of(d->lane, STMT_DEAD_READING, STMT_DEAD_EVENT);

                stmt_bind(db, copy, 1, d->seq);
                stmt_bind_text(db, copy, 2, d->reason, strlen(d->reason));
                stmt_bind(db, copy, 3, (uint64_t)b->wall_us);
                if (stmt_next(db, copy))
                        db->v.dead_bytes += stmt_column(db, copy, 0);
                sqlite3_reset(db->stmt[copy]);
                spool_db_trim_rows(db, d->lane, d->seq - 1, d->seq, 1, "dead_letter", res);
        }
        bound_table(db, STMT_OLD_DEAD, STMT_TRIM_DEAD, &db->v.dead_bytes, db->plan.dead_bytes);
}

void spool_db_put_cursors(struct spool_db *db, const struct spool_batch *b)
{
        for (int i = 0; i < SPOOL_LANES; i++) {
                stmt_bind_text(db, STMT_SET_CURSOR, 1, spool_lane_names[i], strlen(spool_lane_names[i]));
                stmt_bind(db, STMT_SET_CURSOR, 2, b->acked[i]);
                stmt_run(db, STMT_SET_CURSOR);
        }
        if (!b->seal.n || !stmt_fine(db))
                return;
        sqlite3_bind_blob(db->stmt[STMT_SET_SEAL], 1, b->seal.bytes, (int)b->seal.n, SQLITE_STATIC);
        stmt_run(db, STMT_SET_SEAL);
}
