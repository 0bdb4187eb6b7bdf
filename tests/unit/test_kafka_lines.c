/*
 * Lines with transactions against librdkafka's mock cluster: how each answer of a broker ends, that all of a
 * transaction is reported before its end is told, and that after whatever it was a line begins anew.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "agent/rt_uv.h"
#include "uplink/uplink.h"

enum { LIMIT_US = 30000000, API_PRODUCE = 0, API_ADD_OFFSETS = 25, API_END = 26, API_MARK = 28 };

static struct fixture {
        rd_kafka_t *host;
        rd_kafka_mock_cluster_t *cluster;
        struct rt *rt;
        struct rt_timer limit;
        struct sink *sink;
        unsigned n_out, n_of[3];
        enum txn_event outcome;
        char why[256];
        bool closed;
} F;

static void on_report(void *ctx, uint32_t opaque, enum sink_result result, const char *why)
{
        F.n_out--;
        F.n_of[result]++;
}

static void on_reports_end(void *ctx)
{
}

static void on_line(void *ctx, enum sink_line line, enum txn_event outcome, const struct sink_mark *mark,
                    const char *why)
{
        assert_int_equal(line, SINK_LINE_SAMPLES);
        F.outcome = outcome;
        snprintf(F.why, sizeof(F.why), "%s", why ? why : "");
        rt_uv_stop(F.rt);
}

static void on_limit(struct rt_timer *t)
{
        fail_msg("nothing was told in time");
}

static void on_closed(void *ctx)
{
        F.closed = true;
        rt_uv_stop(F.rt);
}

static void wait_for_it(void)
{
        F.limit.on_due = on_limit;
        rt_timer_set(F.rt, &F.limit, LIMIT_US);
        rt_uv_run(F.rt);
        rt_timer_cancel(F.rt, &F.limit);
}

static enum txn_event transact(enum txn_act act)
{
        F.sink->ops->transact(F.sink, SINK_LINE_SAMPLES, act, &(struct sink_mark){.epoch = 7, .last = 3});
        wait_for_it();
        return F.outcome;
}

static void produce(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                struct sink_record rec = {.topic = SINK_SAMPLES,
                                          .line = SINK_LINE_SAMPLES,
                                          .key = "gw-7/press-3",
                                          .key_len = 12,
                                          .value = "{}",
                                          .value_len = 2,
                                          .ts_ms = 1795428000123,
                                          .opaque = i};
                struct err e;

                if (F.sink->ops->produce(F.sink, &rec, &e))
                        fail_msg("not taken: %s", e.text);
                F.n_out++;
        }
}

static int set_up(void **state)
{
        static const char *brokers[1];
        static struct kafka_conf conf;
        char text[256];
        struct err e;
        rd_kafka_conf_t *of_host = rd_kafka_conf_new();

        memset(&F, 0, sizeof(F));
        rd_kafka_conf_set(of_host, "log_level", "0", NULL, 0);
        F.host = rd_kafka_new(RD_KAFKA_PRODUCER, of_host, text, sizeof(text));
        F.cluster = rd_kafka_mock_cluster_new(F.host, 1);
        rd_kafka_mock_topic_create(F.cluster, "samples", 1, 1);
        brokers[0] = rd_kafka_mock_cluster_bootstraps(F.cluster);
        conf = (struct kafka_conf){.brokers = {brokers, 1},
                                   .delivery = KAFKA_EXACTLY_ONCE,
                                   .window_records = 1000,
                                   .window_bytes = 1 << 20,
                                   .samples_topic = "samples",
                                   .events_topic = "samples",
                                   .status_topic = "samples",
                                   .backfill_topic = "samples",
                                   .raw_topic = "samples"};
        F.rt = rt_uv_new();
        F.sink = kafka_sink_open(F.rt, &conf, "gw-7", &e);
        assert_non_null(F.sink);
        F.sink->up =
                (struct sink_upcalls){.on_report = on_report, .on_reports_end = on_reports_end, .on_line = on_line};
        return 0;
}

static int tear_down(void **state)
{
        F.sink->ops->close(F.sink, on_closed, NULL);
        wait_for_it();
        assert_true(F.closed);
        assert_int_equal(F.n_out, 0);
        kafka_sink_close(F.sink);
        rt_uv_free(F.rt);
        rd_kafka_mock_cluster_destroy(F.cluster);
        rd_kafka_destroy(F.host);
        return 0;
}

static void begins_and_commits(void **state)
{
        assert_int_equal(transact(TXN_START), TXN_DONE);
        for (int i = 0; i < 3; i++) {
                produce(10);
                assert_int_equal(transact(TXN_COMMIT), TXN_DONE);
                assert_int_equal(F.n_out, 0);
        }
        assert_int_equal(F.n_of[SINK_DELIVERED], 30);
}

static void an_abort_gives_its_records_back(void **state)
{
        assert_int_equal(transact(TXN_START), TXN_DONE);
        produce(10);
        assert_int_equal(transact(TXN_COMMIT), TXN_DONE);
        rd_kafka_mock_broker_set_rtt(F.cluster, 1, 200);
        produce(10);
        assert_int_equal(transact(TXN_ABORT), TXN_DONE);
        assert_int_equal(F.n_out, 0);
        produce(10);
        assert_int_equal(transact(TXN_COMMIT), TXN_DONE);
}

/* What a broker says, and how that ends; then a START, or an abort, makes it whole again. */
static void each_answer_ends_as_it_should(void **state)
{
        static const struct {
                int16_t api;
                rd_kafka_resp_err_t says;
                enum txn_event outcome;
        } rows[] = {
                {API_PRODUCE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, TXN_ABORTABLE},
                {API_MARK, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, TXN_ABORTABLE},
                {API_END, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, TXN_DONE},
                {API_END, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, TXN_TWIN},
                {API_END, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, TXN_TWIN},
                {API_ADD_OFFSETS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, TXN_TWIN},
                {API_END, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, TXN_BROKEN},
                {API_PRODUCE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, TXN_ABORTABLE}, /* and the topic rests */
        };

        assert_int_equal(transact(TXN_START), TXN_DONE);
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                enum txn_event outcome;

                rd_kafka_mock_push_request_errors(F.cluster, rows[i].api, 1, rows[i].says);
                produce(5);
                outcome = transact(TXN_COMMIT);
                if (outcome != rows[i].outcome)
                        fail_msg("row %zu: %d, %s", i, (int)outcome, F.why);
                if (outcome == TXN_TWIN)
                        assert_non_null(strstr(F.why, "another agent"));
                if (outcome != TXN_DONE && transact(outcome == TXN_ABORTABLE ? TXN_ABORT : TXN_START) != TXN_DONE)
                        fail_msg("row %zu, afterwards: %d, %s", i, (int)F.outcome, F.why);
                assert_int_equal(F.n_out, 0);
                if (i + 1 == sizeof(rows) / sizeof(*rows))
                        break;
                produce(5);
                if (transact(TXN_COMMIT) == TXN_ABORTABLE) { /* the mock and an epoch that was moved */
                        assert_int_equal(transact(TXN_ABORT), TXN_BROKEN);
                        assert_int_equal(transact(TXN_START), TXN_DONE);
                } else if (F.outcome != TXN_DONE)
                        fail_msg("row %zu, the next: %d, %s", i, (int)F.outcome, F.why);
        }
}

static void what_is_out_at_the_end_is_reported(void **state)
{
        assert_int_equal(transact(TXN_START), TXN_DONE);
        rd_kafka_mock_broker_set_down(F.cluster, 1);
        produce(10);
}

static void a_broker_that_is_away_is_asked_again(void **state)
{
        rd_kafka_mock_broker_set_down(F.cluster, 1);
        assert_int_equal(transact(TXN_START), TXN_AGAIN);
        rd_kafka_mock_broker_set_up(F.cluster, 1);
        while (transact(TXN_START) == TXN_AGAIN)
                ;
        assert_int_equal(F.outcome, TXN_DONE);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(begins_and_commits, set_up, tear_down),
                cmocka_unit_test_setup_teardown(an_abort_gives_its_records_back, set_up, tear_down),
                cmocka_unit_test_setup_teardown(each_answer_ends_as_it_should, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_is_out_at_the_end_is_reported, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_broker_that_is_away_is_asked_again, set_up, tear_down),
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
