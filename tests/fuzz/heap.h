/*
 * heap: SQLite's memory in fuzz targets, see heap.c.
 */
#ifndef MILLRACE_TESTS_FUZZ_HEAP_H
#define MILLRACE_TESTS_FUZZ_HEAP_H

/* Before anything else of SQLite's. */
void heap_use(void);

#endif
