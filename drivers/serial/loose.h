/*
 * loose: from the expression for sound lines, one for lines that only say that
 * they are bad.  Pure, no allocation.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_LOOSE_H
#define MILLRACE_DRIVERS_SERIAL_LOOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/schema.h"

/*
 * Finds one of `words` (const char *) where `pattern` has the named group
 * `status`, whatever else is in the line.  False: it can't be made of this one.
 */
bool loose_pattern(char *out, size_t cap, const char *pattern, const char *status, const struct schema_list *words);

/*
 * Whether lines of more than one kind match: a bar that is in no named group.
 */
bool loose_has_branches(const char *pattern);

#endif
