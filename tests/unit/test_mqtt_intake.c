/*
 * mqtt_intake and mqtt_redelivery: a message ends with the host, as one we have, in the quarantine, or is not taken.
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

static struct mqtt_reading_conf telemetry[] = {{.tag = "temp", .unit = "degC"}, {.tag = "vib"}};
static struct mqtt_reading_conf one[] = {{.value = "/v"}};
static struct mqtt_sub_conf subs[] = {
        {.topic = "f/{line}/{source}/telemetry",
         .payload = MQTT_JSON,
         .time = "/ts",
         .time_format = MQTT_UNIX_MS,
         .readings = {telemetry, 2}},
        {.topic = "n/{source}/{tag}", .payload = MQTT_NUMBER, .unit = "bar"},
        {.topic = "j/{tag}", .payload = MQTT_JSON, .source = "hall", .readings = {one, 1}},
        {.topic = "b/+", .payload = MQTT_NUMBER, .tag = "level"},
};
static const struct mqtt_conf conf = {.name = "plant", .max_payload_bytes = 200, .subscriptions = {subs, 4}};

static struct rt_sim sim;
static struct driver d;
static struct mqtt_intake in;
static struct reading got[4096];
static size_t n_got;
static bool full;
static char origin[100], reason[100];
static size_t kept;

static int emit(struct driver *dr, const struct reading *r, size_t n, bool may_wait)
{
        assert_true(may_wait);
        if (full)
                return DRIVER_E_WAIT;
        memcpy(got + n_got, r, n * sizeof(*r));
        n_got += n;
        return 0;
}

static void quarantine(struct driver *dr, const char *o, const char *why, const void *payload, size_t len)
{
        dr->n_malformed++;
        snprintf(origin, sizeof(origin), "%s", o);
        snprintf(reason, sizeof(reason), "%s", why);
        kept = len;
}

/* The spool of the last run is what was emitted so far, each under the row of its tag's unit. */
static void recent(struct driver *dr, void (*each)(void *ctx, const struct reading *r), void *ctx)
{
        for (size_t i = 0; i < n_got; i++) {
                struct reading r = got[i];

                r.tag = tags_get(dr->tags, r.tag)->current;
                if (r.mid)
                        each(ctx, &r);
        }
}

static const struct driver_host host = {.emit = emit, .quarantine = quarantine, .recent = recent};

static void begin(size_t most_tags)
{
        struct err e;

        n_got = 0;
        full = false;
        rt_sim_init(&sim, 1, 1795428000000000);
        d = (struct driver){.name = "plant",
                            .gateway = "gw",
                            .conf = &conf,
                            .rt = &sim.rt,
                            .tags = tags_new(most_tags),
                            .host = &host};
        assert_int_equal(mqtt_intake_init(&in, &d, &e), 0);
}

static void end(void)
{
        mqtt_intake_fini(&in);
        tags_free(d.tags);
        rt_sim_fini(&sim);
}

static int take(const char *topic, const char *payload, uint16_t mid, bool dup)
{
        struct mqtt_message m = {.topic = topic, .payload = payload, .len = strlen(payload), .mid = mid, .dup = dup};

        return mqtt_intake_take(&in, &m);
}

static void check_tag(const struct reading *r, const char *source, const char *name, const char *unit,
                      const char *labels)
{
        const struct tag *t = tags_get(d.tags, r->tag);

        assert_string_equal(t->source, source);
        assert_string_equal(t->name, name);
        assert_string_equal(t->unit, unit);
        assert_string_equal(t->labels, labels);
        assert_string_equal(t->driver, "plant");
}

static void test_readings(void **state)
{
        begin(100);
        for (int i = 0; i < 2; i++) { /* the second time the topic is known */
                n_got = 0;
                assert_int_equal(take("f/l1/p-3/telemetry", "{\"ts\":1795427999000,\"temp\":71,\"vib\":2}", 9, false),
                                 0);
                assert_int_equal(n_got, 2);
                check_tag(&got[0], "p-3", "temp", "degC", "\"line\":\"l1\"");
                check_tag(&got[1], "p-3", "vib", "", "\"line\":\"l1\"");
                assert_int_equal(got[1].mid, 9);
                assert_true(got[1].ts_us == INT64_C(1795427999000000));
        }
        take("n/p-3/pressure", "3.5", 0, false);
        check_tag(&got[2], "p-3", "pressure", "bar", "");
        assert_int_equal(got[2].mid, 0);
        take("j/humidity", "{\"v\":40}", 0, false);
        check_tag(&got[3], "hall", "humidity", "", "");
        take("b/any", "1", 0, false);
        check_tag(&got[4], "plant", "level", "", "");
        take("n/p 3/x", "1", 0, false);
        check_tag(&got[5], "p_3._20", "x", "bar", "");
        assert_int_equal(d.n_mapped, 1);
        take("n/p 3/x", "1", 0, false);
        take("n/p 3/z", "1", 0, false);
        assert_int_equal(d.n_mapped, 1); /* once for a name, in whatever topics it is */
        assert_int_equal(d.n_malformed, 0);
        end();
}

static void test_absent_and_retained(void **state)
{
        struct mqtt_message m = {.topic = "n/a/b", .payload = "1", .len = 1, .retained = true};

        begin(100);
        assert_int_equal(take("f/l1/p-3/telemetry", "{\"vib\":2}", 1, false), 0);
        assert_int_equal(n_got, 1);
        check_tag(&got[0], "p-3", "vib", "", "\"line\":\"l1\"");
        assert_int_equal(d.n_absent, 1);
        assert_int_equal(tags_count(d.tags), 1); /* what never came is no tag */
        assert_int_equal(mqtt_intake_take(&in, &m), 0);
        assert_true(got[1].flags & READING_RETAINED);
        end();
}

static void test_what_was_set_aside_is_named(void **state)
{
        struct mqtt_message m = {
                .topic = "n/a/b", .payload = "1", .len = 1, .mid = 1, .aside = MQTT_ASIDE_LONG, .size = 262144000};

        begin(3);
        assert_int_equal(mqtt_intake_take(&in, &m), 0);
        assert_string_equal(origin, "n/a/b");
        assert_non_null(strstr(reason, "too large: 262144000 bytes"));
        assert_int_equal(kept, 1);
        m.aside = MQTT_ASIDE_PROPERTIES;
        assert_int_equal(mqtt_intake_take(&in, &m), 0);
        assert_string_equal(reason, "too large: 262144000 bytes of properties");
        m.aside = MQTT_ASIDE_TOPIC;
        assert_int_equal(mqtt_intake_take(&in, &m), 0);
        assert_non_null(strstr(reason, "topic"));
        assert_int_equal(n_got, 0);
        assert_int_equal(d.n_malformed, 3);
        end();
}

static void test_quarantine(void **state)
{
        char large[300];

        begin(3);
        memset(large, '1', sizeof(large) - 1);
        large[sizeof(large) - 1] = '\0';
        assert_int_equal(take("n/a/b", large, 1, false), 0);
        assert_string_equal(reason, "longer than max_payload");
        assert_int_equal(kept, sizeof(large) - 1);
        assert_int_equal(take("elsewhere", "1", 2, false), 0);
        assert_string_equal(reason, "no subscription is for this topic");
        assert_string_equal(origin, "elsewhere");
        assert_int_equal(take("n/a/b", "nope", 3, false), 0);
        assert_int_equal(take("f/l1/p-3/telemetry", "{}", 3, false), 0);
        assert_int_equal(d.n_malformed, 4);
        assert_int_equal(n_got, 0);
        assert_int_equal(tags_count(d.tags), 0); /* what can't be read makes no tag */

        take("n/a/1", "1", 4, false);
        take("n/a/2", "1", 5, false);
        assert_int_equal(take("f/l1/p-3/telemetry", "{\"temp\":1,\"vib\":2}", 6, false), 0);
        assert_int_equal(n_got, 3); /* the one there was room for */
        assert_string_equal(reason, "tag table full: limits.max_tags is 3");
        assert_int_equal(d.n_untagged, 1);
        assert_int_equal(take("n/a/3", "1", 7, false), 0);
        assert_int_equal(n_got, 3);
        assert_int_equal(d.n_untagged, 2);
        take("n/a/1", "2", 8, false); /* known ones go on */
        assert_int_equal(n_got, 4);
        end();
}

/* A flood has the table; what the configuration names comes all the same. */
static void test_a_configured_name_has_room(void **state)
{
        begin(1);
        take("n/a/1", "1", 0, false);
        take("n/a/2", "1", 0, false);
        assert_int_equal(n_got, 1);
        take("b/any", "1", 0, false);
        assert_int_equal(n_got, 2);
        assert_true(tags_get(d.tags, got[1].tag)->configured);
        take("j/humidity", "{\"v\":40}", 0, false); /* the source is, the tag is not */
        assert_int_equal(n_got, 2);
        end();
}

static void test_a_source_of_another_item(void **state)
{
        begin(100);
        take("n/p-3/pressure", "3.5", 0, false);
        assert_int_equal(n_got, 1);
        tags_claim(d.tags, "modbus", "plc-1", "p-3", NULL); /* by a reload: the topic is known */
        tags_claim(d.tags, "modbus", "plc-1", "p-4", NULL);
        assert_int_equal(take("n/p-3/pressure", "3.6", 9, false), 0);
        assert_int_equal(take("f/l1/p-4/telemetry", "{\"temp\":1,\"vib\":2}", 10, false), 0);
        assert_int_equal(n_got, 1);
        assert_string_equal(reason, "p-4 belongs to modbus plc-1");
        assert_string_equal(origin, "f/l1/p-4/telemetry");
        assert_int_equal(d.n_untagged, 3);
        assert_int_equal(d.n_malformed, 2);
        take("n/p-5/pressure", "3.5", 0, false);
        assert_int_equal(n_got, 2);
        tags_release(d.tags, "plc-1");
        take("n/p-3/pressure", "3.7", 0, false);
        assert_int_equal(n_got, 3);
        end();
}

static void test_a_forgotten_tag_is_made_anew(void **state)
{
        begin(2);
        take("n/a/1", "1", 0, false);
        assert_true(tags_forget(d.tags, got[0].tag));
        take("n/a/1", "2", 0, false);
        assert_int_equal(n_got, 2);
        assert_int_not_equal(got[0].tag, got[1].tag);
        check_tag(&got[1], "a", "1", "bar", "");
        end();
}

static void test_no_room(void **state)
{
        begin(100);
        full = true;
        assert_int_equal(take("f/l1/p-3/telemetry", "{\"temp\":1}", 6, false), DRIVER_E_WAIT);
        assert_int_equal(d.n_absent, 0); /* counted when it is taken */
        full = false;
        mqtt_redelivery_begin(in.redelivery, true);
        assert_int_equal(take("f/l1/p-3/telemetry", "{\"temp\":1}", 6, true), 0);
        assert_int_equal(n_got, 1); /* it was not taken before, so it is new */
        assert_int_equal(d.n_redelivered, 0);
        assert_int_equal(d.n_absent, 1);
        end();
}

/* What a crash leaves: some of it is in the spool, some is not. */
static void test_redelivery_after_crash(void **state)
{
        char payload[40];

        begin(100);
        for (int i = 1; i <= 20; i++) {
                snprintf(payload, sizeof(payload), "{\"temp\":%d,\"vib\":1}", i % 3);
                take("f/l1/p-3/telemetry", payload, (uint16_t)i, false);
        }
        memset(in.redelivery, 0, sizeof(*in.redelivery)); /* a new process */
        mqtt_redelivery_init(in.redelivery);
        mqtt_intake_recall(&in);
        mqtt_redelivery_begin(in.redelivery, true);
        for (int i = 10; i <= 25; i++) {
                snprintf(payload, sizeof(payload), "{\"temp\":%d,\"vib\":1}", i % 3);
                take("f/l1/p-3/telemetry", payload, (uint16_t)i, true);
        }
        assert_int_equal(d.n_redelivered, 11);
        assert_int_equal(n_got, 40 + 2 * 5);
        assert_true(mqtt_redelivery_looking(in.redelivery));
        take("n/a/b", "1", 26, false);
        assert_false(mqtt_redelivery_looking(in.redelivery));
        take("f/l1/p-3/telemetry", "{\"temp\":1,\"vib\":1}", 1, true); /* the phase is over */
        assert_int_equal(d.n_redelivered, 11);
        end();
}

static struct mqtt_print print_of(const struct reading *r)
{
        struct mqtt_print p;

        mqtt_print_start(&p);
        mqtt_print_add(&p, r);
        return p;
}

/* A new message must never be taken for an old one. */
static void test_redelivery_of_a_tag_with_another_unit(void **state)
{
        uint32_t tag;

        begin(100);
        take("n/a/b", "1", 1, false);
        assert_int_equal(tags_intern(d.tags, "a", "b", "psi", "", "plant", &tag), 0);
        for (uint16_t i = 2; i <= 20; i++)
                take("n/a/b", "1", i, false);
        memset(in.redelivery, 0, sizeof(*in.redelivery));
        mqtt_redelivery_init(in.redelivery);
        mqtt_intake_recall(&in);
        mqtt_redelivery_begin(in.redelivery, true);
        take("n/a/b", "1", 20, true);
        assert_int_equal(d.n_redelivered, 1);
        assert_int_equal(n_got, 20);
        end();
}

static void test_what_is_not_a_redelivery(void **state)
{
        const struct reading old = {
                .tag = 3, .type = READING_F64, .v.f64 = 5, .ts_us = 1000000, .flags = READING_SOURCE_TIME};
        const struct {
                const char *what;
                uint16_t mid;
                bool dup, session, known;
                struct reading r;
        } rows[] = {
                {"the same", 7, true, true, true, old},
                {"not DUP", 7, false, true, false, old},
                {"new session", 7, true, false, false, old},
                {"another packet id", 8, true, true, false, old},
                {"another value",
                 7,
                 true,
                 true,
                 false,
                 {.tag = 3, .type = READING_F64, .v.f64 = 6, .ts_us = 1000000, .flags = READING_SOURCE_TIME}},
                {"another tag",
                 7,
                 true,
                 true,
                 false,
                 {.tag = 4, .type = READING_F64, .v.f64 = 5, .ts_us = 1000000, .flags = READING_SOURCE_TIME}},
                {"another type",
                 7,
                 true,
                 true,
                 false,
                 {.tag = 3, .type = READING_BOOL, .v.b = true, .ts_us = 1000000, .flags = READING_SOURCE_TIME}},
                {"another time",
                 7,
                 true,
                 true,
                 false,
                 {.tag = 3, .type = READING_F64, .v.f64 = 5, .ts_us = 1001000, .flags = READING_SOURCE_TIME}},
                {"a time moved by a tie",
                 7,
                 true,
                 true,
                 true,
                 {.tag = 3, .type = READING_F64, .v.f64 = 5, .ts_us = 1000002, .flags = READING_SOURCE_TIME}},
                {"a time moved far",
                 7,
                 true,
                 true,
                 true,
                 {.tag = 3,
                  .type = READING_F64,
                  .v.f64 = 5,
                  .ts_us = 5000000,
                  .flags = READING_SOURCE_TIME | READING_TIME_MOVED}},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct mqtt_redelivery *q = mem_alloc(sizeof(*q));
                struct mqtt_print p = print_of(&old);

                print_message("%s\n", rows[i].what);
                mqtt_redelivery_init(q);
                mqtt_redelivery_add(q, 7, &p);
                mqtt_redelivery_begin(q, rows[i].session);
                p = print_of(&rows[i].r);
                assert_int_equal(mqtt_redelivery_known(q, rows[i].mid, &p, rows[i].dup), rows[i].known);
                assert_false(mqtt_redelivery_known(q, rows[i].mid, &p, true)); /* used once */
                mqtt_redelivery_begin(q, rows[i].session); /* the link was lost again before it was acknowledged */
                assert_int_equal(mqtt_redelivery_known(q, rows[i].mid, &p, rows[i].dup), rows[i].known);
                free(q);
        }
}

static bool known(struct mqtt_redelivery *q, int mid, double value)
{
        struct reading r = {.tag = 1, .type = READING_F64, .v.f64 = value};
        struct mqtt_print p = print_of(&r);

        return mqtt_redelivery_known(q, (uint16_t)mid, &p, true);
}

static struct mqtt_redelivery *after(int n, int n_ids, bool constant)
{
        struct mqtt_redelivery *q = mem_alloc(sizeof(*q));
        struct reading r = {.tag = 1, .type = READING_F64};
        struct mqtt_print p;

        mqtt_redelivery_init(q);
        for (int i = 0; i < n; i++) {
                r.v.f64 = constant ? 1 : i;
                p = print_of(&r);
                mqtt_redelivery_add(q, (uint16_t)(1 + i % n_ids), &p);
        }
        mqtt_redelivery_begin(q, true);
        return q;
}

/* More than a broker should ever have under way, all of them acknowledged in vain. */
static void test_what_may_be_under_way_is_remembered(void **state)
{
        struct mqtt_redelivery *q = after(150000, 65535, false);

        for (int i = 150000 - MQTT_UNDER_WAY_MAX + 1; i < 150000; i++)
                assert_true(known(q, 1 + i % 65535, i));
        free(q);
}

/* A constant value and an id that came round: a new message, however like the old one it looks. */
static void test_an_id_that_came_round(void **state)
{
        struct mqtt_redelivery *q = after(65600, 65535, true);

        for (int mid = 66; mid < 81; mid++)
                assert_false(known(q, mid, 1));
        assert_true(known(q, 65, 1)); /* the last one before the resumption */
        free(q);
        q = after(10, 1, true); /* the lowest free id, again and again */
        assert_false(known(q, 1, 1));
        free(q);
        q = after(5000, 1000, true);
        assert_true(known(q, 1000, 1));
        assert_false(known(q, 400, 1));
        free(q);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_readings),
                cmocka_unit_test(test_absent_and_retained),
                cmocka_unit_test(test_what_was_set_aside_is_named),
                cmocka_unit_test(test_quarantine),
                cmocka_unit_test(test_a_configured_name_has_room),
                cmocka_unit_test(test_a_source_of_another_item),
                cmocka_unit_test(test_a_forgotten_tag_is_made_anew),
                cmocka_unit_test(test_no_room),
                cmocka_unit_test(test_redelivery_after_crash),
                cmocka_unit_test(test_redelivery_of_a_tag_with_another_unit),
                cmocka_unit_test(test_what_is_not_a_redelivery),
                cmocka_unit_test(test_what_may_be_under_way_is_remembered),
                cmocka_unit_test(test_an_id_that_came_round),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
