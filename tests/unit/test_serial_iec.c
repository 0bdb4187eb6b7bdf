/*
 * Readouts of meters: modes A, B and C against a meter made of the standard's words (IEC 62056-21:2002, 6.3 and annex),
 * an optical head that echoes, what may be lost, and the driver on a pseudo terminal.
 */
#include "tests/lib/driver_bench.h"

#include <fcntl.h>

#include "drivers/serial/iec.h"
#include "drivers/serial/serial.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))
#define LIST(a)                                   \
        {                                         \
                (void *)(uintptr_t)(a), LENGTH(a) \
        }

enum { SECOND = 1000000 };

static struct iec m;
static int64_t now_us;
static char done[512];

/* Does all that is due; what was done is in `done`: >sent, @speed, =text, !why. */
static void run(void)
{
        struct iec_action a;
        size_t n;

        for (int i = 0; i < 20; i++) {
                n = strlen(done);
                switch (iec_next(&m, now_us, &a)) {
                case IEC_WAIT:
                        return;
                case IEC_SEND:
                        snprintf(done + n, sizeof(done) - n, ">%.*s", (int)a.len, (const char *)a.bytes);
                        break;
                case IEC_BAUD:
                        snprintf(done + n, sizeof(done) - n, "@%d ", (int)a.baud);
                        break;
                case IEC_BLOCK:
                        snprintf(done + n, sizeof(done) - n, "=%.*s", (int)a.len, a.text);
                        return;
                case IEC_FAIL:
                        snprintf(done + n, sizeof(done) - n, "!%s", a.why);
                        return;
                }
        }
        fail_msg("it goes round");
}

static void expect(const char *expected)
{
        assert_string_equal(done, expected);
        done[0] = '\0';
}

static void hear(const char *bytes, size_t n)
{
        for (size_t i = 0; i < n; i++) { /* with its parity on top */
                uint8_t c = (uint8_t)(bytes[i] | (__builtin_parity((unsigned char)bytes[i]) ? 0x80 : 0));

                iec_input(&m, now_us, &c, 1);
        }
        run();
}

static void pass(int64_t us)
{
        now_us += us;
        run();
}

static void begin(const char *address, int64_t max_baud)
{
        const struct iec_conf conf = {
                .address = address, .baud = 300, .max_baud = max_baud, .timeout_us = 2 * SECOND, .max_block = 200};

        iec_init(&m, &conf);
        now_us = 1000 * (int64_t)SECOND;
        done[0] = '\0';
        iec_begin(&m);
        run();
}

#define HEAR(s) hear(s, sizeof(s) - 1)
/* BCC: XOR of all behind STX, ETX as well. */
#define BLOCK  \
        "\x02" \
        "1.8.0(001234.5*kWh)\r\n!\r\n\x03" BCC
#define BCC "\x7b"

static void mode_c(void **state)
{
        begin("", INT64_MAX);
        expect("@300 >/?!\r\n");
        HEAR("/?!\r\n/MLR5ME\\@V1\r\n"); /* an echo, then its answer */
        expect("");
        pass(SECOND / 10);
        expect("");
        pass(SECOND / 10);
        expect(">\x06"
               "050\r\n");
        HEAR("\x06"
             "050\r\n");
        pass(SECOND / 10);
        expect(""); /* it is still being sent at 300 */
        pass(SECOND / 5);
        expect("@9600 ");
        HEAR("\r\nxx" BLOCK);
        expect("=1.8.0(001234.5*kWh)\r\n");
        pass(100 * (int64_t)SECOND);
        expect("");
        iec_begin(&m);
        run();
        expect("@300 >/?!\r\n"); /* back to where it began */
        iec_fini(&m);

        begin("00112233", 4800);
        expect("@300 >/?00112233!\r\n");
        HEAR("/MLr6x\r\n"); /* a small letter: it wants only 20 ms; not faster than we may */
        pass(20000);
        expect(">\x06"
               "040\r\n");
        iec_fini(&m);
}

/* A line that somebody fills with whatever is no answer, before the identification and before the block. */
static void noise_without_end(void **state)
{
        for (int identified = 0; identified < 2; identified++) {
                begin("", INT64_MAX);
                if (identified)
                        HEAR("/MLR5ME\\@V1\r\n");
                for (int i = 0; i < 300; i++) {
                        HEAR("x");
                        pass(SECOND / 10);
                }
                assert_non_null(strstr(done, identified ? "!no data block" : "!no answer"));
                assert_false(iec_is_busy(&m));
                iec_fini(&m);
        }
}

static void modes_a_and_b(void **state)
{
        begin("", INT64_MAX);
        HEAR("/MLR xyz\r\n" BLOCK);
        expect("@300 >/?!\r\n=1.8.0(001234.5*kWh)\r\n");
        iec_fini(&m);
        begin("", INT64_MAX);
        HEAR("/MLRDxyz\r\n");
        expect("@300 >/?!\r\n@4800 ");
        HEAR("\r\n1.8.0(1)\r\n"); /* without STX: up to the ! */
        HEAR("1.8.1(2)\r\n!\r\n");
        expect("=1.8.0(1)\r\n1.8.1(2)\r\n");
        iec_fini(&m);
}

static void what_may_fail(void **state)
{
        char longer[400];

        begin("", INT64_MAX);
        pass(5 * SECOND);
        expect("@300 >/?!\r\n!no answer");
        iec_begin(&m);
        run();
        HEAR("/ML");
        pass(3 * SECOND);
        expect(">/?!\r\n!the meter's identification was not ended");
        iec_begin(&m);
        run();
        HEAR("/MLR xyz\r\n");
        pass(3 * SECOND);
        expect(">/?!\r\n!no data block");
        iec_begin(&m);
        run();
        HEAR("/MLR xyz\r\n\x02"
             "1.8.0(001235.5*kWh)\r\n!\r\n\x03" BCC);
        expect(">/?!\r\n!wrong block check");
        iec_begin(&m);
        run();
        HEAR("/MLR xyz\r\n\x02"
             "1.8.0(00");
        pass(SECOND);
        HEAR("1");
        pass(3 * SECOND / 2); /* each byte is a sign of life */
        expect(">/?!\r\n");
        pass(SECOND);
        expect("!the data block was not ended");
        iec_begin(&m);
        run();
        memset(longer, '1', sizeof(longer));
        HEAR("/MLR xyz\r\n\x02");
        hear(longer, sizeof(longer));
        expect(">/?!\r\n!longer than max_frame");
        iec_begin(&m);
        run();
        hear(longer, sizeof(longer));
        HEAR("/");
        hear(longer, sizeof(longer)); /* no identification is as long; there is room all the same */
        pass(5 * SECOND);
        expect(">/?!\r\n!the meter's identification was not ended");
        iec_fini(&m);
}

/* ---- on a port ---- */

static const struct serial_reading_conf readings[] = {
        {.tag = "energy", .value = "1.8.0", .field = -1, .unit = "kWh", .convert.scale = 1},
        {.tag = "peak", .value = "1.6.0", .field = -1, .convert.scale = 1}};
static struct driver_bench b;
static struct serial_conf conf;
static int master;
static char port[64];

static void say(const char *text)
{
        assert_int_equal(write(master, text, strlen(text)), strlen(text));
        bench_turn(&b);
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

static void the_driver(void **state)
{
        master = posix_openpt(O_RDWR | O_NOCTTY);
        assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        assert_int_equal(ptsname_r(master, port, sizeof(port)), 0);
        conf = (struct serial_conf){.name = "meter",
                                    .port = port,
                                    .source = "grid",
                                    .baud = 300,
                                    .data_bits = 8,
                                    .stop_bits = 1,
                                    .frame = SERIAL_IEC62056,
                                    .idle_us = SECOND,
                                    .period_us = 60 * (int64_t)SECOND,
                                    .timeout_us = SECOND, /* less than a meter may take */
                                    .readings = LIST(readings)};
        bench_init(&b, &serial_ops, "meter", &conf);
        bench_start(&b);
        assert_int_equal(b.d.period_us, 60 * (int64_t)SECOND);
        serial_ops.poll(&b.d);
        heard("/?!\r\n");
        bench_pass(&b, 3 * SECOND / 2);
        say("/MLR5ME\r\n");
        bench_pass(&b, SECOND / 5);
        heard("\x06"
              "050\r\n");
        serial_ops.poll(&b.d); /* one at a time */
        heard("");
        assert_int_equal(b.d.n_overruns, 1);
        bench_pass(&b, SECOND / 2);
        say("\x02"
            "1.8.0(001234.5*kWh)\r\n1.6.0(02.5*kW)(26-11-30 12:00)\r\n!\r\n\x03\x5a");
        transcript_expect("up energy=1234.5 peak=2.5 ");
        serial_ops.poll(&b.d);
        bench_pass(&b, 10 * (int64_t)SECOND);
        transcript_expect("energy:comm_failure peak:comm_failure ");
        assert_string_equal(b.d.last_error, "grid: no answer");
        bench_fini(&b);
        close(master);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(mode_c), cmocka_unit_test(noise_without_end),
                                           cmocka_unit_test(modes_a_and_b), cmocka_unit_test(what_may_fail),
                                           cmocka_unit_test(the_driver)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
