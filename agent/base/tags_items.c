/*
 * tags_items: who makes tags, and how many: claims, shares, and the words for a
 * name that is refused.
 *
 * The bounds hold for what comes from the wire.  What the configuration names
 * is bounded by the configuration, so a flood leaves it its room: nothing from
 * outside decides whether a configured source runs.  A tag counts for the item
 * that brought it first, also after a restart.
 *
 * Cannot fail.
 */
#include <stdio.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/tags_impl.h"

uint32_t tags_item_index(struct tags *t, const char *driver)
{
        size_t i = 0;

        while (i < t->n_items && strcmp(t->items[i].name, driver) != 0)
                i++;
        if (i < t->n_items)
                return (uint32_t)i;
        t->items = mem_grow(t->items, t->n_items + 1, sizeof(*t->items));
        t->items[t->n_items++] = (struct tags_item){.name = tags_keep(t, driver), .kind = "", .most = SIZE_MAX};
        return (uint32_t)i;
}

static struct tags_item *item_made(struct tags *t, const char *driver)
{
        uint32_t i = tags_item_index(t, driver);

        return &t->items[i];
}

struct tags_item *tags_item(struct tags *t, size_t i)
{
        return i < t->n_items ? &t->items[i] : NULL;
}

struct tags_item *tags_item_of(struct tags *t, const char *driver)
{
        for (size_t i = 0; i < t->n_items; i++)
                if (!strcmp(t->items[i].name, driver))
                        return &t->items[i];
        return NULL;
}

struct owners *tags_owners(struct tags *t)
{
        return &t->owners;
}

/* ---- claims ---- */

static void set_kind(struct tags *t, struct tags_item *it, const char *kind)
{
        if (strcmp(it->kind, kind) != 0)
                it->kind = tags_keep(t, kind);
}

void tags_claim(struct tags *t, const char *kind, const char *driver, const char *source, const char *name)
{
        struct tags_item *it = item_made(t, driver);
        uint32_t tag;

        set_kind(t, it, kind);
        owners_add(&t->owners, source, it->kind, it->name);
        if (name && tags_find(t, source, name, "", &tag) == 0)
                tags_set_configured(t, tag, (uint32_t)(it - t->items), true);
}

bool tags_may_speak(struct tags *t, const char *source, const char *driver)
{
        struct tags_item *it;
        struct owner *o;

        if (owners_allow(&t->owners, source, driver))
                return true;
        it = item_made(t, driver);
        it->n_owned++;
        o = owners_of(&t->owners, source);
        o->n_refused++;
        o->by = it->name;
        snprintf(t->why, sizeof(t->why), "%s belongs to %s %s", source, o->kind, o->item);
        return false;
}

void tags_release(struct tags *t, const char *driver)
{
        struct tags_item *it = tags_item_of(t, driver);

        if (!it)
                return;
        owners_drop(&t->owners, driver);
        it->kind = "";
        it->most = SIZE_MAX;
        for (uint32_t i = 0; i < t->n; i++)
                if (tags_is_tag(t, i) && t->tag[i].configured && t->tag[i].driver == it->name)
                        tags_set_configured(t, i, t->tag[i].item, false);
}

/* ---- shares ---- */

void tags_share(struct tags *t, const char *kind, const char *driver, size_t most)
{
        struct tags_item *it = item_made(t, driver);

        set_kind(t, it, kind);
        it->most = most;
}

void tags_counted(struct tags *t, const struct tag *row, int by)
{
        if (row->forgotten) {
                t->n_forgotten += (size_t)by;
        } else if (!row->configured) {
                t->n_wire += (size_t)by;
                t->items[row->item].n += (size_t)by;
        }
}

void tags_set_configured(struct tags *t, uint32_t tag, uint32_t item, bool on)
{
        uint32_t row = tag;

        do {
                struct tag *g = &t->tag[row];

                tags_counted(t, g, -1);
                g->configured = on;
                if (g->item != item)
                        tags_mark_moved(t, row);
                g->item = item;
                g->driver = t->items[item].name;
                tags_counted(t, g, 1);
                row = g->next_unit;
        } while (row);
}

bool tags_has_room(struct tags *t, uint32_t item, bool configured)
{
        struct tags_item *it = &t->items[item];

        if (!t->spare.n && t->n >= (configured ? TAGS_ROWS_MAX : TAGS_WIRE_MAX))
                snprintf(t->why, sizeof(t->why), "tag table full: %zu rows", t->n);
        else if (!configured && it->n >= it->most)
                snprintf(t->why, sizeof(t->why), "tag table full: max_tags of %s %s is %zu", it->kind, it->name,
                         it->most);
        else if (!configured && t->n_wire >= t->most)
                snprintf(t->why, sizeof(t->why), "tag table full: limits.max_tags is %zu", t->most);
        else
                return true;
        it->n_full++;
        return false;
}

const char *tags_why(const struct tags *t)
{
        return t->why;
}

void tags_counts(const struct tags *t, struct tags_counts *out)
{
        *out = (struct tags_counts){.n = t->n - t->n_forgotten - t->spare.n,
                                    .n_wire = t->n_wire,
                                    .most = t->most,
                                    .n_forgotten = t->n_forgotten};
}
