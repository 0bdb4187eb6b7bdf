/*
 * salvage: see salvage.h.  A page may be there in several versions: of a
 * watermark the highest counts, of a tag the one with the latest turn; a span
 * is the same in all of them. How it fails: a row that is not plausible, or
 * whose time nobody knows, counts as lost; nothing is guessed.
 */
#include "store/rescue/salvage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

enum { TAGS_MAX = 1000000, UNNAMED_MAX = 1000 };

void salvage_bind(sqlite3_stmt *st, int at, const struct pages_value *v)
{
        switch (v->type) {
        case PAGES_INT:
                sqlite3_bind_int64(st, at, v->i);
                return;
        case PAGES_REAL:
                sqlite3_bind_double(st, at, v->real);
                return;
        case PAGES_TEXT:
                sqlite3_bind_text(st, at, v->p, (int)v->len, SQLITE_STATIC);
                return;
        case PAGES_BLOB:
                sqlite3_bind_blob(st, at, v->p, (int)v->len, SQLITE_STATIC);
                return;
        default:
                sqlite3_bind_null(st, at);
        }
}

static bool is_text(const struct pages_value *v, const char *text)
{
        return v->type == PAGES_TEXT && v->len == strlen(text) && !memcmp(v->p, text, v->len);
}

/* Dropped, or delivered ahead: of no concern to us. */
static void note_range(struct salvage *s, int64_t first, int64_t last)
{
        if (first < 1 || last < first || last > (int64_t)SPOOL_SEQ_MAX)
                return;
        if (s->n_dropped == s->cap_dropped) {
                s->cap_dropped = s->cap_dropped ? 2 * s->cap_dropped : 64;
                s->dropped = mem_grow(s->dropped, s->cap_dropped, sizeof(*s->dropped));
        }
        s->dropped[s->n_dropped++] = (struct range){(uint64_t)first, (uint64_t)last};
}

/* A page may be there in several versions: the watermark only grows. */
bool salvage_pair(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        const struct pages_value *v = row->v;

        for (int i = 0; i < SPOOL_LANES; i++)
                if (is_text(&v[0], spool_lane_names[i]) && v[1].type == PAGES_INT && v[1].i > 0 &&
                    v[1].i <= (int64_t)SPOOL_SEQ_MAX && (uint64_t)v[1].i > s->acked[i])
                        s->acked[i] = (uint64_t)v[1].i;
        if (v[0].type == PAGES_INT) /* of the table ahead */
                note_range(s, v[0].i, v[1].type == PAGES_INT ? v[1].i : 0);
        if (is_text(&v[0], "epoch") && v[1].type == PAGES_INT && v[1].i > 0 && (uint64_t)v[1].i <= SPOOL_EPOCH_MAX)
                s->r->old_epoch = (uint64_t)v[1].i;
        if (is_text(&v[0], "alarm_told") && v[1].type == PAGES_INT && v[1].i >= s->notified_alarms) {
                s->notified_alarms = v[1].i;
                s->has_notified = true;
        }
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

        if (is_text(&v[0], spool_lane_names[SPOOL_SAMPLES]) && v[1].type == PAGES_INT && v[2].type == PAGES_INT)
                note_range(s, v[1].i, v[2].i);
        return true;
}

static int by_first(const void *a, const void *b)
{
        const struct range *x = a, *y = b;

        return x->first < y->first ? -1 : x->first > y->first;
}

/* From either of the two tables. */
bool salvage_span(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;

        if (row->rowid < 1 || row->v[0].type != PAGES_NULL || row->v[1].type != PAGES_INT)
                return true;
        if (s->n_spans == s->cap_spans) {
                s->cap_spans = s->cap_spans ? 2 * s->cap_spans : 64;
                s->spans = mem_grow(s->spans, s->cap_spans, sizeof(*s->spans));
        }
        s->spans[s->n_spans++] = (struct found_span){(uint64_t)row->rowid, row->v[1].i};
        return true;
}

static int by_first_of_span(const void *a, const void *b)
{
        const struct found_span *x = a, *y = b;

        return x->first < y->first ? -1 : x->first > y->first;
}

/*
 * Ranges that overlap become one: what was dropped where rows went ahead, or
 * several versions of a page.
 */
void salvage_sort(struct salvage *s)
{
        size_t n = 0;

        if (s->n_dropped)
                qsort(s->dropped, s->n_dropped, sizeof(*s->dropped), by_first);
        for (size_t i = 0; i < s->n_dropped; i++) {
                if (n && s->dropped[i].first <= s->dropped[n - 1].last)
                        s->dropped[n - 1].last = s->dropped[i].last > s->dropped[n - 1].last ? s->dropped[i].last
                                                                                             : s->dropped[n - 1].last;
                else
                        s->dropped[n++] = s->dropped[i];
        }
        s->n_dropped = n;
        if (s->n_spans)
                qsort(s->spans, s->n_spans, sizeof(*s->spans), by_first_of_span);
}

/* ---- a reading ---- */

static const struct found_span *span_of(const struct salvage *s, uint64_t seq)
{
        size_t low = 0, high = s->n_spans;

        while (low < high) {
                size_t mid = (low + high) / 2;

                if (s->spans[mid].first <= seq)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low ? &s->spans[low - 1] : NULL;
}

/* seq, t_us, bits, delay_us, value */
static bool read_sample(const struct salvage *s, const struct pages_row *row, struct found *out)
{
        const struct found_span *span = span_of(s, (uint64_t)row->rowid);
        const struct pages_value *v = row->v;

        if (!span || v[1].type != PAGES_INT || v[2].type != PAGES_INT || v[3].type != PAGES_INT || v[2].i < 0)
                return false;
        *out = (struct found){
                .ts_us = spool_time_sum(span->base_us, v[1].i), .bits = v[2].i, .delay_us = v[3].i, .value = &v[4]};
        return true;
}

/* Up to format 4: seq, ts_us, tag, quality, flags, value, delay_us, mid */
static bool read_old(const struct pages_row *row, struct found *out)
{
        const struct pages_value *v = row->v;

        if (v[6].type != PAGES_INT || v[7].type != PAGES_INT || v[7].i < 0 || v[7].i > UINT16_MAX)
                return false;
        for (int i = 1; i < 5; i++)
                if (v[i].type != PAGES_INT)
                        return false;
        if (v[2].i < 0 || v[2].i >= TAGS_MAX || v[3].i < 0 || v[3].i >= N_QUALITIES || v[4].i < 0 ||
            v[4].i > UINT16_MAX)
                return false;
        *out = (struct found){
                .ts_us = spool_time_sum(v[1].i, 0),
                .bits = spool_sample_bits((uint32_t)v[2].i, (unsigned)v[3].i, (unsigned)v[4].i, (unsigned)v[7].i),
                .delay_us = v[6].i,
                .value = &v[5]};
        return true;
}

bool salvage_reading(const struct salvage *s, const struct pages_row *row, struct found *out)
{
        if (row->rowid < 1 || row->rowid > (int64_t)SPOOL_SEQ_MAX || row->v[0].type != PAGES_NULL)
                return false;
        if (row->n == SAMPLE_COLUMNS ? !read_sample(s, row, out) : !read_old(row, out))
                return false;
        out->tag = spool_sample_tag(out->bits);
        return (out->tag < s->n_tags || out->tag < UNNAMED_MAX) && spool_sample_quality(out->bits) < N_QUALITIES &&
               (out->value->type != PAGES_TEXT || text_is_utf8(out->value->p, out->value->len));
}

bool salvage_tag(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        size_t id = (size_t)row->rowid;
        int64_t turn = row->n == 8 && row->v[7].type == PAGES_INT ? row->v[7].i : 0;

        if (row->rowid < 0 || row->rowid >= TAGS_MAX)
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
        if (s->tags[id].text[0] && turn <= s->tags[id].turn)
                return true;
        s->tags[id].turn = turn;
        for (int i = 0; i < 5; i++) {
                free(s->tags[id].text[i]);
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

void salvage_fini(struct salvage *s)
{
        for (size_t id = 0; id < s->n_tags; id++)
                for (int i = 0; i < 5; i++)
                        free(s->tags[id].text[i]);
        free(s->tags);
        free(s->dropped);
        free(s->spans);
        sqlite3_finalize(s->put);
        sqlite3_finalize(s->put_event);
        sqlite3_finalize(s->move_aggregate);
        if (s->pages)
                pages_close(s->pages);
}
