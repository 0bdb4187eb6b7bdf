/*
 * The page of `millrace status`, made from a fixed status object: what a person reads, to the letter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/status_view.h"

static const char running[] =
        "{\"health\":\"ok\",\"gateway\":\"gw-7\",\"epoch\":3,\"uptime_s\":11520.4,\"accepted\":1234567,\"delivered\":"
        "1230000,"
        "\"held\":4567,\"dropped\":0,\"held_bytes\":365360,\"oldest_held_age_s\":123.0,\"spool_bytes\":536870912,"
        "\"spool_max_bytes\":1073741824,\"spool_usable_bytes\":730720,\"accept_rate\":1000.04,\"deliver_rate\":5000.0,"
        "\"drain_eta_s\":240.0,"
        "\"alarms\":{\"active\":2,\"unacked\":1},\"drivers\":[{\"name\":\"plant\",\"kind\":\"mqtt\",\"state\":\"up\","
        "\"readings\":1234567,\"errors\":0,\"paused\":false,\"last_error\":\"\"},{\"name\":\"bus1\",\"kind\":"
        "\"modbus\","
        "\"state\":\"up\",\"readings\":12,\"errors\":3,\"paused\":true,\"last_error\":\"unit 4: no reply\"}],"
        "\"uplink\":{\"state\":\"up\",\"in_flight\":4096,\"paused\":false,\"last_error\":\"\"},"
        "\"flash\":{\"bytes_today\":12582912,\"bytes_per_reading\":85.4}}";

static char *page_of(const char *json, bool terminal, size_t cols, bool colour)
{
        char *text;
        size_t len;
        struct out o = {.f = open_memstream(&text, &len),
                        .terminal = terminal,
                        .cols = cols,
                        .colour = colour,
                        .utf8 = colour,
                        .utc = true};
        json_t *status = json_loads(json, 0, NULL);

        assert_non_null(status);
        status_print(&o, status);
        json_decref(status);
        fclose(o.f);
        return text;
}

static char *page(const char *json, bool terminal)
{
        return page_of(json, terminal, 0, false);
}

static void check(const char *json, bool terminal, const char *expected)
{
        char *text = page(json, terminal);

        assert_string_equal(text, expected);
        free(text);
}

static void test_terminal(void **state)
{
        check(running, true,
              "ok  gateway gw-7  epoch 3  up 3h 12m\n"
              "\n"
              "  accepted         1,234,567\n"
              "  delivered        1,230,000\n"
              "  held                 4,567  356.8 KiB, the oldest since 2m 3s, drained in 4m 0s\n"
              "  dropped                  0\n"
              "\n"
              "  spool      512.0 MiB of 1.0 GiB  [############............]  50 % full\n"
              "  rates      in 1000.0/s, out 5000.0/s\n"
              "  uplink     up, 4,096 in flight\n"
              "  alarms     2 active, 1 unacknowledged\n"
              "  flash      12.0 MiB today, 85 bytes per reading\n"
              "\n"
              "SOURCE  KIND    STATE   DEVICES   READINGS  ERRORS  LAST ERROR\n"
              "plant   mqtt    up      -        1,234,567       0  -\n"
              "bus1    modbus  paused  -               12       3  unit 4: no reply\n");
}

static void test_pipe(void **state)
{
        char *text = page(running, false);

        assert_non_null(strstr(text, "accepted           1234567\n"));
        assert_non_null(strstr(text, "spool      512.0 MiB of 1.0 GiB  50 % full\n"));
        assert_non_null(strstr(text, "\nbus1\tmodbus\tpaused\t-\t12\t3\tunit 4: no reply\n"));
        assert_null(strchr(text, '\033'));
        free(text);
}

static void test_stopped(void **state)
{
        check("{\"health\":\"failed\",\"gateway\":\"gw-7\",\"epoch\":3,\"uptime_s\":null,\"accepted\":10,\"delivered\":"
              "7,"
              "\"held\":2,\"dropped\":1,\"held_bytes\":160,\"oldest_held_age_s\":5.0,\"spool_bytes\":4096,"
              "\"spool_max_bytes\":null,\"accept_rate\":null,\"deliver_rate\":null,\"drain_eta_s\":null,"
              "\"alarms\":{\"active\":null,\"unacked\":null},\"drivers\":[],\"uplink\":{\"state\":\"stopped\","
              "\"in_flight\":0,\"paused\":false,\"last_error\":\"\"},\"flash\":{\"bytes_today\":null,"
              "\"bytes_per_reading\":null},\"fault\":\"the daemon is not running\"}",
              false,
              "failed  gateway gw-7  epoch 3  not running\n"
              "  the daemon is not running\n"
              "\n"
              "  accepted                10\n"
              "  delivered                7\n"
              "  held                     2  160 B, the oldest since 5.0s\n"
              "  dropped                  1  why: millrace spool dropped\n"
              "\n"
              "  spool      4.0 KiB\n"
              "  rates      in -, out -\n"
              "  uplink     stopped, 0 in flight\n"
              "  alarms     - active, - unacknowledged\n"
              "  flash      - today\n");
}

/* The object comes over a socket: whatever is in it, there is a page, and the terminal stays as it is. */
/* What the last reload came to, where somebody has to do something; and nothing from a wire that a terminal would obey.
 */
static void test_reloads(void **state)
{
        static const struct {
                const char *json, *line; /* NULL: nothing is said */
        } rows[] = {
                {"{\"config\":{\"state\":\"ok\",\"faults\":[],\"restart_for\":[]}}", NULL},
                {"{\"config\":{\"state\":\"refused\",\"reload_at\":\"2026-11-23T10:00:00.000000Z\",\"faults\":[\"f:1:1:"
                 " x\"]}}",
                 "  the configuration was refused at 2026-11-23 10:00:00Z and is not in use: millrace check\n"},
                {"{\"config\":{\"state\":\"ok\",\"faults\":[\"plant: no room\"]}}",
                 "  not all of the configuration is in use: the log names what is missing\n"},
                {"{\"config\":{\"state\":\"ok\",\"restart_for\":[\"spool.path\",\"a\\u001bb\"]}}",
                 "  restart for the new value of spool.path\n  restart for the new value of a?b\n"},
                {"{\"config\":7}", NULL},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                char *text = page(rows[i].json, false);

                if (rows[i].line && !strstr(text, rows[i].line))
                        fail_msg("%s is not in\n%s", rows[i].line, text);
                if (!rows[i].line && (strstr(text, "configuration") || strstr(text, "restart")))
                        fail_msg("%s", text);
                free(text);
        }
}

static void test_faults_are_shown_with_their_time(void **state)
{
        char *text =
                page("{\"uplink\":{\"state\":\"up\",\"last_error\":\"topic samples is refused\",\"last_error_at\":"
                     "\"2026-11-23T10:00:00.000000Z\",\"lanes\":[{\"name\":\"events\",\"held\":0,\"why\":\"\"},"
                     "{\"name\":\"samples\",\"held\":7,\"why\":\"topic samples is refused\"},{\"name\":\"backlog\","
                     "\"held\":9,\"why\":\"no topic\",\"why_at\":\"2026-11-23T11:00:00.000000Z\"}]},"
                     "\"heartbeat\":{\"state\":\"refused\",\"why\":\"not allowed\",\"why_at\":null},"
                     "\"drivers\":[{\"name\":\"bus1\",\"last_error\":\"no reply\",\"last_error_at\":"
                     "\"2026-11-23T12:00:00.000000Z\"}]}",
                     false);

        assert_non_null(strstr(text, "  last error: 2026-11-23 10:00:00Z topic samples is refused\n"
                                     "             backlog, 9 held: 2026-11-23 11:00:00Z no topic\n"
                                     "             heartbeat: not allowed\n"));
        assert_non_null(strstr(text, "\t2026-11-23 12:00:00Z no reply\n"));
        free(text);
}

#define IN_TROUBLE                                                                                                   \
        "{\"health\":\"failed\",\"gateway\":\"gw-7\",\"epoch\":3,\"uptime_s\":60,\"fault\":\"shown by the "          \
        "condition\","                                                                                               \
        "\"conditions_total\":3,\"conditions\":[{\"name\":\"uplink_stalled\",\"severity\":\"failed\",\"subject\":"   \
        "\"kafka\","                                                                                                 \
        "\"since\":\"2026-11-30T20:40:11.123Z\",\"for_s\":72.5,\"what\":\"records are in flight and none was "       \
        "acknowledged for a "                                                                                        \
        "minute; the broker takes them and does not answer\",\"todo\":\"look at the broker: journalctl -u kafka\"}," \
        "{\"name\":\"device_down\",\"severity\":\"degraded\",\"subject\":\"plc-3\",\"since\":\"2026-11-28T08:00:"    \
        "00Z\","                                                                                                     \
        "\"for_s\":200000,\"what\":\"no answer\",\"todo\":\"\"},{\"severity\":7}],"

/* Also where no sentence stands any more. */
static void test_what_is_no_reading_is_counted(void **state)
{
        char *text = page("{\"health\":\"ok\",\"drivers\":[{\"name\":\"plant\",\"kind\":\"mqtt\",\"state\":\"up\","
                          "\"malformed\":18,"
                          "\"untagged\":0,\"absent\":3,\"ignored\":2,\"last_error\":\"\"}]}",
                          false);

        assert_non_null(strstr(text, "\n  plant: no reading of malformed 18, absent 3, ignored 2\n"));
        free(text);
}

static const char in_trouble[] = IN_TROUBLE
        "\"drivers\":[{\"name\":\"bus1\",\"kind\":\"modbus\",\"state\":\"up\",\"n_devices\":4,\"n_devices_down\":1,"
        "\"last_error\":\"plc-3: no answer within 300 ms, asked 3 times in a row, and the line is silent\","
        "\"last_error_at\":\"2026-11-28T08:00:00Z\",\"devices\":[{\"name\":\"plc-1\",\"state\":\"up\"},{\"name\":"
        "\"plc-2\",\"state\":\"up\"},{\"name\":\"plc-3\",\"state\":\"down\",\"since\":\"2026-11-28T08:00:00Z\",\"why\":"
        "\"no answer within 300 ms\"},{\"name\":\"plc-4\",\"state\":\"up\"},5]}]}";

/* The first three lines are what somebody needs who reads no more. */
static void test_trouble_in_a_pipe(void **state)
{
        static const char head[] =
                "failed  3 conditions  gateway gw-7  epoch 3  up 1m 0s\n"
                "  failed    kafka, since 20:40:11Z (1m 12s): records are in flight and none was acknowledged for a "
                "minute; the broker takes them and does not answer\n"
                "          → look at the broker: journalctl -u kafka\n"
                "  degraded  plc-3, since 2026-11-28 08:00:00Z (2d 7h): no answer\n"
                "  -         -: -\n"
                "\n  accepted";
        static const char sources[] =
                "SOURCE\tKIND\tSTATE\tDEVICES\tREADINGS\tERRORS\tLAST ERROR\n"
                "bus1\tmodbus\tup\t1 of 4 down\t0\t0\t2026-11-28 08:00:00Z plc-3: no answer within 300 ms, asked 3 "
                "times in a row, and the line is silent\n"
                "  bus1/plc-3 down since 2026-11-28 08:00:00Z: no answer within 300 ms\n"
                "  bus1 up: plc-1, plc-2, plc-4\n";
        char *text = page(in_trouble, false);

        if (strncmp(text, head, strlen(head)) != 0 || !strstr(text, sources))
                fail_msg("%s", text);
        assert_null(strstr(text, "shown by the condition"));
        free(text);
}

/* 80 columns: folded at blanks, and nothing of it is lost. */
static void test_trouble_on_a_narrow_terminal(void **state)
{
        static const char head[] = "failed  3 conditions  gateway gw-7  epoch 3  up 1m 0s\n"
                                   "  failed    kafka, since 20:40:11Z (1m 12s): records are in flight and none was\n"
                                   "              acknowledged for a minute; the broker takes them and does not\n"
                                   "              answer\n"
                                   "         -> look at the broker: journalctl -u kafka\n";
        static const char sources[] =
                "SOURCE  KIND    STATE  DEVICES      READINGS  ERRORS\n"
                "bus1    modbus  up     1 of 4 down         0       0\n"
                "  bus1: 2026-11-28 08:00:00Z plc-3: no answer within 300 ms, asked 3 times in a\n"
                "    row, and the line is silent\n"
                "  bus1/plc-3 down since 2026-11-28 08:00:00Z: no answer within 300 ms\n"
                "  bus1 up: plc-1, plc-2, plc-4\n";
        char *text = page_of(in_trouble, true, 80, false);

        if (strncmp(text, head, strlen(head)) != 0 || !strstr(text, sources))
                fail_msg("%s", text);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
                assert_true(strlen(line) <= 80);
        free(text);
}

/* 200 columns: one line for each, the numbers in two blocks, reasons in the table. */
static void test_trouble_on_a_wide_terminal(void **state)
{
        char *text = page_of(in_trouble, true, 200, true);

        assert_non_null(strstr(text, "\033[1;31mfailed\033[0m  3 conditions"));
        assert_non_null(strstr(text, "\033[1m          → \033[0mlook at"));
        assert_non_null(strstr(text, "\033[33m  degraded  \033[0mplc-3"));
        assert_non_null(strstr(text, "  \033[33mup\033[0m  "));
        assert_non_null(strstr(text, "\033[33m1 of 4 down\033[0m"));
        assert_non_null(strstr(text, "the line is silent\n"));
        assert_non_null(strstr(text, "\n  accepted                 -      spool"));
        free(text);
}

/* A page that is longer than the screen is made briefly, so that the verdict does not scroll away. */
static void test_a_low_terminal(void **state)
{
        static const char brief[] = "\n  accepted -, delivered -, held -, dropped -\n"
                                    "  spool 0 % full of -; in -, out -; uplink -\n"
                                    "  alarms - active, - unacknowledged; flash - today\n"
                                    "\nSOURCE  KIND    STATE  DEVICES      READINGS  ERRORS\n"
                                    "bus1    modbus  up     1 of 4 down         0       0\n"
                                    "  bus1: 2026-11-28 08:00:00Z plc-3: no answer within 300 ms, asked 3 times in a\n"
                                    "    row, and the line is silent\n"
                                    "  bus1/plc-3 down since 2026-11-28 08:00:00Z: no answer within 300 ms\n";
        json_t *status = json_loads(in_trouble, 0, NULL), *drivers = json_object_get(status, "drivers");
        char *text;
        size_t len;
        struct out o = {.terminal = true, .cols = 80, .rows = 16, .utc = true};

        o.f = open_memstream(&text, &len);
        status_print(&o, status);
        fclose(o.f);
        if (!strstr(text, brief))
                fail_msg("%s", text);
        free(text);
        for (int i = 0; i < 10; i++)
                json_array_append_new(drivers, json_pack("{s:s, s:s}", "name", "plant", "state", "up"));
        o.f = open_memstream(&text, &len);
        status_print(&o, status);
        fclose(o.f);
        assert_non_null(strstr(text, "\n  10 other sources are up\n"));
        assert_null(strstr(text, "plant"));
        free(text);
        o.rows = 8;
        o.f = open_memstream(&text, &len);
        status_print(&o, status);
        fclose(o.f);
        assert_non_null(
                strstr(text, "look at the broker: journalctl -u kafka\n  and 2 more: millrace status --wide\n"));
        free(text);
        json_decref(status);
}

static void test_many_conditions_and_devices(void **state)
{
        json_t *o = json_object(), *list = json_array(), *devices = json_array();
        char name[16], *json, *text;

        for (int i = 0; i < 100; i++) {
                snprintf(name, sizeof(name), "plc-%d", i);
                json_array_append_new(list, json_pack("{s:s, s:s}", "severity", "degraded", "subject", name));
                json_array_append_new(devices, json_pack("{s:s, s:s}", "name", name, "state", i < 50 ? "up" : "down"));
        }
        json_object_set_new(o, "conditions", list);
        json_object_set_new(o, "conditions_total", json_integer(170));
        json_object_set_new(o, "drivers",
                            json_pack("[{s:s, s:i, s:o}]", "name", "bus1", "n_devices", 100, "devices", devices));
        json = json_dumps(o, 0);
        json_decref(o);
        text = page_of(json, true, 80, false);
        assert_non_null(strstr(text, "  and 162 more: millrace status --wide\n"));
        assert_non_null(strstr(text, "  and 30 more that are down: millrace status --wide\n"));
        assert_non_null(strstr(text, "  bus1 50 devices are up\n"));
        assert_null(strstr(text, "plc-70 "));
        free(text);
        text = page_of(json, false, 0, false);
        assert_non_null(strstr(text, "  degraded  plc-99: -\n"));
        assert_non_null(strstr(text, "  and 70 more, that are less severe or younger\n"));
        assert_non_null(strstr(text, "  bus1/plc-99 down: -\n"));
        assert_non_null(strstr(text, ", plc-49\n"));
        free(text);
        free(json);
}

/* A name may have 64 characters of four bytes each: none is cut in its middle. */
static void test_the_longest_subject(void **state)
{
        char name[300] = "", json[800], line[800], *text;

        for (int i = 0; i < 64; i++)
                strcat(name, "\xf0\x90\x8c\xb0");
        snprintf(json, sizeof(json),
                 "{\"conditions\":[{\"severity\":\"degraded\",\"subject\":\"modbus %s\",\"what\":\"x\"}]}", name);
        snprintf(line, sizeof(line), "  degraded  modbus %s: x\n", name);
        text = page_of(json, false, 0, false);
        assert_non_null(strstr(text, line));
        free(text);
}

static void test_nonsense(void **state)
{
        static const char *const objects[] = {
                "{}",
                "{\"health\":7,\"gateway\":[],\"epoch\":\"x\",\"drivers\":{},\"uplink\":3,\"flash\":null,\"alarms\":"
                "true}",
                "{\"held\":-5,\"held_bytes\":1e300,\"oldest_held_age_s\":-1,\"drain_eta_s\":1e300,\"drivers\":[1,null,["
                "]]}",
                "{\"health\":\"\\u001b[2J\",\"gateway\":\"\\u0007\",\"fault\":\"\\u001b]0;x\\u0007\","
                "\"uplink\":{\"state\":\"\\u001b[5m\",\"last_error\":\"\\n\\n\\n\"}}",
        };

        for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
                for (size_t cols = 0; cols < 250; cols += 7) {
                        char *text = page_of(objects[i], true, cols, false);

                        assert_non_null(strstr(text, "accepted"));
                        assert_null(strchr(text, '\033'));
                        assert_null(strchr(text, '\007'));
                        free(text);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_terminal),
                cmocka_unit_test(test_pipe),
                cmocka_unit_test(test_stopped),
                cmocka_unit_test(test_reloads),
                cmocka_unit_test(test_faults_are_shown_with_their_time),
                cmocka_unit_test(test_what_is_no_reading_is_counted),
                cmocka_unit_test(test_trouble_in_a_pipe),
                cmocka_unit_test(test_trouble_on_a_narrow_terminal),
                cmocka_unit_test(test_trouble_on_a_wide_terminal),
                cmocka_unit_test(test_a_low_terminal),
                cmocka_unit_test(test_many_conditions_and_devices),
                cmocka_unit_test(test_the_longest_subject),
                cmocka_unit_test(test_nonsense),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
