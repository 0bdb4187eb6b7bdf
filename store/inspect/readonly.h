/*
 * readonly: a connection that only reads, for what looks into a spool without
 * being the daemon.  Private to store/.
 */
#ifndef MILLRACE_STORE_INSPECT_READONLY_H
#define MILLRACE_STORE_INSPECT_READONLY_H

#include <sqlite3.h>
#include <stdbool.h>

/*
 * SQLITE_OK, or why not; *conn is to be closed in any case. `live`: a daemon
 * has the file. Paths of at most PATH_MAX.
 */
int spool_open_readonly(sqlite3 **conn, const char *path, bool live);
bool spool_is_live(const char *path);

#endif
