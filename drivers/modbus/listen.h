/*
 * listen: a bus that has a master already: its talk becomes the readings of the
 * same devices and profiles, and nothing is ever sent.  The operations of a
 * `modbus:` item with `listen: true`.  Loop thread.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_LISTEN_H
#define MILLRACE_DRIVERS_MODBUS_LISTEN_H

#include "drivers/driver.h"

void modbus_listen_init(struct driver *d);
void modbus_listen_start(struct driver *d);
void modbus_listen_stop(struct driver *d);
void modbus_listen_fini(struct driver *d);

#endif
