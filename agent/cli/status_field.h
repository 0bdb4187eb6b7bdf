/*
 * status_field: one value of the status object as people read it.  The object
 * comes from outside: a key that is missing, null or of another type is shown
 * as "-".  Pure.
 */
#ifndef MILLRACE_CLI_STATUS_FIELD_H
#define MILLRACE_CLI_STATUS_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { FIELD = 1024 };

struct field {
        char s[FIELD];
};

bool field_is_number(const json_t *object, const char *key);
double field_number(const json_t *object, const char *key);
uint64_t field_n(const json_t *object, const char *key);       /* 0 when it is no count */
const char *field_text(const json_t *object, const char *key); /* as it came, not for a terminal */

struct field field_clean(const json_t *object, const char *key);                /* text, harmless */
struct field field_count(const json_t *object, const char *key, bool terminal); /* 1,234,567 on a terminal */
struct field field_size(const json_t *object, const char *key);                 /* 1.2 GiB */
struct field field_span(const json_t *object, const char *key);                 /* seconds: 3h 12m */
struct field field_time(const json_t *object, const char *key, bool utc);       /* as lists show times */
struct field field_odd(const json_t *bus);       /* late 3, crc 12: what came that was no answer; "": nothing */
struct field field_unread(const json_t *driver); /* malformed 18, ignored 2: what came and is no reading; "": none */
struct field field_rate(const json_t *object, const char *key); /* 1000.0/s */

#endif
