/*
 * db: a database file asked past everything the program under test keeps in
 * memory.  For cmocka tests; a statement that fails fails the test.
 */
#ifndef MILLRACE_TESTS_DB_H
#define MILLRACE_TESTS_DB_H

#include <stdint.h>

/* The first cell of the answer; the file is only read. */
int64_t db_ask(const char *path, const char *sql);
void db_run(const char *path, const char *sql);

/* Of the database and what SQLite has beside it. */
uint64_t db_bytes(const char *path);

#endif
