/*
 * thin: when_full: thin.  When room is needed, the oldest held readings become
 * one per tag and minute.
 *
 * A step takes the rows of one minute of arrival, oldest first, and groups them
 * by tag, quality, kind of value and minute of their own time; of numbers
 * remain mean, minimum, maximum and count, of all else the last value and the
 * count.  What remains of a group is its last row, marked READING_AGGREGATE;
 * minimum, maximum and count are in the table `aggregate` under the same seq
 * (no line there: one reading).
 *
 * The rows that remain move to the last seqs of the step, in their order: so
 * what is dropped ("thinned") is one range of the ledger, however scattered the
 * tags' last rows were; a week without Kafka would otherwise make millions of
 * lines.  The seq of an aggregate is therefore a place in the order and not one
 * of its readings' own; its record has an id of another form. Nothing at or
 * below the pin is touched, so no seq goes out as a reading and as an
 * aggregate.
 *
 * A minute with more rows than a step takes is thinned in several, each
 * beginning with what the last one left.  Minutes that would hardly shrink are
 * left as they are.  meta.thinned_seq is how far it got.  All of it is in the
 * transaction that needed the room, and bounded by a part of the WAL's share;
 * when nothing is left to thin, the oldest rows go as with drop_oldest.  Fails
 * as the rest of the transaction: db->rc says so.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/table_hash.h"
#include "store/writer/stmt.h"

enum {
        ROWS_MAX = 20000, /* of a step */
        MINUTE_US = 60000000,
        KEPT_APART = READING_CLOCK_UNSYNCED | READING_HISTORICAL | READING_RETAINED,
        NOT_A_NUMBER = 16, /* beside the type: only the last one counts */
};

struct group {
        uint64_t last_seq;
        int64_t minute;
        uint32_t tag, next; /* next: of its bucket, + 1 */
        uint16_t quality, flags, kind;
        struct spool_aggregate a;
        double mean, sum;
};

struct spool_thin {
        uint64_t *seq; /* of the step's rows, ascending */
        struct group *group;
        uint32_t *bucket; /* of groups, + 1 */
        size_t n_rows, n_groups;
        uint64_t left_bytes; /* that this transaction may still look at */
        bool cut;            /* the minute goes on behind the step */
};

struct spool_thin *spool_thin_new(void)
{
        struct spool_thin *t = mem_alloc(sizeof(*t));

        t->seq = mem_alloc(ROWS_MAX * sizeof(*t->seq));
        t->group = mem_alloc(ROWS_MAX * sizeof(*t->group));
        t->bucket = mem_alloc(ROWS_MAX * sizeof(*t->bucket));
        return t;
}

void spool_thin_free(struct spool_thin *t)
{
        if (!t)
                return;
        free(t->seq);
        free(t->group);
        free(t->bucket);
        free(t);
}

uint64_t spool_thin_wal_bytes(const struct spool_plan *plan)
{
        return plan->wal_bytes / 4;
}

void spool_thin_begin(struct spool_db *db)
{
        if (db->thin)
                db->thin->left_bytes = spool_thin_wal_bytes(&db->plan);
}

/* ---- aggregates ---- */

static void put_aggregate(struct spool_db *db, uint64_t seq, const struct spool_aggregate *a)
{
        sqlite3_stmt *st = db->stmt[STMT_PUT_AGGREGATE];

        stmt_bind(db, STMT_PUT_AGGREGATE, 1, seq);
        stmt_bind(db, STMT_PUT_AGGREGATE, 2, a->n);
        if (a->has_range) {
                sqlite3_bind_double(st, 3, a->min);
                sqlite3_bind_double(st, 4, a->max);
        } else {
                sqlite3_bind_null(st, 3);
                sqlite3_bind_null(st, 4);
        }
        stmt_run(db, STMT_PUT_AGGREGATE);
        db->v.has_aggregates = true;
}

/* ---- grouping ---- */

static int64_t minute_of(int64_t us)
{
        return us >= 0 ? us / MINUTE_US : -((-us + MINUTE_US - 1) / MINUTE_US);
}

/* A number that a mean can be made of without telling something else. */
static bool get_number(const struct reading *r, double *v)
{
        const int64_t exact = INT64_C(1) << 53;

        *v = r->type == READING_F64 ? r->v.f64 : r->type == READING_I64 ? (double)r->v.i64 : NAN;
        return r->type == READING_F64 ? isfinite(*v)
                                      : r->type == READING_I64 && r->v.i64 >= -exact && r->v.i64 <= exact;
}

static struct group *find_group(struct spool_thin *t, const struct group *key)
{
        uint64_t of = (uint64_t)key->tag << 32 | (uint64_t)key->quality << 16 | key->kind;
        uint64_t hash = table_hash(&key->minute, sizeof(key->minute), of);
        uint32_t *bucket = &t->bucket[hash % ROWS_MAX];
        struct group *g;

        for (uint32_t i = *bucket; i; i = g->next) {
                g = &t->group[i - 1];
                if (g->tag == key->tag && g->minute == key->minute && g->quality == key->quality &&
                    g->kind == key->kind && g->flags == key->flags)
                        return g;
        }
        g = &t->group[t->n_groups++];
        *g = *key;
        g->next = *bucket;
        *bucket = (uint32_t)t->n_groups;
        return g;
}

/*
 * A sum that is too large for a double goes on as a mean, which is less exact;
 * rounding never leaves the range.
 */
static void add_number(struct group *g, double v, const struct spool_aggregate *a)
{
        double min = a->has_range ? a->min : v, max = a->has_range ? a->max : v;
        double part = (double)a->n / (double)(g->a.n + a->n);

        g->a.min = g->a.has_range && g->a.min < min ? g->a.min : min;
        g->a.max = g->a.has_range && g->a.max > max ? g->a.max : max;
        g->sum += v * a->n;
        g->mean = isfinite(g->sum) ? g->sum / (g->a.n + (double)a->n) : g->mean * (1 - part) + v * part;
        g->mean = g->mean < g->a.min ? g->a.min : g->mean > g->a.max ? g->a.max : g->mean;
        g->a.has_range = true;
}

static void add_row(struct spool_thin *t, const struct spool_row *row)
{
        const struct reading *r = &row->r;
        double v;
        bool is_number = get_number(r, &v);
        struct group key = {.tag = r->tag,
                            .minute = minute_of(r->ts_us),
                            .quality = r->quality,
                            .flags = r->flags & KEPT_APART,
                            .kind = is_number ? READING_F64 : (uint16_t)(NOT_A_NUMBER + r->type)};
        struct group *g = find_group(t, &key);

        if (is_number)
                add_number(g, v, &row->a);
        g->a.n += row->a.n;
        g->last_seq = row->seq;
        t->seq[t->n_rows++] = row->seq;
}

/*
 * The next minute's rows, or as many as a step takes. False: it is not over
 * yet, or there is none.
 */
static bool load(struct spool_db *db, uint64_t after, uint64_t upto)
{
        struct spool_thin *t = db->thin;
        int64_t minute = 0, bytes = 0;
        struct spool_row row;
        bool over = false;

        t->n_rows = t->n_groups = 0;
        memset(t->bucket, 0, ROWS_MAX * sizeof(*t->bucket));
        stmt_bind(db, STMT_THIN_WALK, 1, after);
        stmt_bind(db, STMT_THIN_WALK, 2, upto);
        while (!over && stmt_next(db, STMT_THIN_WALK)) {
                spool_read_row(db->stmt[STMT_THIN_WALK], &row);
                spool_read_aggregate(db->stmt[STMT_GET_AGGREGATE], &row);
                if (!t->n_rows)
                        minute = minute_of(row.r.arrival_us);
                over = minute_of(row.r.arrival_us) != minute;
                t->cut = !over;
                if (over)
                        break;
                add_row(t, &row);
                bytes += (int64_t)spool_row_cost(
                        row.r.type == READING_TEXT || row.r.type == READING_RAW ? row.r.len : 0, db->plan.page_bytes);
                over = t->n_rows == ROWS_MAX || (uint64_t)bytes >= t->left_bytes;
        }
        sqlite3_reset(db->stmt[STMT_THIN_WALK]);
        t->left_bytes -= (uint64_t)bytes < t->left_bytes ? (uint64_t)bytes : t->left_bytes;
        return over && stmt_fine(db);
}

/* ---- writing ---- */

static int by_last(const void *a, const void *b)
{
        const struct group *x = a, *y = b;

        return x->last_seq < y->last_seq ? -1 : x->last_seq > y->last_seq;
}

static void tell_drops(const struct spool_thin *t, struct spool_result *res)
{
        size_t n = t->n_rows - t->n_groups;

        for (size_t first = 0, i = 1; i <= n; i++) {
                if (i < n && t->seq[i] == t->seq[i - 1] + 1)
                        continue;
                spool_drops_add(&res->drops, SPOOL_SAMPLES, t->seq[first], t->seq[i - 1], "thinned");
                first = i;
        }
}

/* All but the groups' last rows. */
static void trim_rows(struct spool_db *db)
{
        const struct spool_thin *t = db->thin;
        uint64_t from = t->seq[0];

        for (size_t i = 0; i < t->n_groups && stmt_fine(db); i++) {
                uint64_t last = t->group[i].last_seq;

                if (last > from) {
                        stmt_bind(db, STMT_TRIM_READING, 1, from);
                        stmt_bind(db, STMT_TRIM_READING, 2, last - 1);
                        stmt_run(db, STMT_TRIM_READING);
                }
                from = last + 1;
        }
}

static void move_row(struct spool_db *db, const struct group *g, uint64_t to)
{
        enum spool_stmt move = g->a.n > 1 && g->a.has_range ? STMT_THIN_MEAN : STMT_THIN_MOVE;

        if (g->a.n == 1 && to == g->last_seq)
                return; /* it is what it was */
        stmt_bind(db, move, 1, g->last_seq);
        stmt_bind(db, move, 2, to);
        if (move == STMT_THIN_MEAN)
                sqlite3_bind_double(db->stmt[move], 3, g->mean);
        stmt_run(db, move);
        if (g->a.n > 1)
                put_aggregate(db, to, &g->a);
}

/*
 * The highest first: a group's last row is never behind its new place, so that
 * is free by then.
 */
static void rewrite(struct spool_db *db, struct spool_result *res)
{
        struct spool_thin *t = db->thin;
        const uint64_t *to = t->seq + (t->n_rows - t->n_groups);
        uint64_t first = t->seq[0];

        qsort(t->group, t->n_groups, sizeof(*t->group), by_last);
        tell_drops(t, res);
        spool_db_trim_aggregates(db, first, t->seq[t->n_rows - 1]);
        trim_rows(db);
        for (size_t i = t->n_groups; i > 0 && stmt_fine(db); i--)
                move_row(db, &t->group[i - 1], to[i - 1]);
        if (db->v.first[SPOOL_SAMPLES] >= first && db->v.first[SPOOL_SAMPLES] < to[0])
                db->v.first[SPOOL_SAMPLES] = to[0];
}

static void got_to(struct spool_db *db, uint64_t seq)
{
        stmt_bind_text(db, STMT_PUT_META, 1, "thinned_seq", 11);
        stmt_bind(db, STMT_PUT_META, 2, seq);
        stmt_run(db, STMT_PUT_META);
        db->v.thinned_seq = seq;
}

bool spool_db_thin(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        uint64_t after = db->v.thinned_seq, upto;
        struct spool_thin *t = db->thin;
        bool found = false;

        if (!t || !t->left_bytes)
                return false;
        for (; !found && spool_db_next_pending(db, b, &after, &upto); after = upto)
                found = load(db, after, min_u64(upto, db->v.ts_saved_seq));
        if (!found)
                return false;
        if (t->n_groups > t->n_rows / 4 * 3) {
                got_to(db, t->seq[t->n_rows - 1]);
                return stmt_fine(db);
        }
        rewrite(db, res);
        if (t->cut && t->n_groups <= t->n_rows / 2)
                got_to(db, t->seq[t->n_rows - t->n_groups] - 1);
        else
                got_to(db, t->seq[t->n_rows - 1]);
        return stmt_fine(db);
}
