/*
 * reading: one value of one tag at one time, as it crosses every boundary of
 * the house.
 *
 * A value type, copied.  Text and raw bytes are borrowed for the call that
 * carries the reading.  Times are UTC microseconds since 1970 (what the spool
 * and the record hold; no source we know is finer).
 */
#ifndef MILLRACE_BASE_READING_H
#define MILLRACE_BASE_READING_H

#include <stdbool.h>
#include <stdint.h>

enum reading_type {
        READING_NONE = 0, /* no value: quality is bad */
        READING_F64 = 1,
        READING_I64 = 2,
        READING_BOOL = 3,
        READING_TEXT = 4, /* valid UTF-8 */
        READING_RAW = 5,
};

/* Stored in the spool: numbers never change. */
enum quality {
        QUALITY_GOOD = 0,
        QUALITY_UNCERTAIN = 1,
        QUALITY_BAD = 2, /* first of the bad ones: no reason known */
        QUALITY_BAD_COMM_FAILURE = 3,
        QUALITY_BAD_NOT_CONNECTED = 4,
        QUALITY_BAD_STALE = 5,
        QUALITY_BAD_OUT_OF_RANGE = 6,
        QUALITY_BAD_CONFIG = 7,
        QUALITY_BAD_SENSOR = 8,
        N_QUALITIES
};

/* Stored in the spool: bits never change meaning. */
enum reading_flag {
        READING_SOURCE_TIME = 1,    /* ts_us came with the payload; arrival_us is the gateway's */
        READING_CLOCK_UNSYNCED = 2, /* the system clock was not synchronised */
        READING_TIME_UNTRUSTED = 4, /* the payload's time was not believed: ts_us is the arrival */
        READING_TIME_MOVED = 8,     /* ts_us was moved behind the tag's previous reading by more than a tie */
        READING_HISTORICAL = 16,    /* the source says so: it keeps its own time */
        READING_TIME_REPAIRED = 32, /* shifted after the clock stepped */
        READING_AGGREGATE = 64,     /* stands for several thinned readings */
        READING_RETAINED = 128,     /* the broker's retained message, not a live one */
        READING_TIME_BACK = 256,    /* ts_us is before that of the tag's previous reading: a clock was set back */
        READING_TEST = 512,         /* sent by hand: `millrace send` */
};

struct reading {
        int64_t ts_us;
        int64_t arrival_us;
        uint32_t tag; /* index in struct tags */
        uint16_t type;
        uint16_t quality;
        uint16_t flags;
        uint16_t mid; /* MQTT packet id it came in, 0: none; lets a redelivery after a crash be recognised */
        uint32_t len; /* of text or raw */
        union {
                double f64;
                int64_t i64;
                bool b;
                const char *text; /* not terminated */
        } v;
};

static inline bool quality_is_bad(unsigned quality)
{
        return quality >= QUALITY_BAD;
}

const char *quality_name(unsigned quality);   /* good, uncertain, bad */
const char *quality_reason(unsigned quality); /* comm_failure, …; NULL when there is none */

#endif
