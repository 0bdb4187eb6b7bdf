/*
 * scalar: one written value against one row of a table.  Pure.
 */
#ifndef MILLRACE_CONFIG_SCALAR_H
#define MILLRACE_CONFIG_SCALAR_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"
#include "agent/base/schema.h"
#include "agent/config/fault.h"

/*
 * Reads `s` (len bytes; plain: not quoted) as `type` within the key's range and
 * writes it to `field`; texts are copied to the arena.  0, or -1 and "what was
 * found; what is allowed" in *e.
 */
int config_scalar(const struct schema_key *key, enum schema_type type, const char *s, size_t len, bool plain,
                  void *field, struct arena *arena, struct err *e);

/*
 * What the key may hold, for people: "1 to 65535", "100ms to 1h", "none, gzip
 * or lz4", "true or false".
 */
void config_allowed(const struct schema_key *key, char *out, size_t cap);
/* The largest unit that says it exactly: 90m, 1500ms, 6MiB. */
void config_put_duration(char out[32], int64_t us);
void config_put_size(char out[32], uint64_t bytes);

/*
 * Bytes that a terminal should not get become '?', and what is longer than the
 * room ends in "…". Returns out.
 */
const char *config_show(char *out, size_t cap, const char *s, size_t len);

#endif
