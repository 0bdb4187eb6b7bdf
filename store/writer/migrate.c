/*
 * migrate: the readings of an older file into the form of format 5 (sample.c),
 * before the spool is used.
 *
 * The step to format 5 only renames the old table; the rows move here, a range
 * at a time, each in one transaction that puts them into the new table and
 * takes them from the old one.  So the file never grows by more than a range, a
 * cut costs a range at most, and the next open goes on where this one stopped.
 * Until all have moved `reading` shows both. Rows that were delivered are only
 * moved as far as a redelivery may be compared with them; the others' time is
 * over.
 *
 * It takes a minute for a GB or so, in which nothing is taken in: once in a
 * file's life that is better than two forms in every query for ever.  How it
 * fails: with a sentence, and the file can be opened again.
 */
#include <inttypes.h>

#include "agent/base/log.h"
#include "store/writer/stmt.h"

enum { ROWS_MAX = 20000, TELL_ROWS = 5000000 };

struct move {
        struct spool_db *db;
        sqlite3_stmt *walk, *copy, *cut;
        uint64_t after;     /* moved up to here */
        uint64_t let_go;    /* rows up to here are not taken along */
        uint64_t budget;    /* bytes at a time */
        uint64_t first;     /* of the range */
        int64_t arrival_us; /* of that */
};

/* The end of the next range; 0: there is none. */
static uint64_t find_range(struct move *m)
{
        uint64_t upto = 0, bytes = 0, n = 0;

        sqlite3_bind_int64(m->walk, 1, (int64_t)m->after);
        while ((m->db->rc = sqlite3_step(m->walk)) == SQLITE_ROW) {
                if (sqlite3_column_int64(m->walk, 0) <= (int64_t)(n ? upto : m->after)) {
                        m->db->rc = SQLITE_CORRUPT; /* it would never end */
                        m->db->damaged = true;
                        break;
                }
                upto = (uint64_t)sqlite3_column_int64(m->walk, 0);
                if (!n++) {
                        m->first = upto;
                        m->arrival_us = sqlite3_column_int64(m->walk, 2);
                }
                bytes += spool_row_cost((size_t)sqlite3_column_int64(m->walk, 1), m->db->plan.page_bytes);
                if (n == ROWS_MAX || bytes >= m->budget)
                        break;
        }
        sqlite3_reset(m->walk);
        m->db->rc = m->db->rc == SQLITE_ROW || m->db->rc == SQLITE_DONE ? SQLITE_OK : m->db->rc;
        return stmt_fine(m->db) ? upto : 0;
}

static void step(struct move *m, sqlite3_stmt *st, uint64_t after, uint64_t upto)
{
        int rc;

        if (!stmt_fine(m->db) || after >= upto)
                return;
        sqlite3_bind_int64(st, 1, (int64_t)after);
        sqlite3_bind_int64(st, 2, (int64_t)upto);
        rc = sqlite3_step(st);
        sqlite3_reset(st);
        if (rc != SQLITE_DONE)
                m->db->rc = rc;
}

static void move_range(struct move *m, uint64_t upto)
{
        struct spool_db *db = m->db;

        stmt_run(db, STMT_BEGIN);
        if (upto > m->let_go) {
                spool_db_begin_span(db, m->first, m->arrival_us);
                sqlite3_bind_int64(m->copy, 3, db->v.base_us);
                step(m, m->copy, m->after > m->let_go ? m->after : m->let_go, upto);
        }
        step(m, m->cut, m->after, upto);
        stmt_run(db, STMT_COMMIT);
        if (stmt_fine(db))
                db->rc = sqlite3_wal_checkpoint_v2(db->conn, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        m->after = upto;
}

static int prepare(struct move *m, struct err *e)
{
        sqlite3 *c = m->db->conn;

        if (sqlite3_prepare_v2(c,
                               "SELECT seq, coalesce(length(cast(value AS BLOB)), 0), ts_us + delay_us FROM reading_old"
                               " WHERE seq > ?1 ORDER BY seq",
                               -1, &m->walk, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(c,
                               "INSERT INTO sample SELECT seq, ts_us - ?3, (tag << 2) | ((flags >> 14 & 1) << 22) |"
                               " (quality << 23) | (mid << 27) | ((flags & ~16384) << 43), delay_us, value"
                               " FROM reading_old WHERE seq > ?1 AND seq <= ?2",
                               -1, &m->copy, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(c, "DELETE FROM reading_old WHERE seq > ?1 AND seq <= ?2", -1, &m->cut, NULL) ==
                    SQLITE_OK)
                return 0;
        return spool_db_fail(m->db, "cannot move its readings", e);
}

static int find_limits(struct move *m, struct err *e)
{
        static const char sql[] = "SELECT min((SELECT acked_seq FROM cursor WHERE lane='samples'), (SELECT value FROM"
                                  " meta WHERE key='ts_saved_seq'), (SELECT max(seq) FROM reading_old) - 65535)";
        int64_t let_go;
        int rc = spool_db_get_int(m->db->conn, sql, &let_go);

        if (rc != SQLITE_OK)
                return spool_db_fail(m->db, "cannot move its readings", e);
        m->let_go = let_go > 0 ? (uint64_t)let_go : 0;
        return 0;
}

static int move_all(struct move *m, struct err *e)
{
        uint64_t upto, told = 0;

        while ((upto = find_range(m)) > 0) {
                move_range(m, upto);
                if (!stmt_fine(m->db))
                        break;
                if (upto - told < TELL_ROWS)
                        continue;
                told = upto;
                log_notice("spool", "moved up to reading %" PRIu64, upto);
        }
        if (stmt_fine(m->db))
                return spool_db_forget_old(m->db, e);
        spool_db_fail(m->db, "cannot move its readings", e);
        if (!sqlite3_get_autocommit(m->db->conn))
                sqlite3_exec(m->db->conn, "ROLLBACK", NULL, NULL, NULL);
        return -1;
}

int spool_db_move_readings(struct spool_db *db, struct err *e)
{
        struct move m = {.db = db, .budget = db->plan.wal_bytes / 8};
        int64_t n;
        int rc = -1;

        if (spool_db_get_int(db->conn, "SELECT count(*) FROM sqlite_master WHERE name = 'reading_old'", &n) !=
            SQLITE_OK)
                return spool_db_fail(db, "cannot be read", e);
        if (!n)
                return 0;
        log_notice("spool", "%s is of an older format; its readings are moved first", db->path);
        if (spool_db_load_span(db, e) == 0 && prepare(&m, e) == 0 && find_limits(&m, e) == 0)
                rc = move_all(&m, e);
        sqlite3_finalize(m.walk);
        sqlite3_finalize(m.copy);
        sqlite3_finalize(m.cut);
        return rc;
}
