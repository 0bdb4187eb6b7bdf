/*
 * M-Bus: the driver on a pseudo terminal against meters that answer by the bytes of the standard: reset, selection,
 * several telegrams, lost and damaged answers, a meter that is gone.
 */
#include "tests/lib/driver_bench.h"
#include <poll.h>

#include <fcntl.h>

#include "drivers/mbus/frame.h"
#include "drivers/mbus/mbus.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))
#define LIST(a)                                   \
        {                                         \
                (void *)(uintptr_t)(a), LENGTH(a) \
        }

enum { SECOND = 1000000 };

static const struct mbus_reading_conf water[] = {{.tag = "volume", .record = 0, .unit = "l", .convert.scale = 1},
                                                 {.tag = "none", .record = 9, .convert.scale = 1}},
                                      heat[] = {{.tag = "energy",
                                                 .record = -1,
                                                 .quantity = MBUS_ENERGY,
                                                 .tariff = 2,
                                                 .subunit = 1,
                                                 .unit = "kWh",
                                                 .convert.scale = 1},
                                                {.tag = "second", .record = 4, .unit = "h", .convert.scale = 1}};
static struct mbus_device_conf devices[] = {
        {.source = "w", .primary = 5, .version = -1, .medium = -1, .readings = LIST(water)},
        {.source = "h", .primary = -1, .secondary = "1234567F", .version = -1, .medium = -1, .readings = LIST(heat)},
};
static struct driver_bench b;
static struct mbus_conf conf;
static int master;
static char port[64];

static int set_up(void **state)
{
        master = posix_openpt(O_RDWR | O_NOCTTY);
        assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        assert_int_equal(ptsname_r(master, port, sizeof(port)), 0);
        fcntl(master, F_SETFL, O_NONBLOCK);
        conf = (struct mbus_conf){.name = "bus",
                                  .port = port,
                                  .baud = 2400,
                                  .data_bits = 8,
                                  .stop_bits = 1,
                                  .period_us = 900 * (int64_t)SECOND,
                                  .timeout_us = SECOND / 2,
                                  .retries = 1,
                                  .devices = {devices, *state ? 2 : 1}};
        bench_init(&b, &mbus_ops, "bus", &conf);
        bench_start(&b);
        transcript_expect("up ");
        return 0;
}

static int tear_down(void **state)
{
        bench_fini(&b);
        close(master);
        return 0;
}

static void say(const char *bytes, size_t n)
{
        assert_int_equal(write(master, bytes, n), n);
        bench_turn(&b);
}

static void say_hex(const char *hex)
{
        char bytes[MBUS_FRAME_MAX], byte[3] = "";
        size_t n = 0;

        for (; *hex; hex += 2) {
                memcpy(byte, hex, 2);
                bytes[n++] = (char)strtoul(byte, NULL, 16);
        }
        say(bytes, n);
}

/*
 * The bytes that were sent, after the rest before them.  The kernel hands them
 * from one side of a pty to the other in its own time.
 */
static void heard(const char *hex)
{
        struct pollfd arrives = {.fd = master, .events = POLLIN};
        size_t n = 0, wanted = strlen(hex) / 2;
        uint8_t got[64];
        char text[200] = "";
        ssize_t more;

        bench_pass(&b, SECOND / 50);
        while (n < sizeof(got) && poll(&arrives, 1, n < wanted ? 5000 : 0) == 1 &&
               (more = read(master, got + n, sizeof(got) - n)) > 0)
                n += (size_t)more;
        for (size_t i = 0; i < n; i++)
                sprintf(text + 2 * i, "%02x", got[i]);
        assert_string_equal(text, hex);
}

/* A telegram around these records, in hexadecimal, of meter 12345678. */
static void say_records(uint8_t address, const char *hex)
{
        uint8_t body[200] = {0x08, address, 0x72, 0x78, 0x56, 0x34, 0x12, 0x24, 0x40, 1, 7, 0x55, 0, 0, 0};
        char text[2 * MBUS_FRAME_MAX] = "", byte[3] = "";
        uint8_t sum = 0;
        size_t n = 15;

        for (; *hex; hex += 2) {
                memcpy(byte, hex, 2);
                body[n++] = (uint8_t)strtoul(byte, NULL, 16);
        }
        sprintf(text, "68%02x%02x68", (unsigned)n, (unsigned)n);
        for (size_t i = 0; i < n; i++) {
                sum = (uint8_t)(sum + body[i]);
                sprintf(text + strlen(text), "%02x", body[i]);
        }
        sprintf(text + strlen(text), "%02x16", sum);
        say_hex(text);
}

static void one_meter(void **state)
{
        heard("1040054516");
        say_hex("1040054516e5"); /* an echo, then the meter */
        heard("107b058016");
        say_hex("6813136808057378563412"); /* the fixed structure of the documentation, in two pieces */
        heard("");
        say_hex("0a00e97e01000000350100003c16");
        transcript_expect("volume=1 ");
        assert_int_equal(b.d.n_absent, 1);
        bench_pass(&b, 60 * (int64_t)SECOND);
        heard("");
        mbus_ops.poll(&b.d);
        heard("1040054516");
        mbus_ops.poll(&b.d); /* one round at a time */
        assert_int_equal(b.d.n_overruns, 1);
        heard("");
        bench_pass(&b, SECOND);
        heard("107b058016"); /* not all answer a reset */
        say_records(5, "0313153100");
        transcript_expect("volume=12565 ");
}

static void what_may_be_lost(void **state)
{
        bench_pass(&b, SECOND);
        heard("1040054516107b058016");
        say_hex("680303680805730000"); /* damaged */
        bench_pass(&b, 6 * SECOND / 10);
        heard("107b058016");
        say_records(6, "0313153100"); /* somebody else */
        say_records(5, "0313153100");
        transcript_expect("volume=12565 ");
        mbus_ops.poll(&b.d);
        for (int i = 0; i < 5; i++)
                bench_pass(&b, SECOND);
        heard("1040054516107b058016107b058016");
        transcript_expect("w:down volume:not_connected none:not_connected ");
        assert_string_equal(b.d.last_error, "w: no answer");
        mbus_ops.poll(&b.d);
        for (int i = 0; i < 5; i++)
                bench_pass(&b, SECOND);
        heard("1040054516107b058016107b058016");
        transcript_expect(""); /* told once */
        mbus_ops.poll(&b.d);
        heard("1040054516");
        say_hex("e5");
        heard("107b058016");
        say_records(5, "031315"); /* cut, with a right checksum */
        transcript_expect("kept(xV4\x12$@\x01\aU) volume:comm_failure none:comm_failure ");
        mbus_ops.poll(&b.d);
        heard("1040054516");
        say_hex("e5");
        heard("107b058016");
        say_records(5, "0313010000");
        transcript_expect("w:up volume=1 ");
}

/* Known by its number, and with more than one telegram can hold. */
static void selected(void **state)
{
        heard("1040054516");
        say_hex("e5");
        heard("107b058016");
        say_records(5, "0313153100");
        transcript_expect("volume=12565 ");
        heard("1040fd3d16"); /* nobody is selected: nobody answers */
        bench_pass(&b, SECOND);
        heard("680b0b6853fd527f563412ffffffffb916");
        say_hex("e5");
        heard("107bfd7816");
        say_records(7, "0313153100da023b13018b60043718021f");
        transcript_expect("");
        heard("105bfd5816");
        say_records(7, "0422e803000004220a000000");
        transcript_expect("energy=218.37 second=10 ");
        bench_pass(&b, 60 * (int64_t)SECOND);
        heard("");
}

/* A line that somebody fills with whatever: the readout ends. */
static void noise_without_end(void **state)
{
        bench_pass(&b, SECOND);
        heard("1040054516107b058016");
        say_records(5, "0313010000");
        transcript_expect("volume=1 ");
        mbus_ops.poll(&b.d);
        for (int i = 0; i < 600; i++) {
                say("x", 1);
                bench_pass(&b, SECOND / 10);
        }
        transcript_expect("volume:comm_failure none:comm_failure ");
        assert_string_equal(b.d.last_error, "w: its answer is damaged");
        mbus_ops.poll(&b.d);
        assert_int_equal(b.d.n_overruns, 0);
}

/* Asked again, and then both answers come: the second one is not the next telegram. */
static void an_answer_that_comes_twice(void **state)
{
        bench_pass(&b, SECOND);
        heard("1040054516107b058016");
        bench_pass(&b, SECOND / 5);
        heard("107b058016");
        say_records(5, "0313010000"
                       "0313020000"
                       "0313030000"
                       "0313040000"
                       "0313050000"
                       "1f");
        transcript_expect("");
        heard("105b056016");
        say_records(5, "0313010000"
                       "0313020000"
                       "0313030000"
                       "0313040000"
                       "0313050000"
                       "1f");
        transcript_expect("");
        say_records(5, "0313060000"
                       "0313070000"
                       "0313080000"
                       "0313090000"
                       "03130a0000");
        transcript_expect("volume=1 none=0.01 ");
}

static void unplugged(void **state)
{
        bench_turn(&b);
        close(master);
        bench_turn(&b);
        transcript_expect("volume:not_connected none:not_connected down ");
        master = -1;
}

int main(void)
{
        static char both;
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(one_meter, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_may_be_lost, set_up, tear_down),
                cmocka_unit_test_prestate_setup_teardown(selected, set_up, tear_down, &both),
                cmocka_unit_test_setup_teardown(noise_without_end, set_up, tear_down),
                cmocka_unit_test_setup_teardown(an_answer_that_comes_twice, set_up, tear_down),
                cmocka_unit_test_setup_teardown(unplugged, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
