/*
 * heap: pieces of SQLite's in lists by their size, as an agent that starts and
 * ends makes 40,000 of them, and a sanitizer's malloc takes a third of the time.
 *
 * A sanitizer still sees who reads what SQLite has freed, or behind its end:
 * pieces are forbidden but for what was asked for. What is never freed it does
 * not see: that memory is SQLite's own affair.  How it fails: it does not.
 */
#include "tests/fuzz/heap.h"

#include <sqlite3.h>
#include <stddef.h>
#include <string.h>

#include "agent/base/err.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if __has_feature(address_sanitizer) || defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { SMALLEST = 5, CLASSES = 27, SLAB = 1 << 20 };

struct piece {
        struct piece *next; /* in a list of free ones */
        int size, of;       /* as asked for; 2^of bytes with this head */
};

static struct piece *free_pieces[CLASSES];
static char *slab;
static size_t slab_left;

static struct piece *carve(int of)
{
        size_t n = (size_t)1 << of;
        struct piece *p;

        if (n > SLAB)
                return mem_alloc(n);
        if (slab_left < n) {
                slab = mem_alloc(SLAB);
                slab_left = SLAB;
        }
        p = (struct piece *)slab;
        slab += n;
        slab_left -= n;
        return p;
}

static void *on_malloc(int n)
{
        struct piece *p;
        int of = SMALLEST;

        while ((size_t)1 << of < (size_t)n + sizeof(*p))
                of++;
        if (of >= CLASSES)
                return NULL;
        p = free_pieces[of];
        if (p)
                free_pieces[of] = p->next;
        else
                p = carve(of);
        *p = (struct piece){NULL, n, of};
        ASAN_POISON_MEMORY_REGION(p + 1, ((size_t)1 << of) - sizeof(*p));
        ASAN_UNPOISON_MEMORY_REGION(p + 1, (size_t)n);
        return p + 1;
}

static struct piece *piece_of(void *at)
{
        return (struct piece *)at - 1;
}

static void on_free(void *at)
{
        struct piece *p = piece_of(at);

        ASAN_POISON_MEMORY_REGION(p + 1, ((size_t)1 << p->of) - sizeof(*p));
        p->next = free_pieces[p->of];
        free_pieces[p->of] = p;
}

static int on_size(void *at)
{
        return at ? piece_of(at)->size : 0;
}

static void *on_realloc(void *at, int n)
{
        void *more = on_malloc(n);
        int had = on_size(at);

        if (more && at) {
                memcpy(more, at, (size_t)(had < n ? had : n));
                on_free(at);
        }
        return more;
}

static int on_roundup(int n)
{
        return (n + 7) & ~7;
}

static int on_init(void *ctx)
{
        return SQLITE_OK;
}

static void on_shutdown(void *ctx)
{
}

void heap_use(void)
{
        static const struct sqlite3_mem_methods ours = {.xMalloc = on_malloc,
                                                        .xFree = on_free,
                                                        .xRealloc = on_realloc,
                                                        .xSize = on_size,
                                                        .xRoundup = on_roundup,
                                                        .xInit = on_init,
                                                        .xShutdown = on_shutdown};

        BUG_ON(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK);
        sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}
