/*
 * tags: see tags.h.  An open-addressing hash over (source, name, unit, labels), strings in chunks that never move, so
 * that a tag's strings may be borrowed for ever.
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

static uint64_t hash_of(const char *source, const char *name, const char *unit, const char *labels)
{
        uint64_t h = text_hash(source, strlen(source) + 1, 0);

        h = text_hash(name, strlen(name) + 1, h);
        h = text_hash(unit, strlen(unit) + 1, h);
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
                put_slot(t, hash_of(t->tag[i].source, t->tag[i].name, t->tag[i].unit, t->tag[i].labels), (uint32_t)i);
}

static bool same(const struct tag *g, const char *source, const char *name, const char *unit, const char *labels)
{
        return !strcmp(g->name, name) && !strcmp(g->source, source) && !strcmp(g->unit, unit) &&
               !strcmp(g->labels, labels);
}

int tags_intern(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                const char *driver, uint32_t *out)
{
        uint64_t hash = hash_of(source, name, unit, labels);

        for (size_t i = hash & (t->n_slots - 1); t->slot[i]; i = (i + 1) & (t->n_slots - 1))
                if (same(&t->tag[t->slot[i] - 1], source, name, unit, labels)) {
                        *out = t->slot[i] - 1;
                        return 0;
                }
        if (t->n >= t->most)
                return TAGS_E_FULL;
        grow(t);
        t->tag[t->n] = (struct tag){.source = keep(t, source),
                                    .name = keep(t, name),
                                    .unit = keep(t, unit),
                                    .labels = keep(t, labels),
                                    .driver = keep(t, driver)};
        put_slot(t, hash, (uint32_t)t->n);
        *out = (uint32_t)t->n++;
        return 0;
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
