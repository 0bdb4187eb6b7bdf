/*
 * drivers: which kinds of drivers there are.  Adding one is a row in drivers.c.
 */
#ifndef MILLRACE_AGENT_DRIVERS_H
#define MILLRACE_AGENT_DRIVERS_H

#include "drivers/driver.h"

enum { DRIVERS_MAX = 8 };

extern const struct driver_ops *const drivers_known[DRIVERS_MAX + 1]; /* NULL-ended */

#endif
