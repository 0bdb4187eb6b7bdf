/*
 * sources: see sources.h.
 *
 * Two items that poll the same tag would mix two machines' values under one
 * name: that is a mistake.  With a pushed one it may be meant (two brokers that
 * carry the same), so it is only told.  One item may name a tag as often as it
 * likes.  All names are gathered and sorted; of a simulator that are many.
 *
 * Cannot fail.
 */
#include "agent/config/sources.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

struct use {
        char *name; /* source, tag */
        const void *field;
        const struct driver_ops *ops;
        const char *item;
        size_t no; /* in the order of the file */
};

struct uses {
        struct driver_names names;
        const struct driver_ops *ops; /* of the item that is asked */
        const char *item;
        struct use *v;
        size_t n, cap;
};

static void on_name(struct driver_names *to, const char *source, const char *tag, const void *field)
{
        struct uses *u = (struct uses *)to;
        size_t len = strlen(source) + 1;
        struct use *use;

        if (!tag)
                return;
        if (u->n == u->cap) {
                u->cap = u->cap ? 2 * u->cap : 256;
                u->v = mem_grow(u->v, u->cap, sizeof(*u->v));
        }
        use = &u->v[u->n];
        *use = (struct use){
                .name = mem_alloc(len + strlen(tag) + 1), .field = field, .ops = u->ops, .item = u->item, .no = u->n};
        u->n++;
        memcpy(use->name, source, len);
        memcpy(use->name + len - 1, "/", 1);
        strcpy(use->name + len, tag);
}

static int by_name(const void *x, const void *y)
{
        const struct use *a = x, *b = y;
        int order = strcmp(a->name, b->name);

        return order ? order : a->no < b->no ? -1 : 1;
}

static void tell(struct walk *w, struct config *c, const struct use *first, const struct use *again)
{
        const struct walk_place *at = walk_find(w, first->field), *here = walk_find(w, again->field);

        if (!at || !here)
                return;
        if (first->ops->share || again->ops->share)
                faults_add(&c->notices, &here->at, here->path, "%s comes from %s %s as well (%s:%d): two items say it",
                           again->name, first->ops->kind, first->item, at->at.file, at->at.line);
        else
                walk_fault(w, again->field, "%s is read by %s in %s:%d already; allowed: one item for a source and tag",
                           again->name, at->path, at->at.file, at->at.line);
}

void sources_check(struct walk *w, struct config *c)
{
        struct uses u = {.names = {on_name}};

        for (size_t i = 0; drivers_known[i]; i++) {
                const struct schema *schema = drivers_known[i]->schema;

                for (size_t k = 0; k < c->sections[i].n; k++) {
                        const char *item = (const char *)c->sections[i].items + k * schema->size;

                        if (!walk_is_right(w, item))
                                continue;
                        u.ops = drivers_known[i];
                        u.item = *(const char *const *)(const void *)(item + schema->keys[0].offset);
                        u.ops->names(item, &u.names);
                }
        }
        if (u.n)
                qsort(u.v, u.n, sizeof(*u.v), by_name);
        for (size_t i = 1; i < u.n; i++)
                if (strcmp(u.v[i].name, u.v[i - 1].name) == 0 && strcmp(u.v[i].item, u.v[i - 1].item) != 0)
                        tell(w, c, &u.v[i - 1], &u.v[i]);
        for (size_t i = 0; i < u.n; i++)
                free(u.v[i].name);
        free(u.v);
}
