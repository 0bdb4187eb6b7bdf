/*
 * mqtt_overlap: a topic of several subscriptions: each its own reading, once; the broker is asked for it once.
 */
#include "drivers/mqtt/intake.h"
#include "drivers/mqtt/session.h"
#include "tests/lib/driver_bench.h"

static struct mqtt_reading_conf by_json[] = {{.tag = "v", .value = "/v"}};
static struct mqtt_sub_conf subs[] = {
        {.topic = "z/special", .payload = MQTT_NUMBER, .source = "one", .tag = "special"},
        {.topic = "z/{source}", .payload = MQTT_NUMBER, .tag = "any"},
        {.topic = "z/{name}", .payload = MQTT_JSON, .source = "json", .readings = {by_json, 1}},
        {.topic = "z/#", .payload = MQTT_TEXT, .source = "all", .tag = "text", .retained = MQTT_RETAINED_SKIP},
        {.topic = "y/{source}", .payload = MQTT_NUMBER, .tag = "y"},
};
static const struct mqtt_conf conf = {.name = "plant", .max_payload_bytes = 200, .subscriptions = {subs, 5}};

static struct driver_bench b;
static struct mqtt_intake in;

static void note(struct driver *d, const struct reading *r)
{
        transcript_add("%s/", tags_get(d->tags, r->tag)->source);
        bench_note(d, r);
}

static void begin(void)
{
        struct err e = {""};

        bench_init(&b, &mqtt_ops, "plant", &conf);
        b.note = note;
        assert_int_equal(mqtt_intake_init(&in, &b.d, &e), 0);
}

static void end(void)
{
        mqtt_intake_fini(&in);
        bench_fini(&b);
}

static int take(const char *topic, const char *payload, uint16_t mid, bool retained)
{
        struct mqtt_message m = {
                .topic = topic, .payload = payload, .len = strlen(payload), .mid = mid, .retained = retained};

        return mqtt_intake_take(&in, &m);
}

static void test_each_its_own(void **state)
{
        begin();
        for (int i = 0; i < 2; i++) { /* the second time the topic is known */
                take("z/special", "5", 0, false);
                /* what one of them can't read is told, and keeps nobody from it who can */
                transcript_expect("one/special=5 special/any=5 all/text=5 kept(5) ");
                assert_non_null(strstr(b.d.last_error, "none of the configured values"));
        }
        take("z/other", "{\"v\":1}", 0, false);
        transcript_expect("json/v=1 all/text={\"v\":1} kept({\"v\":1}) ");
        take("y/a", "2", 0, false);
        transcript_expect("a/y=2 ");
        take("z", "up", 0, false);
        transcript_expect("all/text=up ");
        end();
}

/* Two subscriptions that say different units of one tag: what has the last one is good. */
static void test_two_units(void **state)
{
        static struct mqtt_reading_conf asked[] = {{.tag = "t", .value = "/v", .unit = "{/u}"}},
                                        fixed[] = {{.tag = "gone", .unit = "K"},
                                                   {.tag = "t", .value = "/v", .unit = "C"}},
                                        same[] = {{.tag = "{/n}", .value = "/v", .unit = "C"}};
        static struct mqtt_sub_conf both[] = {
                {.topic = "z/a", .payload = MQTT_JSON, .source = "s", .readings = {fixed, 2}},
                {.topic = "z/+", .payload = MQTT_JSON, .source = "s", .readings = {asked, 1}},
        };
        static const struct mqtt_conf two = {.name = "plant", .max_payload_bytes = 200, .subscriptions = {both, 2}};
        struct err e = {""};

        bench_init(&b, &mqtt_ops, "plant", &two);
        b.note = note;
        assert_int_equal(mqtt_intake_init(&in, &b.d, &e), 0);
        for (int i = 0; i < 2; i++) { /* the second time the topic is known */
                take("z/a", "{\"v\":1,\"u\":\"F\"}", 0, false);
                transcript_expect("s/t:config s/t=1 kept({\"v\":1,\"u\":\"F\"}) ");
                assert_non_null(strstr(b.d.last_error, "two units"));
        }
        take("z/a", "{\"v\":1,\"u\":\"C\"}", 0, false);
        transcript_expect("s/t=1 s/t=1 ");
        take("z/a", "{\"v\":1}", 0, false); /* no unit says nothing */
        transcript_expect("s/t=1 s/t=1 ");
        mqtt_intake_fini(&in);
        bench_fini(&b);
        both[0].readings = (struct schema_list){same, 1};
        bench_init(&b, &mqtt_ops, "plant", &two);
        b.note = note;
        assert_int_equal(mqtt_intake_init(&in, &b.d, &e), 0);
        take("z/a", "{\"v\":1,\"n\":\"t\",\"u\":\"F\"}", 0, false);
        transcript_expect("s/t:config s/t=1 kept({\"v\":1,\"n\":\"t\",\"u\":\"F\"}) ");
        take("z/a", "{\"v\":1,\"n\":\"x\",\"u\":\"F\"}", 0, false);
        transcript_expect("s/x=1 s/t=1 ");
        mqtt_intake_fini(&in);
        bench_fini(&b);
}

/* All of a message or none, whoever reads it; and once. */
static void on_pause(struct driver *d, bool on)
{
        transcript_add("paused ");
}

static const struct driver_ops paused_ops = {.pause = on_pause};

static void test_no_room(void **state)
{
        begin();
        b.room = 2;
        b.d.ops = &paused_ops;
        assert_int_equal(take("z/special", "5", 7, false), DRIVER_E_WAIT);
        transcript_expect("paused ");
        assert_int_equal(b.d.n_malformed, 0);
        b.room = SIZE_MAX;
        b.d.paused = false;
        assert_int_equal(take("z/special", "5", 7, false), 0);
        transcript_expect("one/special=5 special/any=5 all/text=5 kept(5) ");
        end();
}

static void test_retained_ones_can_be_left_out(void **state)
{
        begin();
        take("z/x", "5", 0, true);
        transcript_expect("x/any=5 kept(5) ");
        assert_int_equal(b.d.n_ignored, 0);
        take("z/deep/x", "5", 0, true); /* and it is counted when nobody reads it */
        transcript_expect("");
        assert_int_equal(b.d.n_ignored, 1);
        end();
}

static void test_topics_without_room_in_the_table(void **state)
{
        char topic[700] = "z/special";

        begin();
        memset(topic + 2, 'x', 600);
        topic[602] = '\0';
        for (int i = 0; i < 2; i++) {
                take(topic, "{\"v\":1}", 0, false);
                transcript_expect("json/v=1 all/text={\"v\":1} kept({\"v\":1}) ");
        }
        end();
}

static void test_the_broker_is_asked_for_the_widest(void **state)
{
        struct mqtt_session s;

        begin();
        mqtt_session_init(&s, &b.d, &in, "mqtt plant");
        assert_int_equal(s.n_asked, 2);
        assert_string_equal(s.asked[0].text, "z/#");
        assert_string_equal(s.asked[1].text, "y/+");
        assert_int_equal(s.asked[0].id, 0);
        assert_int_equal(s.n_left, 2); /* a session from before may have them */
        assert_string_equal(s.left[0].text, "z/special");
        assert_string_equal(s.left[1].text, "z/+");
        mqtt_session_fini(&s);
        end();
}

/* A broker that answers for one of two: the other one is not granted, and asked for again. */
static void test_fewer_answers_than_questions(void **state)
{
        struct mqtt_session s;
        int granted = 0;

        begin();
        mqtt_session_init(&s, &b.d, &in, "mqtt plant");
        s.asked[0].mid = s.asked[1].mid = 7;
        assert_int_equal(mqtt_session_granted(&s, NULL, 7, 1, &granted), 1);
        assert_int_equal(s.asked[0].answer, MQTT_GRANTED);
        assert_int_equal(s.asked[1].answer, MQTT_REFUSED);
        assert_non_null(strstr(b.d.last_error, "refuses the subscription of y/+"));
        mqtt_session_fini(&s);
        end();
}

/* A number that is to be a text is written somewhere: each subscription's stands until all are handed over. */
/* It is said once, and over when all are answered. */
static void test_no_answer(void **state)
{
        struct mqtt_session s;
        int granted[] = {0, 0};

        begin();
        mqtt_session_init(&s, &b.d, &in, "mqtt plant");
        for (int i = 0; i < 20; i++)
                mqtt_session_tick(&s); /* nothing is asked */
        assert_int_equal(b.d.n_errors, 0);
        s.asked[0].mid = s.asked[1].mid = 7;
        for (int i = 0; i < 4; i++)
                mqtt_session_tick(&s);
        assert_int_equal(b.d.n_errors, 0);
        for (int i = 0; i < 20; i++)
                mqtt_session_tick(&s);
        assert_int_equal(b.d.n_errors, 1);
        assert_true(b.d.error_stands);
        assert_string_equal(b.d.last_error, "the broker does not answer the subscription of z/# and 1 more");
        assert_int_equal(mqtt_session_granted(&s, NULL, 7, 2, granted), 0);
        assert_false(b.d.error_stands);
        mqtt_session_fini(&s);
        end();
}

static void test_texts_of_numbers_stay_apart(void **state)
{
        struct mqtt_reading_conf temp = {.tag = "temp", .convert.type = CONVERT_TEXT},
                                 hum = {.tag = "hum", .convert.type = CONVERT_TEXT};
        struct mqtt_sub_conf two[] = {
                {.topic = "t/{source}", .payload = MQTT_JSON, .readings = {&temp, 1}},
                {.topic = "t/#", .payload = MQTT_JSON, .source = "all", .readings = {&hum, 1}},
        };
        struct mqtt_conf own = {.name = "plant", .max_payload_bytes = 200, .subscriptions = {two, 2}};
        struct err e = {""};

        bench_init(&b, &mqtt_ops, "plant", &own);
        b.note = note;
        assert_int_equal(mqtt_intake_init(&in, &b.d, &e), 0);
        take("t/x", "{\"temp\":21.5,\"hum\":60.5}", 0, false);
        transcript_expect("x/temp=21.5 all/hum=60.5 ");
        end();
}

/* A broker that names a subscription the topic is not of: nothing is lost by that. */
static void test_identifiers_that_are_not_true(void **state)
{
        struct mqtt_sub_conf parts[] = {
                {.topic = "a/{source}/c", .payload = MQTT_NUMBER, .tag = "x"},
                {.topic = "a/b/{source}", .payload = MQTT_NUMBER, .tag = "y"},
                {.topic = "z/{source}", .payload = MQTT_NUMBER, .tag = "z"},
        };
        struct mqtt_conf own = {.name = "plant", .max_payload_bytes = 200, .subscriptions = {parts, 3}};
        struct mqtt_message m = {.payload = "5", .len = 1, .n_ids = 1};
        struct err e = {""};

        bench_init(&b, &mqtt_ops, "plant", &own);
        b.note = note;
        assert_int_equal(mqtt_intake_init(&in, &b.d, &e), 0);
        m.ids = &in.subs[1].id;
        assert_true(*m.ids > 0);
        for (int i = 0; i < 2; i++) {
                m.topic = "a/other/c";
                assert_int_equal(mqtt_intake_take(&in, &m), 0);
                transcript_expect("other/x=5 ");
                m.topic = "a/b/c";
                assert_int_equal(mqtt_intake_take(&in, &m), 0);
                transcript_expect("c/y=5 ");
                m.topic = "z/m";
                assert_int_equal(mqtt_intake_take(&in, &m), 0);
                transcript_expect("m/z=5 ");
        }
        end();
}

static int check(const char *a, const char *b_topic, int payload)
{
        struct mqtt_sub_conf two[] = {{.topic = a, .tag = "x"}, {.topic = b_topic, .tag = "y", .payload = payload}};
        struct mqtt_conf c = {.url = "mqtt://a", .qos = 1, .subscriptions = {two, 2}};
        const char *key = NULL;
        struct err e = {""};
        int r = mqtt_schema.check(&c, &key, &e);

        print_message("%s\n", e.text);
        return r;
}

static void test_check_takes_any_two(void **state)
{
        assert_int_equal(check("z/+", "z/special", MQTT_NUMBER), 0);
        assert_int_equal(check("z/{source}", "z/{name}", MQTT_NUMBER), 0);
        assert_int_equal(check("a/+/c", "a/b/+", MQTT_NUMBER), 0);
        assert_int_equal(check("a/+/c", "a/b/d", MQTT_NUMBER), 0);
        assert_int_equal(check("#", "spBv1.0/#", MQTT_SPARKPLUG_B), 0);
}

/* What nothing ever came for is known by its topic. */
static void test_silent_ones_are_named(void **state)
{
        char topics[200], few[8];

        begin();
        assert_int_equal(mqtt_intake_silent(&in, topics, sizeof(topics)), 5);
        take("y/a", "2", 0, false);
        assert_int_equal(mqtt_intake_silent(&in, topics, sizeof(topics)), 4);
        assert_null(strstr(topics, "y/{source}"));
        assert_int_equal(mqtt_intake_silent(&in, few, sizeof(few)), 4);
        take("z/special", "no number", 0, false); /* garbage is not silence */
        take("z/other", "{\"v\":1}", 0, false);
        take("z", "up", 0, false);
        assert_int_equal(mqtt_intake_silent(&in, topics, sizeof(topics)), 0);
        assert_string_equal(topics, "");
        end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_its_own),
                cmocka_unit_test(test_two_units),
                cmocka_unit_test(test_no_room),
                cmocka_unit_test(test_retained_ones_can_be_left_out),
                cmocka_unit_test(test_topics_without_room_in_the_table),
                cmocka_unit_test(test_texts_of_numbers_stay_apart),
                cmocka_unit_test(test_the_broker_is_asked_for_the_widest),
                cmocka_unit_test(test_identifiers_that_are_not_true),
                cmocka_unit_test(test_fewer_answers_than_questions),
                cmocka_unit_test(test_no_answer),
                cmocka_unit_test(test_check_takes_any_two),
                cmocka_unit_test(test_silent_ones_are_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
