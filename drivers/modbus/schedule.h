/*
 * schedule: which read of a bus is next, and what a slave that does not answer
 * may cost.  Pure; memory is taken once.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_SCHEDULE_H
#define MILLRACE_DRIVERS_MODBUS_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/modbus/plan.h"

struct modbus_schedule_read {
        int64_t due_us;
        unsigned tries; /* unanswered so far */
};

struct modbus_schedule_device {
        uint8_t unit;
        unsigned retries;
        int64_t timeout_us;
        uint32_t *heap; /* its reads that are not under way, the earliest first */
        size_t n_heap;
        unsigned in_flight;
        unsigned doubt;    /* rises by 3 with each unanswered request, falls by 1 with each answer */
        unsigned n_silent; /* unanswered requests in a row */
        bool down;         /* given up: one read now and then asks whether it is back */
        int64_t probe_us, probe_pause_us;
};

struct modbus_schedule {
        struct modbus_schedule_device *devices;
        struct modbus_schedule_read *reads;
        uint32_t *heaps;
        const struct modbus_plan *plan;
        size_t n_devices;
        unsigned lanes, n_busy;
        int64_t hold_us[256]; /* by unit: nothing is asked before */
        int64_t epoch_us;     /* where the periods are counted from */
        int64_t next_probe_us, doubt_turn_us;
        uint64_t n_overruns;
};

enum modbus_answer {
        MODBUS_ANSWERED, /* the read is done */
        MODBUS_BUSY,     /* the slave is there, but asks to come again */
        MODBUS_SILENT
};

struct modbus_schedule_result {
        bool failed;               /* not answered, and no retry is left */
        bool went_down, came_back; /* the device */
};

void modbus_schedule_init(struct modbus_schedule *t, const struct modbus_conf *bus, const struct modbus_plan *plan);
void modbus_schedule_fini(struct modbus_schedule *t);

/* Everything is due, also slaves that were given up. */
void modbus_schedule_open(struct modbus_schedule *t, int64_t now_us);

/*
 * The read whose turn it is, taken out; or false and when to ask again (an
 * answer may make it earlier).
 */
bool modbus_schedule_take(struct modbus_schedule *t, int64_t now_us, size_t *read, int64_t *wake_us);

/* Ends what take began; `cost_us`: how long it held its lane. */
struct modbus_schedule_result modbus_schedule_done(struct modbus_schedule *t, size_t read, enum modbus_answer answer,
                                                   int64_t now_us, int64_t cost_us);

/*
 * Not asked after all (the port is gone, or the read was split): due as it was.
 */
void modbus_schedule_back(struct modbus_schedule *t, size_t read, int64_t due_us);
/*
 * A read that came to be by a split, or is one again; one that rests from now
 * on, or is to be due at another time.  Not while it is under way.
 */
void modbus_schedule_add(struct modbus_schedule *t, size_t read, int64_t due_us);
void modbus_schedule_remove(struct modbus_schedule *t, size_t read);

#endif
