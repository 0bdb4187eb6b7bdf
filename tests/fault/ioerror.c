/*
 * ioerror: the spool on a disk whose n-th call fails, n = 1, 2, … until a run passes untouched; each kind of call, once
 * and for good, with EIO and ENOSPC, on a new file and on an old one; and the same for SQLite's memory.
 *
 * While it fails: opening may be refused with a sentence, commits wait, nothing is forgotten.  When it works again all
 * that was appended is on disk, in order, the ledger is exact, SQLite finds nothing wrong, and no file was moved aside:
 * an error of the disk is not a corrupt spool.
 *
 *   ioerror [STEP]     STEP > 1 tries every STEP-th n beyond 50 only
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/rt_sim.h"
#include "store/spool.h"
#include "tests/fault/disk.h"
#include "tests/fault/old_format.h"
#include "tests/lib/temp_dir.h"

enum { OLD_ROWS = 3000, NEW_ROWS = 1200 };

static struct spool_conf conf;
static struct temp_dir dir;
static char path[TEMP_PATH_MAX];
static uint64_t n_runs, n_refused, n_waited;
static const char *where = "";
static uint64_t at;

#define CHECK(cond)                                                                                                \
        do {                                                                                                       \
                if (!(cond)) {                                                                                     \
                        fprintf(stderr, "\nioerror: line %d: %s\n  %s, n = %" PRIu64 "\n", __LINE__, #cond, where, \
                                at);                                                                               \
                        _exit(1);                                                                                  \
                }                                                                                                  \
        } while (0)

/* ---- SQLite's memory ---- */

static sqlite3_mem_methods real_memory;
static uint64_t n_memory, memory_at, memory_failed;
static bool memory_persistent;

static bool memory_fails(void)
{
        if (!memory_at || ++n_memory < memory_at || (n_memory > memory_at && !memory_persistent))
                return false;
        memory_failed++;
        return true;
}

static void *get_memory(int n)
{
        return memory_fails() ? NULL : real_memory.xMalloc(n);
}

static void *regrow_memory(void *p, int n)
{
        return memory_fails() ? NULL : real_memory.xRealloc(p, n);
}

static void take_memory_over(void)
{
        sqlite3_mem_methods mine;

        sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
        mine = real_memory;
        mine.xMalloc = get_memory;
        mine.xRealloc = regrow_memory;
        sqlite3_config(SQLITE_CONFIG_MALLOC, &mine);
}

static void fail_memory(uint64_t n, bool persistent)
{
        n_memory = memory_failed = 0;
        memory_at = n;
        memory_persistent = persistent;
}

/* ---- one life of the spool ---- */

struct life {
        struct rt_sim sim;
        struct tags *tags;
        struct spool *spool;
        struct spool_fetch fetch;
        bool fetched;
        uint64_t appended;
};

static bool open_spool(struct life *l)
{
        struct err e = {{0}};

        l->tags = tags_new(100);
        if (spool_open(&l->spool, &l->sim.rt, &conf, "gw-7", l->tags, NULL, &e) == 0)
                return true;
        CHECK(e.text[0]);
        tags_free(l->tags);
        l->spool = NULL;
        n_refused++;
        return false;
}

static void run_for(struct life *l, int64_t us)
{
        rt_sim_run(&l->sim, l->sim.now.mono_us + us, NULL, NULL);
}

static void append(struct life *l, uint64_t n)
{
        while (n--) {
                struct reading r = {.ts_us = l->sim.now.wall_us, .arrival_us = l->sim.now.wall_us, .type = READING_I64};

                CHECK(tags_intern(l->tags, "press-1", n % 2 ? "temp" : "load", "", "", "sim", &r.tag) == 0);
                r.v.i64 = (int64_t)spool_appended_seq(l->spool, SPOOL_SAMPLES) + 1;
                if (spool_append(l->spool, &r) != 0) {
                        n_waited++;
                        spool_refuse(l->spool, 1, "memory_full");
                }
        }
        l->appended = spool_appended_seq(l->spool, SPOOL_SAMPLES);
}

static void on_rows(struct spool_fetch *f)
{
        list_entry(f, struct life, fetch)->fetched = true;
        if (f->n_rows)
                spool_ack(f->spool, SPOOL_SAMPLES, f->rows[f->n_rows - 1].seq);
}

static void deliver(struct life *l)
{
        struct spool_counts n;

        spool_counts(l->spool, &n);
        l->fetched = false;
        l->fetch.on_rows = on_rows;
        l->fetch.after_seq = n.acked_seq[SPOOL_SAMPLES];
        spool_fetch(l->spool, &l->fetch);
        run_for(l, 10000);
        CHECK(l->fetched);
}

static void use(struct life *l)
{
        static const char body[] = "\"kind\":\"link\",\"state\":\"down\"";

        for (int i = 0; i < 4; i++) {
                append(l, NEW_ROWS / 4);
                spool_append_event(l->spool, l->sim.now.wall_us, "link", 100, SPOOL_NO_TAG, body, sizeof(body) - 1);
                spool_quarantine(l->spool, "mqtt", "a/b", "not JSON", body, sizeof(body));
                run_for(l, 1100000);
                deliver(l);
        }
}

/* ---- what must be true afterwards ---- */

static uint64_t ask(sqlite3 *c, const char *sql)
{
        sqlite3_stmt *st = NULL;
        uint64_t v;

        CHECK(sqlite3_prepare_v2(c, sql, -1, &st, NULL) == SQLITE_OK);
        CHECK(sqlite3_step(st) == SQLITE_ROW);
        v = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return v;
}

static void check_file(struct life *l)
{
        struct spool_counts n;
        sqlite3 *c;

        spool_counts(l->spool, &n);
        CHECK(!n.failing);
        CHECK(n.accepted == l->appended);
        CHECK(n.accepted == n.delivered + n.held + n.dropped);
        CHECK(sqlite3_open_v2(path, &c, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
        CHECK(ask(c, "SELECT count(*) = 1 AND max(integrity_check) = 'ok' FROM pragma_integrity_check") == 1);
        CHECK(ask(c, "SELECT count(*) FROM reading WHERE seq > (SELECT acked_seq FROM cursor WHERE lane='samples')") ==
              n.held);
        CHECK(ask(c, "SELECT coalesce(sum(n), 0) FROM dropped WHERE lane='samples'") == n.dropped);
        CHECK(ask(c, "SELECT count(*) FROM reading WHERE value <> seq") == 0);
        sqlite3_close(c);
}

static void clean(void)
{
        DIR *all = opendir(dir.path);
        struct dirent *d;
        char name[TEMP_PATH_MAX];

        while ((d = readdir(all)))
                if (d->d_name[0] != '.') {
                        CHECK(!strstr(d->d_name, ".corrupt"));
                        unlink(temp_dir_path(&dir, d->d_name, name));
                }
        closedir(all);
}

/* Left as it was, or closed and with the pages of before: the next open converts them. */
static void make_old(struct life *l, bool old_pages)
{
        sqlite3 *c;

        CHECK(open_spool(l));
        append(l, OLD_ROWS);
        run_for(l, 2000000);
        spool_ack(l->spool, SPOOL_SAMPLES, OLD_ROWS - 500);
        run_for(l, 2000000);
        rt_sim_cut(&l->sim);
        if (old_pages)
                CHECK(spool_close(l->spool));
        else
                spool_abandon(l->spool);
        tags_free(l->tags);
        if (!old_pages)
                return;
        CHECK(sqlite3_open(path, &c) == SQLITE_OK);
        CHECK(sqlite3_exec(c, OLD_PAGES_SQL, NULL, NULL, NULL) == SQLITE_OK);
        sqlite3_close(c);
}

static void arm(const struct disk_fault *f)
{
        if (f->calls) {
                disk_fail(f);
                return;
        }
        disk_fail(NULL);
        fail_memory(f->at, f->persistent);
}

static void disarm(void)
{
        disk_fail(NULL);
        fail_memory(0, false);
}

enum age { NEW, OLD, OLD_PAGES, N_AGES };

/* True when the fault struck. */
static bool one_life(const struct disk_fault *f, enum age age)
{
        struct life l = {0};
        bool struck;

        n_runs++;
        rt_sim_init(&l.sim, 1, 1795428000000000);
        spool_fetch_init(&l.fetch, SPOOL_SAMPLES, 400, 1 << 16);
        disk_begin(dir.path);
        if (age)
                make_old(&l, age == OLD_PAGES);
        arm(f);
        if (open_spool(&l)) {
                use(&l);
                struck = disk_failed() || memory_failed;
                disarm();
        } else {
                struck = true;
                disarm();
                CHECK(open_spool(&l));
                use(&l);
        }
        run_for(&l, 120000000);
        check_file(&l);
        rt_sim_cut(&l.sim);
        CHECK(spool_close(l.spool));
        tags_free(l.tags);
        CHECK(open_spool(&l));
        check_file(&l);
        rt_sim_cut(&l.sim);
        CHECK(spool_close(l.spool));
        tags_free(l.tags);
        clean();
        disk_end();
        spool_fetch_fini(&l.fetch);
        rt_sim_fini(&l.sim);
        return struck;
}

static void each_n(struct disk_fault f, const char *name, uint64_t step)
{
        static const char *const ages[] = {[NEW] = "new", [OLD] = "old", [OLD_PAGES] = "old-paged"};
        static char words[100];
        uint64_t runs = n_runs;

        for (enum age age = NEW; age < N_AGES; age++)
                for (f.at = at = 1;; f.at = at += at < 50 ? 1 : step) {
                        snprintf(words, sizeof(words), "%s, %s, %s, %s file", name,
                                 f.calls ? strerror(f.error) : "no memory", f.persistent ? "for good" : "once",
                                 ages[age]);
                        where = words;
                        if (!one_life(&f, age))
                                break;
                }
        printf("%-10s %-24s %-8s %6" PRIu64 " runs\n", name, f.calls ? strerror(f.error) : "no memory",
               f.persistent ? "for good" : "once", n_runs - runs);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                unsigned calls;
        } kinds[] = {{"open", DISK_OPEN},         {"read", DISK_READ}, {"write", DISK_WRITE},
                     {"truncate", DISK_TRUNCATE}, {"sync", DISK_SYNC}, {"name", DISK_NAME}};
        uint64_t step = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;

        take_memory_over();
        temp_dir_init_in_memory(&dir, "ioerror");
        temp_dir_path(&dir, "spool.db", path);
        conf = (struct spool_conf){.path = path,
                                   .max_size_bytes = 4 << 20,
                                   .commit_interval_us = 100000,
                                   .batch_rows = 2000,
                                   .batch_bytes = 64 << 10,
                                   .quarantine_bytes = 16 << 10};
        log_init((enum log_level)0);
        for (int persistent = 0; persistent < 2; persistent++) {
                for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
                        struct disk_fault f = {.calls = kinds[i].calls, .persistent = persistent, .error = EIO};

                        each_n(f, kinds[i].name, step);
                        f.error = ENOSPC;
                        f.short_write = true;
                        if (kinds[i].calls == DISK_WRITE)
                                each_n(f, kinds[i].name, step);
                }
                each_n((struct disk_fault){.persistent = persistent}, "memory", 7 * step);
        }
        temp_dir_fini(&dir);
        printf("%" PRIu64 " runs; opening was refused %" PRIu64 " times, %" PRIu64 " readings found no room\n", n_runs,
               n_refused, n_waited);
        return n_refused ? 0 : 1;
}
