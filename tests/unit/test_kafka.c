/*
 * The Kafka sink against librdkafka's mock cluster, which runs in this process and speaks the protocol over real
 * sockets. Every wait is bounded: the loop ends when a condition holds, or the test fails.
 */
#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/rt_uv.h"
#include "uplink/outstanding.h"
#include "uplink/uplink.h"

enum { MOST = 10000, LIMIT_US = 30000000 };

enum { API_PRODUCE = 0 };

struct fixture {
        rd_kafka_t *host;
        rd_kafka_mock_cluster_t *cluster;
        struct rt *rt;
        struct kafka_conf conf;
        const char *brokers[1], *properties[8], *secrets[4];
        struct sink *sink;
        struct rt_timer limit, poll;
        bool (*until)(struct fixture *f);
        bool timed_out, closed;
        uint8_t reports[MOST];
        enum sink_result result[MOST];
        unsigned n_reports, n_ends, n_of[3], want;
        uint32_t patient;
        char why[256], state_words[256];
        int state, n_states; /* -1: not told */
        bool raw;            /* every fifth record is raw */
};

static void on_report(void *ctx, uint32_t opaque, enum sink_result result, const char *why)
{
        struct fixture *f = ctx;

        assert_true(opaque < MOST);
        f->reports[opaque]++;
        f->result[opaque] = result;
        f->n_reports++;
        f->n_of[result]++;
        if (why)
                snprintf(f->why, sizeof(f->why), "%s", why);
}

static void on_end(void *ctx)
{
        ((struct fixture *)ctx)->n_ends++;
}

static void on_state(void *ctx, bool up, const char *why)
{
        struct fixture *f = ctx;

        f->state = up;
        f->n_states++;
        snprintf(f->state_words, sizeof(f->state_words), "%s", why);
}

static void on_limit(struct rt_timer *t)
{
        struct fixture *f = list_entry(t, struct fixture, limit);

        f->timed_out = true;
        rt_uv_stop(f->rt);
}

static void on_poll(struct rt_timer *t)
{
        struct fixture *f = list_entry(t, struct fixture, poll);

        if (f->until(f))
                rt_uv_stop(f->rt);
        else
                rt_timer_set(f->rt, &f->poll, 2000);
}

static void run_until(struct fixture *f, bool (*until)(struct fixture *f))
{
        f->until = until;
        f->timed_out = false;
        rt_timer_set(f->rt, &f->limit, LIMIT_US);
        rt_timer_set(f->rt, &f->poll, 0);
        rt_uv_run(f->rt);
        rt_timer_cancel(f->rt, &f->limit);
        rt_timer_cancel(f->rt, &f->poll);
        assert_false(f->timed_out);
}

static bool all_reported(struct fixture *f)
{
        return f->n_reports >= f->want;
}

static bool is_closed(struct fixture *f)
{
        return f->closed;
}

static bool is_down(struct fixture *f)
{
        return f->state == 0;
}

static void on_closed(void *ctx)
{
        ((struct fixture *)ctx)->closed = true;
}

static void set_up(struct fixture *f)
{
        char text[256];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();

        memset(f, 0, sizeof(*f));
        f->state = -1;
        rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
        f->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
        assert_non_null(f->host);
        f->cluster = rd_kafka_mock_cluster_new(f->host, 1);
        rd_kafka_mock_topic_create(f->cluster, "samples", 4, 1);
        rd_kafka_mock_topic_create(f->cluster, "events", 1, 1);
        rd_kafka_mock_topic_create(f->cluster, "status", 1, 1);
        rd_kafka_mock_topic_create(f->cluster, "backfill", 1, 1);
        f->brokers[0] = rd_kafka_mock_cluster_bootstraps(f->cluster);
        f->conf = (struct kafka_conf){.brokers = {f->brokers, 1},
                                      .compression = 3,
                                      .linger_us = 5000,
                                      .window_records = MOST,
                                      .window_bytes = 6291456,
                                      .samples_topic = "samples",
                                      .events_topic = "events",
                                      .status_topic = "status",
                                      .backfill_topic = "backfill",
                                      .raw_topic = "raw"};
        f->limit.on_due = on_limit;
        f->poll.on_due = on_poll;
        f->rt = rt_uv_new();
}

static void open_sink(struct fixture *f)
{
        struct err e = {""};

        f->properties[f->conf.properties.n++] = "reconnect.backoff.ms=20";
        f->properties[f->conf.properties.n++] = "reconnect.backoff.max.ms=100";
        f->conf.properties.items = f->properties;
        f->sink = kafka_sink_open(f->rt, &f->conf, "gw-7", &e);
        if (!f->sink)
                fail_msg("%s", e.text);
        f->sink->up = (struct sink_upcalls){on_report, on_end, on_state, .ctx = f};
}

static void close_sink(struct fixture *f)
{
        f->sink->ops->close(f->sink, on_closed, f);
        run_until(f, is_closed);
        kafka_sink_close(f->sink);
        f->sink = NULL;
}

static void tear_down(struct fixture *f)
{
        if (f->sink)
                close_sink(f);
        rt_uv_free(f->rt);
        rd_kafka_mock_cluster_destroy(f->cluster);
        rd_kafka_destroy(f->host);
}

static int produce_sized(struct fixture *f, uint32_t opaque, size_t size, struct err *e)
{
        static char value[2000000];
        char key[32];
        int n = snprintf(value, sizeof(value), "{\"id\":\"gw-7:1:%u\"}", opaque);
        struct sink_record rec = {.topic = SINK_SAMPLES, .key = key, .value = value, .ts_ms = 1795428000123};

        if (size > (size_t)n)
                memset(value + n, 'x', size - (size_t)n);
        rec.value_len = size > (size_t)n ? size : (size_t)n;
        rec.key_len = (size_t)snprintf(key, sizeof(key), "gw-7/press-%u", opaque % 13);
        if (f->raw && opaque % 5 == 0) {
                rec.headers = rec.value;
                rec.headers_len = (size_t)n;
        }
        rec.opaque = opaque;
        return f->sink->ops->produce(f->sink, &rec, e);
}

static void produce(struct fixture *f, uint32_t from, uint32_t to)
{
        for (uint32_t i = from; i < to; i++)
                assert_int_equal(produce_sized(f, i, 0, NULL), 0);
        f->want += to - from;
}

static void check_header(const rd_kafka_headers_t *h, size_t i, const char *name, const char *value)
{
        const char *found_name;
        const void *found;
        size_t size;

        assert_int_equal(rd_kafka_header_get_all(h, i, &found_name, &found, &size), 0);
        assert_string_equal(found_name, name);
        assert_int_equal(size, strlen(value));
        assert_memory_equal(found, value, size);
}

static void check_headers(const struct fixture *f, const rd_kafka_message_t *m, unsigned id)
{
        bool raw = f->raw && id % 5 == 0;
        rd_kafka_headers_t *h;
        char text[64];

        assert_int_equal(rd_kafka_message_headers(m, &h), 0);
        assert_int_equal(rd_kafka_header_cnt(h), raw ? 3 : 2);
        check_header(h, 0, "content-type", raw ? "application/octet-stream" : "application/json");
        check_header(h, 1, "millrace-schema", "1");
        snprintf(text, sizeof(text), "{\"id\":\"gw-7:1:%u\"}", id);
        if (raw)
                check_header(h, 2, "millrace-record", text);
}

/* Reads the topic from its beginning; checks headers, counts each id, and checks that a key's ids come in order. */
static unsigned consume(struct fixture *f, uint8_t *seen, unsigned want)
{
        char text[256];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(4);
        uint32_t last[13] = {0};
        unsigned n = 0, idle = 0;
        rd_kafka_t *rk;

        rd_kafka_conf_set(conf, "bootstrap.servers", f->brokers[0], NULL, 0);
        rd_kafka_conf_set(conf, "group.id", "test", NULL, 0);
        rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
        rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
        assert_non_null(rk);
        for (int i = 0; i < 4; i++)
                rd_kafka_topic_partition_list_add(parts, "samples", i)->offset = RD_KAFKA_OFFSET_BEGINNING;
        assert_int_equal(rd_kafka_assign(rk, parts), 0);
        while (idle < (n < want ? 200u : 3u)) {
                rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);
                unsigned id;

                idle = m ? 0 : idle + 1;
                if (!m)
                        continue;
                if (!m->err) {
                        snprintf(text, sizeof(text), "%.*s", (int)(m->len < 64 ? m->len : 64), (char *)m->payload);
                        assert_int_equal(sscanf(text, "{\"id\":\"gw-7:1:%u\"}", &id), 1);
                        assert_true(id < MOST);
                        check_headers(f, m, id);
                        assert_true(id + 1 > last[id % 13]);
                        last[id % 13] = id + 1;
                        seen[id]++;
                        n++;
                }
                rd_kafka_message_destroy(m);
        }
        rd_kafka_topic_partition_list_destroy(parts);
        rd_kafka_consumer_close(rk);
        rd_kafka_destroy(rk);
        return n;
}

static void each_reported_once(const struct fixture *f, uint32_t from, uint32_t to)
{
        for (uint32_t i = from; i < to; i++)
                assert_int_equal(f->reports[i], 1);
}

static void each_stored_once(struct fixture *f, uint32_t n)
{
        static uint8_t seen[MOST];

        memset(seen, 0, sizeof(seen));
        assert_int_equal(consume(f, seen, n), n);
        for (uint32_t i = 0; i < n; i++)
                assert_int_equal(seen[i], 1);
}

static void test_all_delivered_once(void **state)
{
        struct fixture f;

        set_up(&f);
        open_sink(&f);
        produce(&f, 0, MOST);
        run_until(&f, all_reported);
        each_reported_once(&f, 0, MOST);
        assert_int_equal(f.n_of[SINK_DELIVERED], MOST);
        assert_true(f.n_ends > 0);
        assert_int_equal(f.state, 1);
        assert_int_equal(f.n_states, 1);
        each_stored_once(&f, MOST);
        tear_down(&f);
}

/* Headers go back and forth between records and the sink: each record has its own, all the same. */
static void test_headers_of_many_rounds(void **state)
{
        struct fixture f;

        set_up(&f);
        f.raw = true;
        open_sink(&f);
        for (uint32_t i = 0; i < MOST; i += MOST / 8) {
                produce(&f, i, i + MOST / 8);
                run_until(&f, all_reported);
        }
        each_reported_once(&f, 0, MOST);
        each_stored_once(&f, MOST);
        tear_down(&f);
}

static void test_queue_full_is_told(void **state)
{
        struct fixture f;
        uint32_t n = 0;
        int r;

        set_up(&f);
        f.conf.window_records = 100;
        open_sink(&f);
        rd_kafka_mock_broker_set_down(f.cluster, 1);
        while (!(r = produce_sized(&f, n, 0, NULL)) && n < MOST - 1)
                n++;
        assert_int_equal(r, SINK_E_FULL);
        assert_true(n > 100);
        tear_down(&f);
        assert_int_equal(f.n_reports, n);
        assert_int_equal(f.n_of[SINK_RETRY], n);
}

static void test_broker_down_and_up(void **state)
{
        struct fixture f;

        set_up(&f);
        open_sink(&f);
        produce(&f, 0, 1000);
        run_until(&f, all_reported);
        rd_kafka_mock_broker_set_down(f.cluster, 1);
        produce(&f, 1000, 3000);
        run_until(&f, is_down);
        assert_int_equal(f.n_reports, 1000);
        assert_non_null(strstr(f.state_words, "no broker answers"));
        rd_kafka_mock_broker_set_up(f.cluster, 1);
        run_until(&f, all_reported);
        assert_int_equal(f.state, 1);
        assert_int_equal(f.n_of[SINK_DELIVERED], 3000);
        each_reported_once(&f, 0, 3000);
        each_stored_once(&f, 3000);
        tear_down(&f);
}

/* What the broker answers to produce requests, and what becomes of the records. */
static void test_broker_errors(void **state)
{
        static const struct {
                rd_kafka_resp_err_t err;
                enum sink_result result;
                const char *words; /* NULL: none are expected */
        } rows[] = {
                {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, SINK_DELIVERED, NULL},
                {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, SINK_DELIVERED, NULL},
                {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, SINK_POISON, "larger than Kafka takes in topic samples"},
                {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, SINK_RETRY, "does not allow user gw-7 to write"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct fixture f;

                set_up(&f);
                f.properties[f.conf.properties.n++] = "sasl.username=gw-7";
                open_sink(&f);
                rd_kafka_mock_push_request_errors(f.cluster, API_PRODUCE, 1, rows[i].err);
                produce(&f, 0, 1);
                run_until(&f, all_reported);
                assert_int_equal(f.result[0], rows[i].result);
                if (rows[i].words)
                        assert_non_null(strstr(f.why, rows[i].words));
                else
                        each_stored_once(&f, 1);
                tear_down(&f);
                assert_int_equal(f.n_reports, 1);
        }
}

static void test_too_large_for_us(void **state)
{
        struct fixture f;
        struct err e = {""};

        set_up(&f);
        open_sink(&f);
        assert_true(produce_sized(&f, 0, 1500000, &e) < 0);
        assert_non_null(strstr(e.text, "larger than Kafka takes"));
        tear_down(&f);
        assert_int_equal(f.n_reports, 0);
}

static bool is_taken(struct fixture *f)
{
        struct err e = {""};
        int r = produce_sized(f, f->patient, 0, &e);

        assert_true(r == 0 || r == SINK_E_RETRY);
        return r == 0;
}

/* One record, as soon as there is a producer again. */
static void produce_patiently(struct fixture *f, uint32_t opaque)
{
        f->patient = opaque;
        run_until(f, is_taken);
        f->want++;
}

/* The broker lost the producer's state and says so: the producer is made anew, and the next records go through. */
static void test_fatal_error_remakes_the_producer(void **state)
{
        struct fixture f;

        set_up(&f);
        open_sink(&f);
        produce(&f, 0, 1);
        run_until(&f, all_reported);
        rd_kafka_mock_push_request_errors(f.cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
        produce(&f, 1, 200);
        run_until(&f, all_reported);
        each_reported_once(&f, 0, 200);
        assert_true(f.n_of[SINK_RETRY] > 0);
        produce_patiently(&f, 200);
        run_until(&f, all_reported);
        assert_int_equal(f.result[200], SINK_DELIVERED);
        tear_down(&f);
}

static void test_close_with_records_out(void **state)
{
        struct fixture f;

        set_up(&f);
        open_sink(&f);
        rd_kafka_mock_broker_set_down(f.cluster, 1);
        produce(&f, 0, 500);
        close_sink(&f);
        assert_int_equal(f.n_of[SINK_RETRY], 500);
        each_reported_once(&f, 0, 500);
        tear_down(&f);
}

/* In place of the library's: a purge that brings no reports. */
static bool purge_is_deaf;

rd_kafka_resp_err_t rd_kafka_purge(rd_kafka_t *rk, int flags)
{
        static rd_kafka_resp_err_t (*real)(rd_kafka_t *, int);

        if (purge_is_deaf)
                return RD_KAFKA_RESP_ERR_NO_ERROR;
        if (!real)
                *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_purge");
        return real(rk, flags);
}

static void test_what_is_never_reported_is_a_retry(void **state)
{
        struct fixture f;

        set_up(&f);
        open_sink(&f);
        produce(&f, 0, 3);
        run_until(&f, all_reported);
        rd_kafka_mock_broker_set_down(f.cluster, 1);
        produce(&f, 3, 500);
        purge_is_deaf = true;
        close_sink(&f);
        purge_is_deaf = false;
        assert_int_equal(f.n_of[SINK_DELIVERED], 3);
        assert_int_equal(f.n_of[SINK_RETRY], 497);
        each_reported_once(&f, 0, 500);
        tear_down(&f);
}

/* In place of the library's: reports that are lost on their way. */
static unsigned reports_lost;
static bool loses_reports;

rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout_ms)
{
        static rd_kafka_event_t *(*real)(rd_kafka_queue_t *, int);
        rd_kafka_event_t *ev;

        if (!real)
                *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_queue_poll");
        while ((ev = real(queue, timeout_ms)) && loses_reports && rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR) {
                reports_lost += (unsigned)rd_kafka_event_message_count(ev);
                rd_kafka_event_destroy(ev);
        }
        return ev;
}

/* The producer is lost with records in it that it never reports: they are retries, and go through the next one. */
static void test_a_producer_ends_without_reports(void **state)
{
        enum { FIRST = 3, LAST = 300 };
        struct fixture f;

        set_up(&f);
        open_sink(&f);
        produce(&f, 0, FIRST);
        run_until(&f, all_reported);
        loses_reports = true;
        reports_lost = 0;
        rd_kafka_mock_push_request_errors(f.cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
        produce(&f, FIRST, LAST);
        run_until(&f, all_reported);
        loses_reports = false;
        assert_int_equal(reports_lost, LAST - FIRST);
        assert_int_equal(f.n_of[SINK_RETRY], LAST - FIRST);
        each_reported_once(&f, 0, LAST);
        assert_non_null(strstr(f.why, "ended without a report"));
        memset(f.reports, 0, sizeof(f.reports));
        produce_patiently(&f, FIRST);
        produce(&f, FIRST + 1, LAST);
        run_until(&f, all_reported);
        assert_int_equal(f.n_of[SINK_DELIVERED], LAST);
        each_reported_once(&f, FIRST, LAST);
        assert_int_equal(f.n_reports, 2 * LAST - FIRST);
        tear_down(&f);
        assert_int_equal(f.n_reports, 2 * LAST - FIRST);
}

static void test_outstanding(void **state)
{
        static const uint32_t opaques[] = {0, 3, 63, 64, 4097, 262143};
        struct outstanding o = {NULL, 0};
        uint32_t opaque;

        outstanding_remove(&o, 5);
        assert_false(outstanding_pop(&o, &opaque));
        for (int i = 5; i >= 0; i--)
                outstanding_add(&o, opaques[i]);
        outstanding_add(&o, 3);
        outstanding_remove(&o, 64);
        outstanding_remove(&o, 65);
        for (int i = 0; i < 6; i++) {
                if (opaques[i] == 64)
                        continue;
                assert_true(outstanding_pop(&o, &opaque));
                assert_int_equal(opaque, opaques[i]);
        }
        assert_false(outstanding_pop(&o, &opaque));
        outstanding_fini(&o);
}

static void test_wrong_configuration_is_named(void **state)
{
        static const struct {
                const char *property, *secret, *words[2];
                bool tls;
                bool only_here; /* the file may be there on the gateway, or in a minute */
        } rows[] = {
                {"no.such.thing=1", NULL, {"no.such.thing", "No such configuration property"}},
                {"batch.size=many", NULL, {"batch.size", "nvalid value"}},
                {"max.in.flight=20", NULL, {"max.in.flight", "idempotence"}},
                {"ssl.ca.location=/does/not/exist", "no.such.thing=credential:kafka", {"no.such.thing", ""}},
                {"ssl.ca.location=/does/not/exist", NULL, {"ssl.ca.location", ""}, .tls = true, .only_here = true},
                {NULL, "sasl.password=file:/does/not/exist", {"sasl.password", "/does/not/exist"}, .only_here = true},
                {NULL, "no.such.thing=file:/etc/hostname", {"no.such.thing", "does not exist"}},
                {NULL, "no.such.thing=file:/does/not/exist", {"no.such.thing", ""}},
                {NULL, "sasl.password=credential:kafka", {"sasl.password", "CREDENTIALS_DIRECTORY"}, .only_here = true},
        };

        unsetenv("CREDENTIALS_DIRECTORY");
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct fixture f;
                struct err e = {""};

                set_up(&f);
                f.properties[0] = rows[i].property;
                f.properties[1] = "security.protocol=ssl";
                f.secrets[0] = rows[i].secret;
                f.conf.properties = (struct schema_list){f.properties, (rows[i].property != NULL) + rows[i].tls};
                f.conf.secrets = (struct schema_list){f.secrets, rows[i].secret != NULL};
                if (kafka_sink_open(f.rt, &f.conf, "gw-7", &e))
                        fail_msg("row %zu is taken", i);
                assert_non_null(strstr(e.text, rows[i].words[0]));
                assert_non_null(strstr(e.text, rows[i].words[1]));
                assert_int_equal(kafka_sink_check(&f.conf, "gw-7", &e), rows[i].only_here ? 0 : -1);
                tear_down(&f);
        }
}

static void test_what_is_opened_is_not_refused(void **state)
{
        struct fixture f;
        struct err e = {""};

        set_up(&f);
        f.brokers[0] = "127.0.0.1:9"; /* nobody is asked */
        f.properties[0] = "socket.keepalive.enable=true";
        f.secrets[0] = "sasl.password=file:/etc/hostname";
        f.conf.properties = (struct schema_list){f.properties, 1};
        f.conf.secrets = (struct schema_list){f.secrets, 1};
        f.conf.brokers = (struct schema_list){f.brokers, 1};
        if (kafka_sink_check(&f.conf, "gw-7", &e) < 0)
                fail_msg("%s", e.text);
        assert_non_null(f.sink = kafka_sink_open(f.rt, &f.conf, "gw-7", &e));
        f.sink->up = (struct sink_upcalls){on_report, on_end, on_state, .ctx = &f};
        tear_down(&f);
}

/* ---- another configuration ---- */

static struct kafka_next *prepare(struct fixture *f)
{
        struct kafka_next *next;
        struct err e = {""};

        if (kafka_sink_prepare(f->sink, &f->conf, "gw-7", &next, &e) < 0)
                fail_msg("%s", e.text);
        return next;
}

static bool takes_again(struct fixture *f)
{
        int r = produce_sized(f, f->want, 0, NULL);

        assert_true(r == 0 || r == SINK_E_FULL);
        f->want += r == 0;
        return r == 0;
}

static void test_a_change_waits_for_what_is_out(void **state)
{
        struct fixture f;
        unsigned n;

        set_up(&f);
        open_sink(&f);
        assert_null(prepare(&f)); /* nothing has changed */
        produce(&f, 0, 3000);
        f.conf.linger_us = 1000;
        kafka_sink_reconfigure(f.sink, prepare(&f));
        assert_null(prepare(&f)); /* nothing differs from what was applied */
        assert_int_equal(produce_sized(&f, 3000, 0, NULL), SINK_E_FULL);
        run_until(&f, takes_again);
        f.conf.linger_us = 2000;
        kafka_sink_reconfigure(f.sink, prepare(&f)); /* two in a row */
        f.conf.linger_us = 3000;
        kafka_sink_reconfigure(f.sink, prepare(&f));
        run_until(&f, takes_again);
        n = f.want;
        f.want = 0;
        produce(&f, n, 6000);
        f.want = 6000;
        run_until(&f, all_reported);
        assert_int_equal(f.n_of[SINK_DELIVERED], 6000);
        each_reported_once(&f, 0, 6000);
        each_stored_once(&f, 6000);
        tear_down(&f);
}

static void test_a_change_while_no_broker_answers(void **state)
{
        struct fixture f;

        set_up(&f);
        open_sink(&f);
        rd_kafka_mock_broker_set_down(f.cluster, 1);
        produce(&f, 0, 100);
        run_until(&f, is_down);
        f.conf.linger_us = 1000;
        kafka_sink_reconfigure(f.sink, prepare(&f));
        run_until(&f, all_reported);
        assert_int_equal(f.n_of[SINK_RETRY], 100); /* at once: they go again, under the same ids */
        f.want = 100;
        run_until(&f, takes_again);
        rd_kafka_mock_broker_set_up(f.cluster, 1);
        run_until(&f, all_reported);
        assert_int_equal(f.n_of[SINK_DELIVERED], 1);
        tear_down(&f);
}

static void test_a_fault_is_told_before_anything_changes(void **state)
{
        struct kafka_next *next;
        struct fixture f;
        struct err e = {""};

        set_up(&f);
        open_sink(&f);
        f.properties[f.conf.properties.n++] = "no.such.property=1";
        assert_int_equal(kafka_sink_prepare(f.sink, &f.conf, "gw-7", &next, &e), -1);
        assert_non_null(strstr(e.text, "no.such.property"));
        assert_null(next);
        f.conf.properties.n--;
        f.secrets[0] = "sasl.password=file:/no/such/file";
        f.conf.secrets = (struct schema_list){f.secrets, 1};
        assert_int_equal(kafka_sink_prepare(f.sink, &f.conf, "gw-7", &next, &e), -1);
        produce(&f, 0, 10);
        run_until(&f, all_reported);
        assert_int_equal(f.n_of[SINK_DELIVERED], 10);
        tear_down(&f);
}

/* The file is the same, what it holds is not. */
static void test_a_changed_secret_is_a_change(void **state)
{
        char path[] = "/tmp/millrace-secret-XXXXXX", item[80];
        int fd = mkstemp(path);
        struct fixture f;

        assert_int_equal(write(fd, "one", 3), 3);
        set_up(&f);
        snprintf(item, sizeof(item), "sasl.password=file:%s", path);
        f.secrets[0] = item;
        f.conf.secrets = (struct schema_list){f.secrets, 1};
        open_sink(&f);
        assert_null(prepare(&f));
        assert_int_equal(pwrite(fd, "two", 3, 0), 3);
        kafka_sink_reconfigure(f.sink, prepare(&f));
        run_until(&f, takes_again);
        tear_down(&f); /* with a change prepared but never begun, too */
        close(fd);
        unlink(path);
}

static void test_the_end_in_the_middle_of_a_change(void **state)
{
        struct fixture f;

        set_up(&f);
        open_sink(&f);
        produce(&f, 0, 1000);
        for (int i = 1; i <= 2; i++) {
                f.conf.linger_us = 1000 * i;
                kafka_sink_reconfigure(f.sink, prepare(&f));
        }
        tear_down(&f);
        each_reported_once(&f, 0, 1000);
}

/* In front of the library's: the level that was set last. */
static char level[16];

rd_kafka_conf_res_t rd_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, char *text,
                                      size_t cap)
{
        static rd_kafka_conf_res_t (*real)(rd_kafka_conf_t *, const char *, const char *, char *, size_t);

        if (!real)
                *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_conf_set");
        if (!strcmp(name, "compression.level"))
                snprintf(level, sizeof(level), "%s", value);
        return real(conf, name, value, text, cap);
}

/* zstd at level 1, unless a property says otherwise; the others at their own. */
static void test_level_of_a_codec(void **state)
{
        static const struct {
                int codec;
                const char *property, *level;
        } rows[] = {{0, NULL, "-1"}, {1, NULL, "-1"}, {2, NULL, "-1"},
                    {3, NULL, "-1"}, {4, NULL, "1"},  {4, "compression.level=3", "3"}};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct fixture f;

                set_up(&f);
                f.conf.compression = rows[i].codec;
                if (rows[i].property)
                        f.properties[f.conf.properties.n++] = rows[i].property;
                open_sink(&f);
                assert_string_equal(level, rows[i].level);
                produce(&f, 0, 50);
                run_until(&f, all_reported);
                assert_int_equal(f.n_of[SINK_DELIVERED], 50);
                tear_down(&f);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_delivered_once),
                cmocka_unit_test(test_level_of_a_codec),
                cmocka_unit_test(test_headers_of_many_rounds),
                cmocka_unit_test(test_queue_full_is_told),
                cmocka_unit_test(test_a_change_waits_for_what_is_out),
                cmocka_unit_test(test_a_change_while_no_broker_answers),
                cmocka_unit_test(test_a_fault_is_told_before_anything_changes),
                cmocka_unit_test(test_a_changed_secret_is_a_change),
                cmocka_unit_test(test_the_end_in_the_middle_of_a_change),
                cmocka_unit_test(test_broker_down_and_up),
                cmocka_unit_test(test_broker_errors),
                cmocka_unit_test(test_what_is_never_reported_is_a_retry),
                cmocka_unit_test(test_a_producer_ends_without_reports),
                cmocka_unit_test(test_outstanding),
                cmocka_unit_test(test_too_large_for_us),
                cmocka_unit_test(test_fatal_error_remakes_the_producer),
                cmocka_unit_test(test_close_with_records_out),
                cmocka_unit_test(test_wrong_configuration_is_named),
                cmocka_unit_test(test_what_is_opened_is_not_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
