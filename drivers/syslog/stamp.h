/*
 * stamp: the times that stand in front of messages of the older kind.  Pure, no
 * allocation; any thread.
 */
#ifndef MILLRACE_DRIVERS_SYSLOG_STAMP_H
#define MILLRACE_DRIVERS_SYSLOG_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct syslog_stamp {
        bool has_zone;   /* with it and a year: time_us is the time */
        int64_t time_us; /* else 0 */
};

/*
 * How many bytes of `p` are a time; 0: it begins with none.  A : that ends it
 * is left, what tells how good its clock is (* or . in front) is taken.
 */
size_t syslog_stamp_take(const char *p, size_t len, struct syslog_stamp *out);

#endif
