/*
 * epoch: the number that makes the ids of one spool file differ from those of
 * any other, and the sidecar that remembers it.
 *
 * gateway:epoch:seq never names two readings: not when the file was deleted,
 * not on a new card or after a purge, where nothing is left to ask, and not on
 * two boards that were given one name.  So an epoch is the second in which the
 * file was made, with random bits below; random alone where the clock is not
 * set.  It stays under 2^53, which every reader of JSON takes exactly.  Where
 * something is left to ask (the sidecar `<path>.epoch`, the mark, a file that
 * is rescued) the new one is greater than all of them.
 *
 * The sidecar survives the file: it is written before that is made, whole or
 * not at all, and a cut in between costs a number.  A file whose epoch is below
 * it is an older copy that somebody put back. How it fails: with a sentence; a
 * sidecar that can't be read is none.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/writer/db.h"

enum { RANDOM_BITS = 16 };

#define BEGIN_S INT64_C(1577836800) /* 2020 */
#define SET_S   INT64_C(1735689600) /* 2025: a clock that shows less was never set */
#define MOST_S  (INT64_C(1) << 34)

uint64_t spool_epoch_beside(const struct spool_db *db)
{
        char path[4200], text[32] = "";
        uint64_t epoch;
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "%s.epoch", db->path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        epoch = strtoull(text, NULL, 10);
        return epoch < SPOOL_EPOCH_MAX ? epoch : 0; /* behind the greatest there is none */
}

/* Whole or not at all: a torn number would let an old epoch come back. */
int spool_epoch_write(const struct spool_db *db, uint64_t epoch, struct err *e)
{
        char path[4200], tmp[4300], text[32];
        int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", epoch);
        int fd, ok;

        snprintf(path, sizeof(path), "%s.epoch", db->path);
        snprintf(tmp, sizeof(tmp), "%s.new", path);
        fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        if (fd < 0)
                return err_errno(e, "spool %s: cannot write %s", db->path, tmp);
        ok = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
        close(fd);
        if (!ok || rename(tmp, path) != 0 || spool_sync_directory(path) != 0)
                return err_errno(e, "spool %s: cannot write %s", db->path, path);
        return 0;
}

/* The greatest that anything beside the file knows; 0: nothing does. */
static uint64_t known(const struct spool_db *db)
{
        uint64_t beside = spool_epoch_beside(db);
        struct spool_mark m;

        return spool_mark_read(db, &m) && m.epoch > beside && m.epoch < SPOOL_EPOCH_MAX ? m.epoch : beside;
}

uint64_t spool_epoch_next(struct spool_db *db, int64_t wall_us)
{
        uint64_t before = known(db), random = db->random & (SPOOL_EPOCH_MAX >> 1), epoch = random ? random : 1;
        int64_t s = wall_us / 1000000;

        if (s >= SET_S && s < MOST_S)
                epoch = (uint64_t)(s - BEGIN_S) << RANDOM_BITS | (random & ((1 << RANDOM_BITS) - 1));
        db->epoch_before = before;
        return epoch > before ? epoch : before + 1;
}

int spool_epoch_check(struct spool_db *db, struct err *e)
{
        uint64_t newest = known(db);

        if (newest <= db->epoch)
                return spool_epoch_beside(db) < db->epoch ? spool_epoch_write(db, db->epoch, e) : 0;
        db->damaged = true;
        return err_set(e, "spool %s: an older copy was put back (epoch %" PRIu64 ", and %" PRIu64 " was begun since)",
                       db->path, db->epoch, newest);
}

/* What a rescue found in the file itself, with nothing beside it that knew. */
int spool_epoch_exceed(struct spool_db *db, uint64_t old, struct err *e)
{
        char sql[200];

        if (old < db->epoch || old >= SPOOL_EPOCH_MAX)
                return 0;
        if (spool_mark_making(db, old + 1, e) < 0 || spool_epoch_write(db, old + 1, e) < 0)
                return -1;
        snprintf(sql, sizeof(sql),
                 "UPDATE meta SET value = iif(key = 'epoch', %" PRIu64 ", '1 %" PRIu64
                 " 1') WHERE key IN ('epoch', 'wal')",
                 old + 1, old + 1);
        if (sqlite3_exec(db->conn, sql, NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_wal_checkpoint_v2(db->conn, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
                return spool_db_fail(db, "cannot be written", e);
        db->epoch = old + 1;
        return 0;
}
