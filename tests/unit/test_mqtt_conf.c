/*
 * mqtt_conf: addresses, and what the checks behind the table refuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/mqtt/mqtt.h"

static void test_url(void **state)
{
        static const struct {
                const char *url, *host; /* NULL: refused */
                int port;
                bool tls;
        } rows[] = {
                {"mqtt://plant", "plant", 1883, false},
                {"mqtts://plant", "plant", 8883, true},
                {"mqtt://127.0.0.1:1884", "127.0.0.1", 1884, false},
                {"mqtt://[::1]:1884", "::1", 1884, false},
                {"mqtts://[fe80::1]", "fe80::1", 8883, true},
                {"mqtt://", NULL},
                {"mqtt://:1883", NULL},
                {"mqtt://[]:1883", NULL},
                {"mqtt://[::1", NULL},
                {"mqtt://[::1]x", NULL},
                {"mqtt://plant:", NULL},
                {"mqtt://plant:0", NULL},
                {"mqtt://plant:65536", NULL},
                {"mqtt://plant:+1", NULL},
                {"mqtt://plant:1883x", NULL},
                {"mqtt://plant/topic", NULL},
                {"mqtt://user:pw@plant", NULL},
                {"http://plant", NULL},
                {"plant:1883", NULL},
                {"", NULL},
        };
        struct mqtt_url url;
        struct err e;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                int r = mqtt_url_parse(&url, rows[i].url, &e);

                print_message("%s\n", rows[i].url);
                assert_int_equal(r, rows[i].host ? 0 : -1);
                if (r)
                        continue;
                assert_string_equal(url.host, rows[i].host);
                assert_int_equal(url.port, rows[i].port);
                assert_int_equal(url.tls, rows[i].tls);
        }
}

static void test_item(void **state)
{
        static const struct {
                struct mqtt_conf conf;
                const char *key; /* NULL: fine */
        } rows[] = {
                {{.url = "mqtt://a", .qos = 1}, NULL},
                {{.url = "mqtt://a", .qos = 0, .username = "u"}, NULL},
                {{.url = "mqtt://a", .qos = 2}, "qos"},
                {{.url = "mqtt://a:b", .qos = 1}, "url"},
                {{.url = "mqtt://a", .password_file = "/p"}, "password_file"},
                {{.url = "mqtt://a", .ca_file = "/c"}, "ca_file"},
                {{.url = "mqtts://a", .ca_file = "/c"}, NULL},
                {{.url = "mqtts://a", .cert_file = "/c"}, "cert_file"},
                {{.url = "mqtts://a", .key_file = "/c"}, "key_file"},
                {{.url = "mqtts://a", .cert_file = "/c", .key_file = "/k"}, NULL},
                {{.url = "mqtt://a", .client_id = ""}, "client_id"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct mqtt_conf conf = rows[i].conf;
                const char *key = "";
                struct err e = {""};
                int r = mqtt_schema.check(&conf, &key, &e);

                print_message("row %zu: %s\n", i, e.text);
                assert_int_equal(r, rows[i].key ? -1 : 0);
                if (rows[i].key)
                        assert_string_equal(key, rows[i].key);
        }
}

static const struct schema *sub_schema(void)
{
        const struct schema_key *k = mqtt_schema.keys;

        while (strcmp(k->name, "subscriptions"))
                k++;
        return k->sub;
}

static void test_subscription(void **state)
{
        static struct mqtt_reading_conf two[] = {{.tag = "a"}, {.tag = "b"}};
        static struct mqtt_reading_conf untagged[] = {{.value = "/v"}, {.value = "/w"}};
        static const struct {
                struct mqtt_sub_conf sub;
                const char *key;
        } rows[] = {
                {{.topic = "f/{source}/{tag}"}, NULL},
                {{.topic = "f/{source}/x", .tag = "x"}, NULL},
                {{.topic = "f/{source}/x"}, "tag"},
                {{.topic = "f/{source}/{tag}", .tag = "x"}, "tag"},
                {{.topic = "f/{source}/{tag}", .source = "x"}, "source"},
                {{.topic = "f/{tag}", .source = "x"}, NULL},
                {{.topic = "f/#/x", .tag = "x"}, "topic"},
                {{.topic = "f/{tag}", .time = "/t"}, "time"},
                {{.topic = "f/{tag}", .readings = {two, 2}}, "readings"},
                {{.topic = "f/{source}", .payload = MQTT_JSON, .readings = {two, 2}}, NULL},
                {{.topic = "f/{source}", .payload = MQTT_JSON, .readings = {two, 2}, .time = "/t"}, NULL},
                {{.topic = "f/{source}", .payload = MQTT_JSON, .readings = {two, 2}, .time = "t"}, "time"},
                {{.topic = "f/{source}", .payload = MQTT_JSON, .readings = {two, 2}, .tag = "x"}, "tag"},
                {{.topic = "f/{source}", .payload = MQTT_JSON, .readings = {two, 2}, .unit = "x"}, "unit"},
                {{.topic = "f/{source}", .payload = MQTT_JSON}, "readings"},
                {{.topic = "f/{tag}", .payload = MQTT_JSON, .readings = {two, 2}}, "readings"},
                {{.topic = "f/{tag}", .payload = MQTT_JSON, .readings = {untagged, 1}}, NULL},
                {{.topic = "f/{tag}", .payload = MQTT_JSON, .readings = {untagged, 2}}, "readings"},
                {{.topic = "f/{source}", .payload = MQTT_JSON, .readings = {untagged, 1}}, "readings"},
                {{.topic = "spBv1.0/plant/+/edge-3/#", .payload = MQTT_SPARKPLUG_B}, NULL},
                {{.topic = "plant/#", .payload = MQTT_SPARKPLUG_B}, "topic"},
                {{.topic = "spBv1.0/{group}/#", .payload = MQTT_SPARKPLUG_B}, "topic"},
                {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .source = "x"}, "source"},
                {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .tag = "x"}, "tag"},
                {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .unit = "x"}, "unit"},
                {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .time = "/t"}, "time"},
                {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .readings = {two, 2}}, NULL},
                {{.topic = "spBv1.0/#", .payload = MQTT_SPARKPLUG_B, .readings = {untagged, 1}}, "readings"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct mqtt_sub_conf sub = rows[i].sub;
                const char *key = NULL;
                struct err e = {""};
                int r = sub_schema()->check(&sub, &key, &e);

                print_message("row %zu: %s\n", i, e.text);
                assert_int_equal(r, rows[i].key ? -1 : 0);
                if (rows[i].key)
                        assert_string_equal(key, rows[i].key);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_url),
                cmocka_unit_test(test_item),
                cmocka_unit_test(test_subscription),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
