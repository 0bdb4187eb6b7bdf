/*
 * source_time: when a time that came with the payload is believed.  Pure.
 *
 * It needs a zone, a date of 2020 or later, and be at most a minute ahead of
 * us; else the arrival stands and the reading is uncertain.
 */
#ifndef MILLRACE_DRIVERS_SOURCE_TIME_H
#define MILLRACE_DRIVERS_SOURCE_TIME_H

#include "agent/base/reading.h"

/* `r` has its arrival time in both places. */
static inline void source_time_set(struct reading *r, int64_t us, bool has_zone)
{
        static const int64_t year_2020_us = INT64_C(1577836800000000), ahead_us = 60000000;

        if (has_zone && us >= year_2020_us && us - r->arrival_us <= ahead_us) {
                r->ts_us = us;
                r->flags |= READING_SOURCE_TIME;
                return;
        }
        r->flags |= READING_TIME_UNTRUSTED;
        if (r->quality == QUALITY_GOOD)
                r->quality = QUALITY_UNCERTAIN;
}

#endif
