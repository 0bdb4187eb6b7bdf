/*
 * disk: how much room the disk has, when that is less than what the spool may
 * take.
 *
 * A spool that fills its disk to the last byte could not even let go of what
 * was delivered: deleting takes room in the WAL, and the WAL gets free only
 * when the database may grow by what is in it.  So a reserve is left.  Before
 * that is touched (`low_space`) delivered rows are not kept, their pages take
 * what comes, and the WAL starts over early.  What does not fit then is not
 * begun: the commit fails as it would on a full disk, and a later one goes
 * through when Kafka has taken enough or somebody made room. How it fails: a
 * disk that does not tell its room counts as large; then SQLite finds out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/writer/stmt.h"

enum { RESERVE_BYTES = 512 << 10 };

uint64_t spool_disk_size(const char *path, const char *suffix)
{
        char name[4200];
        struct stat st;

        snprintf(name, sizeof(name), "%s%s", path, suffix);
        return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t above(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

void spool_disk_measure(struct spool_db *db)
{
        uint64_t used = db->wal_done ? 0 : spool_wal_bytes(db);
        uint64_t wal = spool_disk_size(db->path, "-wal");
        struct statvfs fs;

        db->low_space = false;
        db->disk_free = UINT64_MAX;
        if (statvfs(db->path, &fs) != 0)
                return;
        db->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
        db->wal_room = above(wal, used);
        db->disk_room = above(db->disk_free,
                              above(stmt_pages(db, STMT_PAGES) * db->plan.page_bytes, spool_disk_size(db->path, "")));
        db->low_space = db->disk_room < above(db->plan.checkpoint_bytes, wal) + 2 * RESERVE_BYTES;
}

/*
 * Each page goes to the WAL first, and to the database's end where no page is
 * free.
 */
bool spool_disk_takes(struct spool_db *db, uint64_t pages)
{
        uint64_t grows = above(pages, stmt_pages(db, STMT_FREE_PAGES));

        return !db->low_space ||
               grows * db->plan.page_bytes + above(pages * (db->plan.page_bytes + 24), db->wal_room) + RESERVE_BYTES <=
                       db->disk_room;
}

/* What may be let go at once: its pages go through the WAL. */
uint64_t spool_disk_trim_bytes(const struct spool_db *db)
{
        return db->low_space ? (db->disk_room + db->wal_room) / 4 : UINT64_MAX;
}

int spool_sync_directory(const char *path)
{
        char dir[4096];
        char *slash;
        int fd, rc;

        snprintf(dir, sizeof(dir), "%s", path);
        slash = strrchr(dir, '/');
        if (slash)
                slash[slash == dir] = '\0';
        fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -1;
        rc = fsync(fd);
        close(fd);
        return rc;
}
