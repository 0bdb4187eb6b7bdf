/*
 * nmea: what is in an NMEA 0183 sentence whose checksum has been found right.
 * Pure, no allocation; any thread.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_NMEA_H
#define MILLRACE_DRIVERS_SERIAL_NMEA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/text.h"

enum { NMEA_FIELDS_MAX = 64 };

/*
 * Borrows the sentence. Field 0 is the address (GPGGA), field 1 what follows
 * the first comma.
 */
struct nmea {
        const char *field[NMEA_FIELDS_MAX];
        size_t len[NMEA_FIELDS_MAX];
        size_t n; /* fields behind the last are not kept */
};

void nmea_split(struct nmea *s, const void *bytes, size_t len);

/* `name` is GGA for any talker, or the whole address: GPGGA, PGRME. */
bool nmea_is(const struct nmea *s, const char *name);

/*
 * What the sentence itself says about field i: void (no fix, a warning, a
 * simulator), doubtful (estimated, typed in by hand).  What says so is sound.
 */
enum nmea_trust { NMEA_SOUND, NMEA_DOUBTFUL, NMEA_VOID };
enum nmea_trust nmea_trust(const struct nmea *s, size_t i);

/*
 * (d)ddmm.mmm in field i, N S E W in the field behind -> degrees. False: not a
 * position, or empty.
 */
bool nmea_degrees(const struct nmea *s, size_t i, bool is_latitude, double *degrees);

/* Date and time of RMC and ZDA, UTC. */
bool nmea_has_date(const struct nmea *s);
bool nmea_date_time(const struct nmea *s, int64_t *us);

/* hhmmss(.sss) in field i -> 10:59:01.5; the length, 0: not a time. */
size_t nmea_put_clock(char out[TEXT_TIME_MAX], const struct nmea *s, size_t i);

#endif
