/*
 * zone: what a local time is in UTC.
 *
 * An offset (+01:00), or a name of the system's time zones (Europe/Berlin),
 * whose file is read once, at start.  Lookups are pure; any thread.
 */
#ifndef MILLRACE_DRIVERS_PAYLOAD_ZONE_H
#define MILLRACE_DRIVERS_PAYLOAD_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

struct payload_zone {
        int64_t *from; /* seconds UTC from which on offset[i + 1] counts, ascending */
        int32_t *offset;
        size_t n; /* of `from`; offset has one more: before the first */
};

/* 0, or -1 with a sentence. */
int payload_zone_init(struct payload_zone *z, const char *name, struct err *e);
/* The same of a file's bytes. NULL, or why it can't be read. */
const char *payload_zone_read(struct payload_zone *z, const unsigned char *file, size_t len);
void payload_zone_fini(struct payload_zone *z);

enum { PAYLOAD_ZONE_E_TWICE = 1, PAYLOAD_ZONE_E_NEVER = 2 };

/*
 * Seconds of the local clock -> seconds UTC.  0; or the clock showed that time
 * twice: *utc is the earlier, *later the other; or never, as it was set
 * forward: *utc is what a clock that was not set would mean.
 */
int payload_zone_utc(const struct payload_zone *z, int64_t local, int64_t *utc, int64_t *later);

#endif
