/*
 * name: names and units that a payload says: "{/id}", "{key}.{/channel}",
 * "{$/device}".
 *
 * In braces stands a pointer into the element (or, where nothing is walked,
 * into the message), a pointer into the message behind $, or `key`: the
 * element's own name or place.  Pure; loop thread.
 */
#ifndef MILLRACE_DRIVERS_PAYLOAD_NAME_H
#define MILLRACE_DRIVERS_PAYLOAD_NAME_H

#include <stdbool.h>

#include "agent/base/json_scan.h"

/*
 * Where a value stands: in the row of an element, or in what the message has
 * once.
 */
struct payload_ref {
        int at; /* -1: nowhere */
        bool in_row;
};

/* A pointer as the configuration has it. 0, or -1 with a sentence. */
int payload_ref_init(struct payload_ref *ref, struct json_paths *p, const char *pointer, struct err *e);

static inline const struct json_value *payload_ref_value(const struct payload_ref *ref, const struct json_value *found,
                                                         const struct json_value *row)
{
        return ref->at < 0 ? NULL : ref->in_row ? &row[ref->at] : &found[ref->at];
}

enum { PAYLOAD_PIECES_MAX = 8, PAYLOAD_NAME_MAX = 1024 /* bytes, as it came */ };

struct payload_piece {
        const char *text; /* of the configuration; not terminated; NULL: a value */
        size_t len;
        struct payload_ref ref;
};

struct payload_name {
        struct payload_piece piece[PAYLOAD_PIECES_MAX];
        int n; /* 0: the configuration says no name */
};

bool payload_name_asks(const char *text); /* is there a {, so that a payload is asked for it? */
/*
 * The same of a unit, in which braces may stand for themselves ({counts}/min).
 */
bool payload_unit_asks(const char *text);
int payload_name_init(struct payload_name *name, struct json_paths *p, const char *text, struct err *e);

/* A text that came to be; of the message, or in a buffer that may move. */
struct payload_text {
        const char *at;
        uint32_t len;
        bool moves; /* `at` counts from the buffer's beginning, until payload_texts_settle */
};

/* Texts that had to be put together from several. */
struct payload_texts {
        char *at;
        size_t n, size;
};
void payload_texts_put(struct payload_texts *b, const char *s, size_t len);
void payload_texts_fini(struct payload_texts *b);

/* NULL, or why it is no name. */
const char *payload_name_make(const struct payload_name *name, const struct json_value *found,
                              const struct json_value *row, struct payload_texts *b, struct payload_text *out);

static inline void payload_text_settle(struct payload_text *t, const struct payload_texts *b)
{
        if (!t->moves)
                return;
        t->at = t->len ? b->at + (uintptr_t)t->at : ""; /* there may be no buffer yet */
        t->moves = false;
}

#endif
