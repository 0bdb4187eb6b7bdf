/*
 * NMEA 0183: fields, addresses, positions, times; what is empty or wrong is no value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "drivers/serial/nmea.h"

#define LENGTH(a) (sizeof(a) / sizeof(*(a)))

static struct nmea split(const char *text)
{
        struct nmea s;

        nmea_split(&s, text, strlen(text));
        return s;
}

static void fields(void **state)
{
        struct nmea s = split("GPGGA,1,,3");
        char many[200];

        assert_int_equal(s.n, 4);
        assert_int_equal(s.len[2], 0);
        assert_memory_equal(s.field[3], "3", 1);
        s = split("");
        assert_int_equal(s.n, 1);
        assert_int_equal(s.len[0], 0);
        memset(many, ',', sizeof(many));
        nmea_split(&s, many, sizeof(many));
        assert_int_equal(s.n, NMEA_FIELDS_MAX);
}

static void addresses(void **state)
{
        static const struct {
                const char *sentence, *name;
                bool is;
        } rows[] = {
                {"GPGGA,1", "GGA", true},    {"GNGGA,1", "GGA", true},  {"GPGGA,1", "GPGGA", true},
                {"GNGGA,1", "GPGGA", false}, {"PXGGA,1", "GGA", false}, {"PGRME,1", "PGRME", true},
                {"PGRME,1", "RME", false},   {"GGA,1", "GGA", true},    {"GPRMC,1", "GGA", false},
                {"", "GGA", false},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct nmea s = split(rows[i].sentence);

                assert_int_equal(nmea_is(&s, rows[i].name), rows[i].is);
        }
}

static void positions(void **state)
{
        static const struct {
                const char *sentence;
                bool is_latitude;
                double degrees; /* NaN: none */
        } rows[] = {
                {"X,3842.86006889,N", true, 38 + 42.86006889 / 60},
                {"X,3842.5,S", true, -(38 + 42.5 / 60)},
                {"X,11705.4364,W", false, -(117 + 5.4364 / 60)},
                {"X,00005.5,E", false, 5.5 / 60},
                {"X,0000.0,N", true, 0},
                {"X,9000.0,N", true, 90},
                {"X,18000.0,E", false, 180},
                {"X,3842,N", true, 38.7},
                {"X,3842.,N", true, 38.7},
                {"X,9000.1,N", true, NAN},
                {"X,18000.1,E", false, NAN},
                {"X,3860.0,N", true, NAN},
                {"X,3842.5,E", true, NAN},
                {"X,3842.5,N", false, NAN},
                {"X,3842.5,", true, NAN},
                {"X,3842.5", true, NAN},
                {"X,,N", true, NAN},
                {"X,42.5,N", true, NAN},
                {"X,384x.5,N", true, NAN},
                {"X,3842.5x,N", true, NAN},
                {"X,-842.5,N", true, NAN},
                {"X,1113842.5,E", false, NAN},
                {"X,384.2.5,N", true, NAN},
                {"X,.5,N", true, NAN},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct nmea s = split(rows[i].sentence);
                double degrees = 7;

                assert_int_equal(nmea_degrees(&s, 1, rows[i].is_latitude, &degrees), !isnan(rows[i].degrees));
                if (!isnan(rows[i].degrees))
                        assert_true(degrees == rows[i].degrees);
        }
}

static void times(void **state)
{
        static const struct {
                const char *sentence;
                int64_t us; /* -1: none */
        } rows[] = {
                {"GPRMC,113938.50,A,,,,,,,231122", 1669203578500000},
                {"GPRMC,000000,A,,,,,,,010120", 1577836800000000},
                {"GPRMC,000000,A,,,,,,,010180", 315532800000000},
                {"GPZDA,193223.00,23,12,2007,00,00", 1198438343000000},
                {"GPZDA,235960.00,31,12,2016,00,00", 1483228800000000},
                {"GPRMC,,V,,,,,,,", -1},
                {"GPRMC,113938.50,A,,,,,,,", -1},
                {"GPRMC,113938.50,A,,,,,,,321122", -1},
                {"GPRMC,243938.50,A,,,,,,,231122", -1},
                {"GPRMC,113938.50,A", -1},
                {"GPZDA,193223.00,23,12", -1},
                {"GPGGA,193223.00,23,12,2007", -1},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct nmea s = split(rows[i].sentence);
                int64_t us = -1;

                assert_int_equal(nmea_date_time(&s, &us), rows[i].us >= 0);
                if (rows[i].us >= 0)
                        assert_int_equal(us, rows[i].us);
        }
}

static void clocks(void **state)
{
        static const struct {
                const char *sentence, *clock;
        } rows[] = {{"X,113938", "11:39:38"},
                    {"X,113938.50", "11:39:38.50"},
                    {"X,113938.", "11:39:38"},
                    {"X,11393", ""},
                    {"X,116038", ""},
                    {"X,11393a", ""},
                    {"X", ""},
                    {"X,113938x5", ""},
                    {"X,113938.123456789012345", "11:39:38.123456789"}};
        char out[TEXT_TIME_MAX];

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct nmea s = split(rows[i].sentence);
                size_t n = nmea_put_clock(out, &s, 1);

                assert_int_equal(n, strlen(rows[i].clock));
                assert_memory_equal(out, rows[i].clock, n);
        }
}

static void doubts(void **state)
{
        static const struct {
                const char *sentence;
                bool is_void;
        } rows[] = {
                {"GPRMC,1,V", true},         {"GPRMC,1,A", false},         {"GPGLL,1,2,3,4,5,V", true},
                {"GPGGA,1,2,3,4,5,0", true}, {"GPGGA,1,2,3,4,5,1", false}, {"GPGGA,1,2,3,4,5,", false},
                {"GPGSA,1,V", false},
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct nmea s = split(rows[i].sentence);

                assert_int_equal(nmea_is_void(&s), rows[i].is_void);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fields), cmocka_unit_test(addresses), cmocka_unit_test(positions),
                cmocka_unit_test(times),  cmocka_unit_test(clocks),    cmocka_unit_test(doubts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
