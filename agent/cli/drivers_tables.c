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
#include "drivers/driver.h"
#include "drivers/list.h"

#define TABLE(k)                                \
        extern const struct schema k##_schema;  \
        extern const struct driver_ops k##_ops; \
        const struct driver_ops k##_ops = {.kind = #k, .schema = &k##_schema};
DRIVERS_EACH(TABLE)
