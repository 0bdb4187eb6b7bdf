/*
 * The driver on a pseudo terminal and a virtual clock: readings, silence inside a line, questions and answers,
 * unplugging, noise that must not wear out the flash.
 */
#include "tests/lib/driver_bench.h"

#include <fcntl.h>

#include "drivers/serial/serial.h"

#define LIST(a)                                                  \
        {                                                        \
                (void *)(uintptr_t)(a), sizeof(a) / sizeof(*(a)) \
        }

enum { SECOND = 1000000 };

static const struct serial_reading_conf readings[] = {{.tag = "weight", .unit = "kg", .convert.scale = 1},
                                                      {.tag = "stable", .convert.scale = 1}};

static struct driver_bench b;
static struct serial_conf conf;
static int master;
static char port[64];

static void plug(void)
{
        master = posix_openpt(O_RDWR | O_NOCTTY);
        assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        assert_int_equal(ptsname_r(master, port, sizeof(port)), 0);
}

static int set_up(void **state)
{
        struct err e;

        plug();
        conf = (struct serial_conf){.name = "scale",
                                    .port = port,
                                    .source = "scale-1",
                                    .baud = 9600,
                                    .data_bits = 8,
                                    .stop_bits = 1,
                                    .max_frame = 64,
                                    .idle_us = SECOND,
                                    .match = "^(?<stable>ST|US),(?<weight>.*)kg$",
                                    .poll = *state,
                                    .period_us = SECOND,
                                    .timeout_us = SECOND / 2,
                                    .readings = LIST(readings)};
        bench_init(&b, &serial_ops, "scale", &conf);
        return serial_ops.init(&b.d, &e);
}

static int tear_down(void **state)
{
        bench_fini(&b);
        if (master >= 0)
                close(master);
        return 0;
}

static void say(const char *text)
{
        assert_int_equal(write(master, text, strlen(text)), strlen(text));
        assert_int_equal(bench_n_watched(&b), 1);
        bench_turn(&b);
}

static void lines_become_readings(void **state)
{
        assert_int_equal(b.d.period_us, 0);
        serial_ops.start(&b.d);
        transcript_expect("up ");
        say("ST,12.5kg\r\nUS,+007kg\r\n");
        transcript_expect("weight=12.5 stable=ST weight=7 stable=US ");
        say("ST,1");
        say("3kg\r\n");
        transcript_expect("weight=13 stable=ST ");
        say("hello\r\n");
        transcript_expect("kept(hello) ");
        serial_ops.pause(&b.d, true);
        say("ST,2kg\r\n"); /* an instrument does not wait */
        transcript_expect("weight=2 stable=ST ");
        serial_ops.stop(&b.d);
        transcript_expect("stopped ");
        assert_int_equal(bench_n_watched(&b), 0);
}

static void the_scale_is_over_its_range(void **state)
{
        static const char *const over[] = {"OL"}, *const ignored[] = {"^#"};

        serial_ops.fini(&b.d);
        conf.quality = (struct serial_quality_conf){.value = "stable", .bad = LIST(over)};
        conf.ignore = (struct schema_list)LIST(ignored);
        bench_start(&b);
        say("ST,12.5kg\r\n");
        transcript_expect("up weight=12.5? stable=ST? ");
        say("OL,+--------kg\r\n");
        transcript_expect("weight:sensor stable:sensor ");
        say("# printed by scale 3\r\n");
        transcript_expect("");
        assert_int_equal(b.d.n_ignored, 1);
        assert_int_equal(b.d.n_malformed, 0);
}

/* Its unit says that a number is meant. */
static void a_text_where_a_number_was_meant(void **state)
{
        serial_ops.start(&b.d);
        say("ST,OVERkg\r\n");
        transcript_expect("up kept(ST,OVERkg) weight:sensor stable=ST ");
        say("ST,12.5 kgkg\r\n");
        transcript_expect("weight=12.5 stable=ST ");
        assert_int_equal(b.d.n_malformed, 1);
        assert_string_equal(b.d.last_error, "scale-1: weight: not what its type says");
}

static void half_a_line_does_not_join_the_next(void **state)
{
        serial_ops.start(&b.d);
        transcript_expect("up ");
        say("ST,12");
        bench_pass(&b, 2 * SECOND);
        transcript_expect("kept(ST,12) ");
        say("ST,5kg\r\n");
        transcript_expect("weight=5 stable=ST ");
        bench_pass(&b, 10 * SECOND);
        transcript_expect("");
}

static void unplugged(void **state)
{
        serial_ops.start(&b.d);
        say("ST,1kg\r\nST,");
        transcript_expect("up weight=1 stable=ST ");
        close(master);
        bench_turn(&b);
        transcript_expect("weight:not_connected stable:not_connected down ");
        assert_int_equal(bench_n_watched(&b), 0);
        for (int i = 0; i < 3; i++) {
                serial_ops.start(&b.d);
                transcript_expect("down "); /* the tags know already */
        }
        plug();
        serial_ops.start(&b.d);
        transcript_expect("up ");
        say("2kg\r\nST,3kg\r\n"); /* nothing of the old line is left */
        transcript_expect("kept(2kg) weight=3 stable=ST ");
        bench_pass(&b, 10 * SECOND);
        transcript_expect("");
}

static int next_fd(void)
{
        int fd = dup(0);

        close(fd);
        return fd;
}

static void a_thousand_times(void **state)
{
        int fd = 0;

        serial_ops.start(&b.d);
        for (int i = 0; i < 1000; i++) {
                say("ST,1kg\r\nST,");
                close(master);
                bench_turn(&b);
                plug();
                serial_ops.start(&b.d);
                transcript_expect(i ? "weight=1 stable=ST weight:not_connected stable:not_connected down up "
                                    : "up weight=1 stable=ST weight:not_connected stable:not_connected down up ");
                if (i == 0)
                        fd = next_fd();
        }
        assert_int_equal(next_fd(), fd);
}

static void a_port_that_never_was(void **state)
{
        serial_ops.fini(&b.d);
        conf.port = "/dev/null";
        bench_start(&b);
        transcript_expect("weight:not_connected stable:not_connected down ");
        serial_ops.fini(&b.d);
        conf.port = "/nonexistent";
        bench_start(&b);
        transcript_expect("weight:not_connected stable:not_connected down ");
}

static void heard(const char *expected)
{
        char got[64] = "";
        ssize_t n;

        fcntl(master, F_SETFL, O_NONBLOCK);
        n = read(master, got, sizeof(got) - 1);
        got[n > 0 ? n : 0] = '\0';
        assert_string_equal(got, expected);
}

static void questions_and_answers(void **state)
{
        assert_int_equal(b.d.period_us, SECOND);
        serial_ops.start(&b.d);
        serial_ops.poll(&b.d);
        heard("W\r\n");
        say("ST,1kg\r\n");
        transcript_expect("up weight=1 stable=ST ");
        bench_pass(&b, SECOND);
        transcript_expect("");

        serial_ops.poll(&b.d);
        heard("W\r\n");
        serial_ops.poll(&b.d); /* not while the answer may still come */
        heard("");
        assert_int_equal(b.d.n_overruns, 1);
        bench_pass(&b, SECOND);
        transcript_expect("weight:comm_failure stable:comm_failure ");
        serial_ops.poll(&b.d);
        heard("W\r\n");
        bench_pass(&b, SECOND);
        transcript_expect(""); /* told once */
        assert_int_equal(b.d.n_errors, 2);
        say("ST,2kg\r\n");
        transcript_expect("weight=2 stable=ST ");
        serial_ops.poll(&b.d);
        bench_pass(&b, SECOND);
        transcript_expect("weight:comm_failure stable:comm_failure ");
}

static void noise_is_counted_but_not_all_kept(void **state)
{
        serial_ops.start(&b.d);
        for (int i = 0; i < 500; i++) {
                say("noise\r\n");
                transcript[0] = '\0';
        }
        assert_int_equal(b.d.n_malformed, 500);
        assert_int_equal(b.n_kept, 20);
        bench_pass(&b, 60 * SECOND);
        for (int i = 0; i < 500; i++)
                say("noise\r\n");
        assert_int_equal(b.d.n_malformed, 1000);
        assert_int_equal(b.n_kept, 22);
}

/* A commit makes room soon: the burst waits, in order. A spool that stays full: it is read and dropped there. */
static void no_room_for_readings(void **state)
{
        serial_ops.start(&b.d);
        b.room = 0;
        say("ST,1kg\r\nST,2kg\r\nUS,");
        assert_int_equal(bench_n_watched(&b), 0);
        transcript_expect("up ");
        bench_make_room(&b, SIZE_MAX);
        transcript_expect("weight=1 stable=ST weight=2 stable=ST ");
        say("3kg\r\n");
        transcript_expect("weight=3 stable=US ");

        b.room = 0;
        say("ST,4kg\r\nST,5kg\r\n");
        transcript_expect("");
        bench_pass(&b, SECOND);
        transcript_expect("dropped:weight=4 stable=ST dropped:weight=5 stable=ST ");
        say("ST,6kg\r\n");
        transcript_expect("dropped:weight=6 stable=ST ");
        bench_make_room(&b, SIZE_MAX);
        b.room = 0;
        say("ST,7kg\r\n");
        transcript_expect("");
        serial_ops.stop(&b.d);
        transcript_expect("dropped:weight=7 stable=ST stopped ");
}

/* Bounds are for what comes from the wire. */
static void a_full_table_has_room_for_us(void **state)
{
        tags_free(b.d.tags);
        b.d.tags = tags_new(0);
        serial_ops.start(&b.d);
        say("ST,1kg\r\n");
        transcript_expect("up weight=1 stable=ST ");
        assert_int_equal(b.d.n_untagged, 0);
}

int main(void)
{
        static char question[] = "W\\r\\n";
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(lines_become_readings, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_scale_is_over_its_range, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_text_where_a_number_was_meant, set_up, tear_down),
                cmocka_unit_test_setup_teardown(half_a_line_does_not_join_the_next, set_up, tear_down),
                cmocka_unit_test_setup_teardown(unplugged, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_thousand_times, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_port_that_never_was, set_up, tear_down),
                cmocka_unit_test_prestate_setup_teardown(questions_and_answers, set_up, tear_down, question),
                cmocka_unit_test_setup_teardown(noise_is_counted_but_not_all_kept, set_up, tear_down),
                cmocka_unit_test_setup_teardown(no_room_for_readings, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_full_table_has_room_for_us, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
