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
        uint16_t low;     /* what has to be read for it: itself, and its scale */
        uint32_t high;    /* behind the last of these: up to 65536 */
        uint16_t atom;    /* where its group begins; its own `low` without one */
        uint16_t index;   /* of count */
        int32_t scale_at; /* address of its power of ten; -1: none */
        const struct modbus_convert *convert;
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
        uint32_t family, sibling;    /* the others that came of the same read by splits: a ring */
        uint32_t kept_first, kept_n; /* what it is again when its family is not one read after all */
};

/*
 * What was one read when the plan was made. A part of it that is not needed now
 * has n 0.
 */
struct modbus_family {
        uint32_t first, n;
};

/*
 * What makes of a raw value the one that is meant; the same for all devices of
 * a profile.
 */
struct modbus_convert {
        struct convert all;   /* or, with a power of ten, what comes behind it */
        struct convert codes; /* with a power of ten: what comes before it */
};

struct modbus_plan {
        struct modbus_convert *converts;
        size_t n_converts;
        const struct modbus_device_conf **devices; /* of the bus, in the order of the file */
        struct modbus_point *points;
        struct modbus_read *reads; /* room for one per point, so that a read can be split without memory */
        struct modbus_family *families;
        size_t n_devices, n_points, n_reads;
};

/* `bus` is linked. */
struct modbus_plan *modbus_plan_new(const struct modbus_conf *bus);
void modbus_plan_free(struct modbus_plan *p);

/*
 * A slave refused a read, or leaves it unanswered: makes two of it, at its
 * largest hole or else in the middle, never within a group.  `second` is the
 * other one.  false: it can't be made smaller.
 */
bool modbus_plan_split(struct modbus_plan *p, size_t read, size_t *second);
/*
 * The read becomes all of its family, the others rest.  Then either restore:
 * all are again what they were; or forget: it stays so.
 */
void modbus_plan_join(struct modbus_plan *p, size_t read);
void modbus_plan_restore(struct modbus_plan *p, size_t read);
void modbus_plan_forget(struct modbus_plan *p, size_t read);

static inline unsigned modbus_point_end(const struct modbus_point *p)
{
        return p->high;
}

/* How many values a device has. */
size_t modbus_points_of(const struct modbus_device_conf *d);

/* ---- values.c ---- */

void modbus_convert_init(struct modbus_convert *c, const struct modbus_register_conf *r);
void modbus_convert_fini(struct modbus_convert *c);

/* Do two values lie in the same registers? Their powers of ten may. */
bool modbus_overlap(const struct modbus_register_conf *a, const struct modbus_register_conf *b);

/* From the first to behind the last register that a value needs. */
void modbus_extent(const struct modbus_register_conf *r, unsigned *low, unsigned *high);

/* `b` follows `a` and is of the same group. */
bool modbus_points_bound(const struct modbus_point *a, const struct modbus_point *b);

/*
 * Sets the value of one point of a read from the read's data; `text` as for
 * modbus_decode. 0; or CONVERT_E_UNFIT: what came is not what was meant.
 */
int modbus_point_decode(const struct modbus_point *p, const struct modbus_read *r, const uint8_t *data, char *text,
                        struct reading *out);

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

static inline int64_t modbus_period_us(const struct modbus_device_conf *d, const struct modbus_register_conf *r)
{
        if (r->period_us)
                return r->period_us;
        return d->period_us ? d->period_us : d->map->period_us;
}

static inline int64_t modbus_hole_limit(const struct modbus_conf *bus, const struct modbus_device_conf *d)
{
        if (d->hole_limit >= 0)
                return d->hole_limit;
        return d->map->hole_limit >= 0 ? d->map->hole_limit : bus->hole_limit;
}

static inline int64_t modbus_max_registers(const struct modbus_conf *bus, const struct modbus_device_conf *d)
{
        int64_t most = d->max_registers > 0 ? d->max_registers : d->map->max_registers;

        return most > 0 ? most : bus->max_registers;
}

/* The function code that reads a table of a device. */
static inline uint8_t modbus_function(const struct modbus_conf *bus, const struct modbus_device_conf *d, unsigned table)
{
        int64_t own = d->function > 0 ? d->function : d->map->function > 0 ? d->map->function : bus->function;

        return (uint8_t)(own > 0 && table >= MODBUS_HOLDING ? own : (int64_t)table + 1);
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
