/*
 * birth: what the last birth of a node or device said of its metrics, found by
 * alias or by name.
 *
 * Pure; owns copies of the names.  Filled once by a birth, then only read.
 */
#ifndef MILLRACE_DRIVERS_SPARKPLUG_BIRTH_H
#define MILLRACE_DRIVERS_SPARKPLUG_BIRTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the place of a tag: why the metric has none. */
enum {
        SPARKPLUG_NO_TAG_UNSUPPORTED = UINT32_MAX, /* its datatype is none we can read */
        SPARKPLUG_NO_TAG_FULL = UINT32_MAX - 1,    /* the table of tags is full */
        SPARKPLUG_NO_TAG_CONTROL = UINT32_MAX - 2, /* bdSeq, Node Control/..: nothing measured */
        SPARKPLUG_NO_TAG_FIRST = SPARKPLUG_NO_TAG_CONTROL,
};

struct sparkplug_metric {
        uint64_t alias;
        uint32_t name_at, name_len;
        uint32_t tag;
        uint32_t how; /* of the driver's list; 0: none, else one more */
        uint8_t type;
        bool has_alias, is_twice; /* another metric of the birth has this one's alias, too */
};

struct sparkplug_birth {
        struct sparkplug_metric *metric;
        size_t n, cap;
        uint32_t *by_alias, *by_name; /* index + 1; 0: free */
        size_t n_slots;               /* of each; a power of two, at least twice cap */
        char *names;
        size_t names_used;
};

/* Room for that many metrics and bytes of names. */
void sparkplug_birth_init(struct sparkplug_birth *b, size_t n_metrics, size_t names_bytes);
void sparkplug_birth_fini(struct sparkplug_birth *b);

enum { SPARKPLUG_BIRTH_E_NAME = 1, SPARKPLUG_BIRTH_E_ALIAS = 2 };
/*
 * 0; or the name is there already and nothing was added; or the alias is, and
 * it was added without.
 */
int sparkplug_birth_add(struct sparkplug_birth *b, const void *name, size_t len, const uint64_t *alias,
                        struct sparkplug_metric **out);

/* NULL when it is not known. */
struct sparkplug_metric *sparkplug_birth_by_alias(const struct sparkplug_birth *b, uint64_t alias);
struct sparkplug_metric *sparkplug_birth_by_name(const struct sparkplug_birth *b, const void *name, size_t len);

#endif
