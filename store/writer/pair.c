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
 * it.  Of a pair that is none the rescue takes the database alone, and tells
 * the rest.
 *
 * A cut in the middle of a checkpoint leaves torn pages, which the WAL mends.
 * So only what was written on purpose is believed: a number that is there
 * twice, with the epoch between, or a database that has no table at all.
 *
 * How it fails: what can't be asked is one.  A copy that was made in the midst
 * of a checkpoint may pass for a later one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/writer/stmt.h"

enum { TEXT_BYTES = 80 };

static int put_text(char text[TEXT_BYTES], uint64_t no, uint64_t epoch)
{
        return snprintf(text, TEXT_BYTES, "%" PRIu64 " %" PRIu64 " %" PRIu64, no, epoch, no);
}

/* False: it says nothing that we would. */
static bool get_text(sqlite3 *conn, uint64_t *no, uint64_t *epoch)
{
        char again[TEXT_BYTES];
        sqlite3_stmt *st = NULL;
        const char *text = NULL;
        bool ok;

        *no = *epoch = 0;
        if (sqlite3_prepare_v2(conn, "SELECT value FROM meta WHERE key='wal'", -1, &st, NULL) == SQLITE_OK &&
            sqlite3_step(st) == SQLITE_ROW)
                text = (const char *)sqlite3_column_text(st, 0);
        ok = text && sscanf(text, "%" SCNu64 " %" SCNu64, no, epoch) == 2;
        if (ok) {
                put_text(again, *no, *epoch);
                ok = !strcmp(text, again);
        }
        sqlite3_finalize(st);
        return ok;
}

void spool_pair_put(struct spool_db *db)
{
        char text[TEXT_BYTES];

        if (!db->wal_counts)
                return;
        stmt_bind_text(db, STMT_PUT_META, 1, "wal", 3);
        stmt_bind_text(db, STMT_PUT_META, 2, text, (size_t)put_text(text, ++db->v.wal_no, db->epoch));
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

/* As it is before anything was checkpointed into it. */
static bool has_nothing(sqlite3 *conn)
{
        int64_t tables, id, version;

        return spool_db_get_int(conn, "SELECT count(*) FROM sqlite_master", &tables) == SQLITE_OK && !tables &&
               spool_db_get_int(conn, "PRAGMA application_id", &id) == SQLITE_OK && !id &&
               spool_db_get_int(conn, "PRAGMA user_version", &version) == SQLITE_OK && !version;
}

static int open_alone(const struct spool_db *db, sqlite3 **conn)
{
        char uri[3 * 4096 + 64], *p = uri;

        p += sprintf(p, "file:");
        for (const char *s = db->path; *s; s++)
                p += strchr("%?#", *s) ? sprintf(p, "%%%02x", (unsigned char)*s) : (*p = *s, 1);
        sprintf(p, "?mode=ro&immutable=1");
        return sqlite3_open_v2(uri, conn, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
}

static bool is_as_new_as(const struct spool_db *db, const struct spool_mark *m)
{
        sqlite3 *conn = NULL;
        uint64_t no, epoch;
        bool is = true;

        if (m->wal_no && open_alone(db, &conn) == SQLITE_OK)
                is = get_text(conn, &no, &epoch) ? epoch == m->epoch && no >= m->wal_no : !has_nothing(conn);
        sqlite3_close(conn);
        return is;
}

bool spool_pair_is_one(const struct spool_db *db)
{
        struct spool_mark m;

        return !spool_disk_size(db->path, "-wal") || !spool_mark_read(db, &m) || is_as_new_as(db, &m);
}

bool spool_pair_may_join(const struct spool_db *db)
{
        return is_as_new_as(db, &db->mark);
}

/* A checkpoint that was not done is synced by nobody else. */
static bool sync_database(sqlite3 *conn)
{
        sqlite3_file *file = NULL;

        return sqlite3_file_control(conn, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK && file &&
               file->pMethods && file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

/* What it has alone is known from here on, whatever the mark has been told. */
void spool_pair_begin(struct spool_db *db)
{
        struct spool_mark m = db->mark;
        sqlite3 *conn = NULL;
        uint64_t no, epoch;

        db->v.wal_no = get_text(db->conn, &no, &epoch) && epoch == db->epoch ? no : 0;
        db->wal_counts = true;
        if (open_alone(db, &conn) == SQLITE_OK && get_text(conn, &no, &epoch) && epoch == db->epoch && no > m.wal_no &&
            no <= db->v.wal_no && sync_database(db->conn)) {
                m.wal_no = no;
                spool_mark_note(db, &m);
        }
        sqlite3_close(conn);
}
