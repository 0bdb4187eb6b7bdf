/*
 * binary: CBOR (RFC 8949) and MessagePack by the same pointers as JSON.
 *
 * Pure; allocates nothing but rows (struct json_rows), which are bounded.  One
 * pass, all of the message is checked; found texts point into it.  Keys that
 * are integers are met by their digits: /0, /-2.
 */
#ifndef MILLRACE_DRIVERS_PAYLOAD_BINARY_H
#define MILLRACE_DRIVERS_PAYLOAD_BINARY_H

#include "agent/base/json_scan.h"

enum payload_token_kind {
        TOKEN_VALUE, /* `value` */
        TOKEN_ARRAY, /* of n */
        TOKEN_MAP,   /* of n pairs */
        TOKEN_BREAK, /* an array or map of unknown length is over */
        TOKEN_TAG    /* says something of the value that follows */
};

#define TOKEN_OPEN UINT64_MAX /* n of a container that ends by a break */

struct payload_token {
        enum payload_token_kind kind;
        uint64_t n;
        struct json_value value;
};

/*
 * The token at s, of len bytes (one at least): how many it has; 0 and a reason:
 * it is none, or does not end.
 */
size_t payload_cbor_token(const unsigned char *s, size_t len, struct payload_token *t, const char **why);
size_t payload_msgpack_token(const unsigned char *s, size_t len, struct payload_token *t, const char **why);

/*
 * The walk along the pointers, a token at a time: for those who make tokens of
 * something else.  Begin empties `found`.
 */
struct payload_frame {
        bool is_map, is_open, want_key;
        uint64_t left;  /* pairs or values, unless it is open */
        int number;     /* which container of the message */
        int first, any; /* node of its first child, of each member while walked; -1: none */
        int *likely;    /* child to come */
        int32_t index;
        bool in_row;
        struct json_value key;
};

struct payload_walk {
        const struct json_paths *p;
        struct json_value *found;
        struct json_rows *rows;
        const char *why;
        struct payload_frame stack[JSON_DEPTH_MAX];
        int depth; /* 0 behind the first value: all is there */
        int n_containers;
        int node; /* of the value to come */
};
void payload_walk_begin(struct payload_walk *w, const struct json_paths *p, struct json_value *found,
                        struct json_rows *rows);
/* False: `why` says what is wrong with it. */
bool payload_walk_take(struct payload_walk *w, const struct payload_token *t, size_t bytes_left);

/* As json_scan_rows; `token` is one of the two above. */
int payload_binary_scan(const struct json_paths *p,
                        size_t (*token)(const unsigned char *, size_t, struct payload_token *, const char **),
                        const void *bytes, size_t len, struct json_value *found, struct json_rows *rows,
                        struct json_wrong *why);

/*
 * A text that is right, or one that is none: bytes that are no UTF-8 or hold a
 * NUL.
 */
void payload_token_text(struct payload_token *t, const unsigned char *s, size_t len);
void payload_token_unsigned(struct payload_token *t, uint64_t v);

#endif
