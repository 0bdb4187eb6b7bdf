/*
 * moment: see moment.h.
 *
 * Only seconds since 1970 are UTC; a clock with years and months shows the
 * plant's time, and which that is the slave does not say: its text has no zone.
 *
 * Fails: never; a month 13 is no time.
 */
#include "drivers/modbus/moment.h"

#include <stdio.h>
#include <time.h>

struct moment {
        unsigned year, month, day, hour, minute, second;
};

static bool is_moment(const struct moment *m)
{
        static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (m->year % 4 == 0 && m->year % 100 != 0) || m->year % 400 == 0;

        return m->year >= 1970 && m->year <= 9999 && m->month >= 1 && m->month <= 12 && m->day >= 1 &&
               m->day <= days[m->month - 1] + (unsigned)(m->month == 2 && leap) && m->hour < 24 && m->minute < 60 &&
               m->second < 60;
}

static size_t put(char *out, const struct moment *m, const char *behind)
{
        if (!is_moment(m))
                return 0;
        return (size_t)snprintf(out, MODBUS_TIME_ROOM, "%04u-%02u-%02uT%02u:%02u:%02u%.6s", m->year, m->month, m->day,
                                m->hour, m->minute, m->second, behind);
}

static unsigned word(const uint8_t *p)
{
        return (unsigned)p[0] << 8 | p[1];
}

static size_t put_unix(char *out, uint64_t s)
{
        time_t at = (time_t)s;
        struct tm tm;

        if (s > 253402300799u || (uint64_t)at != s || !gmtime_r(&at, &tm))
                return 0;
        return put(out,
                   &(struct moment){(unsigned)tm.tm_year + 1900, (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday,
                                    (unsigned)tm.tm_hour, (unsigned)tm.tm_min, (unsigned)tm.tm_sec},
                   "Z");
}

/* Four registers of IEC 60870-5-4; the bits that are not told here are flags and the day of the week. */
static size_t put_iec(char *out, const uint8_t *p)
{
        unsigned ms = word(p + 6);
        char fraction[8];

        snprintf(fraction, sizeof(fraction), ".%03u", ms % 1000);
        return put(out,
                   &(struct moment){2000 + (p[1] & 0x7fu), p[2] & 0x0fu, p[3] & 0x1fu, p[4] & 0x1fu, p[5] & 0x3fu,
                                    ms / 1000},
                   fraction);
}

size_t modbus_put_moment(char *out, enum modbus_type type, const uint8_t *p)
{
        uint64_t high = (uint64_t)word(p) << 16 | word(p + 2);

        switch (type) {
        case MODBUS_UNIX32:
                return put_unix(out, high);
        case MODBUS_UNIX64:
                return put_unix(out, high << 32 | (uint64_t)word(p + 4) << 16 | word(p + 6));
        case MODBUS_DATETIME3:
                return put(out, &(struct moment){2000u + p[0], p[1], p[2], p[3], p[4], p[5]}, "");
        case MODBUS_DATETIME4:
                return put_iec(out, p);
        case MODBUS_DATETIME6:
                return put(out,
                           &(struct moment){word(p) < 100 ? 2000 + word(p) : word(p), word(p + 2), word(p + 4),
                                            word(p + 6), word(p + 8), word(p + 10)},
                           "");
        default:
                return 0;
        }
}
