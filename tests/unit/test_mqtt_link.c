/*
 * link: the libmosquitto that is linked, between us and a broker that is this program: its connect() is a socket pair,
 * its clock is ours.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/base/rt_sim.h"
#include "drivers/mqtt/link.h"

enum { KEEPALIVE_S = 10, SOME = 300, MESSAGES_MAX = 2000 };

static struct {
        struct rt_sim sim;
        struct mqtt_link *link;
        int broker;
        time_t later_s;
        char told[4000]; /* what came, in order */
        bool accepted;
        unsigned n_messages;
        size_t n_heard;
        const char *host;
        int n_swallowed;
} T;

#define SWALLOWS "127.0.0.9"

/* "two" has an address that swallows packets, and then one that answers. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **all)
{
        int (*its)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
                (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))(uintptr_t)dlsym(
                        RTLD_NEXT, "getaddrinfo");
        bool two = !strcmp(node, "two");

        if (!two)
                return its(node, service, hints, all);
        BUG_ON(its(SWALLOWS, service, hints, all) != 0);
        return its("127.0.0.1", service, hints, &(*all)->ai_next);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
        struct sockaddr_in in;
        int ends[2];

        memcpy(&in, addr, sizeof(in));
        if (in.sin_addr.s_addr == inet_addr(SWALLOWS)) {
                T.n_swallowed++;
                errno = ETIMEDOUT;
                return -1;
        }
        BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0);
        BUG_ON(dup3(ends[1], fd, O_CLOEXEC) < 0);
        close(ends[1]);
        if (T.broker >= 0)
                close(T.broker);
        T.broker = ends[0];
        return 0;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
        long rc = syscall(SYS_clock_gettime, id, ts);

        ts->tv_sec += T.later_s;
        return (int)rc;
}

/* ---- what the link tells ---- */

static void tell(const char *format, ...)
{
        size_t used = strlen(T.told);
        va_list ap;

        va_start(ap, format);
        vsnprintf(T.told + used, sizeof(T.told) - used, format, ap);
        va_end(ap);
}

static void on_opened(void *ctx, const char *why_not)
{
        assert_null(why_not);
}

static void on_accepted(void *ctx, bool session_present)
{
        T.accepted = true;
}

static void on_message(void *ctx, const struct mqtt_message *m)
{
        T.n_messages++;
        tell("%s=%.*s mid %u%s%s", m->topic, (int)m->len, (const char *)m->payload, m->mid, m->dup ? " dup" : "",
             m->retained ? " retained" : "");
        for (size_t i = 0; i < m->n_ids; i++)
                tell(" id %u", m->ids[i]);
        tell("; ");
}

static void on_subscribed(void *ctx, int mid, int n, const int *granted)
{
        tell("subscribed %d; ", n);
}

static void on_refused(void *ctx, const char *why)
{
        tell("refused: %s; ", why);
}

/* ---- the broker ---- */

static void say(const char *bytes, size_t n)
{
        assert_int_equal(write(T.broker, bytes, n), n);
}

#define SAY(bytes) say(bytes, sizeof(bytes) - 1)

static void assert_heard(const char *bytes, size_t n)
{
        char got[5000];
        ssize_t r = read(T.broker, got, sizeof(got));

        assert_int_equal(r < 0 ? 0 : r, n);
        assert_memory_equal(got, bytes, n);
}

#define ASSERT_HEARD(bytes) assert_heard(bytes, sizeof(bytes) - 1)

static int read_all(void)
{
        int r = 0;

        for (int i = 0; i < MESSAGES_MAX && r == 0; i++)
                r = mqtt_link_read(T.link);
        return r;
}

/* `connack`: what the broker says to the CONNECT. */
static void open_link_with(bool v311, const char *connack, size_t n)
{
        struct mqtt_link_conf conf = {.host = T.host,
                                      .client_id = "we",
                                      .port = 1,
                                      .v311 = v311,
                                      .holds = true,
                                      .keepalive_s = KEEPALIVE_S,
                                      .session_expiry_s = 60,
                                      .receive_maximum = 100,
                                      .max_payload = 1000};
        struct mqtt_link_upcalls up = {.on_opened = on_opened,
                                       .on_accepted = on_accepted,
                                       .on_message = on_message,
                                       .on_subscribed = on_subscribed,
                                       .on_refused = on_refused};
        char bytes[500];

        T.accepted = false;
        T.told[0] = '\0';
        T.n_messages = 0;
        T.link = mqtt_link_open(&T.sim.rt, &conf, &up);
        rt_sim_run(&T.sim, T.sim.now.mono_us + 1000, NULL, NULL);
        assert_int_equal(mqtt_link_write(T.link), 0);
        assert_true(read(T.broker, bytes, sizeof(bytes)) > 0);
        say(connack, n);
        assert_int_equal(read_all(), MQTT_LINK_E_DRY);
        assert_true(T.accepted);
}

static void open_link(bool v311)
{
        if (v311)
                open_link_with(v311, "\x20\2\0\0", 4);
        else
                open_link_with(v311, "\x20\3\0\0\0", 5);
}

static int set_up(void **state)
{
        T.broker = -1;
        T.later_s = 0;
        T.host = "127.0.0.1";
        T.n_swallowed = 0;
        T.n_heard = 0;
        rt_sim_init(&T.sim, 1, INT64_C(1795428000000000));
        return 0;
}

static int tear_down(void **state)
{
        mqtt_link_close(T.link);
        rt_sim_fini(&T.sim);
        close(T.broker);
        return 0;
}

/* ---- the tests ---- */

static void test_acknowledgements_go_when_they_may(void **state)
{
        uint64_t first, second;

        open_link(true);
        SAY("\x32\x08\0\3a/b\0\1"
            "7"
            "\x30\x06\0\3c/d8"
            "\x3b\x07\0\3a/b\1\2");
        assert_int_equal(read_all(), MQTT_LINK_E_DRY);
        assert_string_equal(T.told, "a/b=7 mid 1; c/d=8 mid 0; a/b= mid 258 dup retained; ");
        assert_true(mqtt_link_wants_write(T.link));
        assert_int_equal(mqtt_link_collect(T.link, &first), 0);
        SAY("\x32\x08\0\3a/b\0\3"
            "9");
        assert_int_equal(read_all(), MQTT_LINK_E_DRY);
        ASSERT_HEARD("");
        assert_int_equal(mqtt_link_release(T.link, first), 0);
        ASSERT_HEARD("\x40\2\0\1\x40\2\1\2");
        assert_int_equal(mqtt_link_release(T.link, first), 0);
        assert_int_equal(mqtt_link_collect(T.link, &second), 0);
        ASSERT_HEARD("");
        assert_int_equal(mqtt_link_release(T.link, second), 0);
        ASSERT_HEARD("\x40\2\0\3");
        assert_false(mqtt_link_wants_write(T.link));
}

static void test_a_closed_link_says_nothing(void **state)
{
        uint64_t position;

        open_link(false);
        SAY("\x32\x09\0\3a/b\0\1\0"
            "7");
        assert_int_equal(read_all(), MQTT_LINK_E_DRY);
        assert_int_equal(mqtt_link_collect(T.link, &position), 0);
        SAY("\x32\x09\0\3a/b\0\2\0"
            "7");
        assert_int_equal(read_all(), MQTT_LINK_E_DRY);
        mqtt_link_close(T.link);
        ASSERT_HEARD("");
        open_link(false);
}

/* Whatever the library does between them, and however the bytes are cut. */
static void test_answers_and_messages_keep_their_order(void **state)
{
        static const char bytes[] = "\x30\x07\0\3a/b\0"
                                    "1"
                                    "\x90\4\0\1\0\1"
                                    "\xd0\0"
                                    "\x30\x09\0\3a/b\2\x0b\5"
                                    "2"
                                    "\x30\x0b\0\3a/b\4\x0b\5\x0b\6"
                                    "3"
                                    "\x90\4\0\2\0\1";
        char *filters[] = {"a/b"};
        uint64_t position;
        int mid;

        for (size_t cut = 1; cut < sizeof(bytes); cut++) {
                open_link(false);
                for (int i = 0; i < 2; i++)
                        assert_int_equal(mqtt_link_subscribe(T.link, 1, filters, 1, 5, &mid), 0);
                assert_int_equal(mqtt_link_collect(T.link, &position), 0);
                for (size_t at = 0; at < sizeof(bytes) - 1; at += cut) {
                        say(bytes + at, cut < sizeof(bytes) - 1 - at ? cut : sizeof(bytes) - 1 - at);
                        assert_int_equal(read_all(), MQTT_LINK_E_DRY);
                }
                assert_string_equal(T.told, "a/b=1 mid 0; subscribed 1; a/b=2 mid 0 id 5; a/b=3 mid 0 id 5 id 6; "
                                            "subscribed 1; ");
                if (cut < sizeof(bytes) - 1)
                        mqtt_link_close(T.link);
        }
}

static int second(void)
{
        char bytes[1000];
        uint64_t position;
        int r = read_all();
        ssize_t n = read(T.broker, bytes, sizeof(bytes));

        T.n_heard += n > 0 ? (size_t)n : 0;
        T.later_s++;
        if (r != MQTT_LINK_E_DRY || (r = mqtt_link_tick(T.link)) != 0)
                return r;
        r = mqtt_link_collect(T.link, &position);
        return r ? r : mqtt_link_release(T.link, position);
}

/* The library sees no message, so it asks; who sends is there, answer or not. */
static void test_a_broker_that_sends_is_there(void **state)
{
        int r = 0;

        open_link(true);
        for (int s = 0; s < SOME; s++) {
                SAY("\x32\x08\0\3a/b\0\1"
                    "7");
                assert_int_equal(second(), 0);
        }
        assert_int_equal(T.n_messages, SOME);
        assert_true(T.n_heard > 4 * (SOME - 2)); /* PINGREQs between them */
        SAY("\x30\x82\x04\0\3a/b");              /* a long one that comes slowly */
        for (int s = 0; s < 3 * KEEPALIVE_S; s++) {
                SAY("12345");
                assert_int_equal(second(), 0);
        }
        for (int s = 0; s < 3 * KEEPALIVE_S && r == 0; s++)
                r = second();
        assert_int_equal(r, MQTT_LINK_E_LOST);
        assert_non_null(strstr(mqtt_link_why(T.link), "silent"));
}

/* In words, or for so long that it comes to the same. */
static void test_a_broker_that_wants_no_keepalive_is_asked_all_the_same(void **state)
{
        static const struct {
                const char *connack;
                size_t n;
                int keepalive_s;
        } said[] = {
                {"\x20\3\0\0\0", 5, KEEPALIVE_S},
                {"\x20\6\0\0\3\x13\0\0", 8, KEEPALIVE_S},
                {"\x20\x0b\0\0\x08\x21\0\x14\x13\xff\xff\x24\1", 13, KEEPALIVE_S},
                {"\x20\6\0\0\3\x13\0\x0b", 8, KEEPALIVE_S},
                {"\x20\6\0\0\3\x13\0\4", 8, 4},
        };

        for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
                int s = 0, r = 0;

                open_link_with(false, said[i].connack, said[i].n);
                assert_int_equal(mqtt_link_limits(T.link)->keepalive_s, said[i].keepalive_s);
                T.n_heard = 0;
                for (; s < 4 * KEEPALIVE_S && r == 0; s++)
                        r = second();
                assert_int_equal(r, MQTT_LINK_E_LOST);
                assert_true(s <= 2 * said[i].keepalive_s + 3);
                assert_int_equal(T.n_heard, 2); /* a PINGREQ */
                assert_non_null(strstr(mqtt_link_why(T.link), "silent"));
                if (i + 1 < sizeof(said) / sizeof(*said))
                        mqtt_link_close(T.link);
        }
}

/* The library has no limit for it: the system gives up after two minutes. */
static void test_an_address_that_swallows_packets_is_tried_once(void **state)
{
        T.host = "two";
        open_link(true);
        assert_int_equal(T.n_swallowed, 1);
}

/* It answers each PINGREQ, and no PUBLISH of ours but every tenth second's. */
static int second_of_publishing(int s, bool answers)
{
        char bytes[2000];
        int r = mqtt_link_publish_sure(T.link, "a", "7", 1, true);
        ssize_t n;

        r = r ? r : mqtt_link_write(T.link);
        n = read(T.broker, bytes, sizeof(bytes));
        if (n >= 2 && (bytes[n - 2] & 0xff) == 0xc0)
                SAY("\xd0\0");
        if (answers && s % 10 == 0) {
                char puback[] = {0x40, 2, 0, (char)(s / 10 + 1)};

                say(puback, 4);
        }
        T.later_s++;
        rt_sim_run(&T.sim, T.sim.now.mono_us + 1000000, NULL, NULL);
        if (!r && (r = read_all()) == MQTT_LINK_E_DRY)
                r = mqtt_link_tick(T.link);
        return r;
}

/* What it has not acknowledged lies in our memory. */
static void test_a_broker_that_acknowledges_nothing_is_left(void **state)
{
        int r = 0, s = 0;

        open_link(false);
        for (; s < SOME && !r; s++)
                r = second_of_publishing(s, true);
        assert_int_equal(r, 0);
        for (; s < 2 * SOME && !r; s++)
                r = second_of_publishing(s, false);
        assert_int_equal(r, MQTT_LINK_E_LOST);
        assert_non_null(strstr(mqtt_link_why(T.link), "acknowledge"));
}

static void test_what_the_broker_refuses_is_told(void **state)
{
        open_link(false);
        assert_int_equal(mqtt_link_publish_sure(T.link, "a", "7", 1, true), 0);
        assert_int_equal(mqtt_link_publish_sure(T.link, "b", "7", 1, true), 0);
        assert_int_equal(mqtt_link_write(T.link), 0);
        SAY("\x40\3\0\1\x87\x40\3\0\2\x10");
        assert_int_equal(read_all(), MQTT_LINK_E_DRY);
        assert_string_equal(T.told, "refused: Not authorized; ");
}

static void test_a_broker_of_qos_0_is_told_at_that(void **state)
{
        open_link_with(false, "\x20\5\0\0\2\x24\0", 7);
        assert_int_equal(mqtt_link_publish_sure(T.link, "a", "7", 1, true), 0);
        assert_int_equal(mqtt_link_write(T.link), 0);
        ASSERT_HEARD("\x31\5\0\1a\0"
                     "7");
        for (T.later_s = 0; T.later_s < SOME; T.later_s++) {
                SAY("\xd0\0");
                assert_int_equal(read_all(), MQTT_LINK_E_DRY);
                assert_int_equal(mqtt_link_tick(T.link), 0);
                rt_sim_run(&T.sim, T.sim.now.mono_us + 1000000, NULL, NULL);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_acknowledgements_go_when_they_may, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_closed_link_says_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_answers_and_messages_keep_their_order, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_broker_that_sends_is_there, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_broker_that_wants_no_keepalive_is_asked_all_the_same, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_broker_that_acknowledges_nothing_is_left, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_an_address_that_swallows_packets_is_tried_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_the_broker_refuses_is_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_broker_of_qos_0_is_told_at_that, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
