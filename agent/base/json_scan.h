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
        SCAN_F64, /* these four: not in JSON, but in what is read by the same pointers */
        SCAN_I64,
        SCAN_U64,   /* beyond int64: `i64` has its bits */
        SCAN_BYTES, /* `at`, `len` */
};

struct json_value {
        enum scan_type type;
        bool escaped;
        uint32_t len;
        union {
                const char *at;
                double f64;
                int64_t i64;
        };
};

/* A tree of what is looked for: each node one level of some pointers. */
struct json_node {
        char *key;
        uint32_t key_len;
        int32_t index; /* the key as an array index; -1: can't be one */
        int slot;      /* -1: only on the way to others */
        int child, next;
        int any;      /* of a container that is walked: the node of each member that no pointer names; -1: it is not */
        int seen;     /* number of the object that had it, in this scan */
        int in, then; /* what came first in it, and behind it, the last time; -1: not known */
};

struct json_paths {
        struct json_node *node; /* node[0]: the whole text */
        int n_nodes, n_slots;
        int walked;  /* the container that is; 0 and n_cells 0: none */
        int *cell;   /* slots of what is looked for in each member */
        int n_cells; /* the first is the member's own name or place */
};

/*
 * The slot of the pointer (the same one for the same pointer), or -1 with a
 * sentence.
 */
int json_paths_add(struct json_paths *p, const char *pointer, struct err *e);
void json_paths_fini(struct json_paths *p);
/* For those who scan: no name was seen, nothing found. */
void json_paths_begin(const struct json_paths *p, struct json_value *found);

/*
 * The array or object at the pointer is walked: pointers of json_paths_add_in
 * begin at each element or member.  Those that another pointer names are none.
 * Once, after all json_paths_add of what is in it. 0 or -1.
 */
int json_paths_walk(struct json_paths *p, const char *pointer, struct err *e);
/* The cell of the pointer in a row, or -1. */
int json_paths_add_in(struct json_paths *p, const char *pointer, struct err *e);
enum { JSON_CELL_KEY = 0 }; /* a name is a text, a place SCAN_I64 */

/* What was found in each member, a row for one.  Grows to `most` rows. */
struct json_rows {
        struct json_value *cell; /* n_cells of a row behind each other */
        size_t n, most, cap;
        bool entered;    /* the container is there, however many it holds */
        bool over;       /* there were more than `most` */
        uint16_t *named; /* rows by their names, for json_rows_twice */
        size_t n_named;
};

static inline const struct json_value *json_rows_at(const struct json_paths *p, const struct json_rows *rows, size_t i)
{
        return rows->cell + i * (size_t)p->n_cells;
}

/*
 * For those who scan: a container that is walked begins; a member of it ends.
 */
void json_rows_begin(struct json_rows *rows);
bool json_rows_take(const struct json_paths *p, struct json_rows *rows, struct json_value *found,
                    const struct json_value *key);
/*
 * Have two members one name?  Of a whole container, when no text in it has
 * escapes any more.
 */
bool json_rows_twice(const struct json_paths *p, struct json_rows *rows);
void json_rows_fini(struct json_rows *rows);

#define JSON_TWICE "a name that is asked for stands twice in an object"

struct json_wrong {
        const char *why;
        size_t byte;
};

/*
 * `found` has a place for each slot.  0, or -1: not JSON, or nested deeper than
 * JSON_DEPTH_MAX, or not UTF-8, or with a NUL in it; or a name on one of the
 * paths stands twice in an object, so that nobody knows which value is meant.
 * Writes `seen`, `in` and `then` of the nodes: paths with nodes are one
 * thread's.
 */
int json_scan(const struct json_paths *p, const char *text, size_t len, struct json_value *found,
              struct json_wrong *wrong);
/* The same, of paths of which a container is walked. */
int json_scan_rows(const struct json_paths *p, const char *text, size_t len, struct json_value *found,
                   struct json_rows *rows, struct json_wrong *wrong);

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
