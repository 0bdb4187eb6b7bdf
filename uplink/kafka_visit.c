/*
 * kafka_visit: see visit.h.
 *
 * One client, a consumer without a group: a group would have the cluster make
 * its topic of offsets.  Partitions are read from their ends, nothing is
 * committed, so the cluster remembers nothing of it.  It is made by the
 * function that the daemon's producer is made with: what it can reach, the
 * daemon can; only what a user may do is asked of Kafka when it is done.
 *
 * A topic that is made here is made so that nothing held for long is deleted or
 * refused when it arrives at last: its records' age counts from their arrival.
 *
 * Fails with a sentence; why a connection failed comes as events, of which the
 * last is kept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "uplink/kafka_impl.h"
#include "uplink/kafka_wait.h"
#include "uplink/visit.h"

enum { ASK_MS = 10000, DOWN_MS = 3000, MAKE_MS = 15000, POLL_MS = 100, PARTITIONS = 3, REPLICAS = 3 };

struct visit {
        struct kafka_setup setup;
        rd_kafka_t *rk;
        rd_kafka_queue_t *queue;
        rd_kafka_topic_t *topic;   /* of readings, when it is read */
        rd_kafka_queue_t *records; /* from its partitions, of which n_started are read */
        int n_started;
        bool live_first, down;
        char fault[256];
        char samples[256];
};

static int64_t mono_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the client ---- */

static int set(struct visit *v, const char *name, const char *value, struct err *e)
{
        char text[200];

        if (rd_kafka_conf_set(v->setup.conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
                return 0;
        return err_set(e, "kafka: property %s: %s", name, text);
}

static int make_client(struct visit *v, struct err *e)
{
        static const char *const settings[][2] = {
                {"allow.auto.create.topics", "false"}, {"fetch.wait.max.ms", "100"}, {"log_level", "0"}};
        rd_kafka_conf_t *conf;
        char text[400];

        for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
                if (set(v, settings[i][0], settings[i][1], e) < 0)
                        return -1;
        conf = rd_kafka_conf_dup(v->setup.conf);
        rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
        v->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
        if (!v->rk) {
                rd_kafka_conf_destroy(conf);
                return err_set(e, "kafka: %s", text);
        }
        kafka_wait_is_bound(); /* a clock that is set back only makes this one longer */
        v->queue = rd_kafka_queue_get_main(v->rk);
        return kafka_token_serve(v->rk, &v->setup, e);
}

struct visit *visit_open(const struct kafka_conf *conf, const char *gateway, struct err *e)
{
        struct visit *v = mem_alloc(sizeof(*v));

        v->live_first = conf->live_first;
        snprintf(v->samples, sizeof(v->samples), "%s", conf->samples_topic);
        if (kafka_setup_fill(&v->setup, conf, gateway, e) == 0 && kafka_setup_complete(&v->setup, conf, e) == 0 &&
            make_client(v, e) == 0)
                return v;
        visit_close(v);
        return NULL;
}

static void stop_reading(struct visit *v)
{
        for (int i = 0; i < v->n_started; i++)
                rd_kafka_consume_stop(v->topic, i);
        v->n_started = 0;
        if (v->records)
                rd_kafka_queue_destroy(v->records);
        v->records = NULL;
        if (v->topic)
                rd_kafka_topic_destroy(v->topic);
        v->topic = NULL;
}

void visit_close(struct visit *v)
{
        if (!v)
                return;
        stop_reading(v);
        if (v->rk) {
                rd_kafka_queue_destroy(v->queue);
                rd_kafka_destroy(v->rk);
        }
        kafka_setup_fini(&v->setup);
        free(v);
}

/* Trying for longer changes nothing. */
static bool is_refused(const struct visit *v)
{
        return !strncmp(v->fault, "Kafka refuses", 13) || !strncmp(v->fault, "no token", 8);
}

/* What librdkafka has to say since; the newest that says why is kept. */
static void hear(struct visit *v)
{
        rd_kafka_event_t *ev;
        char *after; /* how long each try took is nothing for a person */

        while ((ev = rd_kafka_queue_poll(v->queue, 0))) {
                rd_kafka_resp_err_t err = rd_kafka_event_error(ev);
                const char *words = rd_kafka_event_error_string(ev);

                if (err == RD_KAFKA_RESP_ERR__AUTHENTICATION || err == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED)
                        kafka_refused_words(&v->setup, words, v->fault, sizeof(v->fault));
                else if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
                        v->down = true;
                else if (!is_refused(v))
                        kafka_connection_words(&v->setup, words, v->fault, sizeof(v->fault));
                rd_kafka_event_destroy(ev);
        }
        after = strstr(v->fault, " (after ");
        if (after)
                *after = '\0';
}

/* ---- looking ---- */

/*
 * Short rounds, so that a login that is refused is told at once and not at the
 * end, and so is a port where nobody listens.
 */
static const struct rd_kafka_metadata *ask_metadata(struct visit *v, struct err *e)
{
        const struct rd_kafka_metadata *m;
        int64_t begin_ms = mono_ms(), spent_ms = 0;
        rd_kafka_resp_err_t err;

        v->fault[0] = '\0';
        v->down = false;
        do {
                err = rd_kafka_metadata(v->rk, 1, NULL, &m, 1000);
                if (!err)
                        return m;
                hear(v);
                spent_ms = mono_ms() - begin_ms;
        } while (spent_ms < (v->down ? DOWN_MS : ASK_MS) && !is_refused(v));
        err_set(e, "%s", v->fault[0] ? v->fault : rd_kafka_err2str(err));
        return NULL;
}

/* Raw payloads and the backlog have topics that not every gateway needs. */
static bool is_needed(const struct visit *v, int topic)
{
        return topic < SINK_BACKFILL || (topic == SINK_BACKFILL && v->live_first);
}

static bool has_topic(const struct rd_kafka_metadata *m, const char *name)
{
        for (int i = 0; i < m->topic_cnt; i++)
                if (strcmp(m->topics[i].topic, name) == 0)
                        return !m->topics[i].err || m->topics[i].partition_cnt > 0;
        return false;
}

int visit_look(struct visit *v, struct visit_seen *seen, struct err *e)
{
        const struct rd_kafka_metadata *m = ask_metadata(v, e);

        if (!m)
                return -1;
        *seen = (struct visit_seen){.n_brokers = m->broker_cnt};
        for (int i = 0; i < m->broker_cnt && i < VISIT_BROKERS_MAX; i++) {
                snprintf(seen->broker[i].host, sizeof(seen->broker[i].host), "%s", m->brokers[i].host);
                seen->broker[i].port = m->brokers[i].port;
        }
        for (int i = 0; i < VISIT_TOPICS; i++) {
                seen->missing[i] = is_needed(v, i) && !has_topic(m, v->setup.topic_name[i]);
                seen->n_missing += seen->missing[i];
        }
        rd_kafka_metadata_destroy(m);
        return 0;
}

/* ---- topics ---- */

static int replicas(const struct visit_seen *seen)
{
        return seen->n_brokers < REPLICAS ? seen->n_brokers : REPLICAS;
}

static const char *setting_of(int topic, const char **value)
{
        *value = topic == SINK_STATUS ? "compact" : "LogAppendTime";
        return topic == SINK_STATUS ? "cleanup.policy" : "message.timestamp.type";
}

const char *visit_topic(const struct visit *v, int topic)
{
        return v->setup.topic_name[topic];
}

void visit_command(const struct visit *v, const struct visit_seen *seen, int topic, char out[VISIT_COMMAND_ROOM])
{
        const char *value, *name = setting_of(topic, &value);

        snprintf(out, VISIT_COMMAND_ROOM,
                 "kafka-topics.sh --bootstrap-server %.100s:%d --create --topic %.100s --partitions %d "
                 "--replication-factor %d --config %s=%s",
                 seen->broker[0].host, seen->broker[0].port, v->setup.topic_name[topic], PARTITIONS, replicas(seen),
                 name, value);
}

static int take_made(rd_kafka_event_t *ev, void (*on_fault)(void *ctx, const char *text), void *ctx)
{
        const rd_kafka_topic_result_t **results;
        char text[400];
        size_t n;
        int n_bad = 0;

        results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
        for (size_t i = 0; i < n; i++) {
                rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[i]);
                const char *words = rd_kafka_topic_result_error_string(results[i]);

                if (!err || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
                        continue;
                snprintf(text, sizeof(text), "topic %.100s could not be made: %.250s",
                         rd_kafka_topic_result_name(results[i]), words ? words : rd_kafka_err2str(err));
                on_fault(ctx, text);
                n_bad++;
        }
        return n_bad;
}

static int wait_for_made(rd_kafka_queue_t *queue, int n, void (*on_fault)(void *ctx, const char *text), void *ctx)
{
        rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, 2 * MAKE_MS);
        char text[300];

        if (ev && !rd_kafka_event_error(ev)) {
                n = take_made(ev, on_fault, ctx);
        } else {
                snprintf(text, sizeof(text), "the topics could not be made: %.200s",
                         ev ? rd_kafka_event_error_string(ev) : "no answer");
                on_fault(ctx, text);
        }
        rd_kafka_event_destroy(ev);
        return n;
}

int visit_make(struct visit *v, const struct visit_seen *seen, void (*on_fault)(void *ctx, const char *text), void *ctx)
{
        rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(v->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_queue_t *queue = rd_kafka_queue_new(v->rk);
        rd_kafka_NewTopic_t *topics[VISIT_TOPICS];
        char text[200];
        int n = 0;

        rd_kafka_AdminOptions_set_request_timeout(options, MAKE_MS, text, sizeof(text));
        rd_kafka_AdminOptions_set_operation_timeout(options, MAKE_MS / 2, text, sizeof(text));
        for (int i = 0; i < VISIT_TOPICS; i++) {
                const char *value, *name = setting_of(i, &value);

                if (!seen->missing[i])
                        continue;
                topics[n] =
                        rd_kafka_NewTopic_new(v->setup.topic_name[i], PARTITIONS, replicas(seen), text, sizeof(text));
                if (!topics[n]) {
                        on_fault(ctx, text);
                        continue;
                }
                rd_kafka_NewTopic_set_config(topics[n++], name, value);
        }
        if (n) {
                rd_kafka_CreateTopics(v->rk, topics, (size_t)n, options, queue);
                rd_kafka_NewTopic_destroy_array(topics, (size_t)n);
                n = wait_for_made(queue, n, on_fault, ctx);
        }
        rd_kafka_queue_destroy(queue);
        rd_kafka_AdminOptions_destroy(options);
        return n;
}

/* ---- reading back ---- */

/* A topic that was just made has no leader for a moment. */
static bool start_partition(struct visit *v, int partition, int64_t until_ms)
{
        int64_t low, high;
        rd_kafka_resp_err_t err;

        do
                err = rd_kafka_query_watermark_offsets(v->rk, v->samples, partition, &low, &high, 2000);
        while (err && err != RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED && mono_ms() < until_ms);
        if (err || rd_kafka_consume_start_queue(v->topic, partition, high, v->records) != 0)
                return false;
        v->n_started++;
        return true;
}

static int partitions_of(struct visit *v, int64_t until_ms)
{
        const struct rd_kafka_metadata *m;
        int n = 0;

        while (n == 0 && mono_ms() < until_ms) {
                struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

                if (rd_kafka_metadata(v->rk, 0, v->topic, &m, 2000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
                        n = m->topic_cnt == 1 && !m->topics[0].err ? m->topics[0].partition_cnt : 0;
                        rd_kafka_metadata_destroy(m);
                }
                if (n == 0)
                        nanosleep(&pause, NULL);
        }
        return n;
}

int visit_mark(struct visit *v, struct err *e)
{
        int64_t until_ms = mono_ms() + ASK_MS;
        int n;

        stop_reading(v);
        v->topic = rd_kafka_topic_new(v->rk, v->samples, NULL);
        if (!v->topic)
                return err_set(e, "topic %.100s: %s", v->samples, rd_kafka_err2str(rd_kafka_last_error()));
        v->records = rd_kafka_queue_new(v->rk);
        n = partitions_of(v, until_ms);
        while (v->n_started < n && start_partition(v, v->n_started, until_ms))
                ;
        if (n > 0 && v->n_started == n)
                return 0;
        hear(v);
        return err_set(e, "topic %.100s can't be read: %.200s", v->samples,
                       n == 0      ? "it is not there, or this user may not see it"
                       : *v->fault ? v->fault
                                   : "this user has no right to, or its broker does not answer");
}

static bool is_ours(const rd_kafka_message_t *m, const char *gateway, size_t cap)
{
        size_t len = strlen(gateway);

        return !m->err && m->key_len > len && memcmp(m->key, gateway, len) == 0 && ((const char *)m->key)[len] == '/' &&
               m->len < cap;
}

bool visit_read(struct visit *v, const char *gateway, int wait_ms, char *out, size_t cap)
{
        int64_t until_ms = mono_ms() + wait_ms;
        bool found = false;

        do {
                rd_kafka_message_t *m = rd_kafka_consume_queue(v->records, POLL_MS);

                hear(v);
                if (!m)
                        continue;
                if (is_ours(m, gateway, cap)) {
                        memcpy(out, m->payload, m->len);
                        out[m->len] = '\0';
                        found = true;
                }
                rd_kafka_message_destroy(m);
        } while (!found && mono_ms() < until_ms);
        return found;
}
