/*
 * bus_impl: what bus.c (whose turn, the port) and answers.c (what came) share.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_BUS_IMPL_H
#define MILLRACE_DRIVERS_MODBUS_BUS_IMPL_H

#include "drivers/modbus/bus.h"
#include "drivers/modbus/schedule.h"

struct modbus_slot {
        bool used;
        uint16_t transaction;
        uint8_t unit, function;
        size_t read, n_bytes;
        int64_t sent_us, deadline_us;
        int64_t idle_us; /* nothing had been heard for so long when it was sent */
};

struct modbus_bus {
        const struct modbus_conf *conf;
        struct modbus_plan *plan;
        struct modbus_outcome outcome;
        struct modbus_schedule schedule;
        struct modbus_slot slots[MODBUS_IN_FLIGHT_MAX];
        uint8_t *told;  /* enum quality by read: what was said last */
        bool *was_lost; /* by read: the connection was closed when it was asked; not answered since */
        bool tcp;       /* the framing */
        bool socket;    /* the port */
        bool open, paused;
        bool connected;  /* false while open: the other side has closed, nobody has asked since */
        unsigned n_lost; /* connections that were closed on a request, in a row, without an answer between */
        uint16_t transaction;
        int64_t char_ns, silence_us;
        int64_t quiet_us;           /* serial: the line has been quiet long enough then */
        int64_t ready_us;           /* the pause after an answer is over then */
        int64_t noisy_since_us;     /* serial: something is due, but the line is not quiet; 0: no */
        int64_t heard_us, asked_us; /* the last bytes; the first request since */
        struct modbus_rtu rtu;
        struct modbus_tcp mbap;
        struct modbus_counts counts;
        const char *why;
};

/* Ends a request; `why` when it was not answered. */
void modbus_bus_finish(struct modbus_bus *b, struct modbus_slot *s, enum modbus_answer answer, int64_t now_us,
                       const char *why);
void modbus_bus_tell_bad(struct modbus_bus *b, size_t read, enum quality quality, const char *why);

#endif
