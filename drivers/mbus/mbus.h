/*
 * mbus: meters on a wired M-Bus (EN 13757-2 and -3), over a level converter on
 * a serial port or behind a device server.
 *
 * A driver instance is one bus and its meters, which are asked one after the
 * other each period.  Only reading: nothing is written to a meter but what
 * selects it and starts a readout.
 *
 *   conf     tables of the section            record   user data -> records
 *   frame    bytes <-> telegrams              vif      what a record is about
 *   bus      whose turn it is, and retries    value    a record -> a reading
 *   mbus     the bytes' way in and out
 * All but the last are pure: time is an argument.
 */
#ifndef MILLRACE_DRIVERS_MBUS_MBUS_H
#define MILLRACE_DRIVERS_MBUS_MBUS_H

#include "agent/base/convert.h"
#include "drivers/driver.h"

enum { MBUS_DEVICES_MAX = 250, MBUS_READINGS_MAX = 64, MBUS_RECORDS_MAX = 1000, MBUS_PRIMARY_MAX = 250 };

/* What a record is about. */
enum mbus_quantity {
        MBUS_ANY, /* of a reading: not said; of a record: none of these */
        MBUS_ENERGY,
        MBUS_VOLUME,
        MBUS_MASS,
        MBUS_POWER,
        MBUS_FLOW,
        MBUS_MASS_FLOW,
        MBUS_FLOW_TEMPERATURE,
        MBUS_RETURN_TEMPERATURE,
        MBUS_TEMPERATURE_DIFFERENCE,
        MBUS_TEMPERATURE,
        MBUS_PRESSURE,
        MBUS_HUMIDITY,
        MBUS_VOLTAGE,
        MBUS_CURRENT,
        MBUS_FREQUENCY,
        MBUS_ON_TIME,
        MBUS_OPERATING_TIME,
        MBUS_DATE,
        MBUS_ALLOCATION,
        MBUS_COUNT,
        MBUS_SERIAL_NUMBER,
        MBUS_ERROR_FLAGS,
        MBUS_DIGITAL_INPUT,
        MBUS_DIGITAL_OUTPUT,
};
enum mbus_function { MBUS_INSTANT, MBUS_MAXIMUM, MBUS_MINIMUM, MBUS_IN_ERROR };

struct mbus_reading_conf {
        struct schema_at at;
        const char *tag, *unit;
        int64_t record;                   /* its number, 0 is the first; -1: by what it is about: */
        int quantity, function;           /* enum mbus_quantity, enum mbus_function */
        int64_t storage, tariff, subunit; /* of it */
        int type;                         /* enum convert_type */
        struct convert_conf convert;
};

struct mbus_device_conf {
        struct schema_at at;
        const char *source;
        int64_t primary;                      /* -1: by its number: */
        const char *secondary, *manufacturer; /* eight digits or F; three letters */
        int64_t version, medium;              /* -1: any */
        struct schema_list readings;          /* struct mbus_reading_conf */
};

struct mbus_conf {
        struct schema_at at;
        const char *name, *port;
        int64_t baud, data_bits, stop_bits;
        int parity;
        int64_t period_us, timeout_us, retries;
        struct schema_list devices; /* struct mbus_device_conf */
};

extern const char *const mbus_quantities[];

/* "KAM" -> 0x2C2D; -1: not three letters. */
int mbus_manufacturer(const char *letters);

void mbus_names(const void *conf, struct driver_names *to);

extern const struct schema mbus_schema;
extern const struct driver_ops mbus_ops;

#endif
