/*
 * set_aside: a damaged file is moved aside whole, and a marker tells how far
 * that has come; see rescue.c.
 *
 * The WAL and the journal go before the database: while that is there, the move
 * is not done and is begun anew.  Nothing is ever deleted but the copies of a
 * rescue that was cut short.  How it fails: with a sentence, and the files
 * stay.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "store/writer/db.h"

enum { ID_AT = 68, TRIES_SAID = 1000 };

static const char *const suffixes[] = {"-wal", "-journal", ""};

static void name_of(char *out, size_t cap, const char *path, const char *suffix)
{
        snprintf(out, cap, "%s%s", path, suffix);
}

static bool exists(const char *path, const char *suffix)
{
        char name[4200];
        struct stat st;

        name_of(name, sizeof(name), path, suffix);
        return stat(name, &st) == 0 && (*suffix == '\0' || st.st_size > 0);
}

/* ---- whose file is it ---- */

static bool is_there(const char *path, const char *suffix)
{
        char name[4200];
        struct stat st;

        name_of(name, sizeof(name), path, suffix);
        return stat(name, &st) == 0;
}

bool spool_rescue_is_marked(const char *path)
{
        return is_there(path, ".damaged");
}

enum { VERSION_AT = 60, TREE_AT = 100, HEAD_BYTES = 105, LEAF = 13 /* see the file format of SQLite */ };

/* A database that has no table, as one is before its first WAL went into it. */
static bool is_empty_database(const char *path)
{
        static const unsigned char leaf[5] = {LEAF}, none[4];
        unsigned char head[HEAD_BYTES];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool is = fd >= 0 && pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head);

        if (fd >= 0)
                close(fd);
        return is && !memcmp(head, "SQLite format 3", 16) && !memcmp(head + VERSION_AT, none, 4) &&
               !memcmp(head + ID_AT, none, 4) && !memcmp(head + TREE_AT, leaf, sizeof(leaf));
}

/* What lies beside it is nobody's any more: SQLite would throw it away. */
static bool is_nothing(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 ? S_ISREG(st.st_mode) && (st.st_size == 0 || is_empty_database(path))
                                    : errno == ENOENT;
}

/*
 * What lies at the path of our spool is ours to move, whatever it is: the
 * sidecar (an empty one, too), a mark in the lock file, or a rescue that was
 * begun says that we had a spool there.
 */
bool spool_rescue_is_ours(const char *path)
{
        enum { LOCK_BYTES = 32 }; /* without a mark */
        unsigned char head[ID_AT + 4];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool ours = false;

        if (fd >= 0) {
                ours = pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) && !memcmp(head + ID_AT, "MLR1", 4);
                close(fd);
        }
        return ours || is_there(path, ".epoch") || spool_disk_size(path, ".lock") > LOCK_BYTES ||
               spool_rescue_is_marked(path) || is_nothing(path);
}

/* ---- the marker ---- */

static int write_marker(const char *path, const char *aside, int tries)
{
        char name[4200], tmp[4300], text[4300];
        int n = snprintf(text, sizeof(text), "%d %s\n", tries, aside), fd, ok;

        name_of(name, sizeof(name), path, ".damaged");
        snprintf(tmp, sizeof(tmp), "%s.new", name);
        fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        if (fd < 0)
                return -1;
        ok = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
        close(fd);
        return ok && rename(tmp, name) == 0 && spool_sync_directory(path) == 0 ? 0 : -1;
}

void spool_rescue_mark(const char *path)
{
        write_marker(path, "", 0);
}

#define ASIDE ".corrupt-"

/*
 * A marker that was damaged itself must not name the spool, or another's file.
 */
static bool is_beside(const char *path, const char *aside)
{
        size_t n = strlen(path);

        return !strncmp(aside, path, n) && !strncmp(aside + n, ASIDE, strlen(ASIDE)) && !strchr(aside + n, '/');
}

/*
 * How often it was tried; *aside "" when the file has not been moved, or it
 * says nothing that we would.
 */
static int read_marker(const char *path, char *aside, size_t cap)
{
        char name[4200], text[4300] = "";
        ssize_t n;
        int fd, tries, at = 0;

        *aside = '\0';
        name_of(name, sizeof(name), path, ".damaged");
        fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        if (sscanf(text, "%d %n", &tries, &at) != 1 || tries < 0 || tries > TRIES_SAID)
                return 0;
        if (is_beside(path, text + at))
                snprintf(aside, cap, "%s", text + at);
        return tries;
}

/* ---- moving aside ---- */

static void choose_aside(const char *path, int64_t wall_us, char *aside, size_t cap)
{
        time_t t = (time_t)(wall_us / 1000000);
        struct tm tm;
        int n;

        gmtime_r(&t, &tm);
        n = snprintf(aside, cap, "%s" ASIDE "%04d%02d%02dT%02d%02d%02dZ", path, tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        for (int i = 2; exists(aside, "") && i < 1000; i++)
                snprintf(aside + n, cap - (size_t)n, "-%d", i);
}

/* Files of a rescue that was cut short hold nothing but copies. */
static void remove_partial(const char *path)
{
        static const char *const all[] = {"", "-wal", "-shm", "-journal"};
        char name[4200];

        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
                name_of(name, sizeof(name), path, all[i]);
                unlink(name);
        }
}

/*
 * The database goes last: while it is there, the move is not done.  A WAL that
 * is not its own gets a name under which nobody takes it for that.
 */
static int move_files(const char *path, const char *aside, bool other_wal, struct err *e)
{
        char from[4200], to[4200];

        for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
                name_of(from, sizeof(from), path, suffixes[i]);
                name_of(to, sizeof(to), aside, other_wal && i == 0 ? "-other-wal" : suffixes[i]);
                if (rename(from, to) == 0 || errno == ENOENT)
                        continue;
                if (errno == EBUSY)
                        return err_set(e, "spool %s: damaged, and a file system is mounted on it; unmount that", from);
                return err_errno(e, "spool %s: damaged, and cannot be moved aside to %s", path, to);
        }
        name_of(from, sizeof(from), path, "-shm");
        unlink(from);
        return spool_sync_directory(path) == 0 ? 0 : err_errno(e, "spool %s: cannot sync its directory", path);
}

/* A disk that can't be read now may be read later. */
bool spool_rescue_can_read(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool can = fd >= 0 || errno == ENOENT;
        char byte[512];
        struct stat st;

        if (fd < 0)
                return can;
        can = fstat(fd, &st) == 0 && pread(fd, byte, sizeof(byte), 0) >= 0 &&
              pread(fd, byte, sizeof(byte), st.st_size / 2) >= 0;
        close(fd);
        return can;
}

/*
 * Of a database that was moved away its WAL is left; while the database is not
 * aside, the move is not done.
 */
static int make_if_none(const char *path, struct err *e)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

        if (fd < 0)
                return err_errno(e, "spool %s: damaged, and cannot be made", path);
        close(fd);
        return 0;
}

int spool_rescue_begin(struct spool_rescue *r, const char *path, bool other_wal, int64_t wall_us, struct err *e)
{
        memset(r, 0, sizeof(*r));
        if (!spool_rescue_can_read(path))
                return err_errno(e, "spool %s: cannot be read", path);
        r->at_us = wall_us;
        r->tries = read_marker(path, r->aside, sizeof(r->aside));
        if (*r->aside && exists(r->aside, ""))
                remove_partial(path);
        if (!*r->aside)
                choose_aside(path, wall_us, r->aside, sizeof(r->aside));
        if (write_marker(path, r->aside, ++r->tries) < 0)
                return err_errno(e, "spool %s: damaged, and its directory cannot be written", path);
        if (!exists(r->aside, "") && (make_if_none(path, e) < 0 || move_files(path, r->aside, other_wal, e) < 0))
                return -1;
        log_error("spool", "%s is damaged; it is now %s, and what can be read of it is carried over", path, r->aside);
        return 0;
}

void spool_rescue_unmark(const char *path)
{
        char name[4200];

        name_of(name, sizeof(name), path, ".damaged");
        unlink(name);
        spool_sync_directory(path);
}
