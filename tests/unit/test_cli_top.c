/*
 * The screen of `millrace top`, made from fixed status objects: all of an 80×24 one to the letter, and what it does
 * when room, status or daemon are missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/top_view.h"

#define HEAD                                                                                                           \
        "{\"health\":\"ok\",\"gateway\":\"gw-7\",\"epoch\":3,\"uptime_s\":11520.4,\"accepted\":1234567,"               \
        "\"delivered\":1230000,\"held\":4567,\"dropped\":0,\"held_bytes\":365360,\"oldest_held_age_s\":123.0,"         \
        "\"spool_bytes\":536870912,\"spool_max_bytes\":1073741824,\"spool_usable_bytes\":730720,\"accept_rate\":1000." \
        "04,\"deliver_rate\":5000.0,"                                                                                  \
        "\"drain_eta_s\":240.0,\"alarms\":{\"active\":2,\"unacked\":1},\"events\":{\"held\":1},\"quarantined\":0,"     \
        "\"uplink\":{\"state\":\"up\",\"in_flight\":4096,\"paused\":false,\"retried\":0,\"last_error\":\"\"},"         \
        "\"flash\":{\"bytes_today\":12582912,\"bytes_per_reading\":85.4},\"clock\":\"synced\","
static const char running[] = HEAD
        "\"drivers\":[{\"name\":\"plant\",\"kind\":\"mqtt\",\"state\":\"up\",\"readings\":1234567,\"errors\":0,"
        "\"malformed\":0,\"paused\":false,\"last_error\":\"\"},{\"name\":\"bus1\",\"kind\":\"modbus\",\"state\":\"up\","
        "\"readings\":12,\"errors\":3,\"malformed\":0,\"paused\":true,\"last_error\":\"unit 4: no\\u001b[2J reply\"}]}";

static struct top_screen screen;
static struct top_history history;
static json_t *alarms; /* sorted */

static void lay_out(const char *json, int rows, int cols)
{
        json_t *status = json ? json_loads(json, 0, NULL) : NULL;

        assert_true(!json || status);
        screen.rows = rows;
        screen.cols = cols;
        screen.clock = "10:00:00";
        top_layout(&screen, status, alarms, &history);
        json_decref(status);
}

static int setup(void **state)
{
        screen = (struct top_screen){0};
        history = (struct top_history){0};
        json_decref(alarms);
        alarms = NULL;
        return 0;
}

/* accept_rate and deliver_rate over two minutes of one sample a second: a ramp, then silence for 20 s. */
static void live_through(void)
{
        for (long s = 0; s < 120; s++) {
                json_t *o = json_pack("{s:f, s:f, s:i}", "accept_rate", (double)s, "deliver_rate", s < 60 ? 0.0 : 100.0,
                                      "held", 0);

                if (s < 80 || s >= 100)
                        top_history_add(&history, o, 1000 + s);
                json_decref(o);
        }
}

static void assert_screen(const char *const *expected)
{
        for (int i = 0; i < screen.rows; i++) {
                size_t n = strlen(screen.lines[i].text);

                while (n && screen.lines[i].text[n - 1] == ' ')
                        screen.lines[i].text[--n] = '\0';
                assert_string_equal(screen.lines[i].text, expected[i]);
        }
}

static void test_whole_screen(void **state)
{
        static const char *const expected[24] = {
                " gw-7  ok  up 3h 12m  epoch 3                                          10:00:00",
                "",
                " accepted       1,234,567   1000.0/s                    ..:::---====+++*    %%##",
                " delivered      1,230,000   5000.0/s                    ............####    ####",
                " held               4,567   356.8 KiB                   ................    ....",
                " dropped                0               oldest 2m 3s, drained in 4m 0s",
                "",
                " spool   512.0 MiB of 1.0 GiB [#######.......] 50 % full   flash 12.0 MiB today",
                " kafka   up, 4,096 in flight, 0 sent again",
                " alarms  2 active, 1 unacknowledged, 1 events held   quarantine 0",
                "",
                " SOURCE         KIND    STATE LOAD      READINGS   ERRORS MALFORMED  LAST ERROR",
                " plant          mqtt    up             1,234,567        0         0",
                " bus1           modbus  paused                12        3         0  unit 4: no?",
                "",
                "",
                "",
                "",
                "",
                "",
                "",
                "",
                "",
                " q quit   a alarms   space pause   arrows scroll   a column is 5 s",
        };

        live_through();
        lay_out(running, 24, 80);
        assert_screen(expected);
        assert_int_equal(screen.lines[0].weight, LINE_TITLE);
        assert_int_equal(screen.lines[9].weight, LINE_WARN);
        assert_int_equal(screen.lines[12].weight, LINE_PLAIN);
        assert_int_equal(screen.lines[13].weight, LINE_WARN);
}

static void test_blocks(void **state)
{
        char out[LINE_BYTES];
        double most;

        for (long s = 0; s < 40; s += 5) {
                json_t *o = json_pack("{s:f}", "accept_rate", (double)s);

                top_history_add(&history, o, s);
                json_decref(o);
        }
        top_spark(&history, TOP_IN, 10, true, out, &most);
        assert_string_equal(out, "  ▁▂▃▄▅▆▇█");
        assert_true(most == 35);
        top_spark(&history, TOP_OUT, 3, true, out, &most);
        assert_string_equal(out, "▁▁▁");
        assert_true(most == 0);
}

/* The oldest columns make room; a full ring is as wide as the widest screen. */
static void test_history_is_a_ring(void **state)
{
        char out[LINE_BYTES];
        json_t *empty;
        double most;

        for (long s = 0; s < (TOP_BUCKETS + 10) * TOP_BUCKET_S; s++) {
                json_t *o = json_pack("{s:f}", "accept_rate", s < 20 * TOP_BUCKET_S ? 1000.0 : 7.0);

                top_history_add(&history, o, s);
                json_decref(o);
        }
        top_spark(&history, TOP_IN, TOP_BUCKETS, false, out, &most);
        assert_int_equal(strlen(out), TOP_BUCKETS);
        assert_true(most == 1000);
        assert_int_equal(strspn(out, "#"), 10);
        empty = json_object();
        top_history_add(&history, empty, 1000000000);
        json_decref(empty);
        top_spark(&history, TOP_IN, TOP_BUCKETS, false, out, &most);
        assert_int_equal(strspn(out, " "), TOP_BUCKETS - 1);
}

static void test_nothing_heard_yet(void **state)
{
        screen.trouble = "no daemon listens at /run/millrace/control.sock";
        lay_out(NULL, 24, 80);
        assert_string_equal(screen.lines[1].text, " no daemon listens at /run/millrace/control.sock");
        assert_int_equal(screen.lines[1].weight, LINE_WARN);
        assert_string_equal(screen.lines[2].text, "");
}

static void test_trouble_and_pause_are_told(void **state)
{
        screen.trouble = "the daemon went away";
        screen.paused = true;
        lay_out(running, 24, 80);
        assert_string_equal(screen.lines[1].text, " the daemon went away");
        assert_non_null(strstr(screen.lines[0].text, "paused  10:00:00"));
        assert_non_null(strstr(screen.lines[2].text, "1,234,567"));
        screen.trouble = NULL;
        lay_out("{\"clock\":\"unsynced\"}", 24, 80);
        assert_non_null(strstr(screen.lines[1].text, "not synchronised"));
        lay_out("{\"clock\":\"unsynced\",\"fault\":\"no space\"}", 24, 80);
        assert_string_equal(screen.lines[1].text, " no space");
}

static void test_a_broken_uplink_says_why(void **state)
{
        lay_out("{\"uplink\":{\"state\":\"down\",\"in_flight\":0,\"retried\":2,\"paused\":true,\"last_error\":"
                "\"refused\"},"
                "\"held_bytes\":95,\"spool_usable_bytes\":100,\"dropped\":5}",
                24, 80);
        assert_string_equal(screen.lines[8].text, " kafka   down, paused, 0 in flight, 2 sent again: refused");
        assert_int_equal(screen.lines[8].weight, LINE_WARN);
        assert_int_equal(screen.lines[7].weight, LINE_WARN);
        assert_int_equal(screen.lines[5].weight, LINE_WARN);
}

static void test_the_load_of_a_bus(void **state)
{
        lay_out("{\"drivers\":[{\"name\":\"bus1\",\"kind\":\"modbus\",\"state\":\"up\",\"load\":0.344,\"readings\":1},"
                "{\"name\":\"bus2\",\"kind\":\"modbus\",\"state\":\"up\",\"load\":1.0},"
                "{\"name\":\"bus3\",\"kind\":\"modbus\",\"state\":\"down\",\"load\":0.9}]}",
                24, 80);
        assert_memory_equal(screen.lines[12].text, " bus1           modbus  up     34%             1", 48);
        assert_memory_equal(screen.lines[13].text, " bus2           modbus  up    100%", 34);
        assert_memory_equal(screen.lines[14].text, " bus3           modbus  down      ", 34);
        assert_int_equal(screen.lines[12].weight, LINE_PLAIN);
        assert_int_equal(screen.lines[13].weight, LINE_WARN);
}

static char *many(int n)
{
        json_t *o = json_object(), *list = json_array();
        char name[16], *text;

        for (int i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "bus%d", i);
                json_array_append_new(list, json_pack("{s:s, s:s}", "name", name, "state", "up"));
        }
        json_object_set_new(o, "drivers", list);
        text = json_dumps(o, 0);
        json_decref(o);
        return text;
}

static void test_scrolling(void **state)
{
        char *json = many(20);

        lay_out(json, 24, 80);
        assert_int_equal(strncmp(screen.lines[12].text, " bus0 ", 6), 0);
        assert_int_equal(strncmp(screen.lines[21].text, " bus9 ", 6), 0);
        assert_string_equal(screen.lines[22].text, " 1 to 10 of 20, arrows for the others");
        screen.scroll = 3;
        lay_out(json, 24, 80);
        assert_int_equal(strncmp(screen.lines[12].text, " bus3 ", 6), 0);
        assert_string_equal(screen.lines[22].text, " 4 to 13 of 20, arrows for the others");
        screen.scroll = 99;
        lay_out(json, 24, 80);
        assert_int_equal(screen.scroll, 10);
        assert_int_equal(strncmp(screen.lines[21].text, " bus19 ", 7), 0);
        screen.scroll = -4;
        lay_out(json, 60, 80);
        assert_int_equal(screen.scroll, 0);
        assert_string_equal(screen.lines[32].text, "");
        free(json);
}

static void take_alarms(const char *json)
{
        json_t *reply = json_loads(json, 0, NULL);

        assert_non_null(reply);
        json_decref(alarms);
        alarms = top_sort_alarms(reply);
        json_decref(reply);
}

static void test_alarms(void **state)
{
        take_alarms("{\"alarms\":[{\"source\":\"press-1\",\"tag\":\"temp\",\"rule\":\"limits\",\"limit_kind\":\"hi\","
                    "\"state\":"
                    "\"acked\",\"unacked\":false,\"severity\":900,\"since\":\"2026-11-23T10:00:00.000000Z\"},"
                    "{\"source\":\"press-2\",\"tag\":\"\",\"rule\":\"silent\",\"limit_kind\":\"\",\"state\":\"unack\","
                    "\"unacked\":true,\"severity\":300,\"since\":\"2026-11-23T09:00:00.000000Z\"},"
                    "{\"source\":\"press-3\",\"tag\":\"temp\",\"rule\":\"limits\",\"limit_kind\":\"hihi\",\"state\":"
                    "\"unack\","
                    "\"unacked\":true,\"severity\":700,\"since\":\"2026-11-23T08:00:00.000000Z\"}]}");
        screen.show_alarms = true;
        screen.cursor = 1;
        lay_out(running, 24, 80);
        assert_string_equal(screen.lines[11].text, "  SEV STATE           SINCE               ALARM");
        assert_string_equal(screen.lines[12].text,
                            "  700 unack           2026-11-23T08:00:00 press-3/temp/limits.hihi");
        assert_string_equal(screen.lines[13].text, "> 300 unack           2026-11-23T09:00:00 press-2/-/silent");
        assert_string_equal(screen.lines[14].text, "  900 acked           2026-11-23T10:00:00 press-1/temp/limits.hi");
        assert_int_equal(screen.lines[13].weight, LINE_WARN);
        assert_int_equal(screen.lines[14].weight, LINE_PLAIN);
        assert_non_null(strstr(screen.lines[23].text, "k acknowledge"));
        screen.cursor = 99;
        screen.notice = "refused: it is so already";
        lay_out(running, 24, 80);
        assert_int_equal(screen.cursor, 2);
        assert_string_equal(screen.lines[23].text, " refused: it is so already");
}

static void test_the_cursor_is_always_seen(void **state)
{
        json_t *list = json_array(), *reply;
        char *text;

        for (int i = 0; i < 50; i++)
                json_array_append_new(list, json_pack("{s:s, s:i}", "source", "x", "severity", 1000 - i));
        reply = json_pack("{s:o}", "alarms", list);
        text = json_dumps(reply, 0);
        take_alarms(text);
        free(text);
        json_decref(reply);
        screen.show_alarms = true;
        for (int cursor = -3; cursor < 60; cursor++) {
                int seen = 0;

                screen.cursor = cursor;
                lay_out("{}", 24, 80);
                for (int i = 12; i < 23; i++)
                        seen += screen.lines[i].text[0] == '>';
                assert_int_equal(seen, 1);
        }
        assert_string_equal(screen.lines[22].text, " 41 to 50 of 50, arrows for the others");
        take_alarms("{}");
        lay_out("{}", 24, 80);
        assert_string_equal(screen.lines[12].text, "      no alarm is there");
        assert_int_equal(screen.cursor, 0);
}

/* Whatever the room and the object: no line is wider than the screen, and none is behind its end. */
static void test_any_room(void **state)
{
        static const char *const objects[] = {
                NULL, "{}", running, "{\"drivers\":7,\"uplink\":null,\"held\":\"x\",\"spool_max_bytes\":-5}",
                "{\"gateway\":\"ggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg\",\"health\":"
                "\"\\t\","
                "\"spool_bytes\":9e300,\"spool_max_bytes\":1,\"oldest_held_age_s\":1e300,\"held\":"
                "9223372036854775807}"};
        char *json = many(300);

        live_through();
        screen.utf8 = true;
        for (int rows = -1; rows < 40; rows++) {
                for (int cols = -1; cols < 300; cols += 7) {
                        for (size_t i = 0; i <= sizeof(objects) / sizeof(*objects); i++) {
                                screen.show_alarms = rows % 2 != 0;
                                lay_out(i < sizeof(objects) / sizeof(*objects) ? objects[i] : json, rows, cols);
                                assert_true(screen.rows >= 2 && screen.cols >= LINE_COLS_MIN);
                                for (int r = 0; r < screen.rows; r++) {
                                        int n = 0;

                                        for (const char *s = screen.lines[r].text; *s; s++)
                                                n += ((unsigned char)*s & 0xc0) != 0x80;
                                        assert_true(n <= screen.cols);
                                }
                                assert_non_null(strstr(screen.lines[screen.rows - 1].text, "q quit"));
                        }
                }
        }
        free(json);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_whole_screen, setup),
                cmocka_unit_test_setup(test_blocks, setup),
                cmocka_unit_test_setup(test_history_is_a_ring, setup),
                cmocka_unit_test_setup(test_nothing_heard_yet, setup),
                cmocka_unit_test_setup(test_trouble_and_pause_are_told, setup),
                cmocka_unit_test_setup(test_a_broken_uplink_says_why, setup),
                cmocka_unit_test_setup(test_the_load_of_a_bus, setup),
                cmocka_unit_test_setup(test_scrolling, setup),
                cmocka_unit_test_setup(test_alarms, setup),
                cmocka_unit_test_setup(test_the_cursor_is_always_seen, setup),
                cmocka_unit_test_setup_teardown(test_any_room, setup, setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
