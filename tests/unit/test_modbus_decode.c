/*
 * Registers to readings: every type in every order, from the bytes a slave sends; scaling, bits, strings, what is not a
 * value; and where a register is, in the two ways people write it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/modbus/plan.h"

static size_t unhex(const char *hex, uint8_t *out)
{
        size_t n = 0;

        for (; *hex; hex += 2) {
                unsigned byte;

                assert_int_equal(sscanf(hex, "%2x", &byte), 1);
                out[n++] = (uint8_t)byte;
        }
        return n;
}

/* One value of a read that holds just `hex`, at register 0. */
static struct reading decode_as(const struct modbus_register_conf *conf, const char *hex, char *text)
{
        struct modbus_convert convert = {.all = {.plain = false}};
        struct modbus_point p = {.conf = conf, .convert = &convert, .scale_at = -1};
        struct modbus_read read = {.function = 3};
        struct reading r = {.tag = 7};
        uint8_t data[250];

        p.format = (struct modbus_format){.type = (uint8_t)conf->type,
                                          .order = (uint8_t)(conf->word_order ? conf->word_order - 1 : 0),
                                          .bit = (uint8_t)conf->bit,
                                          .high = conf->byte == MODBUS_HIGH};
        p.format.length = (uint8_t)(unhex(hex, data) / 2);
        if (conf->scale_where)
                p.scale_at = (int32_t)conf->scale_address;
        modbus_convert_init(&convert, conf);
        modbus_point_decode(&p, &read, data, text, &r);
        modbus_convert_fini(&convert);
        assert_int_equal(r.tag, 7);
        return r;
}

static struct reading decode(enum modbus_type type, enum modbus_order order, const char *hex, double scale,
                             double offset, char *text)
{
        const struct modbus_register_conf conf = {
                .type = (int)type, .word_order = (int)order + 1, .convert = {.scale = scale, .offset = offset}};

        return decode_as(&conf, hex, text);
}

static void every_type_in_every_order(void **state)
{
        static const struct {
                enum modbus_type type;
                const char *hex[N_MODBUS_ORDERS];
                double f64;
                int64_t i64;
        } rows[] = {
                {MODBUS_INT16, {"fffe", "fffe", "feff", "feff"}, 0, -2},
                {MODBUS_UINT16, {"fffe", "fffe", "feff", "feff"}, 0, 65534},
                {MODBUS_INT32, {"fffefdfc", "fdfcfffe", "fefffcfd", "fcfdfeff"}, 0, -66052},
                {MODBUS_UINT32, {"fffefdfc", "fdfcfffe", "fefffcfd", "fcfdfeff"}, 0, 4294901244},
                {MODBUS_INT64,
                 {"8000000000000001", "0001000000008000", "0080000000000100", "0100000000000080"},
                 0,
                 -9223372036854775807},
                {MODBUS_UINT64,
                 {"0102030405060708", "0708050603040102", "0201040306050807", "0807060504030201"},
                 0,
                 72623859790382856},
                {MODBUS_FLOAT32, {"42f6e979", "e97942f6", "f64279e9", "79e9f642"}, (double)123.456f, 0},
                {MODBUS_FLOAT64,
                 {"405edd2f1a9fbe77", "be771a9fdd2f405e", "5e402fdd9f1a77be", "77be9f1a2fdd5e40"},
                 123.456,
                 0},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                for (int o = 0; o < N_MODBUS_ORDERS; o++) {
                        struct reading r = decode(rows[i].type, (enum modbus_order)o, rows[i].hex[o], 1, 0, NULL);

                        assert_int_equal(r.quality, QUALITY_GOOD);
                        if (rows[i].f64 != 0) {
                                assert_int_equal(r.type, READING_F64);
                                assert_true(r.v.f64 == rows[i].f64);
                        } else {
                                assert_int_equal(r.type, READING_I64);
                                assert_int_equal(r.v.i64, rows[i].i64);
                        }
                }
        }
}

static void scaling_is_exact_where_it_can_be(void **state)
{
        assert_true(decode(MODBUS_INT16, MODBUS_ABCD, "0003", 0.1, 0, NULL).v.f64 == 0.3);
        assert_true(decode(MODBUS_INT16, MODBUS_ABCD, "ff38", 0.1, 0, NULL).v.f64 == -20.0);
        assert_true(decode(MODBUS_UINT32, MODBUS_CDAB, "00030000", 0.01, 0, NULL).v.f64 == 0.03);
        assert_true(decode(MODBUS_UINT16, MODBUS_ABCD, "0064", 1, -40, NULL).v.f64 == 60);
        assert_true(decode(MODBUS_UINT16, MODBUS_ABCD, "0064", 10, 5, NULL).v.f64 == 1005);
        assert_true(decode(MODBUS_UINT16, MODBUS_ABCD, "0003", 0.3, 0, NULL).v.f64 == 3 * 0.3);
        assert_true(decode(MODBUS_UINT16, MODBUS_ABCD, "0003", -0.5, 0, NULL).v.f64 == -1.5);
}

static void what_is_no_value_is_bad(void **state)
{
        static const char *const nan_or_inf[] = {"7fc00000", "ffc00000", "7f800000", "ff800000", "7f800001"};
        struct reading r;

        for (size_t i = 0; i < sizeof(nan_or_inf) / sizeof(*nan_or_inf); i++) {
                r = decode(MODBUS_FLOAT32, MODBUS_ABCD, nan_or_inf[i], 2, 1, NULL);
                assert_int_equal(r.type, READING_NONE);
                assert_int_equal(r.quality, QUALITY_BAD_SENSOR);
        }
        r = decode(MODBUS_FLOAT64, MODBUS_ABCD, "7fefffffffffffff", 10, 0, NULL);
        assert_int_equal(r.quality, QUALITY_BAD_OUT_OF_RANGE);
        r = decode(MODBUS_UINT64, MODBUS_ABCD, "ffffffffffffffff", 1, 0, NULL);
        assert_int_equal(r.type, READING_F64);
        assert_int_equal(r.quality, QUALITY_UNCERTAIN);
        assert_true(r.v.f64 == 18446744073709551616.0);
}

static void bits_and_booleans(void **state)
{
        struct modbus_format bit = {.type = MODBUS_BIT, .bit = 9};
        static const uint8_t word[] = {0x02, 0x00}, coils[] = {0x05, 0x80};
        struct reading r;

        modbus_decode(&bit, word, NULL, &r);
        assert_int_equal(r.type, READING_BOOL);
        assert_true(r.v.b);
        bit.bit = 8;
        modbus_decode(&bit, word, NULL, &r);
        assert_false(r.v.b);
        bit.order = MODBUS_DCBA;
        bit.bit = 1;
        modbus_decode(&bit, word, NULL, &r);
        assert_true(r.v.b);
        assert_true(decode(MODBUS_BOOL, MODBUS_ABCD, "0100", 1, 0, NULL).v.b);
        assert_false(decode(MODBUS_BOOL, MODBUS_ABCD, "0000", 1, 0, NULL).v.b);
        for (unsigned i = 0; i < 16; i++) {
                modbus_decode_bit(coils, i, &r);
                assert_int_equal(r.v.b, i == 0 || i == 2 || i == 15);
        }
}

static void strings(void **state)
{
        static const struct {
                enum modbus_order order;
                const char *hex, *text;
                enum quality quality;
        } rows[] = {
                {MODBUS_ABCD, "41424344", "ABCD", QUALITY_GOOD},
                {MODBUS_CDAB, "41424344", "ABCD", QUALITY_GOOD},
                {MODBUS_BADC, "42414443", "ABCD", QUALITY_GOOD},
                {MODBUS_DCBA, "42414443", "ABCD", QUALITY_GOOD},
                {MODBUS_ABCD, "41420043", "AB", QUALITY_GOOD},
                {MODBUS_ABCD, "41202020", "A", QUALITY_GOOD},
                {MODBUS_ABCD, "00000000", "", QUALITY_GOOD},
                {MODBUS_ABCD, "32c3b600", "2\xc3\xb6", QUALITY_GOOD},
                {MODBUS_ABCD, "3230b043",
                 "20\xc2\xb0"
                 "C",
                 QUALITY_UNCERTAIN},
                {MODBUS_ABCD, "ffffffff", "\xc3\xbf\xc3\xbf\xc3\xbf\xc3\xbf", QUALITY_UNCERTAIN},
        };
        char text[64];

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct reading r = decode(MODBUS_STRING, rows[i].order, rows[i].hex, 1, 0, text);

                assert_int_equal(r.type, READING_TEXT);
                assert_int_equal(r.quality, rows[i].quality);
                assert_int_equal(r.len, strlen(rows[i].text));
                assert_memory_equal(r.v.text, rows[i].text, r.len);
        }
}

static void where_a_register_is(void **state)
{
        static const struct {
                const char *text;
                enum modbus_table table;
                unsigned address;
        } good[] = {
                {"holding:0", MODBUS_HOLDING, 0},
                {"holding:65535", MODBUS_HOLDING, 65535},
                {"input:3", MODBUS_INPUT, 3},
                {"coil:0", MODBUS_COIL, 0},
                {"discrete:1", MODBUS_DISCRETE, 1},
                {"holding:0x1F4", MODBUS_HOLDING, 500},
                {"400001", MODBUS_HOLDING, 0},
                {"40001", MODBUS_HOLDING, 0},
                {"49999", MODBUS_HOLDING, 9998},
                {"465536", MODBUS_HOLDING, 65535},
                {"300001", MODBUS_INPUT, 0},
                {"30010", MODBUS_INPUT, 9},
                {"100001", MODBUS_DISCRETE, 0},
                {"10001", MODBUS_DISCRETE, 0},
                {"1", MODBUS_COIL, 0},
                {"00001", MODBUS_COIL, 0},
                {"000017", MODBUS_COIL, 16},
                {"9999", MODBUS_COIL, 9998},
        };
        static const char *const wrong[] = {
                "",
                "holding",
                "holding:",
                "holding:-1",
                "holding:65536",
                "holdings:1",
                "holding:1x",
                "hold:1",
                "400000",
                "40000",
                "465537",
                "50001",
                "20001",
                "0",
                "4000001",
                "x",
                " 1",
                "holding: 1",
                "holding:0x",
                "+1",
                "065537",
                "holding:0x10000",
        };
        enum modbus_table table;
        unsigned address;
        struct err e;

        for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
                assert_int_equal(modbus_where_parse(good[i].text, &table, &address, &e), 0);
                assert_int_equal(table, good[i].table);
                assert_int_equal(address, good[i].address);
        }
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                if (modbus_where_parse(wrong[i], &table, &address, &e) == 0)
                        fail_msg("\"%s\" was taken", wrong[i]);
        }
}

static int64_t whole(enum modbus_type type, enum modbus_order order, const char *hex)
{
        struct reading r = decode(type, order, hex, 1, 0, NULL);

        assert_int_equal(r.quality, QUALITY_GOOD);
        assert_int_equal(r.type, READING_I64);
        return r.v.i64;
}

static void half_registers_and_48_bits(void **state)
{
        struct modbus_register_conf high = {.type = MODBUS_INT8, .byte = MODBUS_HIGH, .convert = {.scale = 1}};

        assert_int_equal(decode_as(&high, "fe05", NULL).v.i64, -2);
        high.type = MODBUS_UINT8;
        assert_int_equal(decode_as(&high, "fe05", NULL).v.i64, 254);
        assert_int_equal(whole(MODBUS_INT8, MODBUS_ABCD, "fe85"), -123);
        assert_int_equal(whole(MODBUS_UINT8, MODBUS_ABCD, "fe85"), 133);
        assert_int_equal(whole(MODBUS_INT48, MODBUS_ABCD, "fffffffffffe"), -2);
        assert_int_equal(whole(MODBUS_UINT48, MODBUS_ABCD, "fffffffffffe"), 281474976710654);
        assert_int_equal(whole(MODBUS_INT48, MODBUS_ABCD, "000102030405"), 0x000102030405);
        assert_int_equal(whole(MODBUS_INT48, MODBUS_CDAB, "040502030001"), 0x000102030405);
        assert_int_equal(whole(MODBUS_INT48, MODBUS_BADC, "010003020504"), 0x000102030405);
        assert_int_equal(whole(MODBUS_INT48, MODBUS_DCBA, "050403020100"), 0x000102030405);
}

static void decimal_digits(void **state)
{
        assert_int_equal(whole(MODBUS_BCD16, MODBUS_ABCD, "1234"), 1234);
        assert_int_equal(whole(MODBUS_BCD32, MODBUS_ABCD, "00012345"), 12345);
        assert_int_equal(whole(MODBUS_BCD32, MODBUS_CDAB, "23450001"), 12345);
        assert_int_equal(whole(MODBUS_BCD64, MODBUS_ABCD, "9999999999999999"), 9999999999999999);
        assert_true(decode(MODBUS_BCD32, MODBUS_ABCD, "00012345", 0.01, 0, NULL).v.f64 == 123.45);
        assert_int_equal(decode(MODBUS_BCD16, MODBUS_ABCD, "12a4", 1, 0, NULL).quality, QUALITY_BAD_SENSOR);
        assert_int_equal(decode(MODBUS_BCD16, MODBUS_ABCD, "ffff", 1, 0, NULL).quality, QUALITY_BAD_SENSOR);
}

static void moments(void **state)
{
        static const struct {
                enum modbus_type type;
                enum modbus_order order;
                const char *hex, *text; /* NULL: bad */
        } rows[] = {
                /* date -u -d @1796061600, and the greatest that 32 bits hold */
                {MODBUS_UNIX32, MODBUS_ABCD, "6b0db9a0", "2026-11-30T18:00:00Z"},
                {MODBUS_UNIX32, MODBUS_CDAB, "b9a06b0d", "2026-11-30T18:00:00Z"},
                {MODBUS_UNIX32, MODBUS_ABCD, "ffffffff", "2106-02-07T06:28:15Z"},
                {MODBUS_UNIX64, MODBUS_ABCD, "000000006b0db9a0", "2026-11-30T18:00:00Z"},
                {MODBUS_UNIX64, MODBUS_ABCD, "ffffffffffffffff", NULL},
                {MODBUS_DATETIME3, MODBUS_ABCD, "1a0b1e120c22", "2026-11-30T18:12:34"},
                {MODBUS_DATETIME3, MODBUS_BADC, "0b1a121e220c", "2026-11-30T18:12:34"},
                {MODBUS_DATETIME3, MODBUS_ABCD, "1a0b1f120c22", NULL},
                {MODBUS_DATETIME3, MODBUS_ABCD, "18021d000000", "2024-02-29T00:00:00"},
                {MODBUS_DATETIME3, MODBUS_ABCD, "19021d000000", NULL},
                {MODBUS_DATETIME3, MODBUS_ABCD, "000000000000", NULL},
                {MODBUS_DATETIME4, MODBUS_ABCD, "001a0b3e120c86f2", "2026-11-30T18:12:34.546"},
                {MODBUS_DATETIME4, MODBUS_ABCD, "001a0b3e128c86f2", "2026-11-30T18:12:34.546"}, /* says: not valid */
                {MODBUS_DATETIME4, MODBUS_ABCD, "ffffffffffffffff", NULL},
                {MODBUS_DATETIME6, MODBUS_ABCD, "07ea000b001e0012000c0022", "2026-11-30T18:12:34"},
                {MODBUS_DATETIME6, MODBUS_ABCD, "001a000b001e0012000c0022", "2026-11-30T18:12:34"},
                {MODBUS_DATETIME6, MODBUS_ABCD, "07ea000d001e0012000c0022", NULL},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                char text[MODBUS_TIME_ROOM];
                struct reading r = decode(rows[i].type, rows[i].order, rows[i].hex, 1, 0, text);

                if (!rows[i].text) {
                        assert_int_equal(r.quality, QUALITY_BAD_SENSOR);
                        continue;
                }
                assert_int_equal(r.type, READING_TEXT);
                assert_int_equal(r.len, strlen(rows[i].text));
                assert_memory_equal(r.v.text, rows[i].text, r.len);
                assert_int_equal(r.quality, strstr(rows[i].hex, "128c") ? QUALITY_UNCERTAIN : QUALITY_GOOD);
        }
}

/* A number that its power of ten makes endless is none. */
static void a_power_beyond_all_numbers(void **state)
{
        struct modbus_register_conf conf = {
                .type = MODBUS_FLOAT64, .scale_where = "holding:4", .scale_address = 4, .convert = {.scale = 1}};

        assert_true(decode_as(&conf,
                              "4008000000000000"
                              "0001",
                              NULL)
                            .v.f64 == 30);
        assert_int_equal(decode_as(&conf,
                                   "7fe0000000000000"
                                   "000a",
                                   NULL)
                                 .quality,
                         QUALITY_BAD_OUT_OF_RANGE);
        assert_int_equal(decode_as(&conf,
                                   "7fe0000000000000"
                                   "000a",
                                   NULL)
                                 .type,
                         READING_NONE);
}

/* SunSpec: the value, and behind it its power of ten. */
static void a_power_of_ten_in_a_register(void **state)
{
        static const char *none[] = {"0x8000"}, *range[] = {"-1000", "1000"};
        struct modbus_register_conf conf = {.type = MODBUS_INT16,
                                            .scale_where = "holding:1",
                                            .scale_address = 1,
                                            .convert = {.scale = 1, .none = {none, 1}, .range = {range, 2}}};

        assert_true(decode_as(&conf, "0929ffff", NULL).v.f64 == 234.5);
        assert_true(decode_as(&conf, "0003fffe", NULL).v.f64 == 0.03);
        assert_true(decode_as(&conf, "fffd0002", NULL).v.f64 == -300);
        assert_true(decode_as(&conf, "00070000", NULL).v.f64 == 7);
        assert_int_equal(decode_as(&conf, "00070000", NULL).type, READING_F64);
        assert_int_equal(decode_as(&conf, "00078000", NULL).quality, QUALITY_BAD_SENSOR);
        assert_int_equal(decode_as(&conf, "0007000b", NULL).quality, QUALITY_BAD_SENSOR);
        assert_int_equal(decode_as(&conf, "8000ffff", NULL).quality, QUALITY_BAD_SENSOR);
        assert_int_equal(decode_as(&conf, "00070003", NULL).quality, QUALITY_BAD_OUT_OF_RANGE);
        conf.convert.scale = 0.5;
        assert_true(decode_as(&conf, "0929ffff", NULL).v.f64 == 117.25);
}

/* What the conversion of all drivers makes of registers. */
static void codes_words_and_masks(void **state)
{
        static const char *none[] = {"0xFFFF"};
        static struct schema_pair words[] = {{"0", "stopped"}, {"2", "running"}};
        struct modbus_register_conf night = {.type = MODBUS_UINT16, .convert = {.scale = 0.1, .none = {none, 1}}};
        struct modbus_register_conf state_of = {
                .type = MODBUS_UINT16, .convert = {.scale = 1, .mask = "0x00F0", .shift = 4, .map = {words, 2}}};
        struct reading r = decode_as(&night, "ffff", NULL);

        assert_int_equal(r.type, READING_NONE);
        assert_int_equal(r.quality, QUALITY_BAD_SENSOR);
        assert_true(decode_as(&night, "0929", NULL).v.f64 == 234.5);
        night.type = MODBUS_INT16;
        assert_int_equal(decode_as(&night, "ffff", NULL).quality, QUALITY_BAD_SENSOR);
        r = decode_as(&state_of, "ab2c", NULL);
        assert_int_equal(r.type, READING_TEXT);
        assert_int_equal(r.len, 7);
        assert_memory_equal(r.v.text, "running", 7);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_type_in_every_order),
                cmocka_unit_test(scaling_is_exact_where_it_can_be),
                cmocka_unit_test(what_is_no_value_is_bad),
                cmocka_unit_test(bits_and_booleans),
                cmocka_unit_test(strings),
                cmocka_unit_test(where_a_register_is),
                cmocka_unit_test(half_registers_and_48_bits),
                cmocka_unit_test(decimal_digits),
                cmocka_unit_test(moments),
                cmocka_unit_test(a_power_beyond_all_numbers),
                cmocka_unit_test(a_power_of_ten_in_a_register),
                cmocka_unit_test(codes_words_and_masks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
