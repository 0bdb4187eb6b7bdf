/*
 * The driver on a line that has a master already, a pseudo terminal here: what is asked and answered there becomes
 * readings, each of its own tag, and nothing is ever sent.
 */
#include "tests/lib/driver_bench.h"

#include <fcntl.h>

#include "drivers/modbus/frame.h"
#include "drivers/modbus/modbus.h"

enum { SECOND = 1000000 };

static struct driver_bench b;
static struct modbus_register_conf registers[2];
static struct modbus_profile_conf profile;
static struct modbus_device_conf device;
static struct modbus_conf bus;
static int master;
static char port[64];

static void on_fault(void *ctx, const void *field, const char *sentence)
{
        fail_msg("%s", sentence);
}

static struct modbus_register_conf reg(const char *tag, unsigned address, int64_t count)
{
        return (struct modbus_register_conf){.tag = tag,
                                             .table = MODBUS_HOLDING,
                                             .address = address,
                                             .type = MODBUS_UINT16,
                                             .count = count,
                                             .convert = {.scale = 1},
                                             .length = -1,
                                             .bit = -1};
}

static int set_up(void **state)
{
        master = posix_openpt(O_RDWR | O_NOCTTY);
        assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        assert_int_equal(ptsname_r(master, port, sizeof(port)), 0);
        fcntl(master, F_SETFL, O_NONBLOCK);
        registers[0] = reg("zone", 0, 3);
        registers[1] = reg("last", 65535, -1);
        profile = (struct modbus_profile_conf){
                .name = "p", .period_us = SECOND, .hole_limit = -1, .registers = {.items = registers, .n = 2}};
        device = (struct modbus_device_conf){
                .source = "s", .bus = "b", .profile = "p", .unit = 1, .retries = -1, .pause_us = -1, .hole_limit = -1};
        bus = (struct modbus_conf){.name = "b",
                                   .port = port,
                                   .baud = 19200,
                                   .data_bits = 8,
                                   .stop_bits = 1,
                                   .timeout_us = SECOND / 2,
                                   .silence_us = -1,
                                   .in_flight = 1,
                                   .max_registers = 125,
                                   .listen = true};
        modbus_link(&bus, 1, &profile, 1, &device, 1, on_fault, NULL);
        bench_init(&b, &modbus_ops, "b", &bus);
        bench_start(&b);
        transcript_expect("up ");
        return 0;
}

static int tear_down(void **state)
{
        char sent;

        assert_true(read(master, &sent, 1) < 0);
        modbus_ops.stop(&b.d);
        assert_true(read(master, &sent, 1) < 0);
        bench_fini(&b);
        close(master);
        return 0;
}

static void say(const uint8_t *pdu, size_t len)
{
        uint8_t out[MODBUS_RTU_MAX];
        size_t n = modbus_put_rtu(out, 1, pdu, len);

        assert_int_equal(write(master, out, n), n);
        bench_turn(&b);
}

/* The master reads so many registers, and has 1, 2, 3 … for an answer. */
static void talk(unsigned address, unsigned count)
{
        uint8_t ask[] = {3, (uint8_t)(address >> 8), (uint8_t)address, 0, (uint8_t)count}, reply[MODBUS_PDU_MAX] = {3};

        reply[1] = (uint8_t)(2 * count);
        for (unsigned i = 0; i < count; i++)
                reply[3 + 2 * i] = (uint8_t)(i + 1);
        say(ask, sizeof(ask));
        say(reply, 2 + 2 * count);
}

static void each_of_an_array_has_its_tag(void **state)
{
        talk(0, 3);
        transcript_expect("zone-1=1 zone-2=2 zone-3=3 ");
        talk(1, 1);
        transcript_expect("zone-2=1 ");
}

static void the_last_register_is_in_its_own_answer_only(void **state)
{
        talk(65000, 4);
        transcript_expect("");
        talk(65534, 2);
        transcript_expect("last=2 ");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(each_of_an_array_has_its_tag, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_last_register_is_in_its_own_answer_only, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
