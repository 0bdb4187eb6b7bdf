/*
 * smalldisk: a spool that may take more than its disk has, on a real disk of 8 MB (a tmpfs of our own).
 *
 * While Kafka takes what comes nothing may ever fail, however much comes: what was delivered makes room.  When Kafka is
 * away the disk fills, commits fail and nothing is lost; when Kafka is back it goes on by itself, though nobody made
 * room. Skipped where we may not mount.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/base/log.h"
#include "agent/base/rt_sim.h"
#include "store/spool.h"
#include "tests/lib/temp_dir.h"

enum { DISK_MB = 8, SKIPPED = 77, A_SECOND = 500 };

static struct rt_sim sim;
static struct temp_dir dir;
static char path[TEMP_PATH_MAX];
static struct tags *tags;
static struct spool *spool;
static struct spool_fetch fetch;
static bool fetched;
static uint64_t acked, faults, n_put;
static int when_full;

#define CHECK(cond)                                                                   \
        do {                                                                          \
                if (!(cond)) {                                                        \
                        fprintf(stderr, "smalldisk: line %d: %s\n", __LINE__, #cond); \
                        exit(1);                                                      \
                }                                                                     \
        } while (0)

static void on_fault(void *ctx, const char *what)
{
        faults += what != NULL;
}

static void on_rows(struct spool_fetch *f)
{
        fetched = true;
}

static void run_for(int64_t us)
{
        rt_sim_run(&sim, sim.now.mono_us + us, NULL, NULL);
}

static void open_spool(void)
{
        struct spool_conf conf = {.path = path,
                                  .max_size_bytes = 1u << 30,
                                  .when_full = when_full,
                                  .commit_interval_us = 1000000,
                                  .keep_delivered_us = 3600000000,
                                  .batch_rows = 20000,
                                  .batch_bytes = 1 << 20,
                                  .quarantine_bytes = 1 << 20};
        struct spool_upcalls up = {.on_fault = on_fault};
        struct err e;

        tags = tags_new(1000);
        if (spool_open(&spool, &sim.rt, &conf, "gw-7", tags, &up, &e) < 0) {
                fprintf(stderr, "%s\n", e.text);
                exit(1);
        }
}

static uint64_t put_second(void)
{
        uint64_t n = 0;

        for (int i = 0; i < A_SECOND; i++) {
                struct reading r = {.ts_us = sim.now.wall_us, .arrival_us = sim.now.wall_us, .type = READING_F64};
                char name[32];

                snprintf(name, sizeof(name), "tag-%d", i % 300);
                CHECK(tags_intern(tags, "press-1", name, "", "", "sim", &r.tag) == 0);
                r.v.f64 = (double)(n_put + n) / 7;
                if (spool_append(spool, &r) != 0)
                        break;
                n++;
        }
        n_put += n;
        run_for(1000000);
        return n;
}

static void deliver(void)
{
        do {
                fetched = false;
                fetch.on_rows = on_rows;
                fetch.after_seq = acked;
                spool_pin(spool, SPOOL_SAMPLES, acked + fetch.most_rows);
                spool_fetch(spool, &fetch);
                while (!fetched)
                        run_for(1000);
                CHECK(!fetch.failed);
                for (uint32_t i = 0; i < fetch.n_rows; i++) {
                        CHECK(fetch.rows[i].seq == acked + 1);
                        CHECK(fetch.rows[i].r.v.f64 == (double)acked / 7);
                        acked++;
                }
                spool_ack(spool, SPOOL_SAMPLES, acked);
        } while (fetch.n_rows == fetch.most_rows);
}

static struct spool_counts counts(void)
{
        struct spool_counts c;

        spool_counts(spool, &c);
        CHECK(c.accepted == c.delivered + c.held + c.dropped && c.dropped == 0);
        return c;
}

/* Ten times what the disk holds. */
static void all_that_comes_is_taken(void)
{
        struct spool_counts c;

        for (int s = 0; n_put * 25 < 10ull * DISK_MB << 20; s++) {
                CHECK(put_second() == A_SECOND);
                deliver();
                c = counts();
                CHECK(c.held < 10 * A_SECOND && !c.failing);
        }
        CHECK(faults == 0);
}

static void a_full_disk_gets_free_by_delivery(void)
{
        struct spool_counts c;
        uint64_t before;

        for (int s = 0; s < 3000 && !faults; s++)
                put_second();
        CHECK(faults == 1);
        CHECK(counts().held > 50000);
        while (put_second()) /* memory too */
                ;
        c = counts();
        CHECK(c.failing && strstr(c.fault, "No space left"));
        for (int s = 0; s < 120 && counts().failing; s++) {
                run_for(1000000);
                deliver();
        }
        CHECK(!counts().failing);
        before = n_put;
        for (int s = 0; s < 300; s++) {
                CHECK(put_second() == A_SECOND);
                deliver();
        }
        run_for(5000000);
        deliver();
        run_for(5000000);
        c = counts();
        CHECK(c.held == 0 && c.accepted == n_put && c.delivered == n_put && n_put > before && faults == 1);
}

/* Full, ended by kill -9, and started where nobody made room. */
static void a_start_on_a_full_disk_goes_on(void)
{
        struct spool_counts c;

        faults = 0;
        for (int s = 0; s < 3000 && !faults; s++)
                put_second();
        rt_sim_cut(&sim);
        spool_abandon(spool);
        tags_free(tags);
        open_spool();
        n_put = counts().accepted;
        for (int s = 0; s < 120; s++) {
                put_second();
                deliver();
        }
        run_for(60000000);
        deliver();
        run_for(5000000);
        c = counts();
        CHECK(c.held == 0 && c.accepted == n_put && !c.failing);
}

static bool mount_disk(void)
{
        char options[32];

        temp_dir_init(&dir, "smalldisk");
        temp_dir_path(&dir, "spool.db", path);
        snprintf(options, sizeof(options), "size=%dm", DISK_MB);
        return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mount("none", dir.path, "tmpfs", 0, options) == 0;
}

int main(void)
{
        if (!mount_disk())
                return SKIPPED;
        log_init((enum log_level)0);
        spool_fetch_init(&fetch, SPOOL_SAMPLES, 2000, 1 << 20);
        rt_sim_init(&sim, 1, 1795428000000000);
        open_spool();
        all_that_comes_is_taken();
        a_full_disk_gets_free_by_delivery();
        a_start_on_a_full_disk_goes_on();
        printf("%" PRIu64 " readings through a spool on a disk of %d MB, full twice: none lost\n", n_put, DISK_MB);
        rt_sim_cut(&sim);
        spool_abandon(spool);
        tags_free(tags);
        umount(dir.path);
        return 0;
}
