/*
 * time: how the time in a payload is written.  Pure but for init, which may
 * read a time zone; any thread.
 */
#ifndef MILLRACE_DRIVERS_PAYLOAD_TIME_H
#define MILLRACE_DRIVERS_PAYLOAD_TIME_H

#include <stdbool.h>

#include "agent/base/json_scan.h"
#include "agent/base/reading.h"
#include "drivers/payload/zone.h"

enum payload_time_format {
        PAYLOAD_UNIX_S,
        PAYLOAD_UNIX_MS,
        PAYLOAD_UNIX_US,
        PAYLOAD_ISO8601,
        PAYLOAD_UNIX_NS,
        PAYLOAD_PATTERN
};

struct payload_time {
        int format;
        const char *pattern; /* of strptime, and %f for a fraction */
        bool pattern_has_zone, has_zone;
        struct payload_zone zone; /* of times that say none */
};

/* `pattern`, `zone`: NULL for none. 0, or -1 with *key and a sentence. */
int payload_time_init(struct payload_time *t, int format, const char *pattern, const char *zone, const char **key,
                      struct err *e);
void payload_time_fini(struct payload_time *t);

/*
 * ts_us, flags and quality of a reading that has its arrival in both times.  A
 * value that is not there or null changes nothing.
 */
void payload_time_set(const struct payload_time *t, const struct json_value *v, struct reading *r);

/*
 * ISO 8601: a date of any of its forms, T or a blank, a time of day of any, and
 * a zone or none.  *us is as in UTC when there is none.
 */
bool payload_iso8601(const char *s, size_t len, int64_t *us, bool *has_zone);

#endif
