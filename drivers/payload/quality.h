/*
 * quality: a payload's word, number or flag for how good a value is.  Pure; any
 * thread.
 */
#ifndef MILLRACE_DRIVERS_PAYLOAD_QUALITY_H
#define MILLRACE_DRIVERS_PAYLOAD_QUALITY_H

#include "agent/base/json_scan.h"
#include "agent/base/reading.h"
#include "agent/base/schema.h"

struct payload_quality_conf {
        const char *value;                  /* pointer; NULL: the payload says none */
        struct schema_list good, uncertain; /* const char *: words, numbers, true, false */
};

extern const struct schema payload_quality_schema;

/*
 * What is not there is good: who says a quality mostly says it when it is not.
 */
enum quality payload_quality_of(const struct payload_quality_conf *c, const struct json_value *v);

#endif
