/*
 * The driver on a line that takes nothing any more, a pseudo terminal that nobody reads: it is told, and not waited
 * for.
 */
#include "tests/lib/driver_bench.h"

#include <fcntl.h>

#include "drivers/modbus/modbus.h"

enum { SECOND = 1000000 };

static struct driver_bench b;
static struct modbus_register_conf value = {
        .tag = "v", .table = MODBUS_HOLDING, .type = MODBUS_UINT16, .convert = {.scale = 1}, .length = -1, .bit = -1};
static struct modbus_profile_conf profile = {
        .name = "p", .period_us = SECOND, .hole_limit = -1, .registers = {.items = &value, .n = 1}};
static struct modbus_device_conf device = {
        .source = "s", .bus = "b", .profile = "p", .unit = 1, .retries = -1, .pause_us = -1, .hole_limit = -1};
static struct modbus_conf bus = {.name = "b",
                                 .baud = 19200,
                                 .data_bits = 8,
                                 .stop_bits = 1,
                                 .timeout_us = SECOND / 2,
                                 .silence_us = -1,
                                 .in_flight = 1,
                                 .max_registers = 125};

static void on_fault(void *ctx, const void *field, const char *sentence)
{
        fail_msg("%s", sentence);
}

/* The kernel moves what it has from one of its buffers to another, until both are full. */
static void fill(int fd)
{
        static const char junk[256] = "";

        for (int i = 0; i < 20; i++) {
                while (write(fd, junk, sizeof(junk)) > 0)
                        ;
                poll(NULL, 0, 10);
        }
}

static void a_line_that_takes_nothing(void **state)
{
        int master = posix_openpt(O_RDWR | O_NOCTTY), other;
        char port[64];

        assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        assert_int_equal(ptsname_r(master, port, sizeof(port)), 0);
        other = open(port, O_RDWR | O_NOCTTY | O_NONBLOCK);
        assert_true(other >= 0);
        bus.port = port;
        modbus_link(&bus, 1, &profile, 1, &device, 1, on_fault, NULL);
        bench_init(&b, &modbus_ops, "b", &bus);
        bench_start(&b);
        fill(other);
        for (int i = 0; i < 4; i++)
                bench_pass(&b, SECOND);
        modbus_ops.pause(&b.d, true); /* is no end of it */
        modbus_ops.pause(&b.d, false);
        bench_pass(&b, SECOND / 10);
        transcript_expect("up ");
        for (int i = 0; i < 4; i++)
                bench_pass(&b, SECOND);
        transcript_expect("v:not_connected down ");
        assert_int_equal(bench_n_watched(&b), 0);
        modbus_ops.stop(&b.d);
        bench_fini(&b);
        close(other);
        close(master);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_line_that_takes_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
