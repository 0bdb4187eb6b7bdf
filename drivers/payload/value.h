/*
 * value: what was found -> the value of a reading.  Pure; loop thread.
 *
 * Texts point into what was found; escaped ones must have been unescaped.
 */
#ifndef MILLRACE_DRIVERS_PAYLOAD_VALUE_H
#define MILLRACE_DRIVERS_PAYLOAD_VALUE_H

#include "agent/base/json_scan.h"
#include "agent/base/reading.h"

/*
 * The type and value of a number's text, known to be one. NULL, or why it can't
 * be held.
 */
const char *payload_set_numeral(struct reading *r, const char *s, size_t len);
/* Of a value of any kind that is there. NULL, or why it can't be held. */
const char *payload_set_value(struct reading *r, const struct json_value *v);

void payload_set_bad(struct reading *r, enum quality quality);
void payload_set_text(struct reading *r, const char *s, size_t len);

#endif
