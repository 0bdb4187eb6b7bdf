/*
 * drivers: see drivers.h.  Why a table and no registration at start: the
 * configuration, the manual and the host read the same list before anything
 * runs, and a kind that is not linked can't be configured by mistake.  A row
 * can't fail.
 */
#include "agent/drivers.h"

#include "drivers/modbus/modbus.h"
#include "drivers/mqtt/mqtt.h"
#include "drivers/serial/serial.h"
#include "drivers/sim/sim.h"
#include "drivers/syslog/syslog.h"

const struct driver_ops *const drivers_known[DRIVERS_MAX + 1] = {
        &mqtt_ops, &sim_ops, &modbus_ops, &serial_ops, &syslog_ops,
};
