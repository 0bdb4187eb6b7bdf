/*
 * bus: one M-Bus and whose turn it is.  A pure state machine: bytes and the
 * time go in; bytes to send and outcomes come out.  Nothing is allocated after
 * mbus_bus_new.  One thread.
 *
 * The caller's circle: give every byte that came to mbus_bus_input, then do
 * what mbus_bus_next says until that is MBUS_WAIT, and come back when bytes
 * come or the time it named is reached.
 */
#ifndef MILLRACE_DRIVERS_MBUS_BUS_H
#define MILLRACE_DRIVERS_MBUS_BUS_H

#include "drivers/mbus/record.h"

enum mbus_taken { MBUS_LAST, MBUS_MORE_FOLLOWS, MBUS_REFUSED };

/* Called from mbus_bus_input and _next; must not call back into the bus. */
struct mbus_outcome {
        /* A telegram of its readout; `number`: of its first record. What is to be done is said by what it returns. */
        enum mbus_taken (*on_telegram)(void *ctx, size_t device, const struct mbus_frame *f, bool first);
        /* Its readout has failed. `silent`: nothing came at all. */
        void (*on_failed)(void *ctx, size_t device, bool silent, const char *why);
        void *ctx;
};

struct mbus_bus_conf {
        int64_t baud, timeout_us;
        int retries;
        size_t n_devices;
        const struct mbus_device_conf *devices;
};

struct mbus_bus;

struct mbus_bus *mbus_bus_new(const struct mbus_bus_conf *conf, const struct mbus_outcome *outcome);
void mbus_bus_free(struct mbus_bus *b);

bool mbus_bus_is_busy(const struct mbus_bus *b);
/* All devices, once. Not while that is under way. */
void mbus_bus_begin(struct mbus_bus *b, int64_t now_us);
void mbus_bus_abort(struct mbus_bus *b);
void mbus_bus_input(struct mbus_bus *b, int64_t now_us, const uint8_t *p, size_t n);

enum mbus_next { MBUS_WAIT, MBUS_SEND };

struct mbus_action {
        int64_t until_us; /* INT64_MAX: nothing is under way */
        uint8_t bytes[MBUS_SELECT];
        size_t len;
};

enum mbus_next mbus_bus_next(struct mbus_bus *b, int64_t now_us, struct mbus_action *out);

/* What the configuration says of one, which has been checked. */
struct mbus_secondary mbus_secondary_of(const struct mbus_device_conf *c);

#endif
