/*
 * sample: a reading as it lies in the file, in as few bytes as plain SQL can
 * still read.
 *
 * Flash pays for every byte of a row twice, in the WAL and at the checkpoint.
 * So a time takes four bytes: it counts from its span's base, and a new span
 * begins when the clock is about an hour further or has stepped.  Tag, quality,
 * flags and packet id share an integer, the rare ones in its high bits, as
 * SQLite stores small integers in few bytes.  A number of at most three
 * decimals, as sensors send them, is an integer and how often it is to be
 * divided by ten: 71.3 is 713, two bytes for eight, and the division gives back
 * the very same double.  The view `reading` shows all of it as people know it.
 *
 * Spans are few (one an hour) and everything hangs on them, so each is in two
 * tables, that is on two pages: what verify compares, and what a rescue may
 * find one of.  A span is never changed: seqs are never given twice. How it
 * fails: a row whose span is gone has no time in the view; spool_verify says
 * so.
 */
#include <math.h>
#include <string.h>

#include "store/writer/stmt.h"

enum {
        DECIMALS = 3, /* the most; in the two lowest bits, 0: the value is as it is */
        TAG_AT = 2,
        TAG_BITS = 20,
        BOOL_AT = 22,
        QUALITY_AT = 23,
        MID_AT = 27,
        FLAGS_AT = 43,
        BEHIND_US = 2000000000, /* times so far before a span's first reading still take four bytes */
};

int64_t spool_sample_bits(uint32_t tag, unsigned quality, unsigned flags, unsigned mid)
{
        uint64_t is_bool = (flags & FLAG_BOOL) != 0;

        return (int64_t)((uint64_t)tag << TAG_AT | is_bool << BOOL_AT | (uint64_t)quality << QUALITY_AT |
                         (uint64_t)mid << MID_AT | (uint64_t)(flags & ~(unsigned)FLAG_BOOL) << FLAGS_AT);
}

uint32_t spool_sample_tag(int64_t bits)
{
        return (uint32_t)(bits >> TAG_AT) & ((1u << TAG_BITS) - 1);
}

unsigned spool_sample_quality(int64_t bits)
{
        return bits >> QUALITY_AT & 15;
}

unsigned spool_sample_flags(int64_t bits)
{
        return (unsigned)(bits >> FLAGS_AT);
}

/* ---- writing ---- */

static bool takes_four_bytes(int64_t us)
{
        return us >= INT32_MIN && us <= INT32_MAX;
}

void spool_db_begin_span(struct spool_db *db, uint64_t seq, int64_t at_us)
{
        if (db->v.has_span && takes_four_bytes(at_us - db->v.base_us))
                return;
        db->v.has_span = true;
        db->v.base_us = at_us + BEHIND_US;
        for (int copy = 0; copy < 2; copy++) {
                enum spool_stmt put = copy ? STMT_PUT_SPAN_COPY : STMT_PUT_SPAN;
                enum spool_stmt cut = copy ? STMT_TRIM_SPAN_COPIES : STMT_TRIM_SPANS;

                stmt_bind(db, put, 1, seq);
                stmt_bind(db, put, 2, (uint64_t)db->v.base_us);
                stmt_run(db, put);
                if (!copy)
                        stmt_bind(db, cut, 1, db->v.first[SPOOL_SAMPLES]);
                stmt_run(db, cut);
        }
}

/*
 * How many decimals `v` has, 1 to DECIMALS, and it without the point; 0: more,
 * or nothing would be won.
 */
static unsigned to_decimal(double v, int64_t *out)
{
        double scaled = rint(v * 1000);
        unsigned n = DECIMALS;
        int64_t i;

        if (!(fabs(scaled) < (double)(1ll << 47)) || scaled / 1000 != v || (v == 0 && signbit(v)))
                return 0;
        for (i = (int64_t)scaled; n > 1 && i % 10 == 0; n--)
                i /= 10;
        *out = i;
        return n;
}

/* The decimals, for the row's bits. */
static unsigned bind_value(sqlite3_stmt *st, int at, const struct reading *r)
{
        int64_t scaled;
        unsigned n;

        switch (r->type) {
        case READING_F64:
                n = to_decimal(r->v.f64, &scaled);
                if (n)
                        sqlite3_bind_int64(st, at, scaled);
                else
                        sqlite3_bind_double(st, at, r->v.f64);
                return n;
        case READING_I64:
                sqlite3_bind_int64(st, at, r->v.i64);
                return 0;
        case READING_BOOL:
                sqlite3_bind_int64(st, at, r->v.b);
                return 0;
        case READING_TEXT:
                sqlite3_bind_text(st, at, r->v.text, (int)r->len, SQLITE_STATIC);
                return 0;
        case READING_RAW:
                sqlite3_bind_blob(st, at, r->v.text, (int)r->len, SQLITE_STATIC);
                return 0;
        default:
                sqlite3_bind_null(st, at);
                return 0;
        }
}

static void bind_row(sqlite3_stmt *st, int at, int64_t base_us, const struct spool_row *row)
{
        const struct reading *r = &row->r;
        unsigned flags = r->flags | (r->type == READING_BOOL ? FLAG_BOOL : 0u);

        sqlite3_bind_int64(st, at + 1, (int64_t)row->seq);
        sqlite3_bind_int64(st, at + 2, r->ts_us - base_us);
        sqlite3_bind_int64(st, at + 3,
                           spool_sample_bits(r->tag, r->quality, flags, r->mid) | bind_value(st, at + 5, r));
        sqlite3_bind_int64(st, at + 4, r->arrival_us - r->ts_us);
}

void spool_db_put_rows(struct spool_db *db, const struct spool_batch *b, struct spool_result *res)
{
        size_t i = 0;

        if (b->n_rows)
                spool_db_begin_span(db, b->rows[0].seq, b->rows[0].r.arrival_us);
        for (; i + STMT_ROWS <= b->n_rows && stmt_fine(db); i += STMT_ROWS) {
                for (size_t k = 0; k < STMT_ROWS; k++)
                        bind_row(db->stmt[STMT_PUT_READINGS], (int)k * STMT_COLUMNS, db->v.base_us, &b->rows[i + k]);
                stmt_run(db, STMT_PUT_READINGS);
        }
        for (; i < b->n_rows && stmt_fine(db); i++) {
                bind_row(db->stmt[STMT_PUT_READING], 0, db->v.base_us, &b->rows[i]);
                stmt_run(db, STMT_PUT_READING);
        }
        if (b->n_rows && !db->v.first[SPOOL_SAMPLES])
                db->v.first[SPOOL_SAMPLES] = b->rows[0].seq;
        res->n_rows = b->n_rows;
}

/* ---- reading ---- */

static int64_t within(int64_t us)
{
        return us > SPOOL_TIME_MAX ? SPOOL_TIME_MAX : us < -SPOOL_TIME_MAX ? -SPOOL_TIME_MAX : us;
}

int64_t spool_read_time(sqlite3_stmt *st, int column)
{
        return within(sqlite3_column_int64(st, column));
}

int64_t spool_time_sum(int64_t us, int64_t more_us)
{
        return within(within(us) + within(more_us));
}

static void read_value(sqlite3_stmt *st, int at, bool is_bool, struct reading *r)
{
        switch (sqlite3_column_type(st, at)) {
        case SQLITE_FLOAT:
                r->type = READING_F64;
                r->v.f64 = sqlite3_column_double(st, at);
                break;
        case SQLITE_INTEGER:
                r->type = is_bool ? READING_BOOL : READING_I64;
                if (is_bool)
                        r->v.b = sqlite3_column_int(st, at) != 0;
                else
                        r->v.i64 = sqlite3_column_int64(st, at);
                break;
        case SQLITE_TEXT:
                r->type = READING_TEXT;
                r->v.text = (const char *)sqlite3_column_text(st, at);
                r->len = (uint32_t)sqlite3_column_bytes(st, at);
                break;
        case SQLITE_BLOB:
                r->type = READING_RAW;
                r->v.text = sqlite3_column_blob(st, at);
                r->len = (uint32_t)sqlite3_column_bytes(st, at);
                break;
        default:
                r->type = READING_NONE;
        }
}

/* Division, not a product: only that gives back the nearest double. */
static const double tens[DECIMALS + 1] = {1, 10, 100, 1000};

void spool_read_sample(sqlite3_stmt *st, int64_t base_us, struct spool_row *row)
{
        int64_t bits = sqlite3_column_int64(st, 2);
        struct reading *r = &row->r;

        memset(row, 0, sizeof(*row));
        row->seq = (uint64_t)sqlite3_column_int64(st, 0);
        r->ts_us = spool_time_sum(base_us, sqlite3_column_int64(st, 1));
        r->tag = spool_sample_tag(bits);
        r->quality = (uint16_t)spool_sample_quality(bits);
        r->mid = (uint16_t)(bits >> MID_AT);
        r->flags = (uint16_t)(bits >> FLAGS_AT);
        r->arrival_us = spool_time_sum(r->ts_us, sqlite3_column_int64(st, 3));
        read_value(st, 4, bits >> BOOL_AT & 1, r);
        if (bits & DECIMALS && r->type == READING_I64) {
                r->type = READING_F64;
                r->v.f64 = (double)r->v.i64 / tens[bits & DECIMALS];
        }
}

void spool_read_row(sqlite3_stmt *st, struct spool_row *row)
{
        struct reading *r = &row->r;
        unsigned flags = (unsigned)sqlite3_column_int(st, 4);

        memset(row, 0, sizeof(*row));
        row->seq = (uint64_t)sqlite3_column_int64(st, 0);
        r->ts_us = spool_read_time(st, 1);
        r->tag = (uint32_t)sqlite3_column_int(st, 2);
        r->quality = (uint16_t)sqlite3_column_int(st, 3);
        r->flags = (uint16_t)(flags & ~(unsigned)FLAG_BOOL);
        r->arrival_us = spool_time_sum(r->ts_us, sqlite3_column_int64(st, 6));
        r->mid = (uint16_t)sqlite3_column_int(st, 7);
        read_value(st, 5, flags & FLAG_BOOL, r);
}

int spool_db_load_span(struct spool_db *db, struct err *e)
{
        int rc = spool_db_get_int(db->conn, "SELECT base_us FROM span ORDER BY first_seq DESC LIMIT 1", &db->v.base_us);

        if (rc != SQLITE_OK && rc != SQLITE_NOTFOUND)
                return spool_db_fail(db, "cannot read its times", e);
        db->v.has_span = rc == SQLITE_OK && db->v.base_us < SPOOL_TIME_MAX && db->v.base_us > -SPOOL_TIME_MAX;
        return 0;
}

void spool_read_aggregate(sqlite3_stmt *st, struct spool_row *row)
{
        row->a = (struct spool_aggregate){.n = 1};
        if (!st || !(row->r.flags & READING_AGGREGATE))
                return;
        sqlite3_bind_int64(st, 1, (int64_t)row->seq);
        if (sqlite3_step(st) == SQLITE_ROW) {
                row->a.n = (uint64_t)sqlite3_column_int64(st, 0);
                row->a.min = sqlite3_column_double(st, 1);
                row->a.max = sqlite3_column_double(st, 2);
                row->a.has_range = sqlite3_column_type(st, 1) != SQLITE_NULL && isfinite(row->a.min) &&
                                   isfinite(row->a.max); /* else damaged */
        }
        sqlite3_reset(st);
}

void spool_db_trim_aggregates(struct spool_db *db, uint64_t first, uint64_t last)
{
        if (!db->v.has_aggregates)
                return;
        stmt_bind(db, STMT_TRIM_AGGREGATES, 1, first);
        stmt_bind(db, STMT_TRIM_AGGREGATES, 2, last);
        stmt_run(db, STMT_TRIM_AGGREGATES);
}
