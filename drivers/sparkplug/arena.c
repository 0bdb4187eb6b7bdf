/*
 * arena: see arena.h.
 *
 * Why: protobuf-c allocates each metric, name and text; a message of 20 values
 * would cost 60 calls of malloc, and as many of free.  Here it is a pointer
 * moved, and in the steady state no call at all: the largest chunk of moderate
 * size stays for the next message, what a large birth took beyond that is given
 * back.
 *
 * Fails: only by `full`.
 */
#include "drivers/sparkplug/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/base/err.h"

enum { CHUNK_BYTES = 32 << 10, KEEP_BYTES = 256 << 10 };

struct sparkplug_chunk {
        struct sparkplug_chunk *next;
        size_t used, cap;
        alignas(max_align_t) unsigned char bytes[];
};

static struct sparkplug_chunk *add_chunk(struct sparkplug_arena *a, size_t n_bytes)
{
        size_t cap = a->chunks ? 2 * a->chunks->cap : CHUNK_BYTES;
        struct sparkplug_chunk *c;

        if (cap > a->most - a->total)
                cap = a->most - a->total;
        if (cap < n_bytes)
                cap = n_bytes;
        if (cap > a->most - a->total)
                return NULL;
        c = malloc(sizeof(*c) + cap); /* not mem_alloc: it need not be zeroed */
        if (!c)
                return NULL;
        *c = (struct sparkplug_chunk){.next = a->chunks, .cap = cap};
        a->total += cap;
        a->chunks = c;
        return c;
}

static void *arena_alloc(void *data, size_t n_bytes)
{
        struct sparkplug_arena *a = data;
        struct sparkplug_chunk *c = a->chunks;
        void *p;

        if (n_bytes > a->most) {
                a->full = true;
                return NULL;
        }
        n_bytes = (n_bytes + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
        if (!c || c->cap - c->used < n_bytes)
                c = add_chunk(a, n_bytes);
        if (!c) {
                a->full = true;
                return NULL;
        }
        p = c->bytes + c->used;
        c->used += n_bytes;
        return p;
}

static void arena_free(void *data, void *p)
{
}

void sparkplug_arena_init(struct sparkplug_arena *a, size_t most_bytes)
{
        *a = (struct sparkplug_arena){.allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = a},
                                      .most = most_bytes};
}

/* Chunks double, so the first one that may be kept is the largest of those. */
void sparkplug_arena_reset(struct sparkplug_arena *a)
{
        struct sparkplug_chunk *c = a->chunks, *next, *kept = NULL;

        for (; c; c = next) {
                next = c->next;
                if (!kept && c->cap <= KEEP_BYTES)
                        kept = c;
                else
                        free(c);
        }
        a->chunks = kept;
        a->total = 0;
        a->full = false;
        if (!kept)
                return;
        kept->next = NULL;
        kept->used = 0;
        a->total = kept->cap;
}

void sparkplug_arena_fini(struct sparkplug_arena *a)
{
        struct sparkplug_chunk *next;

        for (; a->chunks; a->chunks = next) {
                next = a->chunks->next;
                free(a->chunks);
        }
}
