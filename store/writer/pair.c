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
 * The other way round, an older -wal beside a newer database would take pages
 * of it back.  So the mark says which WAL is in use: SQLite gives each two
 * numbers, of which one is random and one counts (the "salt" of its header).
 * One that is before it, or counts from elsewhere, is none of ours, as long as
 * the mark is as new as the database.
 *
 * A cut in the middle of a checkpoint leaves torn pages, which the WAL mends.
 * So only what was written on purpose is believed: a number that is there
 * twice, with the epoch between, or a database that has no table at all.
 *
 * How it fails: what can't be asked is one.  While a reader keeps the number
 * out, it is tried again with each commit; a copy from before passes so long.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/writer/stmt.h"

enum { TEXT_BYTES = 80 };

/* Which WAL it is: its salts; in a mark 0: not known. */
enum {
        NO_WAL = 1,
        HEAD_BYTES = 32,
        SALT_AT = 16,
        SALT_BITS = 20, /* that are kept of the random one */
        WALS_AT_MOST = 1 << 16,
};

static uint32_t big_endian(const unsigned char *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t little_endian(const unsigned char *p)
{
        return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/*
 * SQLite goes by the same: "The WAL file format", its magic number and
 * checksum.
 */
static bool is_head(const unsigned char *p)
{
        uint32_t magic = big_endian(p), a = 0, b = 0;

        if (magic >> 1 != 0x377f0682 >> 1)
                return false;
        for (int i = 0; i < HEAD_BYTES - 8; i += 8) {
                a += (magic & 1 ? big_endian(p + i) : little_endian(p + i)) + b;
                b += (magic & 1 ? big_endian(p + i + 4) : little_endian(p + i + 4)) + a;
        }
        return a == big_endian(p + HEAD_BYTES - 8) && b == big_endian(p + HEAD_BYTES - 4);
}

static uint64_t wal_id(const struct spool_db *db)
{
        unsigned char head[HEAD_BYTES];
        char path[4200];
        bool is;
        int fd;

        snprintf(path, sizeof(path), "%s-wal", db->path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return NO_WAL;
        is = pread(fd, head, sizeof(head), 0) == HEAD_BYTES && is_head(head);
        close(fd);
        return !is ? NO_WAL
                   : (uint64_t)big_endian(head + SALT_AT) << SALT_BITS |
                               (big_endian(head + SALT_AT + 4) & ((1 << SALT_BITS) - 1));
}

static bool is_in_use(const struct spool_mark *m, uint64_t id)
{
        uint32_t n = (uint32_t)(id >> SALT_BITS) - (uint32_t)(m->wal_id >> SALT_BITS);

        if (!m->wal_id || id == NO_WAL || id == m->wal_id)
                return true;
        return n > 0 && n < WALS_AT_MOST;
}

/*
 * One that begins, and we had not written the one before it back: somebody else
 * had.
 */
void spool_pair_name(struct spool_db *db, struct spool_mark *m)
{
        uint64_t id = wal_id(db);

        if (!is_in_use(m, id))
                db->overwritten = true;
        if (id == NO_WAL || db->overwritten)
                return;
        if (id != m->wal_id && !db->wal_was_done)
                db->pair_due = true;
        m->wal_id = id;
}

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
        db->v.wal_no++;
        write_back(db, SQLITE_CHECKPOINT_PASSIVE, &whole);
        db->pair_due = !whole;
        if (whole)
                m.wal_no = db->v.wal_no;
        spool_pair_name(db, &m);
        spool_mark_note(db, &m);
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

/*
 * A mark that is behind the database knows nothing of the WAL: it was put back,
 * or not synced.
 */
static bool is_one(const struct spool_db *db, const struct spool_mark *m)
{
        sqlite3 *conn = NULL;
        uint64_t no, epoch;
        bool is;

        if (!m->wal_no || open_alone(db, &conn) != SQLITE_OK)
                is = true;
        else if (!get_text(conn, &no, &epoch))
                is = !has_nothing(conn);
        else
                is = epoch > m->epoch ||
                     (epoch == m->epoch && (no > m->wal_no || (no == m->wal_no && is_in_use(m, wal_id(db)))));
        sqlite3_close(conn);
        return is;
}

bool spool_pair_is_one(const struct spool_db *db)
{
        struct spool_mark m;

        return !spool_disk_size(db->path, "-wal") || !spool_mark_read(db, &m) || is_one(db, &m);
}

bool spool_pair_may_join(struct spool_db *db)
{
        if (!is_one(db, &db->mark))
                db->overwritten = true;
        return !db->overwritten;
}

void spool_pair_say(const struct spool_db *db, struct spool_result *res)
{
        snprintf(res->fault, sizeof(res->fault), "an older copy was written over %.60s or its -wal while it was in use",
                 db->path);
}

int spool_pair_join(struct spool_db *db, int mode)
{
        bool whole;
        int rc;

        if (!spool_pair_may_join(db))
                return SQLITE_CORRUPT;
        rc = write_back(db, mode, &whole);
        if (whole)
                count(db);
        return rc;
}

/*
 * A WAL that begins now has numbers from nowhere: until they are noted, any may
 * be there.
 */
int spool_pair_expect(struct spool_db *db, struct err *e)
{
        struct spool_mark m;

        if (wal_id(db) != NO_WAL || !spool_mark_read(db, &m) || !m.wal_id)
                return 0;
        m.wal_id = 0;
        spool_mark_note(db, &m);
        if (!db->mark.wal_id && spool_mark_sync(db))
                return 0;
        return err_errno(e, "spool %s: cannot write the lock file", db->path);
}

/* The pair was found to be one: whatever an old mark says, this is its WAL. */
void spool_pair_begin(struct spool_db *db)
{
        struct spool_mark m = db->mark;
        uint64_t no, epoch, id = wal_id(db);

        m.wal_id = id == NO_WAL ? 0 : id;
        spool_mark_note(db, &m);
        db->v.wal_no = get_text(db->conn, &no, &epoch) && epoch == db->epoch ? no : 0;
        if (db->v.wal_no < db->mark.wal_no)
                db->v.wal_no = db->mark.wal_no;
        spool_pair_join(db, SQLITE_CHECKPOINT_PASSIVE);
}
