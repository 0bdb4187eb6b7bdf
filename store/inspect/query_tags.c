/*
 * query_tags: the tags of a spool, and with a walk over its readings what each
 * of them brought: all of it, or the last only.
 *
 * Rows are added, so those known are not read again, unless the file says that
 * some became other tags'; the units of one tag are one line of the listing.  A
 * forgotten tag is listed for as long as it has readings there.  A tag made
 * while a listing runs may come without its names. How it fails: with a
 * sentence.
 */
#include <stdlib.h>
#include <string.h>

#include "store/inspect/query_impl.h"

enum { STATS_ROWS = 20000 };

/* Rows that are other tags' now: all are read again. */
static int look_at_moves(struct spool_query *q, struct err *e)
{
        uint64_t moved;

        if (query_int(q, "SELECT coalesce((SELECT value FROM meta WHERE key='tags_moved'), 0)", &moved, e) < 0)
                return -1;
        if (moved != q->tags_moved) {
                tags_free(q->tags);
                q->tags = tags_new(0);
        }
        q->tags_moved = moved;
        return 0;
}

int query_load_tags(struct spool_query *q, struct err *e)
{
        sqlite3_stmt *st;
        int rc;

        if (look_at_moves(q, e) < 0)
                return -1;
        st = query_prepare(q,
                           q->has_forgotten ? "SELECT " SPOOL_TAG_COLUMNS ", f.tag IS NOT NULL FROM tag LEFT JOIN"
                                              " forgotten f ON f.tag = tag.id WHERE id >= ?1 ORDER BY id"
                                            : "SELECT " SPOOL_TAG_COLUMNS ", 0 FROM tag WHERE id >= ?1 ORDER BY id",
                           e);
        if (!st)
                return -1;
        sqlite3_bind_int64(st, 1, (int64_t)tags_count(q->tags));
        while ((rc = sqlite3_step(st)) == SQLITE_ROW && (size_t)sqlite3_column_int64(st, 0) == tags_count(q->tags)) {
                struct tag row;

                spool_read_tag(st, &row);
                row.forgotten = sqlite3_column_int(st, 7);
                tags_load(q->tags, &row);
        }
        return query_finish(q, st, rc, e);
}

const struct tag *query_tag(const struct spool_query *q, uint32_t tag)
{
        static const struct tag none = {.source = "", .name = "", .unit = "", .labels = "", .driver = ""};

        return tag < tags_count(q->tags) ? tags_get(q->tags, tag) : &none;
}

static void add_to_stats(struct spool_query *q, struct spool_query_tag *sum, const struct spool_row *row,
                         const struct lane_sums *l)
{
        const struct tag *tag = query_tag(q, row->r.tag);
        struct spool_query_tag *t = &sum[tag->first];

        if (!query_is_delivered(l, row->seq))
                t->n_held++;
        else
                t->n_kept++;
        if (!t->oldest_ts_us || row->r.ts_us < t->oldest_ts_us)
                t->oldest_ts_us = row->r.ts_us;
        if (row->r.ts_us < t->newest_ts_us)
                return;
        t->newest_ts_us = t->last_ts_us = row->r.ts_us;
        t->unit = tag->unit;
        t->has_last = true;
        t->last = row->r;
        if (t->last.type == READING_TEXT || t->last.type == READING_RAW)
                t->last.v.text = NULL;
}

static int walk_stats(struct spool_query *q, struct spool_query_tag *sum, struct err *e)
{
        sqlite3_stmt *st =
                query_prepare(q, "SELECT " SPOOL_COLUMNS " FROM reading WHERE seq > ?1 ORDER BY seq LIMIT ?2", e);
        struct lane_sums l;
        uint64_t after = 0;
        struct spool_row row;
        int rc, n_rows = STATS_ROWS;

        if (!st || query_lane(q, SPOOL_SAMPLES, &l, e) < 0) {
                sqlite3_finalize(st);
                return -1;
        }
        for (rc = SQLITE_DONE; rc == SQLITE_DONE && n_rows == STATS_ROWS;) {
                sqlite3_bind_int64(st, 1, (int64_t)after);
                sqlite3_bind_int64(st, 2, STATS_ROWS);
                for (n_rows = 0; (rc = query_next(st, 0, false, &after)) == SQLITE_ROW; n_rows++) {
                        spool_read_row(st, &row);
                        if (row.r.tag < tags_count(q->tags))
                                add_to_stats(q, sum, &row, &l);
                }
                sqlite3_reset(st);
        }
        return query_finish(q, st, rc, e);
}

/* ---- the last of each, from the newest down ---- */

struct lasts {
        struct spool_query *q;
        struct spool_query_tag *sum;
        size_t missing; /* tags that have had a reading and were not met yet */
        uint64_t left;  /* rows to be looked at */
};

static bool has_text(const struct reading *r)
{
        return r->type == READING_TEXT || r->type == READING_RAW;
}

/* Of its text the first bytes, whole characters. */
static void keep_first(struct reading *r)
{
        const char *text = r->v.text;
        uint32_t n = r->len;

        if (n > SPOOL_LAST_TEXT) {
                n = SPOOL_LAST_TEXT;
                while (r->type == READING_TEXT && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
                        n--;
        }
        r->v.text = n ? memcpy(mem_alloc(n), text, n) : mem_alloc(1);
        r->len = n;
}

/* False: enough is known. */
static bool take_last(struct lasts *l, const struct spool_row *row)
{
        const struct tag *tag = query_tag(l->q, row->r.tag);
        struct spool_query_tag *t = row->r.tag < tags_count(l->q->tags) ? &l->sum[tag->first] : NULL;

        l->left--;
        if (!t || t->has_last)
                return l->left > 0;
        t->has_last = true;
        t->unit = tag->unit;
        t->last = row->r;
        t->last_ts_us = t->newest_ts_us = row->r.ts_us;
        if (has_text(&row->r))
                keep_first(&t->last);
        l->missing -= tags_is_tag(l->q->tags, t->id); /* forgotten ones were not waited for */
        return l->missing > 0 && l->left > 0;
}

static int walk_down(struct lasts *l, struct err *e)
{
        sqlite3_stmt *st = query_prepare(
                l->q, "SELECT " SPOOL_COLUMNS " FROM reading WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2", e);
        uint64_t edge = INT64_MAX;
        bool more = l->missing > 0 && l->left > 0;
        struct spool_row row;
        int rc = SQLITE_DONE, n_rows = STATS_ROWS;

        while (st && more && rc == SQLITE_DONE && n_rows == STATS_ROWS) {
                sqlite3_bind_int64(st, 1, (int64_t)edge);
                sqlite3_bind_int64(st, 2, STATS_ROWS);
                for (n_rows = 0; more && (rc = query_next(st, 0, true, &edge)) == SQLITE_ROW; n_rows++) {
                        spool_read_row(st, &row);
                        more = take_last(l, &row);
                }
                sqlite3_reset(st);
        }
        return st ? query_finish(l->q, st, more ? rc : SQLITE_DONE, e) : -1;
}

/* ---- listing ---- */

static bool is_listed(const struct spool_query *q, const struct spool_query_tag *t)
{
        return tags_is_tag(q->tags, t->id) || (t->forgotten && t->n_held + t->n_kept);
}

/* The caller's to free. */
static struct spool_query_tag *make_sums(const struct spool_query *q)
{
        size_t n = tags_count(q->tags);
        struct spool_query_tag *sum = mem_alloc((n + 1) * sizeof(*sum));

        for (size_t i = 0; i < n; i++) {
                const struct tag *t = query_tag(q, (uint32_t)i);

                sum[i] = (struct spool_query_tag){.id = (uint32_t)i,
                                                  .source = t->source,
                                                  .name = t->name,
                                                  .unit = tags_unit(q->tags, t->first),
                                                  .labels = t->labels,
                                                  .driver = t->driver,
                                                  .last_ts_us = t->last_ts_us,
                                                  .forgotten = t->forgotten};
        }
        return sum;
}

static void show_tags(const struct spool_query *q, const struct spool_query_tag *sum,
                      bool (*each)(void *ctx, const struct spool_query_tag *tag), void *ctx)
{
        size_t n = tags_count(q->tags);

        for (size_t i = 0; i < n; i++)
                if (is_listed(q, &sum[i]) && !each(ctx, &sum[i]))
                        break;
}

int spool_query_tags(struct spool_query *q, bool stats, bool (*each)(void *ctx, const struct spool_query_tag *tag),
                     void *ctx, struct err *e)
{
        struct spool_query_tag *sum;
        int rc;

        if (query_load_tags(q, e) < 0)
                return -1;
        sum = make_sums(q);
        rc = stats ? walk_stats(q, sum, e) : 0;
        if (!rc)
                show_tags(q, sum, each, ctx);
        free(sum);
        return rc;
}

int spool_query_last(struct spool_query *q, uint64_t most, bool (*each)(void *ctx, const struct spool_query_tag *tag),
                     void *ctx, struct err *e)
{
        struct lasts l = {.q = q, .left = most};
        size_t n;
        int rc;

        if (query_load_tags(q, e) < 0)
                return -1;
        n = tags_count(q->tags);
        l.sum = make_sums(q);
        for (size_t i = 0; i < n; i++)
                l.missing += tags_is_tag(q->tags, (uint32_t)i);
        rc = walk_down(&l, e);
        if (!rc)
                show_tags(q, l.sum, each, ctx);
        for (size_t i = 0; i < n; i++)
                if (l.sum[i].has_last && has_text(&l.sum[i].last))
                        free((char *)(uintptr_t)l.sum[i].last.v.text);
        free(l.sum);
        return rc;
}
