/*
 * spool_field: what the spool does in the field, in virtual time on a real disk.
 *
 *   spool_field outage DAYS [thin]
 *                             300 tags at 1 s without Kafka, 256 MiB cap, then drained: the ledger, the cap, the order
 *   spool_field hour [S [K]]  150 readings a second for an hour, delivered as they come, commits every S, rows kept K
 * s; SPOOL_FIELD_VALUES=decimal: of one decimal each, else with all 53 bits in use spool_field flash MB      the same,
 * six hours, with the default interval and flash.max_per_day of MB: the last hour spool_field open GIB      the time
 * from opening a file of that size that was left by kill -9 to the first durable reading
 *   spool_field rate N S K [FOR]   as hour, N readings a second, measured for FOR seconds (600)
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/rt_sim.h"
#include "agent/flash.h"
#include "store/spool.h"
#include "tests/lib/db.h"
#include "tests/lib/temp_dir.h"

enum { N_TAGS = 300 };

static struct rt_sim sim;
static char path[TEMP_PATH_MAX];
static struct spool_conf conf;
static struct tags *tags;
static struct spool *spool;
static struct spool_fetch fetch;
static bool fetched;
static uint64_t largest;
static bool decimal_values;

#define MUST(cond)                                                                      \
        do {                                                                            \
                if (!(cond)) {                                                          \
                        fprintf(stderr, "spool_field: line %d: %s\n", __LINE__, #cond); \
                        exit(1);                                                        \
                }                                                                       \
        } while (0)

static double seconds(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t io(const char *name)
{
        FILE *f = fopen("/proc/self/io", "r");
        char line[80];
        uint64_t n = 0;

        while (f && fgets(line, sizeof(line), f))
                if (!strncmp(line, name, strlen(name)))
                        n = strtoull(line + strlen(name) + 1, NULL, 10);
        if (f)
                fclose(f);
        return n;
}

/* That reached the block device under it, in sectors of 512, and how often it was told to flush; of own_disk. */
static void device(uint64_t *bytes, uint64_t *flushes)
{
        unsigned long long v[16] = {0};
        char name[64];
        struct stat st;
        FILE *f = NULL;
        int fd = open(path, O_RDONLY);

        if (fd >= 0 && fstat(fd, &st) == 0 && syncfs(fd) == 0) {
                snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/stat", major(st.st_dev), minor(st.st_dev));
                f = fopen(name, "r");
        }
        for (int i = 0; f && i < 16 && fscanf(f, "%llu", &v[i]) == 1; i++)
                ;
        if (f)
                fclose(f);
        if (fd >= 0)
                close(fd);
        *bytes = v[6] * 512;
        *flushes = v[15];
}

static struct {
        uint64_t host, wchar, device, flushes;
} since;

static void begin_count(void)
{
        device(&since.device, &since.flushes);
        since.host = io("write_bytes");
        since.wchar = io("wchar");
}

static void end_count(void)
{
        uint64_t bytes, flushes;

        since.host = io("write_bytes") - since.host;
        since.wchar = io("wchar") - since.wchar;
        device(&bytes, &flushes);
        since.device = bytes - since.device;
        since.flushes = flushes - since.flushes;
}

static void print_count(double n, double for_s)
{
        printf("%.1f host bytes a reading, %.2f GB a day", (double)since.host / n,
               (double)since.host / for_s * 86400 / 1e9);
        if (getenv("RATE_DIR"))
                printf("; its disk %.1f bytes a reading, %.2f GB a day, %.0f flushes", (double)since.device / n,
                       (double)since.device / for_s * 86400 / 1e9, (double)since.flushes);
        printf("\n");
}

static void open_spool(void)
{
        struct err e;

        tags = tags_new(1000);
        if (spool_open(&spool, &sim.rt, &conf, "gw-7", tags, NULL, &e) < 0) {
                fprintf(stderr, "%s\n", e.text);
                exit(1);
        }
}

static void run_for(int64_t us)
{
        rt_sim_run(&sim, sim.now.mono_us + us, NULL, NULL);
}

static void append_second(int n)
{
        for (int i = 0; i < n; i++) {
                struct reading r = {.ts_us = sim.now.wall_us, .arrival_us = sim.now.wall_us, .type = READING_F64};
                char name[32];

                snprintf(name, sizeof(name), "tag-%d", i % N_TAGS);
                if (tags_count(tags) < N_TAGS)
                        MUST(tags_intern(tags, "press-1", name, "degC", "", "sim", &r.tag) == 0);
                else
                        r.tag = (uint32_t)(i % N_TAGS);
                r.v.f64 = 20 + (double)(sim.now.wall_us / 1000000 % 1000) / (decimal_values ? 10 : 7);
                MUST(spool_append(spool, &r) == 0);
        }
}

static void on_rows(struct spool_fetch *f)
{
        fetched = true;
}

static uint32_t fetch_after(uint64_t seq)
{
        fetched = false;
        fetch.on_rows = on_rows;
        fetch.after_seq = seq;
        spool_fetch(spool, &fetch);
        while (!fetched)
                run_for(1000);
        MUST(!fetch.failed);
        return fetch.n_rows;
}

/* ---- outage ---- */

static uint64_t n_aggregates, n_aggregated; /* that were drained, and what they stand for */
static int64_t oldest_us;

static void drain(void)
{
        uint64_t last = 0, n = 0, from;
        struct spool_counts c;

        spool_counts(spool, &c);
        from = c.held;
        while (fetch_after(last)) {
                for (uint32_t i = 0; i < fetch.n_rows; i++) {
                        MUST(fetch.rows[i].seq > last && (last = fetch.rows[i].seq));
                        oldest_us = oldest_us ? oldest_us : fetch.rows[i].r.ts_us;
                        if (fetch.rows[i].r.flags & READING_AGGREGATE) {
                                n_aggregates++;
                                n_aggregated += fetch.rows[i].a.n;
                        }
                }
                n += fetch.n_rows;
                spool_ack(spool, SPOOL_SAMPLES, last);
                run_for(1000);
        }
        run_for(5000000);
        spool_counts(spool, &c);
        MUST(n == from && c.held == 0);
        if (conf.when_full == SPOOL_THIN)
                printf("of them %" PRIu64 " aggregates for %" PRIu64 " readings; the oldest is %.2f days old\n",
                       n_aggregates, n_aggregated, (double)(sim.now.wall_us - oldest_us) / 86400e6);
        MUST(c.accepted == c.delivered + c.dropped);
}

static void outage(double days)
{
        double began = seconds();
        struct spool_counts c;

        conf.max_size_bytes = 256u << 20;
        open_spool();
        for (int64_t s = 0; s < (int64_t)(days * 86400); s++) {
                append_second(N_TAGS);
                run_for(1000000);
                if (s % 16 == 0) {
                        uint64_t now = db_bytes(path);

                        spool_counts(spool, &c);
                        largest = now > largest ? now : largest;
                        MUST(c.accepted == c.delivered + c.held + c.dropped);
                        MUST(now <= conf.max_size_bytes);
                }
        }
        run_for(5000000);
        spool_counts(spool, &c);
        MUST(c.accepted == (uint64_t)((int64_t)(days * 86400)) * N_TAGS);
        printf("%.1f days, %s: %" PRIu64 " readings, %" PRIu64 " held, %" PRIu64
               " dropped and in the ledger, files at most %.1f MiB"
               " of 256, %.1f host bytes written per reading, %.0f s\n",
               days, conf.when_full == SPOOL_THIN ? "thin" : "drop_oldest", c.accepted, c.held, c.dropped,
               (double)largest / 1048576, (double)io("write_bytes") / (double)c.accepted, seconds() - began);
        began = seconds();
        drain();
        printf("drained in order in %.0f s\n", seconds() - began);
}

/* ---- an hour ---- */

static uint64_t acked;

static void live_for(int n, int64_t us)
{
        append_second(n);
        run_for(us);
        if (fetch_after(acked))
                acked = fetch.rows[fetch.n_rows - 1].seq;
        spool_ack(spool, SPOOL_SAMPLES, acked);
}

static void live_second(void)
{
        live_for(150, 1000000);
}

/* Kept rows first fill up, so that the hour measured has as much to let go as it brings. */
static void hour(double interval_s, double keep_s)
{
        double began = seconds();

        conf.commit_interval_us = (int64_t)(interval_s * 1e6);
        conf.keep_delivered_us = (int64_t)(keep_s * 1e6);
        open_spool();
        for (int s = 0; s < (int)keep_s + 600; s++)
                live_second();
        begin_count();
        for (int s = 0; s < 3600; s++)
                live_second();
        end_count();
        printf("150/s for an hour, commit interval %.1f s: %.2f host bytes per reading byte of 24 (%.1f MB; write(2): "
               "%.1f MB), %.0f s\n  ",
               (double)conf.commit_interval_us / 1e6, (double)since.host / (540000.0 * 24), (double)since.host / 1e6,
               (double)since.wchar / 1e6, seconds() - began);
        print_count(540000, 3600);
}

/* In as many pieces as there are commits. */
static void rate(int per_s, double interval_s, double keep_s, double for_s)
{
        int64_t us = (int64_t)(interval_s * 1e6), n = (int64_t)(per_s * interval_s),
                steps = (int64_t)(for_s / interval_s);

        conf.commit_interval_us = us;
        conf.keep_delivered_us = (int64_t)(keep_s * 1e6);
        open_spool();
        for (int64_t i = 0; i < (int64_t)((keep_s + 60) / interval_s); i++)
                live_for((int)n, us);
        begin_count();
        for (int64_t i = 0; i < steps; i++)
                live_for((int)n, us);
        end_count();
        printf("%d/s, commits of %.0f ms, %.0f s kept: ", per_s, interval_s * 1e3, keep_s);
        print_count((double)(n * steps), for_s);
}

/* As agent/agent.c does it: the commit interval follows what was written. */
static void spare_flash(struct flash *f, uint64_t max_per_day)
{
        struct flash_conf budget = {.max_per_day_bytes = max_per_day};
        int64_t us = conf.commit_interval_us;

        if (!flash_update(f, &budget, io("write_bytes"), sim.now.mono_us))
                return;
        us = (int64_t)((double)us * f->slowdown);
        spool_set_commit_interval(spool, us < 60000000 ? us : 60000000);
}

static void flash(double mb)
{
        struct flash f;
        uint64_t before = 0;

        open_spool();
        flash_init(&f);
        for (int s = 0; s < 6 * 3600; s++) {
                if (s == 5 * 3600)
                        before = io("write_bytes");
                live_second();
                spare_flash(&f, (uint64_t)(mb * 1e6));
        }
        before = io("write_bytes") - before;
        printf("150/s, flash.max_per_day %.0f MB: stretched %.0f times, %.2f host bytes per reading byte of 24 in the "
               "sixth"
               " hour, %.2f GB a day\n",
               mb, f.slowdown, (double)before / (540000.0 * 24), (double)before * 24 / 1e9);
}

/* ---- opening a large file ---- */

static void sql(const char *text)
{
        char *said = NULL;
        sqlite3 *c;

        MUST(sqlite3_open(path, &c) == SQLITE_OK);
        if (sqlite3_exec(c, text, NULL, NULL, &said) != SQLITE_OK) {
                fprintf(stderr, "%s\n", said);
                exit(1);
        }
        sqlite3_close(c);
}

static void on_durable(struct spool_sync *q)
{
        fetched = true;
}

static void open_large(double gib)
{
        struct spool_sync q = {.on_durable = on_durable};
        double began;
        char text[600];

        conf.max_size_bytes = 64ull << 30;
        open_spool();
        append_second(N_TAGS);
        run_for(5000000);
        spool_abandon(spool);
        tags_free(tags);
        snprintf(text, sizeof(text),
                 "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=20000; WITH RECURSIVE n(i) AS (SELECT 301 UNION ALL"
                 " SELECT i + 1 FROM n WHERE i < %.0f) INSERT INTO sample SELECT i, i, (i %% 300) << 2, 0,"
                 " printf('%%.*c', 900, 'x') FROM n; UPDATE meta SET value = %.0f WHERE key = 'ts_saved_seq';"
                 " PRAGMA wal_checkpoint(TRUNCATE)",
                 gib * 1073741824 / 1000, gib * 1073741824 / 1000 - 20000);
        sql(text);
        open_spool();
        for (int i = 0; i < 40; i++) {
                append_second(N_TAGS);
                run_for(1000000);
        }
        rt_sim_cut(&sim);
        spool_abandon(spool);
        tags_free(tags);
        sync();
        if (system("echo 1 > /proc/sys/vm/drop_caches") != 0)
                fputs("(the page cache is warm)\n", stderr);
        began = seconds();
        open_spool();
        printf("%.2f GB, WAL as kill -9 left it: opened in %.0f ms", (double)db_bytes(path) / 1e9,
               (seconds() - began) * 1e3);
        append_second(1);
        list_init(&q.node);
        fetched = false;
        spool_sync(spool, &q);
        while (!fetched)
                run_for(1000);
        printf(", the first reading durable after %.0f ms\n", (seconds() - began) * 1e3);
}

int main(int argc, char **argv)
{
        const char *where = getenv("SPOOL_FIELD_DIR");
        struct temp_dir dir;

        if (argc < 2)
                return 2;
        temp_dir_init_in(&dir, where ? where : "/tmp", "spool_field");
        temp_dir_path(&dir, "spool.db", path);
        log_init(LOG_ERROR);
        rt_sim_init(&sim, 1, 1795428000000000);
        conf = (struct spool_conf){.path = path,
                                   .max_size_bytes = 1u << 30,
                                   .commit_interval_us = 1000000,
                                   .keep_delivered_us = 3600000000,
                                   .batch_rows = 20000,
                                   .batch_bytes = 1 << 20,
                                   .quarantine_bytes = 1 << 20};
        spool_fetch_init(&fetch, SPOOL_SAMPLES, 2000, 4 << 20);
        decimal_values = getenv("SPOOL_FIELD_VALUES") && !strcmp(getenv("SPOOL_FIELD_VALUES"), "decimal");
        if (!strcmp(argv[1], "outage")) {
                conf.when_full = argc > 3 && !strcmp(argv[3], "thin") ? SPOOL_THIN : SPOOL_DROP_OLDEST;
                outage(argc > 2 ? atof(argv[2]) : 7);
        } else if (!strcmp(argv[1], "hour"))
                hour(argc > 2 ? atof(argv[2]) : 1, argc > 3 ? atof(argv[3]) : 3600);
        else if (!strcmp(argv[1], "rate") && argc > 4)
                rate(atoi(argv[2]), atof(argv[3]), atof(argv[4]), argc > 5 ? atof(argv[5]) : 600);
        else if (!strcmp(argv[1], "flash"))
                flash(argc > 2 ? atof(argv[2]) : 800);
        else
                open_large(argc > 2 ? atof(argv[2]) : 5);
        rt_sim_cut(&sim);
        spool_abandon(spool);
        tags_free(tags);
        temp_dir_fini(&dir);
        return 0;
}
