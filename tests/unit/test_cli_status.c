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

static char *page(const char *json, bool terminal)
{
        char *text;
        size_t len;
        struct out o = {.f = open_memstream(&text, &len), .terminal = terminal};
        json_t *status = json_loads(json, 0, NULL);

        assert_non_null(status);
        status_print(&o, status);
        json_decref(status);
        fclose(o.f);
        return text;
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
              "SOURCE  KIND    STATE    READINGS  ERRORS  LAST ERROR\n"
              "plant   mqtt    up      1,234,567       0  -\n"
              "bus1    modbus  paused         12       3  unit 4: no reply\n");
}

static void test_pipe(void **state)
{
        char *text = page(running, false);

        assert_non_null(strstr(text, "accepted           1234567\n"));
        assert_non_null(strstr(text, "spool      512.0 MiB of 1.0 GiB  50 % full\n"));
        assert_non_null(strstr(text, "\nbus1\tmodbus\tpaused\t12\t3\tunit 4: no reply\n"));
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
                 "  the configuration was refused at 2026-11-23T10:00:00.000000Z and is not in use: millrace check\n"},
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

        assert_non_null(strstr(text, "  last error: 2026-11-23T10:00:00Z topic samples is refused\n"
                                     "             backlog, 9 held: 2026-11-23T11:00:00Z no topic\n"
                                     "             heartbeat: not allowed\n"));
        assert_non_null(strstr(text, "\t2026-11-23T12:00:00Z no reply\n"));
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
                char *text = page(objects[i], true);

                assert_non_null(strstr(text, "accepted"));
                assert_null(strchr(text, '\033'));
                assert_null(strchr(text, '\007'));
                free(text);
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
                cmocka_unit_test(test_nonsense),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
