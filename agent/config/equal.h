/*
 * equal: do two filled structs say the same?  By the tables, so spelling, order
 * of keys and defaults written out make no difference; where a thing stood in
 * its file does not count.  Pure.
 */
#ifndef MILLRACE_CONFIG_EQUAL_H
#define MILLRACE_CONFIG_EQUAL_H

#include <stdbool.h>

#include "agent/base/schema.h"

bool config_same(const struct schema *schema, const void *a, const void *b);

/* The same for one key of two structs, and for two lists of structs. */
bool config_same_key(const struct schema_key *key, const void *a, const void *b);
bool config_same_list(const struct schema *item, const struct schema_list *a, const struct schema_list *b);

#endif
