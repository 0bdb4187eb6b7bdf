/*
 * csv: a table as spreadsheets and engineering tools write it.  Pure; the text
 * is taken apart in place.
 */
#ifndef MILLRACE_CLI_COMMISSION_CSV_H
#define MILLRACE_CLI_COMMISSION_CSV_H

#include <stdbool.h>
#include <stddef.h>

enum { CSV_FIELDS_MAX = 64, CSV_FILE_MAX = 16 << 20 };

struct csv {
        char *at, *end; /* end: where a NUL stands */
        char separator;
        int line; /* of the row that was read last; counted from 1 */
        char *field[CSV_FIELDS_MAX];
        size_t n; /* fields behind the last are not kept */
};

/*
 * `text` has `len` bytes and room for one more; a BOM is skipped, the separator
 * is the one of , ; and tab that the first line has most of.
 */
void csv_init(struct csv *c, char *text, size_t len);
/*
 * The next row that is not blank, its fields without quotes and blanks around
 * them.
 */
bool csv_next(struct csv *c);

/* Windows-1252 as UTF-8 when it is not that already; the caller's. */
char *csv_utf8(const char *text, size_t *len);

#endif
