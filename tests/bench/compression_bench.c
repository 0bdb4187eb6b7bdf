/*
 * compression_bench: what a codec makes of real records on their way to Kafka: bytes on the wire and CPU time of each
 * record, in batches of so many.  Through the sink as the agent has it and librdkafka's mock cluster in this process,
 * which never unpacks a batch; so what differs between two codecs is the producer's work.  For instructions run it
 * under `valgrind --tool=callgrind` (tests/bench/compression does).  Not a test: it asserts nothing.
 *
 * The bytes are what the kernel sent on the busiest connection, Kafka's own around the batch included.
 *
 * usage: compression_bench RECORDS CODEC BATCH N       RECORDS: one a line, as `millrace spool export --json` prints;
 *        from its beginning again when it has fewer than N; CODEC: as kafka.compression, or zstd:1 for another level
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/rt_uv.h"
#include "uplink/uplink.h"

enum { FILES = 256 };

static struct {
        struct rt *rt;
        struct sink *sink;
        struct rt_timer pump;
        FILE *from;
        unsigned batch, n, sent, reported;
        uint64_t bytes;
} B;

static double cpu_s(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The next record without its newline. */
static size_t next_record(char *line, size_t cap)
{
        size_t n;

        while (!fgets(line, (int)cap, B.from)) {
                if (!ftell(B.from))
                        exit(1);
                rewind(B.from);
        }
        n = strcspn(line, "\n");
        B.bytes += n;
        return n;
}

/* A batch, when the last one has arrived: with one key, so that it is one. */
static void on_pump(struct rt_timer *t)
{
        static char line[65536];
        struct sink_record rec = {.key = "gw/press-1", .key_len = 10, .value = line, .ts_ms = 1795428000123};

        for (unsigned i = 0; i < B.batch && B.sent < B.n; i++, B.sent++) {
                rec.value_len = next_record(line, sizeof(line));
                if (B.sink->ops->produce(B.sink, &rec, NULL))
                        exit(1);
        }
}

static void on_report(void *ctx, uint32_t opaque, enum sink_result result, const char *why)
{
        B.reported++;
}

static void on_end(void *ctx)
{
        if (B.reported == B.n)
                rt_uv_stop(B.rt);
        else if (B.reported == B.sent)
                rt_timer_set(B.rt, &B.pump, 0);
}

static void on_state(void *ctx, bool up, const char *why)
{
}

static void on_closed(void *ctx)
{
        rt_uv_stop(B.rt);
}

/* Of all connections of this process, the mock's ends among them: the producer's is the one that sends most. */
static uint64_t sent_bytes(void)
{
        uint64_t most = 0;

        for (int fd = 0; fd < FILES; fd++) {
                struct tcp_info info = {0};
                socklen_t len = sizeof(info);

                if (!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) && info.tcpi_bytes_acked > most)
                        most = info.tcpi_bytes_acked;
        }
        return most;
}

/* zstd, zstd:1: the number of the configuration's list, and librdkafka's property for the level. */
static int codec_of(const char *name, char *level)
{
        static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
        size_t len = strcspn(name, ":");

        sprintf(level, "compression.level=%d", name[len] ? atoi(name + len + 1) : -1);
        for (int i = 0; i < 5; i++)
                if (strlen(names[i]) == len && !memcmp(name, names[i], len))
                        return i;
        fprintf(stderr, "no codec: %s\n", name);
        exit(1);
}

int main(int argc, char **argv)
{
        char level[64];
        const char *brokers[] = {"mock:1"}, *properties[] = {"test.mock.num.brokers=1", level};
        struct kafka_conf conf = {.brokers = {brokers, 1},
                                  .linger_us = 1000000,
                                  .window_bytes = 6291456,
                                  .samples_topic = "edge_samples_v1",
                                  .events_topic = "edge_events_v1",
                                  .status_topic = "edge_status_v1",
                                  .backfill_topic = "edge_backfill_v1",
                                  .raw_topic = "edge_raw_v1",
                                  .properties = {properties, 2}};
        struct err e;
        double cpu;

        if (argc != 5 || !(B.from = fopen(argv[1], "r")))
                return fprintf(stderr, "usage: compression_bench RECORDS CODEC BATCH N\n"), 1;
        conf.compression = codec_of(argv[2], level);
        B.batch = (unsigned)atoi(argv[3]);
        B.n = (unsigned)atoi(argv[4]);
        conf.window_records = (int64_t)B.batch * 10; /* a tenth of it is the most of a batch, which then goes at once */
        B.rt = rt_uv_new();
        B.sink = kafka_sink_open(B.rt, &conf, "gw", &e);
        if (!B.sink)
                return fprintf(stderr, "%s\n", e.text), 1;
        B.sink->up = (struct sink_upcalls){on_report, on_end, on_state, NULL};
        B.pump.on_due = on_pump;
        rt_timer_set(B.rt, &B.pump, 0);
        cpu = cpu_s();
        rt_uv_run(B.rt);
        cpu = cpu_s() - cpu;
        printf("%s %u: %.1f bytes of %.1f, %.0f ns\n", argv[2], B.batch, (double)sent_bytes() / B.n,
               (double)B.bytes / B.n, cpu * 1e9 / B.n);
        B.sink->ops->close(B.sink, on_closed, NULL);
        rt_uv_run(B.rt);
        kafka_sink_close(B.sink);
        rt_uv_free(B.rt);
        fclose(B.from);
        return 0;
}
