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

/* Published layouts of NMEA 0183. */
static void what_a_sentence_says_of_itself(void **state)
{
        static const struct {
                const char *sentence;
                size_t field;
                enum nmea_trust trust;
        } rows[] = {
                {"WIMWV,214.8,R,0.1,K,A", 1, NMEA_SOUND},
                {"WIMWV,214.8,R,0.1,K,V", 1, NMEA_VOID},
                {"WIMWV,214.8,R,0.1,K,V", 3, NMEA_VOID},
                {"WIMWV,214.8,R,0.1,K,V", 5, NMEA_SOUND}, /* it tells */
                {"IIMWV,214.8,R,0.1,K,", 1, NMEA_SOUND},
                {"GPRMC,1,V,2", 1, NMEA_VOID},
                {"GPRMC,1,A,2", 1, NMEA_SOUND},
                {"GPRMC,1,A,2,N,3,E,4,5,6,7,E,N", 7, NMEA_VOID},
                {"GPRMC,1,A,2,N,3,E,4,5,6,7,E,D", 7, NMEA_SOUND},
                {"GPRMC,1,A,2,N,3,E,4,5,6,7,E,R,V", 7, NMEA_SOUND}, /* its safety is not worked out */
                {"GPRMC,1,A,2,N,3,E,4,5,6,7,E,A,U", 7, NMEA_DOUBTFUL},
                {"GPRMC,1,A,2,N,3,E,4,5,6,7,E,E", 7, NMEA_DOUBTFUL},
                {"GPRMC,1,A,2,N,3,E,4,5,6,7,E,M", 7, NMEA_DOUBTFUL},
                {"GPRMC,1,A,2,N,3,E,4,5,6,7,E,S", 7, NMEA_VOID},
                {"GNGLL,1,N,2,E,3,V", 1, NMEA_VOID},
                {"GNGLL,1,N,2,E,3,V", 6, NMEA_SOUND},
                {"GNGLL,1,N,2,E,3,A,N", 1, NMEA_VOID},
                {"GPGGA,1,2,N,3,E,0,0", 2, NMEA_VOID},
                {"GPGGA,1,2,N,3,E,0,0", 6, NMEA_SOUND},
                {"GPGGA,1,2,N,3,E,1,0", 2, NMEA_SOUND},
                {"GPGGA,1,2,N,3,E,5,0", 2, NMEA_SOUND},
                {"GPGGA,1,2,N,3,E,6,0", 2, NMEA_DOUBTFUL},
                {"GPGGA,1,2,N,3,E,8,0", 2, NMEA_VOID},
                {"GPGGA,1,2,N,3,E,,0", 2, NMEA_SOUND},
                {"GNGNS,1,2,N,3,E,NNN,00", 2, NMEA_VOID},
                {"GNGNS,1,2,N,3,E,NAN,06", 2, NMEA_SOUND},
                {"GNGNS,1,2,N,3,E,NE,06", 2, NMEA_DOUBTFUL},
                {"GPGSA,A,1,,,,,,,,,,,,,99,99,99", 15, NMEA_VOID},
                {"GPGSA,A,3,,,,,,,,,,,,,1,1,1", 15, NMEA_SOUND},
                {"GPVTG,1,T,2,M,3,N,4,K,N", 7, NMEA_VOID},
                {"GPVTG,1,T,2,M,3,N,4,K,A", 7, NMEA_SOUND},
                {"GPVTG,1,T,2,M,3,N,4,K", 7, NMEA_SOUND},
                {"GPAPB,A,V,0.1,R,N,V,V,1,M,D,2,M,3,M", 3, NMEA_VOID},
                {"GPAPB,A,A,0.1,R,N,V,V,1,M,D,2,M,3,M", 3, NMEA_SOUND}, /* 6 and 7: not arrived yet */
                {"GPXTE,V,A,0.67,L,N", 3, NMEA_VOID},
                {"GPRMB,V,,,,,,,,,,,,A", 10, NMEA_VOID},
                {"GPBWC,1,2,N,3,E,4,T,5,M,6,N,W,N", 10, NMEA_VOID},
                {"TIROT,3.5,V", 1, NMEA_VOID},
                {"IIRPM,E,1,1200.0,10.0,V", 3, NMEA_VOID},
                {"AGRSA,10.5,A,,V", 1, NMEA_SOUND},
                {"AGRSA,10.5,V,3.0,A", 1, NMEA_VOID},
                {"AGRSA,10.5,V,3.0,A", 3, NMEA_SOUND},
                {"VMVBW,1,2,A,3,4,V,5,A,6,V", 2, NMEA_SOUND},
                {"VMVBW,1,2,A,3,4,V,5,A,6,V", 4, NMEA_VOID},
                {"VMVBW,1,2,A,3,4,V,5,A,6,V", 9, NMEA_VOID},
                {"HETHS,77.5,V", 1, NMEA_VOID},
                {"HETHS,77.5,A", 1, NMEA_SOUND},
                {"HETHS,77.5,E", 1, NMEA_DOUBTFUL},
                {"RATTM,1,2,3,T,4,5,T,6,7,N,b,L,,1,A", 2, NMEA_VOID},
                {"RATTM,1,2,3,T,4,5,T,6,7,N,b,Q,,1,A", 2, NMEA_DOUBTFUL},
                {"RATLL,1,2,N,3,E,n,4,L,R", 2, NMEA_VOID},
                {"VDCUR,V,0,1,2.0", 3, NMEA_VOID},
                {"GPWCV,2.3,N,W,N", 1, NMEA_VOID},
                {"HCHDG,101.1,,,7.1,W", 1, NMEA_SOUND},
                {"GPAAM,V,V,0.1,N,W", 3, NMEA_SOUND}, /* not arrived */
                {"PMWV,1,R,2,K,V", 1, NMEA_SOUND},    /* somebody's own */
        };

        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct nmea s = split(rows[i].sentence);

                if (nmea_trust(&s, rows[i].field) != rows[i].trust)
                        fail_msg("%s, %zu", rows[i].sentence, rows[i].field);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fields), cmocka_unit_test(addresses), cmocka_unit_test(positions),
                cmocka_unit_test(times),  cmocka_unit_test(clocks),    cmocka_unit_test(what_a_sentence_says_of_itself),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
