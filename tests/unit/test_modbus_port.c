/*
 * The driver at a TCP port whose other side closes as devices do: after a while of silence, with RST, on a request,
 * on every request.  Real sockets on the loopback, virtual time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "drivers/modbus/frame.h"
#include "drivers/modbus/modbus.h"
#include "tests/lib/driver_bench.h"

#define MS     1000
#define SECOND 1000000

struct room {
        struct driver_bench bench; /* first: the driver's host_priv */
        unsigned events[BENCH_WATCHES_MAX];
        struct modbus_register_conf registers[2];
        struct modbus_profile_conf profile;
        struct modbus_device_conf devices[2];
        struct modbus_conf bus;
        char port[64];
        int listener, device; /* device: the connection's other end; -1: none */
        long n_requests, n_connections, n_up, n_down;
        void (*on_request)(struct room *w, const uint8_t *p);
        int n_odd; /* requests that are still to be treated oddly */
};

static struct room *the_room;

/* The bench's watch, but for what is written, too. */
static void on_watch(struct rt *rt, struct rt_watch *w, unsigned events)
{
        struct room *r = the_room;

        bench_on_watch(rt, w, events);
        for (size_t i = 0; i < BENCH_WATCHES_MAX; i++)
                if (r->bench.watches[i] == w)
                        r->events[i] = events;
}

static void tell_driver(struct room *r)
{
        for (size_t i = 0; i < BENCH_WATCHES_MAX; i++) {
                struct rt_watch *w = r->bench.watches[i];
                struct pollfd p = {.fd = w ? w->fd : -1};
                unsigned events = 0;

                p.events = (short)((r->events[i] & RT_READ ? POLLIN : 0) | (r->events[i] & RT_WRITE ? POLLOUT : 0));
                if (p.fd < 0 || poll(&p, 1, 0) <= 0)
                        continue;
                events |= p.revents & POLLIN ? RT_READ : 0u;
                events |= p.revents & POLLOUT ? RT_WRITE : 0u;
                events |= p.revents & (POLLHUP | POLLERR) ? RT_ERROR : 0u;
                w->on_event(w, events);
        }
}

/* ---- the device ---- */

static void hang_up(struct room *r, bool reset)
{
        struct linger now = {.l_onoff = 1, .l_linger = 0};

        if (r->device < 0)
                return;
        if (reset)
                setsockopt(r->device, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(r->device);
        r->device = -1;
}

static void answer(struct room *r, const uint8_t *p)
{
        uint8_t pdu[4] = {p[7], 2, 0, 42}, out[MODBUS_TCP_MAX];
        size_t n = modbus_put_tcp(out, (uint16_t)(p[0] << 8 | p[1]), p[6], pdu, 4);

        assert_int_equal(send(r->device, out, n, MSG_NOSIGNAL), n);
}

static void close_on_it(struct room *r, const uint8_t *p)
{
        if (r->n_odd-- > 0)
                hang_up(r, r->n_odd & 1);
        else
                answer(r, p);
}

static void close_behind_it(struct room *r, const uint8_t *p)
{
        answer(r, p);
        hang_up(r, false);
}

static void close_on_unit_2(struct room *r, const uint8_t *p)
{
        if (p[6] == 2)
                hang_up(r, false);
        else
                answer(r, p);
}

/* Half of an answer, then the end. */
static void half_an_answer(struct room *r, const uint8_t *p)
{
        if (r->n_odd-- > 0) {
                assert_int_equal(send(r->device, p, 6, MSG_NOSIGNAL), 6);
                hang_up(r, false);
        } else {
                answer(r, p);
        }
}

/* What lies between has forgotten the connection: nothing comes, nothing is closed. */
static void swallow(struct room *r, const uint8_t *p)
{
        if (r->n_odd-- > 0) {
                fcntl(r->device, F_SETFD, FD_CLOEXEC);
                r->device = -1; /* stays open, nobody reads it again */
        } else {
                answer(r, p);
        }
}

static void serve(struct room *r)
{
        uint8_t p[MODBUS_TCP_MAX];
        int fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
                hang_up(r, false);
                r->device = fd;
                r->n_connections++;
        }
        while (r->device >= 0 && recv(r->device, p, 12, 0) == 12) {
                r->n_requests++;
                r->on_request(r, p);
        }
}

static void pass(struct room *r, int64_t us)
{
        for (int64_t done = 0; done < us; done += 10 * MS) {
                for (int i = 0; i < 4; i++) {
                        tell_driver(r);
                        serve(r);
                }
                tell_driver(r);
                bench_pass(&r->bench, 10 * MS);
        }
}

/* ---- life ---- */

static void on_fault(void *ctx, const void *field, const char *sentence)
{
        fail_msg("%s", sentence);
}

static void set_up(struct room *r, size_t n_devices, int64_t period_us)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);

        memset(r, 0, sizeof(*r));
        the_room = r;
        r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(r->listener, (struct sockaddr *)&a, len), 0);
        assert_int_equal(listen(r->listener, 8), 0);
        assert_int_equal(getsockname(r->listener, (struct sockaddr *)&a, &len), 0);
        snprintf(r->port, sizeof(r->port), "tcp://127.0.0.1:%u", ntohs(a.sin_port));
        r->device = -1;
        r->on_request = answer;
        r->registers[0] = (struct modbus_register_conf){.tag = "v",
                                                        .table = MODBUS_HOLDING,
                                                        .type = MODBUS_UINT16,
                                                        .convert = {.scale = 1},
                                                        .bit = -1,
                                                        .length = -1};
        r->profile = (struct modbus_profile_conf){
                .name = "p", .period_us = period_us, .hole_limit = -1, .registers = {.items = r->registers, .n = 1}};
        for (size_t i = 0; i < n_devices; i++)
                r->devices[i] = (struct modbus_device_conf){.source = i ? "second" : "first",
                                                            .bus = "b",
                                                            .profile = "p",
                                                            .unit = (int64_t)i + 1,
                                                            .retries = -1,
                                                            .pause_us = -1,
                                                            .hole_limit = -1};
        r->bus = (struct modbus_conf){.name = "b",
                                      .port = r->port,
                                      .baud = 19200,
                                      .data_bits = 8,
                                      .stop_bits = 1,
                                      .timeout_us = 500 * MS,
                                      .silence_us = -1,
                                      .retries = 1,
                                      .in_flight = 1,
                                      .max_registers = 125};
        modbus_link(&r->bus, 1, &r->profile, 1, r->devices, n_devices, on_fault, NULL);
        bench_init(&r->bench, &modbus_ops, "b", &r->bus);
        r->bench.ops.watch = on_watch;
        bench_start(&r->bench);
}

static void tear_down(struct room *r)
{
        r->bench.d.ops->stop(&r->bench.d);
        hang_up(r, false);
        close(r->listener);
        bench_fini(&r->bench);
}

static long count(const char *piece)
{
        long n = 0;

        for (const char *at = transcript; (at = strstr(at, piece)); at += strlen(piece))
                n++;
        return n;
}

/* ---- tests ---- */

/* Period 10 s, closed after 1 s of silence: 3 requests, 3 values, nothing else. */
static void an_idle_close_is_no_failure(void **state)
{
        for (int reset = 0; reset < 2; reset++) {
                struct room r;

                set_up(&r, 1, 10 * SECOND);
                for (int i = 0; i < 21; i++) {
                        pass(&r, SECOND);
                        hang_up(&r, reset);
                }
                transcript_expect("up v=42 v=42 v=42 ");
                assert_int_equal(r.n_requests, 3);
                assert_int_equal(r.n_connections, 3);
                assert_int_equal(r.bench.d.n_errors, 0);
                tear_down(&r);
        }
}

static void a_half_closed_connection_is_made_anew(void **state)
{
        struct room r;

        set_up(&r, 1, 10 * SECOND);
        pass(&r, SECOND);
        shutdown(r.device, SHUT_WR);
        pass(&r, 20 * SECOND);
        transcript_expect("up v=42 v=42 v=42 ");
        assert_int_equal(r.n_requests, 3);
        tear_down(&r);
}

static void a_close_on_a_request_is_asked_again(void **state)
{
        void (*const ways[])(struct room * r, const uint8_t *p) = {close_on_it, half_an_answer, swallow};

        for (size_t i = 0; i < 3; i++) {
                struct room r;

                set_up(&r, 1, 10 * SECOND);
                pass(&r, 5 * SECOND);
                r.on_request = ways[i];
                r.n_odd = 1;
                pass(&r, 10 * SECOND);
                transcript_expect("up v=42 v=42 ");
                pass(&r, 10 * SECOND);
                r.n_odd = 1;
                pass(&r, 10 * SECOND);
                transcript_expect("v=42 v=42 ");
                assert_int_equal(r.n_requests, 6);
                assert_int_equal(r.bench.d.n_errors, 0);
                tear_down(&r);
        }
}

/* One request a connection: always good. */
static void a_device_that_closes_behind_each_answer(void **state)
{
        struct room r;

        set_up(&r, 2, SECOND);
        r.on_request = close_behind_it;
        pass(&r, 20 * SECOND);
        assert_int_equal(count("v=42"), r.n_requests);
        assert_true(r.n_requests >= 39);
        assert_int_equal(count("up"), 1);
        assert_int_equal(count(":"), 0);
        tear_down(&r);
}

static void a_device_that_closes_on_every_request_is_down(void **state)
{
        struct room r;

        set_up(&r, 1, SECOND);
        r.on_request = close_on_it;
        r.n_odd = INT32_MAX;
        pass(&r, 3 * SECOND);
        transcript_expect("up v:not_connected down ");
        assert_int_equal(r.n_requests, 2);
        assert_non_null(strstr(r.bench.d.last_error, "closes the connection as soon as it is asked"));
        tear_down(&r);
}

/* A gateway that closes when a slave behind it is away: the others go on. */
static void a_unit_that_costs_the_connection_harms_no_other(void **state)
{
        struct room r;

        set_up(&r, 2, SECOND);
        r.on_request = close_on_unit_2;
        pass(&r, 60 * SECOND);
        assert_int_equal(count("v:comm_failure"), 1);
        assert_int_equal(count("second:down"), 1);
        assert_int_equal(count("first:down"), 0);
        assert_int_equal(count("v:not_connected"), 0);
        assert_true(count("v=42") >= 59);
        tear_down(&r);
}

/* Silence of ten minutes is the period here, not a dead peer. */
static void a_long_period_is_not_a_deaf_peer(void **state)
{
        struct room r;

        set_up(&r, 1, 600 * SECOND);
        pass(&r, 1201 * SECOND);
        transcript_expect("up v=42 v=42 v=42 ");
        tear_down(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_idle_close_is_no_failure),
                cmocka_unit_test(a_half_closed_connection_is_made_anew),
                cmocka_unit_test(a_close_on_a_request_is_asked_again),
                cmocka_unit_test(a_device_that_closes_behind_each_answer),
                cmocka_unit_test(a_device_that_closes_on_every_request_is_down),
                cmocka_unit_test(a_unit_that_costs_the_connection_harms_no_other),
                cmocka_unit_test(a_long_period_is_not_a_deaf_peer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
