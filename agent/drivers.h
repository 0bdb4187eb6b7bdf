/*
 * drivers: which kinds of drivers there are, as the configuration, the host and
 * status know them.  The list itself is in drivers/meson.build.
 */
#ifndef MILLRACE_AGENT_DRIVERS_H
#define MILLRACE_AGENT_DRIVERS_H

#include "drivers/driver.h"
#include "drivers/list.h"

#define DRIVERS_ONE_MORE(kind) +1
enum { DRIVERS_KNOWN = 0 DRIVERS_EACH(DRIVERS_ONE_MORE) };
#undef DRIVERS_ONE_MORE

extern const struct driver_ops *const drivers_known[DRIVERS_KNOWN + 1]; /* NULL-ended */

#endif
