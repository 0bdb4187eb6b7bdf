/*
 * test_kafka_ask: what is made of the brokers' answers about topics.  The few
 * functions of librdkafka that ask and answer are the test's own, since its
 * mock cluster does not know the question.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/rt_sim.h"
#include "uplink/kafka_impl.h"

#define S INT64_C(1000000)

/* ---- the brokers ---- */

static struct {
        char asked[200]; /* names, each with a blank behind it */
        int n_asks;
        const char *missing[4]; /* what the next answer says */
        size_t n_missing;
        rd_kafka_resp_err_t error;
} B;

rd_kafka_AdminOptions_t *rd_kafka_AdminOptions_new(rd_kafka_t *rk, rd_kafka_admin_op_t op)
{
        return NULL;
}

rd_kafka_resp_err_t rd_kafka_AdminOptions_set_request_timeout(rd_kafka_AdminOptions_t *o, int ms, char *text,
                                                              size_t size)
{
        return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_AdminOptions_destroy(rd_kafka_AdminOptions_t *o)
{
}

rd_kafka_ConfigResource_t *rd_kafka_ConfigResource_new(rd_kafka_ResourceType_t type, const char *name)
{
        return (rd_kafka_ConfigResource_t *)name;
}

void rd_kafka_ConfigResource_destroy_array(rd_kafka_ConfigResource_t **v, size_t n)
{
}

void rd_kafka_DescribeConfigs(rd_kafka_t *rk, rd_kafka_ConfigResource_t **v, size_t n, const rd_kafka_AdminOptions_t *o,
                              rd_kafka_queue_t *q)
{
        B.n_asks++;
        B.asked[0] = '\0';
        for (size_t i = 0; i < n; i++) {
                strcat(B.asked, (const char *)v[i]);
                strcat(B.asked, " ");
        }
}

rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *ev)
{
        return B.error;
}

const rd_kafka_DescribeConfigs_result_t *rd_kafka_event_DescribeConfigs_result(rd_kafka_event_t *ev)
{
        return NULL;
}

const rd_kafka_ConfigResource_t **rd_kafka_DescribeConfigs_result_resources(const rd_kafka_DescribeConfigs_result_t *r,
                                                                            size_t *n)
{
        *n = B.n_missing;
        return (const rd_kafka_ConfigResource_t **)B.missing;
}

const char *rd_kafka_ConfigResource_name(const rd_kafka_ConfigResource_t *c)
{
        return (const char *)c;
}

rd_kafka_resp_err_t rd_kafka_ConfigResource_error(const rd_kafka_ConfigResource_t *c)
{
        return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

/* ---- a sink ---- */

struct fixture {
        struct rt_sim sim;
        struct kafka k;
        unsigned missing; /* as told */
};

static void on_missing(void *ctx, unsigned missing)
{
        ((struct fixture *)ctx)->missing = missing;
}

static void set_up(struct fixture *f, const char *samples, const char *events)
{
        const char *names[SINK_TOPICS] = {[SINK_SAMPLES] = samples,
                                          [SINK_EVENTS] = events,
                                          [SINK_STATUS] = "status",
                                          [SINK_BACKFILL] = "backfill",
                                          [SINK_RAW] = "raw"};

        memset(f, 0, sizeof(*f));
        memset(&B, 0, sizeof(B));
        rt_sim_init(&f->sim, 1, INT64_C(1795428000000000));
        f->k.rt = &f->sim.rt;
        f->k.sink.up = (struct sink_upcalls){.on_missing = on_missing, .ctx = f};
        for (int i = 0; i < SINK_TOPICS; i++)
                f->k.setup.topic_name[i] = (char *)names[i];
        kafka_ask_init(&f->k);
        kafka_ask(&f->k);
}

static void wait_s(struct fixture *f, int seconds)
{
        rt_sim_run(&f->sim, rt_mono_us(&f->sim.rt) + seconds * S, NULL, NULL);
}

static void answer(struct fixture *f, rd_kafka_resp_err_t error, const char *missing)
{
        B.error = error;
        B.missing[0] = missing;
        B.n_missing = missing != NULL;
        kafka_take_topics(&f->k, NULL);
}

static void tear_down(struct fixture *f)
{
        rt_timer_cancel(&f->sim.rt, &f->k.ask);
        rt_sim_fini(&f->sim);
}

static void one_that_is_missing_is_asked_for_again(void **state)
{
        struct fixture f;

        set_up(&f, "samples", "events");
        wait_s(&f, 1);
        assert_string_equal(B.asked, "samples events status backfill ");
        answer(&f, 0, "events");
        assert_int_equal(f.missing, 1 << SINK_EVENTS);
        wait_s(&f, 6);
        assert_int_equal(B.n_asks, 2);
        answer(&f, 0, NULL);
        assert_int_equal(f.missing, 0);
        wait_s(&f, 100);
        assert_int_equal(B.n_asks, 2);
        tear_down(&f);
}

static void nobody_answers_and_what_was_known_stays(void **state)
{
        struct fixture f;

        set_up(&f, "samples", "events");
        wait_s(&f, 1);
        answer(&f, 0, "samples");
        answer(&f, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL);
        assert_int_equal(f.missing, 1 << SINK_SAMPLES);
        kafka_ask(&f.k); /* another producer, maybe with other topics */
        assert_int_equal(f.missing, 0);
        tear_down(&f);
}

static void one_that_took_a_record_is_there(void **state)
{
        struct fixture f;

        set_up(&f, "samples", "events");
        wait_s(&f, 1);
        answer(&f, 0, "samples");
        kafka_topic_is_there(&f.k, "events");
        assert_int_equal(f.missing, 1 << SINK_SAMPLES);
        kafka_topic_is_there(&f.k, "samples");
        assert_int_equal(f.missing, 0);
        tear_down(&f);
}

static void one_for_two_uses_is_asked_for_once(void **state)
{
        struct fixture f;

        set_up(&f, "all", "all");
        wait_s(&f, 1);
        assert_string_equal(B.asked, "all status backfill ");
        answer(&f, 0, "all");
        assert_int_equal(f.missing, 1 << SINK_SAMPLES | 1 << SINK_EVENTS);
        tear_down(&f);
}

/* Few gateways send any; the broker has a moment to make it. */
static void that_of_raw_payloads_is_asked_for_when_one_is_out(void **state)
{
        struct fixture f;

        set_up(&f, "samples", "events");
        wait_s(&f, 1);
        kafka_ask_of_raw(&f.k);
        answer(&f, 0, NULL); /* to the question before */
        wait_s(&f, 1);
        assert_int_equal(B.n_asks, 1);
        wait_s(&f, 2);
        assert_string_equal(B.asked, "samples events status backfill raw ");
        answer(&f, 0, "raw");
        assert_int_equal(f.missing, 1 << SINK_RAW);
        kafka_ask_of_raw(&f.k);
        kafka_topic_is_there(&f.k, "raw");
        assert_int_equal(f.missing, 0);
        tear_down(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(one_that_is_missing_is_asked_for_again),
                                           cmocka_unit_test(nobody_answers_and_what_was_known_stays),
                                           cmocka_unit_test(one_that_took_a_record_is_there),
                                           cmocka_unit_test(one_for_two_uses_is_asked_for_once),
                                           cmocka_unit_test(that_of_raw_payloads_is_asked_for_when_one_is_out)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
