/*
 * readonly: see readonly.h.
 *
 * A file without a daemon may lie in a directory we can't write to, where
 * SQLite can't make its -shm: then, and only when no WAL is left, it is opened
 * as immutable.  Whether a daemon has it is asked of the lock beside it, which
 * nobody but a daemon takes.  How it fails: with SQLite's code.
 */
#include "store/inspect/readonly.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool spool_is_live(const char *path)
{
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        char name[4200];
        bool locked;
        int fd;

        snprintf(name, sizeof(name), "%s.lock", path);
        fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        locked = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
        close(fd);
        return locked;
}

static bool has_wal(const char *path)
{
        char name[4200];
        struct stat st;

        snprintf(name, sizeof(name), "%s-wal", path);
        return stat(name, &st) == 0 && st.st_size > 0;
}

static int open_as(sqlite3 **conn, const char *path, bool immutable)
{
        char uri[3 * 4096 + 64], *p = uri;
        int rc;

        p += sprintf(p, "file:");
        for (const char *s = path; *s; s++)
                p += strchr("%?#", *s) ? sprintf(p, "%%%02x", (unsigned char)*s) : (*p = *s, 1);
        sprintf(p, "?mode=ro%s", immutable ? "&immutable=1" : "");
        sqlite3_close(*conn);
        rc = sqlite3_open_v2(uri, conn, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_exec(*conn, "PRAGMA busy_timeout=2000; PRAGMA cache_size=-1024; PRAGMA application_id",
                                  NULL, NULL, NULL);
        return rc;
}

int spool_open_readonly(sqlite3 **conn, const char *path, bool live)
{
        int rc;

        *conn = NULL;
        rc = open_as(conn, path, false);
        if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_NOTADB && !live && !has_wal(path))
                rc = open_as(conn, path, true);
        return rc;
}
