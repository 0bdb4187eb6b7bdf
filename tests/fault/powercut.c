/*
 * powercut: the spool on a disk that loses power at any operation; what was promised must be there afterwards.
 *
 * Each run is one file's life of many cuts: random use of all that there is (powercut_world.h) in virtual time, power
 * goes at a random write, truncate, sync or change of a name, also while the file is made, migrated, opened or
 * recovered; the disk then shows one of the states it may have been left in (disk.h), and the spool is opened on it.
 * Checked each time, from the file itself (powercut_check.c): SQLite finds nothing wrong, every value is what was
 * appended under that seq, each seq is delivered, held or dropped and one of them only, what is delivered Kafka has and
 * what is dropped it has not, all that a sync promised is there, drops that were told are in the ledger, and every
 * reading came when it came, or when it came by the clock that was set right, and says which.
 *
 *   powercut [CUTS [FIRST_SEED]]      without arguments: the short run of the test suite
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "tests/fault/disk.h"
#include "tests/fault/old_format.h"
#include "tests/fault/powercut_world.h"

enum { SHORT_RUN = 500 };

struct powercut_seen seen;

void wrong(struct world *w, const char *file, int line, const char *what)
{
        fprintf(stderr,
                "\npowercut: %s:%d: %s\n  file seed %" PRIu64 ", cut %" PRIu64 " in %s of %s; the file is in %s\n",
                file, line, what, w->file_seed, seen.cuts, disk_cut_in() == DISK_SYNC ? "a sync" : "a write",
                disk_cut_file(), w->dir->path);
        _exit(1);
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
        bool again = true;

        while (again) {
                disk_power_on(next(w));
                world_choose_conf(w);
                disk_cut_after(w->epoch && below(w, 3) ? 0 : 1 + below(w, w->migrating ? 900 : w->epoch ? 40 : 150));
                again = !world_open(w);
                if (!again && disk_is_cut()) {
                        world_leave(w);
                        again = true;
                }
                if (again)
                        note_cut(true, w->migrating);
        }
        disk_cut_after(0);
        w->migrating = false;
        powercut_check(w);
        powercut_forget_lost(w);
}

static void live_until_cut(struct world *w)
{
        disk_cut_after(1 + below(w, below(w, 4) ? 150 : 900));
        for (int i = 0; i < 3000 && !disk_is_cut() && w->n + 1000 < MOST; i++)
                world_step(w);
        if (!disk_is_cut())
                disk_cut_now();
        world_leave(w);
        note_cut(false, false);
}

/* As the first version left it: the next open migrates. */
static void make_first_version(struct world *w)
{
        sqlite3 *c;

        world_choose_conf(w);
        w->kafka.away = true;
        CHECK(w, world_open(w));
        for (int i = 0; i < 20; i++) {
                world_append(w);
                rt_sim_run(&w->sim, w->sim.now.mono_us + 2000000, NULL, NULL);
        }
        w->durable[SPOOL_SAMPLES] = w->n;
        fake_sink_cut(&w->kafka, NULL);
        rt_sim_cut(&w->sim);
        requeue_free(w->requeue);
        uplink_free(w->uplink);
        CHECK(w, spool_close(w->spool));
        tags_free(w->tags);
        CHECK(w, sqlite3_open(w->path, &c) == SQLITE_OK);
        CHECK(w, sqlite3_exec(c,
                              OLD_FORMAT_SQL
                              "DROP TABLE rescue; DROP TABLE alarm; DROP TABLE alarm_log; DROP TABLE learned;"
                              "DELETE FROM meta WHERE key = 'alarm_told'; PRAGMA user_version=1",
                              NULL, NULL, NULL) == SQLITE_OK);
        if (below(w, 2))
                CHECK(w, sqlite3_exec(c, OLD_PAGES_SQL, NULL, NULL, NULL) == SQLITE_OK);
        sqlite3_close(c);
        seen.migrations++;
        w->migrating = true;
        w->epoch = 0;
}

static void one_file(uint64_t seed, const struct temp_dir *dir, uint64_t most_cuts)
{
        struct world *w = calloc(1, sizeof(*w));

        world_init(w, seed, dir);
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
        world_choose_conf(w);
        CHECK(w, world_open(w));
        powercut_check(w);
        world_leave(w);
        seen.vacuums += disk_shrunk();
        disk_end();
        world_fini(w);
        free(w);
}

static void report(void)
{
        printf("%" PRIu64 " cuts: 0 corrupt, 0 promised readings lost, every balance exact\n", seen.cuts);
        printf("  while opening %" PRIu64 ", in the WAL %" PRIu64 ", in the database %" PRIu64 ", at a sync %" PRIu64
               ", at a truncate %" PRIu64 ", at a change of a name %" PRIu64 "\n",
               seen.in_open, seen.in_wal, seen.in_db, seen.in_sync, seen.in_truncate, seen.in_names);
        printf("  Kafka took %" PRIu64 " records, %" PRIu64 " of them twice, %" PRIu64 " unanswered at a cut; %" PRIu64
               " resent; live_first switched %" PRIu64 " times, up to %" PRIu64 " ranges ahead\n",
               seen.taken, seen.twice, seen.survived, seen.resent, seen.switched, seen.most_ahead);
        printf("  %" PRIu64 " purges, %" PRIu64 " readings purged; %" PRIu64 " dead letters\n", seen.purges,
               seen.purged, seen.dead);
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
                               seen.in_migration && seen.moved && seen.purged && seen.dead && seen.resent &&
                               seen.thinned && seen.most_ahead > 1
                       ? 0
                       : 1;
}
