/*
 * walk: YAML texts against a table, into structs.
 *
 * One walk takes one or more texts (the file, then those of conf.d) and fills
 * one struct from all of them: a list section is the sum of the texts, any
 * other section may stand in one text only.  Nothing here does I/O.  What it
 * fills lives in the arena; the walk itself is needed only while places are
 * asked for.
 */
#ifndef MILLRACE_CONFIG_WALK_H
#define MILLRACE_CONFIG_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/schema.h"
#include "agent/config/fault.h"

enum { CONFIG_ITEMS_MAX = 4096 };

struct walk;

/*
 * A value that was written: which field it filled, from which row of a table,
 * where.
 */
struct walk_place {
        const void *field;
        const struct schema_key *key;
        struct schema_at at;
        const char *path; /* mqtt[0].url */
};

struct walk *walk_new(struct arena *arena, struct faults *faults);
void walk_free(struct walk *w);

/*
 * Adds a text. 0; or -1: not all of it can be walked, the faults say why, and
 * sections that are missing are not told. An empty one is a fault unless
 * `may_be_empty`.
 */
int walk_add(struct walk *w, const char *file, const char *text, size_t len, bool may_be_empty);
/* A text is not there that should be. */
void walk_lacks(struct walk *w);

/*
 * Fills `obj` (zeroed, root->size bytes) from what was added; every fault is
 * told.
 */
void walk_fill(struct walk *w, const struct schema *root, void *obj);

/* NULL: the field was not written. Valid until the walk is freed. */
const struct walk_place *walk_find(const struct walk *w, const void *field);
size_t walk_places(const struct walk *w, const struct walk_place **out);

/*
 * The map or list that fills this was written without a fault.  What is wrong
 * may be half filled.
 */
bool walk_is_right(const struct walk *w, const void *obj);

/*
 * A fault at a field that was written; a place that has one already gets no
 * second.
 */
void walk_fault(struct walk *w, const void *field, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
