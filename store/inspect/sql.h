/*
 * sql: one SELECT of a person's own on a spool, for `millrace spool sql`.
 *
 * Read-only by the connection, by an authorizer (only SELECT; no PRAGMA, no
 * ATTACH) and by a time limit, so that nothing asked can change the file or
 * hold up the daemon's checkpoints for long.  Blocking, any one thread.
 */
#ifndef MILLRACE_STORE_INSPECT_SQL_H
#define MILLRACE_STORE_INSPECT_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

enum spool_sql_type { SPOOL_SQL_NULL, SPOOL_SQL_NUMBER, SPOOL_SQL_TEXT, SPOOL_SQL_BLOB };

struct spool_sql_cell {
        enum spool_sql_type type;
        const char *text; /* ended by NUL, numbers too; blobs as hexadecimal */
};

struct spool_sql_row {
        int n;
        const char *const *names;
        const struct spool_sql_cell *cells; /* borrowed */
};

/*
 * 0; > 0: the time was over before the end; -1 with what SQLite said. Ends
 * early on false.
 */
enum { SPOOL_SQL_E_TIME = 1 };
int spool_sql(const char *path, const char *sql, int64_t limit_ms,
              bool (*each)(void *ctx, const struct spool_sql_row *row), void *ctx, struct err *e);

#endif
