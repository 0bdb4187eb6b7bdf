/*
 * tags_impl: what the three files of the table share.  tags.c: rows and how
 * they are found; tags_items.c: who makes them, and bounds; tags_forget.c: how
 * they go.  Nobody else includes this.
 */
#ifndef MILLRACE_BASE_TAGS_IMPL_H
#define MILLRACE_BASE_TAGS_IMPL_H

#include "agent/base/tags.h"

struct tags_chunk;

struct tags_list {
        uint32_t *v;
        size_t n, cap;
};

struct tags {
        struct tag *tag;
        size_t n, cap, most;
        size_t n_wire, n_forgotten;
        uint32_t *slot; /* index + 1; 0: free */
        size_t n_slots; /* a power of two, at least twice n */
        struct tags_chunk *chunks;
        struct tags_item *items;
        size_t n_items;
        struct owners owners;
        struct tags_list spare, moved;
        void (*unit_changed)(void *ctx, uint32_t tag, const char *old_unit);
        void *ctx;
        char why[TAGS_WHY_MAX];
};

/* tags.c */
const char *tags_keep(struct tags *t, const char *s);
void tags_push(struct tags_list *l, uint32_t row);
void tags_mark_moved(struct tags *t, uint32_t row);
void tags_hash_in(struct tags *t, uint32_t tag);
void tags_hash_out(struct tags *t, uint32_t tag);

/* tags_ident.c: in any order they are the same labels */
uint64_t tags_labels_hash(const char *labels);
bool tags_labels_same(const char *a, const char *b);

/* tags_items.c */
uint32_t tags_item_index(struct tags *t, const char *driver); /* made when it is not there */
bool tags_has_room(struct tags *t, uint32_t item, bool configured);
void tags_counted(struct tags *t, const struct tag *row, int by); /* one row more, or less */
void tags_set_configured(struct tags *t, uint32_t tag, uint32_t item, bool on);

#endif
