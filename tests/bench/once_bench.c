/*
 * once_bench: what exactly once costs the throughput of the Kafka sink, beside the default, in one run: by turns, each
 * for SECONDS, ROUNDS times; records of 220 bytes, a window of 10,000 out, a transaction every COMMIT_MS.
 *
 *   once_bench BROKER [SECONDS [ROUNDS [COMMIT_MS]]]      BROKER: host:port, topic edge_samples_v1
 *
 * Not a test: it asserts nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/log.h"
#include "agent/rt_uv.h"
#include "uplink/uplink.h"

enum { WINDOW = 10000, TURN = 2000, ROUNDS_MAX = 50 };

static struct {
        struct rt *rt;
        struct sink *sink;
        struct rt_timer pump, due, over;
        bool exact, takes, ended;
        uint64_t sent, reported, counted; /* counted: delivered, and with transactions committed */
        uint64_t seq, n_commits;
        int64_t commit_us, asked_us, commits_us;
        double s; /* from the first record to the last that counts */
        int64_t from_us, to_us;
} B;

static int64_t now_us(void)
{
        return rt_mono_us(B.rt);
}

static void pump(void)
{
        static char value[220];
        char key[32];

        if (!B.takes || B.ended)
                return;
        for (int n = 0; n < TURN && B.sent - B.reported < WINDOW; n++, B.sent++) {
                struct sink_record rec = {.key = key,
                                          .value = value,
                                          .value_len = sizeof(value),
                                          .ts_ms = 1795428000123,
                                          .line = B.exact ? SINK_LINE_SAMPLES : SINK_BESIDE};

                memset(value, 'a' + (int)(B.sent % 26), sizeof(value));
                rec.key_len = (size_t)sprintf(key, "gw-7/press-%u", (unsigned)(B.sent % 100));
                if (B.sink->ops->produce(B.sink, &rec, NULL))
                        break;
        }
        if (B.exact && !rt_timer_armed(&B.due))
                rt_timer_set(B.rt, &B.due, B.commit_us);
        if (B.sent - B.reported < WINDOW)
                rt_timer_set(B.rt, &B.pump, 0);
}

static void on_pump(struct rt_timer *t)
{
        pump();
}

static void transact(enum txn_act act)
{
        struct sink_mark mark = {.epoch = 1, .last = ++B.seq};

        B.takes = false;
        B.asked_us = now_us();
        B.sink->ops->transact(B.sink, SINK_LINE_SAMPLES, act, &mark);
}

static void on_due(struct rt_timer *t)
{
        if (B.takes)
                transact(TXN_COMMIT);
}

/* The time is over: what is out is waited for. */
static void on_over(struct rt_timer *t)
{
        B.ended = true;
        if (B.exact && B.takes)
                transact(TXN_COMMIT);
}

static void end_when_all_is_in(void)
{
        if (!B.ended || B.counted != B.sent)
                return;
        B.to_us = now_us();
        rt_uv_stop(B.rt);
}

static void on_report(void *ctx, uint32_t opaque, enum sink_result result, const char *why)
{
        B.reported++;
        if (!B.exact)
                B.counted++;
}

static void on_reports_end(void *ctx)
{
        end_when_all_is_in();
        if (!B.ended && B.takes && !rt_timer_armed(&B.pump))
                rt_timer_set(B.rt, &B.pump, 0);
}

static void on_line(void *ctx, enum sink_line line, enum txn_event outcome, const struct sink_mark *mark,
                    const char *why)
{
        if (outcome != TXN_DONE) {
                fprintf(stderr, "%s\n", why);
                exit(1);
        }
        if (B.from_us) {
                B.n_commits++;
                B.commits_us += now_us() - B.asked_us;
                B.counted = B.sent;
        } else {
                B.from_us = now_us();
        }
        B.takes = true;
        end_when_all_is_in();
        pump();
}

static void on_closed(void *ctx)
{
        rt_uv_stop(B.rt);
}

static double run(const char *broker, bool exact, int seconds, double *commit_ms)
{
        const char *brokers[] = {broker};
        struct kafka_conf conf = {.brokers = {brokers, 1},
                                  .delivery = exact ? KAFKA_EXACTLY_ONCE : KAFKA_AT_LEAST_ONCE,
                                  .compression = 3,
                                  .linger_us = 5000,
                                  .window_records = WINDOW,
                                  .window_bytes = 6291456,
                                  .samples_topic = "edge_samples_v1",
                                  .events_topic = "edge_events_v1",
                                  .status_topic = "edge_status_v1",
                                  .backfill_topic = "edge_backfill_v1",
                                  .raw_topic = "edge_raw_v1"};
        struct err e;

        B.exact = exact;
        B.takes = !exact;
        B.ended = false;
        B.sent = B.reported = B.counted = B.n_commits = 0;
        B.commits_us = B.from_us = 0;
        B.sink = kafka_sink_open(B.rt, &conf, "gw-bench", &e);
        if (!B.sink) {
                fprintf(stderr, "%s\n", e.text);
                exit(1);
        }
        B.sink->up =
                (struct sink_upcalls){.on_report = on_report, .on_reports_end = on_reports_end, .on_line = on_line};
        if (exact)
                transact(TXN_START);
        else
                B.from_us = now_us();
        rt_timer_set(B.rt, &B.pump, 0);
        rt_timer_set(B.rt, &B.over, seconds * INT64_C(1000000));
        rt_uv_run(B.rt);
        B.s = (double)(B.to_us - B.from_us) / 1e6;
        *commit_ms = B.n_commits ? (double)B.commits_us / 1e3 / (double)B.n_commits : 0;
        rt_timer_cancel(B.rt, &B.due);
        rt_timer_cancel(B.rt, &B.pump);
        B.sink->ops->close(B.sink, on_closed, NULL);
        rt_uv_run(B.rt);
        kafka_sink_close(B.sink);
        return (double)B.counted / B.s;
}

static int by_size(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
        int seconds = argc > 2 ? atoi(argv[2]) : 10, rounds = argc > 3 ? atoi(argv[3]) : 5;
        double rate[2][ROUNDS_MAX], ratio[ROUNDS_MAX], commit_ms;

        if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX) {
                fprintf(stderr, "once_bench BROKER [SECONDS [ROUNDS [COMMIT_MS]]]\n");
                return 1;
        }
        log_init(LOG_ERROR);
        B.rt = rt_uv_new();
        B.commit_us = (argc > 4 ? atoi(argv[4]) : 1000) * INT64_C(1000);
        B.pump.on_due = on_pump;
        B.due.on_due = on_due;
        B.over.on_due = on_over;
        B.seq = 1;
        for (int i = 0; i < rounds; i++) {
                for (int turn = 0; turn < 2; turn++) {
                        int exact = turn ^ (i & 1); /* neither is always the first */

                        rate[exact][i] = run(argv[1], exact, seconds, &commit_ms);
                        printf("%-13s %8.0f records/s", exact ? "exactly_once" : "at_least_once", rate[exact][i]);
                        printf(exact ? ", a commit %.1f ms\n" : "\n", commit_ms);
                        fflush(stdout);
                }
                ratio[i] = rate[1][i] / rate[0][i];
        }
        qsort(rate[0], (size_t)rounds, sizeof(double), by_size);
        qsort(rate[1], (size_t)rounds, sizeof(double), by_size);
        qsort(ratio, (size_t)rounds, sizeof(double), by_size);
        printf("medians: at_least_once %.0f/s, exactly_once %.0f/s; of each pair %.1f %% less\n", rate[0][rounds / 2],
               rate[1][rounds / 2], 100 * (1 - ratio[rounds / 2]));
        rt_uv_free(B.rt);
        return 0;
}
