/*
 * spool_file: finding or making the file, and saying in one sentence why it can't be used.
 *
 * One process owns a spool: a lock on `<path>.lock`, which dies with the process; SQLite's own locks stay shared so that
 * the command-line tool reads beside us.  The epoch of a new file comes from the sidecar `<path>.epoch`, which survives
 * when somebody deletes the spool: gateway:epoch:seq never names two readings.  It is written before the file is made; a
 * cut in between costs a number.  Sidecar and spool both gone: epoch 1 again, nobody can know better.
 *
 * The schema grows by user_version, one step per row of `steps`, in one transaction.  A file that SQLite or we find damaged is
 * told as such (db->damaged): spool_rescue.c then moves it aside.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "store/spool_impl.h"

const char *const spool_lane_names[SPOOL_LANES] = {[SPOOL_EVENTS] = "events", [SPOOL_SAMPLES] = "samples"};

/*
 * reading.tag is a tag.id without a foreign key: the check would cost a third of an insert, and the writer puts the tag
 * first.  Zero and NULL take no bytes in a row, so the common reading (good, live, float) has zeros in what it doesn't use.
 */
static const char *const steps[] = {
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
        "CREATE TABLE tag (id INTEGER PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL,"
        "  labels TEXT NOT NULL, driver TEXT NOT NULL, last_ts_us INTEGER NOT NULL DEFAULT 0);"
        "CREATE TABLE reading (seq INTEGER PRIMARY KEY, ts_us INTEGER, tag INTEGER, quality INTEGER, flags INTEGER,"
        "  value, delay_us INTEGER, mid INTEGER);"
        "CREATE TABLE event (seq INTEGER PRIMARY KEY, ts_us INTEGER, kind TEXT, severity INTEGER,"
        "  tag INTEGER REFERENCES tag(id), body TEXT);"
        "CREATE TABLE cursor (lane TEXT PRIMARY KEY, acked_seq INTEGER NOT NULL) WITHOUT ROWID;"
        "INSERT INTO cursor VALUES ('events', 0), ('samples', 0);"
        "CREATE TABLE dropped (lane TEXT, first_seq INTEGER, last_seq INTEGER, n INTEGER, reason TEXT, at_us INTEGER,"
        "  PRIMARY KEY (lane, first_seq)) WITHOUT ROWID;"
        "CREATE TABLE dead_letter (id INTEGER PRIMARY KEY, lane TEXT, seq INTEGER, ts_us INTEGER, tag INTEGER,"
        "  quality INTEGER, flags INTEGER, value, delay_us INTEGER, mid INTEGER, reason TEXT, at_us INTEGER);"
        "CREATE TABLE quarantine (id INTEGER PRIMARY KEY, at_us INTEGER, driver TEXT, origin TEXT, reason TEXT,"
        "  payload BLOB);"
        "CREATE VIEW readings AS SELECT r.seq,"
        "  strftime('%Y-%m-%dT%H:%M:%S', r.ts_us / 1000000, 'unixepoch') || printf('.%06dZ', r.ts_us % 1000000) AS "
        "time,"
        "  t.source, t.name AS tag, r.value, t.unit,"
        "  CASE r.quality WHEN 0 THEN 'good' WHEN 1 THEN 'uncertain' WHEN 2 THEN 'bad' WHEN 3 THEN 'bad comm_failure'"
        "    WHEN 4 THEN 'bad not_connected' WHEN 5 THEN 'bad stale' WHEN 6 THEN 'bad out_of_range'"
        "    WHEN 7 THEN 'bad config' WHEN 8 THEN 'bad sensor' ELSE r.quality END AS quality,"
        "  strftime('%Y-%m-%dT%H:%M:%S', (r.ts_us + r.delay_us) / 1000000, 'unixepoch') || 'Z' AS arrived,"
        "  r.seq <= (SELECT acked_seq FROM cursor WHERE lane = 'samples') AS delivered"
        "  FROM reading r LEFT JOIN tag t ON t.id = r.tag;",
        "CREATE TABLE rescue (id INTEGER PRIMARY KEY, at_us INTEGER, aside TEXT, epoch INTEGER, readings INTEGER,"
        "  events INTEGER, lost_n INTEGER, lost TEXT, stopped TEXT);",
        "CREATE TABLE alarm (source TEXT, tag TEXT, rule TEXT, limit_kind TEXT, state TEXT, active INTEGER,"
        "  unacked INTEGER, latched INTEGER, visibility INTEGER, activations INTEGER, since_us INTEGER,"
        "  shelved_until_us INTEGER, severity INTEGER, event_id TEXT, PRIMARY KEY (source, tag, rule, limit_kind))"
        "  WITHOUT ROWID;"
        "CREATE TABLE alarm_log (id INTEGER PRIMARY KEY, at_us INTEGER, source TEXT, tag TEXT, rule TEXT,"
        "  limit_kind TEXT, event_id TEXT, change TEXT, value REAL, limit_value REAL, severity INTEGER, operator TEXT,"
        "  comment TEXT);",
};
_Static_assert(sizeof(steps) / sizeof(*steps) == FILE_VERSION, "one step per version");

static int get_int(sqlite3 *c, const char *sql, int64_t *out)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(c, sql, -1, &st, NULL);

        if (rc == SQLITE_OK)
                rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
                *out = sqlite3_column_int64(st, 0);
                rc = SQLITE_OK;
        } else if (rc == SQLITE_DONE) {
                rc = SQLITE_NOTFOUND;
        }
        sqlite3_finalize(st);
        return rc;
}

static int fail_sql(struct spool_db *db, const char *doing, struct err *e)
{
        int rc = sqlite3_errcode(db->conn) & 0xff;

        if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
                db->damaged = true;
        return err_set(e, "spool %s: %s: %s", db->path, doing, sqlite3_errmsg(db->conn));
}

/* ---- lock and epoch ---- */

static int take_lock(struct spool_db *db, struct err *e)
{
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        char path[4096], text[32] = "";
        ssize_t n;

        snprintf(path, sizeof(path), "%s.lock", db->path);
        db->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        if (db->lock_fd < 0 && errno == ENOENT)
                return err_set(e, "spool %s: its directory does not exist; create it, or set spool: path", db->path);
        if (db->lock_fd < 0)
                return err_errno(e, "spool %s: cannot open the lock file %s", db->path, path);
        if (fcntl(db->lock_fd, F_OFD_SETLK, &whole) != 0) {
                n = pread(db->lock_fd, text, sizeof(text) - 1, 0);
                text[n > 0 ? n : 0] = '\0';
                text[strcspn(text, "\n")] = '\0';
                close(db->lock_fd);
                db->lock_fd = -1;
                return err_set(e, "spool %s: in use by process %s; stop it, or give this agent a spool of its own",
                               db->path, *text ? text : "(unknown)");
        }
        n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
        if (ftruncate(db->lock_fd, 0) != 0 || pwrite(db->lock_fd, text, (size_t)n, 0) != n)
                return err_errno(e, "spool %s: cannot write the lock file", db->path);
        return 0;
}

static uint64_t read_sidecar(const struct spool_db *db)
{
        char path[4096], text[32] = "";
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "%s.epoch", db->path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        return strtoull(text, NULL, 10);
}

int spool_sync_directory(const char *path)
{
        char dir[4096];
        char *slash;
        int fd, rc;

        snprintf(dir, sizeof(dir), "%s", path);
        slash = strrchr(dir, '/');
        if (slash)
                slash[slash == dir] = '\0';
        fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -1;
        rc = fsync(fd);
        close(fd);
        return rc;
}

/* Whole or not at all: a torn number would let an old epoch come back. */
static int write_sidecar(const struct spool_db *db, uint64_t epoch, struct err *e)
{
        char path[4096], tmp[4200], text[32];
        int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", epoch);
        int fd, ok;

        snprintf(path, sizeof(path), "%s.epoch", db->path);
        snprintf(tmp, sizeof(tmp), "%s.new", path);
        fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        if (fd < 0)
                return err_errno(e, "spool %s: cannot write %s", db->path, tmp);
        ok = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
        close(fd);
        if (!ok || rename(tmp, path) != 0 || spool_sync_directory(path) != 0)
                return err_errno(e, "spool %s: cannot write %s", db->path, path);
        return 0;
}

/* ---- what kind of file is it ---- */

/*
 * Made when absent. What is in it is SQLite's to judge: after a cut while the file was made its first page may be torn, and
 * the journal beside it says so.
 */
static int look_at_file(struct spool_db *db, struct err *e)
{
        struct stat st;
        int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640), rc;

        if (fd < 0)
                return err_errno(e, "spool %s: cannot open it for writing", db->path);
        rc = fstat(fd, &st);
        close(fd);
        if (rc != 0 || !S_ISREG(st.st_mode))
                return err_set(e, "spool %s: not a regular file; set spool: path to a file", db->path);
        return 0;
}

/* Two seconds each time; from the closing on, one second for all that is left to do together. */
static int wait_for_lock(void *ctx, int n_before)
{
        enum { PAUSE_MS = 10, WAITS = 200, CLOSE_WAITS = 100 };
        struct spool_db *db = ctx;
        int n = atomic_load(&db->closing) ? atomic_fetch_add(&db->n_close_waits, 1) + WAITS - CLOSE_WAITS : n_before;

        if (n >= WAITS)
                return 0;
        sqlite3_sleep(PAUSE_MS);
        return 1;
}

void spool_db_be_patient(struct spool_db *db, sqlite3 *c)
{
        sqlite3_busy_handler(c, wait_for_lock, db);
}

static int set_pragmas(struct spool_db *db, struct err *e)
{
        char sql[512];

        snprintf(sql, sizeof(sql),
                 "PRAGMA page_size=%d; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA "
                 "secure_delete=OFF;"
                 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-1024;"
                 "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=%" PRIu64 ";"
                 "PRAGMA wal_autocheckpoint=0",
                 PAGE_BYTES, db->plan.wal_bytes);
        if (sqlite3_exec(db->conn, sql, NULL, NULL, NULL) != SQLITE_OK)
                return fail_sql(db, "cannot be opened", e);
        return 0;
}

/* > 0: empty, to be made. */
static int check_kind(struct spool_db *db, int64_t *version, struct err *e)
{
        int64_t n_tables, id;
        int rc = get_int(db->conn, "SELECT count(*) FROM sqlite_master", &n_tables);

        if (rc == SQLITE_NOTADB)
                db->damaged = true;
        if (rc == SQLITE_NOTADB)
                return err_set(e, "spool %s: not a spool (not an SQLite file); move it away, or set spool: path",
                               db->path);
        if (rc != SQLITE_OK || get_int(db->conn, "PRAGMA application_id", &id) != SQLITE_OK ||
            get_int(db->conn, "PRAGMA user_version", version) != SQLITE_OK)
                return fail_sql(db, "cannot be read; move the file away to start a new spool", e);
        if (n_tables == 0 && id == 0 && *version == 0)
                return 1;
        if (id != FILE_ID) {
                db->damaged = spool_rescue_is_ours(db->path); /* another database's WAL lies beside it */
                return err_set(e,
                               "spool %s: an SQLite file of another program, not a spool; move it away, or set spool: "
                               "path",
                               db->path);
        }
        if (*version > FILE_VERSION)
                return err_set(e,
                               "spool %s: written by a newer millrace (format %" PRId64
                               ", this one knows up to %d); install that version, or move the file away",
                               db->path, *version, FILE_VERSION);
        return 0;
}

static int migrate(struct spool_db *db, int64_t from, struct err *e)
{
        char sql[128];

        for (int64_t v = from; v < FILE_VERSION; v++)
                if (sqlite3_exec(db->conn, steps[v], NULL, NULL, NULL) != SQLITE_OK)
                        return fail_sql(db, "cannot make its tables", e);
        snprintf(sql, sizeof(sql), "PRAGMA user_version=%d; PRAGMA application_id=%d", FILE_VERSION, FILE_ID);
        if (sqlite3_exec(db->conn, sql, NULL, NULL, NULL) != SQLITE_OK)
                return fail_sql(db, "cannot make its tables", e);
        return 0;
}

static int put_meta(struct spool_db *db, const char *gateway, int64_t wall_us, struct err *e)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(db->conn,
                                    "INSERT INTO meta VALUES ('gateway', ?1), ('epoch', ?2), ('created_us', ?3),"
                                    "('ts_saved_seq', 0), ('millrace', ?4)",
                                    -1, &st, NULL);

        if (rc == SQLITE_OK) {
                sqlite3_bind_text(st, 1, gateway, -1, SQLITE_STATIC);
                sqlite3_bind_int64(st, 2, (int64_t)db->epoch);
                sqlite3_bind_int64(st, 3, wall_us);
                sqlite3_bind_text(st, 4, MILLRACE_VERSION, -1, SQLITE_STATIC);
                rc = sqlite3_step(st);
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : fail_sql(db, "cannot be written", e);
}

static int in_transaction(struct spool_db *db, bool ok, struct err *e)
{
        if (ok && sqlite3_exec(db->conn, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
                return 0;
        if (ok)
                fail_sql(db, "cannot be written", e);
        sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
        return -1;
}

static int make_new(struct spool_db *db, const char *gateway, int64_t wall_us, struct err *e)
{
        uint64_t before = read_sidecar(db);

        db->epoch = before + 1;
        if (write_sidecar(db, db->epoch, e) < 0)
                return -1;
        if (sqlite3_exec(db->conn, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
                return fail_sql(db, "cannot be written", e);
        if (in_transaction(db, migrate(db, 0, e) == 0 && put_meta(db, gateway, wall_us, e) == 0, e) < 0)
                return -1;
        log_notice("spool", "new spool %s, epoch %" PRIu64 "%s", db->path, db->epoch,
                   before ? "" : " (the first one here)");
        return 0;
}

static int check_gateway(struct spool_db *db, const char *gateway, struct err *e)
{
        sqlite3_stmt *st = NULL;
        const char *owner = NULL;
        int rc = sqlite3_prepare_v2(db->conn, "SELECT value FROM meta WHERE key='gateway'", -1, &st, NULL);

        if (rc == SQLITE_OK)
                rc = sqlite3_step(st);
        if (rc == SQLITE_ROW)
                owner = (const char *)sqlite3_column_text(st, 0);
        else if (rc == SQLITE_DONE)
                db->damaged = true;
        rc = 0;
        if (!owner)
                rc = fail_sql(db, "has no gateway name in it; move the file away to start a new spool", e);
        else if (strcmp(owner, gateway) != 0)
                rc = err_set(
                        e, "spool %s: belongs to gateway %s, this is %s; set gateway back to %s, or move the file away",
                        db->path, owner, gateway, owner);
        sqlite3_finalize(st);
        return rc;
}

static int use_old(struct spool_db *db, const char *gateway, int64_t version, struct err *e)
{
        int64_t epoch;
        int rc;

        if (version < FILE_VERSION) {
                if (sqlite3_exec(db->conn, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
                        return fail_sql(db, "cannot be written", e);
                if (in_transaction(db, migrate(db, version, e) == 0, e) < 0)
                        return -1;
        }
        if (check_gateway(db, gateway, e) < 0)
                return -1;
        rc = get_int(db->conn, "SELECT value FROM meta WHERE key='epoch'", &epoch);
        if (rc == SQLITE_NOTFOUND || (rc == SQLITE_OK && epoch < 1))
                db->damaged = true;
        if (rc != SQLITE_OK || epoch < 1)
                return fail_sql(db, "has no epoch in it; move the file away to start a new spool", e);
        db->epoch = (uint64_t)epoch;
        return read_sidecar(db) < db->epoch ? write_sidecar(db, db->epoch, e) : 0;
}

/* A database cut to nothing beside a WAL that is not: SQLite would throw the WAL away. */
static bool lost_its_head(const struct spool_db *db)
{
        char wal[4200];
        struct stat st;

        if (stat(db->path, &st) != 0 || st.st_size > 0)
                return false;
        snprintf(wal, sizeof(wal), "%s-wal", db->path);
        return stat(wal, &st) == 0 && st.st_size > 0;
}

int spool_db_open(struct spool_db *db, const struct spool_conf *conf, const char *gateway, int64_t wall_us,
                  struct err *e)
{
        int64_t version;
        int kind;

        db->path = mem_strdup(conf->path);
        db->when_full = conf->when_full;
        db->keep_us = conf->keep_delivered_us;
        spool_plan(&db->plan, conf);
        if (strlen(conf->path) > 4000)
                return err_set(e, "spool: the path is too long");
        if (db->lock_fd < 0 && take_lock(db, e) < 0)
                return -1;
        if (!db->fresh && (spool_rescue_is_marked(db->path) || lost_its_head(db))) {
                db->damaged = true;
                return err_set(e, "spool %s: damaged", db->path);
        }
        if (look_at_file(db, e) < 0)
                return -1;
        if (sqlite3_open_v2(db->path, &db->conn, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
                return fail_sql(db, "cannot be opened", e);
        spool_db_be_patient(db, db->conn);
        kind = check_kind(db, &version, e);
        if (kind < 0 || set_pragmas(db, e) < 0)
                return -1;
        if (kind > 0 ? make_new(db, gateway, wall_us, e) : use_old(db, gateway, version, e))
                return -1;
        return spool_db_prepare(db, e);
}

void spool_db_close(struct spool_db *db, bool clean)
{
        if (clean && db->conn)
                sqlite3_wal_checkpoint_v2(db->conn, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        for (int i = 0; i < N_STMTS; i++)
                sqlite3_finalize(db->stmt[i]);
        if (db->conn) {
                if (!clean)
                        sqlite3_db_config(db->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
                sqlite3_close(db->conn);
        }
        if (db->lock_fd >= 0)
                close(db->lock_fd);
        free(db->path);
        memset(db, 0, sizeof(*db));
        db->lock_fd = -1;
}

/* Closed to be opened again: the lock stays ours. */
void spool_db_forget(struct spool_db *db)
{
        int lock_fd = db->lock_fd;

        db->lock_fd = -1;
        spool_db_close(db, false);
        db->lock_fd = lock_fd;
}

/* ---- what the file knows, into memory ---- */

/* All of it can be read, and ids are what interning will make of them: a rescue must find `tags` as it was. */
static int look_at_tags(struct spool_db *db, struct err *e)
{
        int64_t fine;

        if (get_int(db->conn,
                    "SELECT count(*) = coalesce(max(id) + 1, 0) AND coalesce(min(id), 0) = 0 AND count(*) = (SELECT"
                    " count(*) FROM (SELECT DISTINCT source, name FROM tag)) FROM tag",
                    &fine) != SQLITE_OK)
                return fail_sql(db, "cannot read its tags", e);
        if (fine)
                return 0;
        db->damaged = true;
        return err_set(e, "spool %s: its tag table was changed", db->path);
}

static int load_tags(struct spool_db *db, struct tags *tags, struct err *e)
{
        sqlite3_stmt *st = NULL;
        uint32_t at;
        int rc;

        if (look_at_tags(db, e) < 0)
                return -1;

        if (sqlite3_prepare_v2(db->conn,
                               "SELECT id, source, name, unit, labels, driver, last_ts_us FROM tag ORDER BY id", -1,
                               &st, NULL) != SQLITE_OK)
                return fail_sql(db, "cannot read its tags", e);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
                const char *text[5];
                int64_t id = sqlite3_column_int64(st, 0);

                for (int i = 0; i < 5; i++) {
                        const char *s = (const char *)sqlite3_column_text(st, i + 1);

                        text[i] = s ? s : "";
                }
                if (tags_intern(tags, text[0], text[1], text[2], text[3], text[4], &at) != 0) {
                        sqlite3_finalize(st);
                        return err_set(e, "spool %s: holds more tags than the configured most; raise that limit",
                                       db->path);
                }
                if ((int64_t)at != id) {
                        sqlite3_finalize(st);
                        db->damaged = true;
                        return err_set(e, "spool %s: its tag table was changed (id %" PRId64 " is out of order)",
                                       db->path, id);
                }
                tags_get(tags, at)->last_ts_us = sqlite3_column_int64(st, 6);
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : fail_sql(db, "cannot read its tags", e);
}

/* Only what came after the last save of tag times: the rest is in the tag table. */
static int load_times(struct spool_db *db, struct tags *tags, struct err *e)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(db->conn, "SELECT tag, ts_us FROM reading WHERE seq > ?1", -1, &st, NULL);

        if (rc != SQLITE_OK)
                return fail_sql(db, "cannot read its readings", e);
        sqlite3_bind_int64(st, 1, (int64_t)db->v.ts_saved_seq);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
                int64_t id = sqlite3_column_int64(st, 0), ts_us = sqlite3_column_int64(st, 1);

                if (id < 0 || (uint64_t)id >= tags_count(tags)) {
                        sqlite3_finalize(st);
                        db->damaged = true;
                        return err_set(e,
                                       "spool %s: damaged (a reading of unknown tag %" PRId64 "); move the file away",
                                       db->path, id);
                }
                if (tags_get(tags, (uint32_t)id)->last_ts_us < ts_us)
                        tags_get(tags, (uint32_t)id)->last_ts_us = ts_us;
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : fail_sql(db, "cannot read its readings", e);
}

static int load_ledger(struct spool_db *db, enum spool_lane lane, struct lane *l, struct err *e)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(
                db->conn, "SELECT first_seq, last_seq, n FROM dropped WHERE lane=?1 ORDER BY first_seq", -1, &st, NULL);

        if (rc != SQLITE_OK)
                return fail_sql(db, "cannot read its ledger", e);
        sqlite3_bind_text(st, 1, spool_lane_names[lane], -1, SQLITE_STATIC);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
                uint64_t first = (uint64_t)sqlite3_column_int64(st, 0), last = (uint64_t)sqlite3_column_int64(st, 1);

                db->v.n_ledger++;
                if (last > l->last)
                        l->last = last;
                if (last > l->acked_durable) {
                        lane_drop(l, first, last);
                } else {
                        l->dropped += (uint64_t)sqlite3_column_int64(st, 2);
                        l->dropped_acked += (uint64_t)sqlite3_column_int64(st, 2);
                }
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : fail_sql(db, "cannot read its ledger", e);
}

static int load_lane(struct spool_db *db, enum spool_lane lane, struct lane *l, struct err *e)
{
        static const char *const ends[SPOOL_LANES][3] = {
                {"SELECT acked_seq FROM cursor WHERE lane='events'", "SELECT coalesce(min(seq), 0) FROM event",
                 "SELECT coalesce(max(seq), 0) FROM event"},
                {"SELECT acked_seq FROM cursor WHERE lane='samples'", "SELECT coalesce(min(seq), 0) FROM reading",
                 "SELECT coalesce(max(seq), 0) FROM reading"},
        };
        int64_t acked, first, last;

        if (get_int(db->conn, ends[lane][0], &acked) != SQLITE_OK ||
            get_int(db->conn, ends[lane][1], &first) != SQLITE_OK ||
            get_int(db->conn, ends[lane][2], &last) != SQLITE_OK)
                return fail_sql(db, "cannot read where it stands", e);
        db->v.first[lane] = (uint64_t)first;
        l->acked_durable = l->acked = (uint64_t)acked;
        l->last = (uint64_t)(last > acked ? last : acked);
        if (load_ledger(db, lane, l, e) < 0)
                return -1;
        l->appended = l->last;
        lane_committed(l, l->last, l->acked_durable);
        return 0;
}

/* Events are at most a tenth of the file, but that may be much: count them by a sample of the newest. */
static int load_sizes(struct spool_db *db, const struct lane *events, struct err *e)
{
        int64_t mean, quarantine, dead, saved;

        if (get_int(db->conn,
                    "SELECT coalesce(cast(avg(n) AS INTEGER), 0) FROM"
                    " (SELECT length(body) + 64 AS n FROM event ORDER BY seq DESC LIMIT 500)",
                    &mean) != SQLITE_OK ||
            get_int(db->conn,
                    "SELECT coalesce(sum(length(payload) + length(origin) + length(reason) + 64), 0) FROM quarantine",
                    &quarantine) != SQLITE_OK ||
            get_int(db->conn, "SELECT coalesce(sum(coalesce(length(value), 0) + 128), 0) FROM dead_letter", &dead) !=
                    SQLITE_OK ||
            get_int(db->conn, "SELECT value FROM meta WHERE key='ts_saved_seq'", &saved) != SQLITE_OK)
                return fail_sql(db, "cannot read where it stands", e);
        if (db->v.first[SPOOL_EVENTS])
                db->v.event_bytes = (uint64_t)mean * (events->last - db->v.first[SPOOL_EVENTS] + 1);
        db->v.quarantine_bytes = (uint64_t)quarantine;
        db->v.dead_bytes = (uint64_t)dead;
        db->v.ts_saved_seq = (uint64_t)saved;
        return 0;
}

int spool_db_load(struct spool_db *db, struct tags *tags, struct lane lanes[SPOOL_LANES], struct err *e)
{
        for (int i = 0; i < SPOOL_LANES; i++)
                if (load_lane(db, (enum spool_lane)i, &lanes[i], e) < 0)
                        return -1;
        if (load_sizes(db, &lanes[SPOOL_EVENTS], e) < 0 || load_tags(db, tags, e) < 0 || load_times(db, tags, e) < 0)
                return -1;
        return 0;
}
