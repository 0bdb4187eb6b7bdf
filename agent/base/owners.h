/*
 * owners: which items of the configuration a source belongs to.
 *
 * A source that the configuration names is spoken for by the items that name
 * it, and by nobody else; one that it does not name is free for all.  The table
 * is filled before anything comes from the wire, so it is bounded by the
 * configuration.  Loop thread.  Sources are copied; the other strings are the
 * caller's and outlive the table.
 */
#ifndef MILLRACE_BASE_OWNERS_H
#define MILLRACE_BASE_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct owner {
        char *source;
        const char *item, *kind; /* "plc-1", "modbus" */
        uint32_t next;           /* in its bucket: index + 1 */
        uint64_t n_refused;      /* messages of others under this name, since start */
        uint64_t n_told;         /* of these, so many were told */
        const char *by;          /* the item that tried last */
        int64_t told_us;         /* monotonic; 0: never */
};

struct owners {
        struct owner *v;
        size_t n, cap;
        uint32_t *bucket; /* index + 1 of the first entry; 0: none */
        size_t n_buckets; /* a power of two, or 0 */
};

void owners_fini(struct owners *o);

/* Once is enough; a second time changes nothing. */
void owners_add(struct owners *o, const char *source, const char *kind, const char *item);
void owners_drop(struct owners *o, const char *item);

/* The first of those that the source belongs to; NULL: nobody's. */
struct owner *owners_of(const struct owners *o, const char *source);
bool owners_allow(const struct owners *o, const char *source, const char *item);

#endif
