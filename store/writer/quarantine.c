/*
 * quarantine: malformed messages in the file, bounded in bytes, and shared out
 * among the items that they came from.
 *
 * When it is full the oldest go of the item that holds most.  So an item that
 * floods it pushes out its own, and what another one brought once is there when
 * somebody looks.  A sixteenth is freed at a time: finding an item's oldest
 * walks over those of others.
 *
 * Fails as the rest of the transaction: db->rc says so.
 */
#include <string.h>

#include "store/writer/stmt.h"

enum { ROWS_AT_ONCE = 256, SPARE_PART = 16 };

/* The last slot is for all that have none of their own. */
static struct spool_holding *holding_of(struct spool_db *db, const char *driver, size_t len)
{
        struct spool_holding *h = db->v.holdings;
        size_t i = 0;

        if (len >= sizeof(h->driver))
                return &h[SPOOL_HOLDINGS - 1];
        while (i < SPOOL_HOLDINGS - 1 && h[i].driver[0] &&
               (strncmp(h[i].driver, driver, len) != 0 || h[i].driver[len] != '\0'))
                i++;
        if (i < SPOOL_HOLDINGS - 1 && !h[i].driver[0]) {
                memcpy(h[i].driver, driver, len);
                h[i].driver[len] = '\0';
        }
        return &h[i];
}

static void hold(struct spool_db *db, const char *driver, size_t len, uint64_t bytes)
{
        holding_of(db, driver, len)->bytes += bytes;
        db->v.quarantine_bytes += bytes;
}

static struct spool_holding *largest(struct spool_db *db, uint64_t *next)
{
        struct spool_holding *h = db->v.holdings, *most = h;

        *next = 0;
        for (size_t i = 1; i < SPOOL_HOLDINGS; i++)
                if (h[i].bytes > most->bytes)
                        most = &h[i];
        for (size_t i = 0; i < SPOOL_HOLDINGS; i++)
                if (&h[i] != most && h[i].bytes > *next)
                        *next = h[i].bytes;
        return most;
}

struct rows {
        uint64_t id[ROWS_AT_ONCE], bytes[ROWS_AT_ONCE];
        size_t n;
};

/* Of the item, or of all when it is the last slot's. */
static void find_oldest(struct spool_db *db, const struct spool_holding *h, struct rows *out)
{
        enum spool_stmt which = h->driver[0] ? STMT_OLD_QUARANTINE_OF : STMT_OLD_QUARANTINE;

        if (h->driver[0])
                stmt_bind_text(db, which, 1, h->driver, strlen(h->driver));
        for (out->n = 0; out->n < ROWS_AT_ONCE && stmt_next(db, which); out->n++) {
                out->id[out->n] = stmt_column(db, which, 0);
                out->bytes[out->n] = stmt_column(db, which, 1);
        }
        sqlite3_reset(db->stmt[which]);
}

/* Its oldest, until it holds `keep`, or all hold `upto`. */
static void let_go(struct spool_db *db, struct spool_holding *h, uint64_t keep, uint64_t upto)
{
        struct rows rows;

        find_oldest(db, h, &rows);
        if (!rows.n) {
                db->v.quarantine_bytes -= min_u64(h->bytes, db->v.quarantine_bytes);
                h->bytes = 0;
        }
        for (size_t i = 0; i < rows.n && stmt_fine(db) && h->bytes > keep && db->v.quarantine_bytes > upto; i++) {
                stmt_bind(db, STMT_TRIM_QUARANTINE, 1, rows.id[i]);
                stmt_run(db, STMT_TRIM_QUARANTINE);
                if (stmt_fine(db) && (sqlite3_changes(db->conn) == 0 || !rows.bytes[i]))
                        db->rc = SQLITE_CORRUPT; /* it would never end */
                h->bytes -= min_u64(rows.bytes[i], h->bytes);
                db->v.quarantine_bytes -= min_u64(rows.bytes[i], db->v.quarantine_bytes);
        }
}

static void bound(struct spool_db *db)
{
        uint64_t most = db->plan.quarantine_bytes, spare = most / SPARE_PART, next;

        if (db->v.quarantine_bytes <= most)
                return;
        while (db->v.quarantine_bytes > most - spare && stmt_fine(db)) {
                struct spool_holding *h = largest(db, &next);

                if (!h->bytes)
                        db->v.quarantine_bytes = 0;
                let_go(db, h, next > spare ? next - spare : 0, most - spare);
        }
}

void spool_db_put_quarantine(struct spool_db *db, const struct spool_batch *b)
{
        for (size_t i = 0; i < b->n_quarantine && stmt_fine(db); i++) {
                const struct spool_quarantine_item *q = &b->quarantine[i];
                const char *p = b->quarantine_bytes.p + q->at, *driver = p;

                stmt_bind(db, STMT_PUT_QUARANTINE, 1, (uint64_t)q->at_us);
                stmt_bind_text(db, STMT_PUT_QUARANTINE, 2, p, q->driver_len);
                stmt_bind_text(db, STMT_PUT_QUARANTINE, 3, p += q->driver_len, q->origin_len);
                stmt_bind_text(db, STMT_PUT_QUARANTINE, 4, p += q->origin_len, q->reason_len);
                sqlite3_bind_blob(db->stmt[STMT_PUT_QUARANTINE], 5, p + q->reason_len, (int)q->len, SQLITE_STATIC);
                stmt_run(db, STMT_PUT_QUARANTINE);
                hold(db, driver, q->driver_len, q->origin_len + q->reason_len + q->len + 64);
        }
        bound(db);
}

int spool_db_load_quarantine(struct spool_db *db, struct err *e)
{
        static const char sql[] = "SELECT driver, sum(" SPOOL_QUARANTINE_BYTES ") FROM quarantine GROUP BY driver";
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(db->conn, sql, -1, &st, NULL);

        if (rc != SQLITE_OK)
                return spool_db_fail(db, "cannot read its quarantine", e);
        db->v.quarantine_bytes = 0;
        memset(db->v.holdings, 0, sizeof(db->v.holdings));
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
                const char *driver = (const char *)sqlite3_column_text(st, 0);
                int64_t bytes = sqlite3_column_int64(st, 1);

                hold(db, driver ? driver : "", driver ? strlen(driver) : 0, bytes > 0 ? (uint64_t)bytes : 0);
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : spool_db_fail(db, "cannot read its quarantine", e);
}
