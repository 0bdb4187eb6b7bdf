/*
 * spool_query: see spool_query.h.
 *
 * Every listing walks by seq (or id) in slices: a slice is copied out of SQLite, its statement reset, and only then shown,
 * so a slow terminal never holds a read transaction that would keep the daemon's WAL from starting over.  Filters other
 * than seq are applied here: there is no index but seq, and the file pays for none.
 *
 * A file without a daemon may lie in a directory we can't write to, where SQLite can't make its -shm: then, and only when
 * no WAL is left, it is opened as immutable.  How it fails: with a sentence; nothing is ever written.
 */
#include "store/spool_query.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "store/spool_impl.h"

enum { SLICE_ROWS = 512, SLICE_BYTES = 1 << 20, STATS_ROWS = 20000 };

struct names {
        char *text; /* source, name, unit, labels, driver: each ended by NUL */
        const char *at[5];
        int64_t last_ts_us;
};

struct spool_query {
        sqlite3 *conn;
        char *path;
        char gateway[TEXT_NAME_MAX + 1];
        uint64_t epoch;
        bool live;
        struct names *tags; /* by id */
        size_t n_tags;
};

static int fail(struct spool_query *q, struct err *e)
{
        return err_set(e, "spool %s: cannot be read: %s", q->path, sqlite3_errmsg(q->conn));
}

static sqlite3_stmt *prepare(struct spool_query *q, const char *sql, struct err *e)
{
        sqlite3_stmt *st = NULL;

        if (sqlite3_prepare_v2(q->conn, sql, -1, &st, NULL) != SQLITE_OK)
                fail(q, e);
        return st;
}

/* Ends the statement; `rc` is what its last step said. */
static int finish(struct spool_query *q, sqlite3_stmt *st, int rc, struct err *e)
{
        int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : fail(q, e);

        sqlite3_finalize(st);
        return result;
}

static int get_int(struct spool_query *q, const char *sql, uint64_t *out, struct err *e)
{
        sqlite3_stmt *st = prepare(q, sql, e);
        int rc;

        if (!st)
                return -1;
        rc = sqlite3_step(st);
        *out = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
        return finish(q, st, rc, e);
}

static const char *text_of(sqlite3_stmt *st, int column)
{
        const char *s = (const char *)sqlite3_column_text(st, column);

        return s ? s : "";
}

/* ---- open ---- */

static bool is_locked(const char *path)
{
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        char name[4200];
        bool locked;
        int fd;

        snprintf(name, sizeof(name), "%s.lock", path);
        fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        locked = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
        close(fd);
        return locked;
}

static bool has_wal(const char *path)
{
        char name[4200];
        struct stat st;

        snprintf(name, sizeof(name), "%s-wal", path);
        return stat(name, &st) == 0 && st.st_size > 0;
}

static int connect_as(struct spool_query *q, bool immutable)
{
        char uri[3 * 4096 + 64], *p = uri;
        int rc;

        p += sprintf(p, "file:");
        for (const char *s = q->path; *s; s++)
                p += strchr("%?#", *s) ? sprintf(p, "%%%02x", (unsigned char)*s) : (*p = *s, 1);
        sprintf(p, "?mode=ro%s", immutable ? "&immutable=1" : "");
        sqlite3_close(q->conn);
        rc = sqlite3_open_v2(uri, &q->conn, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_exec(q->conn, "PRAGMA busy_timeout=2000; PRAGMA cache_size=-1024; PRAGMA application_id",
                                  NULL, NULL, NULL);
        return rc;
}

static int load_meta(struct spool_query *q, struct err *e)
{
        uint64_t id = 0, version = 0;
        sqlite3_stmt *st;
        int rc;

        if (get_int(q, "PRAGMA application_id", &id, e) < 0 || get_int(q, "PRAGMA user_version", &version, e) < 0)
                return -1;
        if (id != FILE_ID)
                return err_set(e, "%s: an SQLite file, but not a spool", q->path);
        if (version > FILE_VERSION)
                return err_set(e, "spool %s: written by a newer millrace (format %" PRIu64 "); use its tool", q->path,
                               version);
        st = prepare(q,
                     "SELECT (SELECT value FROM meta WHERE key='gateway'), (SELECT value FROM meta WHERE key='epoch')",
                     e);
        if (!st)
                return -1;
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
                snprintf(q->gateway, sizeof(q->gateway), "%s", text_of(st, 0));
                q->epoch = (uint64_t)sqlite3_column_int64(st, 1);
        }
        return finish(q, st, rc, e);
}

static int connect_file(struct spool_query *q, struct err *e)
{
        int rc = connect_as(q, false);

        if ((rc & 0xff) == SQLITE_NOTADB)
                return err_set(e, "%s: not a spool (not an SQLite file)", q->path);
        if (rc != SQLITE_OK && !q->live && !has_wal(q->path))
                rc = connect_as(q, true);
        if (rc != SQLITE_OK)
                return fail(q, e);
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
        q->live = is_locked(path);
        if (connect_file(q, e) < 0) {
                spool_query_close(q);
                return -1;
        }
        *out = q;
        return 0;
}

void spool_query_close(struct spool_query *q)
{
        for (size_t i = 0; i < q->n_tags; i++)
                free(q->tags[i].text);
        free(q->tags);
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

static const char *const lane_sql[SPOOL_LANES] = {
        [SPOOL_EVENTS] =
                "SELECT (SELECT acked_seq FROM cursor WHERE lane='events'),"
                " (SELECT max(seq) FROM event), (SELECT min(seq) FROM event), sum(n), max(last_seq),"
                " sum(CASE WHEN last_seq <= (SELECT acked_seq FROM cursor WHERE lane='events') THEN n ELSE 0 END)"
                " FROM dropped WHERE lane='events'",
        [SPOOL_SAMPLES] =
                "SELECT (SELECT acked_seq FROM cursor WHERE lane='samples'),"
                " (SELECT max(seq) FROM reading), (SELECT min(seq) FROM reading), sum(n), max(last_seq),"
                " sum(CASE WHEN last_seq <= (SELECT acked_seq FROM cursor WHERE lane='samples') THEN n ELSE 0 END)"
                " FROM dropped WHERE lane='samples'",
};

struct lane_sums {
        uint64_t acked, first, last, dropped, delivered, held;
};

static int get_lane(struct spool_query *q, enum spool_lane lane, struct lane_sums *l, struct err *e)
{
        sqlite3_stmt *st = prepare(q, lane_sql[lane], e);
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
        l->held = l->last - l->acked - (l->dropped - v[5]);
        return finish(q, st, rc, e);
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
        uint64_t pages, n_free, rows = l->held, used;

        if (get_int(q, "PRAGMA page_count", &pages, e) < 0 || get_int(q, "PRAGMA freelist_count", &n_free, e) < 0)
                return -1;
        if (l->first && l->acked >= l->first)
                rows += l->acked - l->first + 1;
        used = (pages - n_free) * PAGE_BYTES;
        out->held_bytes = l->held ? (uint64_t)((double)used * ((double)l->held / (double)rows)) : 0;
        return 0;
}

int spool_query_counts(struct spool_query *q, struct spool_counts *out, struct err *e)
{
        struct lane_sums ev, sm;
        uint64_t oldest;
        int rc = -1;

        memset(out, 0, sizeof(*out));
        if (sqlite3_exec(q->conn, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
                return fail(q, e);
        if (get_lane(q, SPOOL_EVENTS, &ev, e) == 0 && get_lane(q, SPOOL_SAMPLES, &sm, e) == 0 &&
            get_held_bytes(q, &sm, out, e) == 0 &&
            get_int(q,
                    "SELECT ts_us + delay_us FROM reading WHERE seq > (SELECT acked_seq FROM cursor WHERE"
                    " lane='samples') ORDER BY seq LIMIT 1",
                    &oldest, e) == 0 &&
            get_int(q, "SELECT count(*) FROM quarantine", &out->quarantined, e) == 0)
                rc = get_int(q, "SELECT count(*) FROM dead_letter", &out->dead_lettered, e);
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
        out->oldest_held_ts_us = (int64_t)oldest;
        out->spool_bytes = size_of(q, "") + size_of(q, "-wal") + size_of(q, "-shm");
        return 0;
}

/* ---- tags ---- */

static void set_names(struct names *t, sqlite3_stmt *st)
{
        size_t len[5], sum = 0;
        char *p;

        for (int i = 0; i < 5; i++)
                sum += len[i] = strlen(text_of(st, i + 1)) + 1;
        t->text = p = mem_alloc(sum);
        for (int i = 0; i < 5; i++) {
                t->at[i] = memcpy(p, text_of(st, i + 1), len[i]);
                p += len[i];
        }
        t->last_ts_us = sqlite3_column_int64(st, 6);
}

/* New ones since the last call; what is known does not change but for last_ts_us. */
static int load_tags(struct spool_query *q, struct err *e)
{
        sqlite3_stmt *st = prepare(
                q, "SELECT id, source, name, unit, labels, driver, last_ts_us FROM tag WHERE id >= ?1 ORDER BY id", e);
        int rc;

        if (!st)
                return -1;
        sqlite3_bind_int64(st, 1, (int64_t)q->n_tags);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW && (size_t)sqlite3_column_int64(st, 0) == q->n_tags) {
                q->tags = mem_grow(q->tags, q->n_tags + 1, sizeof(*q->tags));
                set_names(&q->tags[q->n_tags++], st);
        }
        return finish(q, st, rc, e);
}

/* Never NULL: a row whose tag we don't know (yet) has empty names. */
static const struct names *names_of(const struct spool_query *q, uint32_t tag)
{
        static const struct names none = {.at = {"", "", "", "", ""}};

        return tag < q->n_tags ? &q->tags[tag] : &none;
}

static void add_to_stats(struct spool_query_tag *t, const struct spool_row *row, uint64_t acked)
{
        if (row->seq > acked)
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
        sqlite3_stmt *st = prepare(q, "SELECT " SPOOL_COLUMNS " FROM reading WHERE seq > ?1 ORDER BY seq LIMIT ?2", e);
        uint64_t acked, after = 0;
        struct spool_row row;
        int rc, n_rows = STATS_ROWS;

        if (!st || get_int(q, "SELECT acked_seq FROM cursor WHERE lane='samples'", &acked, e) < 0) {
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
                                add_to_stats(&sum[row.r.tag], &row, acked);
                }
                sqlite3_reset(st);
        }
        return finish(q, st, rc, e);
}

int spool_query_tags(struct spool_query *q, bool stats, bool (*each)(void *ctx, const struct spool_query_tag *tag),
                     void *ctx, struct err *e)
{
        struct spool_query_tag *sum;
        int rc = 0;

        if (load_tags(q, e) < 0)
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

/* ---- rows ---- */

struct slice {
        struct spool_row rows[SLICE_ROWS];
        int severity[SLICE_ROWS];
        size_t text_at[SLICE_ROWS], kind_at[SLICE_ROWS];
        int n;
        struct spool_bytes bytes;
        bool end; /* nothing behind it */
};

static size_t keep(struct spool_bytes *b, const void *p, size_t len)
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

static bool is_text(const struct reading *r)
{
        return r->type == READING_TEXT || r->type == READING_RAW;
}

static void keep_row(struct slice *s, sqlite3_stmt *st, enum spool_lane lane)
{
        struct spool_row *row = &s->rows[s->n];

        s->kind_at[s->n] = s->severity[s->n] = 0;
        if (lane == SPOOL_EVENTS) {
                spool_read_event(st, row);
                s->kind_at[s->n] = keep(&s->bytes, text_of(st, 4), strlen(text_of(st, 4)) + 1);
                s->severity[s->n] = sqlite3_column_int(st, 5);
        } else {
                spool_read_row(st, row);
        }
        s->text_at[s->n] = is_text(&row->r) ? keep(&s->bytes, row->r.v.text, row->r.len) : 0;
        s->n++;
}

/* The next rows above `edge` (or below it, `down`) into the slice; the transaction is over on return. */
static int load_slice(struct spool_query *q, sqlite3_stmt *st, enum spool_lane lane, uint64_t edge, uint64_t upto,
                      struct slice *s, struct err *e)
{
        int rc;

        s->n = 0;
        s->bytes.n = 0;
        sqlite3_bind_int64(st, 1, (int64_t)edge);
        sqlite3_bind_int64(st, 2, (int64_t)upto);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
                keep_row(s, st, lane);
                if (s->n == SLICE_ROWS || s->bytes.n > SLICE_BYTES)
                        break;
        }
        sqlite3_reset(st);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                return fail(q, e);
        s->end = rc == SQLITE_DONE;
        for (int i = 0; i < s->n; i++)
                if (is_text(&s->rows[i].r))
                        s->rows[i].r.v.text = s->bytes.p ? s->bytes.p + s->text_at[i] : "";
        return s->n ? load_tags(q, e) : 0;
}

static const char *const up_sql[SPOOL_LANES] = {
        "SELECT " SPOOL_EVENT_COLUMNS " FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
        "SELECT " SPOOL_COLUMNS " FROM reading WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
};
static const char *const down_sql[SPOOL_LANES] = {
        "SELECT " SPOOL_EVENT_COLUMNS " FROM event WHERE seq < ?1 AND seq > ?2 ORDER BY seq DESC",
        "SELECT " SPOOL_COLUMNS " FROM reading WHERE seq < ?1 AND seq > ?2 ORDER BY seq DESC",
};

static bool matches(const struct spool_query *q, const struct spool_filter *f, const struct spool_row *row)
{
        const struct names *t = names_of(q, row->r.tag);

        if ((f->from_us && row->r.ts_us < f->from_us) || (f->to_us && row->r.ts_us >= f->to_us))
                return false;
        if (f->source && fnmatch(f->source, t->at[0], 0) != 0)
                return false;
        return !f->name || fnmatch(f->name, t->at[1], 0) == 0;
}

static void show_row(const struct spool_query *q, enum spool_lane lane, const struct slice *s, int i, uint64_t acked,
                     struct spool_query_row *out)
{
        const struct names *t = names_of(q, s->rows[i].r.tag);

        *out = (struct spool_query_row){.seq = s->rows[i].seq,
                                        .r = s->rows[i].r,
                                        .source = t->at[0],
                                        .name = t->at[1],
                                        .unit = t->at[2],
                                        .labels = t->at[3],
                                        .delivered = s->rows[i].seq <= acked,
                                        .kind = lane == SPOOL_EVENTS ? s->bytes.p + s->kind_at[i] : "",
                                        .severity = s->severity[i]};
}

/* Where the newest f->newest matching rows begin: *after becomes the seq before the first of them. */
static int find_newest(struct spool_query *q, const struct spool_filter *f, struct slice *s, uint64_t *after,
                       uint64_t upto, struct err *e)
{
        sqlite3_stmt *st = prepare(q, down_sql[f->lane], e);
        uint64_t edge = upto < INT64_MAX ? upto + 1 : INT64_MAX, found = 0;
        int rc = st ? 0 : -1;

        for (s->end = false; !rc && !s->end && found < f->newest;) {
                rc = load_slice(q, st, f->lane, edge, *after, s, e);
                for (int i = 0; !rc && i < s->n && found < f->newest; i++) {
                        edge = s->rows[i].seq;
                        found += matches(q, f, &s->rows[i]);
                }
        }
        sqlite3_finalize(st);
        if (!rc && found >= f->newest)
                *after = edge - 1;
        return rc;
}

static int walk_up(struct spool_query *q, const struct spool_filter *f, struct slice *s, uint64_t after, uint64_t upto,
                   uint64_t acked, bool (*each)(void *ctx, const struct spool_query_row *row), void *ctx, struct err *e)
{
        sqlite3_stmt *st = prepare(q, up_sql[f->lane], e);
        struct spool_query_row row;
        uint64_t n = 0;
        int rc = st ? 0 : -1;

        for (s->end = false; !rc && !s->end;) {
                rc = load_slice(q, st, f->lane, after, upto, s, e);
                for (int i = 0; !rc && i < s->n; i++) {
                        after = s->rows[i].seq;
                        if (!matches(q, f, &s->rows[i]))
                                continue;
                        show_row(q, f->lane, s, i, acked, &row);
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
        int rc = get_lane(q, f->lane, &l, e);

        if (!rc && f->held_only && after < l.acked)
                after = l.acked;
        if (!rc && f->newest)
                rc = find_newest(q, f, s, &after, upto, e);
        if (!rc)
                rc = walk_up(q, f, s, after, upto, l.acked, each, ctx, e);
        free(s->bytes.p);
        free(s);
        return rc;
}

/* ---- what did not go to Kafka: small tables, one short statement each row ---- */

static enum spool_lane lane_of(const char *name)
{
        return strcmp(name, spool_lane_names[SPOOL_EVENTS]) == 0 ? SPOOL_EVENTS : SPOOL_SAMPLES;
}

int spool_query_dropped(struct spool_query *q, bool (*each)(void *ctx, const struct spool_query_drop *drop), void *ctx,
                        struct err *e)
{
        sqlite3_stmt *st = prepare(q,
                                   "SELECT lane, first_seq, last_seq, n, reason, at_us FROM dropped"
                                   " WHERE (lane, first_seq) > (?1, ?2) ORDER BY lane, first_seq LIMIT 1",
                                   e);
        char lane[16] = "", reason[REASON_MAX];
        struct spool_query_drop d = {.reason = reason};
        int rc = st ? SQLITE_ROW : SQLITE_ERROR;

        while (rc == SQLITE_ROW) {
                sqlite3_bind_text(st, 1, lane, -1, SQLITE_TRANSIENT);
                sqlite3_bind_int64(st, 2, (int64_t)d.first_seq);
                rc = sqlite3_step(st);
                if (rc != SQLITE_ROW)
                        break;
                snprintf(lane, sizeof(lane), "%s", text_of(st, 0));
                snprintf(reason, sizeof(reason), "%s", text_of(st, 4));
                d.lane = lane_of(lane);
                d.first_seq = (uint64_t)sqlite3_column_int64(st, 1);
                d.last_seq = (uint64_t)sqlite3_column_int64(st, 2);
                d.n = (uint64_t)sqlite3_column_int64(st, 3);
                d.at_us = sqlite3_column_int64(st, 5);
                sqlite3_reset(st);
                if (!each(ctx, &d))
                        break;
        }
        return st ? finish(q, st, rc, e) : -1;
}

int spool_query_quarantine(struct spool_query *q, bool (*each)(void *ctx, const struct spool_query_quarantine *item),
                           void *ctx, struct err *e)
{
        sqlite3_stmt *st = prepare(q,
                                   "SELECT id, at_us, driver, origin, reason, payload FROM quarantine WHERE id > ?1"
                                   " ORDER BY id LIMIT 1",
                                   e);
        struct spool_query_quarantine item = {0};
        struct spool_bytes b = {0};
        int rc = st ? SQLITE_ROW : SQLITE_ERROR;

        while (rc == SQLITE_ROW) {
                size_t at[4];

                sqlite3_bind_int64(st, 1, (int64_t)item.id);
                rc = sqlite3_step(st);
                if (rc != SQLITE_ROW)
                        break;
                b.n = 0;
                item.id = (uint64_t)sqlite3_column_int64(st, 0);
                item.at_us = sqlite3_column_int64(st, 1);
                item.len = (size_t)sqlite3_column_bytes(st, 5);
                for (int i = 0; i < 3; i++)
                        at[i] = keep(&b, text_of(st, 2 + i), strlen(text_of(st, 2 + i)) + 1);
                at[3] = keep(&b, sqlite3_column_blob(st, 5), item.len);
                sqlite3_reset(st);
                item.driver = b.p + at[0];
                item.origin = b.p + at[1];
                item.reason = b.p + at[2];
                item.payload = b.p + at[3];
                if (!each(ctx, &item))
                        break;
        }
        free(b.p);
        return st ? finish(q, st, rc, e) : -1;
}

int spool_query_dead_letters(struct spool_query *q, bool (*each)(void *ctx, const struct spool_query_dead *dead),
                             void *ctx, struct err *e)
{
        sqlite3_stmt *st = prepare(q,
                                   "SELECT " SPOOL_COLUMNS ", id, lane, reason, at_us FROM dead_letter WHERE id > ?1"
                                   " ORDER BY id LIMIT 1",
                                   e);
        char reason[200];
        struct spool_query_dead dead = {.reason = reason};
        struct slice *s = mem_alloc(sizeof(*s));
        int64_t id = 0;
        int rc = st ? SQLITE_ROW : SQLITE_ERROR;

        if (st && load_tags(q, e) < 0)
                rc = SQLITE_ERROR;
        while (rc == SQLITE_ROW) {
                sqlite3_bind_int64(st, 1, id);
                rc = sqlite3_step(st);
                if (rc != SQLITE_ROW)
                        break;
                s->n = 0;
                s->bytes.n = 0;
                keep_row(s, st, SPOOL_SAMPLES);
                if (sqlite3_column_type(st, 2) == SQLITE_NULL)
                        s->rows[0].r.tag = SPOOL_NO_TAG;
                id = sqlite3_column_int64(st, 8);
                dead.lane = lane_of(text_of(st, 9));
                snprintf(reason, sizeof(reason), "%s", text_of(st, 10));
                dead.at_us = sqlite3_column_int64(st, 11);
                sqlite3_reset(st);
                if (is_text(&s->rows[0].r))
                        s->rows[0].r.v.text = s->bytes.p ? s->bytes.p : "";
                show_row(q, SPOOL_SAMPLES, s, 0, 0, &dead.row);
                if (!each(ctx, &dead))
                        break;
        }
        free(s->bytes.p);
        free(s);
        return st ? finish(q, st, rc, e) : -1;
}

/* ---- alarms ---- */

/* A file that an older version made and nobody has opened since has no alarms. */
static bool has_alarms(struct spool_query *q)
{
        uint64_t n = 0;

        return get_int(q, "SELECT count(*) FROM sqlite_master WHERE name = 'alarm_log'", &n, NULL) == 0 && n > 0;
}

int spool_query_alarms(struct spool_query *q, bool (*each)(void *ctx, const struct spool_alarm *a), void *ctx,
                       struct err *e)
{
        static const char sql[] = "SELECT " SPOOL_ALARM_COLUMNS " FROM alarm WHERE (source, tag, rule, limit_kind) >"
                                  " (?1, ?2, ?3, ?4) ORDER BY source, tag, rule, limit_kind LIMIT 1";
        char key[4][TEXT_NAME_MAX + 32] = {"", "", "", ""}, state[32];
        struct spool_alarm a;
        sqlite3_stmt *st;
        int rc = SQLITE_ROW;

        if (!has_alarms(q))
                return 0;
        st = prepare(q, sql, e);
        while (st && rc == SQLITE_ROW) {
                for (int i = 0; i < 4; i++)
                        sqlite3_bind_text(st, 1 + i, key[i], -1, SQLITE_STATIC);
                rc = sqlite3_step(st);
                if (rc != SQLITE_ROW)
                        break;
                spool_read_alarm(st, &a);
                snprintf(key[0], sizeof(key[0]), "%s", a.source);
                snprintf(key[1], sizeof(key[1]), "%s", a.tag);
                snprintf(key[2], sizeof(key[2]), "%s", a.rule);
                snprintf(key[3], sizeof(key[3]), "%s", a.limit_kind);
                snprintf(state, sizeof(state), "%s", a.state);
                sqlite3_reset(st);
                a.source = key[0];
                a.tag = key[1];
                a.rule = key[2];
                a.limit_kind = key[3];
                a.state = state;
                if (!each(ctx, &a))
                        break;
        }
        return st ? finish(q, st, rc, e) : -1;
}

static double number_or_nan(sqlite3_stmt *st, int column)
{
        return sqlite3_column_type(st, column) == SQLITE_NULL ? NAN : sqlite3_column_double(st, column);
}

int spool_query_alarm_log(struct spool_query *q, int64_t from_us, uint64_t most,
                          bool (*each)(void *ctx, const struct spool_query_alarm_note *note), void *ctx, struct err *e)
{
        static const char sql[] =
                "SELECT source, tag, rule, limit_kind, change, coalesce(operator, ''), coalesce(comment, ''), event_id,"
                " id, at_us, value, limit_value, severity FROM alarm_log WHERE id > ?1 AND at_us >= ?2 ORDER BY id "
                "LIMIT 1";
        static const char skip[] = "SELECT coalesce(min(id), 1) - 1 FROM (SELECT id FROM alarm_log WHERE at_us >= ?1"
                                   " ORDER BY id DESC LIMIT ?2)";
        struct spool_query_alarm_note note = {0};
        struct spool_bytes b = {0};
        sqlite3_stmt *st;
        int rc = SQLITE_ROW;

        if (!has_alarms(q))
                return 0;
        st = prepare(q, skip, e);
        if (!st)
                return -1;
        sqlite3_bind_int64(st, 1, from_us);
        sqlite3_bind_int64(st, 2, most ? (int64_t)most : -1);
        rc = sqlite3_step(st);
        note.id = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
        if (finish(q, st, rc, e) < 0 || !(st = prepare(q, sql, e)))
                return -1;
        while (rc == SQLITE_ROW) {
                size_t at[8];

                sqlite3_bind_int64(st, 1, (int64_t)note.id);
                sqlite3_bind_int64(st, 2, from_us);
                rc = sqlite3_step(st);
                if (rc != SQLITE_ROW)
                        break;
                b.n = 0;
                for (int i = 0; i < 8; i++)
                        at[i] = keep(&b, text_of(st, i), strlen(text_of(st, i)) + 1);
                note.id = (uint64_t)sqlite3_column_int64(st, 8);
                note.n = (struct spool_alarm_note){.at_us = sqlite3_column_int64(st, 9),
                                                   .source = b.p + at[0],
                                                   .tag = b.p + at[1],
                                                   .rule = b.p + at[2],
                                                   .limit_kind = b.p + at[3],
                                                   .change = b.p + at[4],
                                                   .by = b.p + at[5],
                                                   .comment = b.p + at[6],
                                                   .value = number_or_nan(st, 10),
                                                   .limit = number_or_nan(st, 11),
                                                   .severity = sqlite3_column_int(st, 12)};
                snprintf(note.n.event_id, sizeof(note.n.event_id), "%s", b.p + at[7]);
                sqlite3_reset(st);
                if (!each(ctx, &note))
                        break;
        }
        free(b.p);
        return finish(q, st, rc, e);
}
