/*
 * plan: which requests read which values of a bus, and how long that takes.
 * Pure; memory is taken once, when the plan is made.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_PLAN_H
#define MILLRACE_DRIVERS_MODBUS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/modbus/modbus.h"

/* One value of one device. */
struct modbus_point {
        uint16_t device; /* index on the bus */
        uint16_t address, width;
        uint8_t table; /* enum modbus_table */
        struct modbus_format format;
        int64_t period_us;
        uint32_t tag; /* index in struct tags, by the driver */
        const struct modbus_register_conf *conf;
};

/*
 * One request: `count` registers or bits from `address`, holding points[first
 * .. first + n).
 */
struct modbus_read {
        uint16_t device;
        uint8_t function;
        uint16_t address, count;
        uint32_t first, n;
        int64_t period_us, phase_us; /* 0 <= phase < period: equal periods are spread over the period */
};

struct modbus_plan {
        const struct modbus_device_conf **devices; /* of the bus, in the order of the file */
        struct modbus_point *points;
        struct modbus_read *reads; /* room for one per point, so that a read can be split without memory */
        size_t n_devices, n_points, n_reads;
};

/* `bus` is linked. */
struct modbus_plan *modbus_plan_new(const struct modbus_conf *bus);
void modbus_plan_free(struct modbus_plan *p);

/*
 * A slave refused a read: perhaps only a hole between the values is not there.
 * Splits it at its largest hole, the second half is the last read then; false:
 * there is no hole, the values themselves are refused.
 */
bool modbus_plan_split(struct modbus_plan *p, size_t read);

/* Longest text of all readings of one read together. */
size_t modbus_plan_text_room(const struct modbus_plan *p);
size_t modbus_plan_points_most(const struct modbus_plan *p); /* in one read */

/* ---- time on the wire ---- */

int64_t modbus_char_ns(const struct modbus_conf *bus);    /* one character; 0 on TCP */
int64_t modbus_silence_us(const struct modbus_conf *bus); /* between frames; 0 on TCP */

/* Effective values of a device. */
static inline int64_t modbus_timeout_us(const struct modbus_conf *bus, const struct modbus_device_conf *d)
{
        return d->timeout_us ? d->timeout_us : bus->timeout_us;
}

static inline int64_t modbus_pause_us(const struct modbus_conf *bus, const struct modbus_device_conf *d)
{
        return d->pause_us >= 0 ? d->pause_us : bus->pause_us;
}

static inline int64_t modbus_retries(const struct modbus_conf *bus, const struct modbus_device_conf *d)
{
        return d->retries >= 0 ? d->retries : bus->retries;
}

struct modbus_scan {
        size_t n_devices, n_tags, n_reads, n_registers; /* registers and bits that are asked for, holes too */
        int64_t scan_us;                                /* every read once */
        int64_t turn_us;                                /* assumed in it for a slave to begin its answer */
        double load;         /* of the bus when everything answers; above 1: periods can't be met */
        int64_t shortest_us; /* period */
};

/* For `millrace check`. */
void modbus_scan(const struct modbus_conf *bus, struct modbus_scan *out);
/*
 * One line for people: "bus1: 2 devices, 6 tags in 4 requests, scan 127 ms,
 * load 13 %". Returns the length.
 */
size_t modbus_scan_text(const struct modbus_conf *bus, const struct modbus_scan *s, char *out, size_t cap);
/* Why periods can't or hardly be met, as a sentence; false: they can. */
bool modbus_scan_warning(const struct modbus_conf *bus, const struct modbus_scan *s, char *out, size_t cap);

#endif
