/*
 * hours: what readings may use of the line at which time of the day
 * (`kafka.hours:`).  Pure, but for the time zone of the process, which is the
 * gateway's; any thread.
 */
#ifndef MILLRACE_UPLINK_HOURS_H
#define MILLRACE_UPLINK_HOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/schema.h"

struct err;

struct hours_conf {
        struct schema_at at;
        const char *from, *to;   /* HH:MM, local time; to: not in it; earlier than from: of the next day */
        struct schema_list days; /* const char *: mon … sun, on which it begins; none: each */
        bool quiet;
        const char *rate_limit;
        int from_min, to_min; /* these from those, by the check */
        unsigned on;          /* bits of days, sunday is the lowest */
        uint64_t bytes_s;
};
extern const struct schema hours_schema;

struct hours_now {
        bool quiet;       /* no readings are sent */
        uint64_t bytes_s; /* else at most so many; 0: no limit */
        int64_t until_us; /* wall clock: until when at least; INT64_MAX: no hours are configured */
};

/* The first of the list that it is counts; none: `usual_bytes_s`. */
void hours_at(const struct schema_list *hours, uint64_t usual_bytes_s, int64_t wall_us, struct hours_now *out);

/* "256KiB/s" -> bytes; 0, or -1 with a sentence. */
int hours_rate(const char *text, uint64_t *bytes_s, struct err *e);

#endif
