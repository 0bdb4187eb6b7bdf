/*
 * json_scan: finds some values of a JSON text by their pointers (RFC 6901),
 * checking all of the text (RFC 8259).
 *
 * Pure; no allocation in json_scan.  A scan is one pass over the bytes without
 * a tree: what is not asked for is checked and passed over.  Found values point
 * into the text.
 */
#ifndef MILLRACE_BASE_JSON_SCAN_H
#define MILLRACE_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

enum { JSON_DEPTH_MAX = 64, JSON_POINTER_MAX = 256 };

enum scan_type {
        SCAN_ABSENT,
        SCAN_NULL,
        SCAN_TRUE,
        SCAN_FALSE,
        SCAN_NUMBER, /* `at`, `len`: its text, of JSON's grammar */
        SCAN_TEXT,   /* `at`, `len`: inside the quotes; `escaped`: json_unescape first */
        SCAN_OBJECT,
        SCAN_ARRAY,
};

struct json_value {
        enum scan_type type;
        bool escaped;
        uint32_t len;
        const char *at;
};

/* A tree of what is looked for: each node one level of some pointers. */
struct json_node {
        char *key;
        uint32_t key_len;
        int32_t index; /* the key as an array index; -1: can't be one */
        int slot;      /* -1: only on the way to others */
        int child, next;
};

struct json_paths {
        struct json_node *node; /* node[0]: the whole text */
        int n_nodes, n_slots;
};

/*
 * The slot of the pointer (the same one for the same pointer), or -1 with a
 * sentence.
 */
int json_paths_add(struct json_paths *p, const char *pointer, struct err *e);
void json_paths_fini(struct json_paths *p);

struct json_wrong {
        const char *why;
        size_t byte;
};

/*
 * `found` has a place for each slot.  Of a key that comes twice the last one
 * counts.  0, or -1: not JSON, or nested deeper than JSON_DEPTH_MAX, or not
 * UTF-8, or with a NUL in it.
 */
int json_scan(const struct json_paths *p, const char *text, size_t len, struct json_value *found,
              struct json_wrong *wrong);

/*
 * Members of an object without its braces, as in struct tag and in bodies of
 * events: "line":"l1","cell":"3"; "" too. At most JSON_MEMBERS_MAX bytes.
 */
enum { JSON_MEMBERS_MAX = 16384 };
bool json_is_members(const char *s, size_t len);

/*
 * What an escaped text stands for; `out` needs v->len bytes.  Returns the
 * length.
 */
size_t json_unescape(char *out, const struct json_value *v);

#endif
