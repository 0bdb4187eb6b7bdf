/*
 * file: finding or making the file, and saying in one sentence why it can't be
 * used.
 *
 * One process owns a spool: a lock on `<path>.lock`, which dies with the
 * process; SQLite's own locks stay shared so that the command-line tool reads
 * beside us. What makes the ids of a new file differ is in epoch.c.
 *
 * The schema grows by user_version, one step per version (schema.c), in one
 * transaction.  A file that SQLite or we find damaged is told as such
 * (db->damaged): a rescue then moves it aside.
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
#include "store/writer/db.h"

/* ---- lock ---- */

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
                return spool_fault_open(db->path, path, e);
        if (fcntl(db->lock_fd, F_OFD_SETLK, &whole) != 0) {
                n = pread(db->lock_fd, text, sizeof(text) - 1, 0);
                text[n > 0 ? n : 0] = '\0';
                text[strcspn(text, " \n")] = '\0';
                close(db->lock_fd);
                db->lock_fd = -1;
                return err_set(e, "spool %s: in use by process %s; stop it, or give this agent a spool of its own",
                               db->path, *text ? text : "(unknown)");
        }
        n = snprintf(text, sizeof(text), "%-30ld\n", (long)getpid());
        if (pwrite(db->lock_fd, text, (size_t)n, 0) != n)
                return err_errno(e, "spool %s: cannot write the lock file", db->path);
        return 0;
}

/* ---- what kind of file is it ---- */

/*
 * One that another user left there, who looked into the file with a tool of his
 * own: SQLite would not say which.
 */
static int look_beside(const struct spool_db *db, const char *suffix, struct err *e)
{
        char name[4200];
        int fd;

        snprintf(name, sizeof(name), "%s%s", db->path, suffix);
        fd = open(name, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : spool_fault_open(db->path, name, e);
        close(fd);
        return 0;
}

/*
 * Made when absent. What is in it is SQLite's to judge: after a cut while the
 * file was made its first page may be torn, and the journal beside it says so.
 */
static int look_at_file(struct spool_db *db, struct err *e)
{
        struct stat st;
        int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640), rc;

        if (fd < 0)
                return spool_fault_open(db->path, db->path, e);
        rc = fstat(fd, &st);
        close(fd);
        if (rc != 0 || !S_ISREG(st.st_mode))
                return err_set(e, "spool %s: not a regular file; set spool: path to a file", db->path);
        return look_beside(db, "-wal", e) < 0 || look_beside(db, "-shm", e) < 0 ? -1 : 0;
}

/*
 * Two seconds each time; from the closing on, one second for all that is left
 * to do together.
 */
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

/*
 * SQLite only reads a file whose header names a version of writing that it does
 * not know (byte 18, "The Database File Format").  Ours says 2.
 */
static bool is_of_no_version(const struct spool_db *db)
{
        enum { AT = 18, KNOWN_MAX = 2 };
        int fd = open(db->path, O_RDONLY | O_CLOEXEC);
        uint8_t version = 0;
        bool read = fd >= 0 && pread(fd, &version, 1, AT) == 1;

        if (fd >= 0)
                close(fd);
        return read && version > KNOWN_MAX;
}

/* An older file keeps the pages that it was made with. */
static int set_pragmas(struct spool_db *db, const struct spool_conf *conf, struct err *e)
{
        int64_t page_bytes;
        char sql[512];

        snprintf(sql, sizeof(sql),
                 "PRAGMA page_size=%d; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA "
                 "secure_delete=OFF;"
                 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-1024;"
                 "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=%" PRIu64 ";"
                 "PRAGMA wal_autocheckpoint=0",
                 PAGE_BYTES, db->plan.wal_most);
        if (sqlite3_exec(db->conn, sql, NULL, NULL, NULL) == SQLITE_OK &&
            spool_db_get_int(db->conn, "PRAGMA page_size", &page_bytes) == SQLITE_OK) {
                spool_plan(&db->plan, conf, (uint32_t)page_bytes);
                return 0;
        }
        db->damaged |= sqlite3_errcode(db->conn) == SQLITE_READONLY && is_of_no_version(db);
        return spool_db_fail(db, "cannot be opened", e);
}

enum { VERSION_MAX = 10000 /* no millrace will ever write more */ };

/*
 * How many pages the database has by its WAL; 0: by that there is none (nPage,
 * see SQLite's "WAL-index file format").
 */
static uint32_t pages_by_wal(sqlite3 *conn)
{
        enum { REGION_BYTES = 32768, N_PAGES_AT = 20 };
        sqlite3_file *file = NULL;
        volatile void *shm = NULL;
        uint32_t n = 0;

        if (sqlite3_file_control(conn, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK && file->pMethods &&
            file->pMethods->iVersion >= 2 && file->pMethods->xShmMap(file, 0, REGION_BYTES, 0, &shm) == SQLITE_OK &&
            shm)
                memcpy(&n, (const char *)shm + N_PAGES_AT, sizeof(n));
        return n;
}

/*
 * What lies beside it is the WAL of one that was never made: SQLite puts page 1
 * into it first, alone.
 */
static bool is_bare(const struct spool_db *db)
{
        return !db->was_open || pages_by_wal(db->conn) <= 1;
}

static int tell_other_wal(struct spool_db *db, struct err *e)
{
        db->damaged = db->other_wal = true;
        return err_set(e, "spool %s: an older copy of it, or of its -wal, was put back beside the other", db->path);
}

/* > 0: empty, to be made. */
static int check_kind(struct spool_db *db, int64_t *version, struct err *e)
{
        int64_t n_tables, id;
        int rc = spool_db_get_int(db->conn, "SELECT count(*) FROM sqlite_master", &n_tables);

        if (rc == SQLITE_NOTADB)
                db->damaged = true;
        if (rc == SQLITE_NOTADB)
                return err_set(e, "spool %s: not a spool (not an SQLite file); move it away, or set spool: path",
                               db->path);
        if (rc != SQLITE_OK || spool_db_get_int(db->conn, "PRAGMA application_id", &id) != SQLITE_OK ||
            spool_db_get_int(db->conn, "PRAGMA user_version", version) != SQLITE_OK)
                return spool_db_fail(db, "cannot be read; move the file away to start a new spool", e);
        if (n_tables == 0 && id == 0 && *version == 0)
                return is_bare(db) ? 1 : tell_other_wal(db, e);
        if (id != FILE_ID) {
                db->damaged = spool_rescue_is_ours(db->path); /* or another database's WAL lies beside it */
                return err_set(e,
                               "spool %s: an SQLite file of another program, not a spool; move it away, or set spool: "
                               "path",
                               db->path);
        }
        if (*version < 0 || *version > VERSION_MAX) {
                db->damaged = true;
                return err_set(e, "spool %s: damaged (format %" PRId64 ")", db->path, *version);
        }
        if (*version > FILE_VERSION)
                return err_set(e,
                               "spool %s: written by a newer millrace (format %" PRId64
                               ", this one knows up to %d); install that version, or move the file away",
                               db->path, *version, FILE_VERSION);
        return 0;
}

static int put_meta(struct spool_db *db, const char *gateway, int64_t wall_us, struct err *e)
{
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(db->conn,
                                    "INSERT INTO meta VALUES ('gateway', ?1), ('epoch', ?2), ('created_us', ?3),"
                                    "('ts_saved_seq', 0), ('millrace', ?4), ('marked', 1),"
                                    "('wal', '1 ' || ?2 || ' 1')",
                                    -1, &st, NULL);

        if (rc == SQLITE_OK) {
                sqlite3_bind_text(st, 1, gateway, -1, SQLITE_STATIC);
                sqlite3_bind_int64(st, 2, (int64_t)db->epoch);
                sqlite3_bind_int64(st, 3, wall_us);
                sqlite3_bind_text(st, 4, MILLRACE_VERSION, -1, SQLITE_STATIC);
                rc = sqlite3_step(st);
        }
        sqlite3_finalize(st);
        return rc == SQLITE_DONE ? 0 : spool_db_fail(db, "cannot be written", e);
}

static int in_transaction(struct spool_db *db, bool ok, struct err *e)
{
        if (ok && sqlite3_exec(db->conn, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
                return 0;
        if (ok)
                spool_db_fail(db, "cannot be written", e);
        sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
        return -1;
}

/* What the one before had and Kafka had not; a rescue says more. */
static int tell_gone(struct spool_db *db, uint64_t begun, int64_t wall_us, struct err *e)
{
        struct spool_mark m;
        bool known = spool_mark_read(db, &m);

        if (!known && begun < db->epoch_before)
                m.epoch = db->epoch_before;
        if (db->fresh || !m.epoch || spool_rescue_tell_gone(&m, known, wall_us, db->path, db->conn) == SQLITE_OK)
                return 0;
        return spool_db_fail(db, "cannot be written", e);
}

static int make_new(struct spool_db *db, const char *gateway, int64_t wall_us, struct err *e)
{
        uint64_t begun; /* and never done: nothing of it is gone */

        db->epoch = spool_epoch_next(db, wall_us);
        begun = spool_mark_being_made(db);
        if (spool_mark_making(db, db->epoch, e) < 0 || spool_epoch_write(db, db->epoch, e) < 0)
                return -1;
        if (sqlite3_exec(db->conn, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
                return spool_db_fail(db, "cannot be written", e);
        if (in_transaction(db,
                           spool_db_migrate(db, 0, e) == 0 && spool_db_forget_old(db, e) == 0 &&
                                   put_meta(db, gateway, wall_us, e) == 0 && tell_gone(db, begun, wall_us, e) == 0,
                           e) < 0)
                return -1;
        log_notice("spool", "new spool %s, epoch %" PRIu64 "%s", db->path, db->epoch,
                   db->epoch_before ? "" : " (the first one here)");
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
        if (rc == SQLITE_DONE || (rc == SQLITE_ROW && !owner))
                db->damaged = true;
        rc = 0;
        if (!owner)
                rc = spool_db_fail(db, "has no gateway name in it; move the file away to start a new spool", e);
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
                        return spool_db_fail(db, "cannot be written", e);
                if (in_transaction(db, spool_db_migrate(db, version, e) == 0, e) < 0)
                        return -1;
        }
        if (check_gateway(db, gateway, e) < 0)
                return -1;
        rc = spool_db_get_int(db->conn, "SELECT value FROM meta WHERE key='epoch'", &epoch);
        if (rc == SQLITE_OK && epoch > (int64_t)SPOOL_EPOCH_MAX)
                epoch = 0;
        if (rc == SQLITE_NOTFOUND || (rc == SQLITE_OK && epoch < 1))
                db->damaged = true;
        if (rc != SQLITE_OK || epoch < 1)
                return spool_db_fail(db, "has no epoch in it; move the file away to start a new spool", e);
        db->epoch = (uint64_t)epoch;
        return spool_epoch_check(db, e);
}

/* Whoever ended well has left none. */
static bool has_wal(const struct spool_db *db)
{
        char wal[4200];
        struct stat st;

        snprintf(wal, sizeof(wal), "%s-wal", db->path);
        return stat(wal, &st) == 0 && st.st_size > 0;
}

/*
 * A database cut to nothing, or moved away, beside a WAL that is not: SQLite
 * would throw the WAL away.
 */
static bool lost_its_head(const struct spool_db *db)
{
        struct stat st;

        if (stat(db->path, &st) == 0 ? st.st_size > 0 : errno != ENOENT)
                return false;
        return has_wal(db);
}

void spool_db_reconfigure(struct spool_db *db, const struct spool_conf *conf)
{
        db->when_full = conf->when_full;
        db->keep_us = conf->keep_delivered_us;
        if (conf->when_full != SPOOL_THIN) {
                spool_thin_free(db->thin);
                db->thin = NULL;
        } else if (!db->thin) {
                db->thin = spool_thin_new();
        }
        spool_plan(&db->plan, conf, db->plan.page_bytes ? db->plan.page_bytes : PAGE_BYTES);
}

int spool_db_open(struct spool_db *db, const struct spool_conf *conf, const char *gateway, int64_t wall_us,
                  struct err *e)
{
        int64_t version;
        int kind;

        db->path = mem_strdup(conf->path);
        spool_db_reconfigure(db, conf);
        if (strlen(conf->path) > 4000)
                return err_set(e, "spool: the path is too long");
        if (db->lock_fd < 0 && take_lock(db, e) < 0)
                return -1;
        if (!db->fresh && (spool_rescue_is_marked(db->path) || lost_its_head(db))) {
                db->damaged = true;
                db->other_wal = !lost_its_head(db) && !spool_pair_is_one(db);
                return err_set(e, "spool %s: damaged", db->path);
        }
        if (!db->fresh && !spool_pair_is_one(db))
                return tell_other_wal(db, e);
        if (look_at_file(db, e) < 0 || spool_pair_expect(db, e) < 0)
                return -1;
        db->was_open = has_wal(db);
        if (sqlite3_open_v2(db->path, &db->conn, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
                return spool_db_fail(db, "cannot be opened", e);
        spool_db_be_patient(db, db->conn);
        kind = check_kind(db, &version, e);
        if (kind < 0)
                return -1;
        if (kind == 0)
                spool_db_convert(db, conf->max_size_bytes);
        if (set_pragmas(db, conf, e) < 0)
                return -1;
        if (kind > 0 ? make_new(db, gateway, wall_us, e) : use_old(db, gateway, version, e))
                return -1;
        return spool_db_prepare(db, e) < 0 ? -1 : spool_db_move_readings(db, e);
}

void spool_db_close(struct spool_db *db, bool clean)
{
        clean = clean && (!db->conn ||
                          spool_pair_may_join(db)); /* not counted: there will be no WAL, and a sync may take long */
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
        spool_thin_free(db->thin);
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
