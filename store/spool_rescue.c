/*
 * spool_rescue: a spool that SQLite can't read is moved aside whole, and its rows go on in a fresh one.
 *
 * Only what is ours is moved: a file with our id in its first page, or with our sidecar beside it.  Anything else at the
 * configured path is refused with a sentence.  The marker `<path>.damaged` begins a rescue, names where the file went and
 * is removed when the fresh spool is complete; a cut in between starts the salvage over, three times at most, then without
 * salvage: never a loop.  A running spool that meets damage leaves an empty marker and ends.
 *
 * The fresh spool has a new epoch; rows above the old watermark get new seqs in the old order, under the same tag ids.
 * What was delivered, dropped, in quarantine or dead-lettered stays in the file aside.  Seqs that can't be found are told:
 * in the `rescue` table and, by the caller, in an event.  Time and room are bounded; what did not fit in is told as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "store/spool_impl.h"
#include "store/spool_pages.h"

enum {
        ID_AT = 68,
        MOST_TRIES = 3,
        ROWS_AT_ONCE = 5000,
        MOST_S = 60,
        TELL_EVERY_S = 5,
        MOST_TAGS = 1000000,
        MOST_UNNAMED = 1000,
        MOST_QUALITY = 64,
};

static const char *const suffixes[] = {"-wal", "-journal", ""};

static void name_of(char *out, size_t cap, const char *path, const char *suffix)
{
        snprintf(out, cap, "%s%s", path, suffix);
}

static bool exists(const char *path, const char *suffix)
{
        char name[4200];
        struct stat st;

        name_of(name, sizeof(name), path, suffix);
        return stat(name, &st) == 0 && (*suffix == '\0' || st.st_size > 0);
}

/* ---- whose file is it ---- */

bool spool_rescue_is_ours(const char *path)
{
        unsigned char head[ID_AT + 4];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool ours = false;

        if (fd >= 0) {
                ours = pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) && !memcmp(head + ID_AT, "MLR1", 4);
                if (!ours && !memcmp(head, "SQLite format 3", 16) && memcmp(head + ID_AT, "\0\0\0\0", 4) != 0) {
                        close(fd);
                        return false;
                }
                close(fd);
        }
        return ours || exists(path, ".epoch");
}

bool spool_rescue_is_marked(const char *path)
{
        char name[4200];
        struct stat st;

        name_of(name, sizeof(name), path, ".damaged");
        return stat(name, &st) == 0;
}

/* ---- the marker ---- */

static int write_marker(const char *path, const char *aside, int tries)
{
        char name[4200], tmp[4300], text[4300];
        int n = snprintf(text, sizeof(text), "%d %s\n", tries, aside), fd, ok;

        name_of(name, sizeof(name), path, ".damaged");
        snprintf(tmp, sizeof(tmp), "%s.new", name);
        fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        if (fd < 0)
                return -1;
        ok = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
        close(fd);
        return ok && rename(tmp, name) == 0 && spool_sync_directory(path) == 0 ? 0 : -1;
}

void spool_rescue_mark(const char *path)
{
        write_marker(path, "", 0);
}

/* How often it was tried; *aside "" when the file has not been moved. */
static int read_marker(const char *path, char *aside, size_t cap)
{
        char name[4200], text[4300] = "";
        ssize_t n;
        int fd, tries, at = 0;

        *aside = '\0';
        name_of(name, sizeof(name), path, ".damaged");
        fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        if (sscanf(text, "%d %n", &tries, &at) != 1)
                return 0;
        snprintf(aside, cap, "%s", text + at);
        return tries;
}

/* ---- moving aside ---- */

static void choose_aside(const char *path, int64_t wall_us, char *aside, size_t cap)
{
        time_t t = (time_t)(wall_us / 1000000);
        struct tm tm;
        int n;

        gmtime_r(&t, &tm);
        n = snprintf(aside, cap, "%s.corrupt-%04d%02d%02dT%02d%02d%02dZ", path, tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        for (int i = 2; exists(aside, "") && i < 1000; i++)
                snprintf(aside + n, cap - (size_t)n, "-%d", i);
}

/* Files of a rescue that was cut short hold nothing but copies. */
static void remove_partial(const char *path)
{
        static const char *const all[] = {"", "-wal", "-shm", "-journal"};
        char name[4200];

        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
                name_of(name, sizeof(name), path, all[i]);
                unlink(name);
        }
}

/* The database goes last: while it is there, the move is not done. */
static int move_files(const char *path, const char *aside, struct err *e)
{
        char from[4200], to[4200];

        for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
                name_of(from, sizeof(from), path, suffixes[i]);
                name_of(to, sizeof(to), aside, suffixes[i]);
                if (rename(from, to) != 0 && errno != ENOENT)
                        return err_errno(e, "spool %s: damaged, and cannot be moved aside to %s", path, to);
        }
        name_of(from, sizeof(from), path, "-shm");
        unlink(from);
        return spool_sync_directory(path) == 0 ? 0 : err_errno(e, "spool %s: cannot sync its directory", path);
}

/* A disk that can't be read now may be read later. */
bool spool_rescue_can_read(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool can = fd >= 0 || errno == ENOENT;
        char byte[512];
        struct stat st;

        if (fd < 0)
                return can;
        can = fstat(fd, &st) == 0 && pread(fd, byte, sizeof(byte), 0) >= 0 &&
              pread(fd, byte, sizeof(byte), st.st_size / 2) >= 0;
        close(fd);
        return can;
}

int spool_rescue_begin(struct spool_rescue *r, const char *path, int64_t wall_us, struct err *e)
{
        memset(r, 0, sizeof(*r));
        if (!spool_rescue_can_read(path))
                return err_errno(e, "spool %s: cannot be read", path);
        r->at_us = wall_us;
        r->tries = read_marker(path, r->aside, sizeof(r->aside));
        if (*r->aside && exists(r->aside, ""))
                remove_partial(path);
        if (!*r->aside)
                choose_aside(path, wall_us, r->aside, sizeof(r->aside));
        if (write_marker(path, r->aside, ++r->tries) < 0)
                return err_errno(e, "spool %s: damaged, and its directory cannot be written", path);
        if (!exists(r->aside, "") && move_files(path, r->aside, e) < 0)
                return -1;
        log_error("spool", "%s is damaged; it is now %s, and what can be read of it is carried over", path, r->aside);
        return 0;
}

static void end_marker(const char *path)
{
        char name[4200];

        name_of(name, sizeof(name), path, ".damaged");
        unlink(name);
        spool_sync_directory(path);
}

/* ---- salvage ---- */

struct range {
        uint64_t first, last;
};

struct salvage {
        struct spool_rescue *r;
        struct spool_db *db;
        struct pages *pages;
        sqlite3_stmt *put, *put_event;
        char gateway[TEXT_NAME_MAX + 1];
        bool has_gateway;
        uint64_t acked[SPOOL_LANES];
        struct range *dropped; /* of the samples lane, ascending */
        size_t n_dropped, cap_dropped;
        struct {
                char *text[5];
        } * tags; /* by id; NULL: not found */
        size_t n_tags, cap_tags;
        size_t n_tags_seen;             /* in readings */
        uint64_t last_seq[SPOOL_LANES]; /* carried over or known lost */
        uint64_t in_transaction;
        uint64_t done_readings, done_events; /* committed */
        struct timespec began, told;
        int rc;
};

static double seconds_since(const struct timespec *t)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static bool is_text(const struct pages_value *v, const char *text)
{
        return v->type == PAGES_TEXT && v->len == strlen(text) && !memcmp(v->p, text, v->len);
}

/* A page may be there in several versions: the watermark only grows. */
static bool on_pair(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        const struct pages_value *v = row->v;

        for (int i = 0; i < SPOOL_LANES; i++)
                if (is_text(&v[0], spool_lane_names[i]) && v[1].type == PAGES_INT && v[1].i > 0 &&
                    (uint64_t)v[1].i > s->acked[i])
                        s->acked[i] = (uint64_t)v[1].i;
        if (is_text(&v[0], "epoch") && v[1].type == PAGES_INT && v[1].i > 0)
                s->r->old_epoch = (uint64_t)v[1].i;
        if (is_text(&v[0], "gateway") && v[1].type == PAGES_TEXT && v[1].len <= TEXT_NAME_MAX) {
                snprintf(s->gateway, sizeof(s->gateway), "%.*s", (int)v[1].len, v[1].p);
                s->has_gateway = true;
        }
        return true;
}

static bool on_dropped(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        const struct pages_value *v = row->v;

        if (!is_text(&v[0], spool_lane_names[SPOOL_SAMPLES]) || v[1].type != PAGES_INT || v[2].type != PAGES_INT ||
            v[1].i < 1 || v[2].i < v[1].i)
                return true;
        if (s->n_dropped == s->cap_dropped) {
                s->cap_dropped = s->cap_dropped ? 2 * s->cap_dropped : 64;
                s->dropped = mem_grow(s->dropped, s->cap_dropped, sizeof(*s->dropped));
        }
        s->dropped[s->n_dropped++] = (struct range){(uint64_t)v[1].i, (uint64_t)v[2].i};
        return true;
}

static int by_first(const void *a, const void *b)
{
        const struct range *x = a, *y = b;

        return x->first < y->first ? -1 : x->first > y->first;
}

static bool on_tag(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        size_t id = (size_t)row->rowid;

        if (row->rowid < 0 || row->rowid >= MOST_TAGS)
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
        for (int i = 0; i < 5 && (i || !s->tags[id].text[0]); i++) {
                s->tags[id].text[i] = mem_alloc((size_t)row->v[i + 1].len + 1);
                memcpy(s->tags[id].text[i], row->v[i + 1].p, row->v[i + 1].len);
        }
        return true;
}

/* ---- writing the fresh file ---- */

static void exec(struct salvage *s, const char *sql)
{
        if (s->rc == SQLITE_OK)
                s->rc = sqlite3_exec(s->db->conn, sql, NULL, NULL, NULL);
}

static void run(struct salvage *s, sqlite3_stmt *st)
{
        int rc = sqlite3_step(st);

        sqlite3_reset(st);
        if (rc != SQLITE_DONE && s->rc == SQLITE_OK)
                s->rc = rc;
}

/* Ids stay as they were; an id that was not found gets a name that says so. */
static void put_tags(struct salvage *s, size_t from, size_t to)
{
        sqlite3_stmt *st = NULL;
        char name[32];

        s->rc = sqlite3_prepare_v2(s->db->conn, "INSERT INTO tag VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)", -1, &st, NULL);
        for (size_t id = from; id < to && s->rc == SQLITE_OK; id++) {
                static char *none[5];
                char **text = id < s->n_tags ? s->tags[id].text : none;

                sqlite3_bind_int64(st, 1, (int64_t)id);
                snprintf(name, sizeof(name), "tag-%zu", id);
                for (int i = 0; i < 5; i++)
                        sqlite3_bind_text(st, 2 + i,
                                          text[0]  ? text[i]
                                          : i == 0 ? "rescued"
                                          : i == 1 ? name
                                                   : "",
                                          -1, SQLITE_TRANSIENT);
                run(s, st);
        }
        sqlite3_finalize(st);
}

static bool was_dropped(const struct salvage *s, uint64_t seq, uint64_t *last)
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

static void note_lost(struct spool_rescue *r, uint64_t first, uint64_t last)
{
        size_t n = strlen(r->lost);

        r->n_lost += last - first + 1;
        if (n + 48 < sizeof(r->lost))
                snprintf(r->lost + n, sizeof(r->lost) - n, "%s%" PRIu64 "-%" PRIu64, n ? "," : "", first, last);
        else if (!strchr(r->lost, '+'))
                strcat(r->lost, "+");
}

/* Seqs from `first` to `last` have no row: the ledger's are accounted for, the others are lost. */
static void note_gap(struct salvage *s, uint64_t first, uint64_t last)
{
        while (first <= last) {
                uint64_t end;
                bool dropped = was_dropped(s, first, &end);

                if (end > last)
                        end = last;
                if (!dropped)
                        note_lost(s->r, first, end);
                first = end + 1;
        }
}

static void begin_if_none(struct salvage *s)
{
        if (s->in_transaction++ == 0)
                exec(s, "BEGIN IMMEDIATE");
}

static void end_transaction(struct salvage *s)
{
        if (s->in_transaction)
                exec(s, "COMMIT");
        s->in_transaction = 0;
        if (s->rc == SQLITE_OK) {
                s->done_readings = s->r->n_readings;
                s->done_events = s->r->n_events;
        }
        if (s->rc == SQLITE_OK)
                s->rc = sqlite3_wal_checkpoint_v2(s->db->conn, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
}

/* False: time or room is used up. */
static bool may_go_on(struct salvage *s)
{
        if (s->in_transaction < ROWS_AT_ONCE)
                return s->rc == SQLITE_OK;
        end_transaction(s);
        if (seconds_since(&s->told) >= TELL_EVERY_S) {
                clock_gettime(CLOCK_MONOTONIC, &s->told);
                log_notice("spool", "%" PRIu64 " readings carried over so far", s->r->n_readings);
        }
        if (seconds_since(&s->began) < MOST_S)
                return s->rc == SQLITE_OK;
        s->r->stopped = "the time for it was over";
        return false;
}

static void bind_value(sqlite3_stmt *st, int at, const struct pages_value *v)
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

static bool is_reading(const struct salvage *s, const struct pages_row *row)
{
        const struct pages_value *v = row->v;

        if (row->rowid < 1 || v[0].type != PAGES_NULL || v[6].type != PAGES_INT || v[7].type != PAGES_INT)
                return false;
        for (int i = 1; i < 5; i++)
                if (v[i].type != PAGES_INT)
                        return false;
        if (v[5].type == PAGES_TEXT && !text_is_utf8(v[5].p, v[5].len))
                return false;
        return v[2].i >= 0 && ((uint64_t)v[2].i < s->n_tags || v[2].i < MOST_UNNAMED) && v[3].i >= 0 &&
               v[3].i < MOST_QUALITY && v[4].i >= 0 && v[4].i <= UINT16_MAX && v[7].i >= 0 && v[7].i <= UINT16_MAX;
}

static bool on_reading(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        uint64_t seq = (uint64_t)row->rowid, *last = &s->last_seq[SPOOL_SAMPLES], end;

        if (!is_reading(s, row) || seq <= *last || was_dropped(s, seq, &end))
                return true;
        begin_if_none(s);
        note_gap(s, *last + 1, seq - 1);
        *last = seq;
        if ((uint64_t)row->v[2].i >= s->n_tags_seen)
                s->n_tags_seen = (size_t)row->v[2].i + 1;
        sqlite3_bind_int64(s->put, 1, (int64_t)++s->r->n_readings);
        for (int i = 1; i < 8; i++)
                bind_value(s->put, i + 1, &row->v[i]);
        run(s, s->put);
        return may_go_on(s);
}

static bool on_event(void *ctx, const struct pages_row *row)
{
        struct salvage *s = ctx;
        const struct pages_value *v = row->v;

        if (row->rowid < 1 || v[1].type != PAGES_INT || v[2].type != PAGES_TEXT || v[3].type != PAGES_INT ||
            v[5].type != PAGES_TEXT || (uint64_t)row->rowid <= s->last_seq[SPOOL_EVENTS] ||
            !text_is_utf8(v[5].p, v[5].len))
                return true;
        begin_if_none(s);
        s->last_seq[SPOOL_EVENTS] = (uint64_t)row->rowid;
        sqlite3_bind_int64(s->put_event, 1, (int64_t)++s->r->n_events);
        for (int i = 1; i < 6; i++)
                bind_value(s->put_event, i + 1, &v[i]);
        if (v[4].type != PAGES_INT || v[4].i < 0 || (uint64_t)v[4].i >= s->n_tags)
                sqlite3_bind_null(s->put_event, 5);
        run(s, s->put_event);
        return may_go_on(s);
}

static void carry_over(struct salvage *s, const char *gateway)
{
        pages_each(s->pages, PAGES_INDEX, 2, on_pair, s);
        if (s->has_gateway && strcmp(s->gateway, gateway) != 0) {
                s->r->stopped = "it belongs to another gateway";
                return;
        }
        pages_each(s->pages, PAGES_INDEX, 6, on_dropped, s);
        if (s->n_dropped)
                qsort(s->dropped, s->n_dropped, sizeof(*s->dropped), by_first);
        pages_each(s->pages, PAGES_TABLE, 7, on_tag, s);
        begin_if_none(s);
        put_tags(s, 0, s->n_tags);
        memcpy(s->last_seq, s->acked, sizeof(s->last_seq));
        if (s->rc == SQLITE_OK)
                pages_each(s->pages, PAGES_TABLE, 6, on_event, s);
        if (s->rc == SQLITE_OK && !s->r->stopped)
                pages_each(s->pages, PAGES_TABLE, 8, on_reading, s);
        if (s->rc == SQLITE_OK && s->n_tags_seen > s->n_tags) {
                begin_if_none(s);
                put_tags(s, s->n_tags, s->n_tags_seen);
        }
        end_transaction(s);
}

static void put_row(struct salvage *s)
{
        static const char sql[] = "INSERT INTO rescue VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        struct spool_rescue *r = s->r;
        sqlite3_stmt *st = NULL;

        s->rc = sqlite3_prepare_v2(s->db->conn, sql, -1, &st, NULL);
        if (s->rc != SQLITE_OK)
                return;
        sqlite3_bind_int64(st, 1, r->at_us);
        sqlite3_bind_text(st, 2, r->aside, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 3, (int64_t)r->old_epoch);
        sqlite3_bind_int64(st, 4, (int64_t)r->n_readings);
        sqlite3_bind_int64(st, 5, (int64_t)r->n_events);
        sqlite3_bind_int64(st, 6, (int64_t)r->n_lost);
        sqlite3_bind_text(st, 7, r->lost, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 8, r->stopped ? r->stopped : "", -1, SQLITE_STATIC);
        run(s, st);
        sqlite3_finalize(st);
}

static void release(struct salvage *s)
{
        for (size_t id = 0; id < s->n_tags; id++)
                for (int i = 0; i < 5; i++)
                        free(s->tags[id].text[i]);
        free(s->tags);
        free(s->dropped);
        sqlite3_finalize(s->put);
        sqlite3_finalize(s->put_event);
        if (s->pages)
                pages_close(s->pages);
}

static void salvage(struct salvage *s, const char *gateway)
{
        struct err e = {{0}};

        clock_gettime(CLOCK_MONOTONIC, &s->began);
        s->told = s->began;
        if (s->r->tries > MOST_TRIES) {
                s->r->stopped = "it was tried three times and never came to an end";
        } else if (pages_open(&s->pages, s->r->aside, &e) < 0) {
                s->r->stopped = "the file could not be opened";
        } else {
                s->rc = sqlite3_prepare_v2(s->db->conn, "INSERT INTO reading VALUES (?1,?2,?3,?4,?5,?6,?7,?8)", -1,
                                           &s->put, NULL);
                if (s->rc == SQLITE_OK)
                        s->rc = sqlite3_prepare_v2(s->db->conn, "INSERT INTO event VALUES (?1,?2,?3,?4,?5,?6)", -1,
                                                   &s->put_event, NULL);
                carry_over(s, gateway);
        }
}

int spool_rescue_carry(struct spool_rescue *r, struct spool_db *db, const char *gateway, struct err *e)
{
        struct salvage s = {.r = r, .db = db};
        char sql[64];

        snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%" PRIu64, db->plan.db_pages - db->plan.db_pages / 10);
        sqlite3_exec(db->conn, sql, NULL, NULL, NULL);
        salvage(&s, gateway);
        if ((s.rc & 0xff) == SQLITE_FULL) {
                /* The transaction that did not fit is gone as a whole; what came before stays. */
                if (!sqlite3_get_autocommit(db->conn))
                        sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
                r->n_readings = s.done_readings;
                r->n_events = s.done_events;
                r->stopped = "there was no room for more";
                s.rc = SQLITE_OK;
        }
        sqlite3_exec(db->conn, "PRAGMA max_page_count=4294967294", NULL, NULL, NULL);
        if (s.rc == SQLITE_OK)
                put_row(&s);
        if (s.rc != SQLITE_OK)
                err_set(e, "spool %s: what was saved of the damaged file cannot be written: %s", db->path,
                        sqlite3_errmsg(db->conn));
        release(&s);
        if (s.rc != SQLITE_OK)
                return -1;
        end_marker(db->path);
        log_notice("spool", "%" PRIu64 " readings and %" PRIu64 " events carried over, %" PRIu64 " lost%s%s",
                   r->n_readings, r->n_events, r->n_lost, r->stopped ? "; stopped because " : "",
                   r->stopped ? r->stopped : "");
        return 0;
}
