/*
 * Checksums: by their published check values (as crcmod, from PyPI, has them), and where they stand in lines and
 * frames.
 */
#include "tests/lib/serial_frames.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))
#define BYTES(s)  s, sizeof(s) - 1

static void of_nine_digits(void **state)
{
        static const struct {
                enum serial_checksum kind;
                uint32_t expected; /* of "123456789" */
        } rows[] = {
                {SERIAL_CHECK_NONE, 0},
                {SERIAL_CHECK_SUM8, 0xdd},
                {SERIAL_CHECK_SUM8_TWOS, 0x23},
                {SERIAL_CHECK_SUM8_ONES, 0x22},
                {SERIAL_CHECK_SUM7_TWOS, 0x23},
                {SERIAL_CHECK_XOR8, 0x31},
                {SERIAL_CHECK_SUM16, 0x01dd},
                {SERIAL_CHECK_CRC8, 0xf4},
                {SERIAL_CHECK_CRC8_MAXIM, 0xa1},
                {SERIAL_CHECK_CRC8_J1850, 0x4b},
                {SERIAL_CHECK_CRC8_ROHC, 0xd0},
                {SERIAL_CHECK_CRC16_MODBUS, 0x4b37},
                {SERIAL_CHECK_CRC16_CCITT, 0x29b1},
                {SERIAL_CHECK_CRC16_XMODEM, 0x31c3},
                {SERIAL_CHECK_CRC16_ARC, 0xbb3d},
                {SERIAL_CHECK_CRC16_KERMIT, 0x2189},
                {SERIAL_CHECK_CRC16_X25, 0x906e},
                {SERIAL_CHECK_CRC16_USB, 0xb4c8},
                {SERIAL_CHECK_CRC16_DNP, 0xea82},
                {SERIAL_CHECK_CRC32, 0xcbf43926},
                {SERIAL_CHECK_CRC32_MPEG2, 0x0376e6e7},
                {SERIAL_CHECK_CRC32C, 0xe3069283},
        };

        assert_int_equal(LENGTH(rows), N_SERIAL_CHECKS);
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_int_equal(serial_checksum(rows[i].kind, (const uint8_t *)"123456789", 9), rows[i].expected);
        assert_string_equal(serial_checksum_names[SERIAL_CHECK_CRC16_KERMIT], "crc16_kermit");
        assert_string_equal(serial_checksum_names[SERIAL_CHECK_CRC32C], "crc32c");
        assert_null(serial_checksum_names[N_SERIAL_CHECKS]);
}

static void in_lines(void **state)
{
        static const struct serial_line_sum_conf
                star = {.kind = SERIAL_CHECK_XOR8, .form = SERIAL_FORM_HEX, .mark = "*"},
                sum = {.kind = SERIAL_CHECK_SUM8, .form = SERIAL_FORM_DECIMAL, .start = "<"},
                twos = {.kind = SERIAL_CHECK_SUM8_TWOS, .form = SERIAL_FORM_HEX, .start = ":", .with_start = true},
                bcc = {.kind = SERIAL_CHECK_XOR8,
                       .form = SERIAL_FORM_BINARY,
                       .start = "\\x02",
                       .behind_end = true,
                       .with_end = true},
                crc = {.kind = SERIAL_CHECK_CRC16_CCITT,
                       .form = SERIAL_FORM_HEX,
                       .mark = ",",
                       .with_mark = true,
                       .order = SERIAL_ORDER_LITTLE};
        static const struct {
                const struct serial_line_sum_conf *sum;
                const char *delimiter, *bytes;
                size_t len;
                const char *expected;
        } rows[] = {
                {&star, NULL, BYTES("123456789*31\r\n123456789*30\r\n123456789\n*00\n1*31"),
                 "123456789|!wrong checksum|!no checksum||#!the line was not ended|"},
                {&sum, NULL, BYTES("noise<123456789221\r\n123456789221\r\n<1x1\r\n<9<1049\r\n"),
                 "123456789|!no checksum|!wrong checksum|1|#"},
                {&twos, NULL, BYTES(":1234567899A\n:123456789E9\n:F7\n:12345678e9\n"),
                 "!wrong checksum|123456789|!wrong checksum|!wrong checksum|#"},
                {&bcc, "\\x03",
                 BYTES("zz\x02"
                       "123456789\x03\x32\x02"
                       "1\x03\x32\x02"
                       "1\x03\x33\x02"
                       "2\x03"),
                 "123456789|1|!wrong checksum|#!the line was not ended|"},
                {&bcc, "\\x03",
                 BYTES("\x02"
                       "1234567890123456789012345678901234567890\x03"
                       "\x02\x02"
                       "1\x03\x32"),
                 "!longer than max_frame|1|#"}, /* however it is cut: its check is left out with it */
                {&crc, NULL, BYTES("123,70C0\n"), "123|#"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct serial_conf conf = {.max_frame = 32, .delimiter = rows[i].delimiter, .checksum = *rows[i].sum};

                frames_check(&conf, rows[i].bytes, rows[i].len, rows[i].expected);
        }
}

static void in_frames(void **state)
{
        static const struct serial_binary_conf hex = {.start = "02",
                                                      .end = "03",
                                                      .length = 8,
                                                      .length_at = -1,
                                                      .checksum = SERIAL_CHECK_SUM8,
                                                      .checksum_form = SERIAL_FORM_HEX,
                                                      .checksum_from = 1,
                                                      .checksum_behind = 1},
                                               crc = {.start = "AA",
                                                      .length = 8,
                                                      .length_at = -1,
                                                      .checksum = SERIAL_CHECK_CRC32,
                                                      .checksum_from = 1,
                                                      .checksum_order = SERIAL_ORDER_LITTLE};
        struct serial_conf conf = {.frame = SERIAL_BINARY, .max_frame = 32, .binary = hex};

        frames_check(&conf,
                     BYTES("\x02"
                           "12"
                           "\x01"
                           "64."
                           "\x03"
                           "\x02"
                           "12"
                           "\x01"
                           "65."
                           "\x03"),
                     "\\0212\\0164.\\03|!wrong checksum|#");
        conf.binary = crc;
        frames_check(&conf,
                     BYTES("\xaa"
                           "123"
                           "\xd2\x63\x48\x88"),
                     "\\aa123\\d2cH\\88|#");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(of_nine_digits), cmocka_unit_test(in_lines),
                                           cmocka_unit_test(in_frames)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
