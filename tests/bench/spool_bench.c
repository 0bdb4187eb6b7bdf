/*
 * spool_bench: CPU time and bytes per reading through the spool, append to trim, on one thread.
 *
 *   spool_bench DIR [READINGS [BATCH [TAGS [HELD]]]]
 *
 * HELD rows are there before, and stay as many: what is measured puts a row behind them and delivers the oldest.  Those
 * that DIR has from an earlier run count, so that valgrind need not see them come.
 *
 * The simulator's runtime runs every commit and fetch in line, so getrusage counts all of it.  Bytes are what the
 * process handed to storage (/proc/self/io write_bytes), so DIR should not be on a tmpfs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "agent/base/rt_sim.h"
#include "store/spool.h"

static struct {
        struct rt_sim sim;
        struct spool *spool;
        struct spool_sync sync;
        struct spool_fetch fetch;
        bool durable, fetched;
        uint32_t n_tags;
        uint64_t acked;
} bench;

static void on_durable(struct spool_sync *q)
{
        bench.durable = true;
}

static void on_rows(struct spool_fetch *f)
{
        bench.fetched = true;
}

static double cpu_s(void)
{
        struct rusage u;

        getrusage(RUSAGE_SELF, &u);
        return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double wall_s(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t from_proc(const char *file, const char *key)
{
        char line[256];
        uint64_t v = 0;
        FILE *f = fopen(file, "r");

        while (f && fgets(line, sizeof(line), f))
                if (!strncmp(line, key, strlen(key)))
                        v = strtoull(line + strlen(key), NULL, 10);
        if (f)
                fclose(f);
        return v;
}

static void run_until(const bool *flag)
{
        while (!*flag)
                rt_sim_run(&bench.sim, bench.sim.now.mono_us + 1000, NULL, NULL);
}

static void append(uint32_t i)
{
        struct reading r = {.ts_us = bench.sim.now.wall_us + i, .tag = i % bench.n_tags, .type = READING_F64};

        r.arrival_us = r.ts_us;
        r.mid = (uint16_t)(i & 0x7fff);
        r.v.f64 = 71.3 + (double)i;
        spool_append(bench.spool, &r);
}

static void put(uint32_t first, uint32_t n, double *append_s)
{
        double start = wall_s();

        for (uint32_t i = 0; i < n; i++)
                append(first + i);
        *append_s += wall_s() - start;
        bench.durable = false;
        spool_sync(bench.spool, &bench.sync);
        run_until(&bench.durable);
}

static void deliver(void)
{
        bench.fetched = false;
        bench.fetch.after_seq = bench.acked;
        spool_fetch(bench.spool, &bench.fetch);
        run_until(&bench.fetched);
        bench.acked += bench.fetch.n_rows;
        spool_ack(bench.spool, SPOOL_SAMPLES, bench.acked);
}

static void fill(uint64_t held)
{
        struct spool_counts c;
        double unused = 0;

        for (spool_counts(bench.spool, &c); c.held < held; spool_counts(bench.spool, &c))
                put((uint32_t)c.accepted, (uint32_t)(held - c.held < 10000 ? held - c.held : 10000), &unused);
        bench.acked = c.accepted - c.held;
}

static int open_all(const char *path, uint32_t batch, struct tags *tags)
{
        struct spool_conf conf = {.path = path,
                                  .max_size_bytes = 1 << 30,
                                  .commit_interval_us = 1000000,
                                  .batch_rows = (batch > 10000 ? batch : 10000) + 1,
                                  .batch_bytes = 1 << 20,
                                  .quarantine_bytes = 1 << 20};
        struct err e = {{0}};
        uint32_t at;
        char name[32];

        if (spool_open(&bench.spool, &bench.sim.rt, &conf, "gw-7", tags, NULL, &e) < 0) {
                fprintf(stderr, "%s\n", e.text);
                return -1;
        }
        for (uint32_t i = 0; i < bench.n_tags; i++) {
                snprintf(name, sizeof(name), "tag-%u", i);
                tags_intern(tags, "press-1", name, "degC", "", "sim", &at);
        }
        spool_fetch_init(&bench.fetch, SPOOL_SAMPLES, batch, 1 << 20);
        bench.fetch.on_rows = on_rows;
        bench.sync.on_durable = on_durable;
        list_init(&bench.sync.node);
        return 0;
}

static uint32_t number(int argc, char **argv, int i, uint32_t otherwise)
{
        return argc > i ? (uint32_t)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
        uint32_t n = number(argc, argv, 2, 1000000), batch = number(argc, argv, 3, 1000);
        double cpu, wall, append_s = 0;
        struct spool_counts c;
        uint64_t wrote, idle;
        struct tags *tags;
        char path[4000];

        if (argc < 2) {
                fprintf(stderr, "usage: spool_bench DIR [READINGS [BATCH [TAGS [HELD]]]]\n");
                return 2;
        }
        bench.n_tags = number(argc, argv, 4, 1000);
        tags = tags_new(bench.n_tags);
        snprintf(path, sizeof(path), "%s/spool_bench.db", argv[1]);
        rt_sim_init(&bench.sim, 1, 1795428000000000);
        idle = from_proc("/proc/self/status", "VmRSS:");
        if (open_all(path, batch, tags) < 0)
                return 1;
        printf("memory of an open spool: %" PRIu64 " KiB\n", from_proc("/proc/self/status", "VmRSS:") - idle);
        fill(number(argc, argv, 5, 0));
        cpu = cpu_s();
        wall = wall_s();
        wrote = from_proc("/proc/self/io", "write_bytes:");
        for (uint32_t i = 0; i + batch <= n; i += batch) {
                put(i, batch, &append_s);
                deliver();
        }
        cpu = cpu_s() - cpu;
        wall = wall_s() - wall;
        wrote = from_proc("/proc/self/io", "write_bytes:") - wrote;
        spool_counts(bench.spool, &c);
        printf("readings %u, batches of %u: %.3f us CPU per reading (append alone %.0f ns), %.1f s wall, %.1f bytes "
               "written per "
               "reading; spool %" PRIu64 " bytes, RSS +%" PRIu64 " KiB; delivered %" PRIu64 " held %" PRIu64 "\n",
               n, batch, cpu / n * 1e6, append_s / n * 1e9, wall, (double)wrote / n, c.spool_bytes,
               from_proc("/proc/self/status", "VmRSS:") - idle, c.delivered, c.held);
        rt_sim_cut(&bench.sim);
        return spool_close(bench.spool) ? 0 : 1;
}
