/*
 * query_rows: listing readings and events by seq, slice by slice, with filters.
 *
 * A slice is copied out of SQLite before any of it is shown.  The newest so
 * many are found walking down, then shown walking up.  How it fails: with a
 * sentence.
 */
#include <stdlib.h>
#include <string.h>

#include "store/inspect/query_impl.h"

enum { SLICE_BYTES = 1 << 20 };

bool query_is_text(const struct reading *r)
{
        return r->type == READING_TEXT || r->type == READING_RAW;
}

void slice_put(struct slice *s, sqlite3_stmt *st, enum spool_lane lane)
{
        struct spool_row *row = &s->rows[s->n];

        s->kind_at[s->n] = s->severity[s->n] = 0;
        if (lane == SPOOL_EVENTS) {
                spool_read_event(st, row);
                s->kind_at[s->n] = query_keep(&s->bytes, query_text(st, 4), strlen(query_text(st, 4)) + 1);
                s->severity[s->n] = sqlite3_column_int(st, 5);
        } else {
                spool_read_row(st, row);
        }
        s->text_at[s->n] = query_is_text(&row->r) ? query_keep(&s->bytes, row->r.v.text, row->r.len) : 0;
        s->n++;
}

/*
 * The next rows above `edge` (or below it, `down`) into the slice; the
 * transaction is over on return.
 */
static int load_slice(struct spool_query *q, sqlite3_stmt *st, enum spool_lane lane, bool down, uint64_t edge,
                      uint64_t upto, struct slice *s, struct err *e)
{
        int rc;

        s->n = 0;
        s->bytes.n = 0;
        sqlite3_bind_int64(st, 1, (int64_t)edge);
        sqlite3_bind_int64(st, 2, (int64_t)upto);
        while ((rc = query_next(st, 0, down, &edge)) == SQLITE_ROW) {
                slice_put(s, st, lane);
                if (lane == SPOOL_SAMPLES)
                        spool_read_aggregate(q->aggregate, &s->rows[s->n - 1]);
                if (s->n == SLICE_ROWS || s->bytes.n > SLICE_BYTES)
                        break;
        }
        if (rc != SQLITE_ROW && rc != SQLITE_DONE &&
            (!s->n || rc == SQLITE_INTERRUPT)) { /* what comes before damage is shown */
                query_say(q, rc, e);
                sqlite3_reset(st);
                return -1;
        }
        sqlite3_reset(st);
        s->end = rc == SQLITE_DONE;
        for (int i = 0; i < s->n; i++)
                if (query_is_text(&s->rows[i].r))
                        s->rows[i].r.v.text = s->bytes.p ? s->bytes.p + s->text_at[i] : "";
        return s->n ? query_load_tags(q, e) : 0;
}

static const char *const up_sql[SPOOL_LANES] = {
        "SELECT " SPOOL_EVENT_COLUMNS " FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
        "SELECT " SPOOL_COLUMNS " FROM reading WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
};
static const char *const down_sql[SPOOL_LANES] = {
        "SELECT " SPOOL_EVENT_COLUMNS " FROM event WHERE seq < ?1 AND seq > ?2 ORDER BY seq DESC",
        "SELECT " SPOOL_COLUMNS " FROM reading WHERE seq < ?1 AND seq > ?2 ORDER BY seq DESC",
};

static bool matches(const struct spool_query *q, const struct spool_filter *f, const struct lane_sums *l,
                    const struct spool_row *row)
{
        const struct tag *t = query_tag(q, row->r.tag);

        if (f->held_only && query_is_delivered(l, row->seq))
                return false;
        if ((f->from_us && row->r.ts_us < f->from_us) || (f->to_us && row->r.ts_us >= f->to_us))
                return false;
        if (f->source && !text_matches(f->source, t->source))
                return false;
        if (f->labels && !tags_labels_have(t->labels, f->labels))
                return false;
        return !f->name || text_matches(f->name, t->name);
}

void slice_show(const struct spool_query *q, enum spool_lane lane, const struct slice *s, int i, bool delivered,
                struct spool_query_row *out)
{
        const struct tag *t = query_tag(q, s->rows[i].r.tag);

        *out = (struct spool_query_row){.seq = s->rows[i].seq,
                                        .r = s->rows[i].r,
                                        .a = s->rows[i].a,
                                        .source = t->source,
                                        .name = t->name,
                                        .unit = t->unit,
                                        .labels = t->labels,
                                        .delivered = delivered,
                                        .kind = lane == SPOOL_EVENTS ? s->bytes.p + s->kind_at[i] : "",
                                        .severity = s->severity[i]};
}

/*
 * Where the newest f->newest matching rows begin: *after becomes the seq before
 * the first of them.
 */
static int find_newest(struct spool_query *q, const struct spool_filter *f, const struct lane_sums *l, struct slice *s,
                       uint64_t *after, uint64_t upto, struct err *e)
{
        sqlite3_stmt *st = query_prepare(q, down_sql[f->lane], e);
        uint64_t edge = upto < INT64_MAX ? upto + 1 : INT64_MAX, found = 0;
        int rc = st ? 0 : -1;

        for (s->end = false; !rc && !s->end && found < f->newest;) {
                rc = load_slice(q, st, f->lane, true, edge, *after, s, e);
                for (int i = 0; !rc && i < s->n && found < f->newest; i++) {
                        edge = s->rows[i].seq;
                        found += matches(q, f, l, &s->rows[i]);
                }
        }
        sqlite3_finalize(st);
        if (!rc && found >= f->newest)
                *after = edge - 1;
        return rc;
}

static int walk_up(struct spool_query *q, const struct spool_filter *f, const struct lane_sums *l, struct slice *s,
                   uint64_t after, uint64_t upto, bool (*each)(void *ctx, const struct spool_query_row *row), void *ctx,
                   struct err *e)
{
        sqlite3_stmt *st = query_prepare(q, up_sql[f->lane], e);
        struct spool_query_row row;
        uint64_t n = 0;
        int rc = st ? 0 : -1;

        for (s->end = false; !rc && !s->end;) {
                rc = load_slice(q, st, f->lane, false, after, upto, s, e);
                for (int i = 0; !rc && i < s->n; i++) {
                        after = s->rows[i].seq;
                        if (!matches(q, f, l, &s->rows[i]))
                                continue;
                        slice_show(q, f->lane, s, i, query_is_delivered(l, after), &row);
                        n++;
                        if (!each(ctx, &row) || n == f->limit) {
                                sqlite3_finalize(st);
                                return 0;
                        }
                }
        }
        sqlite3_finalize(st);
        return rc;
}

int spool_query_rows(struct spool_query *q, const struct spool_filter *f,
                     bool (*each)(void *ctx, const struct spool_query_row *row), void *ctx, struct err *e)
{
        uint64_t upto = f->last_seq && f->last_seq < INT64_MAX ? f->last_seq : INT64_MAX;
        uint64_t after = f->first_seq ? f->first_seq - 1 : 0;
        struct slice *s = mem_alloc(sizeof(*s));
        struct lane_sums l;
        int rc = query_lane(q, f->lane, &l, e);

        if (!rc && f->held_only && after < l.acked)
                after = l.acked;
        if (!rc && f->newest)
                rc = find_newest(q, f, &l, s, &after, upto, e);
        if (!rc)
                rc = walk_up(q, f, &l, s, after, upto, each, ctx, e);
        free(s->bytes.p);
        free(s);
        return rc;
}
