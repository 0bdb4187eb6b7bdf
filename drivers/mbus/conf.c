/*
 * conf: what one `mbus:` item may hold.
 *
 * Fails with a sentence at the key.
 */
#include <stdio.h>
#include <string.h>

#include "drivers/mbus/mbus.h"
#include "drivers/port.h"

#define MS     1e3
#define SECOND 1e6
#define DAY    86400e6

static const char *const parities[] = {"none", "even", "odd", NULL};
static const char *const functions[] = {"instantaneous", "maximum", "minimum", "error", NULL};
const char *const mbus_quantities[] = {"any",
                                       "energy",
                                       "volume",
                                       "mass",
                                       "power",
                                       "flow",
                                       "mass_flow",
                                       "flow_temperature",
                                       "return_temperature",
                                       "temperature_difference",
                                       "temperature",
                                       "pressure",
                                       "humidity",
                                       "voltage",
                                       "current",
                                       "frequency",
                                       "on_time",
                                       "operating_time",
                                       "date",
                                       "allocation",
                                       "count",
                                       "serial_number",
                                       "error_flags",
                                       "digital_input",
                                       "digital_output",
                                       NULL};

static int fault(const char **key, const char *which, struct err *e, const char *what)
{
        *key = which;
        return err_set(e, "%s", what);
}

int mbus_manufacturer(const char *letters)
{
        int v = 0;

        for (int i = 0; i < 3; i++) {
                if (letters[i] < 'A' || letters[i] > 'Z')
                        return -1;
                v = v << 5 | (letters[i] - 'A' + 1);
        }
        return letters[3] ? -1 : v;
}

/* ---- readings ---- */

static int check_reading(void *obj, const char **key, struct err *e)
{
        const struct mbus_reading_conf *r = obj;
        struct convert_conf how = r->convert;

        if ((r->record < 0) == (r->quantity == MBUS_ANY))
                return fault(key, r->record < 0 ? "quantity" : "record", e,
                             "either record (its number, 0 is the first) or quantity (what it is about)");
        how.type = r->type;
        return convert_check(&how, r->unit, key, e);
}

#define AT(member) offsetof(struct mbus_reading_conf, member)
static const struct schema_key reading_keys[] = {
        {"tag", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(tag), .help = "Name of the tag."},
        {"record", SCHEMA_INT, SCHEMA_MINUS, AT(record), 0, MBUS_RECORDS_MAX - 1,
         .help = "Number of the record, 0 is the first; they are counted over all telegrams of a readout."},
        {"quantity", SCHEMA_CHOICE, 0, AT(quantity), .choices = mbus_quantities, .def = "any",
         .help = "What the record is about, instead of its number; the first that fits."},
        {"function", SCHEMA_CHOICE, 0, AT(function), .choices = functions, .def = "instantaneous",
         .help = "With quantity: the value now, or the highest or lowest."},
        {"storage", SCHEMA_INT, 0, AT(storage), 0, 1e12, .def = "0",
         .help = "With quantity: 0 is now, others are past days."},
        {"tariff", SCHEMA_INT, 0, AT(tariff), 0, 1048575, .def = "0", .help = "With quantity: its tariff."},
        {"subunit", SCHEMA_INT, 0, AT(subunit), 0, 1023, .def = "0", .help = "With quantity: which part of the meter."},
        {"type", SCHEMA_CHOICE, 0, AT(type), .choices = convert_types, .def = "auto",
         .help = "What the value is: number, integer, boolean, text, or auto: as the meter says."},
        CONVERT_KEYS(struct mbus_reading_conf, convert),
        {"unit", SCHEMA_TEXT, 0, AT(unit),
         .help = "Unit, as it is to be recorded; the meter's is brought to it (kWh, MWh, GJ, m3, l, l/h …)."},
        {NULL},
};
#undef AT

static const struct schema reading_schema = {
        .name = "mbus reading",
        .help = "One value of a meter.",
        .keys = reading_keys,
        .size = sizeof(struct mbus_reading_conf),
        .has_at = true,
        .check = check_reading,
};

/* ---- meters ---- */

static int check_device(void *obj, const char **key, struct err *e)
{
        const struct mbus_device_conf *d = obj;

        if ((d->primary < 0) == !d->secondary)
                return fault(key, "address", e,
                             "either address (0 to 250) or secondary (the meter's number, eight digits)");
        if (d->primary >= 0 && (d->manufacturer || d->version >= 0 || d->medium >= 0))
                return fault(key, "secondary", e, "manufacturer, version and medium go with secondary");
        if (d->secondary && (strlen(d->secondary) != 8 || strspn(d->secondary, "0123456789F") != 8))
                return fault(key, "secondary", e, "allowed: eight digits, as \"12345678\"; F stands for any digit");
        if (d->manufacturer && mbus_manufacturer(d->manufacturer) < 0)
                return fault(key, "manufacturer", e, "allowed: three capital letters, as KAM");
        if (!d->readings.n)
                return fault(key, "readings", e, "missing; which records become which tags");
        return d->readings.n <= MBUS_READINGS_MAX ? 0 : fault(key, "readings", e, "more than 64 of one meter");
}

#define AT(member) offsetof(struct mbus_device_conf, member)
static const struct schema_key device_keys[] = {
        {"source", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(source), .help = "Source of its readings."},
        {"address", SCHEMA_INT, SCHEMA_MINUS, AT(primary), 0, MBUS_PRIMARY_MAX,
         .help = "Primary address of the meter."},
        {"secondary", SCHEMA_TEXT, SCHEMA_SCALAR, AT(secondary),
         .help = "Number of the meter, eight digits; F stands for any digit."},
        {"manufacturer", SCHEMA_TEXT, 0, AT(manufacturer), .help = "With secondary: three letters; default: any."},
        {"version", SCHEMA_INT, SCHEMA_MINUS, AT(version), 0, 254, .help = "With secondary; default: any."},
        {"medium", SCHEMA_INT, SCHEMA_MINUS, AT(medium), 0, 254, .help = "With secondary; default: any."},
        {"readings", SCHEMA_LIST, 0, AT(readings), .sub = &reading_schema, .help = "Its values."},
        {NULL},
};
#undef AT

static const struct schema device_schema = {
        .name = "mbus device",
        .help = "One meter of a bus.",
        .keys = device_keys,
        .size = sizeof(struct mbus_device_conf),
        .has_at = true,
        .check = check_device,
};

/* ---- the bus ---- */

static bool is_same(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static int check_twice(const struct mbus_conf *c, const char **key, struct err *e)
{
        const struct mbus_device_conf *d = c->devices.items;

        *key = "devices";
        for (size_t i = 0; i < c->devices.n; i++)
                for (size_t k = 0; k < i; k++)
                        if (d[i].primary == d[k].primary && is_same(d[i].secondary, d[k].secondary) &&
                            is_same(d[i].manufacturer, d[k].manufacturer) && d[i].version == d[k].version &&
                            d[i].medium == d[k].medium)
                                return err_set(e, "%s and %s are the same meter", d[k].source, d[i].source);
        return 0;
}

static int check_bus(void *obj, const char **key, struct err *e)
{
        const struct mbus_conf *c = obj;

        *key = "port";
        if (port_check(c->port, 9600, e) < 0)
                return -1;
        *key = "baud";
        if (port_check(c->port, c->baud, e) < 0)
                return -1;
        if (!c->devices.n)
                return fault(key, "devices", e, "missing; which meters are on the bus");
        if (c->devices.n > MBUS_DEVICES_MAX)
                return fault(key, "devices", e, "more than 250");
        return check_twice(c, key, e);
}

#define AT(member) offsetof(struct mbus_conf, member)
static const struct schema_key bus_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(name),
         .help = "Name of this bus in status, logs and metrics."},
        {"port", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(port),
         .help = "Serial device of the level converter, or tcp://host:port of a device server."},
        {"baud", SCHEMA_INT, 0, AT(baud), 300, 38400, .def = "2400", .help = "Bits per second of the bus."},
        {"parity", SCHEMA_CHOICE, 0, AT(parity), .choices = parities, .def = "even",
         .help = "Parity; the standard says even."},
        {"data_bits", SCHEMA_INT, 0, AT(data_bits), 7, 8, .def = "8", .help = "Data bits; the standard says 8."},
        {"stop_bits", SCHEMA_INT, 0, AT(stop_bits), 1, 2, .def = "1", .help = "Stop bits."},
        {"period", SCHEMA_DURATION, 0, AT(period_us), SECOND, DAY, .def = "15m",
         .help = "How often all meters are read, one after the other; meters on a battery count their readouts."},
        {"timeout", SCHEMA_DURATION, 0, AT(timeout_us), 50 * MS, 60 * SECOND, .def = "500ms",
         .help = "How long a meter may take to begin its answer, and pause in it."},
        {"retries", SCHEMA_INT, 0, AT(retries), 0, 10, .def = "2", .help = "How often it is asked again."},
        {"devices", SCHEMA_LIST, 0, AT(devices), .sub = &device_schema, .help = "Its meters."},
        {NULL},
};
#undef AT

const struct schema mbus_schema = {
        .name = "mbus",
        .help = "Meters on a wired M-Bus (EN 13757).",
        .keys = bus_keys,
        .size = sizeof(struct mbus_conf),
        .has_at = true,
        .check = check_bus,
};

void mbus_names(const void *conf, struct driver_names *to)
{
        const struct mbus_conf *c = conf;
        const struct mbus_device_conf *d = c->devices.items;

        to->period_us = c->period_us;
        for (size_t i = 0; i < c->devices.n; i++) {
                const struct mbus_reading_conf *r = d[i].readings.items;

                for (size_t k = 0; k < d[i].readings.n; k++)
                        to->each(to, d[i].source, r[k].tag, &r[k].tag);
        }
}
