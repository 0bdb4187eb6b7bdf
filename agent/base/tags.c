/*
 * tags: see tags.h.  An open-addressing hash over (source, name, labels),
 * strings in chunks that never move, so that a tag's strings may be borrowed
 * for ever.  Rows of further units hang on their tag in a list and are not in
 * the hash: a table may hold any rows in any order, whatever an older version
 * wrote.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/table_hash.h"
#include "agent/base/tags_impl.h"

enum { CHUNK_BYTES = 16384 };

struct tags_chunk {
        struct tags_chunk *next;
        size_t used, cap;
        char bytes[];
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
                struct tags_chunk *next = t->chunks->next;

                free(t->chunks);
                t->chunks = next;
        }
        owners_fini(&t->owners);
        free(t->items);
        free(t->spare.v);
        free(t->moved.v);
        free(t->tag);
        free(t->slot);
        free(t);
}

void tags_set_most(struct tags *t, size_t most)
{
        t->most = most;
}

const char *tags_keep(struct tags *t, const char *s)
{
        size_t n = strlen(s) + 1;
        struct tags_chunk *c = t->chunks;
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

void tags_push(struct tags_list *l, uint32_t row)
{
        if (l->n == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 32;
                l->v = mem_grow(l->v, l->cap, sizeof(*l->v));
        }
        l->v[l->n++] = row;
}

/* ---- the hash ---- */

static uint64_t hash_of(const char *source, const char *name, const char *labels)
{
        uint64_t h = table_hash(source, strlen(source) + 1, 0);

        h = table_hash(name, strlen(name) + 1, h);
        return h + tags_labels_hash(labels);
}

static size_t home_of(const struct tags *t, uint32_t tag)
{
        const struct tag *g = &t->tag[tag];

        return hash_of(g->source, g->name, g->labels) & (t->n_slots - 1);
}

void tags_hash_in(struct tags *t, uint32_t tag)
{
        size_t i = home_of(t, tag);

        while (t->slot[i])
                i = (i + 1) & (t->n_slots - 1);
        t->slot[i] = tag + 1;
}

/*
 * Those behind it that would not be found any more move up into the gap, and so
 * on.
 */
void tags_hash_out(struct tags *t, uint32_t tag)
{
        size_t mask = t->n_slots - 1, gap = home_of(t, tag);

        while (t->slot[gap] != tag + 1)
                gap = (gap + 1) & mask;
        for (size_t i = (gap + 1) & mask; t->slot[i]; i = (i + 1) & mask) {
                size_t home = home_of(t, t->slot[i] - 1);

                if (((i - home) & mask) < ((i - gap) & mask))
                        continue;
                t->slot[gap] = t->slot[i];
                gap = i;
        }
        t->slot[gap] = 0;
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
                if (tags_is_tag(t, (uint32_t)i))
                        tags_hash_in(t, (uint32_t)i);
}

int tags_find(const struct tags *t, const char *source, const char *name, const char *labels, uint32_t *out)
{
        uint64_t hash = hash_of(source, name, labels);

        for (size_t i = hash & (t->n_slots - 1); t->slot[i]; i = (i + 1) & (t->n_slots - 1)) {
                const struct tag *g = &t->tag[t->slot[i] - 1];

                if (strcmp(g->name, name) || strcmp(g->source, source) || !tags_labels_same(g->labels, labels))
                        continue;
                *out = t->slot[i] - 1;
                return 0;
        }
        return TAGS_E_NONE;
}

/* ---- rows ---- */

void tags_mark_moved(struct tags *t, uint32_t row)
{
        if (t->tag[row].moved)
                return;
        t->tag[row].moved = true;
        tags_push(&t->moved, row);
}

bool tags_next_moved(struct tags *t, uint32_t *row)
{
        if (!t->moved.n)
                return false;
        *row = t->moved.v[--t->moved.n];
        t->tag[*row].moved = false;
        return true;
}

static uint32_t append(struct tags *t, struct tag row)
{
        grow(t);
        row.first = row.current = (uint32_t)t->n;
        row.next_unit = 0;
        t->tag[t->n] = row;
        return (uint32_t)t->n++;
}

/* Where nothing points any more, or at the end. */
static uint32_t add(struct tags *t, struct tag row)
{
        uint32_t at;

        tags_counted(t, &row, 1);
        if (!t->spare.n)
                return append(t, row);
        at = t->spare.v[--t->spare.n];
        row.first = row.current = at;
        row.next_unit = 0;
        t->tag[at] = row;
        tags_mark_moved(t, at);
        return at;
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

/* A list ends with 0, so row 0 is never a further unit: it would be its end. */
static uint32_t add_unit(struct tags *t, uint32_t tag, const char *unit)
{
        struct tag row = t->tag[tag];
        uint32_t at;

        row.unit = tags_keep(t, unit);
        row.last_ts_us = 0;
        row.n_readings = row.last_seq = 0;
        row.moved = false;
        if (t->spare.n && t->spare.v[t->spare.n - 1] == 0) {
                tags_counted(t, &row, 1);
                at = append(t, row);
        } else {
                at = add(t, row);
        }
        hang(t, tag, at);
        return at;
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
                if (!tags_has_room(t, t->tag[tag].item, t->tag[tag].configured))
                        return TAGS_E_FULL;
                row = add_unit(t, tag, unit);
        }
        t->tag[tag].current = row;
        if (t->unit_changed)
                t->unit_changed(t->ctx, tag, old);
        return 0;
}

struct name {
        const char *source, *name, *unit, *labels;
};

static int intern(struct tags *t, const struct name *n, const char *driver, bool configured, uint32_t *out)
{
        uint32_t item;

        if (tags_find(t, n->source, n->name, n->labels, out) == 0) {
                if (configured)
                        tags_set_configured(t, *out, tags_item_index(t, driver), true);
                return n->unit ? set_unit(t, *out, n->unit) : 0;
        }
        item = tags_item_index(t, driver);
        if (!tags_has_room(t, item, configured))
                return TAGS_E_FULL;
        *out = add(t, (struct tag){.source = tags_keep(t, n->source),
                                   .name = tags_keep(t, n->name),
                                   .unit = n->unit ? tags_keep(t, n->unit) : "",
                                   .labels = tags_keep(t, n->labels),
                                   .driver = t->items[item].name,
                                   .item = item,
                                   .configured = configured});
        tags_hash_in(t, *out);
        return 0;
}

int tags_intern(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                const char *driver, uint32_t *out)
{
        if (!tags_may_speak(t, source, driver))
                return TAGS_E_OWNED;
        return intern(t, &(struct name){source, name, unit, labels}, driver, false, out);
}

int tags_intern_any(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                    const char *driver, uint32_t *out)
{
        return intern(t, &(struct name){source, name, unit, labels}, driver, false, out);
}

int tags_configure(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                   const char *driver, uint32_t *out)
{
        return intern(t, &(struct name){source, name, unit, labels}, driver, true, out);
}

void tags_load(struct tags *t, const struct tag *row)
{
        uint32_t item = tags_item_index(t, row->driver), tag, at;
        struct tag mine = {.source = tags_keep(t, row->source),
                           .name = tags_keep(t, row->name),
                           .unit = tags_keep(t, row->unit),
                           .labels = tags_keep(t, row->labels),
                           .driver = t->items[item].name,
                           .item = item,
                           .forgotten = row->forgotten,
                           .last_ts_us = row->last_ts_us};

        tags_counted(t, &mine, 1);
        at = append(t, mine);
        if (mine.forgotten)
                return;
        if (tags_find(t, row->source, row->name, row->labels, &tag) != 0) {
                tags_hash_in(t, at);
                return;
        }
        hang(t, tag, at);
        if (t->tag[tag].last_ts_us <= row->last_ts_us)
                tags_seen(t, at, row->last_ts_us);
}

void tags_load_free(struct tags *t)
{
        struct tag none = {.source = "", .name = "", .unit = "", .labels = "", .driver = "", .forgotten = true};

        tags_push(&t->spare, append(t, none));
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
        return index < t->n && t->tag[index].first == index && !t->tag[index].forgotten;
}

const char *tags_unit(const struct tags *t, uint32_t tag)
{
        return t->tag[t->tag[tag].current].unit;
}
