/*
 * gaps: see gaps.h.
 *
 * What is usual is known only when all was seen, so the longest pauses are kept
 * and judged at the end.  Readings that come late, or behind a clock that was
 * set back, make no pause.  Fails never.
 */
#include "agent/cli/past/gaps.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

enum { PAUSES_LEAST = 10, LEAST_US = 60000000, TAGS_MOST = 1 << 20 };

void gaps_fini(struct gaps *g)
{
        free(g->v);
        *g = (struct gaps){0};
}

static int bucket_of(int64_t us)
{
        int64_t ms = us / 1000;
        int i = 0;

        for (; ms > 0 && i < GAPS_BUCKETS - 1; i++)
                ms >>= 1;
        return i;
}

static void remember(struct gaps_tag *t, int64_t from_us, int64_t to_us)
{
        int least = 0;

        for (int i = 1; i < GAPS_OF_TAG; i++)
                if (t->longest[i].to_us - t->longest[i].from_us < t->longest[least].to_us - t->longest[least].from_us)
                        least = i;
        if (to_us - from_us <= t->longest[least].to_us - t->longest[least].from_us)
                return;
        t->longest[least].from_us = from_us;
        t->longest[least].to_us = to_us;
}

void gaps_take(struct gaps *g, uint32_t tag, int64_t ts_us)
{
        struct gaps_tag *t;

        if (tag >= TAGS_MOST) /* of a damaged row */
                return;
        if (tag >= g->n) {
                size_t n = tag + tag / 2 + 64;

                g->v = mem_grow(g->v, n, sizeof(*g->v));
                memset(g->v + g->n, 0, (n - g->n) * sizeof(*g->v));
                g->n = n;
        }
        t = &g->v[tag];
        if (t->n && ts_us > t->last_us) {
                t->pauses[bucket_of(ts_us - t->last_us)]++;
                remember(t, t->last_us, ts_us);
        }
        if (!t->n++ || ts_us > t->last_us)
                t->last_us = ts_us;
}

/* -1: too few to say. */
static int64_t usual_us(const struct gaps_tag *t)
{
        uint64_t n = 0, seen = 0;
        int i = 0;

        for (int k = 0; k < GAPS_BUCKETS; k++)
                n += t->pauses[k];
        if (n < PAUSES_LEAST)
                return -1;
        while (i < GAPS_BUCKETS - 1 && (seen += t->pauses[i]) * 100 < n * 95)
                i++;
        return (INT64_C(1) << i) * 1000;
}

size_t gaps_of(const struct gaps *g, uint32_t tag, int64_t until_us, struct gap out[GAPS_OF_TAG + 1])
{
        const struct gaps_tag *t = &g->v[tag];
        int64_t usual = tag < g->n && t->n ? usual_us(t) : -1, limit;
        size_t n = 0;

        if (usual < 0)
                return 0;
        limit = 3 * usual > LEAST_US ? 3 * usual : LEAST_US;
        for (int i = 0; i < GAPS_OF_TAG; i++)
                if (t->longest[i].to_us - t->longest[i].from_us > limit)
                        out[n++] = (struct gap){tag, t->longest[i].from_us, t->longest[i].to_us, usual, false};
        if (until_us - t->last_us > limit)
                out[n++] = (struct gap){tag, t->last_us, until_us, usual, true};
        return n;
}
