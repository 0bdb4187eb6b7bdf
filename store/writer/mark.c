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
 * a cut of power an older mark, or none, only means that less is told; so a
 * commit costs one write of 210 bytes to a page that goes to flash twice a
 * minute at most, with the rest.  The numbers are there twice, as a torn write
 * may make a larger one of two.
 *
 * A file that is behind its mark is damaged, and a rescue gives it a new epoch.
 * How it fails: what can't be read or written is no mark.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/writer/db.h"

enum { MARK_AT = 32, NUMBERS = 5, NUMBER_BYTES = 21, MARK_BYTES = 2 * NUMBERS * NUMBER_BYTES };

void spool_mark_note(struct spool_db *db, const struct spool_mark *m)
{
        const uint64_t v[NUMBERS] = {m->epoch, m->last[SPOOL_SAMPLES], m->last[SPOOL_EVENTS], m->acked[SPOOL_SAMPLES],
                                     m->acked[SPOOL_EVENTS]};
        char text[MARK_BYTES + 1];

        if (!memcmp(m, &db->mark, sizeof(*m)))
                return;
        for (int i = 0; i < 2 * NUMBERS; i++)
                snprintf(text + i * NUMBER_BYTES, NUMBER_BYTES + 1, "%20" PRIu64 "%c", v[i % NUMBERS],
                         i + 1 < 2 * NUMBERS ? ' ' : '\n');
        if (pwrite(db->lock_fd, text, MARK_BYTES, MARK_AT) == MARK_BYTES)
                db->mark = *m;
}

/* Into another lock file. */
void spool_mark_renew(struct spool_db *db)
{
        struct spool_mark m = db->mark;

        memset(&db->mark, 0, sizeof(db->mark));
        if (m.epoch)
                spool_mark_note(db, &m);
}

/*
 * The line, in two halves that are the same.  Up to 0.1.0 a half was the epoch
 * and the last reading alone.
 */
bool spool_mark_read(const struct spool_db *db, struct spool_mark *m)
{
        char text[MARK_BYTES + 1] = "", *end, *p = text;
        uint64_t v[2 * NUMBERS] = {0};
        size_t n = 0;

        memset(m, 0, sizeof(*m));
        if (pread(db->lock_fd, text, MARK_BYTES, MARK_AT) <= 0 || !(end = strchr(text, '\n')))
                return false;
        for (*end = '\0'; n < 2 * NUMBERS; n++) {
                int used = 0;

                if (sscanf(p, "%" SCNu64 "%n", &v[n], &used) != 1)
                        break;
                p += used;
        }
        if ((n != 2 * NUMBERS && n != 4) || memcmp(v, v + n / 2, n / 2 * sizeof(*v)) != 0 || v[1] > INT64_MAX ||
            v[2] > INT64_MAX)
                return false;
        *m = (struct spool_mark){.epoch = v[0], .last[SPOOL_SAMPLES] = v[1]};
        if (n == 4)
                return true;
        m->last[SPOOL_EVENTS] = v[2];
        m->acked[SPOOL_SAMPLES] = v[3];
        m->acked[SPOOL_EVENTS] = v[4];
        return true;
}

bool spool_mark_of(const struct spool_db *db, uint64_t epoch, struct spool_mark *m)
{
        if (spool_mark_read(db, m) && m->epoch == epoch)
                return true;
        memset(m, 0, sizeof(*m));
        return false;
}

int spool_mark_check(struct spool_db *db, const struct lane_account lanes[SPOOL_LANES], struct err *e)
{
        static const char *const what[SPOOL_LANES] = {[SPOOL_EVENTS] = "events", [SPOOL_SAMPLES] = "readings"};
        struct spool_mark m;

        spool_mark_of(db, db->epoch, &m);
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

void spool_mark_begin(struct spool_db *db, const struct lane_account lanes[SPOOL_LANES])
{
        struct spool_mark m = {.epoch = db->epoch};

        for (int i = 0; i < SPOOL_LANES; i++) {
                m.last[i] = lanes[i].last;
                m.acked[i] = lanes[i].acked_durable;
        }
        spool_mark_note(db, &m);
}
