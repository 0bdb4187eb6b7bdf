/*
 * mark: what the file must have, noted beside it, so that a WAL which vanished
 * is told.
 *
 * SQLite opens a database whose WAL was deleted, or an older copy of it,
 * without a word: readings are gone, and their seqs would be given twice.  So
 * each commit notes in the lock file how far both lanes are, behind the
 * transaction and before anything else: before its pages may go from the WAL
 * into the database, before a caller is told that it is durable, and before the
 * uplink may use a row of it (fetch.c).  At every instant the mark says at
 * least what somebody outside may know of, and never more than what is on disk.
 * That needs no sync: kill -9 does not lose bytes that were written, and after
 * a cut of power an older mark only means that less is told; so a commit costs
 * two writes of 294 bytes to a page that goes to flash twice a minute at most,
 * with the rest.  It lies in two sectors, for one may be torn; and the numbers
 * are in each twice, as a torn write may make a larger one of two.
 *
 * A file that is behind its mark is damaged, and a rescue gives it a new epoch.
 * So is one whose mark is gone: nobody knows any more how far it was, so it may
 * not give ids.  A file says in itself that it has a mark (meta `marked`; those
 * of before have none), which is synced once before the first id is given.  For
 * a cut in between a note says which epoch is being made.  How it fails: what
 * can't be read or written is no mark.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/writer/db.h"

static const off_t places[] = {32, 544};

enum {
        N_PLACES = sizeof(places) / sizeof(*places),
        MAKING_AT = 1056,
        NUMBERS = 7,
        NUMBER_BYTES = 21,
        MARK_BYTES = 2 * NUMBERS * NUMBER_BYTES
};

static void put_text(char text[MARK_BYTES + 1], const struct spool_mark *m)
{
        const uint64_t v[NUMBERS] = {m->epoch,
                                     m->last[SPOOL_SAMPLES],
                                     m->last[SPOOL_EVENTS],
                                     m->acked[SPOOL_SAMPLES],
                                     m->acked[SPOOL_EVENTS],
                                     m->wal_no,
                                     m->wal_id};

        for (int i = 0; i < 2 * NUMBERS; i++)
                snprintf(text + i * NUMBER_BYTES, NUMBER_BYTES + 1, "%20" PRIu64 "%c", v[i % NUMBERS],
                         i + 1 < 2 * NUMBERS ? ' ' : '\n');
}

static bool write_at(const struct spool_db *db, off_t at, const char *text)
{
        return pwrite(db->lock_fd, text, MARK_BYTES, at) == MARK_BYTES;
}

void spool_mark_note(struct spool_db *db, const struct spool_mark *m)
{
        char text[MARK_BYTES + 1];

        if (!memcmp(m, &db->mark, sizeof(*m)))
                return;
        put_text(text, m);
        for (int i = 0; i < N_PLACES; i++)
                if (!write_at(db, places[i], text))
                        return;
        db->mark = *m;
}

/* Whatever is cut: later ones are written over it. */
bool spool_mark_sync(const struct spool_db *db)
{
        return fsync(db->lock_fd) == 0 && spool_sync_directory(db->path) == 0;
}

/* Into another lock file. */
void spool_mark_renew(struct spool_db *db)
{
        struct spool_mark m = db->mark;

        memset(&db->mark, 0, sizeof(db->mark));
        if (!m.epoch)
                return;
        spool_mark_note(db, &m);
        spool_mark_sync(db);
}

/*
 * The line, in two halves that are the same.  Before, a half was the epoch and
 * the last reading alone, then all but what is known of the WAL, then all but
 * which it is.
 */
static bool read_at(const struct spool_db *db, off_t at, struct spool_mark *m)
{
        char text[MARK_BYTES + 1] = "", *end, *p = text;
        uint64_t v[2 * NUMBERS] = {0};
        size_t n = 0;

        memset(m, 0, sizeof(*m));
        if (pread(db->lock_fd, text, MARK_BYTES, at) <= 0 || !(end = strchr(text, '\n')))
                return false;
        for (*end = '\0'; n < 2 * NUMBERS; n++) {
                int used = 0;

                if (sscanf(p, "%" SCNu64 "%n", &v[n], &used) != 1)
                        break;
                p += used;
        }
        if ((n != 2 * NUMBERS && n != 2 * NUMBERS - 2 && n != 2 * NUMBERS - 4 && n != 4) ||
            memcmp(v, v + n / 2, n / 2 * sizeof(*v)) != 0)
                return false;
        for (size_t i = 1; i < n / 2; i++)
                if (v[i] > SPOOL_SEQ_MAX)
                        return false;
        *m = (struct spool_mark){.epoch = v[0], .last[SPOOL_SAMPLES] = v[1]};
        if (n == 4)
                return true;
        m->last[SPOOL_EVENTS] = v[2];
        m->acked[SPOOL_SAMPLES] = v[3];
        m->acked[SPOOL_EVENTS] = v[4];
        m->wal_no = n >= 2 * NUMBERS - 2 ? v[5] : 0;
        m->wal_id = n == 2 * NUMBERS ? v[6] : 0;
        return true;
}

/* The later one of those that are whole. */
bool spool_mark_read(const struct spool_db *db, struct spool_mark *m)
{
        struct spool_mark each;
        bool found = false;

        memset(m, 0, sizeof(*m));
        for (int i = 0; i < N_PLACES; i++) {
                if (!read_at(db, places[i], &each))
                        continue;
                if (!found || each.epoch > m->epoch ||
                    (each.epoch == m->epoch && each.last[SPOOL_SAMPLES] + each.last[SPOOL_EVENTS] >
                                                       m->last[SPOOL_SAMPLES] + m->last[SPOOL_EVENTS]))
                        *m = each;
                found = true;
        }
        return found;
}

bool spool_mark_of(const struct spool_db *db, uint64_t epoch, struct spool_mark *m)
{
        if (spool_mark_read(db, m) && m->epoch == epoch)
                return true;
        memset(m, 0, sizeof(*m));
        return false;
}

int spool_mark_making(const struct spool_db *db, uint64_t epoch, struct err *e)
{
        const struct spool_mark m = {.epoch = epoch};
        char text[MARK_BYTES + 1];

        put_text(text, &m);
        return write_at(db, MAKING_AT, text) && spool_mark_sync(db)
                       ? 0
                       : err_errno(e, "spool %s: cannot write the lock file", db->path);
}

uint64_t spool_mark_being_made(const struct spool_db *db)
{
        struct spool_mark m;

        return read_at(db, MAKING_AT, &m) ? m.epoch : 0;
}

static bool is_being_made(const struct spool_db *db)
{
        return spool_mark_being_made(db) == db->epoch;
}

/*
 * Another file's, or the lock was made anew or cut.  One that is torn is not:
 * less is told then.
 */
static bool is_gone(const struct spool_db *db)
{
        struct spool_mark m;
        struct stat st;

        if (fstat(db->lock_fd, &st) != 0 || st.st_size < places[N_PLACES - 1] + MARK_BYTES)
                return true;
        return spool_mark_read(db, &m) && m.epoch != db->epoch;
}

static bool had_mark(const struct spool_db *db)
{
        int64_t marked;

        return spool_db_get_int(db->conn, "SELECT value FROM meta WHERE key='marked'", &marked) == SQLITE_OK;
}

int spool_mark_check(struct spool_db *db, const struct lane_account lanes[SPOOL_LANES], struct err *e)
{
        static const char *const what[SPOOL_LANES] = {[SPOOL_EVENTS] = "events", [SPOOL_SAMPLES] = "readings"};
        struct spool_mark m;

        spool_mark_of(db, db->epoch, &m);
        if (is_gone(db) && had_mark(db) && !is_being_made(db)) {
                db->damaged = true;
                return err_set(e,
                               "spool %s: its .lock was removed or replaced, and nothing beside it says how far it was",
                               db->path);
        }
        for (int i = SPOOL_LANES - 1; i >= 0; i--) {
                if (m.last[i] <= lanes[i].last)
                        continue;
                db->damaged = true;
                return err_set(e,
                               "spool %s: %s %" PRIu64 " to %" PRIu64
                               " are gone: its -wal was removed, or it is an older copy",
                               db->path, what[i], lanes[i].last + 1, m.last[i]);
        }
        return 0;
}

int spool_mark_begin(struct spool_db *db, const struct lane_account lanes[SPOOL_LANES], struct err *e)
{
        struct spool_mark m;
        char text[MARK_BYTES];

        spool_mark_of(db, db->epoch, &m); /* what the database alone has */
        m.epoch = db->epoch;
        for (int i = 0; i < SPOOL_LANES; i++) {
                m.last[i] = lanes[i].last;
                m.acked[i] = lanes[i].acked_durable;
        }
        spool_mark_note(db, &m);
        if (had_mark(db) && !is_being_made(db))
                return 0;
        if (!db->mark.epoch || !spool_mark_sync(db))
                return err_errno(e, "spool %s: cannot write the lock file", db->path);
        if (sqlite3_exec(db->conn, "INSERT OR REPLACE INTO meta VALUES ('marked', 1)", NULL, NULL, NULL) != SQLITE_OK)
                return spool_db_fail(db, "cannot be written", e);
        memset(text, ' ', MARK_BYTES);
        write_at(db, MAKING_AT, text);
        return 0;
}
