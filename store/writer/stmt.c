/*
 * stmt: see stmt.h.  All SQL that writes, but for the schema, and what the
 * writer reads for it.
 */
#include "store/writer/stmt.h"

/* Of a row of `sample`. */
#define BASE(seq) "(SELECT base_us FROM span WHERE first_seq <= " seq " ORDER BY first_seq DESC LIMIT 1)"
#define MOVED     "seq = ?2, t_us = t_us + " BASE("?1") " - " BASE("?2")
/* That a dead letter is counted as, also in load.c. */
#define DEAD_BYTES "coalesce(length(value), 0) + 128"
#define ARRIVAL    "(t_us + delay_us + " BASE("seq") ")"

static const char *const sql[N_STMTS] = {
        [STMT_PUT_READING] = "INSERT INTO sample VALUES (?1, ?2, ?3, ?4, ?5)",
        [STMT_PUT_READINGS] = "INSERT INTO sample VALUES (?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?),"
                              "(?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?)",
        [STMT_PUT_SPAN] = "INSERT INTO span VALUES (?1, ?2)",
        [STMT_PUT_SPAN_COPY] = "INSERT INTO span_copy VALUES (?1, ?2)",
        [STMT_TRIM_SPANS] =
                "DELETE FROM span WHERE first_seq < (SELECT max(first_seq) FROM span WHERE first_seq <= ?1)",
        [STMT_TRIM_SPAN_COPIES] = "DELETE FROM span_copy WHERE first_seq < (SELECT min(first_seq) FROM span)",
        [STMT_PUT_TAG] = "INSERT OR IGNORE INTO tag VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0)",
        [STMT_MOVE_TAG] = "INSERT OR REPLACE INTO tag VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
                          " 1 + coalesce((SELECT turn FROM tag WHERE id = ?1), 0))",
        [STMT_FORGET_TAG] = "INSERT OR REPLACE INTO forgotten VALUES (?1, ?2, ?3)",
        [STMT_REMEMBER_TAG] = "DELETE FROM forgotten WHERE tag = ?1",
        [STMT_SAVE_TAG] = "UPDATE tag SET last_ts_us = ?2 WHERE id = ?1",
        [STMT_PUT_EVENT] = "INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        [STMT_SET_CURSOR] = "UPDATE cursor SET acked_seq = ?2 WHERE lane = ?1 AND acked_seq <> ?2",
        [STMT_SET_SEAL] = "INSERT INTO cursor VALUES ('" SPOOL_SEAL_ROW "', ?1) ON CONFLICT DO UPDATE"
                          " SET acked_seq = excluded.acked_seq WHERE acked_seq <> excluded.acked_seq",
        [STMT_PUT_AHEAD] = "INSERT OR REPLACE INTO ahead VALUES (?1, ?2)",
        [STMT_TRIM_AHEAD] = "DELETE FROM ahead WHERE first_seq <= ?1 OR last_seq < first_seq",
        [STMT_SET_META] = "UPDATE meta SET value = ?2 WHERE key = ?1",
        [STMT_LEDGER_BEFORE] = "SELECT first_seq, last_seq, reason FROM dropped WHERE lane = ?1 AND first_seq < ?2"
                               " ORDER BY first_seq DESC LIMIT 1",
        [STMT_LEDGER_EXTEND] = "UPDATE dropped SET last_seq = ?3, n = n + ?4, at_us = ?5"
                               " WHERE lane = ?1 AND first_seq = ?2",
        [STMT_LEDGER_PUT] = "INSERT INTO dropped VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        [STMT_LEDGER_OLD] =
                "SELECT min(first_seq), max(last_seq), sum(n), max(at_us), count(*) FROM (SELECT * FROM dropped"
                " WHERE lane = ?1 AND last_seq <= ?2 ORDER BY first_seq LIMIT 512)",
        [STMT_LEDGER_TRIM] = "DELETE FROM dropped WHERE lane = ?1 AND first_seq BETWEEN ?2 AND ?3",
        [STMT_PROBE_READING] = "SELECT seq, ts_us + delay_us FROM reading WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
        [STMT_PROBE_EVENT] = "SELECT seq, ts_us FROM event WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
        [STMT_WALK_READING] = "SELECT seq, 0 FROM sample WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
        [STMT_WALK_EVENT] =
                "SELECT seq, length(body) + 64 FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
        [STMT_TRIM_READING] = "DELETE FROM sample WHERE seq BETWEEN ?1 AND ?2",
        [STMT_TRIM_EVENT] = "DELETE FROM event WHERE seq BETWEEN ?1 AND ?2",
        [STMT_DEAD_READING] = "INSERT INTO dead_letter SELECT NULL, 'samples', seq, ts_us, tag, quality, flags, value,"
                              " delay_us, mid, ?2, ?3 FROM reading WHERE seq = ?1 RETURNING " DEAD_BYTES,
        [STMT_DEAD_EVENT] = "INSERT INTO dead_letter SELECT NULL, 'events', seq, ts_us, tag, 0, 0, body, 0, 0, ?2, ?3"
                            " FROM event WHERE seq = ?1 RETURNING " DEAD_BYTES,
        [STMT_PUT_QUARANTINE] = "INSERT INTO quarantine VALUES (NULL, ?1, ?2, ?3, ?4, ?5)",
        [STMT_OLD_QUARANTINE] = "SELECT id, " SPOOL_QUARANTINE_BYTES " FROM quarantine ORDER BY id LIMIT 256",
        [STMT_OLD_QUARANTINE_OF] = "SELECT id, " SPOOL_QUARANTINE_BYTES " FROM quarantine WHERE driver = ?1 ORDER BY id"
                                   " LIMIT 256",
        [STMT_TRIM_QUARANTINE] = "DELETE FROM quarantine WHERE id = ?1",
        [STMT_OLD_DEAD] = "SELECT id, " DEAD_BYTES " FROM dead_letter ORDER BY id LIMIT 1",
        [STMT_TRIM_DEAD] = "DELETE FROM dead_letter WHERE id = ?1",
        [STMT_FORGET_DEAD] = "DELETE FROM dead_letter WHERE id = ?1 RETURNING " DEAD_BYTES,
        [STMT_REPAIR] = "UPDATE sample SET t_us = t_us + iif(bits >> 43 & 1, 0, ?3),"
                        " delay_us = delay_us + iif(bits >> 43 & 1, ?3, 0), bits = bits | (32 << 43)"
                        " WHERE seq > ?1 AND seq <= ?2 AND bits >> 43 & 2 AND (seq <= ?4 OR"
                        " abs(" ARRIVAL " - (?5 - ?3)) < abs(" ARRIVAL " - ?5))",
        [STMT_PAGES] = "PRAGMA page_count",
        [STMT_FREE_PAGES] = "PRAGMA freelist_count",
        [STMT_OLDEST_HELD] = "SELECT ts_us + delay_us FROM reading WHERE seq > ?1 ORDER BY seq LIMIT 1",
        [STMT_PUT_ALARM] = "INSERT OR REPLACE INTO alarm (" SPOOL_ALARM_COLUMNS ")"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        [STMT_PUT_ALARM_NOTE] =
                "INSERT INTO alarm_log VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        [STMT_TRIM_ALARM_NOTES] = "DELETE FROM alarm_log WHERE id <= (SELECT max(id) FROM alarm_log) - ?1",
        [STMT_NOTES_NOTIFIED] =
                "UPDATE meta SET value = (SELECT coalesce(max(id), 0) FROM alarm_log) WHERE key = 'alarm_told'",
        [STMT_PUT_BASELINE] = "INSERT OR REPLACE INTO learned VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        [STMT_TRIM_BASELINE] = "DELETE FROM learned WHERE id <= (SELECT max(id) FROM learned) - ?1",
        [STMT_PUT_META] = "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
        [STMT_THIN_WALK] = "SELECT " SPOOL_COLUMNS " FROM reading WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
        [STMT_THIN_MOVE] = "UPDATE sample SET " MOVED ", bits = bits | (64 << 43) WHERE seq = ?1",
        [STMT_THIN_MEAN] = "UPDATE sample SET " MOVED ", bits = (bits & ~3) | (64 << 43), value = ?3 WHERE seq = ?1",
        [STMT_GET_AGGREGATE] = SPOOL_GET_AGGREGATE,
        [STMT_PUT_AGGREGATE] = "INSERT INTO aggregate VALUES (?1, ?2, ?3, ?4)",
        [STMT_TRIM_AGGREGATES] = "DELETE FROM aggregate WHERE seq BETWEEN ?1 AND ?2",
        [STMT_BEGIN] = "BEGIN IMMEDIATE",
        [STMT_COMMIT] = "COMMIT",
        [STMT_ROLLBACK] = "ROLLBACK",
};

static int on_wal(void *ctx, sqlite3 *conn, const char *name, int n_frames)
{
        struct spool_db *db = ctx;

        db->wal_frames = n_frames;
        db->wal_was_done = db->wal_done;
        db->wal_done = false;
        return SQLITE_OK;
}

int spool_db_prepare(struct spool_db *db, struct err *e)
{
        for (int i = 0; i < N_STMTS; i++)
                if (sqlite3_prepare_v3(db->conn, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &db->stmt[i], NULL) !=
                    SQLITE_OK)
                        return spool_db_fail(db, "cannot be used", e);
        sqlite3_wal_hook(db->conn, on_wal, db);
        return 0;
}

/* ---- steps ---- */

bool stmt_fine(const struct spool_db *db)
{
        return db->rc == SQLITE_OK;
}

/*
 * Nothing runs behind a failure: SQLite may have rolled back by itself, and it
 * would be a transaction of its own.
 */
void stmt_run(struct spool_db *db, enum spool_stmt which)
{
        int rc;

        if (!stmt_fine(db))
                return;
        rc = sqlite3_step(db->stmt[which]);
        sqlite3_reset(db->stmt[which]);
        if (rc != SQLITE_DONE && rc != SQLITE_ROW)
                db->rc = rc;
}

/* True on a row; the caller resets. */
bool stmt_next(struct spool_db *db, enum spool_stmt which)
{
        int rc;

        if (!stmt_fine(db))
                return false;
        rc = sqlite3_step(db->stmt[which]);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                db->rc = rc;
        return rc == SQLITE_ROW;
}

void stmt_bind(struct spool_db *db, enum spool_stmt which, int at, uint64_t v)
{
        sqlite3_bind_int64(db->stmt[which], at, (int64_t)v);
}

void stmt_bind_text(struct spool_db *db, enum spool_stmt which, int at, const char *s, size_t len)
{
        sqlite3_bind_text(db->stmt[which], at, s, (int)len, SQLITE_STATIC);
}

uint64_t stmt_column(struct spool_db *db, enum spool_stmt which, int at)
{
        return (uint64_t)sqlite3_column_int64(db->stmt[which], at);
}

uint64_t stmt_pages(struct spool_db *db, enum spool_stmt which)
{
        uint64_t n = stmt_next(db, which) ? stmt_column(db, which, 0) : 0;

        sqlite3_reset(db->stmt[which]);
        return n;
}

uint64_t stmt_used_pages(struct spool_db *db)
{
        return stmt_pages(db, STMT_PAGES) - stmt_pages(db, STMT_FREE_PAGES);
}

enum spool_stmt stmt_of(enum spool_lane lane, enum spool_stmt reading, enum spool_stmt event)
{
        return lane == SPOOL_SAMPLES ? reading : event;
}
