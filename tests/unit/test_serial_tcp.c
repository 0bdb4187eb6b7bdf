/*
 * A serial line behind a device server: the same lines, over a connection that is refused, closed idly, or closed for
 * good.
 */
#include "tests/lib/driver_bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "drivers/port.h"
#include "drivers/serial/serial.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))
#define LIST(a)                                   \
        {                                         \
                (void *)(uintptr_t)(a), LENGTH(a) \
        }

enum { SECOND = 1000000 };

static const struct serial_reading_conf readings[] = {{.tag = "weight", .convert.scale = 1}};
static struct driver_bench b;
static struct serial_conf conf;
static int listener, server;
static char port[64];

static int set_up(void **state)
{
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(addr);

        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        server = -1;
        assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
        assert_int_equal(listen(listener, 4), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
        snprintf(port, sizeof(port), "tcp://127.0.0.1:%d", ntohs(addr.sin_port));
        conf = (struct serial_conf){.name = "scale",
                                    .port = port,
                                    .source = "scale-1",
                                    .baud = 9600,
                                    .idle_us = SECOND,
                                    .match = "^(?<weight>.*)kg$",
                                    .poll = *state,
                                    .period_us = 10 * SECOND,
                                    .timeout_us = SECOND,
                                    .readings = LIST(readings)};
        bench_init(&b, &serial_ops, "scale", &conf);
        bench_start(&b);
        return 0;
}

static int tear_down(void **state)
{
        bench_fini(&b);
        if (server >= 0)
                close(server);
        if (listener >= 0)
                close(listener);
        return 0;
}

static void accept_one(void)
{
        if (server >= 0)
                close(server);
        bench_turn(&b);
        server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        assert_true(server >= 0);
}

static void say(const char *text)
{
        assert_int_equal(write(server, text, strlen(text)), strlen(text));
        bench_turn(&b);
}

static void hang_up(void)
{
        close(server);
        server = -1;
        bench_turn(&b);
}

static void heard(const char *expected)
{
        char got[64] = "";
        ssize_t n = read(server, got, sizeof(got) - 1);

        got[n > 0 ? n : 0] = '\0';
        assert_string_equal(got, expected);
}

static void lines(void **state)
{
        accept_one();
        transcript_expect("up ");
        say("12.5kg\r\n13");
        say("kg\r\n");
        transcript_expect("weight=12.5 weight=13 ");
        hang_up(); /* it has spoken: once more */
        transcript_expect("");
        accept_one();
        transcript_expect("");
        hang_up(); /* it has said nothing */
        transcript_expect("weight:not_connected down ");
        serial_ops.start(&b.d);
        accept_one();
        say("7kg\r\n");
        transcript_expect("up weight=7 ");
        serial_ops.stop(&b.d);
        transcript_expect("stopped ");
}

/* "In use", and the end: not tried as fast as the network allows. */
static void a_server_that_greets_and_closes(void **state)
{
        accept_one();
        say("7kg\r\n");
        transcript_expect("up weight=7 ");
        for (int i = 0; i < 3; i++) { /* a sender that closes behind each line */
                bench_pass(&b, SECOND / 2);
                hang_up();
                accept_one();
                say("7kg\r\n");
                transcript_expect("weight=7 ");
        }
        hang_up();
        accept_one();
        say("7kg\r\n");
        transcript_expect("weight=7 ");
        hang_up();
        transcript_expect("weight:not_connected down ");
        assert_int_equal(bench_n_watched(&b), 0);
}

static void nobody_there(void **state)
{
        accept_one();
        say("7kg\r\n");
        close(listener);
        listener = -1;
        transcript_expect("up weight=7 ");
        hang_up();
        bench_turn(&b);
        transcript_expect("weight:not_connected down ");
        assert_int_equal(bench_n_watched(&b), 0);
}

/* Closed a second after each answer, asked every ten: as many answers as questions, and no bad reading. */
static void a_server_that_closes_idly(void **state)
{
        accept_one();
        transcript_expect("up ");
        for (int i = 0; i < 5; i++) {
                serial_ops.poll(&b.d);
                if (i)
                        accept_one();
                heard("W\r\n");
                say("7kg\r\n");
                transcript_expect("weight=7 ");
                hang_up();
                transcript_expect("");
        }
        serial_ops.poll(&b.d);
        accept_one();
        hang_up(); /* as soon as it is asked */
        transcript_expect("weight:not_connected down ");
}

static void addresses(void **state)
{
        static const struct {
                const char *text, *host, *service; /* NULL: it is none */
        } rows[] = {
                {"h:1", "h", "1"},
                {"[::1]:4001", "::1", "4001"},
                {"10.0.0.1:65535", "10.0.0.1", "65535"},
                {"h", "h", "502"},
                {"[::1]", "::1", "502"},
                {"", NULL, NULL},
                {":1", NULL, NULL},
                {"h:", NULL, NULL},
                {"h:0", NULL, NULL},
                {"h:65536", NULL, NULL},
                {"h:1x", NULL, NULL},
                {"[::1", NULL, NULL},
                {"[]:1", NULL, NULL},
                {"[::1]x", NULL, NULL},
                {"h:123456", NULL, NULL},
        };
        struct tcp_address a;
        struct err e;

        for (size_t i = 0; i < LENGTH(rows); i++) {
                assert_int_equal(tcp_address_parse(&a, rows[i].text, 502), rows[i].host ? 0 : -1);
                if (!rows[i].host)
                        continue;
                assert_string_equal(a.host, rows[i].host);
                assert_string_equal(a.service, rows[i].service);
        }
        assert_int_equal(tcp_address_parse(&a, "h", 0), -1);
        assert_int_equal(port_check("tcp://h:4001", 12345, &e), 0);
        assert_int_equal(port_check("/dev/ttyS0", 12345, &e), -1);
        assert_int_equal(port_check("udp://h:1", 9600, &e), -1);
}

int main(void)
{
        static char question[] = "W\\r\\n";
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(lines, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_server_that_greets_and_closes, set_up, tear_down),
                cmocka_unit_test_setup_teardown(nobody_there, set_up, tear_down),
                cmocka_unit_test_prestate_setup_teardown(a_server_that_closes_idly, set_up, tear_down, question),
                cmocka_unit_test(addresses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
