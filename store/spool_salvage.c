/*
 * spool_salvage: see spool_salvage.h.  A page may be there in several versions: of a watermark the highest counts, of a tag
 * the first that is found.
 */
#include "store/spool_salvage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

enum { MOST_TAGS = 1000000 };

static bool is_text(const struct pages_value *v, const char *text)
{
        return v->type == PAGES_TEXT && v->len == strlen(text) && !memcmp(v->p, text, v->len);
}

/* A page may be there in several versions: the watermark only grows. */
bool salvage_pair(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        const struct pages_value *v = row->v;

        for (int i = 0; i < SPOOL_LANES; i++)
                if (is_text(&v[0], spool_lane_names[i]) && v[1].type == PAGES_INT && v[1].i > 0 &&
                    (uint64_t)v[1].i > s->acked[i])
                        s->acked[i] = (uint64_t)v[1].i;
        if (is_text(&v[0], "epoch") && v[1].type == PAGES_INT && v[1].i > 0)
                s->r->old_epoch = (uint64_t)v[1].i;
        if (is_text(&v[0], "gateway") && v[1].type == PAGES_TEXT && v[1].len <= TEXT_NAME_MAX) {
                snprintf(s->gateway, sizeof(s->gateway), "%.*s", (int)v[1].len, v[1].p);
                s->has_gateway = true;
        }
        return true;
}

bool salvage_dropped(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        const struct pages_value *v = row->v;

        if (!is_text(&v[0], spool_lane_names[SPOOL_SAMPLES]) || v[1].type != PAGES_INT || v[2].type != PAGES_INT ||
            v[1].i < 1 || v[2].i < v[1].i)
                return true;
        if (s->n_dropped == s->cap_dropped) {
                s->cap_dropped = s->cap_dropped ? 2 * s->cap_dropped : 64;
                s->dropped = mem_grow(s->dropped, s->cap_dropped, sizeof(*s->dropped));
        }
        s->dropped[s->n_dropped++] = (struct range){(uint64_t)v[1].i, (uint64_t)v[2].i};
        return true;
}

static int by_first(const void *a, const void *b)
{
        const struct range *x = a, *y = b;

        return x->first < y->first ? -1 : x->first > y->first;
}

void salvage_sort_dropped(struct salvage *s)
{
        if (s->n_dropped)
                qsort(s->dropped, s->n_dropped, sizeof(*s->dropped), by_first);
}

bool salvage_tag(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        size_t id = (size_t)row->rowid;

        if (row->rowid < 0 || row->rowid >= MOST_TAGS)
                return true;
        for (int i = 1; i <= 5; i++)
                if (row->v[i].type != PAGES_TEXT || row->v[i].len > 4096)
                        return true;
        if (id >= s->cap_tags) {
                size_t cap = id + 1 > 2 * s->cap_tags ? id + 1 : 2 * s->cap_tags;

                s->tags = mem_grow(s->tags, cap, sizeof(*s->tags));
                memset(s->tags + s->cap_tags, 0, (cap - s->cap_tags) * sizeof(*s->tags));
                s->cap_tags = cap;
        }
        if (id >= s->n_tags)
                s->n_tags = id + 1;
        for (int i = 0; i < 5 && (i || !s->tags[id].text[0]); i++) {
                s->tags[id].text[i] = mem_alloc((size_t)row->v[i + 1].len + 1);
                memcpy(s->tags[id].text[i], row->v[i + 1].p, row->v[i + 1].len);
        }
        return true;
}

bool salvage_was_dropped(const struct salvage *s, uint64_t seq, uint64_t *last)
{
        size_t low = 0, high = s->n_dropped;

        while (low < high) {
                size_t mid = (low + high) / 2;

                if (s->dropped[mid].last < seq)
                        low = mid + 1;
                else
                        high = mid;
        }
        *last = low < s->n_dropped ? s->dropped[low].first <= seq ? s->dropped[low].last : s->dropped[low].first - 1
                                   : UINT64_MAX;
        return low < s->n_dropped && s->dropped[low].first <= seq;
}

void salvage_release(struct salvage *s)
{
        for (size_t id = 0; id < s->n_tags; id++)
                for (int i = 0; i < 5; i++)
                        free(s->tags[id].text[i]);
        free(s->tags);
        free(s->dropped);
        sqlite3_finalize(s->put);
        sqlite3_finalize(s->put_event);
        if (s->pages)
                pages_close(s->pages);
}
