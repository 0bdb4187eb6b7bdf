/*
 * driver: what a source of readings is, seen from the agent.
 *
 * A driver turns bytes into readings (pure, in a file of its own) and moves the
 * bytes (a short I/O file).  The host (agent/host.c) owns poll periods with
 * jitter and overrun counts, reconnect backoff, link events and counters.
 *
 * Thread: all on the loop thread; nothing here may block.  Ownership: `conf`
 * outlives the driver; readings and their text are borrowed for the call.
 * Adding a driver: CONTRIBUTING.md, "A new driver".
 *
 * What a driver says when, so that an operator reads the same of all of them.
 * It is never silent about a tag that it can't read, and never says 0 for one.
 *
 *   situation                what is said, and with what    over when
 *   the source is gone:      its tags bad/not_connected     link_up: an event,
 *   unplugged, refused,      once: driver_bad; link_down:   and start's next
 *   it never was there       error, last_error, an event;   readings
 *                            the host starts again later
 *   one of several devices   its tags bad/not_connected;    device_event "up",
 *   behind the source is     device_event "down": one for   by the driver
 *   gone                     all of its tags
 *   no answer in time, or    the tags that were asked for   the tag's next value
 *   an error for one         bad/comm_failure;
 *                            driver_error
 *   garbage: what came       no reading, when it is not     the next that can
 *   can't be read at all     known whose; else bad/sensor;  be read
 *                            driver_refuse: malformed,
 *                            last_error, a few examples
 *                            in the quarantine
 *   one value of a sound     that tag bad/sensor, or        the tag's next value
 *   message can't be read    bad/out_of_range
 *   a sound message lacks    no reading; n_absent           -
 *   a value
 *   asked for what the       bad/config; driver_error       the configuration is
 *   source does not have                                    another
 *   no room for a tag        driver_tag: DRIVER_NO_TAG,     tags are forgotten, or
 *                            only at a million of rows;     the bound is another
 *                            from the wire: TAGS_E_FULL;
 *                            its readings are counted:
 *                            n_untagged (driver_tagged)
 *   a source from the wire   TAGS_E_OWNED: no reading;      the configuration is
 *   that is another item's   n_untagged, the quarantine     another
 *                            with tags_why()
 *   the spool has no room    may_wait: DRIVER_E_WAIT, keep  pause(false)
 *                            it and stop reading; else the
 *                            host drops, counts and names
 *   a poll, and the last     n_overruns; nothing is asked   -
 *   one is still under way   twice (late polls are the
 *                            host's to count)
 *   stop                     nothing more; stopped, at      -
 *                            once or when what is under
 *                            way has ended
 *
 * Bad is said once where the source speaks by itself; one that is polled may
 * say it at each poll.  A driver never clears last_error: the host gives it a
 * time, and ends it when it is over (host_errors.c).
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

/*
 * Who hears which names an item has: once for each source and tag; `tag` NULL:
 * those of this source come from the wire.  `field` is what in the item says
 * so.
 */
struct driver_names {
        void (*each)(struct driver_names *to, const char *source, const char *tag, const void *field);
        int64_t period_us; /* set by the item before: how often it asks for them; 0: they come by themselves */
};

struct driver_ops {
        const char *kind;            /* "mqtt": also the configuration's section */
        const struct schema *schema; /* of one item of that section */
        /* The names that the item's configuration says; its sources are the item's. Pure. */
        void (*names)(const void *conf, struct driver_names *to);
        /*
         * How many tags it may make of names from the wire: what the item says, else `usual`; 0: it makes none.  NULL:
         * none of this kind does.
         */
        size_t (*share)(const void *conf, size_t usual);
        /*
         * What is asked for and never came since init: how many, and their names for people in `out`, separated by
         * ", ". NULL: nothing of the kind.
         */
        size_t (*silent)(const struct driver *d, char *out, size_t cap);
        /*
         * Tags were forgotten: device_event "forgotten" for each device of the wire that is down and has no tag any
         * more.  NULL: it has none of the wire.
         */
        void (*forgotten)(struct driver *d);
        size_t where;     /* offset in conf of what says where the source is, a const char *; 0: nothing does */
        bool has_devices; /* each source that names() tells is one that device_event speaks of */
        /* Makes d->priv from d->conf; no I/O. 0 or -1 with a sentence. */
        int (*init)(struct driver *d, struct err *e);
        /* Begins or, after link_down, tries again when the host's backoff says so. */
        void (*start)(struct driver *d);
        /* One period is over (drivers with d->period_us > 0); NULL for those that are pushed to. */
        void (*poll)(struct driver *d);
        /* A commit begins anyway: who holds acknowledgements asks for its sync now. NULL: none of this kind does. */
        void (*commits)(struct driver *d);
        /* true: take nothing more from the source until false. May come at any time, also twice. */
        void (*pause)(struct driver *d, bool on);
        /* Ends all I/O; calls host->stopped when nothing is under way any more (at once, or later). */
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
        /*
         * By the driver: values a message did not hold, names that were changed, readings whose tag had no room or was
         * another item's, messages that the configuration leaves out.
         */
        uint64_t n_absent, n_mapped, n_untagged, n_ignored;
        /* Of a bus, by the driver: how long it was busy; by the host: its share of the last seconds. */
        bool is_bus;
        int64_t busy_us, busy_seen_us;
        /* Of a bus, by the driver: what came that was not the answer. */
        uint64_t n_late, n_mismatched, n_crc, n_garbage;
        double load;
        char last_error[200];  /* what stands now; "": nothing */
        int64_t last_error_us; /* by the host: wall clock, when it was seen last; 0: not yet, or nothing stands */
        bool fault_stands;     /* last_error is of what failed: what can't be read is counted, and not said */
        bool error_stands;     /* by the driver: it ends when this is false again, or with the next link_up */
        bool paused;
        uint32_t commits_window; /* so few messages may be under way that commits are small, and many; 0: not so */
        double ack_slowdown;     /* by the host, 1 and up: acknowledgements may be held so many times longer */
};

enum { DRIVER_E_WAIT = 1 };

/*
 * Durable-notice: embedded in the driver, one for each; on_durable runs once
 * all that was emitted before `sync` is on disk.
 */
struct driver_sync {
        struct driver *d;
        void (*on_durable)(struct driver *d);
        bool waiting;
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
        /*
         * One of several devices behind the driver: "up", "down" or "forgotten", why. One event instead of one alarm
         * per tag.
         */
        void (*device_event)(struct driver *d, const char *source, const char *state, const char *why);
        /* The driver's readings that were committed last before this start, with mid != 0, oldest first. */
        void (*recent)(struct driver *d, void (*each)(void *ctx, const struct reading *r), void *ctx);
};

/* "mqtt://h:1883", "/dev/ttyUSB0": for people. NULL: nothing of the kind. */
static inline const char *driver_where(const struct driver *d)
{
        return d->ops->where ? *(const char *const *)((const char *)d->conf + d->ops->where) : NULL;
}

static inline int driver_emit(struct driver *d, const struct reading *r, size_t n, bool may_wait)
{
        return d->host->emit(d, r, n, may_wait);
}

/* ---- what the table above says, for a driver to call ---- */

enum { DRIVER_NO_TAG = UINT32_MAX };

/*
 * A tag that the configuration names (ops->names tells it), or DRIVER_NO_TAG
 * when there is no room for it.  From start() on: before it the spool has not
 * loaded those it knows.  A unit of NULL is none.  Names from the wire:
 * tags_intern.
 */
uint32_t driver_tag(struct driver *d, const char *source, const char *name, const char *unit);

/*
 * Keeps those that have a tag, in order, and counts the others; how many are
 * left.
 */
size_t driver_tagged(struct driver *d, struct reading *r, size_t n);

/* Nothing but its tag and times; the value and its quality are the caller's. */
static inline struct reading driver_reading(uint32_t tag, int64_t wall_us)
{
        return (struct reading){.ts_us = wall_us, .arrival_us = wall_us, .tag = tag};
}

/* Readings without a value, now, of those of the tags that are some. */
void driver_bad(struct driver *d, const uint32_t *tags, size_t n, enum quality quality);

/* Counts an error, and keeps the sentence as the last one. */
void driver_error(struct driver *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Counts what came as malformed; last_error is "origin: reason", unless a fault
 * stands there.
 */
void driver_malformed(struct driver *d, const char *origin, const char *reason);

/*
 * The same, and it is kept in the quarantine when it is one of the examples:
 * the first twenty, then one in half a minute, so that a noisy line does not
 * wear out the flash.
 */
struct driver_examples {
        int n_kept; /* not yet made up for by time */
        int64_t since_us;
};

void driver_refuse(struct driver *d, struct driver_examples *x, const char *origin, const char *reason,
                   const void *payload, size_t len);

#endif
