/*
 * curve: see curve.h.
 *
 * Rows lie in the order in which they came, and mostly that is the order of
 * their times: so where the picture begins is found by halving the range of
 * seq, a margin before it, and read up from there to its end.  What came later
 * than LATE_US behind its time is then not in the picture; history that is
 * delivered late belongs to the database behind Kafka.
 *
 * How it fails: with a sentence of the query; a time limit is the caller's
 * (spool_query_give_up_on).
 */
#include "agent/page/curve.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "agent/base/tags.h"
#include "agent/base/text.h"

static const int64_t late_us = 600 * INT64_C(1000000);

static int worse(const struct reading *r)
{
        return r->quality == QUALITY_GOOD ? 0 : r->quality == QUALITY_UNCERTAIN ? 1 : 2;
}

static bool number_of(const struct reading *r, double *v)
{
        switch (r->type) {
        case READING_F64:
                *v = r->v.f64;
                return isfinite(*v);
        case READING_I64:
                *v = (double)r->v.i64;
                return true;
        case READING_BOOL:
                *v = r->v.b;
                return true;
        default:
                return false;
        }
}

void curve_add(struct curve *c, const struct reading *r)
{
        struct curve_column *p;
        double v;

        if (r->ts_us < c->from_us || r->ts_us >= c->to_us)
                return;
        p = &c->column[(int64_t)((double)(r->ts_us - c->from_us) / (double)(c->to_us - c->from_us) * c->width)];
        p->n++;
        if (worse(r) > p->worst)
                p->worst = worse(r);
        if (!number_of(r, &v))
                return;
        if (!p->has_number || v < p->min)
                p->min = v;
        if (!p->has_number || v > p->max)
                p->max = v;
        if (!p->has_number || r->ts_us < p->first_us) {
                p->first = v;
                p->first_us = r->ts_us;
        }
        if (!p->has_number || r->ts_us >= p->last_us) {
                p->last = v;
                p->last_us = r->ts_us;
        }
        p->has_number = true;
}

/* ---- reading ---- */

struct probe {
        uint64_t seq;
        int64_t ts_us;
        bool found;
};

static bool on_probe(void *ctx, const struct spool_query_row *row)
{
        *(struct probe *)ctx = (struct probe){row->seq, row->r.arrival_us, true};
        return false;
}

/* The first row at or above `seq`, of any tag. */
static int look(struct spool_query *q, uint64_t seq, struct probe *p, struct err *e)
{
        const struct spool_filter f = {.lane = SPOOL_SAMPLES, .first_seq = seq, .limit = 1};

        p->found = false;
        return spool_query_rows(q, &f, on_probe, p, e);
}

static int find_first(struct spool_query *q, int64_t from_us, uint64_t *first, struct err *e)
{
        struct spool_counts counts;
        uint64_t low, high;
        struct probe p;

        if (spool_query_counts(q, &counts, e) < 0 || look(q, 0, &p, e) < 0)
                return -1;
        low = p.found ? p.seq : 1;
        high = counts.last_seq[SPOOL_SAMPLES] + 1;
        while (low < high) {
                uint64_t mid = low + (high - low) / 2;

                if (look(q, mid, &p, e) < 0)
                        return -1;
                if (p.found && p.ts_us < from_us)
                        low = p.seq + 1;
                else
                        high = mid;
        }
        *first = low;
        return 0;
}

struct reading_up {
        struct curve *c;
        const char *labels; /* the filter knows only what it has among others */
};

static bool on_row(void *ctx, const struct spool_query_row *row)
{
        struct reading_up *r = ctx;
        struct curve *c = r->c;

        if (strcmp(row->labels, r->labels) != 0)
                return true;
        if (!c->oldest_us || row->r.ts_us < c->oldest_us)
                c->oldest_us = row->r.ts_us;
        if (row->r.ts_us > c->newest_us)
                c->newest_us = row->r.ts_us;
        curve_add(c, &row->r);
        return row->r.arrival_us < c->to_us + late_us;
}

/* "line":"l2" as filters have it: line=l2. "": it has none. */
static void put_labels(char out[TAGS_IDENT_MAX + 1], const struct spool_query_tag *tag)
{
        char ident[TAGS_IDENT_MAX + 1], *brace;

        tags_put_ident(ident, tag->name, tag->labels);
        brace = strchr(ident, '{');
        text_copy(out, TAGS_IDENT_MAX + 1, brace ? brace + 1 : "");
        out[strcspn(out, "}")] = '\0';
}

int curve_read(struct spool_query *q, const struct spool_query_tag *tag, struct curve *c, struct err *e)
{
        char labels[TAGS_IDENT_MAX + 1];
        struct spool_filter f = {.lane = SPOOL_SAMPLES, .source = tag->source, .name = tag->name};
        struct reading_up r = {c, tag->labels};

        put_labels(labels, tag);
        f.labels = *labels ? labels : NULL;
        if (find_first(q, c->from_us, &f.first_seq, e) < 0)
                return -1;
        return spool_query_rows(q, &f, on_row, &r, e);
}
