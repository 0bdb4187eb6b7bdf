/*
 * Telegrams of meters: the values of the documentation's own examples, every kind of data with its "no value", times,
 * and what is no telegram. What pyMeterBus reads is compared in tests/replay.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/mbus/record.h"
#include "drivers/mbus/value.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))

static uint8_t bytes[MBUS_FRAME_MAX];

static size_t from_hex(const char *hex)
{
        char byte[3] = "";
        size_t n = 0;

        for (; *hex; hex += 2) {
                memcpy(byte, hex, 2);
                bytes[n++] = (uint8_t)strtoul(byte, NULL, 16);
        }
        return n;
}

/* "value unit", "bad", or why it is none; of the first record behind no head. */
static const char *told(const char *hex, const char *unit)
{
        static char text[200];
        const struct mbus_reading_conf c = {.record = 0, .unit = unit, .convert.scale = 1};
        const struct convert convert = {.plain = true};
        struct reading r = {.len = 0};
        const struct mbus_frame f = {.ci = 0x78, .data = bytes, .len = from_hex(hex)};
        char room[MBUS_TEXT_MAX], number[TEXT_DOUBLE_MAX];
        struct mbus_record record;
        struct mbus_walk w;

        assert_int_equal(mbus_walk_begin(&w, &f, 0), 0);
        switch (mbus_walk_next(&w, &record)) {
        case MBUS_MALFORMED:
                return w.why;
        case MBUS_END:
                return "end";
        case MBUS_END_OF_PART:
                return "end of part";
        case MBUS_RECORD:
                break;
        }
        if (mbus_set(&c, &convert, &record, room, &r) == MBUS_UNIT)
                return "another unit";
        if (r.type == READING_TEXT)
                snprintf(text, sizeof(text), "'%.*s'", (int)r.len, r.v.text);
        else if (r.type == READING_F64)
                snprintf(text, sizeof(text), "%.*s %s", (int)text_put_double(number, r.v.f64), number, record.unit);
        else if (r.type == READING_I64)
                snprintf(text, sizeof(text), "i%lld %s", (long long)r.v.i64, record.unit);
        else
                return "bad";
        return text;
}

static void data(void **state)
{
        static const struct {
                const char *hex, *unit, *told;
        } rows[] = {
                {"0106fe", NULL, "-2000.0 Wh"},
                {"010680", NULL, "bad"}, /* the lowest means: no value */
                {"02060080", NULL, "bad"},
                {"0306000080", NULL, "bad"},
                {"040600000080", NULL, "bad"},
                {"0606000000000080", NULL, "bad"},
                {"07060000000000000080", NULL, "bad"},
                {"0703ffffffffffffff7f", NULL, "i9223372036854775807 Wh"},
                {"052b0000c07f", NULL, "bad"}, /* not a number */
                {"052b00004040", NULL, "3.0 W"},
                {"0006", NULL, "bad"}, /* no data */
                {"090642", NULL, "42000.0 Wh"},
                {"0a0634f2", NULL, "-234000.0 Wh"}, /* F on top is a minus */
                {"0a06f412", NULL, "bad"},          /* elsewhere a fault */
                {"0a0634a2", NULL, "bad"},
                {"0b06563412", NULL, "123456000.0 Wh"},
                {"0c0678563412", NULL, "12345678000.0 Wh"},
                {"0e0610325476981f", NULL, "bad"},
                {"32066400", NULL, "bad"}, /* the value in an error */
                {"0d78036362", NULL, "a record is cut"},
                {"0d7803636261", NULL, "'abc'"},
                {"0d7800", NULL, "bad"},
                {"0d06c21234", NULL, "3412000.0 Wh"},
                {"0d06d21234", NULL, "-3412000.0 Wh"},
                {"0d06c0", NULL, "bad"}, /* a number of no digits */
                {"0d06e2e803", NULL, "1000000.0 Wh"},
                {"04861505000000", NULL, "bad"},         /* "no data available" */
                {"0486f31805000000", NULL, "bad"},       /* "data error", behind a factor */
                {"0486ff1505000000", NULL, "5000.0 Wh"}, /* the maker's own */
                {"0d06f0000102030405060708090a0b0c0d0e0f", NULL, "bad"},
                {"0d06cf", NULL, "data of a length that is reserved"},
                {"0406", NULL, "a record is cut"},
                {"84", NULL, "a record is cut"},
                {"04", NULL, "a record is cut"},
                {"0486", NULL, "a record is cut"},
                {"04fd", NULL, "a record is cut"},
                {"047c05", NULL, "a record is cut"},
                {"027c02574b0500", NULL, "5.0 "}, /* a unit in words */
                {"0f010203", NULL, "end"},
                {"1f0102", NULL, "end of part"},
                {"2f2f2f", NULL, "end"},
                {"08130000", NULL, "a record of a kind that is not known"},
                {"7f", NULL, "a record of a kind that is not known"},
                {"848080808080808080808080", NULL, "a record is cut"},
                {"0406e8030000", "kWh", "1000.0 Wh"},
                {"0406e8030000", "MWh", "1.0 Wh"},
                {"0413e8030000", "m\xc2\xb3", "1.0 m3"},
                {"0413e8030000", "l", "1000.0 m3"},
                {"0413e8030000", "kWh", "another unit"},
                {"0222d204", "h", "1234.0 s"},
                {"02220200", NULL, "7200.0 s"},
                {"02937d0200", NULL, "2.0 m3"},     /* times 1000 */
                {"0293740200", NULL, "0.00002 m3"}, /* divided by 100 */
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                if (strcmp(told(rows[i].hex, rows[i].unit), rows[i].told) != 0)
                        fail_msg("%s: %s, not %s", rows[i].hex, told(rows[i].hex, rows[i].unit), rows[i].told);
        }
}

static void times(void **state)
{
        static const struct {
                const char *hex, *told;
        } rows[] = {
                {"026c5f3c", "'2026-12-31'"},
                {"026cffff", "bad"},
                {"026c0000", "bad"},
                {"046d0f0c5e3b", "'2026-11-30T12:15'"},
                {"046d8f0c5e3b", "bad"},                /* "invalid" */
                {"046d3c0c5e3b", "bad"},                /* minute 60 */
                {"046d0f2c4ac1", "'2098-01-10T12:15'"}, /* its hundred years */
                {"066d1e0f2c5e3b00", "'2026-11-30T12:15:30'"},
                {"066d1e8f2c5e3b00", "bad"},
                {"036d1e0f0c", "'12:15:30'"},
                {"036dffffff", "bad"},
        };

        for (size_t i = 0; i < LENGTH(rows); i++)
                if (strcmp(told(rows[i].hex, NULL), rows[i].told) != 0)
                        fail_msg("%s: %s, not %s", rows[i].hex, told(rows[i].hex, NULL), rows[i].told);
}

/* What no telegram begins with is told a byte at a time. */
static void frames(void **state)
{
        static const struct {
                const char *hex;
                enum mbus_found found;
                size_t used;
        } rows[] = {
                {"", MBUS_MORE, 0},
                {"e5", MBUS_ACK, 1},
                {"00e5", MBUS_NOISE, 1},
                {"10400545", MBUS_MORE, 0},
                {"1040054516", MBUS_OTHER, 5},
                {"1040054616", MBUS_NOISE, 1},
                {"68", MBUS_MORE, 0},
                {"6802", MBUS_NOISE, 1},
                {"681f1e", MBUS_NOISE, 1},
                {"681f1f10", MBUS_NOISE, 1},
                {"68030368080573", MBUS_MORE, 0},
                {"680303680805738016", MBUS_LONG, 9},
                {"680303680805738116", MBUS_WRONG, 9},
                {"680303680805738017", MBUS_WRONG, 9},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct mbus_frame f;
                size_t n = from_hex(rows[i].hex), used;

                assert_int_equal(mbus_frame_find(bytes, n, &f, &used), rows[i].found);
                if (rows[i].found != MBUS_MORE)
                        assert_int_equal(used, rows[i].used);
        }
}

static void heads(void **state)
{
        static const struct {
                uint8_t ci;
                const char *hex, *why; /* NULL: it is known */
        } rows[] = {
                {0x72, "785634122440010755000000", NULL},
                {0x72, "78563412244001075500", "its head is cut"},
                {0x72, "785634122440010755000005", "the data is encrypted"},
                {0x7a, "55000000", NULL},
                {0x7a, "550000", "its head is cut"},
                {0x73, "785634120a00e97e0100000035010000", NULL},
                {0x73, "785634120a00e97e01000000350100", "a fixed data structure of another length"},
                {0x70, "", "a data structure that is not known"},
        };
        struct mbus_secondary wanted = {{0x7f, 0x56, 0x34, 0x12}, 0x4024, 0xff, 7}, is = wanted;

        for (size_t i = 0; i < LENGTH(rows); i++) {
                const struct mbus_frame f = {.ci = rows[i].ci, .data = bytes, .len = from_hex(rows[i].hex)};
                struct mbus_walk w;

                assert_int_equal(mbus_walk_begin(&w, &f, 0), rows[i].why ? -1 : 0);
                if (rows[i].why)
                        assert_string_equal(w.why, rows[i].why);
        }
        is.id[0] = 0x78;
        is.version = 1;
        assert_true(mbus_is_meant(&wanted, &is));
        is.medium = 4;
        assert_false(mbus_is_meant(&wanted, &is));
        is.medium = 7;
        is.id[3] = 0x13;
        assert_false(mbus_is_meant(&wanted, &is));
        assert_int_equal(mbus_manufacturer("PAD"), 0x4024);
        assert_int_equal(mbus_manufacturer("KAM"), 0x2c2d);
        assert_int_equal(mbus_manufacturer("kam"), -1);
        assert_int_equal(mbus_manufacturer("KA"), -1);
        assert_int_equal(mbus_manufacturer("KAMS"), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(data), cmocka_unit_test(times), cmocka_unit_test(frames),
                                           cmocka_unit_test(heads)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
