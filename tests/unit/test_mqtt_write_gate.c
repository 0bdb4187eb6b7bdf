/*
 * write_gate: between a "library" that writes to a descriptor and a "broker" at the other end of a socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/mqtt/write_gate.h"

enum { MANY = 50000 };

static struct {
        struct mqtt_write_gate gate;
        int lib, broker;
} T;

static int set_up(void **state)
{
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
        T.lib = pair[0];
        T.broker = pair[1];
        assert_int_equal(mqtt_write_gate_init(&T.gate, T.lib), 0);
        return 0;
}

static int tear_down(void **state)
{
        close(T.lib);
        mqtt_write_gate_fini(&T.gate);
        close(T.broker);
        return 0;
}

/* The position behind it. */
static uint64_t collect(const char *text)
{
        assert_int_equal(mqtt_write_gate_begin_capture(&T.gate), 0);
        assert_int_equal(write(T.lib, text, strlen(text)), strlen(text));
        assert_int_equal(mqtt_write_gate_drain(&T.gate), strlen(text));
        assert_int_equal(mqtt_write_gate_end_capture(&T.gate), 0);
        return T.gate.end;
}

static void assert_arrived(const char *text)
{
        char got[200] = "";
        ssize_t n = read(T.broker, got, sizeof(got) - 1);

        assert_string_equal(n < 0 ? "" : got, text);
}

static void test_nothing_passes_before_it_may(void **state)
{
        uint64_t first = collect("one"), second;

        assert_arrived("");
        second = collect("two");
        assert_int_equal(mqtt_write_gate_release(&T.gate, 0), 0);
        assert_arrived("");
        assert_int_equal(mqtt_write_gate_release(&T.gate, first), 0);
        assert_arrived("one");
        assert_int_equal(mqtt_write_gate_release(&T.gate, first), 0); /* again: nothing */
        assert_arrived("");
        collect("three");
        assert_int_equal(mqtt_write_gate_release(&T.gate, second), 0);
        assert_arrived("two");
        assert_int_equal(mqtt_write_gate_release(&T.gate, T.gate.end), 0);
        assert_arrived("three");
}

static void test_turned_back_the_library_has_its_socket(void **state)
{
        char got[20] = "";

        collect("held");
        assert_int_equal(write(T.lib, "direct", 6), 6);
        assert_arrived("direct");
        assert_int_equal(write(T.broker, "answer", 6), 6);
        assert_int_equal(read(T.lib, got, sizeof(got)), 6);
        assert_string_equal(got, "answer");
        assert_true(fcntl(T.lib, F_GETFD) & FD_CLOEXEC); /* no child of ours shall have it */
        assert_true(fcntl(T.gate.net_fd, F_GETFD) & FD_CLOEXEC);
}

/* More than a pipe holds: the library is told EAGAIN, and goes on when the gate has taken. */
static void test_more_than_a_pipe_takes_passes_whole(void **state)
{
        unsigned written = 0, refused = 0, arrived = 0;
        uint64_t half = 0;
        char got[9];

        assert_int_equal(mqtt_write_gate_begin_capture(&T.gate), 0);
        while (written < MANY) {
                uint64_t number = written;

                if (write(T.lib, &number, sizeof(number)) == sizeof(number)) {
                        written++;
                } else {
                        assert_int_equal(errno, EAGAIN);
                        refused++;
                        assert_in_range(mqtt_write_gate_drain(&T.gate), 1, MANY * sizeof(number));
                }
                if (written == MANY / 2 && !half) {
                        mqtt_write_gate_drain(&T.gate);
                        half = T.gate.end;
                }
        }
        mqtt_write_gate_drain(&T.gate);
        assert_int_equal(mqtt_write_gate_end_capture(&T.gate), 0);
        assert_int_not_equal(refused, 0);
        assert_int_equal(T.gate.end, MANY * sizeof(uint64_t));
        for (uint64_t upto = half; arrived < MANY; upto = T.gate.end) {
                int r;

                do {
                        r = mqtt_write_gate_release(&T.gate, upto);
                        assert_in_range(r, 0, MQTT_WRITE_GATE_E_DRY);
                        while (read(T.broker, got, 8) == 8) {
                                uint64_t number;

                                memcpy(&number, got, sizeof(number));
                                assert_int_equal(number, arrived);
                                arrived++;
                        }
                } while (r == MQTT_WRITE_GATE_E_DRY);
                assert_int_equal(arrived, upto / sizeof(uint64_t));
        }
}

/* The library closes its descriptor at an error, in the gate or not; the socket is ours until fini. */
static void test_the_library_may_close_its_descriptor(void **state)
{
        char c;

        assert_int_equal(mqtt_write_gate_begin_capture(&T.gate), 0);
        close(T.lib);
        assert_int_equal(mqtt_write_gate_drain(&T.gate), 0);
        assert_int_equal(read(T.broker, &c, 1), -1);
        mqtt_write_gate_fini(&T.gate);
        assert_int_equal(read(T.broker, &c, 1), 0);
        T.lib = -1;
}

/* Once the gate owns the socket, what the broker sends is ours alone, and the library reads what it is fed. */
static void test_owned_the_library_reads_what_it_is_fed(void **state)
{
        char got[100] = "";

        assert_int_equal(mqtt_write_gate_own(&T.gate), 0);
        assert_int_equal(write(T.broker, "secret", 6), 6);
        assert_int_equal(read(T.lib, got, sizeof(got)), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(mqtt_write_gate_feed(&T.gate, "fed", 3), 3);
        assert_int_equal(read(T.lib, got, sizeof(got)), 3);
        assert_memory_equal(got, "fed", 3);
        collect("held");
        assert_arrived("");
        assert_int_equal(mqtt_write_gate_release(&T.gate, T.gate.end), 0);
        assert_arrived("held");
        assert_int_equal(mqtt_write_gate_feed(&T.gate, "more", 4), 4); /* it leads there again after a capture */
        assert_int_equal(read(T.lib, got, sizeof(got)), 4);
        assert_int_equal(read(T.gate.net_fd, got, sizeof(got)), 6);
        assert_memory_equal(got, "secret", 6);
        assert_true(fcntl(T.lib, F_GETFD) & FD_CLOEXEC);
}

static void test_a_full_pipe_takes_no_more_for_now(void **state)
{
        char many[4096] = "";
        long n, fed = 0, taken = 0;

        assert_int_equal(mqtt_write_gate_own(&T.gate), 0);
        while ((n = mqtt_write_gate_feed(&T.gate, many, sizeof(many))) > 0)
                fed += n;
        assert_int_equal(n, 0);
        while ((n = read(T.lib, many, sizeof(many))) > 0)
                taken += n;
        assert_int_equal(taken, fed);
        assert_true(mqtt_write_gate_feed(&T.gate, many, sizeof(many)) > 0);
}

static void test_what_is_held_can_be_sent_by_hand(void **state)
{
        size_t n;
        const char *p;
        uint64_t first = collect("one");

        collect("two");
        p = mqtt_write_gate_held(&T.gate, first, &n);
        assert_int_equal(n, 3);
        assert_memory_equal(p, "one", 3);
        mqtt_write_gate_sent(&T.gate, 2);
        p = mqtt_write_gate_held(&T.gate, T.gate.end, &n);
        assert_int_equal(n, 4);
        assert_memory_equal(p, "etwo", 4);
        mqtt_write_gate_sent(&T.gate, 4);
        mqtt_write_gate_held(&T.gate, T.gate.end, &n);
        assert_int_equal(n, 0);
}

static void test_a_broker_that_is_gone_is_an_error(void **state)
{
        collect("late");
        close(T.broker);
        T.broker = -1;
        assert_int_equal(mqtt_write_gate_release(&T.gate, T.gate.end), -1); /* and no SIGPIPE */
        assert_int_equal(errno, EPIPE);
}

static void test_without_a_socket_there_is_no_gate(void **state)
{
        struct mqtt_write_gate gate;

        assert_int_equal(mqtt_write_gate_init(&gate, -1), -1);
        assert_int_equal(errno, EBADF);
        mqtt_write_gate_fini(&gate);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing_passes_before_it_may, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_turned_back_the_library_has_its_socket, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_more_than_a_pipe_takes_passes_whole, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_the_library_may_close_its_descriptor, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_owned_the_library_reads_what_it_is_fed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_full_pipe_takes_no_more_for_now, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_held_can_be_sent_by_hand, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_broker_that_is_gone_is_an_error, set_up, tear_down),
                cmocka_unit_test(test_without_a_socket_there_is_no_gate),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
