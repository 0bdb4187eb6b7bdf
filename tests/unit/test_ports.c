/*
 * What two items of a configuration can't both have, and rules that would take a period for silence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/config/config.h"

#define HEAD                             \
        "gateway: gw-7\n"                \
        "spool: {path: /var/spool.db}\n" \
        "kafka: {brokers: [127.0.0.1:9092]}\n"
#define MAP                                                                                                 \
        "profiles: [{name: p, period: 10s, registers: [{tag: v, at: \"holding:0\", type: int32}, "          \
        "{tag: w, at: \"holding:9\", period: 1m}]}, {name: q, registers: [{tag: x, at: \"holding:2\"}]},\n" \
        "  {name: r, registers: [{tag: y, at: \"holding:1\"}]}]\n"

struct sample {
        const char *yaml, *fault, *notice; /* NULL: none */
};

static char *as_text(const struct faults *f)
{
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        faults_print(f, out);
        fclose(out);
        return text;
}

static void expect(const char *told, const char *part, const char *yaml)
{
        if (part ? !strstr(told, part) : *told != '\0')
                fail_msg("%s\ntold: %s\nexpected: %s", yaml, told, part ? part : "nothing");
}

static void try_all(const struct sample *samples, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct faults faults = {0};
                struct config *c;
                char yaml[3000], *told;

                snprintf(yaml, sizeof(yaml), HEAD "%s", samples[i].yaml);
                config_load_text("t", yaml, strlen(yaml), &c, &faults);
                told = as_text(&faults);
                expect(told, samples[i].fault, yaml);
                free(told);
                if (c) {
                        told = as_text(&c->notices);
                        expect(told, samples[i].notice, yaml);
                        free(told);
                }
                config_free(c);
                faults_fini(&faults);
        }
}

#define TRY(samples) try_all(samples, sizeof(samples) / sizeof(*(samples)))
#define LINE(port)   "serial: [{name: s, port: \"" port "\", source: x, match: \"(?<t>.*)\", readings: [{tag: t}]}]\n"

#define METERS(port)                                     \
        "mbus: [{name: m, port: \"" port "\", devices: " \
        "[{source: y, address: 1, readings: [{tag: t, record: 0}]}]}]\n"

static void one_port_one_item(void **state)
{
        static const struct sample samples[] = {
                {"modbus: [{name: a, port: /dev/ttyS0}, {name: b, port: /dev/ttyS1}]\n", NULL, NULL},
                {"modbus: [{name: a, port: /dev/ttyS0}, {name: b, port: /dev/ttyS0}]\n",
                 "t:4:55: modbus[1].port: /dev/ttyS0 is used by modbus[0].port in t:4 already; allowed: one item",
                 NULL},
                {"modbus:\n- {name: a, port: /dev/ttyS0}\n- {name: b, port: /dev/ttyS0}\n- {name: c, port: "
                 "/dev/ttyS0}\n",
                 "t:7:19: modbus[2].port", NULL},
                {"modbus: [{name: a, port: /dev/ttyS0}, {name: b, port: /dev//../dev/./ttyS0}]\n", "t:4:55", NULL},
                {"modbus: [{name: a, port: /dev/ttyS0}]\n" LINE("/dev/ttyS0"),
                 "t:5:26: serial[0].port: /dev/ttyS0 is used", NULL},
                {"modbus: [{name: a, port: \"tcp://h:502\"}, {name: b, port: \"tcp://h:503\"}]\n", NULL, NULL},
                {"modbus: [{name: a, port: \"tcp://h:502\"}, {name: b, port: \"tcp://H\"}]\n", NULL,
                 "modbus[0].port has this address too (t:4): the device needs room for two connections"},
                {"modbus: [{name: a, port: \"rtu+tcp://h:502\"}, {name: b, port: \"tcp://h:502\"}]\n",
                 "t:4:62: modbus[1].port", NULL},
                {"modbus: [{name: a, port: \"rtu+tcp://[::1]:0502\"}, {name: b, port: \"ascii+tcp://[::1]\"}]\n",
                 "t:4:67: modbus[1].port", NULL},
                {"modbus: [{name: a, port: \"rtu+tcp://h:4001\"}]\n" LINE("tcp://h:4001"), "t:5:26: serial[0].port",
                 NULL},
                {LINE("/dev/ttyS0") METERS("/dev/ttyS0"), "t:5:24: mbus[0].port: /dev/ttyS0 is used", NULL},
                {METERS("tcp://h:4001") LINE("tcp://h:4001"), "mbus[0].port: tcp://h:4001 is used", NULL},
                {METERS("/dev/ttyS1") LINE("/dev/ttyS0"), NULL, NULL},
        };

        TRY(samples);
}

#define TWO(x, y) "modbus: [{name: a, port: /dev/ttyS0}, {name: b, port: /dev/ttyS1}]\n" MAP "devices:\n" x y

static void one_slave_one_device(void **state)
{
        static const struct sample samples[] = {
                {TWO("- {source: s, bus: a, unit: 1, profile: p}\n", "- {source: t, bus: a, unit: 2, profile: p}\n"),
                 NULL, NULL},
                {TWO("- {source: s, bus: a, unit: 1, profile: p}\n", "- {source: t, bus: b, unit: 1, profile: p}\n"),
                 NULL, NULL},
                {TWO("- {source: s, bus: a, unit: 1, profile: p}\n", "- {source: t, bus: a, unit: 1, profile: p}\n"),
                 "t:9:29: devices[1].unit: unit 1 of a is s in line 8 already, and both read holding:0", NULL},
                {TWO("- {source: s, bus: a, profile: p}\n", "- {source: t, bus: a, profile: p}\n"),
                 "t:9:12: devices[1].source: unit 1 of a is s in line 8 already", NULL},
                {TWO("- {source: s, bus: a, unit: 1, profile: p}\n", "- {source: t, bus: a, unit: 1, profile: q}\n"),
                 NULL, NULL},
                {TWO("- {source: s, bus: a, unit: 1, profile: p}\n", "- {source: t, bus: a, unit: 1, profile: r}\n"),
                 "both read holding:1", NULL},
        };

        TRY(samples);
}

static void a_tag_of_an_array_is_no_other(void **state)
{
        static const struct sample samples[] = {
                {"profiles: [{name: p, registers: [{tag: z, at: 1, type: bool, count: 3}, {tag: z-4, at: 9, type: "
                 "bool}]}]\n",
                 NULL, ""},
                {"profiles: [{name: p, registers: [{tag: z, at: 1, type: bool, count: 3}, {tag: z-3, at: 9, type: "
                 "bool}]}]\n",
                 "the tag z-3 is also one of the 3 of z", NULL},
        };

        TRY(samples);
}

#define SLAVE "modbus: [{name: a, port: /dev/ttyS0}]\n" MAP "devices: [{source: s, bus: a, profile: p}]\n"

static void a_period_is_no_silence(void **state)
{
        static const struct sample samples[] = {
                {SLAVE "alarms: [{match: s, rule: device_down, after: 11s}]\n", NULL, NULL},
                {SLAVE "alarms: [{match: s, rule: device_down}]\n", NULL, NULL},
                {SLAVE "alarms: [{match: s, rule: device_down, after: 10s}]\n",
                 "t:8:47: alarms[0].after: 10s, and s is read every 10s: it would be silent between its readings",
                 NULL},
                {SLAVE "alarms: [{match: \"*\", rule: device_down, after: 5s}]\n", "alarms[0].after", NULL},
                {SLAVE "alarms: [{match: other, rule: device_down, after: 5s}]\n", NULL, NULL},
                {SLAVE "alarms: [{match: s/v, rule: silent, after: 11s}]\n", NULL, NULL},
                {SLAVE "alarms: [{match: s/w, rule: silent, after: 11s}]\n", "11s, and s/w is read every 1m", NULL},
                {SLAVE "alarms: [{match: \"s/*\", rule: silent, after: 11s}]\n", "11s, and s/w is read every 1m", NULL},
                {SLAVE "alarms: [{match: s/w, rule: stuck, after: 11s}]\n", NULL, NULL},
                {"serial: [{name: s, port: /dev/ttyS0, source: x, poll: \"P\\r\\n\", period: 5s, match: \"(?<t>.*)\", "
                 "readings: [{tag: "
                 "t}]}]\n"
                 "alarms: [{match: x, rule: device_down, after: 3s}]\n",
                 "3s, and x is read every 5s", NULL},
                {"serial: [{name: s, port: /dev/ttyS0, source: x, match: \"(?<t>.*)\", readings: [{tag: t}]}]\n"
                 "alarms: [{match: x, rule: device_down, after: 3s}]\n",
                 NULL, NULL},
        };

        TRY(samples);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_port_one_item),
                cmocka_unit_test(one_slave_one_device),
                cmocka_unit_test(a_tag_of_an_array_is_no_other),
                cmocka_unit_test(a_period_is_no_silence),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
