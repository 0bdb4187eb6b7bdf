/*
 * mqtt_each: readings of the elements of a message, named by it; all or none.
 */
#include "tests/lib/mqtt_take.h"

static const char *good[] = {"true", "Good", "192"}, *uncertain[] = {"64", "Uncertain"};
static struct mqtt_reading_conf by_id[] = {{.tag = "{/id}", .value = "/v"}};

/* Ids differ from message to message, and so does their order. */
static void test_an_array(void **state)
{
        const struct mqtt_sub_conf sub = {.topic = "iotgateway",
                                          .payload = MQTT_JSON,
                                          .each = "/values",
                                          .source = "kep",
                                          .time = "/t",
                                          .time_format = MQTT_UNIX_MS,
                                          .quality = {"/q", {good, 3}, {uncertain, 2}},
                                          .readings = {by_id, 1}};

        assert_string_equal(
                TAKE(&sub, "iotgateway",
                     "{\"timestamp\":1795427999000,\"values\":["
                     "{\"id\":\"ch.dev.A\",\"v\":20.5,\"q\":true,\"t\":1795427999000},"
                     "{\"id\":\"ch.dev.B\",\"v\":7,\"q\":true,\"t\":1795427998000}]}",
                     "{\"values\":[{\"id\":\"ch.dev.B\",\"v\":8,\"q\":192,\"t\":1795427999500}]}",
                     "{\"values\":[{\"id\":\"ch.dev.B\",\"v\":9,\"q\":false,\"t\":1795427999500},"
                     "{\"id\":\"ch.dev.A\",\"v\":10,\"q\":\"good\"},{\"id\":\"ch.dev.A\",\"v\":11,\"q\":64.0},"
                     "{\"v\":12,\"id\":\"ch.dev.A\",\"q\":\"odd\"},{\"v\":13,\"id\":\"ch.dev.A\"},"
                     "{\"v\":14,\"id\":\"ch.dev.A\",\"q\":null}]}"),
                "kep/ch.dev.A=20.5@-1000 kep/ch.dev.B=7@-2000 kep/ch.dev.B=8@-500 kep/ch.dev.B:bad@-500 "
                "kep/ch.dev.A=10 kep/ch.dev.A=11? kep/ch.dev.A:bad kep/ch.dev.A=13 kep/ch.dev.A:bad ");
}

/* An element that has an error in place of its value says so of its tag. */
static void test_bad_without_a_value(void **state)
{
        static const char *none[] = {"0"};
        struct mqtt_reading_conf r[] = {{.tag = "{/name}", .value = "/value"}};
        const struct mqtt_sub_conf sub = {.topic = "n",
                                          .payload = MQTT_JSON,
                                          .each = "/tags",
                                          .quality = {.value = "/error", .good = {none, 1}},
                                          .readings = {r, 1}};

        assert_string_equal(
                TAKE(&sub, "n", "{\"tags\":[{\"name\":\"tag0\",\"value\":123},{\"name\":\"tag1\",\"error\":2014}]}"),
                "plant/tag0=123 plant/tag1:bad ");
}

static void test_members_and_what_the_message_has_once(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "{key}"}};
        const struct mqtt_sub_conf sub = {.topic = "neuron/{line}",
                                          .payload = MQTT_JSON,
                                          .each = "/values",
                                          .source = "{$/node}-{$/group}",
                                          .time = "$/timestamp",
                                          .time_format = MQTT_UNIX_MS,
                                          .readings = {r, 1}};

        assert_string_equal(
                TAKE(&sub, "neuron/l1",
                     "{\"values\":{\"tag0\":42,\"ta\\u0067\\n1\":\"a\\tb\",\"t2\":null,\"t3\":{},\"t4\":true},"
                     "\"node\":\"mod\\u0062us\",\"group\":7,\"timestamp\":1795427999000}"),
                "modbus-7/tag0=42@-1000 modbus-7/tag_1._0a=a\tb@-1000 modbus-7/t2:sensor@-1000 "
                "modbus-7/t3:config@-1000 modbus-7/t4=true@-1000 ");
}

/* Members that a pointer names by themselves are no elements. */
static void test_members_of_the_message(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "{key}.temp", .value = "/Temperature", .unit = "{$/TempUnit}"},
                                        {.tag = "{key}.hum", .value = "/Humidity", .unit = "%"}};
        const struct mqtt_sub_conf sub = {.topic = "tele/{source}/SENSOR",
                                          .payload = MQTT_JSON,
                                          .each = "",
                                          .time = "$/Time",
                                          .time_format = MQTT_ISO8601,
                                          .time_zone = "Europe/Berlin",
                                          .readings = {r, 2}};

        assert_string_equal(TAKE(&sub, "tele/hall/SENSOR",
                                 "{\"Time\":\"2026-11-23T10:59:59\",\"DS18B20-1\":{\"Temperature\":21.5},"
                                 "\"AM2301\":{\"Temperature\":20,\"Humidity\":51},\"TempUnit\":\"C\"}"),
                            "hall/DS18B20-1.temp=21.5[C]@-1000 hall/AM2301.temp=20[C]@-1000 "
                            "hall/AM2301.hum=51[%]@-1000 ");
}

static void test_names_without_each(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "temperature", .value = "/temperature_C", .unit = "degC"}};
        const struct mqtt_sub_conf sub = {
                .topic = "rtl_433/+/events", .payload = MQTT_JSON, .source = "{/model}-{/id}", .readings = {r, 1}};

        assert_string_equal(
                TAKE(&sub, "rtl_433/pi/events", "{\"model\":\"Nexus-TH\",\"id\":12,\"temperature_C\":21.4}"),
                "Nexus-TH-12/temperature=21.4[degC] ");
}

/* An element without its name: none of the message is taken, and it is said which. */
static void test_all_or_none(void **state)
{
        const struct mqtt_sub_conf sub = {
                .topic = "a", .payload = MQTT_JSON, .each = "/values", .max_elements = 3, .readings = {by_id, 1}};
        static const struct {
                const char *payload, *why;
        } rows[] = {
                {"{\"values\":[{\"id\":\"x\",\"v\":1},{\"v\":2}]}", "element 1: a name that is not there"},
                {"{\"values\":[{\"id\":\"x\",\"v\":1},{\"id\":{},\"v\":2}]}", "element 1: a name"},
                {"{\"values\":[{\"id\":\"x\",\"v\":1},{\"id\":\"\",\"v\":2}]}", "element 1: a name"},
                {"{\"values\":[{\"id\":\"x\",\"v\":1e999}]}", "element 0: a number beyond"},
                {"{\"values\":[{\"id\":\"x\"}]}", "none of the configured values is in any element"},
                {"{\"values\":[1,2,3,4]}", "more elements than max_elements"},
                {"{\"value\":[1]}", "nothing stands where `each` points"},
                {"{\"values\":7}", "nothing stands where `each` points"},
                {"{\"values\":[{\"id\":\"x\",\"v\":1}]", "not JSON"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const char *got = TAKE(&sub, "a", rows[i].payload);

                print_message("%s\n", why);
                assert_int_equal(strncmp(got, "kept(", 5), 0);
                assert_non_null(strstr(why, rows[i].why));
        }
        TAKE(&sub, "a", "{\"values\":[]}", "{\"values\":{}}"); /* nothing is lost by that */
        transcript_expect("");
}

/* Of two values under one name nobody knows which is meant: the message is no reading, however it is written. */
static void test_a_name_that_stands_twice(void **state)
{
        struct mqtt_reading_conf by_key[] = {{.tag = "{key}"}};
        struct mqtt_sub_conf sub = {
                .topic = "a", .payload = MQTT_JSON, .each = "/values", .time = "$/t", .readings = {by_id, 1}};
        static const char *const rows[] = {
                "{\"values\":[{\"id\":1,\"v\":1}],\"values\":[{\"id\":2,\"v\":2}]}",
                "{\"values\":[{\"id\":1,\"v\":1},{\"id\":2,\"v\":2,\"v\":2}]}",
                "{\"values\":[{\"id\":1,\"v\":1,\"\\u0069d\":1}]}",
                "{\"t\":1795427999,\"values\":[{\"id\":1,\"v\":1}],\"t\":1795427998}",
        };
        static const char *const members[] = {"{\"values\":{\"b\":1,\"a\":2,\"b\":3}}", "{\"values\":{\"\":1,\"\":2}}",
                                              "{\"values\":{\"a\\\"b\":1,\"c\":2,\"a\\u0022b\":1}}"};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                assert_int_equal(strncmp(TAKE(&sub, "a", rows[i]), "kept(", 5), 0);
                assert_non_null(strstr(why, JSON_TWICE));
        }
        assert_string_equal(
                TAKE(&sub, "a", "{\"values\":[{\"id\":1,\"v\":1,\"w\":2,\"w\":3},{\"id\":1,\"v\":2}],\"w\":1,\"w\":2}"),
                "plant/1=1 plant/1=2 "); /* w is not asked for; each element has a name once */
        sub.readings = (struct schema_list){by_key, 1};
        for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
                assert_int_equal(strncmp(TAKE(&sub, "a", members[i]), "kept(", 5), 0);
                assert_non_null(strstr(why, JSON_TWICE));
        }
        assert_string_equal(TAKE(&sub, "a", "{\"values\":{\"b\":1,\"a\":2}}"), "plant/b=1 plant/a=2 ");
}

/* As many members as an object may have, of which the last has the first one's name. */
static void test_many_names(void **state)
{
        struct mqtt_reading_conf by_key[] = {{.tag = "{key}"}};
        struct mqtt_sub_conf sub = {
                .topic = "a", .payload = MQTT_JSON, .each = "", .max_elements = 300, .readings = {by_key, 1}};
        static char text[300 * 16];
        char *to = text + sprintf(text, "{");

        for (int i = 0; i < 300; i++)
                to += sprintf(to, "\"k%d\":%d%c", i, i, i < 299 ? ',' : '}');
        assert_int_equal(strncmp(TAKE(&sub, "a", text), "plant/k0=0 ", 11), 0);
        memcpy(to - sizeof("\"k299\":299}") + 1, "\"k0\":299}  ", 12);
        TAKE(&sub, "a", text);
        assert_non_null(strstr(why, JSON_TWICE));
}

/* Readings of one tag that were gathered: its time is each element's. */
static void test_a_backlog(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "level", .value = "/1"}};
        const struct mqtt_sub_conf sub = {.topic = "b",
                                          .payload = MQTT_JSON,
                                          .each = "",
                                          .time = "/0",
                                          .time_format = MQTT_UNIX_S,
                                          .readings = {r, 1}};

        assert_string_equal(TAKE(&sub, "b", "[[1795427990,1.5],[1795427995,2.5]]"),
                            "plant/level=1.5@-10000 plant/level=2.5@-5000 ");
}

static void test_many(void **state)
{
        const struct mqtt_sub_conf sub = {
                .topic = "m", .payload = MQTT_JSON, .each = "/values", .max_elements = 1000, .readings = {by_id, 1}};
        static char text[40000];
        char *to = text + sprintf(text, "{\"values\":[");

        for (int i = 0; i < 250; i++)
                to += sprintf(to, "%s{\"id\":\"tag%d\",\"v\":%d}", i ? "," : "", i, i);
        strcpy(to, "]}");
        TAKE(&sub, "m", text, text);
        assert_int_equal(b.n_taken, 500);
        assert_int_equal(b.n_calls, 2);
}

/* Texts where numbers are meant, words, units: the conversion's; what does not fit is bad, and told. */
static void test_conversion(void **state)
{
        static const char *on[] = {"ON"}, *off[] = {"OFF"}, *gone[] = {"unavailable", "unknown"}, *code[] = {"0xFFFF"};
        static struct mqtt_reading_conf r[] = {{.tag = "value", .convert = {.type = CONVERT_NUMBER}},
                                               {.tag = "t", .unit = "degC"},
                                               {.tag = "raw", .convert = {.none = {code, 1}, .scale = 0.1}},
                                               {.tag = "plain"}};
        const struct mqtt_sub_conf json = {.topic = "a", .payload = MQTT_JSON, .readings = {r, 4}};
        const struct mqtt_sub_conf number = {.topic = "a/{tag}",
                                             .unit = "\xc2\xb0"
                                                     "C",
                                             .convert = {.decimal = CONVERT_COMMA, .bad = {gone, 2}}};
        const struct mqtt_sub_conf word = {.topic = "a/{tag}",
                                           .convert = {.yes = {on, 1}, .no = {off, 1}, .bad = {gone, 2}}};
        const struct mqtt_sub_conf usual = {.topic = "a/{tag}"};

        assert_string_equal(TAKE(&json, "a", "{\"value\":\"317.3988\"}",
                                 "{\"value\":71,\"t\":20,\"raw\":70,\"plain\":7}",
                                 "{\"t\":\"21.3 \xc2\xb0"
                                 "C\",\"raw\":65535,\"plain\":\"7\"}"),
                            "plant/value=317.3988 plant/value=71 plant/t=20[degC] plant/raw=7 plant/plain=7 "
                            "plant/t=21.3[degC] plant/raw:sensor plant/plain=7 ");
        assert_string_equal(TAKE(&json, "a", "{\"value\":\"open\",\"plain\":1}"),
                            "plant/value:sensor plant/plain=1 kept({\"value\":\"open\",\"plain\":1}) ");
        assert_non_null(strstr(why, "a text where a number is meant"));
        assert_string_equal(TAKE(&number, "a/t", "21,5",
                                 " 21,5 \xc2\xb0"
                                 "C\n",
                                 "\"21,5\"", "7", "unavailable", "nonsense"),
                            "plant/t=21.5[\xc2\xb0"
                            "C] plant/t=21.5[\xc2\xb0"
                            "C] plant/t=21.5[\xc2\xb0"
                            "C] plant/t=7[\xc2\xb0"
                            "C] plant/t:sensor[\xc2\xb0"
                            "C] plant/t:sensor[\xc2\xb0"
                            "C] kept(nonsense) ");
        assert_string_equal(TAKE(&word, "a/s", "ON", "off", "unknown", "true", "7"),
                            "plant/s=true plant/s=false plant/s:sensor plant/s=true plant/s:sensor kept(7) ");
        /* nothing configured: a word is refused, and the last good value does not stand */
        assert_string_equal(TAKE(&usual, "a/t", "unavailable", "20.5", "unavailable"),
                            "kept(unavailable) plant/t=20.5 plant/t:sensor kept(unavailable) ");
}

/* A serial number is one, however it is sent. */
static void test_numbers_that_are_texts(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "{key}", .convert.type = CONVERT_TEXT}};
        const struct mqtt_sub_conf sub = {.topic = "a", .payload = MQTT_JSON, .each = "", .readings = {r, 1}},
                                   bare = {.topic = "a", .tag = "t", .convert.type = CONVERT_TEXT};

        assert_string_equal(TAKE(&sub, "a", "{\"a\":4711,\"b\":-7,\"c\":21.5,\"d\":9007199254740991,\"e\":true}"),
                            "plant/a=4711 plant/b=-7 plant/c=21.5 plant/d=9007199254740991 plant/e=true ");
        assert_string_equal(TAKE(&bare, "a", "4711"), "plant/t=4711 ");
}

static void note_unit(struct driver *d, const struct reading *r)
{
        bench_note(d, r);
        transcript_add("[%s]", tags_unit(d->tags, r->tag)); /* in which it is kept */
}

/* A tag has one unit when its readings are handed over: the last one. */
static void test_two_units_in_a_message(void **state)
{
        struct mqtt_reading_conf r[] = {{.tag = "{/n}", .value = "/v", .unit = "{/u}"}};
        const struct mqtt_sub_conf sub = {.topic = "a", .payload = MQTT_JSON, .each = "", .readings = {r, 1}};

        mqtt_take_note = note_unit;
        assert_string_equal(
                TAKE(&sub, "a", "[{\"n\":\"t\",\"v\":20,\"u\":\"C\"},{\"n\":\"x\",\"v\":1,\"u\":\"C\"}]",
                     "[{\"n\":\"t\",\"v\":20,\"u\":\"C\"},{\"n\":\"t\",\"v\":68,\"u\":\"F\"},"
                     "{\"n\":\"x\",\"v\":1,\"u\":\"C\"}]",
                     "[{\"n\":\"t\",\"v\":21,\"u\":\"C\"}]"),
                "t=20[C] x=1[C] t:config[F] t=68[F] x=1[C] kept([{\"n\":\"t\",\"v\":20,\"u\":\"C\"},{\"n\":\"t\","
                "\"v\":68,\"u\":\"F\"},{\"n\":\"x\",\"v\":1,\"u\":\"C\"}]) t=21[C] ");
        mqtt_take_note = note;
        assert_non_null(strstr(why, "a tag with two units in one message"));
}

static const struct schema *sub_schema(void)
{
        const struct schema_key *k = mqtt_schema.keys;

        while (strcmp(k->name, "subscriptions"))
                k++;
        return k->sub;
}

static void test_what_check_refuses(void **state)
{
        static struct mqtt_reading_conf half[] = {{.tag = "{/id"}}, topic_name[] = {{.tag = "{line}"}},
                                        key[] = {{.tag = "{key}"}}, odd[] = {{.tag = "a b"}};
        static const struct {
                struct mqtt_sub_conf sub;
                const char *key, *why;
        } rows[] = {
                {{.topic = "a", .payload = MQTT_JSON, .readings = {half, 1}}, "readings", "without its other half"},
                {{.topic = "a", .payload = MQTT_JSON, .readings = {topic_name, 1}}, "readings", "begins with /"},
                {{.topic = "a", .payload = MQTT_JSON, .readings = {key, 1}}, "readings", "only with `each`"},
                {{.topic = "a", .payload = MQTT_JSON, .each = "x", .readings = {by_id, 1}}, "each", "begins with /"},
                {{.topic = "a", .payload = MQTT_JSON, .quality = {.value = "q"}, .readings = {by_id, 1}},
                 "quality",
                 "/"},
                {{.topic = "a", .payload = MQTT_JSON, .time = "t", .readings = {by_id, 1}}, "time", "/"},
                {{.topic = "a", .payload = MQTT_JSON, .source = "{/x", .readings = {by_id, 1}}, "source", "half"},
                {{.topic = "a", .payload = MQTT_JSON, .source = "a b", .readings = {by_id, 1}}, "source", "no name"},
                {{.topic = "a", .payload = MQTT_JSON, .time_pattern = "%H:%M", .readings = {by_id, 1}},
                 "time_pattern",
                 "year"},
                {{.topic = "a",
                  .payload = MQTT_JSON,
                  .time_format = MQTT_ISO8601,
                  .time_zone = "Mars/Base",
                  .readings = {by_id, 1}},
                 "time_zone",
                 "Mars/Base"},
                {{.topic = "a", .payload = MQTT_JSON, .time_zone = "UTC", .readings = {by_id, 1}}, "time_zone", "1970"},
                {{.topic = "a", .tag = "x", .each = ""}, "each", "only for"},
                {{.topic = "a", .tag = "x", .source = "{/a}"}, "source", "json"},
                {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .convert.type = CONVERT_NUMBER},
                 "payload",
                 "nothing of this payload"},
                {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .compressed = MQTT_GZIP},
                 "compressed",
                 "not with"},
                {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .quality.value = "/q"}, "quality", "not with"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct mqtt_sub_conf sub = rows[i].sub;
                const char *which = "";
                struct err e = {""};

                assert_int_equal(sub_schema()->check(&sub, &which, &e), -1);
                print_message("%s: %s\n", which, e.text);
                assert_string_equal(which, rows[i].key);
                assert_non_null(strstr(e.text, rows[i].why));
        }
        for (const struct schema_key *k = sub_schema()->keys; k->name; k++)
                if (!strcmp(k->name, "readings"))
                        assert_int_equal(k->sub->check(&odd[0], &(const char *){NULL}, &(struct err){""}), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_array),
                cmocka_unit_test(test_members_and_what_the_message_has_once),
                cmocka_unit_test(test_members_of_the_message),
                cmocka_unit_test(test_names_without_each),
                cmocka_unit_test(test_all_or_none),
                cmocka_unit_test(test_a_name_that_stands_twice),
                cmocka_unit_test(test_many_names),
                cmocka_unit_test(test_a_backlog),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_bad_without_a_value),
                cmocka_unit_test(test_conversion),
                cmocka_unit_test(test_numbers_that_are_texts),
                cmocka_unit_test(test_two_units_in_a_message),
                cmocka_unit_test(test_what_check_refuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
