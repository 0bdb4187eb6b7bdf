/*
 * The driver on a pseudo terminal and a virtual clock: readings, silence inside a line, questions and answers,
 * unplugging, noise that must not wear out the flash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/rt_sim.h"
#include "drivers/serial/serial.h"
#include "told.h"

#define LIST(a)                                                  \
        {                                                        \
                (void *)(uintptr_t)(a), sizeof(a) / sizeof(*(a)) \
        }

enum { SECOND = 1000000 };

static const struct serial_reading_conf readings[] = {{.tag = "weight", .unit = "kg", .scale = 1},
                                                      {.tag = "stable", .scale = 1}};

static struct bench {
        struct rt_sim sim;
        struct serial_conf conf;
        struct driver d;
        int master;
        char port[64];
        size_t n_kept;
        bool is_full; /* the spool has no room */
} b;

static int on_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        if (b.is_full && may_wait)
                return DRIVER_E_WAIT;
        if (b.is_full)
                note("dropped:");
        for (size_t i = 0; i < n; i++) {
                const char *tag = tags_get(d->tags, r[i].tag)->name;

                if (r[i].type == READING_F64)
                        note("%s=%g ", tag, r[i].v.f64);
                else if (r[i].type == READING_TEXT)
                        note("%s=%.*s ", tag, (int)r[i].len, r[i].v.text);
                else
                        note("%s:%s ", tag, quality_reason(r[i].quality));
        }
        return 0;
}

static void on_quarantine(struct driver *d, const char *origin, const char *reason, const void *payload, size_t len)
{
        d->n_malformed++;
        b.n_kept++;
        note("kept(%.*s) ", (int)len, (const char *)payload);
}

static void on_up(struct driver *d)
{
        note("up ");
}

static void on_down(struct driver *d, const char *why)
{
        note("down ");
}

static void on_stopped(struct driver *d)
{
        note("stopped ");
}

static const struct driver_host host = {
        .emit = on_emit, .quarantine = on_quarantine, .link_up = on_up, .link_down = on_down, .stopped = on_stopped};

static void plug(void)
{
        b.master = posix_openpt(O_RDWR | O_NOCTTY);
        assert_true(b.master >= 0 && grantpt(b.master) == 0 && unlockpt(b.master) == 0);
        assert_int_equal(ptsname_r(b.master, b.port, sizeof(b.port)), 0);
}

static int set_up(void **state)
{
        struct err e;

        memset(&b, 0, sizeof(b));
        told[0] = '\0';
        rt_sim_init(&b.sim, 1, 1795428000000000);
        plug();
        b.conf = (struct serial_conf){.name = "scale",
                                      .port = b.port,
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
        b.d = (struct driver){.ops = &serial_ops,
                              .name = "scale",
                              .conf = &b.conf,
                              .rt = &b.sim.rt,
                              .tags = tags_new(100),
                              .host = &host};
        return serial_ops.init(&b.d, &e);
}

static int tear_down(void **state)
{
        serial_ops.fini(&b.d);
        tags_free(b.d.tags);
        if (b.master >= 0)
                close(b.master);
        rt_sim_fini(&b.sim);
        return 0;
}

/* No fd is polled: the test says when there is something to read. */
static struct rt_watch *watch;

static void on_watch(struct rt *rt, struct rt_watch *w, unsigned events)
{
        watch = events ? w : NULL;
}

static struct rt_ops ops;

static void start(void)
{
        ops = *b.sim.rt.ops;
        ops.watch = on_watch;
        b.sim.rt.ops = &ops;
        serial_ops.start(&b.d);
}

static void say(const char *text)
{
        assert_int_equal(write(b.master, text, strlen(text)), strlen(text));
        assert_non_null(watch);
        watch->on_event(watch, RT_READ);
}

static void pass(int64_t us)
{
        rt_sim_run(&b.sim, b.sim.now.mono_us + us, NULL, NULL);
}

static void lines_become_readings(void **state)
{
        assert_int_equal(b.d.period_us, 0);
        start();
        check_told("up ");
        say("ST,12.5kg\r\nUS,+007kg\r\n");
        check_told("weight=12.5 stable=ST weight=7 stable=US ");
        say("ST,1");
        say("3kg\r\n");
        check_told("weight=13 stable=ST ");
        say("hello\r\n");
        check_told("kept(hello) ");
        serial_ops.pause(&b.d, true);
        say("ST,2kg\r\n"); /* an instrument does not wait */
        check_told("weight=2 stable=ST ");
        serial_ops.stop(&b.d);
        check_told("stopped ");
        assert_null(watch);
}

static void half_a_line_does_not_join_the_next(void **state)
{
        start();
        check_told("up ");
        say("ST,12");
        pass(2 * SECOND);
        check_told("kept(ST,12) ");
        say("ST,5kg\r\n");
        check_told("weight=5 stable=ST ");
        pass(10 * SECOND);
        check_told("");
}

static void unplugged(void **state)
{
        start();
        say("ST,1kg\r\nST,");
        check_told("up weight=1 stable=ST ");
        close(b.master);
        watch->on_event(watch, RT_READ | RT_ERROR);
        check_told("weight:not_connected stable:not_connected down ");
        assert_null(watch);
        for (int i = 0; i < 3; i++) {
                serial_ops.start(&b.d);
                check_told("down "); /* the tags know already */
        }
        plug();
        serial_ops.start(&b.d);
        check_told("up ");
        say("2kg\r\nST,3kg\r\n"); /* nothing of the old line is left */
        check_told("kept(2kg) weight=3 stable=ST ");
        pass(10 * SECOND);
        check_told("");
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

        start();
        for (int i = 0; i < 1000; i++) {
                say("ST,1kg\r\nST,");
                close(b.master);
                watch->on_event(watch, RT_READ | RT_ERROR);
                plug();
                serial_ops.start(&b.d);
                check_told(i ? "weight=1 stable=ST weight:not_connected stable:not_connected down up "
                             : "up weight=1 stable=ST weight:not_connected stable:not_connected down up ");
                if (i == 0)
                        fd = next_fd();
        }
        assert_int_equal(next_fd(), fd);
}

static void a_port_that_never_was(void **state)
{
        b.conf.port = "/dev/null";
        start();
        check_told("weight:not_connected stable:not_connected down ");
        b.conf.port = "/nonexistent";
        serial_ops.start(&b.d);
        check_told("down ");
}

static void heard(const char *expected)
{
        char got[64] = "";
        ssize_t n;

        fcntl(b.master, F_SETFL, O_NONBLOCK);
        n = read(b.master, got, sizeof(got) - 1);
        got[n > 0 ? n : 0] = '\0';
        assert_string_equal(got, expected);
}

static void questions_and_answers(void **state)
{
        assert_int_equal(b.d.period_us, SECOND);
        start();
        serial_ops.poll(&b.d);
        heard("W\r\n");
        say("ST,1kg\r\n");
        check_told("up weight=1 stable=ST ");
        pass(SECOND);
        check_told("");

        serial_ops.poll(&b.d);
        heard("W\r\n");
        serial_ops.poll(&b.d); /* not while the answer may still come */
        heard("");
        assert_int_equal(b.d.n_overruns, 1);
        pass(SECOND);
        check_told("weight:comm_failure stable:comm_failure ");
        serial_ops.poll(&b.d);
        heard("W\r\n");
        pass(SECOND);
        check_told(""); /* told once */
        assert_int_equal(b.d.n_errors, 2);
        say("ST,2kg\r\n");
        check_told("weight=2 stable=ST ");
        serial_ops.poll(&b.d);
        pass(SECOND);
        check_told("weight:comm_failure stable:comm_failure ");
}

static void noise_is_counted_but_not_all_kept(void **state)
{
        start();
        for (int i = 0; i < 500; i++) {
                say("noise\r\n");
                told[0] = '\0';
        }
        assert_int_equal(b.d.n_malformed, 500);
        assert_int_equal(b.n_kept, 20);
        pass(60 * SECOND);
        for (int i = 0; i < 500; i++)
                say("noise\r\n");
        assert_int_equal(b.d.n_malformed, 1000);
        assert_int_equal(b.n_kept, 22);
}

/* A commit makes room soon: the burst waits, in order. A spool that stays full: it is read and dropped there. */
static void no_room_for_readings(void **state)
{
        start();
        b.is_full = true;
        say("ST,1kg\r\nST,2kg\r\nUS,");
        assert_null(watch);
        check_told("up ");
        b.is_full = false;
        serial_ops.pause(&b.d, false);
        check_told("weight=1 stable=ST weight=2 stable=ST ");
        say("3kg\r\n");
        check_told("weight=3 stable=US ");

        b.is_full = true;
        say("ST,4kg\r\nST,5kg\r\n");
        check_told("");
        pass(SECOND);
        check_told("dropped:weight=4 stable=ST dropped:weight=5 stable=ST ");
        say("ST,6kg\r\n");
        check_told("dropped:weight=6 stable=ST ");
        b.is_full = false;
        serial_ops.pause(&b.d, false);
        b.is_full = true;
        say("ST,7kg\r\n");
        check_told("");
        serial_ops.stop(&b.d);
        check_told("dropped:weight=7 stable=ST stopped ");
}

static void no_room_for_tags(void **state)
{
        tags_free(b.d.tags);
        b.d.tags = tags_new(1);
        start();
        say("ST,1kg\r\n");
        check_told("up weight=1 ");
        assert_int_equal(b.d.n_untagged, 1);
}

int main(void)
{
        static char question[] = "W\\r\\n";
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(lines_become_readings, set_up, tear_down),
                cmocka_unit_test_setup_teardown(half_a_line_does_not_join_the_next, set_up, tear_down),
                cmocka_unit_test_setup_teardown(unplugged, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_thousand_times, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_port_that_never_was, set_up, tear_down),
                cmocka_unit_test_prestate_setup_teardown(questions_and_answers, set_up, tear_down, question),
                cmocka_unit_test_setup_teardown(noise_is_counted_but_not_all_kept, set_up, tear_down),
                cmocka_unit_test_setup_teardown(no_room_for_readings, set_up, tear_down),
                cmocka_unit_test_setup_teardown(no_room_for_tags, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
