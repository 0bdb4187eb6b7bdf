/*
 * The screen of `millrace top`, made from fixed status objects and rows: all of an 80×24 one to the letter, what a wide
 * one adds, and what it does when room, status or daemon are missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/fit.h"
#include "agent/cli/top/layout.h"

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
static struct seen seen;
static json_t *alarms;                          /* sorted */
static const int64_t NOW_US = 1795428000000000; /* 2026-11-23T10:00:00Z */

static void lay_out(const char *json, int rows, int cols)
{
        json_t *status = json ? json_loads(json, 0, NULL) : NULL;

        assert_true(!json || status);
        screen.rows = rows;
        screen.cols = cols;
        screen.clock = "10:00:00";
        screen.utc = true;
        screen.now_us = NOW_US;
        top_layout(&screen, &(struct top_data){status, alarms, &history, &seen});
        json_decref(status);
}

static int setup(void **state)
{
        screen = (struct top_screen){0};
        history = (struct top_history){0};
        json_decref(alarms);
        alarms = NULL;
        seen_fini(&seen);
        seen_init(&seen);
        return 0;
}

/* The row on which `text` stands; -1: it does not. */
static int row_of(const char *text)
{
        for (int i = 0; i < screen.rows; i++)
                if (strstr(screen.lines[i].text, text))
                        return i;
        return -1;
}

static void assert_on(const char *text)
{
        if (row_of(text) >= 0)
                return;
        for (int i = 0; i < screen.rows; i++)
                print_message("%s\n", screen.lines[i].text);
        fail_msg("'%s' is not on the screen", text);
}

/* The weight of the text's first character. */
static enum line_weight weight_of(const char *text)
{
        const struct line *l = &screen.lines[row_of(text)];
        enum line_weight weight = l->weight;
        int at = (int)(strstr(l->text, text) - l->text);

        for (int i = 0; i < l->n_marks && l->marks[i].from <= at; i++)
                weight = l->marks[i].weight;
        return weight;
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

static void read_value(const char *source, const char *name, double value, unsigned quality, int64_t ago_us)
{
        struct spool_query_row row = {
                .source = source, .name = name, .unit = "degC", .labels = "", .kind = "", .seq = 1};

        row.r = (struct reading){
                .type = READING_F64, .v.f64 = value, .quality = (uint16_t)quality, .ts_us = NOW_US - ago_us};
        seen_reading(&seen, &row, NOW_US);
}

static void happens(const char *kind, int severity, const char *body, int64_t ago_us)
{
        struct spool_query_row row = {
                .source = "", .name = "", .unit = "", .labels = "", .kind = kind, .severity = severity};

        row.r = (struct reading){
                .type = READING_TEXT, .v.text = body, .len = (uint32_t)strlen(body), .ts_us = NOW_US - ago_us};
        seen_event(&seen, &row);
}

static void test_whole_screen(void **state)
{
        static const char *const expected[24] = {
                " gw-7  ok  up 3h 12m  epoch 3                                          10:00:00",
                "",
                " SOURCES  2 of 2 up          SPOOL 50% of 1.0 GiB        KAFKA  up",
                " 1000.0/s                --> 4,567 held, 356.8 KiB   --> 5000.0/s",
                " .:::---====+++*    %%##     ...............    ....     ...........####    ####",
                " 1,234,567 accepted          0 dropped, oldest 2m 3s     1,230,000 delivered",
                " 3 errors, 0 malformed       empty in 4m 0s              4,096 in flight",
                "",
                " SOURCE KIND   STATE     DEVICES     READINGS  ERRORS MALFORMED",
                " plant  mqtt   up              -    1,234,567       0         0",
                " bus1   modbus paused          -           12       3         0",
                "   unit 4: no?[2J reply",
                "",
                " TAG             VALUE UNIT   Q     AGE  LAST MINUTES",
                " no reading in the spool's file: nothing came for long, or nothing is kept",
                "",
                " TIME      EVENT      WHAT",
                " no event is in the spool's file",
                "",
                "  SEV STATE           SINCE                  ALARM",
                " no alarm is there",
                "",
                "",
                " q quit  d sources  t tags  e events  a alarms  arrows scroll  space hold",
        };

        live_through();
        lay_out(running, 24, 80);
        assert_screen(expected);
        assert_int_equal(weight_of("gw-7"), LINE_TITLE);
        assert_int_equal(weight_of("SOURCE KIND"), LINE_TITLE);
        assert_int_equal(weight_of("plant"), LINE_PLAIN);
        assert_int_equal(weight_of("bus1"), LINE_WARN);
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
        assert_int_equal(weight_of("no daemon"), LINE_BAD);
        assert_string_equal(screen.lines[2].text, "");
}

static void test_trouble_and_pause_are_told(void **state)
{
        screen.trouble = "the daemon went away";
        screen.paused = true;
        lay_out(running, 24, 80);
        assert_string_equal(screen.lines[1].text, " the daemon went away");
        assert_non_null(strstr(screen.lines[0].text, "paused  10:00:00"));
        assert_on("1,234,567 accepted");
        screen.trouble = NULL;
        lay_out("{\"clock\":\"unsynced\"}", 24, 80);
        assert_non_null(strstr(screen.lines[1].text, "not synchronised"));
        lay_out("{\"clock\":\"unsynced\",\"fault\":\"no space\"}", 24, 80);
        assert_string_equal(screen.lines[1].text, " no space");
}

#define CONDITIONS                                                                                                    \
        "\"conditions_total\":4,\"conditions\":[{\"name\":\"uplink_stalled\",\"severity\":\"failed\",\"subject\":"    \
        "\"kafka\","                                                                                                  \
        "\"since\":\"2026-11-23T09:58:00Z\",\"for_s\":120,\"what\":\"records are in flight and the broker at "        \
        "kafka-1:9092 takes them, but none was acknowledged for two minutes; readings are held\",\"todo\":\"look at " \
        "the "                                                                                                        \
        "broker kafka-1:9092 and at the line to it; millrace check --kafka asks it\"},"                               \
        "{\"severity\":\"degraded\",\"subject\":\"modbus line-1\",\"what\":\"1 of 4 devices is "                      \
        "down\",\"todo\":\"cable?\"},"                                                                                \
        "{\"severity\":\"notice\",\"subject\":\"clock\",\"what\":\"not set\"},{\"subject\":\"x\"}]"

/* The worst condition is whole whatever it takes, with its way out; of the others as many as have room. */
static void test_conditions(void **state)
{
        static const char *const narrow[] = {
                " kafka, since 09:58:00Z (2m 0s): records are in flight and the broker at",
                "   kafka-1:9092 takes them, but none was acknowledged for two minutes; readings",
                "   are held",
                " -> look at the broker kafka-1:9092 and at the line to it; millrace check",
                "    --kafka asks it",
                " and 3 more: millrace status",
        };

        lay_out("{\"gateway\":\"gw-7\",\"health\":\"failed\"," CONDITIONS "}", 24, 80);
        assert_non_null(strstr(screen.lines[0].text, " gw-7  failed  4 conditions  up -"));
        for (size_t i = 0; i < sizeof(narrow) / sizeof(*narrow); i++)
                assert_string_equal(screen.lines[1 + i].text, narrow[i]);
        assert_int_equal(weight_of("kafka, since"), LINE_BAD);
        assert_int_equal(weight_of("-> look"), LINE_HEAD);
        lay_out("{" CONDITIONS "}", 50, 200);
        assert_on("readings are held");
        assert_on("modbus line-1: 1 of 4 devices is down");
        assert_on("-> cable?");
        assert_on("clock: not set");
        assert_on(" x: -");
        assert_int_equal(row_of("more: millrace status"), -1);
        assert_int_equal(weight_of("modbus line-1"), LINE_WARN);
}

static void test_a_broken_uplink_is_seen(void **state)
{
        lay_out("{\"uplink\":{\"state\":\"down\",\"in_flight\":0,\"retried\":2,\"paused\":true},\"spool_max_bytes\":"
                "1048576,"
                "\"held_bytes\":95,\"spool_usable_bytes\":100,\"dropped\":5}",
                24, 80);
        assert_on("KAFKA  down, paused");
        assert_on("0 in flight, 2 again");
        assert_on("SPOOL 95% of 1.0 MiB");
        assert_on("-x  ");
        assert_int_equal(weight_of("KAFKA"), LINE_BAD);
        assert_int_equal(weight_of("SPOOL"), LINE_BAD);
        assert_int_equal(weight_of("5 dropped"), LINE_WARN);
        assert_int_equal(weight_of("SOURCES"), LINE_HEAD);
        lay_out("{\"uplink\":{\"state\":\"up\"},\"held\":3,\"drain_eta_s\":4}", 24, 80);
        assert_int_equal(weight_of("KAFKA"), LINE_GOOD);
        assert_on("empty in 4.0s");
}

static void test_the_load_of_a_bus(void **state)
{
        lay_out("{\"drivers\":[{\"name\":\"bus1\",\"kind\":\"modbus\",\"state\":\"up\",\"load\":0.344,\"readings\":1},"
                "{\"name\":\"bus2\",\"kind\":\"modbus\",\"state\":\"up\",\"load\":1.0},"
                "{\"name\":\"bus3\",\"kind\":\"modbus\",\"state\":\"down\",\"load\":0.9}]}",
                24, 80);
        assert_on(" bus1   modbus up 34%          -            1 ");
        assert_on(" bus2   modbus up 100%         -");
        assert_on(" bus3   modbus down            -");
        assert_int_equal(weight_of("bus1"), LINE_PLAIN);
        assert_int_equal(weight_of("bus2"), LINE_WARN);
        assert_int_equal(weight_of("bus3"), LINE_BAD);
}

/* Beside the source where there is room, folded below it where not; devices that are down with since and why. */
static void test_reasons_are_whole(void **state)
{
        static const char json[] =
                "{\"drivers\":[{\"name\":\"line-1\",\"kind\":\"modbus\",\"state\":\"up\",\"n_devices\":4,\"n_devices_"
                "down\":1,"
                "\"late\":3,\"last_error\":\"plc-3: no answer within 300 ms, asked three times, and nothing else on "
                "the line\","
                "\"last_error_at\":\"2026-11-23T09:59:00Z\",\"devices\":[{\"name\":\"plc-1\",\"state\":\"up\"},{"
                "\"name\":"
                "\"plc-3\",\"state\":\"down\",\"since\":\"2026-11-23T09:00:00Z\",\"why\":\"no answer\"}]}]}";

        lay_out(json, 24, 80);
        assert_on("line-1 modbus up            3/4");
        assert_on("   late 3; 09:59:00Z plc-3: no answer within 300 ms, asked three times, and");
        assert_on("     nothing else on the line");
        assert_on("   plc-3 down since 2026-11-23 09:00:00Z: no answer");
        assert_int_equal(weight_of("line-1"), LINE_WARN);
        assert_int_equal(weight_of("plc-3 down"), LINE_BAD);
        lay_out(running, 24, 149);
        assert_true(row_of("bus1   modbus") == row_of("unit 4: no?[2J reply"));
}

static void test_tags_and_events(void **state)
{
        for (int i = 0; i < 120; i++)
                read_value("press-1", "temp", i < 60 ? i : 60, QUALITY_GOOD, (int64_t)(119 - i) * 1000000);
        read_value("press-1", "pressure", (double)71.3f, QUALITY_UNCERTAIN, 90000000);
        read_value("a-line-with-a-name-that-is-long", "and-a-tag-that-is-no-shorter", 1, QUALITY_BAD_STALE, 0);
        happens("alarm", 700,
                "\"rule\":\"limits\",\"limit_kind\":\"hi\",\"state\":\"active\",\"value\":88.2699999,\"limit\":88.0",
                5000000);
        happens("condition", 900,
                "\"state\":\"began\",\"subject\":\"kafka\",\"severity\":\"failed\",\"what\":\"no record is "
                "acknowledged\"",
                4000000);
        happens("condition", 100,
                "\"state\":\"ended\",\"subject\":\"kafka\",\"what\":\"no record is acknowledged\",\"duration_s\":3",
                1000000);
        happens("pause", 300, "\"kind\":\"pause\",\"severity\":300,\"driver\":\"plant\",\"n\":7", 500000);
        happens("odd", 300, "no\033 json", 500000);
        screen.pane = TOP_TAGS;
        lay_out(running, 24, 80);
        assert_int_equal(screen.lines[8].weight, LINE_PLAIN);
        assert_int_equal(weight_of("TAG "), LINE_TITLE);
        assert_on(" a-line-with-a-n~t-is-no-shorter          1.0 degC   x     now");
        assert_on(" press-1/pressure                        71.3 degC   ~  1m 30s");
        assert_on(" press-1/temp                            60.0 degC         now  ");
        assert_on("###########");
        assert_int_equal(weight_of("a-line-with"), LINE_BAD);
        assert_int_equal(weight_of("press-1/pressure"), LINE_WARN);
        screen.pane = TOP_EVENTS;
        lay_out(running, 24, 80);
        assert_on(" 09:59:55Z alarm      limits.hi active: 88.27 at a limit of 88");
        assert_on(" 09:59:56Z condition  kafka: no record is acknowledged");
        assert_on(" 09:59:59Z condition  kafka: no record is acknowledged (over, after 3.0s)");
        assert_on(" pause      driver plant, n 7");
        assert_on("{no? json}");
        assert_int_equal(weight_of("09:59:56Z"), LINE_BAD);
        assert_int_equal(weight_of("09:59:59Z condition"), LINE_GOOD);
        assert_true(row_of("09:59:59Z") < row_of("09:59:56Z"));
        screen.no_file = "the spool can't be read";
        seen_forget(&seen);
        lay_out(running, 24, 80);
        assert_on("the spool can't be read");
}

/* 200×50 has all four at once. */
static void test_a_wide_screen_has_all(void **state)
{
        read_value("press-1", "temp", 71, QUALITY_GOOD, 0);
        lay_out(running, 50, 200);
        assert_true(row_of("SOURCE KIND") == row_of("TAG "));
        assert_true(row_of("EVENT ") > row_of("SOURCE KIND") && row_of("SEV STATE") > row_of("TAG "));
        assert_on("no event is in the spool's file");
        assert_on("no alarm is there");
        assert_on("press-1/temp");
        assert_on("unit 4: no?[2J reply");
}

/* It stands until the next one comes, and the curve goes on. */
static void test_a_time_that_is_to_come(void **state)
{
        double values[4];

        read_value("s", "t", 1, QUALITY_GOOD, 10000000);
        read_value("s", "t", 2, QUALITY_GOOD, -(int64_t)86400 * 1000000);
        screen.pane = TOP_TAGS;
        lay_out(running, 24, 80);
        assert_on("2.0 degC      future");
        read_value("s", "t", 3, QUALITY_GOOD, 0);
        read_value("s", "t", 4, QUALITY_GOOD, 20000000); /* late: the one before stands */
        lay_out(running, 24, 80);
        assert_on("3.0 degC         now");
        seen_curve(&seen.tags[0], NOW_US, 3, values);
        assert_true(values[0] == 1 && values[2] == 3);
}

static void test_the_clock_is_set_back(void **state)
{
        struct spool_query_row row = {.source = "s", .name = "t", .unit = "", .labels = "", .kind = ""};
        int64_t then_us = NOW_US + (int64_t)86400 * 1000000;
        double value;

        row.r = (struct reading){.type = READING_F64, .v.f64 = 1, .ts_us = then_us};
        seen_reading(&seen, &row, then_us);
        read_value("s", "t", 2, QUALITY_GOOD, 0);
        assert_string_equal(seen.tags[0].value, "2.0");
        seen_curve(&seen.tags[0], NOW_US, 1, &value);
        assert_true(value == 2);
}

/* More tags than there is room for are counted; a table of them stays sorted. */
static void test_tags_are_bounded(void **state)
{
        char name[32];

        for (int i = SEEN_TAGS_MAX + 5; i-- > 0;) {
                snprintf(name, sizeof(name), "t%05d", i);
                read_value("s", name, i, QUALITY_GOOD, 0);
        }
        assert_int_equal(seen.n_tags, SEEN_TAGS_MAX);
        assert_int_equal(seen.n_more, 5);
        for (size_t i = 1; i < seen.n_tags; i++)
                assert_true(strcmp(seen.tags[i - 1].name, seen.tags[i].name) < 0);
        for (int i = 0; i < 3 * SEEN_EVENTS_MAX; i++)
                happens("x", 100, "", i);
        assert_non_null(seen_event_at(&seen, SEEN_EVENTS_MAX - 1));
        assert_null(seen_event_at(&seen, SEEN_EVENTS_MAX));
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
        assert_int_equal(strncmp(screen.lines[9].text, " bus0 ", 6), 0);
        assert_on(" bus12 ");
        assert_string_equal(screen.lines[22].text, " 1 to 13 of 20 lines, arrows for the others");
        screen.scroll[TOP_SOURCES] = 3;
        lay_out(json, 24, 80);
        assert_int_equal(strncmp(screen.lines[9].text, " bus3 ", 6), 0);
        assert_string_equal(screen.lines[22].text, " 4 to 16 of 20 lines, arrows for the others");
        screen.scroll[TOP_SOURCES] = 99;
        lay_out(json, 24, 80);
        assert_int_equal(screen.scroll[TOP_SOURCES], 7);
        assert_int_equal(strncmp(screen.lines[21].text, " bus19 ", 7), 0);
        screen.scroll[TOP_SOURCES] = -4;
        lay_out(json, 60, 80);
        assert_int_equal(screen.scroll[TOP_SOURCES], 0);
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
        screen.pane = TOP_ALARMS;
        screen.cursor = 1;
        lay_out(running, 24, 80);
        assert_on("  SEV STATE           SINCE                  ALARM");
        assert_on("  700 unack           2026-11-23 08:00:00Z   press-3/temp/limits.hihi");
        assert_on("> 300 unack           2026-11-23 09:00:00Z   press-2/-/silent");
        assert_on("  900 acked           2026-11-23 10:00:00Z   press-1/temp/limits.hi");
        assert_int_equal(weight_of("300 unack"), LINE_WARN);
        assert_int_equal(weight_of("900 acked"), LINE_PLAIN);
        assert_on("k acknowledge");
        screen.cursor = 99;
        screen.notice = "refused: it is so already";
        lay_out(running, 24, 80);
        assert_int_equal(screen.cursor, 2);
        assert_string_equal(screen.lines[23].text, " refused: it is so already");
}

static void test_the_cursor_follows_its_alarm(void **state)
{
        static const char one[] = "{\"event_id\":\"1\",\"severity\":500}",
                          two[] = "{\"event_id\":\"2\",\"severity\":400}";
        json_t *chosen;
        char text[200];

        snprintf(text, sizeof(text), "{\"alarms\":[%s,%s]}", one, two);
        take_alarms(text);
        chosen = json_incref(json_array_get(alarms, 1));
        snprintf(text, sizeof(text), "{\"alarms\":[{\"event_id\":\"3\",\"severity\":900},%s,%s]}", one, two);
        take_alarms(text);
        assert_int_equal(top_alarm_row(alarms, chosen, 1), 2);
        snprintf(text, sizeof(text), "{\"alarms\":[%s]}", one);
        take_alarms(text);
        assert_int_equal(top_alarm_row(alarms, chosen, 1), 1); /* over: the layout finds a row */
        assert_int_equal(top_alarm_row(alarms, NULL, 1), 1);
        json_decref(chosen);
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
        screen.pane = TOP_ALARMS;
        for (int cursor = -3; cursor < 60; cursor++) {
                int found = 0;

                screen.cursor = cursor;
                lay_out("{}", 24, 80);
                for (int i = 8; i < 23; i++)
                        found += screen.lines[i].text[0] == '>';
                assert_int_equal(found, 1);
        }
        assert_on(" 38 to 50 of 50 lines, arrows for the others");
        take_alarms("{}");
        lay_out("{}", 24, 80);
        assert_on(" no alarm is there");
        assert_int_equal(screen.cursor, 0);
}

/* Whatever the room and the object: no line is wider than the screen, and none is behind its end. */
static void test_any_room(void **state)
{
        static const char *const objects[] = {
                NULL, "{}", running, "{\"drivers\":7,\"uplink\":null,\"held\":\"x\",\"spool_max_bytes\":-5}",
                "{\"gateway\":\"ggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg\",\"health\":"
                "\"\\t\"," CONDITIONS
                ",\"spool_bytes\":9e300,\"spool_max_bytes\":1,\"oldest_held_age_s\":1e300,\"held\":"
                "9223372036854775807}"};
        char *json = many(300);

        live_through();
        read_value("온도온도온도온도온도온도온도온도", "온도", 1, QUALITY_GOOD, 0);
        screen.utf8 = true;
        for (int rows = -1; rows < 40; rows++) {
                for (int cols = -1; cols < 300; cols += 7) {
                        for (size_t i = 0; i <= sizeof(objects) / sizeof(*objects); i++) {
                                screen.pane = (enum top_pane)((rows + 1) % TOP_PANES);
                                lay_out(i < sizeof(objects) / sizeof(*objects) ? objects[i] : json, rows, cols);
                                assert_true(screen.rows >= 2 && screen.cols >= LINE_COLS_MIN);
                                for (int r = 0; r < screen.rows; r++) {
                                        assert_true(fit_width(screen.lines[r].text) <= (size_t)screen.cols);
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
                cmocka_unit_test_setup(test_conditions, setup),
                cmocka_unit_test_setup(test_a_broken_uplink_is_seen, setup),
                cmocka_unit_test_setup(test_reasons_are_whole, setup),
                cmocka_unit_test_setup(test_tags_and_events, setup),
                cmocka_unit_test_setup(test_a_wide_screen_has_all, setup),
                cmocka_unit_test_setup(test_tags_are_bounded, setup),
                cmocka_unit_test_setup(test_the_load_of_a_bus, setup),
                cmocka_unit_test_setup(test_scrolling, setup),
                cmocka_unit_test_setup(test_alarms, setup),
                cmocka_unit_test_setup(test_the_cursor_follows_its_alarm, setup),
                cmocka_unit_test_setup(test_the_cursor_is_always_seen, setup),
                cmocka_unit_test_setup(test_a_time_that_is_to_come, setup),
                cmocka_unit_test_setup(test_the_clock_is_set_back, setup),
                cmocka_unit_test_setup_teardown(test_any_room, setup, setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
