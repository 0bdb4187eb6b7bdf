/*
 * driver: what a source of readings is, seen from the agent.
 *
 * A driver turns bytes into readings (pure, in a file of its own) and moves the
 * bytes (a short I/O file).  The host (agent/host.c) owns poll periods with
 * jitter and overrun counts, reconnect backoff, link events and counters.
 *
 * Thread: all on the loop thread; nothing here may block.  Ownership: `conf`
 * outlives the driver; readings and their text are borrowed for the call.
 * Adding a driver: one .c with its ops, one row in agent/drivers.c, one line of
 * meson, one replay log with the expected readings.
 */
#ifndef MILLRACE_DRIVERS_DRIVER_H
#define MILLRACE_DRIVERS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/list.h"
#include "agent/base/reading.h"
#include "agent/base/rt.h"
#include "agent/base/schema.h"
#include "agent/base/tags.h"

struct driver;
struct driver_host;

enum driver_state { DRIVER_IDLE, DRIVER_CONNECTING, DRIVER_UP, DRIVER_DOWN, DRIVER_PAUSED, DRIVER_STOPPED };

struct driver_ops {
        const char *kind;            /* "mqtt": also the configuration's section */
        const struct schema *schema; /* of one item of that section */
        /* Makes d->priv from d->conf; no I/O. 0 or -1 with a sentence. */
        int (*init)(struct driver *d, struct err *e);
        /* Begins or, after link_down, tries again when the host's backoff says so. */
        void (*start)(struct driver *d);
        /* One period is over (drivers with d->period_us > 0); NULL for those that are pushed to. */
        void (*poll)(struct driver *d);
        /* true: take nothing more from the source until false. May come at any time, also twice. */
        void (*pause)(struct driver *d, bool on);
        /* Ends all I/O; calls driver_stopped when nothing is under way any more (at once, or later). */
        void (*stop)(struct driver *d);
        void (*fini)(struct driver *d); /* frees priv; after stopped */
};

struct driver {
        const struct driver_ops *ops;
        const char *name;            /* of the configuration's item; unique over all drivers */
        const char *gateway;         /* our own name, for what must differ between gateways */
        const void *conf;            /* what ops->schema filled */
        const struct driver *before; /* during init: the stopped one of this name, which goes then; or NULL */
        struct rt *rt;
        struct tags *tags;
        void *priv;
        int64_t period_us;              /* set by init; 0: pushed */
        const struct driver_host *host; /* upcalls */
        void *host_priv;

        /* Counted by the host's upcalls; status shows them. */
        enum driver_state state;
        uint64_t n_readings, n_errors, n_malformed, n_redelivered, n_overruns;
        uint64_t n_thinned; /* of n_readings: left out by the `thin:` section */
        /* By the driver: values a message did not hold, names that were changed, readings without room for a tag. */
        uint64_t n_absent, n_mapped, n_untagged;
        /* Of a bus, by the driver: how long it was busy; by the host: its share of the last seconds. */
        bool is_bus;
        int64_t busy_us, busy_seen_us;
        double load;
        char last_error[200];
        bool paused;
        double ack_slowdown; /* by the host, 1 and up: acknowledgements may be held so many times longer */
};

enum { DRIVER_E_WAIT = 1 };

/*
 * Durable-notice: embedded in the driver; on_durable runs once all that was
 * emitted before driver_sync is on disk.
 */
struct driver_sync {
        struct driver *d;
        void (*on_durable)(struct driver *d);
        bool waiting;
        void *impl[6]; /* the host's */
};

struct driver_host {
        /*
         * Hands over readings of one message or poll, all or none. 0; or DRIVER_E_WAIT: nothing was taken, the source
         * is to keep them and the host will call pause(true) now and pause(false) when there is room.  Drivers whose
         * source can't wait pass may_wait = false and never get it: what can't be kept is dropped, counted and in the
         * ledger.
         */
        int (*emit)(struct driver *d, const struct reading *r, size_t n, bool may_wait);
        void (*sync)(struct driver *d, struct driver_sync *q);
        void (*quarantine)(struct driver *d, const char *origin, const char *reason, const void *payload, size_t len);
        /* Connected; or not any more, why: the host makes the event and calls start again after a backoff. */
        void (*link_up)(struct driver *d);
        void (*link_down)(struct driver *d, const char *why);
        void (*stopped)(struct driver *d);
        /* One of several devices behind the driver: "up" or "down", why. One event instead of one alarm per tag. */
        void (*device_event)(struct driver *d, const char *source, const char *state, const char *why);
        /* The driver's readings that were committed last before this start, with mid != 0, oldest first. */
        void (*recent)(struct driver *d, void (*each)(void *ctx, const struct reading *r), void *ctx);
};

static inline int driver_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        return d->host->emit(d, r, n, may_wait);
}

#endif
