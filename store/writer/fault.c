/*
 * fault: why a commit did not get through, in words that say what to do.
 *
 * SQLite's own words are for programmers ("disk I/O error"), and it forgets the
 * system's reason when a COMMIT fails, so the errno that the transaction left
 * is given along.  It may be an old one of a call that was allowed to fail:
 * only those that a disk gives are believed.  Told once by the loop (the log,
 * an event) and shown in `status` until commits get through.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/writer/db.h"

static const struct {
        int error;
        const char *way_out;
} reasons[] = {
        {ENOSPC, "make room on its disk"},
        {EDQUOT, "make room in its quota"},
        {EROFS, "its disk is read-only: dmesg says why; then mount it for writing again"},
        {EIO, "its disk fails: look at dmesg, and replace it in time"},
        {EACCES, "give the file, its -wal and -shm and their directory to the daemon's user"},
};

static const char *way_out(int code)
{
        switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return "another program has it open for writing: end that";
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
                return "look at its rights and its directory's";
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return "if it stays so, a restart moves it aside and saves what can be read";
        default:
                return NULL;
        }
}

void spool_fault_say(sqlite3 *conn, int code, int sys_errno, char *out, size_t cap)
{
        int io = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_FULL;
        const char *reason = NULL, *way = way_out(code);

        for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons) && !reason && (io || way); i++) {
                if (reasons[i].error != sys_errno)
                        continue;
                reason = strerror(sys_errno);
                way = reasons[i].way_out;
        }
        snprintf(out, cap, "%s%s%s%s%s", sqlite3_errmsg(conn), reason ? ": " : "", reason ? reason : "",
                 way ? "; " : "", way ? way : "");
}

/*
 * Why `file` could not be opened for writing (errno), and whose it should be.
 */
int spool_fault_open(const char *spool, const char *file, struct err *e)
{
        if (errno == EACCES)
                return err_set(e,
                               "spool %s: %s: Permission denied; it and its directory must be writable for the user "
                               "millraced runs as (chown)",
                               spool, file);
        if (errno == EROFS)
                return err_set(e, "spool %s: %s: Read-only file system; mount it for writing, or set spool: path",
                               spool, file);
        return err_errno(e, "spool %s: cannot open %s for writing", spool, file);
}

int spool_db_get_int(sqlite3 *c, const char *sql, int64_t *out)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(c, sql, -1, &st, NULL);

        if (rc == SQLITE_OK)
                rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
                *out = sqlite3_column_int64(st, 0);
                rc = SQLITE_OK;
        } else if (rc == SQLITE_DONE) {
                rc = SQLITE_NOTFOUND;
        }
        sqlite3_finalize(st);
        return rc;
}

int spool_db_fail(struct spool_db *db, const char *doing, struct err *e)
{
        int rc = sqlite3_errcode(db->conn) & 0xff;
        bool gone = rc == SQLITE_OK || rc == SQLITE_DONE; /* a row that was asked for */

        /* ERROR: a table or a column of ours is not there. */
        if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || rc == SQLITE_ERROR)
                db->damaged = true;
        return err_set(e, "spool %s: %s: %s", db->path, doing, gone ? "a row is missing" : sqlite3_errmsg(db->conn));
}
