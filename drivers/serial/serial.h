/*
 * serial: instruments on a serial line that speak on their own or when asked:
 * lines of text, NMEA 0183 sentences, binary frames.
 *
 *   serial_conf   tables of the section             serial_frame    bytes <-> frames, and back in step after noise
 *   serial_match  regular expressions, bounded      serial_decode   a frame -> readings
 *   nmea          sentences, fields, positions      obis            telegrams of meters
 *   loose         lines that say they are bad       checksum        sums and CRCs
 *   iec           readouts of meters                iec_talk        their way over a port
 *   serial        the port and its bytes
 * All but the last are pure.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_SERIAL_H
#define MILLRACE_DRIVERS_SERIAL_SERIAL_H

#include "agent/base/convert.h"
#include "drivers/driver.h"
#include "drivers/serial/checksum.h"

enum serial_framing { SERIAL_LINE, SERIAL_NMEA0183, SERIAL_BINARY, SERIAL_P1, SERIAL_IEC62056, SERIAL_TOLEDO };
enum serial_type {
        SERIAL_AUTO, /* a number when it is one, else text */
        SERIAL_NUMBER,
        SERIAL_TEXT,
        SERIAL_INTEGER,
        SERIAL_BOOLEAN,
        SERIAL_LATITUDE,
        SERIAL_LONGITUDE,
        SERIAL_TIME,
        SERIAL_INT8,
        SERIAL_UINT8,
        SERIAL_INT16,
        SERIAL_UINT16,
        SERIAL_INT32,
        SERIAL_UINT32,
        SERIAL_INT64,
        SERIAL_UINT64,
        SERIAL_FLOAT32,
        SERIAL_FLOAT64,
        SERIAL_BIT,
};
enum serial_order { SERIAL_BIG, SERIAL_LITTLE };
enum {
        SERIAL_READINGS_MAX = 64,
        SERIAL_FRAME_MAX = 16384,
        SERIAL_MARK_MAX = 8,
        SERIAL_POLL_MAX = 256,
        SERIAL_IGNORE_MAX = 16
};

struct serial_reading_conf {
        struct schema_at at;
        const char *tag, *value, *unit, *sentence;
        int type;                          /* enum serial_type */
        struct convert_conf convert;       /* its type and decimal are not set: serial_convert_conf */
        int64_t field, where, length, bit; /* -1: not said */
        int order;                         /* enum serial_order */
};

struct serial_quality_conf {
        struct schema_at at;
        const char *value;            /* NULL: every line is good */
        struct schema_list good, bad; /* const char * */
};

struct serial_binary_conf {
        struct schema_at at;
        const char *start, *end;                     /* bytes in hexadecimal */
        int64_t length;                              /* -1: there is a length field */
        int64_t length_at, length_size, length_adds; /* length_at -1: there is none */
        int length_order, checksum, checksum_order, checksum_form;
        int64_t checksum_from, checksum_behind;
};

/* Of a line, when it has one. */
struct serial_line_sum_conf {
        struct schema_at at;
        int kind, form, order;
        const char *start, *mark; /* with escapes; NULL: none */
        bool behind_end, with_start, with_end, with_mark;
};

/* A meter that is asked. */
struct serial_iec_conf {
        struct schema_at at;
        const char *address;
        int64_t max_baud; /* 0: the meter's */
};

struct serial_conf {
        struct schema_at at;
        const char *name, *port, *source, *delimiter, *match, *poll;
        int64_t baud, data_bits, stop_bits;
        int parity, rs485, frame, decimal, time;
        uint64_t max_frame;
        int64_t idle_us, period_us, timeout_us;
        struct schema_list ignore; /* const char * */
        struct serial_quality_conf quality;
        struct serial_binary_conf binary;
        struct serial_line_sum_conf checksum;
        struct serial_iec_conf iec;
        const char *zone;            /* of meters in winter: +01:00 */
        struct schema_list readings; /* struct serial_reading_conf */
};

enum { SERIAL_DECIMAL_POINT, SERIAL_DECIMAL_COMMA };
enum { SERIAL_TIME_ARRIVAL, SERIAL_TIME_SENTENCE, SERIAL_TIME_TELEGRAM };

/*
 * Bytes as people write them: \r \n \t \\ \0 and \xHH stand for what they name.
 * The number of bytes, or -1 with a sentence.
 */
int serial_unescape(uint8_t *out, size_t cap, const char *text, struct err *e);
/* "AA 55" or "AA55". Likewise. */
int serial_unhex(uint8_t *out, size_t cap, const char *text, struct err *e);

/* How a reading is converted. */
struct convert_conf serial_convert_conf(const struct serial_conf *c, const struct serial_reading_conf *r);

/* What is not said depends on the framing. */
size_t serial_max_frame(const struct serial_conf *c);

void serial_names(const void *conf, struct driver_names *to);

extern const struct schema serial_schema;
extern const struct driver_ops serial_ops;

#endif
