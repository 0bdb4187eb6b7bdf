/*
 * The page for Prometheus, made from a status object: to the letter, and held against the rules of the format; the
 * address it may listen at; and that the alert rules that are shipped ask for numbers that exist.
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
#include "agent/control/metrics.h"
#include "agent/health/health.h"

static const char status[] = "{\"health\":\"degraded\",\"gateway\":\"gw-7\",\"site\":\"ulsan1\",\"version\":\"0.1.0\","
                             "\"epoch\":3,\"uptime_s\":11520.4,"
                             "\"accepted\":1234567,\"delivered\":1230000,\"held\":4567,\"dropped\":0,\"held_bytes\":"
                             "365360,\"oldest_held_age_s\":"
                             "123.5,\"spool_bytes\":536870912,\"spool_max_bytes\":1073741824,\"accept_rate\":1000.04,"
                             "\"deliver_rate\":5000.0,"
                             "\"drain_eta_s\":null,\"alarms\":{\"active\":2,\"unacked\":1,\"shelved\":3,"
                             "\"activations\":40,\"flood\":true},\"drivers\":[{\"name\":"
                             "\"plant\",\"kind\":\"mqtt\","
                             "\"state\":\"up\",\"readings\":1234567,\"errors\":0,\"malformed\":4,\"redelivered\":5,"
                             "\"names_mapped\":6,\"untagged\":8,\"absent\":9,\"overruns\":0,\"paused\":false},"
                             "{\"name\":\"bus1\",\"kind\":\"modbus\",\"state\":\"down\",\"readings\":12,\"errors\":3,"
                             "\"malformed\":0,\"redelivered\":"
                             "0,\"overruns\":7,\"busy_s\":12.5,\"late\":3,\"mismatched\":4,\"crc\":5,\"garbage\":6,"
                             "\"load\":0.3,\"paused\":true}],\"uplink\":{\"state\":"
                             "\"up\",\"in_flight\":4096,"
                             "\"paused\":false,\"retried\":1,"
                             "\"poisoned\":0,\"bytes_sent\":99},\"events\":{\"accepted\":9,\"delivered\":8,\"held\":1,"
                             "\"dropped\":0},\"flash\":"
                             "{\"bytes_today\":12582912,\"bytes_per_reading\":85.4},\"tags\":300,\"quarantined\":4,"
                             "\"dead_lettered\":0,\"clock\":"
                             "\"synced\"}";

static char *page(const char *json)
{
        json_t *o = json_loads(json, 0, NULL);
        char *text;

        assert_non_null(o);
        text = metrics_text(o);
        json_decref(o);
        return text;
}

static void assert_line(const char *text, const char *line)
{
        char whole[512];

        snprintf(whole, sizeof(whole), "\n%s\n", line);
        if (!strstr(text, whole))
                fail_msg("not on the page: %s\n%s", line, text);
}

static void test_samples(void **state)
{
        static const char *const lines[] = {
                "millrace_info{gateway=\"gw-7\",site=\"ulsan1\",version=\"0.1.0\"} 1",
                "millrace_health{gateway=\"gw-7\",state=\"ok\"} 0",
                "millrace_health{gateway=\"gw-7\",state=\"degraded\"} 1",
                "millrace_health{gateway=\"gw-7\",state=\"failed\"} 0",
                "millrace_uptime_seconds{gateway=\"gw-7\"} 11520.4",
                "millrace_readings_accepted_total{gateway=\"gw-7\"} 1234567",
                "millrace_readings_held{gateway=\"gw-7\"} 4567",
                "millrace_oldest_held_age_seconds{gateway=\"gw-7\"} 123.5",
                "millrace_spool_max_bytes{gateway=\"gw-7\"} 1073741824",
                "millrace_alarms_unacknowledged{gateway=\"gw-7\"} 1",
                "millrace_alarms_shelved{gateway=\"gw-7\"} 3",
                "millrace_alarm_activations_total{gateway=\"gw-7\"} 40",
                "millrace_alarm_flood{gateway=\"gw-7\"} 1",
                "millrace_uplink_up{gateway=\"gw-7\"} 1",
                "millrace_uplink_paused{gateway=\"gw-7\"} 0",
                "millrace_events_held{gateway=\"gw-7\"} 1",
                "millrace_clock_synchronised{gateway=\"gw-7\"} 1",
                "millrace_driver_up{gateway=\"gw-7\",driver=\"plant\",kind=\"mqtt\"} 1",
                "millrace_driver_up{gateway=\"gw-7\",driver=\"bus1\",kind=\"modbus\"} 0",
                "millrace_bus_busy_seconds_total{gateway=\"gw-7\",driver=\"bus1\",kind=\"modbus\"} 12.5",
                "millrace_bus_late_total{gateway=\"gw-7\",driver=\"bus1\",kind=\"modbus\"} 3",
                "millrace_bus_mismatched_total{gateway=\"gw-7\",driver=\"bus1\",kind=\"modbus\"} 4",
                "millrace_bus_crc_errors_total{gateway=\"gw-7\",driver=\"bus1\",kind=\"modbus\"} 5",
                "millrace_bus_garbage_bytes_total{gateway=\"gw-7\",driver=\"bus1\",kind=\"modbus\"} 6",
                "millrace_driver_paused{gateway=\"gw-7\",driver=\"bus1\",kind=\"modbus\"} 1",
                "millrace_driver_names_mapped_total{gateway=\"gw-7\",driver=\"plant\",kind=\"mqtt\"} 6",
                "millrace_driver_untagged_total{gateway=\"gw-7\",driver=\"plant\",kind=\"mqtt\"} 8",
                "millrace_driver_absent_total{gateway=\"gw-7\",driver=\"plant\",kind=\"mqtt\"} 9",
                "millrace_driver_overruns_total{gateway=\"gw-7\",driver=\"bus1\",kind=\"modbus\"} 7",
                "# HELP millrace_readings_dropped_total Readings dropped by policy; the ledger names them.",
                "# TYPE millrace_readings_dropped_total counter",
        };
        char *text = page(status);

        for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
                assert_line(text, lines[i]);
        assert_null(strstr(text, "\nmillrace_drain_eta_seconds{"));
        free(text);
}

/* HELP, TYPE, samples, family by family, none twice; a counter is called _total and nothing else is. */
static void test_format(void **state)
{
        char *text = page(status), *rest = text, family[128] = "", type[16] = "", seen[64][128];
        size_t n = 0;

        for (char *line; (line = strsep(&rest, "\n")) && *line;) {
                size_t len;

                if (sscanf(line, "# HELP %127s", family) == 1) {
                        for (size_t i = 0; i < n; i++)
                                assert_string_not_equal(seen[i], family);
                        strcpy(seen[n++], family);
                        assert_int_equal(line[strlen(line) - 1], '.');
                        *type = '\0';
                        continue;
                }
                len = strlen(family);
                if (strncmp(line, "# TYPE ", 7) == 0) {
                        assert_int_equal(strncmp(line + 7, family, len), 0);
                        assert_int_equal(sscanf(line + 7 + len, " %15s", type), 1);
                        assert_int_equal(!strcmp(type, "counter"), len > 6 && !strcmp(family + len - 6, "_total"));
                        continue;
                }
                assert_true(*type);
                assert_int_equal(strncmp(line, family, len), 0);
                assert_int_equal(line[len], '{');
        }
        assert_true(n > 30);
        free(text);
}

static void test_labels_are_escaped(void **state)
{
        char *text = page("{\"gateway\":\"a\\\"b\\\\c\\nd\",\"held\":1}");

        assert_line(text, "millrace_readings_held{gateway=\"a\\\"b\\\\c\\nd\"} 1");
        free(text);
}

/* Of each name that there is, as many as stand: the list of them is cut. */
static void test_conditions_are_counted(void **state)
{
        char *text = page("{\"gateway\":\"g\",\"conditions\":[{\"name\":\"source_down\"}],\"conditions_total\":141,"
                          "\"conditions_by_name\":{\"device_down\":\"x\",\"source_down\":140,\"clock_unsynced\":1}}");

        assert_line(text, "millrace_condition{gateway=\"g\",name=\"source_down\",severity=\"degraded\"} 140");
        assert_line(text, "millrace_condition{gateway=\"g\",name=\"clock_unsynced\",severity=\"notice\"} 1");
        assert_line(text, "millrace_condition{gateway=\"g\",name=\"spool_full\",severity=\"degraded\"} 0");
        free(text);
}

static void test_what_is_not_there_is_left_out(void **state)
{
        char *text = page("{\"held\":\"many\",\"drivers\":[3,{},{\"name\":\"x\"}],\"uplink\":[],\"clock\":7}");

        assert_null(strstr(text, "\nmillrace_readings_held{"));
        assert_null(strstr(text, "\nmillrace_driver_up{"));
        assert_null(strstr(text, "\nmillrace_uplink_up{"));
        assert_null(strstr(text, "\nmillrace_clock_synchronised{"));
        assert_line(text, "millrace_health{gateway=\"\",state=\"ok\"} 0");
        free(text);
}

static void test_addresses(void **state)
{
        static const struct {
                const char *listen;
                int family; /* 0: refused */
        } cases[] = {
                {"127.0.0.1:9464", AF_INET},
                {"127.1.2.3:1", AF_INET},
                {"[::1]:65535", AF_INET6},
                {"0.0.0.0:9464", 0},
                {"10.0.0.5:9464", 0},
                {"[::]:9464", 0},
                {"::1:9464", 0},
                {"127.0.0.1", 0},
                {"127.0.0.1:0", 0},
                {"127.0.0.1:65536", 0},
                {"127.0.0.1:94x", 0},
                {"127.0.0.1:-1", 0},
                {"localhost:9464", 0},
                {"", 0},
                {":", 0},
                {"127.0.0.1:+5", 0},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct sockaddr_storage address;
                struct err e = {""};
                int rc = metrics_address(cases[i].listen, &address, &e);

                if ((rc == 0) != (cases[i].family != 0) || (rc == 0 && address.ss_family != cases[i].family))
                        fail_msg("%s: %d %s", cases[i].listen, rc, e.text);
                assert_int_equal(rc != 0, e.text[0] != '\0');
        }
}

static void test_alert_rules_ask_for_what_exists(void **state)
{
        char *text = page(status), rules[65536], name[128], head[160];
        FILE *f = fopen(TEST_ROOT "/packaging/examples/prometheus-alerts.yaml", "r");
        size_t found = 0;

        assert_non_null(f);
        rules[fread(rules, 1, sizeof(rules) - 1, f)] = '\0';
        fclose(f);
        for (const char *at = rules; (at = strstr(at, "millrace_")); at += strlen(name), found++) {
                sscanf(at, "%127[a-z_]", name);
                snprintf(head, sizeof(head), "# HELP %s ", name);
                if (!strstr(text, head))
                        fail_msg("no such number: %s", name);
        }
        assert_true(found >= 10);
        free(text);
        /* and there is one for each condition, by its name */
        for (int id = 0; id < HEALTH_IDS; id++) {
                snprintf(head, sizeof(head), "{name=\"%s\"}", health_rules[id].name);
                if (!strstr(rules, head))
                        fail_msg("no alert for %s", health_rules[id].name);
        }
        for (const char *at = rules; (at = strstr(at, "{name=\"")); at += strlen(name)) {
                int id = 0;

                sscanf(at, "{name=\"%127[a-z_]", name);
                while (id < HEALTH_IDS && strcmp(health_rules[id].name, name) != 0)
                        id++;
                if (id == HEALTH_IDS)
                        fail_msg("no such condition: %s", name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_samples),
                cmocka_unit_test(test_format),
                cmocka_unit_test(test_labels_are_escaped),
                cmocka_unit_test(test_conditions_are_counted),
                cmocka_unit_test(test_what_is_not_there_is_left_out),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_alert_rules_ask_for_what_exists),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
