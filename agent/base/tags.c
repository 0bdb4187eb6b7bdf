/*
 * tags: see tags.h.  An open-addressing hash over (source, name, labels),
 * strings in chunks that never move, so that a tag's strings may be borrowed
 * for ever.  Rows of further units hang on their tag in a list and are not in
 * the hash: a table may hold any rows in any order, whatever an older version
 * wrote.
 */
#include "agent/base/tags.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"

enum { CHUNK_BYTES = 16384 };

struct chunk {
        struct chunk *next;
        size_t used, cap;
        char bytes[];
};

struct tags {
        struct tag *tag;
        size_t n, cap, most;
        uint32_t *slot; /* index + 1; 0: free */
        size_t n_slots; /* a power of two, at least twice n */
        struct chunk *chunks;
        void (*unit_changed)(void *ctx, uint32_t tag, const char *old_unit);
        void *ctx;
};

struct tags *tags_new(size_t most)
{
        struct tags *t = mem_alloc(sizeof(*t));

        t->most = most;
        t->n_slots = 64;
        t->slot = mem_alloc(t->n_slots * sizeof(*t->slot));
        return t;
}

void tags_free(struct tags *t)
{
        if (!t)
                return;
        while (t->chunks) {
                struct chunk *next = t->chunks->next;

                free(t->chunks);
                t->chunks = next;
        }
        free(t->tag);
        free(t->slot);
        free(t);
}

void tags_set_most(struct tags *t, size_t most)
{
        t->most = most;
}

static const char *keep(struct tags *t, const char *s)
{
        size_t n = strlen(s) + 1;
        struct chunk *c = t->chunks;
        char *p;

        if (n == 1)
                return "";
        if (!c || c->cap - c->used < n) {
                size_t cap = n > CHUNK_BYTES ? n : CHUNK_BYTES;

                c = mem_alloc(sizeof(*c) + cap);
                c->cap = cap;
                c->next = t->chunks;
                t->chunks = c;
        }
        p = memcpy(c->bytes + c->used, s, n);
        c->used += n;
        return p;
}

static uint64_t hash_of(const char *source, const char *name, const char *labels)
{
        uint64_t h = text_hash(source, strlen(source) + 1, 0);

        h = text_hash(name, strlen(name) + 1, h);
        return text_hash(labels, strlen(labels), h);
}

static void put_slot(struct tags *t, uint64_t hash, uint32_t index)
{
        size_t i = hash & (t->n_slots - 1);

        while (t->slot[i])
                i = (i + 1) & (t->n_slots - 1);
        t->slot[i] = index + 1;
}

static void grow(struct tags *t)
{
        if (t->n == t->cap) {
                t->cap = t->cap ? 2 * t->cap : 32;
                t->tag = mem_grow(t->tag, t->cap, sizeof(*t->tag));
        }
        if (2 * (t->n + 1) <= t->n_slots)
                return;
        t->n_slots *= 2;
        free(t->slot);
        t->slot = mem_alloc(t->n_slots * sizeof(*t->slot));
        for (size_t i = 0; i < t->n; i++)
                if (t->tag[i].first == i)
                        put_slot(t, hash_of(t->tag[i].source, t->tag[i].name, t->tag[i].labels), (uint32_t)i);
}

static uint32_t add(struct tags *t, struct tag row)
{
        grow(t);
        row.first = row.current = (uint32_t)t->n;
        row.next_unit = 0;
        t->tag[t->n] = row;
        return (uint32_t)t->n++;
}

/* The new row is a further unit of this tag. */
static void hang(struct tags *t, uint32_t tag, uint32_t row)
{
        uint32_t at = tag;

        while (t->tag[at].next_unit)
                at = t->tag[at].next_unit;
        t->tag[at].next_unit = row;
        t->tag[row].first = tag;
}

int tags_find(const struct tags *t, const char *source, const char *name, const char *labels, uint32_t *out)
{
        uint64_t hash = hash_of(source, name, labels);

        for (size_t i = hash & (t->n_slots - 1); t->slot[i]; i = (i + 1) & (t->n_slots - 1)) {
                const struct tag *g = &t->tag[t->slot[i] - 1];

                if (strcmp(g->name, name) || strcmp(g->source, source) || strcmp(g->labels, labels))
                        continue;
                *out = t->slot[i] - 1;
                return 0;
        }
        return TAGS_E_NONE;
}

static int set_unit(struct tags *t, uint32_t tag, const char *unit)
{
        const char *old = tags_unit(t, tag);
        uint32_t row = tag;

        if (!strcmp(old, unit))
                return 0;
        while (strcmp(t->tag[row].unit, unit) != 0 && t->tag[row].next_unit)
                row = t->tag[row].next_unit;
        if (strcmp(t->tag[row].unit, unit) != 0) {
                if (t->n >= t->most)
                        return TAGS_E_FULL;
                row = add(t, t->tag[tag]);
                t->tag[row].unit = keep(t, unit);
                t->tag[row].last_ts_us = 0;
                t->tag[row].n_readings = 0;
                hang(t, tag, row);
        }
        t->tag[tag].current = row;
        if (t->unit_changed)
                t->unit_changed(t->ctx, tag, old);
        return 0;
}

int tags_intern(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                const char *driver, uint32_t *out)
{
        if (tags_find(t, source, name, labels, out) == 0)
                return unit ? set_unit(t, *out, unit) : 0;
        if (t->n >= t->most)
                return TAGS_E_FULL;
        *out = add(t, (struct tag){.source = keep(t, source),
                                   .name = keep(t, name),
                                   .unit = unit ? keep(t, unit) : "",
                                   .labels = keep(t, labels),
                                   .driver = keep(t, driver)});
        put_slot(t, hash_of(source, name, labels), *out);
        return 0;
}

void tags_load(struct tags *t, const struct tag *row)
{
        struct tag mine = {.source = keep(t, row->source),
                           .name = keep(t, row->name),
                           .unit = keep(t, row->unit),
                           .labels = keep(t, row->labels),
                           .driver = keep(t, row->driver),
                           .last_ts_us = row->last_ts_us};
        uint32_t tag, at = add(t, mine);

        if (tags_find(t, row->source, row->name, row->labels, &tag) != 0) {
                put_slot(t, hash_of(row->source, row->name, row->labels), at);
                return;
        }
        hang(t, tag, at);
        if (t->tag[tag].last_ts_us <= row->last_ts_us)
                tags_seen(t, at, row->last_ts_us);
}

void tags_seen(struct tags *t, uint32_t row, int64_t ts_us)
{
        struct tag *tag = &t->tag[t->tag[row].first];

        t->tag[row].last_ts_us = tag->last_ts_us = ts_us;
        tag->tied_us = 0;
        tag->current = row;
}

void tags_on_unit(struct tags *t, void (*unit_changed)(void *ctx, uint32_t tag, const char *old_unit), void *ctx)
{
        t->unit_changed = unit_changed;
        t->ctx = ctx;
}

size_t tags_count(const struct tags *t)
{
        return t->n;
}

struct tag *tags_get(struct tags *t, uint32_t index)
{
        BUG_ON(index >= t->n);
        return &t->tag[index];
}

bool tags_is_tag(const struct tags *t, uint32_t index)
{
        return index < t->n && t->tag[index].first == index;
}

const char *tags_unit(const struct tags *t, uint32_t tag)
{
        return t->tag[t->tag[tag].current].unit;
}
