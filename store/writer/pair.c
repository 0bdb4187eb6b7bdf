/*
 * pair: whether the database and the -wal beside it belong together.
 *
 * An older copy of the database that is put back beside a newer -wal (after a
 * crash, or while it runs) opens without a word: what had gone from the WAL
 * into the database is missing in the midst of it, tables contradict each
 * other, and a reading comes back with another time.  SQLite can't tell, for
 * nothing in the file says which WAL is its own.
 *
 * So the first commit behind a WAL that went into the database as a whole
 * counts (meta `wal`), and the mark says which number the database has alone
 * since then.  At the start, when there is a WAL, the database is asked without
 * it: of one page, which is whole whatever was cut.  Of a pair that is none the
 * rescue takes the database alone, and tells the rest.
 *
 * How it fails: what can't be asked is believed.  A copy that was made in the
 * midst of a checkpoint may pass for a later one.
 */
#include <stdio.h>
#include <string.h>

#include "store/writer/stmt.h"

#define GET_WAL_NO "SELECT value FROM meta WHERE key='wal'"

void spool_pair_begin(struct spool_db *db)
{
        int64_t no;

        db->v.wal_no = spool_db_get_int(db->conn, GET_WAL_NO, &no) == SQLITE_OK && no > 0 ? (uint64_t)no : 0;
        db->wal_counts = true;
}

void spool_pair_put(struct spool_db *db)
{
        if (!db->wal_counts)
                return;
        stmt_bind_text(db, STMT_PUT_META, 1, "wal", 3);
        stmt_bind(db, STMT_PUT_META, 2, ++db->v.wal_no);
        stmt_run(db, STMT_PUT_META);
}

void spool_pair_note(struct spool_db *db)
{
        struct spool_mark m = db->mark;

        if (m.epoch != db->epoch)
                return;
        m.wal_no = db->v.wal_no;
        spool_mark_note(db, &m);
        db->wal_counts = true;
}

/* What SQLite says of it. */
static int ask_alone(const struct spool_db *db, int64_t *epoch, int64_t *no)
{
        char uri[3 * 4096 + 64], *p = uri;
        sqlite3 *conn = NULL;
        int rc;

        p += sprintf(p, "file:");
        for (const char *s = db->path; *s; s++)
                p += strchr("%?#", *s) ? sprintf(p, "%%%02x", (unsigned char)*s) : (*p = *s, 1);
        sprintf(p, "?mode=ro&immutable=1");
        *epoch = *no = 0;
        rc = sqlite3_open_v2(uri, &conn, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
        if (rc == SQLITE_OK)
                rc = spool_db_get_int(conn, "SELECT value FROM meta WHERE key='epoch'", epoch);
        if (rc == SQLITE_OK)
                rc = spool_db_get_int(conn, GET_WAL_NO, no);
        sqlite3_close(conn);
        return rc;
}

bool spool_pair_is_one(const struct spool_db *db)
{
        struct spool_mark m;
        int64_t epoch, no;
        int rc;

        if (!spool_disk_size(db->path, "-wal") || !spool_mark_read(db, &m) || !m.wal_no)
                return true;
        rc = ask_alone(db, &epoch, &no);
        if (rc == SQLITE_ERROR || rc == SQLITE_NOTFOUND) /* no such table, no such row */
                return false;
        return rc != SQLITE_OK || ((uint64_t)epoch == m.epoch && no >= 0 && (uint64_t)no >= m.wal_no);
}
