/*
 * obis: the text of a meter, as IEC 62056-21 writes it: an address and values
 * in parentheses: 1-0:1.8.1(001581.123*kWh).  Pure, no allocation.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_OBIS_H
#define MILLRACE_DRIVERS_SERIAL_OBIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrows the text. */
struct obis {
        const char *at, *end;
        const char *id; /* address of the last value: also of those in the lines behind it that have none */
        size_t id_len;
        unsigned number;   /* of the value under its address, from 1 */
        const char *value; /* without its parentheses and unit */
        size_t len;
        const char *unit; /* behind the *, or "" */
        size_t unit_len;
};

enum obis_next { OBIS_END, OBIS_VALUE, OBIS_WRONG };

/* `text` is what lies behind the identification. */
void obis_begin(struct obis *o, const char *text, size_t len);
enum obis_next obis_next(struct obis *o);

/* The address as it is, or without its *255, which means "now". */
bool obis_is(const struct obis *o, const char *id);

/*
 * YYMMDDhhmmss, then W in winter or S in summer, of a clock that is winter_us
 * ahead of UTC in winter -> UTC.
 */
bool obis_time(const char *s, size_t len, int64_t winter_us, int64_t *us);

/* "+01:00" -> microseconds. */
bool obis_zone(const char *s, int64_t *us);

#endif
