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
        assert_int_equal(s.n_filters, 2);
        assert_string_equal(s.filters[0], "z/#");
        assert_string_equal(s.filters[1], "y/+");
        assert_int_equal(s.n_left, 2); /* a session from before may have them */
        assert_string_equal(s.left[0], "z/special");
        assert_string_equal(s.left[1], "z/+");
        mqtt_session_fini(&s);
        end();
}

/* A number that is to be a text is written somewhere: each subscription's stands until all are handed over. */
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

static void test_what_check_refuses(void **state)
{
        assert_int_equal(check("z/+", "z/special", MQTT_NUMBER), 0);
        assert_int_equal(check("z/{source}", "z/{name}", MQTT_NUMBER), 0);
        assert_int_equal(check("a/+/c", "a/b/+", MQTT_NUMBER), -1);
        assert_int_equal(check("a/+/c", "a/b/d", MQTT_NUMBER), 0);
        assert_int_equal(check("#", "spBv1.0/#", MQTT_SPARKPLUG_B), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_its_own),
                cmocka_unit_test(test_no_room),
                cmocka_unit_test(test_retained_ones_can_be_left_out),
                cmocka_unit_test(test_topics_without_room_in_the_table),
                cmocka_unit_test(test_texts_of_numbers_stay_apart),
                cmocka_unit_test(test_the_broker_is_asked_for_the_widest),
                cmocka_unit_test(test_what_check_refuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
