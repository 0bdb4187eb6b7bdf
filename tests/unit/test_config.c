/*
 * test_config: what a configuration may say, and what is told when it says something else.
 *
 * Each fault is compared as a person sees it, line and column included: they are the interface.  "t" is the file's
 * name.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/config/config.h"
#include "agent/config/scalar.h"
#include "agent/config/walk.h"
#include "agent/rules/rules_conf.h"
#include "drivers/modbus/modbus.h"
#include "drivers/mqtt/mqtt.h"
#include "drivers/serial/serial.h"
#include "tests/lib/temp_dir.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))

#define KIND(kind) #kind ", "
#define KINDS      DRIVERS_EACH(KIND)

#define HEAD                             \
        "gateway: gw-7\n"                \
        "spool: {path: /var/spool.db}\n" \
        "kafka: {brokers: [127.0.0.1:9092]}\n"

/* What faults_print says, for free(). */
static char *told(const struct faults *f)
{
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        faults_print(f, out);
        fclose(out);
        return text;
}

static void check_told(const struct faults *f, const char *expected)
{
        char *text = told(f);

        if (strcmp(text, expected) != 0)
                fail_msg("told:\n%sexpected:\n%s", text, expected);
        free(text);
}

static void check_faults(const char *yaml, size_t len, const char *expected)
{
        struct faults f = {.n = 0};
        struct config *c;

        assert_int_equal(config_load_text("t", yaml, len, &c, &f), *expected ? -1 : 0);
        check_told(&f, expected);
        faults_fini(&f);
        config_free(c);
}

static struct config *load(const char *yaml)
{
        struct faults f = {.n = 0};
        struct config *c;

        if (config_load_text("t", yaml, strlen(yaml), &c, &f) < 0)
                check_told(&f, "");
        faults_fini(&f);
        return c;
}

static const struct {
        const char *yaml, *told;
} structure[] = {
        {HEAD, ""},
        {"", "t:1:1: the file is empty; a configuration is needed\n"},
        {"# nothing\n", "t:1:1: the file is empty; a configuration is needed\n"},
        {"---\n", "t:1:1: the file is empty; a configuration is needed\n"},
        {"~\n", "t:1:1: the file is empty; a configuration is needed\n"},
        {"gateway\n", "t:1:1: the file is a single value; allowed: a map of sections (section: …)\n"},
        {"- gateway\n", "t:1:1: the file is a list; allowed: a map of sections (section: …)\n"},
        {"site: a\n", "t:1:1: gateway: missing; it is required\nt:1:1: kafka: missing; it is required\n"},
        {HEAD "---\n" HEAD, "t:4:1: a second document begins; allowed: one\n"},
        {HEAD "site: [a\n", "t:4:7: the [ that opens here is not closed\n"},
        {HEAD "\tsite: a\n", "t:4:1: a tab indents this line; allowed: blanks\n"},
        {HEAD "site: \x01\n", "t:4:7: a control character (byte 0x01); allowed: UTF-8 text\n"},
        {HEAD "site: \"é\xff\"\n", "t:4:9: bytes that are not UTF-8; allowed: UTF-8 text\n"},
        {HEAD "site: \xed\xa0\x80\n", "t:4:7: bytes that are not UTF-8; allowed: UTF-8 text\n"},
        {"\xff\xfeg\n", "t:1:1: bytes that are not UTF-8; allowed: UTF-8 text\n"},
        {HEAD "site: &a plant\n", "t:4:7: an anchor (&a); allowed: plain values only\n"},
        {HEAD "site: !!str plant\n", "t:4:7: a tag (tag:yaml.org,2002:str); allowed: values without a tag\n"},
        {"gateway: &g gw-7\nsite: *g\n",
         "t:1:10: an anchor (&g); allowed: plain values only\nt:2:7: an alias (*g); allowed: the value, written out, "
         "or in quotes a text that begins with *\n"},
        {HEAD "<<: {site: a}\n", "t:4:1: a merge key (<<); allowed: the keys, written out\n"},
        {HEAD "? [a, b]\n: 1\n", "t:4:3: a list or map stands where a key belongs; allowed: key: value\n"},
        {HEAD "site: [[[[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]]]\n", "t:4:22: nested too deep; allowed: 16 levels\n"},
        {HEAD "site: a\nsite: b\n", "t:5:1: site: the key is here twice, first in line 4; allowed: once\n"},
        {HEAD "log: {levle: info}\n",
         "t:4:7: log: unknown key \"levle\"; allowed: level, per_minute (did you mean level?)\n"},
        {HEAD "log: {x: info}\n", "t:4:7: log: unknown key \"x\"; allowed: level, per_minute\n"},
        {HEAD "log:\n", "t:4:5: log: nothing is written here; allowed: a map (key: value)\n"},
        {HEAD "log: info\n", "t:4:6: log: a single value is written here; allowed: a map (key: value)\n"},
        {HEAD "log: [info]\n", "t:4:6: log: a list is written here; allowed: a map (key: value)\n"},
        {HEAD "mqtt: {name: a}\n", "t:4:7: mqtt: a map is written here; allowed: a list of maps (- key: value)\n"},
        {HEAD "mqtt: [a]\n", "t:4:8: mqtt[0]: a single value is written here; allowed: a map (key: value)\n"},
        {HEAD "sim: [{name: a, source: b, tags: []}]\n",
         "t:4:34: sim[0].tags: an empty list; allowed: at least one item\n"},
        {HEAD "mqtt: []\n", ""},
        {HEAD "site: {a: b}\n",
         "t:4:7: site: a map is written here; allowed: a name: 1 to 64 letters, digits, _ - .\n"},
        {HEAD "site: a/b~c\n",
         "t:4:7: site: \"a/b~c\" holds /, which no name may have; it could be a_b_c; allowed: a name: 1 "
         "to 64 letters, digits, _ - .\n"},
        {HEAD "site: a~20\n",
         "t:4:7: site: \"a~20\" holds ~, which no name may have; it could be a_20; allowed: a name: 1 to "
         "64 letters, digits, _ - .\n"},
        {HEAD "site: m\u00b3\n",
         "t:4:7: site: \"m\u00b3\" holds \u00b3, which no name may have; it could be m__; allowed: a "
         "name: 1 to 64 letters, digits, _ - .\n"},
        {HEAD "site:\n", "t:4:6: site: nothing is written here; allowed: a name: 1 to 64 letters, digits, _ - .\n"},
        {HEAD "site: null\n",
         "t:4:7: site: nothing is written here; allowed: a name: 1 to 64 letters, digits, _ - .\n"},
        {HEAD "log: {\"x\\x9b\\e\": info}\n", "t:4:7: log: unknown key \"x???\"; allowed: level, per_minute\n"},
        {HEAD "site: \"a\\0b\"\n", "t:4:7: site: \"a?b\" holds a NUL, which is not allowed\n"},
        {HEAD "\"si\\0te\": a\n", "t:4:1: unknown key \"si?te\"; allowed: gateway, site, spool, kafka, control, log, "
                                  "limits, metrics, page, flash, profiles_dir, " KINDS
                                  "profiles, devices, alarms, notify, thin (did you mean sim?)\n"},
};

static void test_structure(void **state)
{
        for (size_t i = 0; i < LENGTH(structure); i++)
                check_faults(structure[i].yaml, strlen(structure[i].yaml), structure[i].told);
        check_faults("a\0b", 3, "t:1:2: a control character (byte 0x00); allowed: UTF-8 text\n");
}

/* All that is wrong is told in one run, and nothing twice. */
static const struct {
        const char *yaml, *told;
} together[] = {
        /* a section that can't be read hides neither the others nor what they lack */
        {"gateway: gw 7\nkafka: {brokers: [a:1]\nspool: {path: x}\n",
         "t:1:10: gateway: \"gw 7\" is not a name; allowed: a name: 1 to 64 letters a to z, digits, _ - .\n"
         "t:2:8: the { that opens here is not closed\n"
         "t:3:15: spool.path: \"x\" is not an absolute path; allowed: an absolute path\n"},
        /* what is right is held against the rest, whatever else is wrong */
        {HEAD "site: a b\nsim: [{name: s, source: a, tags: [{tag: t}]}, {name: t, source: a, tags: [{tag: t}]}]\n"
              "syslog: [{name: s, listen: \"127.0.0.1:5514\"}]\n",
         "t:4:7: site: \"a b\" holds a blank, which no name may have; it could be a_b; allowed: a name: 1 to 64 "
         "letters, digits, _ - .\n"
         "t:5:81: sim[1].tags[0].tag: a/t is read by sim[0].tags[0].tag in t:5 already; allowed: one item for a "
         "source and tag\n"
         "t:6:17: syslog[0].name: \"s\" is used twice, first by sim[0].name in t:5; allowed: once over all drivers\n"},
        /* of devices too: one with a fault of its own, one whose bus has one, one whose bus is not there */
        {HEAD "modbus: [{name: l1, port: /dev/a}, {name: l2, port: b}]\n"
              "profiles: [{name: p, registers: [{tag: t, at: \"holding:0\"}]}]\n"
              "devices:\n"
              "  - {bus: l1, source: d1, unit: 999, profile: q}\n"
              "  - {bus: l2, source: d2, unit: 1, profile: p}\n"
              "  - {bus: l9, source: d3, unit: 1, profile: p}\n"
              "  - {bus: l1, source: d4, unit: 248, profile: p}\n",
         "t:4:53: modbus[1].port: \"b\" is not a port; allowed: /dev/…, or tcp://host:port, as tcp://10.0.0.5:502 or "
         "tcp://[fd00::5]; rtu+tcp:// and ascii+tcp:// for serial servers that pass bytes on\n"
         "t:7:33: devices[0].unit: \"999\" is out of range; allowed: 0 to 255\n"
         "t:7:47: devices[0].profile: \"q\" is not in profiles, nor in the library; allowed: a name from there\n"
         "t:9:11: devices[2].bus: \"l9\" is not in modbus; allowed: a name from there (did you mean l1?)\n"
         "t:10:33: devices[3].unit: a slave on a serial line has a unit from 1 to 247 (0 is for all at once, nobody "
         "answers)\n"},
        /* one whose name is wrong may be the one that is meant */
        {HEAD "mqtt: [{name: \"a b\", url: \"mqtt://h\", subscriptions: [{topic: a, source: b, tag: c}]}]\n"
              "notify: {mqtt: {connection: a}}\n",
         "t:4:15: mqtt[0].name: \"a b\" holds a blank, which no name may have; it could be a_b; allowed: a name: 1 to "
         "64 letters, digits, _ - .\n"},
};

static void test_all_faults_in_one_run(void **state)
{
        for (size_t i = 0; i < LENGTH(together); i++)
                check_faults(together[i].yaml, strlen(together[i].yaml), together[i].told);
}

static const struct {
        const char *value, *told; /* what follows "t:4:11: spool.X: " */
} scalars[] = {
        {"max_size: 5", "\"5\" has no unit; a size is needed: write 5MiB (B, kB, MB, GB, KiB, MiB, GiB)"},
        {"max_size: 5GB/s", "\"5GB/s\" is not a size; allowed: a number and B, kB, MB, GB, KiB, MiB or GiB, as 64KiB"},
        {"max_size: 1KiB", "\"1KiB\" is out of range; allowed: 4MiB to 1TiB"},
        {"commit_interval: 5", "\"5\" has no unit; a duration is needed: write 5s (us, ms, s, m, h, d)"},
        {"commit_interval: 0", "\"0\" has no unit; a duration is needed: write 0s (us, ms, s, m, h, d)"},
        {"commit_interval: soon", "\"soon\" is not a duration; allowed: a number and us, ms, s, m, h or d, as 5s"},
        {"commit_interval: 1h", "\"1h\" is out of range; allowed: 1ms to 1m"},
        {"batch_rows: 010", "\"010\" is not a whole decimal number; allowed: 100 to 20000"},
        {"batch_rows: 5e2", "\"5e2\" is not a whole decimal number; allowed: 100 to 20000"},
        {"batch_rows: 500.0", "\"500.0\" is not a whole decimal number; allowed: 100 to 20000"},
        {"batch_rows: 1_000", "\"1_000\" is not a whole decimal number; allowed: 100 to 20000"},
        {"batch_rows: \"500\"", "\"500\" is a quoted text, not a number; allowed: 100 to 20000"},
        {"batch_rows: 5", "\"5\" is out of range; allowed: 100 to 20000"},
        {"batch_rows: 99999999999999999999",
         "\"99999999999999999999\" is not a whole decimal number; allowed: 100 to 20000"},
        {"when_full: drop_oldset",
         "\"drop_oldset\" is not one of the choices; allowed: drop_oldest, drop_newest, block or thin (did you mean "
         "drop_oldest?)"},
        {"when_full: explode",
         "\"explode\" is not one of the choices; allowed: drop_oldest, drop_newest, block or thin"},
        {"path: spool.db", "\"spool.db\" is not an absolute path; allowed: an absolute path"},
        {"path: [a]", "a list is written here; allowed: an absolute path"},
};

static void test_scalars(void **state)
{
        for (size_t i = 0; i < LENGTH(scalars); i++) {
                size_t key = strcspn(scalars[i].value, ":");
                char yaml[300], expected[400];

                snprintf(yaml, sizeof(yaml), "gateway: g\nkafka: {brokers: [a:1]}\nspool:\n  %s\n", scalars[i].value);
                snprintf(expected, sizeof(expected), "t:4:%zu: spool.%.*s: %s\n", key + 5, (int)key, scalars[i].value,
                         scalars[i].told);
                check_faults(yaml, strlen(yaml), expected);
        }
}

static const struct {
        const char *yaml, *told;
} sections[] = {
        {"gateway: gw 7\nkafka: {brokers: [a:1]}\n",
         "t:1:10: gateway: \"gw 7\" is not a name; allowed: a name: 1 to 64 letters a to z, digits, _ - .\n"},
        {"gateway: g\nkafka: {brokers: [a:1], live_first: yes}\n",
         "t:2:37: kafka.live_first: \"yes\" is not a boolean; allowed: true or false\n"},
        {"gateway: g\nkafka: {brokers: [a:1], live_first: \"true\"}\n",
         "t:2:37: kafka.live_first: \"true\" is a quoted text, not a boolean; allowed: true or false\n"},
        {"gateway: g\nkafka: {brokers: 7}\n",
         "t:2:18: kafka.brokers: a single value is written here; allowed: a list of texts\n"},
        {"gateway: g\nkafka: {brokers: [a:1, 7, {b: 1}]}\n",
         "t:2:24: kafka.brokers[1]: 7 is a number; a text is needed: write \"7\" with the quotes\n"
         "t:2:27: kafka.brokers[2]: a map is written here; allowed: a text\n"},
        {"gateway: g\nkafka: {borkers: [a:1]}\n",
         "t:2:8: kafka.brokers: missing; it is required\n"
         "t:2:9: kafka: unknown key \"borkers\"; allowed: brokers, delivery, compression, rate_limit, live_first, "
         "backfill_after, backfill_rate_limit, hours, linger, window_records, window_bytes, samples_topic, "
         "events_topic, "
         "status_topic, "
         "backfill_topic, raw_topic, properties, secrets, token, client_id, seal, sign_key (did you mean brokers?)\n"},
        {HEAD "mqtt:\n  - {name: a, url: \"mqtt://h\", subscriptions: [{topic: \"a/{tag}\"}]}\n"
              "  - {name: a, url: \"mqtt://h\", subscriptions: [{topic: \"a/{tag}\"}]}\n",
         "t:6:12: mqtt[1].name: \"a\" is used twice, first in t:5; allowed: each once\n"},
        {HEAD "mqtt: [{name: a, url: \"mqtt://h\", subscriptions: [{topic: \"a/{tag}\"}]}]\n"
              "sim: [{name: a, source: s, tags: [{tag: t}]}]\n",
         "t:5:14: sim[0].name: \"a\" is used twice, first by mqtt[0].name in t:4; allowed: once over all drivers\n"},
        {HEAD "sim: [{name: a, source: s, tags: [{tag: t}]}, {name: b, source: s, tags: [{tag: u}, {tag: t}]}]\n",
         "t:4:91: sim[1].tags[1].tag: s/t is read by sim[0].tags[0].tag in t:4 already; allowed: one item for a source "
         "and"
         " tag\n"},
        {HEAD "mqtt: [{name: a, url: \"mqtt://h\", username: no, subscriptions: [{topic: \"a/{tag}\"}]}]\n",
         "t:4:45: mqtt[0].username: no is a boolean; a text is needed: write \"no\" with the quotes\n"},
        {HEAD "modbus: [{name: b, port: COM1}]\n",
         "t:4:26: modbus[0].port: \"COM1\" is not a port; allowed: /dev/…, or tcp://host:port, as tcp://10.0.0.5:502 "
         "or tcp://[fd00::5]; rtu+tcp:// and ascii+tcp:// for serial servers that pass bytes on\n"},
        {HEAD "modbus: [{name: b, port: \"tcp://h:0\"}]\n",
         "t:4:26: modbus[0].port: \"tcp://h:0\" is not a port; allowed: /dev/…, or tcp://host:port, as "
         "tcp://10.0.0.5:502 or tcp://[fd00::5]; rtu+tcp:// and ascii+tcp:// for serial servers that pass bytes on\n"},
        {HEAD "modbus: [{name: bus1, port: /dev/a}]\nprofiles: [{name: p, registers: [{tag: t, at: 20001}]}]\n",
         "t:5:47: profiles[0].registers[0].at: \"20001\" is not a register; allowed: coil:N, discrete:N, holding:N, "
         "input:N (N from 0 to 65535), or as manuals count from 1: 400001 or 40001 (holding), 300001 (input), 100001 "
         "(discrete), 1 (coil)\n"},
        {HEAD
         "modbus: [{name: bus1, port: /dev/a}]\nprofiles: [{name: p, registers: [{tag: t, at: 400001, type: bit}]}]\n",
         "t:5:34: profiles[0].registers[0].bit: missing; type bit needs which: 0 (lowest) to 15\n"},
        {HEAD "modbus: [{name: bus1, port: /dev/a, baud: 12345}]\n",
         "t:4:43: modbus[0].baud: 12345 is no speed of a serial port; allowed: 9600, 19200, 38400, 57600, 115200 and "
         "the "
         "like\n"},
        {HEAD "modbus: [{name: bus1, port: /dev/a}]\nprofiles: [{name: p, registers: [{tag: t, at: 400001}]}]\n"
              "devices: [{source: s, bus: bus1, unit: 0, profile: p}]\n",
         "t:6:40: devices[0].unit: a slave on a serial line has a unit from 1 to 247 (0 is for all at once, nobody "
         "answers)\n"},
        {HEAD "modbus: [{name: bus1, port: /dev/a}]\nprofiles: [{name: p, registers: [{tag: t, at: 400001}]}]\n"
              "devices: [{source: s, bus: bus2, profile: q}]\n",
         "t:6:28: devices[0].bus: \"bus2\" is not in modbus; allowed: a name from there (did you mean bus1?)\n"
         "t:6:43: devices[0].profile: \"q\" is not in profiles, nor in the library; allowed: a name from there\n"},
        {"gateway: g\nspool: {path: /s.db, batch_bytes: 100KiB}\nkafka: {brokers: [127.0.0.1:9092]}\n"
         "mqtt: [{name: a, url: \"mqtt://h\", max_payload: 101KiB, subscriptions: [{topic: \"a/{tag}\"}]}]\n",
         "t:4:48: mqtt[0].max_payload: more than the spool gathers in memory; allowed: up to 100KiB, the smaller of "
         "spool.batch_bytes and spool.max_size / 32\n"},
        {"gateway: g\nspool: {path: /s.db, max_size: 8MiB}\nkafka: {brokers: [127.0.0.1:9092]}\n"
         "mqtt: [{name: a, url: \"mqtt://h\", max_payload: 257KiB, subscriptions: [{topic: \"a/{tag}\"}]}]\n",
         "t:4:48: mqtt[0].max_payload: more than the spool gathers in memory; allowed: up to 256KiB, the smaller of "
         "spool.batch_bytes and spool.max_size / 32\n"},
        {HEAD "notify: {mqtt: {connection: wifi}}\n",
         "t:4:29: notify.mqtt.connection: \"wifi\" is not in mqtt; allowed: a name from there\n"},
        {HEAD "notify: {exec: {command: [andon]}}\n",
         "t:4:26: notify.exec.command: the command needs a program by its absolute path; no shell is used\n"},
        {HEAD "serial: [{name: s, port: \"tcp://h\", source: s, match: x, readings: [{tag: t}]}]\n",
         "t:4:26: serial[0].port: \"tcp://h\" has no host and port; allowed: tcp://host:port, tcp://[::1]:port\n"},
        {HEAD "serial: [{name: s, port: COM1, source: s, match: x, readings: [{tag: t}]}]\n",
         "t:4:26: serial[0].port: \"COM1\" is not a port; allowed: /dev/… or tcp://host:port\n"},
        {HEAD "serial: [{name: s, port: /dev/a, source: s}]\n",
         "t:4:10: serial[0].match: missing; a line needs an expression with named groups, as (?<weight>[0-9.]+)\n"},
        {HEAD "alarms: [{match: temp, rule: limits, hi: 1}]\n",
         "t:4:18: alarms[0].match: \"temp\" is not a pattern; allowed: source/tag, with * and ?, as press-*/temp\n"},
        {HEAD "alarms: [{match: a/b, rule: limits}]\n",
         "t:4:10: alarms[0]: rule limits without a limit; one of hihi, hi, lo, lolo is needed\n"},
        {HEAD "alarms: [{match: a/b, rule: limits, hi: 3, hihi: 2}]\n",
         "t:4:50: alarms[0].hihi: 2 is out of order; allowed: lolo < lo < hi < hihi\n"},
        {HEAD "alarms: [{match: a/b, rule: limits, hi: .5}]\n",
         "t:4:41: alarms[0].hi: \".5\" is not a decimal number; allowed: a number\n"},
        {HEAD "alarms: [{match: a/b, rule: rate, limit: 1}]\n",
         "t:4:10: alarms[0].over: missing; rule rate needs a span, as 10s\n"},
        {HEAD "alarms: [{match: a/b, rule: silent}, {match: a/b, rule: deviation}, {match: a/b, rule: off_normal}]\n",
         "t:4:10: alarms[0].after: missing; the rule needs a time, as 60s\n"
         "t:4:69: alarms[2].normal: missing; the rule needs the value that is normal\n"},
        {HEAD "alarms: [{match: a/b, rule: limits, hi: 1, sigma: 3}]\n",
         "t:4:51: alarms[0].sigma: means nothing in rule limits; leave it out\n"},
        /* all in one run, sorted by place */
        {"gatewya: g\nspool: {max_size: 1}\nkafka: {brokers: [a:1], linger: 5}\nmqtt: {}\n",
         "t:1:1: gateway: missing; it is required\n"
         "t:1:1: unknown key \"gatewya\"; allowed: gateway, site, spool, kafka, control, log, limits, metrics, page, "
         "flash, profiles_dir, " KINDS "profiles, devices, alarms, notify, thin (did you mean gateway?)\n"
         "t:2:19: spool.max_size: \"1\" has no unit; a size is needed: write 1MiB (B, kB, MB, GB, KiB, MiB, GiB)\n"
         "t:3:33: kafka.linger: \"5\" has no unit; a duration is needed: write 5s (us, ms, s, m, h, d)\n"
         "t:4:7: mqtt: a map is written here; allowed: a list of maps (- key: value)\n"},
};

static void test_sections(void **state)
{
        for (size_t i = 0; i < LENGTH(sections); i++)
                check_faults(sections[i].yaml, strlen(sections[i].yaml), sections[i].told);
}

/* What another module's check() finds is told at the key it names. */
static void test_checks_of_modules(void **state)
{
        static const char yaml[] = "gateway: g\nkafka:\n  linger: 5ms\n  brokers: [a]\n";
        struct faults f = {.n = 0};
        struct config *c;

        assert_int_equal(config_load_text("t", yaml, strlen(yaml), &c, &f), -1);
        assert_int_equal(f.n, 1);
        assert_int_equal(f.items[0].at.line, 4);
        assert_int_equal(f.items[0].at.column, 12);
        assert_memory_equal(f.items[0].text, "kafka.brokers: ", 15);
        faults_fini(&f);
}

static void test_defaults(void **state)
{
        struct config *c = load(HEAD);

        assert_string_equal(c->gateway, "gw-7");
        assert_null(c->site);
        assert_string_equal(c->spool.path, "/var/spool.db");
        assert_string_equal(c->control_socket, "/var/millrace.sock");
        assert_int_equal(c->log_level, LOG_INFO);
        assert_int_equal(c->max_tags, 50000);
        assert_int_equal(c->spool.max_size_bytes, 1 << 30);
        assert_int_equal(c->spool.when_full, SPOOL_DROP_OLDEST);
        assert_int_equal(c->spool.commit_interval_us, 1000000);
        assert_int_equal(c->spool.at.line, 2);
        assert_int_equal(c->spool.at.column, 8);
        assert_string_equal(c->spool.at.file, "t");
        assert_int_equal(c->n_drivers, 0);
        assert_int_equal(c->alarm_sections.notify.at.line, 0);
        assert_int_equal(c->notices.n, 1);
        config_free(c);
        c = load("gateway: g\nkafka: {brokers: [a:1]}\ncontrol: {socket: /run/m.sock}\nlog: {level: warn}\n"
                 "limits: {max_tags: 7}\n");
        assert_string_equal(c->spool.path, "/var/lib/millrace/spool.db");
        assert_int_equal(c->spool.at.line, 0);
        assert_string_equal(c->control_socket, "/run/m.sock");
        assert_int_equal(c->log_level, LOG_WARN);
        assert_int_equal(c->max_tags, 7);
        config_free(c);
}

static struct config *load_contract(const char *name)
{
        char path[512];
        struct faults f = {.n = 0};
        struct config *c;

        snprintf(path, sizeof(path), TEST_ROOT "/tests/fuzz/corpus/config/%s", name);
        if (config_load(path, &c, &f) < 0)
                check_told(&f, "");
        faults_fini(&f);
        return c;
}

static void test_river(void **state)
{
        struct config *c = load_contract("river.yaml");
        const struct mqtt_conf *mqtt = c->drivers[0].conf;
        const struct mqtt_sub_conf *subs = mqtt->subscriptions.items;
        const struct mqtt_reading_conf *readings = subs[1].readings.items;

        assert_int_equal(c->n_drivers, 1);
        assert_string_equal(c->drivers[0].name, "plant");
        assert_string_equal(c->drivers[0].ops->kind, "mqtt");
        assert_string_equal(mqtt->url, "mqtt://127.0.0.1:1883");
        assert_int_equal(mqtt->ack_delay_us, 1000000);
        assert_int_equal(mqtt->subscriptions.n, 2);
        assert_string_equal(subs[0].topic, "factory/{line}/{source}/{tag}");
        assert_int_equal(subs[0].payload, MQTT_NUMBER);
        assert_int_equal(subs[1].payload, MQTT_JSON);
        assert_int_equal(subs[1].time_format, MQTT_UNIX_MS);
        assert_int_equal(subs[1].readings.n, 2);
        assert_string_equal(readings[1].unit, "mm/s");
        assert_string_equal(((const char **)c->kafka.brokers.items)[0], "127.0.0.1:9092");
        assert_int_equal(c->notices.n, 0);
        config_free(c);
}

static void test_factory(void **state)
{
        struct config *c = load_contract("factory.yaml");
        const struct modbus_conf *modbus = c->drivers[1].conf;
        const struct modbus_profile_conf *profiles = c->profiles.items;
        const struct modbus_register_conf *meter = profiles[1].registers.items;
        const struct modbus_device_conf *devices = c->devices.items;
        const struct rule_conf *alarms = c->alarm_sections.alarms.items;
        const struct mqtt_conf *mqtt = c->drivers[0].conf;
        const struct serial_conf *serial = c->drivers[4].conf;

        assert_string_equal(c->site, "ulsan1");
        assert_int_equal(c->kafka.rate_limit_bytes_s, 256 * 1024);
        assert_true(c->kafka.live_first);
        assert_int_equal(c->kafka.properties.n, 3);
        assert_string_equal(((const char **)c->kafka.properties.items)[1], "sasl.mechanism=SCRAM-SHA-512");
        assert_string_equal(mqtt->password_file, "/etc/millrace/mqtt.password");
        assert_int_equal(c->n_drivers, 5);
        assert_ptr_equal(c->drivers[1].ops, &modbus_ops);
        assert_ptr_equal(modbus[0].devices, &devices[0]);
        assert_ptr_equal(devices[0].next, &devices[1]);
        assert_ptr_equal(devices[2].map, &profiles[1]);
        assert_int_equal(modbus[0].timeout_us, 300000);
        assert_int_equal(modbus[1].stop_bits, 2);
        assert_int_equal(profiles[0].word_order, 1);
        assert_string_equal(meter[0].where, "300001");
        assert_true(meter[1].convert.scale == 0.01);
        assert_int_equal(devices[3].unit, 255);
        assert_int_equal(devices[3].period_us, 100000);
        assert_int_equal(devices[0].period_us, 0);
        assert_int_equal(devices[0].retries, -1);
        assert_int_equal(devices[0].pause_us, -1);
        assert_int_equal(modbus[0].silence_us, -1);
        assert_int_equal(meter[0].bit, -1);
        assert_ptr_equal(c->drivers[4].ops, &serial_ops);
        assert_int_equal(serial->readings.n, 2);
        assert_int_equal(serial->max_frame, 0); /* what the framing's is */
        assert_true(alarms[0].hihi == 95 && isnan(alarms[0].lo));
        assert_int_equal(alarms[0].severity, 700);
        assert_int_equal(alarms[2].warm_up_us, 1800000000);
        assert_string_equal(c->alarm_sections.notify.mqtt.connection, "wifi");
        assert_int_equal(c->alarm_sections.notify.exec.command.n, 1);
        config_free(c);
}

/* A text in memory has no files to look for. */
/* A message may be no longer than what the spool takes of it. */
static void test_payloads_fit_the_spool(void **state)
{
        static const struct {
                const char *spool, *payload;
                uint64_t most;
        } rows[] = {
                {"", "", 256 << 10},
                {"max_size: 4MiB, ", "", 128 << 10},
                {"batch_bytes: 64KiB, ", "", 64 << 10},
                {"max_size: 4MiB, batch_bytes: 64KiB, ", "max_payload: 64KiB, ", 64 << 10},
                {"", "max_payload: 1MiB, ", 1 << 20},
                {"batch_bytes: 2MiB, ", "max_payload: 2MiB, ", 2 << 20},
        };
        char yaml[400];

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct config *c;
                const struct mqtt_conf *m;

                snprintf(yaml, sizeof(yaml),
                         "gateway: g\nspool: {%spath: /s.db}\nkafka: {brokers: [127.0.0.1:9092]}\n"
                         "mqtt: [{name: a, url: \"mqtt://h\", %ssubscriptions: [{topic: \"a/{tag}\"}]}]\n",
                         rows[i].spool, rows[i].payload);
                c = load(yaml);
                m = c->drivers[0].conf;
                assert_int_equal(m->max_payload_bytes, rows[i].most);
                assert_true(m->max_payload_bytes <= spool_text_most(&c->spool));
                config_free(c);
        }
}

static void test_notices(void **state)
{
        struct config *c =
                load(HEAD "sim: [{name: s, source: s, tags: [{tag: t}]}]\n"
                          "serial: [{name: l, port: /dev/a, source: l, match: \"(?<t>x)\", readings: [{tag: t}]}]\n"
                          "notify: {exec: {command: [/bin/true]}}\n"
                          "mqtt: [{name: a, url: \"mqtts://h\", username: u, password_file: /no/such, "
                          "subscriptions: [{topic: \"a/{tag}\"}]}]\n");

        check_told(&c->notices, "");
        config_free(c);
        c = load(HEAD "sim: [{name: s, source: s, tags: [{tag: t}]}]\n"
                      "mqtt: [{name: a, url: \"mqtt://h\", subscriptions: [{topic: b, source: s, tag: t}]}]\n");
        check_told(&c->notices, "t:4:41: sim[0].tags[0].tag: s/t comes from mqtt a as well (t:5): two items say it\n");
        config_free(c);
}

/* ---- files ---- */

struct folder {
        struct temp_dir dir;
        char main[TEMP_PATH_MAX];
};

static void put_file(const struct folder *d, const char *name, const char *text)
{
        char path[TEMP_PATH_MAX];

        temp_dir_write(temp_dir_path(&d->dir, name, path), text);
}

static void folder_init(struct folder *d)
{
        char sub[TEMP_PATH_MAX];

        temp_dir_init(&d->dir, "config");
        temp_dir_path(&d->dir, "m.yaml", d->main);
        assert_int_equal(mkdir(temp_dir_path(&d->dir, "conf.d", sub), 0755), 0);
}

/* What is allowed, and will make somebody sorry. */
static const struct {
        const char *yaml, *told;
} unwise[] = {
        {"spool: {path: /s, max_size: 64MiB}\nkafka: {brokers: [\"a:1\"]}\n"
         "sim: [{name: s, source: s, tags: [{tag: t}], period: 1s}]\n",
         ""},
        {"spool: {path: /s, max_size: 64MiB}\nkafka: {brokers: [\"a:1\"], properties: "
         "[security.protocol=sasl_plaintext]}\n"
         "sim: [{name: s, source: s, tags: [{tag: t}], period: 1ms}]\n",
         "t:2:29: spool.max_size: 64.0 MiB holds 2"},
        {"spool: {path: /s}\nkafka: {brokers: [\"a:1\"], properties: [security.protocol=SASL_PLAINTEXT]}\n",
         "t:3:40: kafka.properties[0]: the password crosses the network readable by all on the way; sasl_ssl hides it"},
        {"spool: {path: /s}\nkafka: {brokers: [\"127.0.0.1:1\"], properties: [security.protocol=sasl_plaintext]}\n",
         ""},
        {"spool: {path: /s}\nkafka: {brokers: [\"a:1\"]}\n"
         "mqtt: [{name: a, url: \"mqtt://h\", username: u, password_file: /p, subscriptions: [{topic: "
         "\"x/{tag}\"}]}]\n",
         "t:4:23: mqtt[0].url: the password crosses the network readable by all on the way; mqtts:// hides it"},
        {"spool: {path: /s}\nkafka: {brokers: [\"a:1\"]}\n"
         "mqtt: [{name: a, url: \"mqtt://h\", client_id: c, subscriptions: [{topic: \"x/{source}/{tag}\"}]}, "
         "{name: b, url: \"mqtt://h\", client_id: c, subscriptions: [{topic: \"x/y/{tag}\"}]}]\n",
         "t:4:134: mqtt[1].client_id: a has this client id at the same broker: each throws the other out"},
        {"spool: {path: /s}\nkafka: {brokers: [\"a:1\"]}\n"
         "mqtt: [{name: a, url: \"mqtt://h\", subscriptions: [{topic: \"x/{source}/{tag}\"}]}, "
         "{name: b, url: \"mqtt://h\", subscriptions: [{topic: \"y/{tag}\"}, {topic: \"x/y/{tag}\"}]}]\n",
         "a has x/{source}/{tag} at the same broker: a message that both match is read twice"},
};

static void test_what_is_unwise_is_told(void **state)
{
        for (size_t i = 0; i < LENGTH(unwise); i++) {
                char *yaml, *text;
                struct config *c;

                assert_true(asprintf(&yaml, "gateway: gw-7\n%s", unwise[i].yaml) > 0);
                c = load(yaml);
                text = told(&c->notices);
                if (!strstr(text, unwise[i].told) || (!*unwise[i].told && strstr(text, "t:2:")))
                        fail_msg("of:\n%stold:\n%sexpected:\n%s", yaml, text, unwise[i].told);
                free(text);
                free(yaml);
                config_free(c);
        }
}

static void test_fragments(void **state)
{
        struct folder d;
        struct faults f = {.n = 0};
        struct config *c;
        char expected[1200];

        folder_init(&d);
        put_file(&d, "m.yaml", HEAD "sim:\n  - {name: s0, source: a, tags: [{tag: t}]}\n");
        put_file(&d, "conf.d/20-b.yaml", "sim:\n  - {name: s2, source: b, tags: [{tag: t}]}\n");
        put_file(&d, "conf.d/10-a.yaml", "site: p\nsim:\n  - {name: s1, source: s, tags: [{tag: t}]}\n");
        put_file(&d, "conf.d/30-empty.yaml", "# nothing yet\n");
        put_file(&d, "conf.d/ignored.txt", "site: q\n");
        assert_int_equal(config_load(d.main, &c, &f), 0);
        assert_string_equal(c->site, "p");
        assert_int_equal(c->n_drivers, 3);
        assert_string_equal(c->drivers[0].name, "s0");
        assert_string_equal(c->drivers[1].name, "s1");
        assert_string_equal(c->drivers[2].name, "s2");
        config_free(c);

        put_file(&d, "conf.d/20-b.yaml", "gateway: g\nspool: {}\nsim:\n  - {name: s0, source: a, tags: 1}\n");
        assert_int_equal(config_load(d.main, &c, &f), -1);
        snprintf(expected, sizeof(expected),
                 "%s/conf.d/20-b.yaml:1:1: gateway: set twice, first in %s:1:1; allowed: in one file\n"
                 "%s/conf.d/20-b.yaml:2:1: spool: set twice, first in %s:2:1; allowed: in one file\n"
                 "%s/conf.d/20-b.yaml:4:12: sim[2].name: \"s0\" is used twice, first in %s:5; allowed: each once\n"
                 "%s/conf.d/20-b.yaml:4:33: sim[2].tags: a single value is written here; allowed: a list of maps (- "
                 "key: value)\n",
                 d.dir.path, d.main, d.dir.path, d.main, d.dir.path, d.main, d.dir.path);
        check_told(&f, expected);
        faults_fini(&f);
        temp_dir_fini(&d.dir);
}

static void test_files_that_are_none(void **state)
{
        struct folder d;
        struct faults f = {.n = 0};
        struct config *c;
        char expected[300], path[TEMP_PATH_MAX], *large = mem_alloc((2 << 20) + 1);

        folder_init(&d);
        assert_int_equal(config_load(d.main, &c, &f), -1);
        snprintf(expected, sizeof(expected), "%s: can't be read: No such file or directory\n", d.main);
        check_told(&f, expected);
        faults_fini(&f);

        assert_int_equal(config_load(d.dir.path, &c, &f), -1);
        snprintf(expected, sizeof(expected), "%s: can't be read: Is a directory\n", d.dir.path);
        check_told(&f, expected);
        faults_fini(&f);

        memset(large, '#', 2 << 20);
        put_file(&d, "large.yaml", large);
        free(large);
        assert_int_equal(config_load(temp_dir_path(&d.dir, "large.yaml", path), &c, &f), -1);
        snprintf(expected, sizeof(expected), "%s: the file is too large (1048577 bytes); allowed: 1 MiB\n", path);
        check_told(&f, expected);
        faults_fini(&f);
        temp_dir_fini(&d.dir);
}

/* ---- bounds ---- */

static char *repeat(const char *head, const char *item, int n, const char *tail)
{
        char *s = mem_alloc(strlen(head) + strlen(item) * (size_t)n + strlen(tail) + 1), *o = stpcpy(s, head);

        while (n-- > 0)
                o = stpcpy(o, item);
        strcpy(o, tail);
        return s;
}

static void test_bounds(void **state)
{
        struct faults f = {.n = 0};
        struct config *c;
        char *s = repeat(HEAD "sim: [", "{},", 5000, "]\n"), *t;

        check_faults(s, strlen(s), "t:4:6: sim: 5000 items; allowed: at most 4096\n");
        free(s);
        s = repeat(HEAD, "x: 1\n", 1000, "");
        assert_int_equal(config_load_text("t", s, strlen(s), &c, &f), -1);
        assert_int_equal(f.n, FAULTS_MAX);
        assert_int_equal(f.n_more, 1000 - FAULTS_MAX);
        t = told(&f);
        assert_non_null(strstr(t, "\nand 800 more\n"));
        free(t);
        faults_fini(&f);
        free(s);
        /* shared nodes that would unfold to 10^9 */
        s = repeat("a: &a [1,1]\n", "b: &b [*a,*a]\n", 500, "");
        assert_int_equal(config_load_text("t", s, strlen(s), &c, &f), -1);
        faults_fini(&f);
        free(s);
        s = repeat(HEAD "site: ", "[", 100000, "");
        assert_int_equal(config_load_text("t", s, strlen(s), &c, &f), -1);
        faults_fini(&f);
        free(s);
}

/* ---- what is printed ---- */

static char *dump(const struct config *c)
{
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        config_dump(c, out);
        fclose(out);
        return text;
}

static void test_dump_loads_again(void **state)
{
        static const char *const names[] = {"river.yaml", "factory.yaml"};

        for (size_t i = 0; i < LENGTH(names); i++) {
                struct config *first = load_contract(names[i]), *second;
                char *a = dump(first), *b;

                second = load(a);
                b = dump(second);
                assert_string_equal(a, b);
                free(a);
                free(b);
                config_free(first);
                config_free(second);
        }
}

static void test_maps_with_keys_of_the_writer(void **state)
{
        static const char item[] = HEAD "sysfs: [{name: a, source: s, readings: [{tag: t, file: f, ";
        static const struct {
                const char *rest, *expected;
        } rows[] = {
                {"map: {a: b, a: c}}]}]\n",
                 "t:4:71: sysfs[0].readings[0].map.a: the key is here twice; allowed: once\n"},
                {"map: [a]}]}]\n",
                 "t:4:64: sysfs[0].readings[0].map: a list is written here; allowed: a map (word: word)\n"},
                {"map: {a: [b]}}]}]\n",
                 "t:4:68: sysfs[0].readings[0].map.a: a list is written here; allowed: a text\n"},
        };
        struct config *first =
                load(HEAD "sysfs: [{name: a, source: s, readings: [{tag: t, file: f, \"true\": [on, 1]}, "
                          "{tag: u, file: g, map: {0x10: off, \"a b\": \"c: d\"}}]}]\n");
        char *a = dump(first), *b, *yaml;
        struct config *second = load(a);

        b = dump(second);
        assert_string_equal(a, b);
        assert_non_null(strstr(a, "\"0x10\": \"off\""));
        assert_non_null(strstr(a, "\"a b\": \"c: d\""));
        free(a);
        free(b);
        config_free(first);
        config_free(second);
        for (size_t i = 0; i < LENGTH(rows); i++) {
                assert_true(asprintf(&yaml, "%s%s", item, rows[i].rest) > 0);
                check_faults(yaml, strlen(yaml), rows[i].expected);
                free(yaml);
        }
}

static void test_dump_keeps_secrets(void **state)
{
        struct config *c = load("gateway: g\nkafka: {brokers: [a:1], properties: [sasl.password=hunter2, a.b=c], "
                                "secrets: [\"ssl.key.password=file:/x\"]}\nsite: \"a-b\"\n");
        char *text = dump(c);

        assert_null(strstr(text, "hunter2"));
        assert_non_null(strstr(text, "    - \"sasl.password=<not shown>\"\n    - \"a.b=c\"\n"));
        assert_non_null(strstr(text, "    - \"ssl.key.password=file:/x\"\n"));
        assert_non_null(strstr(text, "  keep_delivered: 1h\n"));
        free(text);
        config_free(c);
}

static void test_manual(void **state)
{
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        config_manual(out);
        fclose(out);
        assert_non_null(strstr(text, "## kafka\n"));
        assert_non_null(strstr(text, "## mqtt[].subscriptions[].readings[]\n"));
        assert_non_null(strstr(text, "*max\\_size*: 4MiB to 1TiB; default 1GiB\n"));
        free(text);
}

/* Every row of every table: a default that its own row takes, a help, choices where there are some. */
static void check_table(const struct schema *schema)
{
        struct arena arena = {NULL};
        max_align_t value;
        struct err e;

        assert_non_null(schema->help);
        for (const struct schema_key *k = schema->keys; k->name; k++) {
                if (!k->help || (k->type == SCHEMA_CHOICE && !k->choices))
                        fail_msg("%s: %s is not complete", schema->name, k->name);
                if (k->def &&
                    config_scalar(k, k->type, k->def, strlen(k->def), k->type != SCHEMA_TEXT, &value, &arena, &e) < 0)
                        fail_msg("%s: %s: its default: %s", schema->name, k->name, e.text);
                if (k->type == SCHEMA_MAP || k->type == SCHEMA_LIST)
                        check_table(k->sub);
                if (k->type != SCHEMA_MAP && k->offset >= schema->size)
                        fail_msg("%s: %s lies outside its struct", schema->name, k->name);
        }
        arena_fini(&arena);
}

static void test_tables(void **state)
{
        check_table(config_schema());
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_structure),
                cmocka_unit_test(test_all_faults_in_one_run),
                cmocka_unit_test(test_scalars),
                cmocka_unit_test(test_sections),
                cmocka_unit_test(test_checks_of_modules),
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_river),
                cmocka_unit_test(test_factory),
                cmocka_unit_test(test_payloads_fit_the_spool),
                cmocka_unit_test(test_notices),
                cmocka_unit_test(test_what_is_unwise_is_told),
                cmocka_unit_test(test_fragments),
                cmocka_unit_test(test_files_that_are_none),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_dump_loads_again),
                cmocka_unit_test(test_maps_with_keys_of_the_writer),
                cmocka_unit_test(test_dump_keeps_secrets),
                cmocka_unit_test(test_manual),
                cmocka_unit_test(test_tables),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
