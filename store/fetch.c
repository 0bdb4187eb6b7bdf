/*
 * fetch: reading rows back, for the uplink and for recognising redeliveries
 * after a start.
 *
 * A connection of its own, so that a fetch never waits for a commit; read
 * transactions last one SELECT of at most most_rows.  All readers share it
 * under a lock, which only works on the work queue take.
 *
 * No row is both handed out and dropped, though a reader sees what a commit
 * cuts until that commit is on disk.  The caller pins, then fetches, and uses
 * no row above its pin.  A commit sets `trimming`, then reads the pin, then
 * cuts above it only. All four are sequentially consistent: when spool_fetch
 * finds `trimming` clear, any later cut sees the pin and leaves the rows alone;
 * when it finds it set, the fetch starts after the end of that commit, and does
 * not see what it cut.  Only the loop clears `trimming`, with no commit under
 * way. So a fetch waits for a commit only while rows are being dropped. How it
 * fails: the fetch comes back with failed set, and the caller asks again later.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/json_scan.h"
#include "store/impl.h"

enum { RECENT_ROWS = KEEP_ROWS };

void spool_sound_body(struct reading *r)
{
        static const char damaged[] = "\"kind\":\"damaged\",\"severity\":500";

        if (r->type == READING_TEXT && json_is_members(r->v.text, r->len))
                return;
        r->type = READING_TEXT;
        r->v.text = damaged;
        r->len = sizeof(damaged) - 1;
}

void spool_read_event(sqlite3_stmt *st, struct spool_row *row)
{
        memset(row, 0, sizeof(*row));
        row->seq = (uint64_t)sqlite3_column_int64(st, 0);
        row->r.ts_us = row->r.arrival_us = spool_read_time(st, 1);
        row->r.tag = sqlite3_column_type(st, 2) == SQLITE_NULL ? SPOOL_NO_TAG : (uint32_t)sqlite3_column_int(st, 2);
        row->r.type = READING_TEXT;
        row->r.v.text = (const char *)sqlite3_column_text(st, 3);
        row->r.len = (uint32_t)sqlite3_column_bytes(st, 3);
        spool_sound_body(&row->r);
}

int spool_reader_open(struct spool *s, struct err *e)
{
        static const char *const sql[N_READER_STMTS] = {
                [READER_EVENTS] = "SELECT " SPOOL_EVENT_COLUMNS " FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?3",
                [READER_SAMPLES] = "SELECT " SPOOL_SAMPLE_COLUMNS " FROM sample WHERE seq > ?1 AND seq < ?2"
                                   " ORDER BY seq LIMIT ?3",
                [READER_SPANS] = "SELECT first_seq, base_us FROM span WHERE first_seq >="
                                 " coalesce((SELECT max(first_seq) FROM span WHERE first_seq <= ?1 + 1), 0)"
                                 " ORDER BY first_seq",
                [READER_BEGIN] = "BEGIN",
                [READER_END] = "COMMIT",
        };
        int rc = sqlite3_open_v2(s->conf.path, &s->reader, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

        if (rc == SQLITE_OK) {
                spool_db_be_patient(&s->db, s->reader);
                rc = sqlite3_exec(s->reader, "PRAGMA cache_size=-512; PRAGMA mmap_size=0", NULL, NULL, NULL);
        }
        for (int i = 0; i < N_READER_STMTS && rc == SQLITE_OK; i++)
                rc = sqlite3_prepare_v3(s->reader, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->reader_stmt[i], NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_prepare_v3(s->reader, SPOOL_GET_AGGREGATE, -1, SQLITE_PREPARE_PERSISTENT,
                                        &s->reader_aggregate, NULL);
        if (rc != SQLITE_OK)
                return err_set(e, "spool %s: cannot be read: %s", s->conf.path, sqlite3_errmsg(s->reader));
        return 0;
}

void spool_reader_close(struct spool *s)
{
        for (int i = 0; i < N_READER_STMTS; i++)
                sqlite3_finalize(s->reader_stmt[i]);
        sqlite3_finalize(s->reader_aggregate);
        s->reader_aggregate = NULL;
        sqlite3_close(s->reader);
        memset(s->reader_stmt, 0, sizeof(s->reader_stmt));
        s->reader = NULL;
}

void spool_fetch_init(struct spool_fetch *f, enum spool_lane lane, uint32_t most_rows, uint32_t most_bytes)
{
        memset(f, 0, sizeof(*f));
        f->lane = lane;
        f->most_rows = most_rows;
        f->most_bytes = most_bytes;
        f->rows = mem_alloc(most_rows * sizeof(*f->rows));
        f->text_cap = most_bytes;
        f->text = mem_alloc(most_bytes);
}

void spool_fetch_fini(struct spool_fetch *f)
{
        if (rt_timer_armed(&f->soon))
                rt_timer_cancel(f->rt, &f->soon);
        free(f->rows);
        free(f->text);
        f->rows = NULL;
        f->text = NULL;
}

/*
 * Rows above `after` and below `before`, as many as fit; what SQLite said last.
 */
static int take_rows(struct spool_fetch *f, sqlite3_stmt *st, uint64_t after, uint64_t before, int64_t base_us,
                     size_t *used)
{
        int rc;

        sqlite3_bind_int64(st, 1, (int64_t)after);
        sqlite3_bind_int64(st, 2, (int64_t)before);
        sqlite3_bind_int64(st, 3, f->most_rows - f->n_rows);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
                struct spool_row *row = &f->rows[f->n_rows];

                if (f->lane == SPOOL_SAMPLES) {
                        spool_read_sample(st, base_us, row);
                        spool_read_aggregate(f->spool->reader_aggregate, row);
                } else {
                        spool_read_event(st, row);
                }
                if (row->seq <= after || row->seq >= before) { /* of a damaged page: it would never end */
                        rc = SQLITE_CORRUPT;
                        break;
                }
                if (!spool_keep_text(f, &row->r, used))
                        break;
                after = row->seq;
                f->n_rows++;
        }
        sqlite3_reset(st);
        return rc;
}

/*
 * Span by span, in one transaction: a span that begins meanwhile would give
 * later rows another time.
 */
static int take_samples(struct spool_fetch *f, struct spool *s)
{
        sqlite3_stmt *spans = s->reader_stmt[READER_SPANS], *rows = s->reader_stmt[READER_SAMPLES];
        uint64_t after = f->after_seq, before;
        size_t used = 0;
        int rc, more;

        sqlite3_step(s->reader_stmt[READER_BEGIN]);
        sqlite3_reset(s->reader_stmt[READER_BEGIN]);
        sqlite3_bind_int64(spans, 1, (int64_t)after);
        rc = more = sqlite3_step(spans);
        while (more == SQLITE_ROW && f->n_rows < f->most_rows) {
                int64_t base_us = spool_read_time(spans, 1);

                more = sqlite3_step(spans);
                before = more == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(spans, 0) : INT64_MAX;
                rc = take_rows(f, rows, after, before, base_us, &used);
                if (rc != SQLITE_DONE)
                        break;
                after = before - 1;
        }
        sqlite3_reset(spans);
        sqlite3_step(s->reader_stmt[READER_END]);
        sqlite3_reset(s->reader_stmt[READER_END]);
        return more == SQLITE_ROW || more == SQLITE_DONE ? rc : more;
}

static void fetch_rows(struct spool_fetch *f, struct spool *s)
{
        size_t used = 0;
        int rc = f->lane == SPOOL_SAMPLES
                         ? take_samples(f, s)
                         : take_rows(f, s->reader_stmt[READER_EVENTS], f->after_seq, INT64_MAX, 0, &used);

        if (rc == SQLITE_ROW || rc == SQLITE_DONE)
                return;
        f->failed = true;
        f->n_rows = 0;
        s->reader_says_damaged =
                ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB) && spool_rescue_can_read(s->conf.path);
}

static void run_fetch(struct rt_work *w)
{
        struct spool_fetch *f = list_entry(w, struct spool_fetch, work);
        struct spool *s = f->spool;

        f->n_rows = 0;
        f->failed = false;
        pthread_mutex_lock(&s->reader_lock);
        if (s->reader)
                fetch_rows(f, s);
        else
                f->failed = true;
        pthread_mutex_unlock(&s->reader_lock);
}

/*
 * Rows of a commit whose end has not been told: the mark may not know them yet
 * (writer/mark.c).
 */
static void leave_untold(struct spool_fetch *f)
{
        while (f->n_rows && f->rows[f->n_rows - 1].seq > f->spool->lanes[f->lane].last)
                f->n_rows--;
}

static void park(struct spool *s, struct spool_fetch *f)
{
        size_t i = 0;

        while (i < sizeof(s->parked) / sizeof(*s->parked) && s->parked[i])
                i++;
        BUG_ON(i == sizeof(s->parked) / sizeof(*s->parked));
        s->parked[i] = f;
}

static void start(struct spool *s, struct spool_fetch *f)
{
        f->is_alone = s->state != COMMIT_RUNNING;
        f->n_launched = s->n_launched;
        rt_work_start(s->rt, &f->work);
}

/* Behind the commit that is under way. */
static void ask_again(struct spool *s, struct spool_fetch *f)
{
        if (s->state == COMMIT_RUNNING)
                park(s, f);
        else
                start(s, f);
}

static void on_fetched(struct rt_work *w)
{
        struct spool_fetch *f = list_entry(w, struct spool_fetch, work);
        struct spool *s = f->spool;
        bool damaged = f->failed && s->reader_says_damaged;
        enum spool_whole whole;

        leave_untold(f);
        whole = f->failed ? SPOOL_WHOLE : spool_fetch_is_whole(s, f);
        if (whole == SPOOL_ASK_AGAIN) {
                ask_again(s, f);
                return;
        }
        if (whole == SPOOL_NOT_WHOLE) {
                f->failed = damaged = true;
                f->n_rows = 0;
        }
        spool_note_damage(s, &s->reader_damaged, damaged);
        f->on_rows(f);
}

static void on_soon(struct rt_timer *t)
{
        struct spool_fetch *f = list_entry(t, struct spool_fetch, soon);

        f->on_rows(f);
}

void spool_fetch(struct spool *s, struct spool_fetch *f)
{
        BUG_ON(!f->most_rows);
        f->spool = s;
        f->rt = s->rt;
        f->work.run = run_fetch;
        f->work.on_done = on_fetched;
        f->soon.on_due = on_soon;
        if (f->may_be_fresh && spool_take_fresh(s, f))
                rt_timer_set(s->rt, &f->soon, 0);
        else if (atomic_load(&s->db.trimming[f->lane]))
                park(s, f);
        else
                start(s, f);
}

void spool_fetch_parked(struct spool *s)
{
        for (int i = 0; i < SPOOL_LANES; i++)
                atomic_store(&s->db.trimming[i], false);
        for (size_t i = 0; i < sizeof(s->parked) / sizeof(*s->parked); i++) {
                struct spool_fetch *f = s->parked[i];

                s->parked[i] = NULL;
                if (f)
                        start(s, f);
        }
}

void spool_recent(struct spool *s, size_t most, void (*each)(void *ctx, const struct reading *r), void *ctx)
{
        static const char sql[] =
                "SELECT " SPOOL_COLUMNS " FROM reading WHERE seq > ?1 AND mid <> 0 ORDER BY seq LIMIT -1"
                " OFFSET max(0, (SELECT count(*) FROM reading WHERE seq > ?1 AND mid <> 0) - ?2)";
        uint64_t last = s->lanes[SPOOL_SAMPLES].last;
        struct spool_row row;
        sqlite3_stmt *st;

        pthread_mutex_lock(&s->reader_lock);
        if (sqlite3_prepare_v2(s->reader, sql, -1, &st, NULL) == SQLITE_OK) {
                sqlite3_bind_int64(st, 1, last > RECENT_ROWS ? (int64_t)(last - RECENT_ROWS) : 0);
                sqlite3_bind_int64(st, 2, (int64_t)most);
                while (sqlite3_step(st) == SQLITE_ROW) {
                        spool_read_row(st, &row);
                        each(ctx, &row.r);
                }
                sqlite3_finalize(st);
        }
        pthread_mutex_unlock(&s->reader_lock);
}
