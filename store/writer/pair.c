/*
 * pair: whether the database and the -wal beside it belong together, and how
 * the one goes into the other.
 *
 * An older copy of the database that is put back beside a newer -wal (after a
 * crash, or while it runs) opens without a word: what had gone from the WAL
 * into the database is missing in the midst of it, tables contradict each
 * other, and a reading comes back with another time.  SQLite can't tell, for
 * nothing in the file says which WAL is its own.
 *
 * So the database is counted (meta `wal`): whenever a WAL is in it as a whole,
 * a number goes in behind it, through a WAL that has nothing else, and the mark
 * says from then on that the database has it alone.  A copy from before, or of
 * half a WAL, has a smaller one.  At the start, when there is a WAL, and before
 * each time it goes into the database, that is asked without it.  Of a pair
 * that is none the rescue takes the database alone, and tells the rest.
 *
 * A WAL that another program has written back is seen when the next one begins,
 * and counted then.
 *
 * A cut in the middle of a checkpoint leaves torn pages, which the WAL mends.
 * So only what was written on purpose is believed: a number that is there
 * twice, with the epoch between, or a database that has no table at all.
 *
 * How it fails: what can't be asked is one.  While a reader keeps the number
 * out, it is tried again with each commit; a copy from before passes so long.
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

static bool put(struct spool_db *db, uint64_t no)
{
        char text[TEXT_BYTES];

        db->rc = SQLITE_OK;
        stmt_bind_text(db, STMT_PUT_META, 1, "wal", 3);
        stmt_bind_text(db, STMT_PUT_META, 2, text, (size_t)put_text(text, no, db->epoch));
        stmt_run(db, STMT_PUT_META);
        return stmt_fine(db);
}

/* *whole false: a reader keeps a part of it out. */
static int write_back(struct spool_db *db, int mode, bool *whole)
{
        int n_frames = -1, n_done = -2;
        int rc = sqlite3_wal_checkpoint_v2(db->conn, NULL, mode, &n_frames, &n_done);

        *whole = rc == SQLITE_OK && n_frames == n_done;
        if (*whole)
                db->wal_done = true;
        else if (n_frames > 0)
                db->wal_frames = n_frames;
        return rc;
}

static void count(struct spool_db *db)
{
        struct spool_mark m = db->mark;
        bool whole;

        db->pair_due = true;
        if (m.epoch != db->epoch || !put(db, db->v.wal_no + 1))
                return;
        m.wal_no = ++db->v.wal_no;
        if (write_back(db, SQLITE_CHECKPOINT_PASSIVE, &whole) != SQLITE_OK || !whole)
                return;
        spool_mark_note(db, &m);
        db->pair_due = false;
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

int spool_pair_join(struct spool_db *db, int mode)
{
        bool whole;
        int rc;

        if (!is_as_new_as(db, &db->mark))
                db->overwritten = true;
        if (db->overwritten)
                return SQLITE_CORRUPT;
        rc = write_back(db, mode, &whole);
        if (whole)
                count(db);
        return rc;
}

void spool_pair_begin(struct spool_db *db)
{
        uint64_t no, epoch;

        db->v.wal_no = get_text(db->conn, &no, &epoch) && epoch == db->epoch ? no : 0;
        if (db->v.wal_no < db->mark.wal_no)
                db->v.wal_no = db->mark.wal_no;
        spool_pair_join(db, SQLITE_CHECKPOINT_PASSIVE);
}
