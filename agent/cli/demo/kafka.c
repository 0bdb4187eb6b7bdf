/*
 * kafka: librdkafka's mock cluster and a consumer in one child process.
 *
 * The consumer is assigned all partitions by hand: no group, nothing committed,
 * nothing left behind on a real cluster. Distinct records are counted by seq
 * (the demo's spool is new, so they run from 1) in a bitmap; a second sighting
 * is a double.  On a cluster of yours it reads from the end of the topic;
 * records of other gateways are skipped by their key.
 *
 * Fails with one line "failed WHY" on its output and exit status 1.
 */
#include "agent/cli/demo/kafka.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/err.h"

enum { PARTITIONS = 4, REPORT_EVERY_MS = 250, METADATA_WITHIN_MS = 2000, SEQ_MAX = 1 << 28, RECORD_MAX = 2000 };

struct kafka {
        rd_kafka_t *host, *consumer;
        rd_kafka_mock_cluster_t *cluster; /* NULL: somebody else's */
        const char *brokers, *topic, *key_prefix;
        int in, out;
        bool assigned;
        unsigned char *seen; /* a bit per seq */
        size_t seen_bytes;
        uint64_t distinct, twice;
        char last[RECORD_MAX];
        int64_t reported_ms;
};

static void say(struct kafka *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct kafka *k, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        vdprintf(k->out, fmt, args);
        va_end(args);
}

_Noreturn static void fail(struct kafka *k, const char *what, const char *why)
{
        say(k, "failed %s: %s\n", what, why);
        _exit(1);
}

static int64_t mono_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static rd_kafka_t *client(struct kafka *k, rd_kafka_type_t type, const char *const *settings)
{
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        char why[256];
        rd_kafka_t *rk;

        for (; *settings; settings += 2)
                if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof(why)) != RD_KAFKA_CONF_OK)
                        fail(k, settings[0], why);
        rk = rd_kafka_new(type, conf, why, sizeof(why));
        if (!rk)
                fail(k, "librdkafka", why);
        return rk;
}

static void open_cluster(struct kafka *k)
{
        static const char *const settings[] = {"client.id", "demo-cluster", "log_level", "0", NULL};

        k->host = client(k, RD_KAFKA_PRODUCER, settings);
        k->cluster = rd_kafka_mock_cluster_new(k->host, 1);
        if (!k->cluster)
                fail(k, "the mock cluster", "it could not be started");
        rd_kafka_mock_topic_create(k->cluster, k->topic, PARTITIONS, 1);
        k->brokers = rd_kafka_mock_cluster_bootstraps(k->cluster);
}

static void open_consumer(struct kafka *k)
{
        const char *const settings[] = {"bootstrap.servers",
                                        k->brokers,
                                        "group.id",
                                        "millrace-demo",
                                        "enable.auto.commit",
                                        "false",
                                        "fetch.wait.max.ms",
                                        "100",
                                        "reconnect.backoff.max.ms",
                                        "500",
                                        "allow.auto.create.topics",
                                        "false",
                                        "log_level",
                                        "0",
                                        NULL};

        k->consumer = client(k, RD_KAFKA_CONSUMER, settings);
        rd_kafka_poll_set_consumer(k->consumer);
}

/* Assigns all partitions as soon as the topic has some. */
static void try_assign(struct kafka *k)
{
        rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(PARTITIONS);
        rd_kafka_topic_t *topic = rd_kafka_topic_new(k->consumer, k->topic, NULL);
        const struct rd_kafka_metadata *m;

        if (topic && rd_kafka_metadata(k->consumer, 0, topic, &m, METADATA_WITHIN_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
                for (int i = 0; m->topic_cnt == 1 && i < m->topics[0].partition_cnt; i++)
                        rd_kafka_topic_partition_list_add(all, k->topic, m->topics[0].partitions[i].id)->offset =
                                k->cluster ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
                k->assigned = all->cnt > 0 && rd_kafka_assign(k->consumer, all) == RD_KAFKA_RESP_ERR_NO_ERROR;
                rd_kafka_metadata_destroy(m);
        }
        if (topic)
                rd_kafka_topic_destroy(topic);
        rd_kafka_topic_partition_list_destroy(all);
}

static void count(struct kafka *k, uint64_t seq)
{
        size_t byte = (size_t)(seq / 8);
        unsigned char bit = (unsigned char)(1u << (seq % 8));

        if (byte >= k->seen_bytes) {
                size_t grown = 2 * byte + 4096;

                k->seen = mem_grow(k->seen, grown, 1);
                memset(k->seen + k->seen_bytes, 0, grown - k->seen_bytes);
                k->seen_bytes = grown;
        }
        if (k->seen[byte] & bit)
                k->twice++;
        else
                k->distinct++;
        k->seen[byte] |= bit;
}

static void take(struct kafka *k, const rd_kafka_message_t *m)
{
        static const char mark[] = "\"seq\":";
        size_t prefix = strlen(k->key_prefix);
        const char *at;
        uint64_t seq;

        if (m->err || m->key_len < prefix || memcmp(m->key, k->key_prefix, prefix) != 0 || m->len >= sizeof(k->last))
                return;
        memcpy(k->last, m->payload, m->len);
        k->last[m->len] = '\0';
        at = strstr(k->last, mark);
        seq = at ? strtoull(at + sizeof(mark) - 1, NULL, 10) : 0;
        if (seq > 0 && seq < SEQ_MAX)
                count(k, seq);
}

static void report(struct kafka *k)
{
        int64_t now = mono_ms();

        if (now - k->reported_ms < REPORT_EVERY_MS)
                return;
        k->reported_ms = now;
        say(k, "n %" PRIu64 " %" PRIu64 " %s\n", k->distinct, k->twice, k->last);
}

/* False at the end of the input. */
static bool obey(struct kafka *k)
{
        struct pollfd p = {.fd = k->in, .events = POLLIN};
        char words[64];
        ssize_t n;

        if (poll(&p, 1, 0) <= 0)
                return true;
        n = read(k->in, words, sizeof(words) - 1);
        if (n <= 0)
                return false;
        words[n] = '\0';
        if (k->cluster && strstr(words, "down"))
                rd_kafka_mock_broker_set_down(k->cluster, 1);
        if (k->cluster && strstr(words, "up"))
                rd_kafka_mock_broker_set_up(k->cluster, 1);
        return true;
}

_Noreturn void demo_kafka_run(int in, int out, const char *brokers, const char *topic, const char *key_prefix)
{
        struct kafka k = {.in = in, .out = out, .brokers = brokers, .topic = topic, .key_prefix = key_prefix};

        if (!brokers)
                open_cluster(&k);
        open_consumer(&k);
        try_assign(&k);
        say(&k, "ready %s\n", k.brokers);
        while (obey(&k)) {
                rd_kafka_message_t *m = rd_kafka_consumer_poll(k.consumer, 50);

                if (!k.assigned)
                        try_assign(&k);
                while (m) {
                        take(&k, m);
                        rd_kafka_message_destroy(m);
                        m = rd_kafka_consumer_poll(k.consumer, 0);
                }
                report(&k);
        }
        _exit(0);
}
