/*
 * Texts of the kernel to readings: numbers, the two lines of a 1-Wire thermometer, errors, and what is no value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "drivers/sysfs/decode.h"

#define W1(bytes, crc, rest) bytes " : crc=57 " crc "\n" bytes " " rest "\n"
#define SOUND                "72 01 4b 46 7f ff 0e 10 57"
#define POWER_ON             "50 05 4b 46 7f ff 0c 10 1c"
#define EXACTLY_85           "50 05 4b 46 7f ff 10 10 b1"
#define ZEROS                "00 00 00 00 00 00 00 00 00"

static enum sysfs_verdict decode_answer(const struct sysfs_reading_conf *c, const struct sysfs_answer *a,
                                        struct reading *r, const char **why)
{
        static char text[SYSFS_TEXT_MAX];
        enum sysfs_verdict verdict;
        struct convert convert;
        const char *key;
        struct err e;

        assert_int_equal(convert_init(&convert, &c->convert, c->unit, 0, &key, &e), 0);
        verdict = sysfs_decode(c, &convert, a, text, r, why);
        convert_fini(&convert);
        return verdict;
}

static enum sysfs_verdict decode(const struct sysfs_reading_conf *c, const char *text, struct reading *r,
                                 const char **why)
{
        struct sysfs_answer a = {.bytes = (char *)(uintptr_t)text, .len = strlen(text)};

        *r = (struct reading){.ts_us = 1, .arrival_us = 1, .quality = N_QUALITIES};
        return decode_answer(c, &a, r, why);
}

static void numbers(void **state)
{
        static const struct {
                const char *text;
                double scale, offset, value; /* NAN: no number */
        } rows[] = {
                {"45123\n", 0.001, 0, 45.123},
                {"-5000\n", 0.001, 0, -5},
                {"1\n", 1, 0, 1},
                {" 12.5 \n", 1, 0, 12.5},
                {"2048\n", 0.5, -1024, 0},
                {"3\n", 0.01, 0, 0.03}, /* not 0.030000000000000002 */
                {"0\n", 1, 0, 0},
                {"-0.000001", 1, 0, -0.000001},
                {"", 1, 0, NAN},
                {"\n", 1, 0, NAN},
                {"N/A\n", 1, 0, NAN},
                {"12 13\n", 1, 0, NAN},
                {"0x10\n", 1, 0, NAN},
                {"12\n\n13\n", 1, 0, NAN},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct sysfs_reading_conf c = {
                        .file = "temp", .convert = {CONVERT_NUMBER, .scale = rows[i].scale, .offset = rows[i].offset}};
                struct reading r;
                const char *why;

                if (isnan(rows[i].value)) {
                        assert_int_equal(decode(&c, rows[i].text, &r, &why), SYSFS_GARBAGE);
                        assert_int_equal(r.quality, QUALITY_BAD_SENSOR);
                        assert_int_equal(r.type, READING_NONE);
                        assert_true(*why);
                        continue;
                }
                assert_int_equal(decode(&c, rows[i].text, &r, &why), SYSFS_VALUE);
                assert_int_equal(r.quality, QUALITY_GOOD);
                assert_int_equal(r.type, READING_F64);
                assert_true(r.v.f64 == rows[i].value);
        }
}

/* Its own word for it, nothing to be shown to anybody. */
static void not_a_number_is_bad(void **state)
{
        struct sysfs_reading_conf c = {.file = "temp", .convert = {CONVERT_NUMBER, .scale = 1}};
        struct reading r;
        const char *why;

        assert_int_equal(decode(&c, "nan\n", &r, &why), SYSFS_ERROR);
        assert_int_equal(r.quality, QUALITY_BAD_SENSOR);
}

static void a_counter_beyond_the_doubles_stays_exact(void **state)
{
        struct sysfs_reading_conf c = {.file = "energy1_input", .convert = {CONVERT_NUMBER, .scale = 1}};
        struct reading r;
        const char *why;

        assert_int_equal(decode(&c, "9007199254740993\n", &r, &why), SYSFS_VALUE);
        assert_int_equal(r.type, READING_I64);
        assert_true(r.v.i64 == INT64_C(9007199254740993));
}

static void what_is_beyond_all_numbers_is_out_of_range(void **state)
{
        struct sysfs_reading_conf c = {.file = "temp", .convert = {CONVERT_NUMBER, .scale = 1e300}};
        struct reading r;
        const char *why;

        assert_int_equal(decode(&c, "1e300\n", &r, &why), SYSFS_ERROR);
        assert_int_equal(r.quality, QUALITY_BAD_OUT_OF_RANGE);
        assert_int_equal(r.type, READING_NONE);
}

static void thermometers(void **state)
{
        static const struct {
                const char *text;
                enum sysfs_verdict verdict;
                enum quality quality;
                double value;
        } rows[] = {
                {W1(SOUND, "YES", "t=23125"), SYSFS_VALUE, QUALITY_GOOD, 23.125},
                {W1(SOUND, "YES", "t=-1250"), SYSFS_VALUE, QUALITY_GOOD, -1.25},
                {W1(SOUND, "NO", "t=23125"), SYSFS_ERROR, QUALITY_BAD_COMM_FAILURE, 0},
                {W1(EXACTLY_85, "YES", "t=85000"), SYSFS_VALUE, QUALITY_UNCERTAIN, 85},
                {W1(POWER_ON, "YES", "t=85000"), SYSFS_ERROR, QUALITY_BAD_SENSOR, 0},
                {W1(POWER_ON, "YES", "t=85062"), SYSFS_VALUE, QUALITY_GOOD, 85.062},
                {W1(ZEROS, "YES", "t=0"), SYSFS_ERROR, QUALITY_BAD_COMM_FAILURE, 0},
                {W1(SOUND, "YES", ""), SYSFS_GARBAGE, QUALITY_BAD_SENSOR, 0},
                {W1(SOUND, "YES", "t="), SYSFS_GARBAGE, QUALITY_BAD_SENSOR, 0},
                {W1(SOUND, "YES", "t=hot"), SYSFS_GARBAGE, QUALITY_BAD_SENSOR, 0},
                {W1(SOUND, "MAYBE", "t=23125"), SYSFS_GARBAGE, QUALITY_BAD_SENSOR, 0},
                {"crc= YES\nt=23125\n", SYSFS_GARBAGE, QUALITY_BAD_SENSOR, 0}, /* nothing before it */
                {SOUND " : crc=57 YES", SYSFS_GARBAGE, QUALITY_BAD_SENSOR, 0},
                {"23125\n", SYSFS_VALUE, QUALITY_GOOD, 23.125},
                {"85000\n", SYSFS_VALUE, QUALITY_UNCERTAIN, 85},
                {"", SYSFS_GARBAGE, QUALITY_BAD_SENSOR, 0},
        };
        struct sysfs_reading_conf c = {.file = "bus/w1/devices/28-000005e2fdc3/w1_slave",
                                       .convert = {CONVERT_NUMBER, .scale = 0.001}};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct reading r;
                const char *why;

                if (decode(&c, rows[i].text, &r, &why) != rows[i].verdict || r.quality != rows[i].quality)
                        fail_msg("row %zu: %s, %s", i, quality_name(r.quality), why);
                if (r.type == READING_F64)
                        assert_true(r.v.f64 == rows[i].value);
                else
                        assert_true(quality_is_bad(r.quality) && *why);
        }
}

static void eighty_five_is_a_number_elsewhere(void **state)
{
        struct sysfs_reading_conf c = {.file = "class/thermal/thermal_zone0/temp",
                                       .convert = {CONVERT_NUMBER, .scale = 0.001}};
        struct reading r;
        const char *why;

        assert_int_equal(decode(&c, "85000\n", &r, &why), SYSFS_VALUE);
        assert_int_equal(r.quality, QUALITY_GOOD);
        c.format = SYSFS_W1;
        decode(&c, "85000\n", &r, &why);
        assert_int_equal(r.quality, QUALITY_UNCERTAIN);
}

static void errors(void **state)
{
        static const struct {
                int error;
                enum sysfs_verdict verdict;
                enum quality quality;
        } rows[] = {
                {ENOENT, SYSFS_GONE, QUALITY_BAD_NOT_CONNECTED},    {ENODEV, SYSFS_GONE, QUALITY_BAD_NOT_CONNECTED},
                {ENXIO, SYSFS_GONE, QUALITY_BAD_NOT_CONNECTED},     {EIO, SYSFS_ERROR, QUALITY_BAD_COMM_FAILURE},
                {EBUSY, SYSFS_ERROR, QUALITY_BAD_COMM_FAILURE},     {ENODATA, SYSFS_ERROR, QUALITY_BAD_COMM_FAILURE},
                {ETIMEDOUT, SYSFS_ERROR, QUALITY_BAD_COMM_FAILURE}, {EACCES, SYSFS_ERROR, QUALITY_BAD_CONFIG},
        };
        struct sysfs_reading_conf c = {.file = "temp", .convert = {CONVERT_NUMBER, .scale = 1}};
        struct sysfs_answer a = {0};
        struct reading r;
        const char *why;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                a.error = rows[i].error;
                assert_int_equal(decode_answer(&c, &a, &r, &why), rows[i].verdict);
                assert_int_equal(r.quality, rows[i].quality);
                assert_string_equal(why, strerror(rows[i].error));
        }
        a.error = 0;
        a.unfit = "it is something else";
        assert_int_equal(decode_answer(&c, &a, &r, &why), SYSFS_ERROR);
        assert_int_equal(r.quality, QUALITY_BAD_CONFIG);
        a.unfit = NULL;
        a.len = SYSFS_FILE_MAX + 1;
        assert_int_equal(decode_answer(&c, &a, &r, &why), SYSFS_GARBAGE);
}

static void words_of_the_kernel(void **state)
{
        static const struct schema_pair states[] = {{"Charging", "1"}, {"Discharging", "0"}};
        struct sysfs_reading_conf c = {.file = "class/power_supply/BAT0/status", .convert = {CONVERT_TEXT, .scale = 1}};
        struct reading r;
        const char *why;

        assert_int_equal(decode(&c, "Charging\n", &r, &why), SYSFS_VALUE);
        assert_true(r.type == READING_TEXT && r.len == 8 && memcmp(r.v.text, "Charging", 8) == 0);
        assert_int_equal(decode(&c, "\xff\n", &r, &why), SYSFS_GARBAGE);
        c.convert = (struct convert_conf){CONVERT_NUMBER, .scale = 1, .map = {(void *)(uintptr_t)states, 2}};
        assert_int_equal(decode(&c, "Discharging\n", &r, &why), SYSFS_VALUE);
        assert_true(r.type == READING_F64 && r.v.f64 == 0);
        assert_int_equal(decode(&c, "Full\n", &r, &why), SYSFS_GARBAGE);
}

static void what_no_sensor_measures_is_out_of_range(void **state)
{
        static const char *const range[] = {"-40", "125"};
        struct sysfs_reading_conf c = {
                .file = "temp", .convert = {CONVERT_NUMBER, .scale = 0.001, .range = {(void *)(uintptr_t)range, 2}}};
        struct reading r;
        const char *why;

        assert_int_equal(decode(&c, "125000\n", &r, &why), SYSFS_VALUE);
        assert_int_equal(decode(&c, "4095875\n", &r, &why), SYSFS_ERROR);
        assert_int_equal(r.quality, QUALITY_BAD_OUT_OF_RANGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(numbers),
                cmocka_unit_test(not_a_number_is_bad),
                cmocka_unit_test(a_counter_beyond_the_doubles_stays_exact),
                cmocka_unit_test(what_is_beyond_all_numbers_is_out_of_range),
                cmocka_unit_test(thermometers),
                cmocka_unit_test(eighty_five_is_a_number_elsewhere),
                cmocka_unit_test(words_of_the_kernel),
                cmocka_unit_test(what_no_sensor_measures_is_out_of_range),
                cmocka_unit_test(errors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
