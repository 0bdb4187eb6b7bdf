/*
 * stmt: the writer's prepared statements, and the steps of a transaction with
 * them.  Private to store/.
 *
 * The first SQLite code that is not fine stays in db->rc, and all later steps
 * do nothing: SQLite may have rolled back by itself, and what came behind it
 * would be a transaction of its own.
 */
#ifndef MILLRACE_STORE_WRITER_STMT_H
#define MILLRACE_STORE_WRITER_STMT_H

#include "store/writer/db.h"

enum {
        STMT_ROWS = 8, /* by one statement: a fifth less CPU per row than one by one */
        STMT_COLUMNS = SAMPLE_COLUMNS,
};

bool stmt_fine(const struct spool_db *db);
void stmt_run(struct spool_db *db, enum spool_stmt which);
bool stmt_next(struct spool_db *db, enum spool_stmt which); /* true on a row; the caller resets */
void stmt_bind(struct spool_db *db, enum spool_stmt which, int at, uint64_t v);
void stmt_bind_text(struct spool_db *db, enum spool_stmt which, int at, const char *s, size_t len); /* borrowed */
uint64_t stmt_column(struct spool_db *db, enum spool_stmt which, int at);
uint64_t stmt_pages(struct spool_db *db, enum spool_stmt which); /* STMT_PAGES, STMT_FREE_PAGES */
uint64_t stmt_used_pages(struct spool_db *db);
enum spool_stmt stmt_of(enum spool_lane lane, enum spool_stmt reading, enum spool_stmt event);

#endif
