/*
 * host: runs the drivers.  Poll periods (staggered, with overruns counted),
 * reconnect backoff with jitter, link events, pausing, and the drivers' upcalls
 * into the pipeline.  Loop thread.
 *
 * A driver's life: init → start → (link_up | link_down → backoff → start)* →
 * stop → stopped → fini.
 */
#ifndef MILLRACE_AGENT_HOST_H
#define MILLRACE_AGENT_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/text.h"
#include "agent/pipeline.h"
#include "drivers/driver.h"

struct host;

struct host *host_new(struct rt *rt, struct pipeline *pipeline, struct spool *spool, struct tags *tags,
                      const char *gateway);

/*
 * Makes a driver from one configured item; once host_start was called, it is
 * started as well. 0, or -1 with a sentence.
 */
int host_add(struct host *h, const struct driver_ops *ops, const char *name, const void *conf, struct err *e);

void host_start(struct host *h);

/* ---- while it runs: drivers leave, then others take their places ---- */

/*
 * These `n` end, what they handed over is on disk, their last acknowledgements
 * are out. Names that are not there are fine.
 */
void host_retire(struct host *h, const char *const *names, size_t n, void (*on_retired)(void *ctx), void *ctx);
/*
 * After on_retired: another one in its place, or as one more; -1 with a
 * sentence: the old one is gone all the same.
 */
int host_replace(struct host *h, const struct driver_ops *ops, const char *name, const void *conf, struct err *e);
void host_remove(struct host *h, const char *name);
bool host_has(const struct host *h, const char *name);

/* Acknowledgements to sources may be held so many times longer. */
void host_slow_acks(struct host *h, double times);

/*
 * true: the spool takes nothing more (when_full: block); false: it does again.
 * Also wakes those that were told to wait.
 */
void host_pause(struct host *h, bool on);
void host_room(struct host *h);
void host_commits(struct host *h); /* see driver_ops.commits */

/*
 * Commits do not get through, or do again: sources that wait for one are shown
 * as paused, and may leave their broker.
 */
void host_disk(struct host *h, bool fails);

void host_stop(struct host *h, void (*on_stopped)(void *ctx), void *ctx);
void host_free(struct host *h);

/* Tags were forgotten, and with them devices that nobody configures. */
void host_tags_forgotten(struct host *h);

/* Once a second: the loads of buses, and errors that are over. */
void host_each_second(struct host *h);
/*
 * Before drivers are shown: what they said since the last second has its time.
 */
void host_look_at_errors(struct host *h);

/* For status: the i-th driver, NULL behind the last. */
const struct driver *host_driver(const struct host *h, size_t i);

/* One of several devices behind a driver. */
struct host_device {
        char name[TEXT_NAME_MAX + 1];
        char why[120];    /* while it is down */
        int64_t since_us; /* monotonic: up or down since then; 0: nothing was heard of it yet */
        bool down;
};

/* A counter, and when it rose last (monotonic; 0: not since start). */
struct host_rise {
        uint64_t seen;
        int64_t at_us;
};

/* What the host knows of a driver; times are monotonic, 0: not so. */
struct host_source {
        const struct driver *d;
        const struct tags_item *tags; /* NULL: it has none from the wire */
        int64_t state_since_us, down_since_us, paused_since_us;
        bool was_down;           /* it is not connected, and that was told */
        int64_t error_since_us;  /* last_error */
        bool error_is_malformed; /* what came could not be read; else something failed */
        uint64_t n_malformed;    /* so many since then */
        const struct host_device *devices;
        size_t n_devices, n_down;
        struct host_rise late, owned, mapped; /* polls that were skipped; names of another item; that were changed */
};
bool host_source(const struct host *h, size_t i, struct host_source *out); /* false behind the last */
const char *host_state_name(const struct driver *d);

#endif
