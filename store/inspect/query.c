/*
 * query: see query.h.
 *
 * Every listing walks by seq (or id) in slices: a slice is copied out of
 * SQLite, its statement reset, and only then shown, so a slow terminal never
 * holds a read transaction that would keep the daemon's WAL from starting over.
 * Filters other than seq are applied here: there is no index but seq, and the
 * file pays for none. How it fails: with a sentence; nothing is ever written.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "store/inspect/query_impl.h"
#include "store/inspect/readonly.h"

int query_fail(struct spool_query *q, struct err *e)
{
        return err_set(e, "spool %s: cannot be read: %s", q->path, sqlite3_errmsg(q->conn));
}

sqlite3_stmt *query_prepare(struct spool_query *q, const char *sql, struct err *e)
{
        sqlite3_stmt *st = NULL;

        if (sqlite3_prepare_v2(q->conn, sql, -1, &st, NULL) != SQLITE_OK)
                query_fail(q, e);
        return st;
}

void query_say(struct spool_query *q, int rc, struct err *e)
{
        if (rc == QUERY_DISORDER)
                err_set(e, "spool %s: damaged, rows are out of order; 'millrace spool verify' says more", q->path);
        else
                query_fail(q, e);
}

/* Ends the statement; `rc` is what its last step said. */
int query_finish(struct spool_query *q, sqlite3_stmt *st, int rc, struct err *e)
{
        int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -1;

        if (result < 0)
                query_say(q, rc, e);

        sqlite3_finalize(st);
        return result;
}

int query_next(sqlite3_stmt *st, int column, bool down, uint64_t *edge)
{
        int rc = sqlite3_step(st);
        int64_t at;

        if (rc != SQLITE_ROW)
                return rc;
        at = sqlite3_column_int64(st, column);
        if (at < 1 || (down ? (uint64_t)at >= *edge : (uint64_t)at <= *edge))
                return QUERY_DISORDER;
        *edge = (uint64_t)at;
        return rc;
}

int query_key_order(const char *const *key, char (*last)[QUERY_KEY_BYTES], int n)
{
        char now[QUERY_KEY_BYTES];
        int order = 0;

        for (int i = 0; i < n; i++) {
                snprintf(now, sizeof(now), "%s", key[i]);
                if (!order)
                        order = strcmp(now, last[i]);
                memcpy(last[i], now, sizeof(now));
        }
        return order;
}

static int is_over(void *over)
{
        return atomic_load((const atomic_bool *)over);
}

void spool_query_give_up_on(struct spool_query *q, const atomic_bool *over)
{
        enum { STEPS = 1000 };

        q->over = over;
        sqlite3_progress_handler(q->conn, STEPS, is_over, (void *)over);
}

int query_int(struct spool_query *q, const char *sql, uint64_t *out, struct err *e)
{
        sqlite3_stmt *st = query_prepare(q, sql, e);
        int rc;

        if (!st)
                return -1;
        rc = sqlite3_step(st);
        *out = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
        return query_finish(q, st, rc, e);
}

const char *query_text(sqlite3_stmt *st, int column)
{
        const char *s = (const char *)sqlite3_column_text(st, column);

        return s ? s : "";
}

size_t query_keep(struct spool_bytes *b, const void *p, size_t len)
{
        size_t at = b->n;

        if (b->cap - b->n < len) {
                b->cap = 2 * b->cap > b->n + len ? 2 * b->cap : b->n + len;
                b->p = mem_grow(b->p, b->cap, 1);
        }
        if (len)
                memcpy(b->p + at, p, len);
        b->n += len;
        return at;
}

/* ---- open ---- */

static int load_meta(struct spool_query *q, struct err *e)
{
        uint64_t id = 0, version = 0;
        sqlite3_stmt *st;
        int rc;

        if (query_int(q, "PRAGMA application_id", &id, e) < 0 || query_int(q, "PRAGMA user_version", &version, e) < 0)
                return -1;
        if (id != FILE_ID)
                return err_set(e, "%s: an SQLite file, but not a spool", q->path);
        if (version > FILE_VERSION)
                return err_set(e, "spool %s: written by a newer millrace (format %" PRIu64 "); use its tool", q->path,
                               version);
        q->has_forgotten = version >= 8;
        st = query_prepare(
                q, "SELECT (SELECT value FROM meta WHERE key='gateway'), (SELECT value FROM meta WHERE key='epoch')",
                e);
        if (!st)
                return -1;
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
                snprintf(q->gateway, sizeof(q->gateway), "%s", query_text(st, 0));
                q->epoch = (uint64_t)sqlite3_column_int64(st, 1);
        }
        return query_finish(q, st, rc, e);
}

static int connect_file(struct spool_query *q, struct err *e)
{
        int rc = spool_open_readonly(&q->conn, q->path, q->live);

        if ((rc & 0xff) == SQLITE_NOTADB && strstr(q->path, ".corrupt-"))
                return err_set(e,
                               "%s: too damaged for SQLite; what could be read of it went into the new spool, and "
                               "'millrace spool verify --spool' tells how much is in it",
                               q->path);
        if ((rc & 0xff) == SQLITE_NOTADB)
                return err_set(e, "%s: not a spool (not an SQLite file)", q->path);
        if (rc != SQLITE_OK)
                return query_fail(q, e);
        return load_meta(q, e);
}

int spool_query_open(struct spool_query **out, const char *path, struct err *e)
{
        struct spool_query *q;
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return err_errno(e, "spool %s", path);
        close(fd);
        if (strlen(path) > 4000)
                return err_set(e, "spool: the path is too long");
        q = mem_alloc(sizeof(*q));
        q->path = mem_strdup(path);
        q->tags = tags_new(0);
        q->live = spool_is_live(path);
        if (connect_file(q, e) < 0) {
                spool_query_close(q);
                return -1;
        }
        sqlite3_prepare_v2(q->conn, SPOOL_GET_AGGREGATE, -1, &q->aggregate, NULL);
        *out = q;
        return 0;
}

void spool_query_close(struct spool_query *q)
{
        tags_free(q->tags);
        sqlite3_finalize(q->aggregate);
        sqlite3_close(q->conn);
        free(q->path);
        free(q);
}

const char *spool_query_gateway(const struct spool_query *q)
{
        return q->gateway;
}

uint64_t spool_query_epoch(const struct spool_query *q)
{
        return q->epoch;
}

bool spool_query_live(const struct spool_query *q)
{
        return q->live;
}

/* ---- counts ---- */

/*
 * A line may begin at or below the watermark and end above: it grew, and the
 * watermark went over what was there.
 */
#define LANE_SQL(lane, table)                                                                                      \
        "SELECT acked, (SELECT max(seq) FROM " table "), (SELECT min(seq) FROM " table "), sum(n), max(last_seq)," \
        " sum(CASE WHEN last_seq <= acked THEN n WHEN first_seq <= acked THEN acked - first_seq + 1 ELSE 0 END)"   \
        " FROM (SELECT (SELECT acked_seq FROM cursor WHERE lane='" lane "') AS acked)"                             \
        " LEFT JOIN dropped d ON d.lane='" lane "'"

static const char *const lane_sql[SPOOL_LANES] = {
        [SPOOL_EVENTS] = LANE_SQL("events", "event"),
        [SPOOL_SAMPLES] = LANE_SQL("samples", "reading"),
};

/* None in a file of before there were any. */
static int load_ahead(struct spool_query *q, struct lane_sums *l, struct err *e)
{
        uint64_t there, dropped = 0;
        sqlite3_stmt *st;
        int rc;

        if (query_int(q, "SELECT count(*) FROM sqlite_master WHERE type='table' AND name='ahead'", &there, e) < 0)
                return -1;
        if (!there)
                return 0;
        st = query_prepare(q, "SELECT first_seq, last_seq FROM ahead ORDER BY first_seq", e);
        if (!st)
                return -1;
        while ((rc = sqlite3_step(st)) == SQLITE_ROW && l->ahead.n < LANE_AHEAD_MAX) {
                struct lane_range *r = &l->ahead.v[l->ahead.n++];

                *r = (struct lane_range){(uint64_t)sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 1)};
                l->n_ahead += r->last - r->first + 1;
                if (r->last >= r->first && r->last > l->last)
                        l->last = r->last;
        }
        if (query_finish(q, st, rc, e) < 0 ||
            query_int(q,
                      "SELECT coalesce(sum(min(d.last_seq, a.last_seq) - max(d.first_seq, a.first_seq) + 1), 0) FROM"
                      " dropped d JOIN ahead a ON d.last_seq >= a.first_seq AND d.first_seq <= a.last_seq WHERE"
                      " d.lane='samples'",
                      &dropped, e) < 0)
                return -1;
        l->n_ahead -= dropped;
        l->delivered += l->n_ahead;
        return 0;
}

bool query_is_delivered(const struct lane_sums *l, uint64_t seq)
{
        bool yes = seq <= l->acked;

        for (uint32_t i = 0; i < l->ahead.n; i++)
                yes |= seq >= l->ahead.v[i].first && seq <= l->ahead.v[i].last;
        return yes;
}

int query_lane(struct spool_query *q, enum spool_lane lane, struct lane_sums *l, struct err *e)
{
        sqlite3_stmt *st = query_prepare(q, lane_sql[lane], e);
        uint64_t v[6];
        int rc;

        if (!st)
                return -1;
        rc = sqlite3_step(st);
        for (int i = 0; i < 6; i++)
                v[i] = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, i) : 0;
        *l = (struct lane_sums){.acked = v[0], .first = v[2], .dropped = v[3]};
        l->last = v[1] > v[4] ? v[1] : v[4];
        l->last = l->last > l->acked ? l->last : l->acked;
        l->delivered = l->acked - v[5];
        if (query_finish(q, st, rc, e) < 0 || (lane == SPOOL_SAMPLES && load_ahead(q, l, e) < 0))
                return -1;
        l->held = l->last - l->dropped - l->delivered;
        return 0;
}

int spool_query_delivered(struct spool_query *q, uint64_t seq, bool *yes, struct err *e)
{
        struct lane_sums l;

        if (query_lane(q, SPOOL_SAMPLES, &l, e) < 0)
                return -1;
        *yes = query_is_delivered(&l, seq);
        return 0;
}

static uint64_t size_of(const struct spool_query *q, const char *suffix)
{
        char name[4200];
        struct stat st;

        snprintf(name, sizeof(name), "%s%s", q->path, suffix);
        return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int get_held_bytes(struct spool_query *q, const struct lane_sums *l, struct spool_counts *out, struct err *e)
{
        uint64_t pages, n_free, page_bytes, rows = l->held + l->n_ahead, used;
        double share;

        if (query_int(q, "PRAGMA page_count", &pages, e) < 0 || query_int(q, "PRAGMA freelist_count", &n_free, e) < 0 ||
            query_int(q, "PRAGMA page_size", &page_bytes, e) < 0)
                return -1;
        if (l->first && l->acked >= l->first)
                rows += l->acked - l->first + 1;
        used = n_free < pages ? (pages - n_free) * page_bytes : 0;
        share = l->held < rows ? (double)l->held / (double)rows : 1; /* else damaged, if any is held */
        out->held_bytes = l->held ? (uint64_t)((double)used * share) : 0;
        return 0;
}

int spool_query_counts(struct spool_query *q, struct spool_counts *out, struct err *e)
{
        struct lane_sums ev, sm;
        uint64_t oldest;
        int rc = -1;

        memset(out, 0, sizeof(*out));
        if (sqlite3_exec(q->conn, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
                return query_fail(q, e);
        if (query_lane(q, SPOOL_EVENTS, &ev, e) == 0 && query_lane(q, SPOOL_SAMPLES, &sm, e) == 0 &&
            get_held_bytes(q, &sm, out, e) == 0 &&
            query_int(q,
                      "SELECT ts_us + delay_us FROM reading WHERE seq > (SELECT acked_seq FROM cursor WHERE"
                      " lane='samples') ORDER BY seq LIMIT 1",
                      &oldest, e) == 0 &&
            query_int(q, "SELECT count(*) FROM quarantine", &out->quarantined, e) == 0)
                rc = query_int(q, "SELECT count(*) FROM dead_letter", &out->dead_lettered, e);
        sqlite3_exec(q->conn, "COMMIT", NULL, NULL, NULL);
        if (rc < 0)
                return -1;
        out->accepted = out->last_seq[SPOOL_SAMPLES] = sm.last;
        out->delivered = sm.delivered;
        out->held = sm.held;
        out->dropped = sm.dropped;
        out->events_accepted = out->last_seq[SPOOL_EVENTS] = ev.last;
        out->events_delivered = ev.delivered;
        out->events_held = ev.held;
        out->events_dropped = ev.dropped;
        out->acked_seq[SPOOL_SAMPLES] = sm.acked;
        out->acked_seq[SPOOL_EVENTS] = ev.acked;
        out->epoch = q->epoch;
        out->oldest_held_ts_us = spool_time_sum((int64_t)oldest, 0);
        out->spool_bytes = size_of(q, "") + size_of(q, "-wal") + size_of(q, "-shm");
        return 0;
}
