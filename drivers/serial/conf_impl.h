/*
 * conf_impl: what the rooms of the configuration share.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_CONF_IMPL_H
#define MILLRACE_DRIVERS_SERIAL_CONF_IMPL_H

#include "drivers/serial/serial.h"

static inline int conf_fault(const char **key, const char *which, struct err *e, const char *what)
{
        *key = which;
        return err_set(e, "%s", what);
}

extern const struct schema serial_reading_schema, serial_binary_schema, serial_line_sum_schema;
extern const char *const serial_orders[];

int conf_check_readings(const struct serial_conf *c, const char **key, struct err *e);

#endif
