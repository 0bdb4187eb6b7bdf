/*
 * kafka_bench: what the Kafka sink costs the loop thread for one record, in ns of its CPU time: produce, and the
 * report. 1,000,000 records of 220 bytes in windows of 10,000, to BROKER (host:port, topic edge_samples_v1), or without
 * an argument to librdkafka's mock cluster, which keeps all in memory.  Not a test: it asserts nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/rt_uv.h"
#include "uplink/uplink.h"

enum { RECORDS = 1000000, WINDOW = 10000 };

static struct {
        struct rt *rt;
        struct sink *sink;
        struct rt_timer pump;
        unsigned sent, reported;
        double produce_s;
} B;

static double now_s(clockid_t clock)
{
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_pump(struct rt_timer *t)
{
        static char value[220];
        char key[32];
        double from = now_s(CLOCK_THREAD_CPUTIME_ID);

        for (int n = 0; n < 2000 && B.sent < RECORDS && B.sent - B.reported < WINDOW; n++, B.sent++) {
                struct sink_record rec = {
                        .key = key, .value = value, .value_len = sizeof(value), .ts_ms = 1795428000123};

                memset(value, 'a' + (int)(B.sent % 26), sizeof(value));
                rec.key_len = (size_t)sprintf(key, "gw-7/press-%u", B.sent % 100);
                if (B.sink->ops->produce(B.sink, &rec, NULL))
                        break;
        }
        B.produce_s += now_s(CLOCK_THREAD_CPUTIME_ID) - from;
        if (B.sent < RECORDS && B.sent - B.reported < WINDOW)
                rt_timer_set(B.rt, &B.pump, 0);
}

static void on_report(void *ctx, uint32_t opaque, enum sink_result result, const char *why)
{
        B.reported++;
}

static void on_end(void *ctx)
{
        if (B.reported == RECORDS)
                rt_uv_stop(B.rt);
        else
                rt_timer_set(B.rt, &B.pump, 0);
}

static void on_state(void *ctx, bool up, const char *why)
{
        fprintf(stderr, "%s\n", why);
}

static void on_closed(void *ctx)
{
        rt_uv_stop(B.rt);
}

int main(int argc, char **argv)
{
        const char *brokers[] = {argc > 1 ? argv[1] : "mock:1"}, *mock[] = {"test.mock.num.brokers=1"};
        struct kafka_conf conf = {.brokers = {brokers, 1},
                                  .compression = 3,
                                  .linger_us = 50000,
                                  .window_records = WINDOW,
                                  .window_bytes = 6291456,
                                  .samples_topic = "edge_samples_v1",
                                  .events_topic = "edge_events_v1",
                                  .status_topic = "edge_status_v1",
                                  .backfill_topic = "edge_backfill_v1",
                                  .raw_topic = "edge_raw_v1",
                                  .properties = {mock, argc < 2}};
        double wall_s, cpu_s, all_s;
        struct err e;

        B.rt = rt_uv_new();
        B.sink = kafka_sink_open(B.rt, &conf, "gw-7", &e);
        if (!B.sink) {
                fprintf(stderr, "%s\n", e.text);
                return 1;
        }
        B.sink->up = (struct sink_upcalls){on_report, on_end, on_state, NULL};
        B.pump.on_due = on_pump;
        rt_timer_set(B.rt, &B.pump, 0);
        wall_s = now_s(CLOCK_MONOTONIC);
        cpu_s = now_s(CLOCK_THREAD_CPUTIME_ID);
        all_s = now_s(CLOCK_PROCESS_CPUTIME_ID);
        rt_uv_run(B.rt);
        wall_s = now_s(CLOCK_MONOTONIC) - wall_s;
        cpu_s = now_s(CLOCK_THREAD_CPUTIME_ID) - cpu_s;
        all_s = now_s(CLOCK_PROCESS_CPUTIME_ID) - all_s;
        printf("%.0f records/s; loop thread %.0f ns per record (produce %.0f), all threads %.0f ns\n", RECORDS / wall_s,
               cpu_s * 1e9 / RECORDS, B.produce_s * 1e9 / RECORDS, all_s * 1e9 / RECORDS);
        B.sink->ops->close(B.sink, on_closed, NULL);
        rt_uv_run(B.rt);
        kafka_sink_close(B.sink);
        rt_uv_free(B.rt);
        return 0;
}
