/*
 * drivers_tables: the drivers as the command-line tool knows them: their
 * sections of the configuration, and nothing that runs.
 *
 * Why: `millrace` reads configurations and so needs every driver's table, but
 * never starts a driver.  These definitions stand before the libraries in the
 * program's link, so the drivers' own (and all the I/O that hangs on them) stay
 * out of it: 90 KB of a package that goes over a cellular line.  Fails at link
 * time, with a symbol that is defined twice, should the tool ever need
 * something of a driver's I/O.
 */
#include "drivers/modbus/modbus.h"
#include "drivers/mqtt/mqtt.h"
#include "drivers/serial/serial.h"
#include "drivers/sim/sim.h"
#include "drivers/syslog/syslog.h"

const struct driver_ops mqtt_ops = {.kind = "mqtt", .schema = &mqtt_schema};
const struct driver_ops sim_ops = {.kind = "sim", .schema = &sim_schema};
const struct driver_ops modbus_ops = {.kind = "modbus", .schema = &modbus_schema};
const struct driver_ops serial_ops = {.kind = "serial", .schema = &serial_schema};
const struct driver_ops syslog_ops = {.kind = "syslog", .schema = &syslog_schema};
