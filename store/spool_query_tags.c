/*
 * spool_query_tags: the tags of a spool, and with a walk over its readings what each of them brought.
 *
 * Tags are only ever added, so those known are not read again.  A tag made while a listing runs may come without its names.
 * How it fails: with a sentence.
 */
#include <stdlib.h>
#include <string.h>

#include "store/spool_query_impl.h"

enum { STATS_ROWS = 20000 };

static void set_names(struct names *t, sqlite3_stmt *st)
{
        size_t len[5], sum = 0;
        char *p;

        for (int i = 0; i < 5; i++)
                sum += len[i] = strlen(query_text(st, i + 1)) + 1;
        t->text = p = mem_alloc(sum);
        for (int i = 0; i < 5; i++) {
                t->at[i] = memcpy(p, query_text(st, i + 1), len[i]);
                p += len[i];
        }
        t->last_ts_us = sqlite3_column_int64(st, 6);
}

int query_load_tags(struct spool_query *q, struct err *e)
{
        sqlite3_stmt *st = query_prepare(
                q, "SELECT id, source, name, unit, labels, driver, last_ts_us FROM tag WHERE id >= ?1 ORDER BY id", e);
        int rc;

        if (!st)
                return -1;
        sqlite3_bind_int64(st, 1, (int64_t)q->n_tags);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW && (size_t)sqlite3_column_int64(st, 0) == q->n_tags) {
                q->tags = mem_grow(q->tags, q->n_tags + 1, sizeof(*q->tags));
                set_names(&q->tags[q->n_tags++], st);
        }
        return query_finish(q, st, rc, e);
}

const struct names *query_names(const struct spool_query *q, uint32_t tag)
{
        static const struct names none = {.at = {"", "", "", "", ""}};

        return tag < q->n_tags ? &q->tags[tag] : &none;
}

static void add_to_stats(struct spool_query_tag *t, const struct spool_row *row, const struct lane_sums *l)
{
        if (!query_is_delivered(l, row->seq))
                t->n_held++;
        else
                t->n_kept++;
        if (!t->oldest_ts_us || row->r.ts_us < t->oldest_ts_us)
                t->oldest_ts_us = row->r.ts_us;
        if (row->r.ts_us < t->newest_ts_us)
                return;
        t->newest_ts_us = t->last_ts_us = row->r.ts_us;
        t->has_last = true;
        t->last = row->r;
        if (t->last.type == READING_TEXT || t->last.type == READING_RAW)
                t->last.v.text = NULL;
}

static int walk_stats(struct spool_query *q, struct spool_query_tag *sum, size_t n, struct err *e)
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
                for (n_rows = 0; (rc = sqlite3_step(st)) == SQLITE_ROW; n_rows++) {
                        spool_read_row(st, &row);
                        after = row.seq;
                        if (row.r.tag < n)
                                add_to_stats(&sum[row.r.tag], &row, &l);
                }
                sqlite3_reset(st);
        }
        return query_finish(q, st, rc, e);
}

int spool_query_tags(struct spool_query *q, bool stats, bool (*each)(void *ctx, const struct spool_query_tag *tag),
                     void *ctx, struct err *e)
{
        struct spool_query_tag *sum;
        int rc = 0;

        if (query_load_tags(q, e) < 0)
                return -1;
        sum = mem_alloc((q->n_tags + 1) * sizeof(*sum));
        for (size_t i = 0; i < q->n_tags; i++)
                sum[i] = (struct spool_query_tag){.id = (uint32_t)i,
                                                  .source = q->tags[i].at[0],
                                                  .name = q->tags[i].at[1],
                                                  .unit = q->tags[i].at[2],
                                                  .labels = q->tags[i].at[3],
                                                  .driver = q->tags[i].at[4],
                                                  .last_ts_us = q->tags[i].last_ts_us};
        if (stats)
                rc = walk_stats(q, sum, q->n_tags, e);
        for (size_t i = 0; i < q->n_tags && rc == 0; i++)
                if (!each(ctx, &sum[i]))
                        break;
        free(sum);
        return rc;
}
