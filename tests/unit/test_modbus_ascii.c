/*
 * Modbus ASCII against frames of the specification ("MODBUS over Serial Line", V1.02, and its LRC), in pieces, damaged
 * and between noise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/modbus/ascii.h"

/* How many frames come of a text; the last stays in `a`. */
static int feed(struct modbus_ascii *a, const char *text)
{
        int n = 0;

        for (; *text; text++)
                n += modbus_ascii_take(a, (uint8_t)*text);
        return n;
}

static bool is_right(const struct modbus_ascii *a)
{
        uint16_t crc = modbus_crc(a->frame, a->len - 2);

        return a->frame[a->len - 2] == (crc & 0xff) && a->frame[a->len - 1] == crc >> 8;
}

/* Read 3 registers from 107 of unit 17: 11 03 00 6B 00 03, whose LRC is 7E. */
static void a_request_as_the_specification_has_it(void **state)
{
        static const uint8_t pdu[] = {3, 0, 0x6b, 0, 3};
        struct modbus_ascii a = {.len = 0};
        uint8_t out[MODBUS_ASCII_MAX];
        size_t n = modbus_put_ascii(out, 17, pdu, sizeof(pdu));

        assert_int_equal(n, 2 * sizeof(pdu) + 7);
        assert_memory_equal(out, ":1103006B00037E\r\n", n);
        out[n] = '\0';
        assert_int_equal(feed(&a, (const char *)out), 1);
        assert_int_equal(a.len, sizeof(pdu) + 3);
        assert_int_equal(a.frame[0], 17);
        assert_memory_equal(a.frame + 1, pdu, sizeof(pdu));
        assert_true(is_right(&a));
}

static void what_is_taken(void **state)
{
        static const struct {
                const char *text;
                int n;
                bool right;
                unsigned garbage;
        } cases[] = {
                {":1103006B00037E\r\n", 1, true, 0},
                {":1103006b00037e\n", 1, true, 0},
                {":1103006B00037F\r\n", 1, false, 0},
                {"xx:1103006B00037E\r\n", 1, true, 2},
                {":11030:1103006B00037E\r\n", 1, true, 6},
                {":1103006B00037E\r\n:1103006B00037E\r\n", 2, true, 0},
                {":1103006B0003 7E\r\n", 0, false, 18},
                {":1103006B00037\r\n", 0, false, 16},
                {":11\r\n", 0, false, 5},
                {"\r\n", 0, false, 2},
                {":1103\r006B", 0, false, 10},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct modbus_ascii a = {.len = 0};

                assert_int_equal(feed(&a, cases[i].text), cases[i].n);
                if (cases[i].n)
                        assert_int_equal(is_right(&a), cases[i].right);
                assert_int_equal(a.n_garbage, cases[i].garbage);
        }
}

static void a_frame_without_end_is_bounded(void **state)
{
        struct modbus_ascii a = {.len = 0};

        feed(&a, ":");
        for (int i = 0; i < 10000; i++)
                assert_false(modbus_ascii_take(&a, '0'));
        assert_false(a.open);
        assert_int_equal(a.n_garbage, 10001);
        feed(&a, ":1103");
        assert_int_equal(modbus_ascii_flush(&a), 5);
        assert_int_equal(modbus_ascii_flush(&a), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_request_as_the_specification_has_it),
                cmocka_unit_test(what_is_taken),
                cmocka_unit_test(a_frame_without_end_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
