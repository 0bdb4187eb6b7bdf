/*
 * powercut: the spool on a disk that loses power at any operation; what was promised must be there afterwards.
 *
 * Each run is one file's life of many cuts: random use in virtual time, power goes at a random write, truncate, sync or
 * change of a name, also while the file is made, migrated, opened or recovered; the disk then shows one of the states
 * it may have been left in (disk.h), and the spool is opened on it.  Checked each time, from the file itself: SQLite
 * finds nothing wrong, every value is what was appended under that seq, accepted = delivered + held + dropped row by
 * row, all that a sync promised is there, nothing counts as delivered that Kafka had not acknowledged, drops that were
 * told are in the ledger, and every reading came when it came, or when it came by the clock that was set right, and
 * says which.
 *
 *   powercut [CUTS [FIRST_SEED]]      without arguments: the short run of the test suite
 */
#include <dirent.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/rt_sim.h"
#include "store/spool.h"
#include "tests/fault/disk.h"
#include "tests/fault/old_format.h"
#include "tests/lib/temp_dir.h"

enum { MOST = 400000, N_TAGS = 7, SHORT_RUN = 500 };

struct world {
        struct rt_sim sim;
        uint64_t seed, file_seed;
        const struct temp_dir *dir;
        char path[TEMP_PATH_MAX];
        struct spool_conf conf;
        struct tags *tags;
        struct spool *spool;
        struct spool_fetch fetch;
        struct spool_sync sync;
        bool fetching, syncing;
        uint64_t sync_seq, sync_event_seq;
        uint64_t durable, durable_events; /* promised */
        uint64_t sent;
        uint64_t kafka[64];
        int n_kafka;
        uint64_t acked;  /* the highest Kafka acknowledged, over all sessions */
        uint64_t n_told; /* how many */
        uint64_t heaviest;
        int64_t *value, *arrival_us;
        int64_t *moved_us; /* by a repair that was asked for; 0: none was */
        uint64_t n;
        bool unsynced; /* the clock, in this session */
        uint64_t since;
        bool migrating;
        uint64_t epoch;
        uint64_t cuts_left; /* of this file */
};

static struct {
        uint64_t cuts, in_open, in_wal, in_db, in_names, in_sync, in_truncate;
        uint64_t drops, thinned, vacuums, lost_unpromised, migrations, in_migration;
        uint64_t repairs, moved;
} seen;

#define CHECK(w, cond)                             \
        do {                                       \
                if (!(cond))                       \
                        wrong(w, __LINE__, #cond); \
        } while (0)

static _Noreturn void wrong(struct world *w, int line, const char *what)
{
        fprintf(stderr,
                "\npowercut: line %d: %s\n  file seed %" PRIu64 ", cut %" PRIu64 " in %s of %s; the file is in %s\n",
                line, what, w->file_seed, seen.cuts, disk_cut_in() == DISK_SYNC ? "a sync" : "a write", disk_cut_file(),
                w->dir->path);
        _exit(1);
}

static uint64_t next(struct world *w)
{
        uint64_t z = w->seed += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static uint64_t below(struct world *w, uint64_t n)
{
        return next(w) % n;
}

/* ---- the file, asked past everything the spool keeps in memory ---- */

static sqlite3_stmt *prepare(struct world *w, sqlite3 *c, const char *sql)
{
        sqlite3_stmt *st = NULL;

        if (sqlite3_prepare_v2(c, sql, -1, &st, NULL) != SQLITE_OK) {
                fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(c));
                wrong(w, __LINE__, "the file can be asked");
        }
        return st;
}

static uint64_t ask(struct world *w, sqlite3 *c, const char *sql)
{
        sqlite3_stmt *st = prepare(w, c, sql);
        uint64_t v;

        CHECK(w, sqlite3_step(st) == SQLITE_ROW);
        v = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return v;
}

static void check_integrity(struct world *w, sqlite3 *c)
{
        sqlite3_stmt *st = prepare(w, c, "PRAGMA integrity_check");

        CHECK(w, sqlite3_step(st) == SQLITE_ROW);
        if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0) {
                fprintf(stderr, "%s\n", sqlite3_column_text(st, 0));
                wrong(w, __LINE__, "integrity_check says ok");
        }
        sqlite3_finalize(st);
}

static void check_values(struct world *w, sqlite3 *c)
{
        sqlite3_stmt *st = prepare(
                w, c, "SELECT seq, cast(value AS INTEGER), ts_us + delay_us, flags FROM reading WHERE flags & 64 = 0");

        while (sqlite3_step(st) == SQLITE_ROW) {
                uint64_t seq = (uint64_t)sqlite3_column_int64(st, 0);

                CHECK(w, seq <= w->n);
                CHECK(w, sqlite3_column_int64(st, 1) == w->value[seq]);
                if (sqlite3_column_int(st, 3) & READING_TIME_REPAIRED) {
                        CHECK(w, w->moved_us[seq] != 0);
                        CHECK(w, sqlite3_column_int64(st, 2) == w->arrival_us[seq] + w->moved_us[seq]);
                        seen.moved++;
                } else {
                        CHECK(w, sqlite3_column_int64(st, 2) == w->arrival_us[seq]);
                }
        }
        sqlite3_finalize(st);
}

/* Every seq is delivered, held or dropped, and exactly one of them; the counters say the same. */
static void check_balance(struct world *w, sqlite3 *c)
{
        uint64_t acked = ask(w, c, "SELECT acked_seq FROM cursor WHERE lane='samples'");
        uint64_t above = ask(w, c,
                             "SELECT coalesce(sum(min(n, last_seq - max(first_seq, 1 + (SELECT acked_seq FROM cursor"
                             " WHERE lane='samples')) + 1)), 0) FROM dropped WHERE lane='samples' AND last_seq >"
                             " (SELECT acked_seq FROM cursor WHERE lane='samples')");
        uint64_t held = ask(w, c,
                            "SELECT count(*) FROM reading WHERE seq > (SELECT acked_seq FROM cursor WHERE"
                            " lane='samples')");
        struct spool_counts n;

        spool_counts(w->spool, &n);
        CHECK(w, n.accepted == n.delivered + n.held + n.dropped);
        CHECK(w, n.events_accepted == n.events_delivered + n.events_held + n.events_dropped);
        CHECK(w, n.held == held);
        CHECK(w, n.accepted == acked + held + above);
        CHECK(w, n.dropped == ask(w, c, "SELECT coalesce(sum(n), 0) FROM dropped WHERE lane='samples'"));
        CHECK(w, n.events_held == ask(w, c,
                                      "SELECT count(*) FROM event WHERE seq > (SELECT acked_seq FROM cursor WHERE"
                                      " lane='events')"));
        CHECK(w, 0 == ask(w, c,
                          "SELECT count(*) FROM dropped a, dropped b WHERE a.lane = b.lane AND a.first_seq <"
                          " b.first_seq AND a.last_seq >= b.first_seq"));
        CHECK(w, 0 == ask(w, c,
                          "SELECT count(*) FROM reading r, dropped d WHERE d.lane = 'samples' AND r.seq BETWEEN"
                          " d.first_seq AND d.last_seq"));
        if (acked > w->acked) {
                char sql[300];

                snprintf(sql, sizeof(sql),
                         "SELECT coalesce(sum(min(last_seq, %" PRIu64 ") - max(first_seq, %" PRIu64
                         ") + 1), 0) FROM dropped"
                         " WHERE lane='samples' AND last_seq > %" PRIu64 " AND first_seq <= %" PRIu64,
                         acked, w->acked + 1, w->acked, acked);
                CHECK(w, acked - w->acked == ask(w, c, sql));
        }
        CHECK(w, 0 == ask(w, c,
                          "SELECT count(*) FROM dropped WHERE reason <> 'several' AND n <> last_seq - first_seq + 1"));
        CHECK(w, 0 == ask(w, c, "SELECT count(*) FROM reading WHERE tag NOT IN (SELECT id FROM tag)"));
}

static void check_promises(struct world *w)
{
        struct spool_counts n;

        spool_counts(w->spool, &n);
        CHECK(w, n.accepted >= w->durable);
        CHECK(w, n.accepted <= w->n);
        CHECK(w, n.events_accepted >= w->durable_events);
        CHECK(w, n.dropped >= w->n_told);
        CHECK(w, !w->epoch || n.epoch == w->epoch);
        w->epoch = n.epoch;
}

static int ask_aside(struct world *w)
{
        struct dirent *d;
        DIR *all = opendir(w->dir->path);
        int n = 0;

        while ((d = readdir(all)))
                n += strstr(d->d_name, ".corrupt") || strstr(d->d_name, ".damaged");
        closedir(all);
        return n;
}

static void check_file(struct world *w)
{
        sqlite3 *c;

        /* A cut is never damage: nothing was moved aside. */
        CHECK(w, ask_aside(w) == 0);

        CHECK(w, sqlite3_open_v2(w->path, &c, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
        check_integrity(w, c);
        check_balance(w, c);
        check_values(w, c);
        sqlite3_close(c);
}

/* ---- sessions ---- */

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        struct world *w = ctx;

        if (disk_is_cut())
                return;
        seen.drops += !strcmp(reason, "full");
        seen.thinned += !strcmp(reason, "thinned");
        w->n_told += n;
}

/* Larger and smaller by turns, so that the file has to shrink. */
static void choose_conf(struct world *w)
{
        w->conf.max_size_bytes = below(w, 3) ? 4 << 20 : 6 << 20;
        w->conf.keep_delivered_us = below(w, 2) ? 0 : 300000;
        w->conf.commit_interval_us = (int64_t)(10000 + below(w, 500000));
}

/* False: the power went again. */
static bool open_spool(struct world *w)
{
        struct spool_upcalls up = {.on_dropped = on_dropped, .ctx = w};
        struct err e = {{0}};
        int rc;

        w->tags = tags_new(100);
        rc = spool_open(&w->spool, &w->sim.rt, &w->conf, "gw-7", w->tags, &up, &e);
        if (rc < 0) {
                if (!disk_is_cut()) {
                        fprintf(stderr, "%s\n", e.text);
                        wrong(w, __LINE__, "the spool opens");
                }
                tags_free(w->tags);
                return false;
        }
        for (uint32_t i = 0, at; i < N_TAGS; i++) {
                char name[16];

                snprintf(name, sizeof(name), "tag-%u", i);
                CHECK(w, tags_intern(w->tags, "press-1", name, "", "", "sim", &at) == 0 && at == i);
        }
        list_init(&w->sync.node);
        w->syncing = w->fetching = false;
        w->n_kafka = 0;
        w->unsynced = below(w, 2);
        w->since = spool_appended_seq(w->spool, SPOOL_SAMPLES);
        return true;
}

static void leave(struct world *w)
{
        rt_sim_cut(&w->sim);
        spool_abandon(w->spool);
        tags_free(w->tags);
        w->spool = NULL;
}

static void note_cut(bool in_open, bool migrating)
{
        const char *file = disk_cut_file();
        size_t len = strlen(file);

        seen.cuts++;
        seen.in_open += in_open;
        seen.in_migration += migrating;
        seen.in_sync += disk_cut_in() == DISK_SYNC;
        seen.in_truncate += disk_cut_in() == DISK_TRUNCATE;
        seen.in_names += disk_cut_in() == DISK_NAME;
        if (len > 4 && !strcmp(file + len - 4, "-wal"))
                seen.in_wal++;
        else if (len > 3 && !strcmp(file + len - 3, ".db"))
                seen.in_db++;
}

/* Back on: what was promised is there; what was not may be gone, and its seqs are given again. */
static void power_on(struct world *w)
{
        struct spool_counts n;
        bool again = true;

        while (again) {
                disk_power_on(next(w));
                choose_conf(w);
                disk_cut_after(w->epoch && below(w, 3) ? 0 : 1 + below(w, w->migrating ? 900 : w->epoch ? 40 : 150));
                again = !open_spool(w);
                if (!again && disk_is_cut()) {
                        leave(w);
                        again = true;
                }
                if (again)
                        note_cut(true, w->migrating);
        }
        disk_cut_after(0);
        w->migrating = false;
        check_promises(w);
        check_file(w);
        spool_counts(w->spool, &n);
        seen.lost_unpromised += w->n - n.accepted;
        w->n = n.accepted;
        w->sent = n.acked_seq[SPOOL_SAMPLES];
        w->durable = n.accepted;
        w->durable_events = n.events_accepted;
        w->n_told = n.dropped;
}

/* ---- use ---- */

static void on_durable(struct spool_sync *q)
{
        struct world *w = list_entry(q, struct world, sync);

        w->syncing = false;
        if (disk_is_cut())
                return;
        w->durable = w->sync_seq;
        w->durable_events = w->sync_event_seq;
}

static void make_text(struct world *w, struct reading *r)
{
        static char text[6000];

        memset(text, ' ', sizeof(text));
        text[sprintf(text, "%" PRId64, r->v.i64)] = ' ';
        r->type = READING_TEXT;
        r->len = 20 + (uint32_t)below(w, w->heaviest);
        r->v.text = text;
}

static void append(struct world *w)
{
        bool heavy = w->heaviest && below(w, 3), thin = w->conf.when_full == SPOOL_THIN;

        if (thin && !w->unsynced)
                w->sim.now.wall_us += (int64_t)below(w, 40000000); /* minutes must pass */
        for (uint64_t i = below(w, 600); i && w->n + 1 < MOST; i--) {
                struct reading r = {.ts_us = w->sim.now.wall_us - (int64_t)below(w, 3000),
                                    .arrival_us = w->sim.now.wall_us,
                                    .tag = (uint32_t)below(w, N_TAGS),
                                    .type = READING_I64,
                                    .flags = w->unsynced ? READING_CLOCK_UNSYNCED : 0};
                int64_t value = (int64_t)(next(w) >> (thin ? 20 : 2)) + 1;

                r.v.i64 = value;
                if (heavy)
                        make_text(w, &r);
                if (spool_append(w->spool, &r) == 0) {
                        w->value[++w->n] = value;
                        w->arrival_us[w->n] = r.arrival_us;
                        w->moved_us[w->n] = 0;
                } else {
                        spool_refuse(w->spool, 1, "memory_full");
                        w->value[++w->n] = 0;
                }
        }
}

static void sync_up(struct world *w)
{
        if (w->syncing)
                return;
        w->syncing = true;
        w->sync_seq = w->n;
        w->sync_event_seq = spool_appended_seq(w->spool, SPOOL_EVENTS);
        w->sync.on_durable = on_durable;
        spool_sync(w->spool, &w->sync);
}

static void on_rows(struct spool_fetch *f)
{
        struct world *w = list_entry(f, struct world, fetch);

        w->fetching = false;
        if (disk_is_cut())
                return;
        CHECK(w, !f->failed);
        for (uint32_t i = 0; i < f->n_rows; i++) {
                const struct reading *r = &f->rows[i].r;
                int64_t value = r->type == READING_TEXT ? strtoll(r->v.text, NULL, 10) : r->v.i64;

                CHECK(w, f->rows[i].seq > w->sent);
                CHECK(w, r->flags & READING_AGGREGATE || value == w->value[f->rows[i].seq]);
                w->sent = f->rows[i].seq;
        }
        if (f->n_rows)
                w->kafka[w->n_kafka++] = w->sent;
        spool_pin(w->spool, SPOOL_SAMPLES, w->sent);
}

static void fetch(struct world *w)
{
        if (w->fetching || w->n_kafka == 64)
                return;
        w->fetching = true;
        w->fetch.on_rows = on_rows;
        w->fetch.after_seq = w->sent;
        spool_fetch(w->spool, &w->fetch);
}

static void ack(struct world *w)
{
        int n = (int)below(w, (uint64_t)w->n_kafka + 1);

        if (!n)
                return;
        if (w->kafka[n - 1] > w->acked)
                w->acked = w->kafka[n - 1];
        spool_ack(w->spool, SPOOL_SAMPLES, w->kafka[n - 1]);
        memmove(w->kafka, w->kafka + n, (size_t)(w->n_kafka - n) * sizeof(*w->kafka));
        w->n_kafka -= n;
}

/* Once a session: what came since its begin is moved as far as it is not on its way to Kafka. */
static void set_clock(struct world *w)
{
        int64_t by_us = (int64_t)below(w, 20000000000) - 10000000000 + 1;

        if (!w->unsynced)
                return;
        rt_sim_step_wall(&w->sim, by_us);
        spool_repair_time(w->spool, by_us, w->since, w->n);
        for (uint64_t seq = w->since + 1; seq <= w->n; seq++)
                w->moved_us[seq] = by_us;
        w->unsynced = false;
        seen.repairs++;
}

/* Kafka has nothing that was not committed. */
static void ack_event(struct world *w)
{
        struct spool_counts n;

        spool_counts(w->spool, &n);
        spool_ack(w->spool, SPOOL_EVENTS, below(w, n.last_seq[SPOOL_EVENTS] + 1));
}

static void step(struct world *w)
{
        static const char body[] = "\"kind\":\"link\",\"state\":\"down\"";

        switch (below(w, 17)) {
        case 0 ... 4:
                append(w);
                break;
        case 5:
                spool_refuse(w->spool, 1, "memory_full");
                w->value[++w->n] = 0;
                break;
        case 6 ... 7:
                sync_up(w);
                break;
        case 8 ... 10:
                fetch(w);
                break;
        case 11 ... 12:
                ack(w);
                break;
        case 13:
                for (uint64_t i = below(w, 30); i; i--)
                        spool_append_event(w->spool, w->sim.now.wall_us, "link", 100, SPOOL_NO_TAG, body,
                                           sizeof(body) - 1);
                ack_event(w);
                break;
        case 14:
                set_clock(w);
                break;
        case 15:
                spool_quarantine(w->spool, "mqtt", "a/b", "not JSON", body, sizeof(body));
                break;
        default:
                if (w->n_kafka)
                        spool_dead_letter(w->spool, SPOOL_SAMPLES, w->kafka[w->n_kafka - 1], "too large");
        }
        rt_sim_run(&w->sim, w->sim.now.mono_us + (int64_t)below(w, 60000), NULL, NULL);
}

static void live_until_cut(struct world *w)
{
        disk_cut_after(1 + below(w, below(w, 4) ? 150 : 900));
        for (int i = 0; i < 3000 && !disk_is_cut() && w->n + 1000 < MOST; i++)
                step(w);
        if (!disk_is_cut())
                disk_cut_now();
        leave(w);
        note_cut(false, false);
}

static void prepare_world(struct world *w, uint64_t seed, const struct temp_dir *dir)
{
        memset(w, 0, sizeof(*w));
        w->seed = w->file_seed = seed;
        w->value = calloc(MOST + 1000, sizeof(*w->value));
        w->arrival_us = calloc(MOST + 1000, sizeof(*w->arrival_us));
        w->moved_us = calloc(MOST + 1000, sizeof(*w->moved_us));
        w->dir = dir;
        temp_dir_path(dir, "spool.db", w->path);
        rt_sim_init(&w->sim, seed, 1795428000000000);
        w->conf = (struct spool_conf){.path = w->path,
                                      .when_full = (int)below(w, 4),
                                      .batch_rows = 100 + (int64_t)below(w, 1900),
                                      .batch_bytes = 64 << 10,
                                      .quarantine_bytes = 16 << 10};
        spool_fetch_init(&w->fetch, SPOOL_SAMPLES, 1 + (uint32_t)below(w, 900), 1 << 17);
        w->heaviest = below(w, 2) ? 0 : 1 + below(w, 5900);
        w->cuts_left = below(w, 2) ? 2 : 40;
}

/* As the first version left it: the next open migrates. */
static void make_first_version(struct world *w)
{
        sqlite3 *c;

        choose_conf(w);
        CHECK(w, open_spool(w));
        for (int i = 0; i < 20; i++) {
                append(w);
                rt_sim_run(&w->sim, w->sim.now.mono_us + 2000000, NULL, NULL);
        }
        w->durable = spool_appended_seq(w->spool, SPOOL_SAMPLES);
        rt_sim_cut(&w->sim);
        CHECK(w, spool_close(w->spool));
        tags_free(w->tags);
        CHECK(w, sqlite3_open(w->path, &c) == SQLITE_OK);
        CHECK(w, sqlite3_exec(c,
                              OLD_FORMAT_SQL
                              "DROP TABLE rescue; DROP TABLE alarm; DROP TABLE alarm_log; DROP TABLE learned;"
                              "DELETE FROM meta WHERE key = 'alarm_told'; PRAGMA user_version=1",
                              NULL, NULL, NULL) == SQLITE_OK);
        sqlite3_close(c);
        seen.migrations++;
        w->migrating = true;
        w->epoch = 0;
}

static void one_file(uint64_t seed, const struct temp_dir *dir, uint64_t most_cuts)
{
        struct world *w = calloc(1, sizeof(*w));

        prepare_world(w, seed, dir);
        if (seed % 2)
                make_first_version(w);
        disk_begin(dir->path);
        while (seen.cuts < most_cuts) {
                power_on(w);
                live_until_cut(w);
                if (!w->cuts_left-- || w->n + 2000 > MOST)
                        break;
        }
        disk_power_on(next(w));
        choose_conf(w);
        CHECK(w, open_spool(w));
        check_promises(w);
        check_file(w);
        leave(w);
        seen.vacuums += disk_shrunk();
        disk_end();
        spool_fetch_fini(&w->fetch);
        rt_sim_fini(&w->sim);
        free(w->value);
        free(w->arrival_us);
        free(w->moved_us);
        free(w);
}

static void report(void)
{
        printf("%" PRIu64 " cuts: 0 corrupt, 0 promised readings lost, every balance exact\n", seen.cuts);
        printf("  while opening %" PRIu64 ", in the WAL %" PRIu64 ", in the database %" PRIu64 ", at a sync %" PRIu64
               ", at a truncate %" PRIu64 ", at a change of a name %" PRIu64 "\n",
               seen.in_open, seen.in_wal, seen.in_db, seen.in_sync, seen.in_truncate, seen.in_names);
        printf("  %" PRIu64 " clocks set right, %" PRIu64 " times a moved reading was looked at\n", seen.repairs,
               seen.moved);
        printf("  %" PRIu64 " files migrated from the first version, cut meanwhile %" PRIu64 " times, %" PRIu64
               " drops for room told and %" PRIu64 " times thinned, the file cut shorter %" PRIu64 " times, %" PRIu64
               " readings gone that nobody was promised\n",
               seen.migrations, seen.in_migration, seen.drops, seen.thinned, seen.vacuums, seen.lost_unpromised);
}

int main(int argc, char **argv)
{
        uint64_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : SHORT_RUN;
        uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
        struct temp_dir dir;

        temp_dir_init_in_memory(&dir, "powercut");
        log_init((enum log_level)0);
        for (; seen.cuts < most; seed++)
                one_file(seed, &dir, most);
        temp_dir_fini(&dir);
        report();
        return seen.in_open && seen.in_wal && seen.in_db && seen.in_sync && seen.drops && seen.vacuums &&
                               seen.in_migration && seen.moved
                       ? 0
                       : 1;
}
