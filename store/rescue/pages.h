/*
 * pages: the rows of a spool's file, read page by page without SQLite, for when
 * SQLite can't read it any more.
 *
 * Blocking, one thread; nothing is written.  Every page with rows in the file,
 * or newer in a WAL that belongs to it, is looked at by itself: a damaged
 * header, inner page or neighbour hides nothing.  A page or row that is not
 * plausible is left out, never guessed.
 */
#ifndef MILLRACE_STORE_RESCUE_PAGES_H
#define MILLRACE_STORE_RESCUE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

enum { PAGES_COLUMNS = 14 };

enum pages_type { PAGES_NULL, PAGES_INT, PAGES_REAL, PAGES_TEXT, PAGES_BLOB };

struct pages_value {
        enum pages_type type;
        int64_t i;
        double real;
        const char *p; /* not terminated */
        uint32_t len;
};

struct pages_row {
        int64_t rowid; /* tables; 0 for those without rowid */
        int n;         /* columns */
        struct pages_value v[PAGES_COLUMNS];
};

/*
 * With and without rowid; and with rowids that only ever rise, and pages of no
 * other table that look alike: there a rowid that cannot be is left out.
 */
enum pages_kind { PAGES_TABLE, PAGES_INDEX, PAGES_LANE };

struct pages;

int pages_open(struct pages **out, const char *path, struct err *e);
void pages_close(struct pages *p);

/*
 * Rows of this kind, page by page in order of the rowid in their middle. Bytes
 * are borrowed. Ends early on false.
 */
void pages_each(struct pages *p, enum pages_kind kind, int n_columns,
                bool (*each)(void *ctx, const struct pages_row *row), void *ctx);

#endif
