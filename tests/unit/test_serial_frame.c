/*
 * Bytes to frames: ends of lines of every kind, sentences among noise, binary frames behind false starts;
 * however the bytes are cut.
 */
#include "tests/lib/serial_frames.h"

#include <stdlib.h>

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))
#define BYTES(s)  s, sizeof(s) - 1

static void lines(void **state)
{
        static const struct {
                const char *delimiter, *bytes;
                size_t len;
                const char *expected;
        } rows[] = {
                {NULL, BYTES("a\nb\r\nc\rd"), "a|b|c|#!the line was not ended|"},
                {NULL, BYTES("\r\n\r\n\n"), "#"},
                {NULL, BYTES("12345678\n123456789\nok\n"), "12345678|!longer than max_frame|ok|#"},
                {NULL, BYTES("1234567890123456789012345\nok\n"), "!longer than max_frame|ok|#"},
                {NULL, BYTES("12345678901"), "!longer than max_frame|#"},
                {NULL, BYTES("a\0b\n\xff\n"), "a\\00b|\\ff|#"},
                {"\\x03", BYTES("a\nb\003c\003"), "a\\0ab|c|#"},
                {"\r\n", BYTES("a\rb\r\nc\nd\r\n"), "a\\0db|c\\0ad|#"},
                {"END",
                 BYTES("aEEND"
                       "ENDbEN"),
                 "aE|#!the line was not ended|"},
                {"END", BYTES("12345678901234ENDxEND"), "!longer than max_frame|x|#"},
                {"END", BYTES("12345678ENDxEND"), "12345678|x|#"},
                {"", BYTES("4006381"), "#4006381|"},
                {"", BYTES("a\r\n"), "#a\\0d\\0a|"},
                {"", BYTES("123456789"), "!longer than max_frame|#"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct serial_conf conf = {.frame = SERIAL_LINE, .max_frame = 8, .delimiter = rows[i].delimiter};

                frames_check(&conf, rows[i].bytes, rows[i].len, rows[i].expected);
        }
}

static void sentences(void **state)
{
        static const struct {
                const char *bytes;
                size_t len;
                const char *expected;
        } rows[] = {
                {BYTES("$A,1*5C\r\n"), "A,1|#"},
                {BYTES("$A,1*5c"), "A,1|#"},
                {BYTES("!A,1*5C$A,1*5C"), "A,1|A,1|#"},
                {BYTES("$A,1*5D\r\n$A,1*5C\r\n"), "!wrong checksum|A,1|#"},
                {BYTES("$A,1\r\n$A,1*5C\r\n"), "!no checksum|A,1|#"},
                {BYTES("$A,$A,1*5C"), "A,1|#"},
                {BYTES("noise$A,\0$A,1*5C\xff$"), "A,1|#"},
                {BYTES("$A,1*ZZ$A,1*5C"), "A,1|#"},
                {BYTES("$A,1*5"), "#"},
                {BYTES("$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$A,1*5C"), "A,1|#"},
                {BYTES("$*00"), "|#"},
        };
        struct serial_conf conf = {.frame = SERIAL_NMEA0183, .max_frame = 16};

        for (size_t i = 0; i < LENGTH(rows); i++)
                frames_check(&conf, rows[i].bytes, rows[i].len, rows[i].expected);
}

static void binaries(void **state)
{
        static const struct serial_binary_conf fixed = {.start = "02", .end = "03", .length = 4, .length_at = -1},
                                               summed = {.start = "AA55",
                                                         .length = -1,
                                                         .length_at = 2,
                                                         .length_size = 1,
                                                         .length_adds = 4,
                                                         .checksum = SERIAL_CHECK_SUM8,
                                                         .checksum_from = 2},
                                               wide = {.start = "68",
                                                       .length = -1,
                                                       .length_at = 1,
                                                       .length_size = 2,
                                                       .length_order = SERIAL_LITTLE,
                                                       .checksum = SERIAL_CHECK_CRC16_MODBUS,
                                                       .end = "16"},
                                               bare = {.start = "",
                                                       .length = 3,
                                                       .length_at = -1,
                                                       .checksum = SERIAL_CHECK_XOR8};
        static const struct {
                const struct serial_binary_conf *b;
                const char *bytes;
                size_t len;
                const char *expected;
        } rows[] = {
                {&fixed, BYTES("\002ab\003\002cd\003"), "\\02ab\\03|\\02cd\\03|#"},
                {&fixed, BYTES("xy\002ab\003"), "\\02ab\\03|#"},
                {&fixed, BYTES("\002a\002bc\003"), "!does not end as configured|\\02bc\\03|#"},
                {&fixed, BYTES("\002a"), "#"},
                {&summed, BYTES("\xaa\x55\x02\x10\x20\x32"), "\\aaU\\02\\10 2|#"},
                {&summed, BYTES("\xaa\xaa\x55\x02\x10\x20\x32"), "\\aaU\\02\\10 2|#"},
                {&summed, BYTES("\xaa\x55\x02\x10\x20\x33\xaa\x55\x00\x00"), "!wrong checksum|\\aaU\\00\\00|#"},
                /* impossible length: on behind the start; possible but false: a silence frees the frame inside */
                {&summed, BYTES("\xaa\x55\xff\xaa\x55\x00\x00"), "\\aaU\\00\\00|#"},
                {&summed, BYTES("\xaa\x55\x1b\xaa\x55\x00\x00"), "#\\aaU\\00\\00|"},
                {&wide, BYTES("\x68\x06\x00\xf3\xbc\x16"), "h\\06\\00\\f3\\bc\\16|#"},
                {&wide, BYTES("\x68\x05\x00\x01\x02\x16"), "#"},
                {&bare, BYTES("\x01\x02\x03\x01\x02\x03"), "\\01\\02\\03|\\01\\02\\03|#"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct serial_conf conf = {.frame = SERIAL_BINARY, .max_frame = 32, .binary = *rows[i].b};

                frames_check(&conf, rows[i].bytes, rows[i].len, rows[i].expected);
        }
}

/* Any noise before a frame: after a silence the next frame is found whole. */
static void back_in_step(void **state)
{
        static const char good[] = "$A,1*5C\r\n";
        struct serial_conf conf = {.frame = SERIAL_NMEA0183, .max_frame = 64};
        char noise[200 + sizeof(good)], got[8192];
        uint64_t seed = 7;

        for (int round = 0; round < 2000; round++) {
                size_t n = (size_t)round % 200;

                for (size_t i = 0; i < n; i++) {
                        seed = seed * 6364136223846793005u + 1442695040888963407u;
                        noise[i] = (char)(seed >> 56);
                }
                memcpy(noise + n, good, sizeof(good) - 1);
                frames_run(&conf, noise, n + sizeof(good) - 1, 1 + (size_t)round % 17, got);
                assert_non_null(strstr(got, "A,1|#"));
        }
}

static void a_buffer_never_fills(void **state)
{
        static const enum serial_framing kinds[] = {SERIAL_LINE, SERIAL_NMEA0183, SERIAL_BINARY};
        static const char fills[] = {'a', '$', '*', (char)0xaa};
        struct serial_frame frame;

        for (size_t k = 0; k < LENGTH(kinds); k++) {
                for (size_t c = 0; c < LENGTH(fills); c++) {
                        struct serial_conf conf = {
                                .frame = (int)kinds[k],
                                .max_frame = 4096,
                                .binary = {.start = "AA", .length = -1, .length_at = 1, .length_size = 4}};
                        struct serial_framer f;
                        uint8_t *to;

                        serial_framer_init(&f, &conf);
                        for (int i = 0; i < 100; i++) {
                                size_t n = serial_framer_room(&f, &to);

                                assert_true(n > 0);
                                memset(to, fills[c], n);
                                serial_framer_push(&f, n);
                                while (serial_frame_next(&f, &frame) != SERIAL_MORE)
                                        assert_true(frame.len <= 4096 + 3);
                        }
                        serial_framer_fini(&f);
                }
        }
}

static void written_bytes(void **state)
{
        static const struct {
                const char *text;
                int n; /* -1: refused */
                const char *bytes;
        } escapes[] =
                {
                        {"W\\r\\n", 3, "W\r\n"}, {"\\x05", 1, "\005"}, {"\\\\n", 2, "\\n"},
                        {"\\0\\t", 2, "\0\t"},   {"", 0, ""},          {"\\", -1, ""},
                        {"\\q", -1, ""},         {"\\x1", -1, ""},     {"\\xG0", -1, ""},
                        {"123456789", -1, ""},
                },
          hex[] = {
                  {"AA 55", 2, "\xaa\x55"}, {"aa55", 2, "\xaa\x55"}, {"", 0, ""}, {"A", -1, ""},
                  {"A A", -1, ""},          {"0x", -1, ""},
          };
        uint8_t out[8];
        struct err e;

        for (size_t i = 0; i < LENGTH(escapes); i++) {
                assert_int_equal(serial_unescape(out, sizeof(out), escapes[i].text, &e), escapes[i].n);
                assert_memory_equal(out, escapes[i].bytes, escapes[i].n > 0 ? (size_t)escapes[i].n : 0);
        }
        for (size_t i = 0; i < LENGTH(hex); i++) {
                assert_int_equal(serial_unhex(out, sizeof(out), hex[i].text, &e), hex[i].n);
                assert_memory_equal(out, hex[i].bytes, hex[i].n > 0 ? (size_t)hex[i].n : 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines),
                cmocka_unit_test(sentences),
                cmocka_unit_test(binaries),
                cmocka_unit_test(back_in_step),
                cmocka_unit_test(a_buffer_never_fills),
                cmocka_unit_test(written_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
