/*
 * gone: dead nodes and devices whose tags an operator has forgotten.
 *
 * Sparkplug has no word for a device that was taken away: it has died, and will
 * never be born again.  Who gives back all of its tags says so.  A node is gone
 * with the tags of all its devices; one of which there never was a tag stays,
 * since nobody can have meant it.
 *
 * The tags are gone through once, whatever the number of dead parts.  Cannot
 * fail.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "drivers/sparkplug/impl.h"

struct dead {
        const char *labels, *source; /* a node's: "", it stands for all of these labels */
        const struct sparkplug_part *part;
        bool lives, was_there; /* a tag of it is known; one was forgotten */
};

static int by_place(const void *x, const void *y)
{
        const struct dead *a = x, *b = y;
        int order = strcmp(a->labels, b->labels);

        return order ? order : strcmp(a->source, b->source);
}

static size_t find_dead(const struct sparkplug *s, struct dead *v)
{
        size_t n = 0;

        for (size_t i = 0; i < s->parts.n; i++) {
                const struct sparkplug_part *p = s->parts.part[i];

                if (p->bad)
                        v[n++] = (struct dead){.labels = p->labels, .source = p == p->node ? "" : p->source, .part = p};
        }
        qsort(v, n, sizeof(*v), by_place);
        return n;
}

static void note(struct dead *v, size_t n, const struct tag *t, const char *source)
{
        const struct dead key = {.labels = t->labels, .source = source};
        struct dead *at = bsearch(&key, v, n, sizeof(*v), by_place);

        if (!at)
                return;
        at->was_there |= t->forgotten;
        at->lives |= !t->forgotten;
}

void sparkplug_forgotten(struct sparkplug *s, void (*on_gone)(void *ctx, const char *source), void *ctx)
{
        struct dead *v = mem_alloc((s->parts.n + 1) * sizeof(*v));
        size_t n = find_dead(s, v), n_tags = n ? tags_count(s->tags) : 0;

        for (uint32_t i = 0; i < n_tags; i++) {
                const struct tag *t = tags_get(s->tags, i);

                if (strcmp(t->driver, s->driver) != 0)
                        continue;
                note(v, n, t, "");
                note(v, n, t, t->source);
        }
        for (size_t i = 0; i < n; i++)
                if (v[i].was_there && !v[i].lives)
                        on_gone(ctx, v[i].part->source);
        free(v);
}
