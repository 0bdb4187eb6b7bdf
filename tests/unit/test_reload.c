/*
 * test_reload: what a new configuration changes of the one that runs, as a plan.
 *
 * Both are read from texts as the daemon reads files; a plan is compared as words: which drivers go on (=), change (~),
 * come (+) and go (-), and which sections differ.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/text.h"
#include "agent/config/equal.h"
#include "agent/reload/plan.h"
#include "drivers/modbus/modbus.h"
#include "drivers/mqtt/mqtt.h"

#define HEAD                             \
        "gateway: gw-7\n"                \
        "spool: {path: /var/spool.db}\n" \
        "kafka: {brokers: [127.0.0.1:9092]}\n"

static struct config *load(const char *yaml)
{
        struct faults f = {.n = 0};
        struct config *c;

        if (config_load_text("t", yaml, strlen(yaml), &c, &f) < 0) {
                faults_print(&f, stderr);
                fail();
        }
        faults_fini(&f);
        return c;
}

static void put_plan(char *out, const struct reload_plan *p, const struct config *was, const struct config *is)
{
        for (size_t i = 0; i < p->n_drivers; i++) {
                const struct reload_driver *d = &p->drivers[i];
                const char *mark = d->is == RELOAD_NONE ? "-" : d->was == RELOAD_NONE ? "+" : d->changed ? "~" : "=";

                out += sprintf(out, "%s%s ", mark,
                               d->is == RELOAD_NONE ? was->drivers[d->was].name : is->drivers[d->is].name);
        }
        *out++ = '|';
        *out = '\0';
        for (size_t i = 0; p->sections[i]; i++)
                out += sprintf(out, " %s", p->sections[i]);
}

static void check(const char *was_yaml, const char *is_yaml, const char *expected)
{
        struct config *was = load(was_yaml), *is = load(is_yaml);
        struct reload_plan p;
        char words[1024] = "";

        reload_plan(&p, was, is);
        put_plan(words, &p, was, is);
        assert_string_equal(words, expected);
        assert_int_equal(p.n_kept + p.n_changed + p.n_added, is->n_drivers);
        assert_int_equal(p.n_kept + p.n_changed + p.n_removed, was->n_drivers);
        reload_plan_fini(&p);
        config_free(was);
        config_free(is);
}

static void test_the_same_in_other_words(void **state)
{
        check(HEAD "sim:\n  - {name: a, source: m, period: 1s, tags: [{tag: v}]}\n",
              "# moved, quoted, and a default written out\n"
              "sim:\n- tags:\n  - tag: \"v\"\n  period: 1000ms\n  source: 'm'\n  name: a\n" HEAD "log: {level: info}\n",
              "=a |");
}

static void test_drivers(void **state)
{
#define SIM(name, more) "  - {name: " name ", source: " name ", tags: [{tag: v" more "}]}\n"
        check(HEAD "sim:\n" SIM("a", "") SIM("b", "") SIM("c", ""),
              HEAD "sim:\n" SIM("d", "") SIM("c", "") SIM("a", ", unit: C"), "+d =c ~a -b | sim");
        check(HEAD, HEAD "sim:\n" SIM("a", ""), "+a | sim");
        check(HEAD "sim:\n" SIM("a", ""), HEAD, "-a | sim");
        /* a name that goes to another kind is another driver */
        check(HEAD "sim:\n" SIM("a", ""), HEAD "syslog:\n  - {name: a, listen: \"127.0.0.1:5514\"}\n",
              "+a -a | sim syslog");
#undef SIM
}

#define BUSES         "modbus:\n  - {name: one, port: \"tcp://h:502\"}\n  - {name: two, port: \"tcp://i:502\"}\n"
#define PROFILE(type) "profiles:\n  - {name: p, registers: [{tag: t, at: \"holding:0\", type: " type "}]}\n"

static void test_a_bus_is_its_devices_and_profiles(void **state)
{
        static const char was[] = HEAD BUSES PROFILE("int16") "devices:\n"
                                                              "  - {source: a, bus: one, unit: 1, profile: p}\n"
                                                              "  - {source: b, bus: two, unit: 1, profile: q}\n";
        static const char q[] = "  - {name: q, registers: [{tag: t, at: \"holding:0\", type: int16}]}\n";
        char from[2048], to[4096];

        snprintf(from, sizeof(from), "%s%s%s%s", HEAD BUSES PROFILE("int16"), q, "", strstr(was, "devices:"));
        check(from, from, "=one =two |");
        /* the profile of one of them */
        snprintf(to, sizeof(to), "%s%s%s", HEAD BUSES PROFILE("uint16"), q, strstr(was, "devices:"));
        check(from, to, "~one =two | profiles");
        /* one device more, and one on another bus */
        snprintf(to, sizeof(to), "%s  - {source: c, bus: two, unit: 2, profile: p}\n", from);
        check(from, to, "=one ~two | devices");
        snprintf(to, sizeof(to), "%s%s%s", HEAD BUSES PROFILE("int16"), q,
                 "devices:\n  - {source: a, bus: two, unit: 2, profile: p}\n  - {source: b, bus: two, unit: 1, "
                 "profile: q}\n");
        check(from, to, "~one ~two | devices");
        /* a profile nobody uses */
        snprintf(to, sizeof(to), "%s%s%s%s", HEAD BUSES PROFILE("int16"), q,
                 "  - {name: r, registers: [{tag: t, at: \"holding:0\", type: int16}]}\n", strstr(was, "devices:"));
        check(from, to, "=one =two | profiles");
}

#define MQTT(name, more)                              \
        "  - {name: " name ", url: \"mqtt://h\"" more \
        ", subscriptions: [{topic: \"f/{source}/{tag}\", payload: number}]}\n"

static void test_sections(void **state)
{
        check(HEAD, HEAD "site: x\nlog: {level: debug}\nlimits: {max_tags: 7}\nflash: {max_per_day: 1GiB}\n",
              "| site log limits flash");
        check(HEAD,
              "gateway: gw-7\nspool: {path: /var/spool.db, max_size: 2GiB}\nkafka: {brokers: [127.0.0.1:9092], linger: "
              "1ms}\n",
              "| spool kafka");
        check(HEAD "mqtt:\n" MQTT("a", ""), HEAD "mqtt:\n" MQTT("a", ", username: u"), "~a | mqtt");
        check(HEAD "mqtt:\n" MQTT("a", ""), HEAD "mqtt:\n" MQTT("a", "") "notify: {mqtt: {connection: a}}\n",
              "=a | notify");
}

static void test_the_notifiers_connection(void **state)
{
        static const struct {
                const char *was, *is;
                bool moved;
        } cases[] = {
                {HEAD "mqtt:\n" MQTT("a", "") "notify: {mqtt: {connection: a}}\n",
                 HEAD "mqtt:\n" MQTT("a", "") MQTT("b", "") "notify: {mqtt: {connection: a}, journal: false}\n", false},
                {HEAD "mqtt:\n" MQTT("a", "") "notify: {mqtt: {connection: a}}\n",
                 HEAD "mqtt:\n" MQTT("a", ", username: u") "notify: {mqtt: {connection: a}}\n", true},
                {HEAD "mqtt:\n" MQTT("a", ""), HEAD "mqtt:\n" MQTT("a", "") "notify: {mqtt: {connection: a}}\n", true},
                {HEAD "mqtt:\n" MQTT("a", "") "notify: {mqtt: {connection: a}}\n", HEAD "mqtt:\n" MQTT("a", ""), true},
                {HEAD, HEAD, false},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct config *was = load(cases[i].was), *is = load(cases[i].is);
                struct reload_plan p;

                reload_plan(&p, was, is);
                assert_int_equal(p.notify_mqtt, cases[i].moved);
                reload_plan_fini(&p);
                config_free(was);
                config_free(is);
        }
}

#define RULE(name, hi) "  - {name: " name ", match: \"*/*\", rule: limits, hi: " hi "}\n"

#define NAMELESS "  - {match: \"*/*\", rule: limits, hi: 3}\n"

static void test_rules_find_themselves(void **state)
{
        struct config *was = load(HEAD "alarms:\n" RULE("a", "1") RULE("b", "2") NAMELESS NAMELESS);
        struct config *is = load(HEAD "alarms:\n" NAMELESS RULE("a", "1") RULE("b", "9"));
        struct reload_plan p;

        reload_plan(&p, was, is);
        assert_int_equal(p.same_rules[0], 2);
        assert_int_equal(p.same_rules[1], 0);
        assert_int_equal(p.same_rules[2], 1);
        assert_int_equal(p.same_rules[3], 0); /* its twin has been found already */
        reload_plan_fini(&p);
        config_free(was);
        config_free(is);
}

/* Every key of every item: another value is another item, the same is the same. */
static void test_each_kind_of_value_counts(void **state)
{
        struct mqtt_sub_conf sub[2] = {{.topic = "a", .payload = MQTT_JSON}, {.topic = "b"}};
        struct mqtt_conf a = {.name = "n", .url = "u", .qos = 1, .max_payload_bytes = 5, .subscriptions = {sub, 1}},
                         b = a;
        struct modbus_register_conf r = {.tag = "t", .convert = {.scale = 1, .offset = __builtin_nan("")}}, s = r;

        assert_true(config_same(&mqtt_schema, &a, &b));
        b.username = "x";
        assert_false(config_same(&mqtt_schema, &a, &b));
        b = a;
        b.max_payload_bytes = UINT64_C(1) << 33 | 5;
        assert_false(config_same(&mqtt_schema, &a, &b));
        b = a;
        b.subscriptions.n = 2;
        assert_false(config_same(&mqtt_schema, &a, &b));
        b = a;
        b.subscriptions.items = &sub[1];
        assert_false(config_same(&mqtt_schema, &a, &b));
        b = a;
        b.at.line = 9; /* where it stood is not what it says */
        assert_true(config_same(&mqtt_schema, &a, &b));
        for (const struct schema_key *k = modbus_profile_schema.keys; k->name; k++) {
                if (k->type != SCHEMA_LIST)
                        continue;
                assert_true(config_same(k->sub, &r, &s));
                s.convert.offset = 0;
                assert_false(config_same(k->sub, &r, &s));
        }
}

static void test_what_needs_a_restart_stays(void **state)
{
        struct config *was = load(HEAD);
        struct config *is = load("gateway: gw-8\nspool: {path: /other/s.db, max_size: 2GiB}\n"
                                 "kafka: {brokers: [b:1], window_records: 777, delivery: exactly_once}\ncontrol: "
                                 "{socket: /run/x.sock}\n");
        const char *keys[RELOAD_KEYS_MAX];
        struct reload_plan p;
        char words[256] = "";

        assert_int_equal(reload_hold_back(is, was, keys), 5);
        assert_string_equal(keys[0], "gateway");
        assert_string_equal(keys[1], "spool.path");
        assert_string_equal(keys[2], "control.socket");
        assert_string_equal(keys[3], "kafka.window_records");
        assert_string_equal(keys[4], "kafka.delivery");
        assert_string_equal(is->gateway, "gw-7");
        assert_string_equal(is->spool.path, "/var/spool.db");
        assert_string_equal(is->control_socket, "/var/millrace.sock");
        assert_int_equal(is->kafka.window_records, was->kafka.window_records);
        assert_int_equal(is->spool.max_size_bytes, UINT64_C(2) << 30);
        reload_plan(&p, was, is);
        put_plan(words, &p, was, is);
        assert_string_equal(words, "| spool kafka");
        reload_plan_fini(&p);
        config_free(was); /* what was held back is a copy */
        assert_string_equal(is->gateway, "gw-7");
        was = load(HEAD);
        config_free(is);
        is = load("gateway: gw-7\nspool: {path: /other/s.db}\nkafka: {brokers: [127.0.0.1:9092]}\n");
        assert_int_equal(reload_hold_back(is, was, keys), 1); /* the socket beside it is not told by itself */
        config_free(is);
        is = load(HEAD);
        assert_int_equal(reload_hold_back(is, was, keys), 0);
        config_free(was);
        config_free(is);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_same_in_other_words),
                cmocka_unit_test(test_drivers),
                cmocka_unit_test(test_a_bus_is_its_devices_and_profiles),
                cmocka_unit_test(test_sections),
                cmocka_unit_test(test_the_notifiers_connection),
                cmocka_unit_test(test_rules_find_themselves),
                cmocka_unit_test(test_each_kind_of_value_counts),
                cmocka_unit_test(test_what_needs_a_restart_stays),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
