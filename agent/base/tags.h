/*
 * tags: every (source, tag, unit, labels) the gateway knows, as a small index.
 *
 * Grows only; an index and its strings live as long as the table.  The spool loads it at start in the order it had, so
 * that an index is also the id of the row in the spool's `tag` table.  Loop thread; another thread may use a struct
 * tag's strings that were handed to it, not the table.
 */
#ifndef MILLRACE_BASE_TAGS_H
#define MILLRACE_BASE_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAGS_E_FULL = 1 };

struct tag {
        const char *source;
        const char *name;
        const char *unit;   /* "" when there is none */
        const char *labels; /* further names of the topic as JSON members: "line":"l1","cell":"3"; "" when there are none */
        const char *driver; /* name of the driver that brought it first */
        int64_t last_ts_us; /* of the last reading appended: the next one must be later */
        uint64_t n_readings; /* since start */
};

struct tags;

struct tags *tags_new(size_t most);
void tags_free(struct tags *t);
void tags_set_most(struct tags *t, size_t most); /* those there are stay */

/* 0 and the index in *out (a new one is added), or TAGS_E_FULL. Strings are copied. Two units of one tag are two tags. */
int tags_intern(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                const char *driver, uint32_t *out);

size_t tags_count(const struct tags *t);
struct tag *tags_get(struct tags *t, uint32_t index); /* valid until the next intern */

#endif
