/*
 * db: each call has a connection of its own, so that no test holds a lock on
 * the file of a spool at work.  Fails the test.
 */
#include "db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/lib/temp_dir.h"

int64_t db_ask(const char *path, const char *sql)
{
        sqlite3_stmt *st;
        sqlite3 *c;
        int64_t v;

        assert_int_equal(sqlite3_open_v2(path, &c, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        if (sqlite3_prepare_v2(c, sql, -1, &st, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(c));
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        v = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        sqlite3_close(c);
        return v;
}

void db_run(const char *path, const char *sql)
{
        sqlite3 *c;

        assert_int_equal(sqlite3_open(path, &c), SQLITE_OK);
        if (sqlite3_exec(c, sql, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(c));
        sqlite3_close(c);
}

uint64_t db_bytes(const char *path)
{
        static const char *const suffix[] = {"", "-wal", "-shm"};
        char name[TEMP_PATH_MAX];
        uint64_t sum = 0;
        struct stat st;

        for (int i = 0; i < 3; i++)
                sum += stat(temp_dir_beside(path, suffix[i], name), &st) == 0 ? (uint64_t)st.st_size : 0;
        return sum;
}
