/*
 * modbus: values read from Modbus slaves, over a serial line (RTU, ASCII) or
 * TCP.
 *
 * A driver instance is one bus.  Its slaves are the `devices:` that name it,
 * what is in them the `profiles:`; the three sections are bound together by
 * modbus_link after the configuration has been read.  Only reading: the
 * function codes that write (5, 6, 15, 16) are left out on purpose.
 *
 *   conf      the tables of the three sections, the link
 *   plan      which requests read what, scan time
 *   schedule  whose turn it is, dead slaves
 *   bus       the wire: requests, answers, time-outs, late answers
 *   frame     bytes <-> frames, both roles
 *   decode    registers -> readings
 *   overhear  the talk of another master -> pairs of request and answer
 *   listen    these as readings, for a bus that only listens
 *   modbus    the bytes' way in and out
 * All but the last are pure: time is an argument.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_MODBUS_H
#define MILLRACE_DRIVERS_MODBUS_MODBUS_H

#include "agent/base/convert.h"
#include "drivers/driver.h"
#include "drivers/modbus/decode.h"

struct modbus_register_conf {
        struct schema_at at;
        const char *tag, *where, *unit, *group;
        int type;       /* enum modbus_type */
        int word_order; /* 0: the profile's; enum modbus_order + 1 */
        struct convert_conf convert;
        const char *scale_where; /* where its power of ten lies; NULL: nowhere */
        int byte;                /* of half a register: enum modbus_byte */
        int64_t count;           /* so many one behind the other: tag-1 ...; -1: one, tag */
        int64_t length;          /* registers of a string; -1: not said */
        int64_t bit;             /* -1: not said */
        int64_t period_us;       /* 0: the device's or the profile's */
        /* From `where`, by the table's check. */
        enum modbus_table table;
        unsigned address, scale_address;
};

enum modbus_byte { MODBUS_LOW, MODBUS_HIGH };
enum { MODBUS_COUNT_MAX = 1000, MODBUS_NAME_MAX = 300 };

/* How many tags it makes, and what the k-th is called. */
static inline unsigned modbus_tags_of(const struct modbus_register_conf *r)
{
        return r->count > 0 ? (unsigned)r->count : 1;
}
const char *modbus_tag_name(const struct modbus_register_conf *r, unsigned k, char room[MODBUS_NAME_MAX]);

struct modbus_profile_conf {
        struct schema_at at;
        const char *name, *about;
        int64_t period_us;
        int word_order;                  /* enum modbus_order */
        int64_t hole_limit;              /* -1: the bus's */
        int64_t max_registers, function; /* not above 0: the bus's */
        struct schema_list registers;    /* struct modbus_register_conf */
};

struct modbus_device_conf {
        struct schema_at at;
        const char *source, *bus, *profile;
        int64_t unit;
        int64_t period_us, timeout_us;         /* 0: the profile's, the bus's */
        int64_t retries, pause_us;             /* -1: the bus's */
        int64_t hole_limit;                    /* -1: the profile's, the bus's */
        int64_t max_registers, function;       /* not above 0: likewise */
        const struct modbus_profile_conf *map; /* by modbus_link */
        const struct modbus_device_conf *next; /* on the same bus, in the order of the file */
};

enum modbus_parity { MODBUS_PARITY_NONE, MODBUS_PARITY_EVEN, MODBUS_PARITY_ODD };

enum modbus_framing_conf { MODBUS_FRAMING_AUTO, MODBUS_FRAMING_RTU, MODBUS_FRAMING_ASCII };
enum modbus_accept { MODBUS_SAME_UNIT, MODBUS_ANY_UNIT };

struct modbus_conf {
        struct schema_at at;
        const char *name, *port;
        int64_t baud, data_bits, stop_bits;
        int parity;                               /* enum modbus_parity */
        int rs485;                                /* enum tty_rs485 */
        bool listen;                              /* the line has a master: nothing is sent */
        int64_t timeout_us, pause_us, silence_us; /* silence -1: 3.5 characters */
        int64_t retries, in_flight, hole_limit, max_registers;
        int framing;                              /* enum modbus_framing_conf */
        int accept_unit;                          /* enum modbus_accept */
        int64_t function;                         /* 0: that of the table */
        const struct modbus_device_conf *devices; /* by modbus_link */
};

enum { MODBUS_HOST_MAX = 256, MODBUS_IN_FLIGHT_MAX = 16 };

/* How requests and answers are wrapped up, whatever the port is. */
enum modbus_framing { MODBUS_TCP, MODBUS_RTU, MODBUS_ASCII };

struct modbus_address {
        bool tcp; /* a socket; else a serial port */
        enum modbus_framing framing;
        char host[MODBUS_HOST_MAX], service[8]; /* of tcp */
};

/*
 * "/dev/…", or "tcp://host:port", "rtu+tcp://…", "ascii+tcp://…"; a host may be
 * [v6], a port that is not written is 502. `framing` is the configuration's.  0
 * or -1 with a sentence.
 */
int modbus_address_parse(struct modbus_address *out, const char *port, int framing, struct err *e);

static inline bool modbus_is_socket(const struct modbus_conf *bus)
{
        return bus->port[0] != '/';
}

static inline enum modbus_framing modbus_framing_of(const struct modbus_conf *bus)
{
        if (bus->port[0] == '/')
                return bus->framing == MODBUS_FRAMING_ASCII ? MODBUS_ASCII : MODBUS_RTU;
        return bus->port[0] == 'r' ? MODBUS_RTU : bus->port[0] == 'a' ? MODBUS_ASCII : MODBUS_TCP;
}

/*
 * Binds devices to buses and profiles, and says what no single section can: a
 * bus or profile that is not there, a unit a serial line can't have, the same
 * source twice.  `fault` gets the field the sentence is about.  What its own
 * section found wrong has no source or no port: its names are looked up, and it
 * is not bound.  Call it once.
 */
void modbus_link(struct modbus_conf *buses, size_t n_buses, const struct modbus_profile_conf *profiles,
                 size_t n_profiles, struct modbus_device_conf *devices, size_t n_devices,
                 void (*fault)(void *ctx, const void *field, const char *sentence), void *ctx);

void modbus_names(const void *conf, struct driver_names *to);

extern const struct schema modbus_register_schema, modbus_schema, modbus_profile_schema, modbus_device_schema;
extern const struct driver_ops modbus_ops;

#endif
