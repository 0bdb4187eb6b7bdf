/*
 * Sparkplug through mqtt_intake: handed over in pieces, kept while there is no room, recognised when it comes again;
 * events, counters and commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/rt_sim.h"
#include "drivers/mqtt/intake.h"
#include "sparkplug_b.pb-c.h"

static struct mqtt_sub_conf subs[] = {
        {.topic = "n/{source}/{tag}", .payload = MQTT_NUMBER},
        {.topic = "spBv1.0/plant/+/edge/#", .payload = MQTT_SPARKPLUG_B},
        {.topic = "spBv1.0/other/#", .payload = MQTT_SPARKPLUG_B},
};
static const struct mqtt_conf conf = {.name = "plant", .max_payload_bytes = 100000, .subscriptions = {subs, 3}};
/* The same, and others that are of the same topics: one has all, one a part of what Sparkplug has. */
static struct mqtt_sub_conf beside_subs[] = {
        {.topic = "spBv1.0/plant/+/edge/#", .payload = MQTT_SPARKPLUG_B},
        {.topic = "+/plant/#", .payload = MQTT_RAW, .source = "all", .tag = "raw"},
        {.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B},
        {.topic = "+/plant/NDATA/#",
         .payload = MQTT_RAW,
         .source = "data",
         .tag = "raw",
         .retained = MQTT_RETAINED_SKIP},
};
static const struct mqtt_conf beside = {
        .name = "plant", .max_payload_bytes = 100000, .subscriptions = {beside_subs, 4}};

enum { METRICS = 250 };
static struct rt_sim sim;
static struct driver d;
static struct mqtt_intake in;
static struct reading got[4096];
static size_t n_got, room, n_dropped;
static char reason[200], told[200], asked[200];
static int can_publish;
static uint32_t ids[1];
static size_t n_ids;

static int emit(struct driver *dr, const struct reading *r, size_t n, bool may_wait)
{
        if (n > room) {
                n_dropped += may_wait ? 0 : n;
                return may_wait ? DRIVER_E_WAIT : 0;
        }
        room -= n;
        memcpy(got + n_got, r, n * sizeof(*r));
        n_got += n;
        return 0;
}

static void quarantine(struct driver *dr, const char *origin, const char *why, const void *payload, size_t len)
{
        dr->n_malformed++;
        snprintf(reason, sizeof(reason), "%s", why);
}

static void device_event(struct driver *dr, const char *source, const char *state, const char *why)
{
        snprintf(told, sizeof(told), "%s %s: %s", source, state, why);
}

static int publish(void *ctx, const char *topic, const void *payload, size_t len)
{
        assert_ptr_equal(ctx, &told);
        assert_true(len > 0 && payload);
        snprintf(asked, sizeof(asked), "%s", topic);
        return can_publish;
}

static const struct driver_host host = {.emit = emit, .quarantine = quarantine, .device_event = device_event};

static void begin_with(const struct mqtt_conf *c)
{
        struct err e;

        n_got = n_dropped = 0;
        room = SIZE_MAX;
        can_publish = 0;
        reason[0] = told[0] = asked[0] = '\0';
        rt_sim_init(&sim, 1, 1795428000000000);
        d = (struct driver){
                .name = "plant", .gateway = "gw", .conf = c, .rt = &sim.rt, .tags = tags_new(1000), .host = &host};
        assert_int_equal(mqtt_intake_init(&in, &d, &e), 0);
        in.publish = publish;
        in.publish_ctx = &told;
}

static void begin(void)
{
        begin_with(&conf);
}

static void end(void)
{
        mqtt_intake_fini(&in);
        tags_free(d.tags);
        rt_sim_fini(&sim);
}

/* A message of so many metrics m0, m1, … with aliases of their number; data has aliases only. */
static int take(const char *topic, int seq, int n, uint16_t mid, bool dup)
{
        static char names[METRICS][8];
        static uint8_t bytes[65536];
        Spb__Metric metric[METRICS], *metrics[METRICS];
        Spb__Payload p = SPB__PAYLOAD__INIT;
        bool birth = strstr(topic, "BIRTH");

        for (int i = 0; i < n; i++) {
                metrics[i] = &metric[i];
                metric[i] = (Spb__Metric)SPB__METRIC__INIT;
                metric[i].has_alias = true;
                metric[i].alias = (uint64_t)i;
                metric[i].has_name = metric[i].has_datatype = birth;
                metric[i].datatype = 12;
                metric[i].name.data = (uint8_t *)names[i];
                metric[i].name.len = (size_t)snprintf(names[i], sizeof(names[i]), "m%d", i);
                metric[i].value_case = SPB__METRIC__VALUE_STRING_VALUE;
                metric[i].string_value = metric[i].name;
        }
        p.has_seq = seq >= 0;
        p.seq = (uint64_t)seq;
        p.n_metrics = (size_t)n;
        p.metrics = metrics;
        return mqtt_intake_take(&in, &(struct mqtt_message){.topic = topic,
                                                            .payload = bytes,
                                                            .len = spb__payload__pack(&p, bytes),
                                                            .mid = mid,
                                                            .ids = ids,
                                                            .n_ids = n_ids,
                                                            .dup = dup});
}

#define NBIRTH "spBv1.0/plant/NBIRTH/edge"
#define NDATA  "spBv1.0/plant/NDATA/edge"
#define NDEATH "spBv1.0/plant/NDEATH/edge"

static void check_texts(size_t from, int n)
{
        char want[8];

        for (int i = 0; i < n; i++) {
                const struct reading *r = &got[from + (size_t)i];

                assert_int_equal(r->type, READING_TEXT);
                assert_int_equal(r->len, snprintf(want, sizeof(want), "m%d", i));
                assert_memory_equal(r->v.text, want, r->len);
                assert_string_equal(tags_get(d.tags, r->tag)->name, want);
        }
}

static void test_births_data_and_other_payloads(void **state)
{
        struct mqtt_message number = {.topic = "n/a/b", .payload = "1", .len = 1};

        begin();
        assert_int_equal(take(NDATA, 5, 2, 0, false), 0);
        assert_string_equal(asked, "spBv1.0/plant/NCMD/edge");
        assert_string_equal(reason, "no birth known, rebirth requested");
        assert_int_equal(d.n_absent, 2);
        assert_int_equal(take(NBIRTH, 0, 3, 0, false), 0);
        check_texts(0, 3);
        assert_int_equal(mqtt_intake_take(&in, &number), 0); /* between two of Sparkplug */
        assert_int_equal(take(NDATA, 1, 2, 0, false), 0);
        check_texts(4, 2);
        assert_int_equal(n_got, 6);
        assert_int_equal(take(NDATA, 9, 1, 0, false), 0);
        assert_int_equal(d.n_errors, 1);
        assert_string_equal(d.last_error, NDATA ": sequence gap: 9 where 2 was due");
        assert_int_equal(take(NDEATH, -1, 0, 0, false), 0);
        assert_string_equal(told, "edge down: NDEATH");
        assert_int_equal(n_got, 10);
        assert_int_equal(take("spBv1.0/other/NBIRTH/edge", 0, 1, 0, false),
                         0); /* a second subscription, another node */
        assert_int_equal(n_got, 11);
        assert_int_equal(d.n_malformed, 1);
        end();
}

static void test_retained_ones_can_be_left_out(void **state)
{
        struct mqtt_sub_conf skips = {
                .topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .retained = MQTT_RETAINED_SKIP};
        struct mqtt_message m = {.topic = NDEATH, .payload = "", .retained = true};

        begin();
        in.subs[1].conf = &skips;
        assert_int_equal(take(NBIRTH, 0, 3, 0, false), 0);
        assert_int_equal(mqtt_intake_take(&in, &m), 0);
        assert_string_equal(told, "");
        m.retained = false;
        assert_int_equal(mqtt_intake_take(&in, &m), 0);
        assert_string_equal(told, "edge down: NDEATH");
        end();
}

static void test_nobody_to_ask(void **state)
{
        begin();
        can_publish = -1;
        assert_int_equal(take(NDATA, 5, 2, 0, false), 0);
        in.publish = NULL;
        assert_int_equal(take("spBv1.0/other/NDATA/e", 5, 2, 0, false), 0);
        assert_int_equal(d.n_malformed, 2);
        end();
}

/* Room for a part only: the rest waits, and nothing comes twice or is lost. */
static void test_pieces(void **state)
{
        begin();
        room = 130;
        assert_int_equal(take(NBIRTH, 0, METRICS, 0, false), DRIVER_E_WAIT);
        assert_int_equal(n_got, 100);
        assert_int_equal(take(NBIRTH, 0, METRICS, 0, false), DRIVER_E_WAIT); /* handed in again */
        assert_int_equal(n_got, 100);
        room = 1000;
        assert_int_equal(take(NBIRTH, 0, METRICS, 0, false), 0);
        assert_int_equal(n_got, METRICS);
        check_texts(0, METRICS);
        assert_int_equal(in.n_rows, METRICS);
        assert_int_equal(take(NDATA, 1, METRICS, 0, false), 0);
        assert_int_equal(n_got, 2 * METRICS);
        room = 100;
        told[0] = '\0';
        assert_int_equal(take(NDEATH, -1, 0, 0, false), DRIVER_E_WAIT);
        assert_string_equal(told, "edge down: NDEATH");
        told[0] = '\0';
        room = 1000;
        assert_int_equal(take(NDEATH, -1, 0, 0, false), 0);
        assert_string_equal(told, ""); /* told once */
        assert_int_equal(n_got, 3 * METRICS);
        assert_int_equal(d.n_errors, 0);
        end();
}

static void test_given_up(void **state)
{
        begin();
        room = 100;
        assert_int_equal(take(NBIRTH, 0, METRICS, 0, false), DRIVER_E_WAIT);
        mqtt_intake_give_up(&in); /* the link is gone: what has no room is the host's to name */
        assert_int_equal(n_got + n_dropped, METRICS);
        room = 1000;
        assert_int_equal(take(NDATA, 1, 2, 0, false), 0);
        assert_int_equal(n_got, 102);
        check_texts(100, 2);
        mqtt_intake_give_up(&in); /* nothing waits */
        assert_int_equal(n_got, 102);
        end();
}

/* At QoS 1: what is sent again is known, but what it says is learned all the same. */
static void test_redelivery(void **state)
{
        begin();
        assert_int_equal(take(NBIRTH, 0, 3, 7, false), 0);
        assert_int_equal(take(NDATA, 1, 2, 8, false), 0);
        assert_int_equal(got[4].mid, 8);
        mqtt_redelivery_begin(in.redelivery, true);
        assert_int_equal(take(NBIRTH, 0, 3, 7, true), 0);
        assert_int_equal(take(NDATA, 1, 2, 8, true), 0);
        assert_int_equal(d.n_redelivered, 2);
        assert_int_equal(n_got, 5);
        assert_int_equal(take(NDATA, 2, 2, 9, true), 0);
        assert_int_equal(n_got, 7);
        assert_int_equal(d.n_errors, 0); /* no gap */
        end();
}

static const char *source_of(size_t i)
{
        return tags_get(d.tags, got[i].tag)->source;
}

static void test_beside_other_subscriptions(void **state)
{
        begin_with(&beside);
        assert_int_equal(take(NBIRTH, 0, 3, 0, false), 0);
        assert_int_equal(n_got, 4); /* once for both of Sparkplug's */
        assert_string_equal(source_of(0), "all");
        check_texts(1, 3);
        assert_int_equal(take(NDATA, 1, 2, 0, false), 0);
        assert_int_equal(n_got, 8);
        assert_string_equal(source_of(4), "all");
        assert_string_equal(source_of(5), "data");
        check_texts(6, 2);
        assert_int_equal(d.n_errors + d.n_malformed, 0);
        end();
}

/* What has been done of a message is not done twice, wherever the room ended. */
static void test_pieces_beside_others(void **state)
{
        begin_with(&beside);
        for (size_t n = 0; n < 2; n++) {
                room = n;
                assert_int_equal(take(NBIRTH, 0, METRICS, 3, false), DRIVER_E_WAIT);
                assert_int_equal(n_got, n);
        }
        room = 120;
        assert_int_equal(take(NBIRTH, 0, METRICS, 3, false), DRIVER_E_WAIT);
        assert_int_equal(n_got, 101);
        room = 1000;
        assert_int_equal(take(NBIRTH, 0, METRICS, 3, false), 0);
        assert_int_equal(n_got, METRICS + 1);
        check_texts(1, METRICS);
        assert_int_equal(in.n_rows, METRICS + 1);
        assert_int_equal(d.n_errors, 0);
        mqtt_redelivery_begin(in.redelivery, true);
        assert_int_equal(take(NBIRTH, 0, METRICS, 3, true), 0);
        assert_int_equal(d.n_redelivered, 1);
        assert_int_equal(n_got, METRICS + 1);
        end();
}

/* The others had no room: when it comes again, they have it, though Sparkplug's was given up. */
static void test_given_up_beside_others(void **state)
{
        begin_with(&beside);
        room = 0;
        assert_int_equal(take(NBIRTH, 0, 3, 3, false), DRIVER_E_WAIT);
        mqtt_intake_give_up(&in);
        assert_int_equal(n_dropped, 3);
        room = 1000;
        mqtt_redelivery_begin(in.redelivery, true);
        assert_int_equal(take(NBIRTH, 0, 3, 3, true), 0);
        assert_int_equal(n_got, 4);
        end();
}

/* By identifiers: copies come one by one, and Sparkplug's is read when the first of its subscriptions is meant. */
static void test_copies_beside_others(void **state)
{
        begin_with(&beside);
        for (size_t i = 0; i < 3; i++) {
                ids[0] = in.subs[i].id;
                n_ids = 1;
                assert_true(ids[0] > 0);
                assert_int_equal(take(NBIRTH, 0, 3, 0, false), 0);
        }
        assert_int_equal(n_got, 4);
        assert_int_equal(d.n_errors, 0);
        n_ids = 0;
        end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_births_data_and_other_payloads),
                cmocka_unit_test(test_retained_ones_can_be_left_out),
                cmocka_unit_test(test_nobody_to_ask),
                cmocka_unit_test(test_pieces),
                cmocka_unit_test(test_given_up),
                cmocka_unit_test(test_redelivery),
                cmocka_unit_test(test_beside_other_subscriptions),
                cmocka_unit_test(test_pieces_beside_others),
                cmocka_unit_test(test_given_up_beside_others),
                cmocka_unit_test(test_copies_beside_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
