/*
 * owners: see owners.h.  Chains in buckets, because a source may belong to
 * several items, and items come and go with a reload: then the chains are made
 * anew.
 *
 * Cannot fail.
 */
#include "agent/base/owners.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/table_hash.h"

void owners_fini(struct owners *o)
{
        for (size_t i = 0; i < o->n; i++)
                free(o->v[i].source);
        free(o->v);
        free(o->bucket);
        *o = (struct owners){0};
}

static uint32_t *bucket_of(const struct owners *o, const char *source)
{
        return &o->bucket[table_hash(source, strlen(source), 0) & (o->n_buckets - 1)];
}

/* Behind those of its bucket, so that the first to come is the first found. */
static void chain(struct owners *o, uint32_t i)
{
        uint32_t *at = bucket_of(o, o->v[i].source);

        while (*at)
                at = &o->v[*at - 1].next;
        o->v[i].next = 0;
        *at = i + 1;
}

static void chain_all(struct owners *o)
{
        memset(o->bucket, 0, o->n_buckets * sizeof(*o->bucket));
        for (size_t i = 0; i < o->n; i++)
                chain(o, (uint32_t)i);
}

static void grow(struct owners *o)
{
        if (o->n < o->cap)
                return;
        o->cap = o->cap ? 2 * o->cap : 16;
        o->v = mem_grow(o->v, o->cap, sizeof(*o->v));
        o->n_buckets = 2 * o->cap;
        o->bucket = mem_grow(o->bucket, o->n_buckets, sizeof(*o->bucket));
        chain_all(o);
}

static struct owner *find(const struct owners *o, const char *source, const char *item)
{
        uint32_t i = o->n ? *bucket_of(o, source) : 0;

        while (i && (strcmp(o->v[i - 1].source, source) != 0 || (item && strcmp(o->v[i - 1].item, item) != 0)))
                i = o->v[i - 1].next;
        return i ? &o->v[i - 1] : NULL;
}

void owners_add(struct owners *o, const char *source, const char *kind, const char *item)
{
        if (find(o, source, item))
                return;
        grow(o);
        o->v[o->n] = (struct owner){.source = mem_strdup(source), .item = item, .kind = kind};
        chain(o, (uint32_t)o->n++);
}

void owners_drop(struct owners *o, const char *item)
{
        size_t n = 0;

        for (size_t i = 0; i < o->n; i++) {
                if (strcmp(o->v[i].item, item) != 0)
                        o->v[n++] = o->v[i];
                else
                        free(o->v[i].source);
        }
        if (n == o->n)
                return;
        o->n = n;
        chain_all(o);
}

struct owner *owners_of(const struct owners *o, const char *source)
{
        return find(o, source, NULL);
}

bool owners_allow(const struct owners *o, const char *source, const char *item)
{
        return !find(o, source, NULL) || find(o, source, item);
}
