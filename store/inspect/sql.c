/*
 * sql: see sql.h.
 *
 * The progress handler looks at the clock every ten thousand steps of SQLite's
 * machine (a millisecond or so) and interrupts. How it fails: with SQLite's own
 * words, which name the place in the statement.
 */
#include "store/inspect/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/inspect/readonly.h"

enum { STEPS = 10000, COLUMNS_MAX = 100 };

static int64_t now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int is_over(void *ctx)
{
        return now_ms() > *(const int64_t *)ctx;
}

static int may(void *ctx, int action, const char *a, const char *b, const char *db, const char *trigger)
{
        switch (action) {
        case SQLITE_SELECT:
        case SQLITE_READ:
        case SQLITE_FUNCTION:
        case SQLITE_RECURSIVE:
                return SQLITE_OK;
        default:
                return SQLITE_DENY;
        }
}

struct sql_row {
        const char *names[COLUMNS_MAX];
        struct spool_sql_cell cells[COLUMNS_MAX];
        char *hex[COLUMNS_MAX];
};

static char *to_hex(const unsigned char *p, size_t n)
{
        char *s = mem_alloc(2 * n + 1);

        for (size_t i = 0; i < n; i++)
                sprintf(s + 2 * i, "%02x", p[i]);
        return s;
}

static void fill(struct sql_row *row, sqlite3_stmt *st, int n)
{
        for (int i = 0; i < n; i++) {
                struct spool_sql_cell *cell = &row->cells[i];

                free(row->hex[i]);
                row->hex[i] = NULL;
                row->names[i] = sqlite3_column_name(st, i);
                switch (sqlite3_column_type(st, i)) {
                case SQLITE_NULL:
                        *cell = (struct spool_sql_cell){SPOOL_SQL_NULL, ""};
                        break;
                case SQLITE_BLOB:
                        row->hex[i] = to_hex(sqlite3_column_blob(st, i), (size_t)sqlite3_column_bytes(st, i));
                        *cell = (struct spool_sql_cell){SPOOL_SQL_BLOB, row->hex[i]};
                        break;
                case SQLITE_TEXT:
                        *cell = (struct spool_sql_cell){SPOOL_SQL_TEXT, (const char *)sqlite3_column_text(st, i)};
                        break;
                default:
                        *cell = (struct spool_sql_cell){SPOOL_SQL_NUMBER, (const char *)sqlite3_column_text(st, i)};
                }
        }
}

static int run(sqlite3 *c, sqlite3_stmt *st, bool (*each)(void *ctx, const struct spool_sql_row *row), void *ctx,
               struct err *e)
{
        struct sql_row *row = mem_alloc(sizeof(*row));
        int n = sqlite3_column_count(st), rc;

        if (n > COLUMNS_MAX)
                n = COLUMNS_MAX;
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
                fill(row, st, n);
                if (!each(ctx, &(struct spool_sql_row){n, row->names, row->cells}))
                        break;
        }
        for (int i = 0; i < COLUMNS_MAX; i++)
                free(row->hex[i]);
        free(row);
        if (rc == SQLITE_INTERRUPT)
                return SPOOL_SQL_E_TIME;
        return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : err_set(e, "%s", sqlite3_errmsg(c));
}

int spool_sql(const char *path, const char *sql, int64_t limit_ms,
              bool (*each)(void *ctx, const struct spool_sql_row *row), void *ctx, struct err *e)
{
        int64_t until = now_ms() + limit_ms;
        sqlite3_stmt *st = NULL;
        const char *rest = "";
        sqlite3 *c = NULL;
        int rc;

        if (access(path, R_OK) != 0)
                return err_errno(e, "spool %s", path);
        rc = spool_open_readonly(&c, path, spool_is_live(path));
        sqlite3_set_authorizer(c, may, NULL);
        sqlite3_progress_handler(c, STEPS, is_over, &until);
        if (rc == SQLITE_OK)
                rc = sqlite3_prepare_v2(c, sql, -1, &st, &rest);
        if (rc == SQLITE_INTERRUPT)
                rc = SPOOL_SQL_E_TIME;
        else if (rc == SQLITE_AUTH)
                rc = err_set(e, "only SELECT is allowed here: %s", sqlite3_errmsg(c));
        else if (rc != SQLITE_OK)
                rc = err_set(e, "%s", sqlite3_errmsg(c));
        else if (!st || rest[strspn(rest, " \t\r\n;")])
                rc = err_set(e, "one statement is needed, neither none nor several");
        else if (!sqlite3_stmt_readonly(st)) /* VACUUM asks nobody */
                rc = err_set(e, "only SELECT is allowed here");
        else
                rc = run(c, st, each, ctx, e);
        sqlite3_finalize(st);
        sqlite3_close(c);
        return rc;
}
