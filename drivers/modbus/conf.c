/*
 * conf: the tables of `modbus:`, `profiles:` and `devices:`, and what binds
 * them.
 *
 * Why three sections: eight equal slaves are eight lines, and a register map is
 * written down once.  What one item can say about itself is in the check
 * functions; what needs another section is in modbus_link, which also hangs the
 * devices on their buses, so that the driver follows pointers and looks nothing
 * up (conf_link.c).
 *
 * Fails with a sentence at the key; everything wrong is told in one run.
 */
#include "drivers/modbus/modbus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/tty.h"

#define MS     1e3
#define SECOND 1e6
#define DAY    86400e6

#define FUNCTION_HELP                                                                                               \
        "Function code that reads registers of both tables, for slaves that know one only: 3 or 4; default: 3 for " \
        "holding, 4 for input."

static const char *const parities[] = {"none", "even", "odd", NULL};
static const char *const rs485s[] = {"auto", "on", "off", NULL};
static const char *const framings[] = {"auto", "rtu", "ascii", NULL};
static const char *const accepts[] = {"same", "any", NULL};
static const char *const word_orders[] = {"ABCD", "CDAB", "BADC", "DCBA", NULL};

static int fault(const char **key, const char *which, struct err *e, const char *what)
{
        *key = which;
        return err_set(e, "%s", what);
}

/* ---- modbus ---- */

static int fault_port(const char *port, struct err *e)
{
        return err_set(e,
                       "\"%.80s\" is not a port; allowed: /dev/…, or tcp://host:port, as tcp://10.0.0.5:502 or "
                       "tcp://[fd00::5]; rtu+tcp:// and ascii+tcp:// for serial servers that pass bytes on",
                       port);
}

static const char *scheme_of(const char *port, enum modbus_framing *framing)
{
        static const char *const schemes[] = {
                [MODBUS_TCP] = "tcp://", [MODBUS_RTU] = "rtu+tcp://", [MODBUS_ASCII] = "ascii+tcp://"};

        for (int i = MODBUS_TCP; i <= MODBUS_ASCII; i++) {
                *framing = (enum modbus_framing)i;
                if (strncmp(port, schemes[i], strlen(schemes[i])) == 0)
                        return port + strlen(schemes[i]);
        }
        return NULL;
}

static bool is_service(const char *s)
{
        size_t digits = strspn(s, "0123456789");

        return digits > 0 && digits <= 5 && !s[digits] && atoi(s) >= 1 && atoi(s) <= 65535;
}

int modbus_address_parse(struct modbus_address *out, const char *port, int framing, struct err *e)
{
        const char *host, *end, *service;

        *out = (struct modbus_address){.framing = framing == MODBUS_FRAMING_ASCII ? MODBUS_ASCII : MODBUS_RTU};
        if (port[0] == '/')
                return 0;
        host = scheme_of(port, &out->framing);
        if (!host)
                return fault_port(port, e);
        end = host + strcspn(host, host[0] == '[' ? "]" : ":/");
        service = end + (host[0] == '[' && *end == ']');
        if (host[0] == '[' && *end != ']')
                return fault_port(port, e);
        host += host[0] == '[';
        if (end <= host || (size_t)(end - host) >= sizeof(out->host))
                return fault_port(port, e);
        if (*service && (*service != ':' || !is_service(service + 1)))
                return fault_port(port, e);
        out->tcp = true;
        memcpy(out->host, host, (size_t)(end - host));
        strcpy(out->service, *service ? service + 1 : "502");
        return 0;
}

static int check_framing(const struct modbus_conf *c, const struct modbus_address *a, const char **key, struct err *e)
{
        if (a->tcp && c->framing != MODBUS_FRAMING_AUTO)
                return fault(key, "framing", e,
                             "for serial ports; over TCP the port says it: rtu+tcp://, ascii+tcp://");
        if (a->framing != MODBUS_TCP && c->in_flight != 1)
                return fault(key, "in_flight", e,
                             "a serial line has one request at a time, also behind a serial server; only for tcp://");
        return 0;
}

static int check_bus(void *obj, const char **key, struct err *e)
{
        const struct modbus_conf *c = obj;
        struct modbus_address address;

        *key = "port";
        if (modbus_address_parse(&address, c->port, c->framing, e) < 0)
                return -1;
        if (check_framing(c, &address, key, e) < 0)
                return -1;
        if (c->listen && (address.tcp || address.framing != MODBUS_RTU))
                return fault(key, "listen", e,
                             "only on a serial line of Modbus RTU: nobody else's talk is heard elsewhere");
        if (address.tcp)
                return 0;
        if (!tty_is_baud(c->baud)) {
                *key = "baud";
                return err_set(
                        e, "%lld is no speed of a serial port; allowed: 9600, 19200, 38400, 57600, 115200 and the like",
                        (long long)c->baud);
        }
        if (c->data_bits != 8 && address.framing != MODBUS_ASCII)
                return fault(key, "data_bits", e, "7 is for Modbus ASCII; Modbus RTU needs 8");
        return 0;
}

#define AT(member) offsetof(struct modbus_conf, member)
static const struct schema_key bus_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(name),
         .help = "Name of this bus in devices, status and logs."},
        {"port", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(port),
         .help = "Serial device (/dev/serial/by-id/… is the one that stays), or tcp://host:port; rtu+tcp:// and "
                 "ascii+tcp:// for serial servers that pass bytes on. Without :port it is 502."},
        {"framing", SCHEMA_CHOICE, 0, AT(framing), .choices = framings, .def = "auto",
         .help = "Of a serial port: rtu or ascii; auto: rtu."},
        {"baud", SCHEMA_INT, 0, AT(baud), 300, 4000000, .def = "19200", .help = "Bits per second of the line."},
        {"parity", SCHEMA_CHOICE, 0, AT(parity), .choices = parities, .def = "even", .help = "Parity of the line."},
        {"data_bits", SCHEMA_INT, 0, AT(data_bits), 7, 8, .def = "8",
         .help = "Data bits of the line; RTU needs 8, ASCII often has 7."},
        {"stop_bits", SCHEMA_INT, 0, AT(stop_bits), 1, 2, .def = "1", .help = "Stop bits of the line."},
        {"rs485", SCHEMA_CHOICE, 0, AT(rs485), .choices = rs485s, .def = "auto",
         .help = "Direction of an RS-485 line by the kernel: on, off, or auto: as the port is set up."},
        {"listen", SCHEMA_BOOL, 0, AT(listen), .def = "false",
         .help = "Serial line: it has a master already; its requests and their answers become the readings, and "
                 "nothing "
                 "is ever sent."},
        {"timeout", SCHEMA_DURATION, 0, AT(timeout_us), 5 * MS, 60 * SECOND, .def = "500ms",
         .help = "How long a slave may take to begin its answer."},
        {"pause", SCHEMA_DURATION, 0, AT(pause_us), 0, 10 * SECOND, .def = "0s",
         .help = "Rest after an answer before the next request, for slow slaves."},
        {"silence", SCHEMA_DURATION, SCHEMA_MINUS, AT(silence_us), 0, SECOND,
         .help = "Silence between frames; default: 3.5 characters, 1.75ms above 19200 baud."},
        {"retries", SCHEMA_INT, 0, AT(retries), 0, 10, .def = "1",
         .help = "How often an unanswered request is repeated before its tags are bad."},
        {"in_flight", SCHEMA_INT, 0, AT(in_flight), 1, MODBUS_IN_FLIGHT_MAX, .def = "1",
         .help = "TCP: how many requests may wait for their answers at once, when the device allows it."},
        {"hole_limit", SCHEMA_INT, 0, AT(hole_limit), 0, 124, .def = "0",
         .help = "Registers nobody wants that may be read along to save a request; a profile or device may say its "
                 "own."},
        {"max_registers", SCHEMA_INT, 0, AT(max_registers), 1, MODBUS_REGISTERS_MAX, .def = "125",
         .help = "Most registers in one request, for slaves that take less than the protocol allows."},
        {"function", SCHEMA_INT, SCHEMA_MINUS, AT(function), 3, 4, .help = FUNCTION_HELP},
        {"accept_unit", SCHEMA_CHOICE, 0, AT(accept_unit), .choices = accepts, .def = "same",
         .help = "Whose answers count: those of the unit that was asked, or any, for devices that answer as another."},
        {NULL},
};
#undef AT

const struct schema modbus_schema = {
        .name = "modbus",
        .help = "Buses with Modbus slaves: serial lines (RTU, ASCII) and TCP.",
        .keys = bus_keys,
        .size = sizeof(struct modbus_conf),
        .has_at = true,
        .check = check_bus,
};

/* ---- profiles ---- */

/* Is the tag one of those that an array makes? */
static bool is_of_array(const struct modbus_register_conf *array, const char *tag)
{
        char name[MODBUS_NAME_MAX];
        unsigned long k;

        if (array->count <= 0 || strncmp(tag, array->tag, strlen(array->tag)) != 0 || tag[strlen(array->tag)] != '-')
                return false;
        k = strtoul(tag + strlen(array->tag) + 1, NULL, 10);
        return k >= 1 && k <= (unsigned long)array->count &&
               strcmp(modbus_tag_name(array, (unsigned)k - 1, name), tag) == 0;
}

static int check_profile(void *obj, const char **key, struct err *e)
{
        const struct modbus_profile_conf *p = obj;
        const struct modbus_register_conf *r = p->registers.items;

        *key = "registers";
        for (size_t i = 0; i < p->registers.n; i++) {
                for (size_t k = 0; k < p->registers.n && r[i].count > 0; k++) {
                        if (is_of_array(&r[i], r[k].tag))
                                return err_set(e, "the tag %.100s is also one of the %lld of %.100s; allowed: once",
                                               r[k].tag, (long long)r[i].count, r[i].tag);
                }
        }
        return 0;
}

#define AT(member) offsetof(struct modbus_profile_conf, member)
static const struct schema_key profile_keys[] = {
        {"name", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(name), .help = "Name of this register map."},
        {"about", SCHEMA_TEXT, 0, AT(about), .help = "What it is of, and which document it is from."},
        {"period", SCHEMA_DURATION, 0, AT(period_us), 10 * MS, DAY, .def = "1s", .help = "How often it is read."},
        {"word_order", SCHEMA_CHOICE, 0, AT(word_order), .choices = word_orders, .def = "ABCD",
         .help = "Order of the bytes: 123.456 as float32 is 42F6E979 in ABCD, E97942F6 in CDAB, F64279E9 in BADC, "
                 "79E9F642 in DCBA."},
        {"hole_limit", SCHEMA_INT, SCHEMA_MINUS, AT(hole_limit), 0, 124,
         .help = "Registers between its values that may be read along to save a request; default: the bus's."},
        {"max_registers", SCHEMA_INT, SCHEMA_MINUS, AT(max_registers), 1, MODBUS_REGISTERS_MAX,
         .help = "Most registers in one request; default: the bus's."},
        {"function", SCHEMA_INT, SCHEMA_MINUS, AT(function), 3, 4, .help = FUNCTION_HELP},
        {"registers", SCHEMA_LIST, SCHEMA_REQUIRED, AT(registers), .sub = &modbus_register_schema,
         .help = "Its values."},
        {NULL},
};
#undef AT

const struct schema modbus_profile_schema = {
        .name = "profiles",
        .help = "Register maps, each written once for all Modbus devices of a kind.",
        .keys = profile_keys,
        .size = sizeof(struct modbus_profile_conf),
        .has_at = true,
        .check = check_profile,
};

/* ---- devices ---- */

#define AT(member) offsetof(struct modbus_device_conf, member)
static const struct schema_key device_keys[] = {
        {"source", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_UNIQUE, AT(source), .help = "Source of the readings."},
        {"bus", SCHEMA_NAME, SCHEMA_REQUIRED, AT(bus), .help = "Name of the modbus item it hangs on."},
        {"unit", SCHEMA_INT, 0, AT(unit), 0, 255, .def = "1", .help = "Unit id (slave address)."},
        {"profile", SCHEMA_NAME, SCHEMA_REQUIRED, AT(profile),
         .help = "Name of its register map: in profiles, or a file of the library, as eastron-sdm630."},
        {"period", SCHEMA_DURATION, 0, AT(period_us), 10 * MS, DAY,
         .help = "How often it is read; default: the profile's."},
        {"timeout", SCHEMA_DURATION, 0, AT(timeout_us), 5 * MS, 60 * SECOND, .help = "Default: the bus's."},
        {"retries", SCHEMA_INT, SCHEMA_MINUS, AT(retries), 0, 10, .help = "Default: the bus's."},
        {"pause", SCHEMA_DURATION, SCHEMA_MINUS, AT(pause_us), 0, 10 * SECOND, .help = "Default: the bus's."},
        {"hole_limit", SCHEMA_INT, SCHEMA_MINUS, AT(hole_limit), 0, 124, .help = "Default: the profile's, the bus's."},
        {"max_registers", SCHEMA_INT, SCHEMA_MINUS, AT(max_registers), 1, MODBUS_REGISTERS_MAX,
         .help = "Default: the profile's, the bus's."},
        {"function", SCHEMA_INT, SCHEMA_MINUS, AT(function), 3, 4, .help = "Default: the profile's, the bus's."},
        {NULL},
};
#undef AT

const struct schema modbus_device_schema = {
        .name = "devices",
        .help = "Modbus slaves: where each hangs and which profile it has.",
        .keys = device_keys,
        .size = sizeof(struct modbus_device_conf),
        .has_at = true,
};
