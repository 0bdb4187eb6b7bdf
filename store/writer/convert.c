/*
 * convert: a file that was made with larger pages gets those of today, once,
 * while it is opened.
 *
 * Each commit writes about ten pages whatever it brings, so the size of a page
 * is most of what flash pays.  SQLite changes it with VACUUM and outside of WAL
 * mode only, under a rollback journal: after a cut, or on a full disk, the file
 * is as it was, and another start tries again.  Both the file and the journal
 * are there for a moment, what is in it is in memory once, and all waits; so
 * only a small file is converted that was closed well.  How it fails: any other
 * keeps its pages and works with them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "agent/base/log.h"
#include "store/writer/db.h"

enum {
        FILE_MOST = 32 << 20,
        USED_MOST = 16 << 20,
        OF_MAX_SIZE = 4,
};

static bool is_small(struct spool_db *db, uint64_t page_bytes, uint64_t max_size)
{
        int64_t pages, n_free;

        if (spool_db_get_int(db->conn, "PRAGMA page_count", &pages) != SQLITE_OK ||
            spool_db_get_int(db->conn, "PRAGMA freelist_count", &n_free) != SQLITE_OK)
                return false;
        return (uint64_t)pages * page_bytes <= min_u64(FILE_MOST, max_size / OF_MAX_SIZE) &&
               (uint64_t)(pages - n_free) * page_bytes <= USED_MOST;
}

/* False: another program is in it. */
static bool leave_wal_mode(struct spool_db *db)
{
        sqlite3_stmt *st = NULL;
        bool left = sqlite3_prepare_v2(db->conn, "PRAGMA journal_mode=DELETE", -1, &st, NULL) == SQLITE_OK &&
                    sqlite3_step(st) == SQLITE_ROW &&
                    !sqlite3_stricmp((const char *)sqlite3_column_text(st, 0), "delete");

        sqlite3_finalize(st);
        return left;
}

void spool_db_convert(struct spool_db *db, uint64_t max_size)
{
        int64_t page_bytes;
        char sql[120];

        if (spool_db_get_int(db->conn, "PRAGMA page_size", &page_bytes) != SQLITE_OK || page_bytes == PAGE_BYTES)
                return;
        snprintf(sql, sizeof(sql), "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA page_size=%d; VACUUM",
                 PAGE_BYTES);
        if (!db->was_open && is_small(db, (uint64_t)page_bytes, max_size) && leave_wal_mode(db) &&
            sqlite3_exec(db->conn, sql, NULL, NULL, NULL) == SQLITE_OK)
                log_notice("spool", "%s: converted to pages of %d bytes", db->path, PAGE_BYTES);
        else
                log_notice("spool",
                           "%s: has pages of %" PRId64 " bytes, which cost flash; converted at a start, behind a clean "
                           "stop, that finds it small",
                           db->path, page_bytes);
}
