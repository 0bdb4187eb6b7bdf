/*
 * bus: one bus and what is on its wire: requests, answers, late ones.  Whose
 * turn it is, schedule.h says.  A pure state machine: bytes and the time go in,
 * bytes to send and outcomes come out. Nothing is allocated after
 * modbus_bus_new.  One thread.
 *
 * The caller's circle: give every byte that came to modbus_bus_input, then ask
 * modbus_bus_next until it says WAIT, and come back when bytes come or the time
 * it named is reached.  On a serial line everything that can be read is given
 * in before each question: what came unread is how a late answer looks like a
 * new one.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_BUS_H
#define MILLRACE_DRIVERS_MODBUS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reading.h"
#include "drivers/modbus/frame.h"
#include "drivers/modbus/plan.h"

struct modbus_bus;

/*
 * Called from modbus_bus_next, _input and _close; must not call back into the
 * bus.
 */
struct modbus_outcome {
        /* The data of a read, checked: unit, function, length; on TCP the transaction, on a serial line the CRC. */
        void (*on_data)(void *ctx, size_t read, const uint8_t *data);
        /* A read's values are bad from now on; told once until the next on_data or another kind of trouble. */
        void (*on_bad)(void *ctx, size_t read, enum quality quality, const char *why);
        /* A slave is given up, or is back. */
        void (*on_device)(void *ctx, size_t device, bool up, const char *why);
        /* Something came that is not the answer; nothing else is told of it. NULL: not of interest. */
        void (*on_odd)(void *ctx, size_t device, const char *why);
        void *ctx;
};

struct modbus_counts {
        uint64_t requests, replies, timeouts, retries, exceptions, overruns;
        uint64_t late;          /* answers nobody waited for any more, discarded */
        uint64_t mismatched;    /* of another transaction, unit, function or length than was asked; others' questions */
        uint64_t crc;           /* answers whose checksum is wrong */
        uint64_t garbage_bytes; /* what is no Modbus */
        int64_t busy_us;        /* a request was out, or the rest after it; on TCP summed over those in flight */
        int64_t dead_us;        /* of it: for slaves that are given up */
};

/* `plan` and `conf` outlive the bus; the bus may split reads of the plan. */
struct modbus_bus *modbus_bus_new(const struct modbus_conf *conf, struct modbus_plan *plan,
                                  const struct modbus_outcome *outcome);
void modbus_bus_free(struct modbus_bus *b);

/*
 * The port is open: everything is due. The port is gone: nothing is under way
 * any more, all tags are bad, once.
 */
void modbus_bus_open(struct modbus_bus *b, int64_t now_us);
void modbus_bus_close(struct modbus_bus *b, int64_t now_us, const char *why);

/*
 * A connection was closed by the other side: no failure by itself, nothing is
 * told, modbus_bus_next says when another is wanted.  -1: it closes each one as
 * soon as it is asked; to be closed as a failure.  `connected`: there is
 * another now.
 */
int modbus_bus_lost(struct modbus_bus *b, int64_t now_us);
void modbus_bus_connected(struct modbus_bus *b, int64_t now_us);

/* true: ask nothing new. */
void modbus_bus_pause(struct modbus_bus *b, bool on);

enum modbus_next {
        MODBUS_WAIT,    /* until `until_us`, or bytes */
        MODBUS_SEND,    /* these bytes, now */
        MODBUS_CONNECT, /* a new connection instead of the one that is there, if any; then modbus_bus_connected */
        MODBUS_BROKEN   /* close and open again: `why` */
};

struct modbus_action {
        int64_t until_us; /* INT64_MAX: only bytes matter */
        uint8_t bytes[MODBUS_TCP_MAX];
        size_t len;
        const char *why;
};

enum modbus_next modbus_bus_next(struct modbus_bus *b, int64_t now_us, struct modbus_action *out);

/*
 * -1: the stream can't be trusted any more, close it; modbus_bus_why says why.
 */
int modbus_bus_input(struct modbus_bus *b, int64_t now_us, const uint8_t *p, size_t n);
const char *modbus_bus_why(const struct modbus_bus *b);

const struct modbus_counts *modbus_bus_counts(struct modbus_bus *b);

#endif
