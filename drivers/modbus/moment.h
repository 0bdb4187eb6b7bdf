/*
 * moment: times as slaves hold them -> text.  Pure, any thread.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_MOMENT_H
#define MILLRACE_DRIVERS_MODBUS_MOMENT_H

#include "drivers/modbus/decode.h"

/*
 * ISO 8601, with Z where the type says that it is UTC; `bytes` in network
 * order, `out` has MODBUS_TIME_ROOM.  0: this is no time.
 */
size_t modbus_put_moment(char *out, enum modbus_type type, const uint8_t *bytes);

#endif
