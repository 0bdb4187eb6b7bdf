/*
 * fit: text in the columns of a terminal: how many it takes, how it is made
 * shorter, where a line of it ends.  Pure; UTF-8 whatever the locale is.
 */
#ifndef MILLRACE_CLI_FIT_H
#define MILLRACE_CLI_FIT_H

#include <stdbool.h>
#include <stddef.h>

/* Columns: two for a character of the east, none for a mark upon another. */
size_t fit_width(const char *s);

/*
 * At most `cols` columns of it: of a longer one beginning and end, with a sign
 * between them (… or ~), since what tells two names apart is mostly at the end.
 */
void fit_elide(char *out, size_t cap, const char *s, size_t cols, bool utf8);

/* The bytes of `s` that have room in `cols` columns, whole characters. */
size_t fit_bytes(const char *s, size_t cols);

/*
 * The bytes of the first line of it, which ends at a blank where there is one;
 * *next is where the second begins, NULL: there is none.  A first line is never
 * empty, unless all is.
 */
size_t fit_line(const char *s, size_t cols, const char **next);

#endif
