/*
 * place: whether the open file is still the one at its path.
 *
 * A spool that is deleted, moved, covered by a mount or replaced by a copy
 * while it is open takes commits without a word, and none of them is there at
 * the next start.  So device and inode of the database, its WAL, its -shm and
 * the lock are compared before each commit, once more before what it brought
 * may be acknowledged, and once a second from the loop (store/watch.c): a few
 * calls of stat, no byte is read.  Without its -shm another program would not
 * see our locks, and without the lock another daemon would not.
 *
 * Then the commit fails, as on a disk that fails: nothing is acknowledged,
 * sources that can wait are paused, and it is tried again, for a file may be
 * put back.  A WAL that alone is gone is written into the database once, from
 * the file that is still open: so nothing of it is missing at the next start.
 * What lies beside the spool and is gone (sidecar, lock with the mark) is put
 * there again, so that the next start can tell what is gone; another lock that
 * nobody has becomes ours, unless it is another spool's.  Else what is there is
 * never touched: it may be another's.
 *
 * How it fails: what can't be put there again is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "store/writer/db.h"

enum { LOCK = SPOOL_PLACES - 1 };

static const char *const suffix[SPOOL_PLACES] = {"", "-wal", "-shm", [LOCK] = ".lock"};

static void note_lock(struct spool_db *db)
{
        struct stat st;

        if (fstat(db->lock_fd, &st) != 0)
                return;
        db->place.at[LOCK].dev = (uint64_t)st.st_dev;
        db->place.at[LOCK].ino = (uint64_t)st.st_ino;
}

void spool_place_note(struct spool_db *db)
{
        char name[4200];
        struct stat st;

        if (!db->place.at[LOCK].ino)
                note_lock(db);
        for (int i = 0; i < LOCK; i++) {
                if (db->place.at[i].ino)
                        continue;
                snprintf(name, sizeof(name), "%s%s", db->path, suffix[i]);
                if (stat(name, &st) != 0)
                        continue;
                db->place.at[i].dev = (uint64_t)st.st_dev;
                db->place.at[i].ino = (uint64_t)st.st_ino;
        }
}

static bool is_same(const struct spool_place *p, const char *path, int i)
{
        char name[4200];
        struct stat st;

        snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
        if (!p->at[i].ino)
                return true; /* not known yet */
        if (stat(name, &st) != 0)
                return errno != ENOENT && errno != ENOTDIR; /* of a disk that fails the commit will say so */
        return (uint64_t)st.st_dev == p->at[i].dev && (uint64_t)st.st_ino == p->at[i].ino;
}

bool spool_place_is_ours(const struct spool_place *p, const char *path)
{
        for (int i = 0; i < SPOOL_PLACES; i++)
                if (!is_same(p, path, i))
                        return false;
        return true;
}

static bool is_missing(const char *path, const char *end)
{
        char name[4200];
        struct stat st;

        snprintf(name, sizeof(name), "%s%s", path, end);
        return stat(name, &st) != 0 && errno == ENOENT;
}

/*
 * A new one, or one that is there, that nobody has and that knows of no other
 * spool: it is locked before it takes the place of ours.
 */
static void put_lock(struct spool_db *db)
{
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        struct spool_db other = {0};
        struct spool_mark m;
        char name[4200], text[32];
        int fd, n = snprintf(text, sizeof(text), "%-30ld\n", (long)getpid());

        snprintf(name, sizeof(name), "%s.lock", db->path);
        fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
                return;
        other.lock_fd = fd;
        if (fcntl(fd, F_OFD_SETLK, &whole) != 0 || (spool_mark_read(&other, &m) && m.epoch != db->epoch) ||
            pwrite(fd, text, (size_t)n, 0) != n) {
                close(fd);
                return;
        }
        log_warn("spool", "%s was removed or replaced while it was in use; it is there again", name);
        close(db->lock_fd);
        db->lock_fd = fd;
        note_lock(db);
        spool_mark_renew(db);
}

static void put_beside(struct spool_db *db)
{
        struct err e;

        if (!is_same(&db->place, db->path, LOCK))
                put_lock(db);
        if (is_missing(db->path, ".epoch") && spool_epoch_write(db, db->epoch, &e) == 0)
                log_warn("spool", "%s.epoch was removed while it was in use; it is there again", db->path);
}

/* A lock that could not be put there again is nobody else's. */
static bool is_at_its_place(const struct spool_db *db)
{
        for (int i = 0; i < SPOOL_PLACES; i++)
                if (!is_same(&db->place, db->path, i) && (i != LOCK || !is_missing(db->path, suffix[i])))
                        return false;
        return true;
}

bool spool_place_check(struct spool_db *db, const uint64_t acked[SPOOL_LANES], char *why, size_t cap)
{
        struct spool_mark m = db->mark;

        put_beside(db);
        if (is_at_its_place(db)) {
                db->place.lost = false;
                return true;
        }
        if (!db->place.lost && is_same(&db->place, db->path, 0))
                spool_pair_join(db, SQLITE_CHECKPOINT_PASSIVE);
        for (int i = 0; i < SPOOL_LANES; i++)
                m.acked[i] = acked[i] < m.last[i] ? acked[i] : m.last[i]; /* Kafka goes on taking what can be read */
        if (!db->place.lost)
                db->place.n_held = m.last[SPOOL_SAMPLES] - m.acked[SPOOL_SAMPLES];
        db->place.lost = true;
        spool_mark_note(db, &m);
        snprintf(why, cap,
                 "the spool at %.60s is not the open file any more (%" PRIu64
                 " readings in it are not in Kafka); put it back, or restart to begin a new one",
                 db->path, db->place.n_held);
        return false;
}
