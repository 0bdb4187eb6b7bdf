/*
 * match: a regular expression with named groups, compiled once, bounded in time
 * and memory.  Loop thread.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_MATCH_H
#define MILLRACE_DRIVERS_SERIAL_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

struct serial_match;

/* NULL with a sentence when the expression is wrong. */
struct serial_match *serial_match_new(const char *pattern, struct err *e);
void serial_match_free(struct serial_match *m);

/*
 * Number of the group of that name, or -1 with a sentence that names those
 * there are.
 */
int serial_match_group(const struct serial_match *m, const char *name, struct err *e);

enum serial_matched { SERIAL_MATCHED, SERIAL_NO_MATCH, SERIAL_TOO_COSTLY };
enum serial_matched serial_match_run(struct serial_match *m, const void *bytes, size_t len);

/*
 * What a group took in the last run that matched: offset and length; false when
 * it took no part.
 */
bool serial_match_get(const struct serial_match *m, int group, size_t *at, size_t *len);

#endif
