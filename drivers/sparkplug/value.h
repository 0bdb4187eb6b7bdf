/*
 * value: what one metric says -> type, quality and value of a reading.
 *
 * Pure.  Text and bytes are borrowed from the unpacked message.
 */
#ifndef MILLRACE_DRIVERS_SPARKPLUG_VALUE_H
#define MILLRACE_DRIVERS_SPARKPLUG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/reading.h"
#include "sparkplug_b.pb-c.h"

/* The specification's numbers. */
enum sparkplug_type {
        SPARKPLUG_UNKNOWN = 0,
        SPARKPLUG_INT8 = 1,
        SPARKPLUG_INT16,
        SPARKPLUG_INT32,
        SPARKPLUG_INT64,
        SPARKPLUG_UINT8,
        SPARKPLUG_UINT16,
        SPARKPLUG_UINT32,
        SPARKPLUG_UINT64,
        SPARKPLUG_FLOAT,
        SPARKPLUG_DOUBLE,
        SPARKPLUG_BOOLEAN,
        SPARKPLUG_STRING,
        SPARKPLUG_DATETIME,
        SPARKPLUG_TEXT,
        SPARKPLUG_UUID,
        SPARKPLUG_DATASET,
        SPARKPLUG_BYTES,
        SPARKPLUG_FILE,
        SPARKPLUG_TEMPLATE,
        SPARKPLUG_PROPERTY_SET,
        SPARKPLUG_PROPERTY_SET_LIST,
        SPARKPLUG_INT8_ARRAY,
        SPARKPLUG_DATETIME_ARRAY = 34,
};

bool sparkplug_type_supported(uint32_t type);
const char *sparkplug_type_name(uint32_t type); /* of one that is not supported */

/*
 * Sets type, quality and value. NULL; or what is wrong with the metric, which
 * is then bad: config or out_of_range.
 */
const char *sparkplug_value(const Spb__Metric *m, uint32_t type, struct reading *r);

/* The property of that name, or NULL. */
const Spb__PropertyValue *sparkplug_property(const Spb__Metric *m, const char *name);

/* OPC DA codes, and those above 255 that are in use beside them. */
enum quality sparkplug_quality(uint32_t code);

#endif
