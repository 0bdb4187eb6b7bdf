/*
 * What bytes of a serial line look like, and the expression proposed for lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/commission/sniff_guess.h"
#include "drivers/modbus/frame.h"

static struct sniff_guess judge(const char *text, size_t n, size_t n_errors)
{
        static uint8_t bytes[4096];

        memcpy(bytes, text, n);
        return sniff_judge(bytes, n, n_errors);
}

static void test_marks(void **state)
{
        static const uint8_t raw[] = {1, 0xff, 0xff, 2, 0xff, 0, 3, 0xff};
        struct sniff_marks m = {0};
        size_t n_errors = 0;
        uint8_t out[8];

        assert_int_equal(sniff_unmark(&m, raw, sizeof(raw), out, &n_errors), 4);
        assert_memory_equal(out, "\x01\xff\x02\x03", 4);
        assert_int_equal(n_errors, 1);
        assert_int_equal(sniff_unmark(&m, (const uint8_t *)"\xff", 1, out, &n_errors), 1);
        assert_int_equal(out[0], 0xff);
}

static void test_kinds(void **state)
{
        static const char scale[] = "ST,GS,+  12.5kg\r\nUS,GS,+  13.0kg\r\n", nmea[] = "$WIMWV,214.8,R,0.1,K,A*28\r\n",
                          ascii[] = ":010300000001FB\r\n";
        struct sniff_guess g = judge(scale, strlen(scale), 0);

        assert_int_equal(g.kind, SNIFF_LINES);
        assert_int_equal(g.score, 100);
        assert_string_equal(g.line_end, "\\r\\n");
        assert_int_equal(judge(nmea, strlen(nmea), 0).kind, SNIFF_NMEA);
        assert_int_equal(judge(ascii, strlen(ascii), 0).kind, SNIFF_MODBUS_ASCII);
        assert_int_equal(judge("", 0, 0).score, -1);
        g = judge("\x80\x00\xf8\x80\x00\x78\x80\x00\xf8\xfe\x00\x80", 12, 6);
        assert_int_equal(g.kind, SNIFF_BINARY);
        assert_int_equal(g.score, 15);
        assert_true(judge(scale, strlen(scale), strlen(scale) / 2).score < 60);
}

static void test_modbus(void **state)
{
        static const uint8_t ask[] = {3, 0, 0, 0, 2}, reply[] = {3, 4, 0x42, 0xf6, 0xe9, 0x79};
        uint8_t bytes[100] = {0xaa};
        size_t n = 1;
        struct sniff_guess g;

        n += modbus_put_rtu(bytes + n, 17, ask, sizeof(ask));
        n += modbus_put_rtu(bytes + n, 17, reply, sizeof(reply));
        g = sniff_judge(bytes, n, 0);
        assert_int_equal(g.kind, SNIFF_MODBUS_RTU);
        assert_in_range(g.score, 90, 99);
        assert_int_equal(g.parity7, 0);
}

/* "12.5\r\n" in seven bits with even parity, as eight bits show it. */
static void test_seven_bits(void **state)
{
        uint8_t bytes[60];
        struct sniff_guess g;

        for (size_t i = 0; i < sizeof(bytes); i++) {
                bytes[i] = (uint8_t) "12.5\r\n"[i % 6];
                bytes[i] |= (uint8_t)(__builtin_popcount(bytes[i]) % 2 << 7);
        }
        g = sniff_judge(bytes, sizeof(bytes), 0);
        assert_int_equal(g.parity7, 'E');
        assert_int_equal(g.kind, SNIFF_LINES);
        assert_memory_equal(bytes, "12.5\r\n12.5", 10);
}

static void test_match(void **state)
{
        static const struct {
                const char *lines, *match;
                size_t n;
                bool comma;
        } rows[] = {
                {"cut\nST,GS,+  12.5kg\nUS,GS,+  13.0kg\n", "^.*?(?<v1>[-+]? *[0-9]+(?:[.][0-9]+)?)kg$", 1, false},
                {"\nT=21.5 H=45\nT=22 H=46\n",
                 "^T\\x3d(?<v1>[-+]? *[0-9]+(?:[.][0-9]+)?) *H\\x3d(?<v2>[-+]? *[0-9]+(?:[.][0-9]+)?)$", 2, false},
                {"x\nN 12,5 kg\nN 1,25 kg\n", "^N *(?<v1>[-+]? *[0-9]+(?:,[0-9]+)?) *kg$", 1, true},
                {"x\n1,2,3\n4,5,6\n",
                 "^(?<v1>[-+]? *[0-9]+(?:[.][0-9]+)?),(?<v2>[-+]? *[0-9]+(?:[.][0-9]+)?),(?<v3>[-+]? "
                 "*[0-9]+(?:[.][0-9]+)?)$",
                 3, false},
                {"x\nready\nready\n", "", 0, false},
                {"", "", 0, false},
        };
        char match[SNIFF_MATCH_ROOM];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                bool comma = false;

                match[0] = '\0';
                assert_int_equal(sniff_match((const uint8_t *)rows[i].lines, strlen(rows[i].lines), match, &comma),
                                 rows[i].n);
                assert_string_equal(match, rows[i].match);
                assert_int_equal(comma, rows[i].comma);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_marks),      cmocka_unit_test(test_kinds), cmocka_unit_test(test_modbus),
                cmocka_unit_test(test_seven_bits), cmocka_unit_test(test_match),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
