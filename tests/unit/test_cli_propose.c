/*
 * Subscriptions proposed for messages as well-known products send them (their documentation's examples); each is
 * accepted by the configuration's own tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/propose.h"

enum { MESSAGES = 6 };

struct row {
        const char *product;
        struct {
                const char *topic, *payload;
        } messages[MESSAGES];
        const char *want[4]; /* each a whole line, in order */
};

static const struct row rows[] = {
        {"Tasmota",
         {{"tele/tasmota_83A1C5/SENSOR",
           "{\"Time\":\"2026-11-23T10:00:00\",\"AM2301\":{\"Temperature\":24.6,\"Humidity\":58.2},\"TempUnit\":\"C\"}"},
          {"tele/tasmota_83A1C5/LWT", "Online"}},
         {"{topic: \"tele/{source}/SENSOR\", payload: json, readings: [{tag: \"Temperature\", value: "
          "\"/AM2301/Temperature\"}, {tag: \"Humidity\", value: \"/AM2301/Humidity\"}]}"}},
        {"Zigbee2MQTT",
         {{"zigbee2mqtt/kitchen", "{\"temperature\":21.5,\"humidity\":45,\"battery\":97,\"linkquality\":120}"},
          {"zigbee2mqtt/hall", "{\"occupancy\":true,\"linkquality\":90,\"last_seen\":1796000000000}"}},
         {"{topic: \"zigbee2mqtt/{source}\", payload: json, time: \"/last_seen\", time_format: unix_ms, readings: "
          "[{tag: \"temperature\", value: \"/temperature\"}, {tag: \"humidity\", value: \"/humidity\"}, {tag: "
          "\"battery\", value: \"/battery\"}, {tag: \"linkquality\", value: \"/linkquality\"}, {tag: \"occupancy\", "
          "value: \"/occupancy\"}]}"}},
        {"Shelly 1st generation",
         {{"shellies/shelly1pm-8CAAB5/relay/0/power", "12.5"}, {"shellies/shelly1pm-8CAAB5/relay/0/energy", "4711"}},
         {"{topic: \"shellies/{source}/relay/0/{tag}\", payload: number}"}},
        {"Shelly Plus",
         {{"shellyplus1pm-a8032ab12c/status/switch:0",
           "{\"id\":0,\"output\":true,\"apower\":8.9,\"voltage\":237.5,\"temperature\":{\"tC\":41.0}}"}},
         {"{topic: \"{source}/status/switch:0\", payload: json, readings: [{tag: \"id\", value: \"/id\"}, {tag: "
          "\"output\", value: \"/output\"}, {tag: \"apower\", value: \"/apower\"}, {tag: \"voltage\", value: "
          "\"/voltage\"}, {tag: \"temperature_tC\", value: \"/temperature/tC\"}]}"}},
        {"ESPHome",
         {{"livingroom/sensor/temp/state", "21.4"},
          {"livingroom/sensor/wifi/state", "-61"},
          {"garage/sensor/temp/state", "9.5"}},
         {"{topic: \"{source}/sensor/{tag}/state\", payload: number}"}},
        {"ESPHome with a text sensor",
         {{"livingroom/sensor/temp/state", "21.4"},
          {"garage/sensor/temp/state", "9.5"},
          {"garage/sensor/door/state", "open"}},
         {"{topic: \"{source}/sensor/temp/state\", payload: number, tag: \"temp\"}",
          "{topic: \"{source}/sensor/door/state\", payload: text, tag: \"door\"}"}},
        {"ChirpStack 4",
         {{"application/b3f6/device/70b3d54998a12345/event/up",
           "{\"deduplicationId\":\"x\",\"time\":\"2026-11-23T10:00:00.123+00:00\",\"fCnt\":7,\"object\":{\"temp\":21.5}"
           ","
           "\"rxInfo\":[{\"rssi\":-60}]}"}},
         {"{topic: \"application/b3f6/device/{source}/event/up\", payload: json, time: \"/time\", time_format: "
          "iso8601, readings: [{tag: \"fCnt\", value: \"/fCnt\"}, {tag: \"object_temp\", value: \"/object/temp\"}]}"}},
        {"The Things Stack",
         {{"v3/farm@ttn/devices/eui-70b3d5/up",
           "{\"received_at\":\"2026-11-23T10:00:00Z\",\"uplink_message\":{\"decoded_payload\":{\"moisture\":31.5}}}"}},
         {"{topic: \"v3/farm@ttn/devices/{source}/up\", payload: json, time: \"/received_at\", time_format: iso8601, "
          "readings: [{tag: \"moisture\", value: \"/uplink_message/decoded_payload/moisture\"}]}"}},
        {"Neuron",
         {{"/neuron/line1/group1",
           "{\"node\":\"plc\",\"group\":\"group1\",\"timestamp\":1796000000123,\"values\":{\"tag0\":1.5,\"tag1\":2},"
           "\"errors\":{}}"}},
         {"{topic: \"/neuron/line1/{source}\", payload: json, time: \"/timestamp\", time_format: unix_ms, readings: "
          "[{tag: \"tag0\", value: \"/values/tag0\"}, {tag: \"tag1\", value: \"/values/tag1\"}]}"}},
        {"Kepware",
         {{"iotgateway/line1", "{\"timestamp\":1796000000000,\"values\":[{\"id\":\"ch.dev.A\",\"v\":20.5,\"q\":true,"
                               "\"t\":1796000000000},{\"id\":\"ch.dev.B\",\"v\":3,\"q\":true,\"t\":1796000000000}]}"}},
         {"{topic: \"iotgateway/{source}\", payload: json, each: \"/values\", time: \"/t\", time_format: unix_ms, "
          "readings: [{tag: \"{/id}\", value: \"/v\"}]}"}},
        {"an array",
         {{"plant/oven", "[{\"name\":\"temp\",\"value\":20.5}]"}},
         {"{topic: \"plant/{source}\", payload: json, each: \"\", readings: [{tag: \"{/name}\", value: \"/value\"}]}"}},
        {"Home Assistant statestream",
         {{"homeassistant/sensor/outdoor_temp/state", "11.2"}, {"homeassistant/sensor/pressure/state", "1012"}},
         {"{topic: \"homeassistant/sensor/{tag}/state\", payload: number}"}},
        {"rtl_433",
         {{"rtl_433/gw/devices/Acurite-Tower/A/123/temperature_C", "21.5"},
          {"rtl_433/gw/devices/Acurite-Tower/A/77/temperature_C", "20.5"}},
         {"{topic: \"rtl_433/gw/devices/Acurite-Tower/{source}/{level6}/{tag}\", payload: number}"}},
        {"a plant",
         {{"factory/l1/press/temp", "60"}, {"factory/l2/press/temp", "70"}, {"factory/l2/oven/temp", "210"}},
         {"{topic: \"factory/{level2}/{source}/{tag}\", payload: number}"}},
        {"Sparkplug", {{"spBv1.0/plant/NDATA/edge1", "\x08\x01"}}, {"{topic: \"spBv1.0/#\", payload: sparkplug_b}"}},
        {"one level", {{"temp", "3"}}, {"{topic: \"{tag}\", payload: number}"}},
        {"odd keys",
         {{"x/dev1", "{\"a/b\":1,\"c~d\":2,\"a b\":3,\"\":4,\"ts\":5}"}},
         {"{topic: \"x/{source}\", payload: json, readings: [{tag: \"a_b\", value: \"/a~1b\"}, {tag: \"c_d\", value: "
          "\"/c~0d\"}, {tag: \"a_b-2\", value: \"/a b\"}, {tag: \"value\", value: \"/\"}, {tag: \"ts\", value: "
          "\"/ts\"}]}"}},
};

static void assert_accepted(const char *sub)
{
        static const char head[] = "mqtt: [{name: p, url: \"mqtt://h\", subscriptions: [";
        char *text = mem_alloc(sizeof(head) + strlen(sub) + 8);

        sprintf(text, "%s%s]}]\n", head, sub);
        if (!part_accepted(text))
                fail_msg("not accepted: %s", sub);
        free(text);
}

static void test_products(void **state)
{
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct samples s = {0};
                struct proposal p;
                size_t n = 0;

                for (size_t k = 0; k < MESSAGES && rows[i].messages[k].topic; k++)
                        samples_add(&s, rows[i].messages[k].topic, rows[i].messages[k].payload,
                                    strlen(rows[i].messages[k].payload));
                propose(&s, &p);
                for (; n < 4 && rows[i].want[n]; n++) {
                        if (n >= p.n || strcmp(p.subs[n], rows[i].want[n]) != 0)
                                fail_msg("%s:\n%s\n  instead of\n%s", rows[i].product,
                                         n < p.n ? p.subs[n] : "(nothing)", rows[i].want[n]);
                }
                for (n = 0; n < p.n; n++)
                        assert_accepted(p.subs[n]);
                proposal_fini(&p);
                samples_fini(&s);
        }
}

static const char *proposed(const char *zone, const char *first, const char *second, char *notes)
{
        struct samples s = {.zone = zone, .local_us = INT64_C(1795428000000000)}; /* 2026-11-23T10:00:00 on the wall */
        static char text[400];
        struct proposal p;

        samples_add(&s, "tele/plug/SENSOR", first, strlen(first));
        if (second)
                samples_add(&s, "tele/plug/SENSOR", second, strlen(second));
        propose(&s, &p);
        assert_int_equal(p.n, 1);
        assert_accepted(p.subs[0]);
        snprintf(text, sizeof(text), "%s", p.subs[0]);
        snprintf(notes, 400, "%s", p.notes);
        proposal_fini(&p);
        samples_fini(&s);
        return text;
}

/* Tasmota's Time: believed to be of this machine's zone when it shows what a clock here shows. */
static void test_times_without_a_zone(void **state)
{
        static const char
                now[] = "{\"Time\":\"2026-11-23T10:00:01\",\"P\":5}",
                old[] = "{\"Time\":\"2026-11-20T10:00:00\",\"P\":5}",
                utc[] = "{\"Time\":\"2026-11-23T09:00:01\",\"P\":5}",
                both[] = "{\"Time\":\"2026-11-23T10:00:01\",\"P\":5,\"m\":{\"ts\":1795424400}}",
                each[] = "{\"v\":[{\"id\":\"a\",\"v\":1,\"t\":\"2026-11-23T10:00:01\"}]}",
                full[] = "{topic: \"tele/{source}/SENSOR\", payload: json, time: \"/Time\", time_format: iso8601, "
                         "time_zone: \"Europe/Berlin\", readings: [{tag: \"P\", value: \"/P\"}]}",
                bare[] = "{topic: \"tele/{source}/SENSOR\", payload: json, readings: [{tag: \"P\", value: \"/P\"}]}";
        char notes[400];

        assert_string_equal(proposed("Europe/Berlin", now, NULL, notes), full);
        assert_non_null(strstr(notes, "is it the device's?"));
        assert_string_equal(proposed("Europe/Berlin", old, now, notes), full); /* what was retained is older */
        assert_string_equal(proposed("Europe/Berlin", utc, NULL, notes), bare);
        assert_non_null(strstr(notes, "its times say no zone"));
        assert_string_equal(proposed(NULL, now, NULL, notes), bare);
        assert_non_null(strstr(notes, "its times say no zone"));
        assert_non_null(strstr(proposed("Europe/Berlin", both, NULL, notes), "time: \"/m/ts\", time_format: unix_s"));
        assert_string_equal(notes, "");
        assert_non_null(strstr(proposed("Europe/Berlin", each, NULL, notes),
                               "time: \"/t\", time_format: iso8601, time_zone: \"Europe/Berlin\""));
}

static void test_bounds(void **state)
{
        struct samples s = {0};
        struct proposal p;
        char topic[64];

        for (int i = 0; i < 3000; i++) {
                snprintf(topic, sizeof(topic), "f/dev%d/t%d", i % 50, i);
                samples_add(&s, topic, "1", 1);
        }
        assert_int_equal(s.n, SAMPLES_TOPICS_MAX);
        assert_int_equal(s.n_left_out, 1000);
        propose(&s, &p);
        assert_int_equal(p.n, 1);
        assert_string_equal(p.subs[0], "{topic: \"f/{source}/{tag}\", payload: number}");
        assert_non_null(strstr(p.notes, "1000 messages"));
        proposal_fini(&p);
        samples_fini(&s);
}

/* What can't be told apart by a pattern is never proposed twice. */
static void test_overlap(void **state)
{
        struct samples s = {0};
        struct proposal p;

        samples_add(&s, "x/a", "{\"v\":1}", 7);
        samples_add(&s, "x/b", "{\"v\":2}", 7);
        samples_add(&s, "x/c", "17", 2);
        propose(&s, &p);
        assert_int_equal(p.n, 1);
        assert_non_null(strstr(p.subs[0], "payload: json"));
        assert_non_null(strstr(p.notes, "\"x/c\""));
        proposal_fini(&p);
        samples_fini(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_products),
                cmocka_unit_test(test_times_without_a_zone),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_overlap),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
