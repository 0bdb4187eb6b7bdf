/*
 * host_impl: what the two rooms of the host share.  host.c: polling, pausing,
 * the drivers' upcalls; host_life.c: how drivers come and go.  Nobody else
 * includes this.
 */
#ifndef MILLRACE_AGENT_HOST_IMPL_H
#define MILLRACE_AGENT_HOST_IMPL_H

#include "agent/base/backoff.h"
#include "agent/base/text.h"
#include "agent/host.h"

/* What the host knows of a driver's last_error. */
struct host_error {
        char seen[200]; /* as it was when last looked at */
        uint64_t n_seen, n_errors_seen;
        uint64_t n_malformed_before; /* when nothing stood yet */
        int64_t seen_us, since_us;   /* monotonic, when it was news; when the first of them was */
        bool good_since;             /* a good reading came since then */
        bool stood;                  /* the driver said that it stands */
        bool malformed;              /* nothing failed, but what came can't be read */
};

/* host_devices.c */
struct host_devices {
        struct host_device *v;
        size_t n, n_down;
};

struct host_slot {
        struct driver d;
        struct host *host;
        struct rt_timer timer; /* the next poll, or the next try to connect */
        struct backoff backoff;
        struct spool_sync spool_sync; /* for the driver's, below */
        struct driver_sync *sync;     /* NULL: none is waited for */
        int64_t next_poll_us, down_since_us, paused_since_us, state_since_us;
        struct host_error error;
        struct host_devices devices;
        struct host_rise late_polls, owned, mapped;
        bool started, stopped;
        bool late;                      /* made while others run */
        bool leaves;                    /* it is to stop while they go on */
        bool waits_for_room;            /* emit said so */
        bool waits_for_disk;            /* it takes nothing more before what it brought is durable */
        bool told_down;                 /* an event "down" is out that wants its "up" */
        char scope[TEXT_NAME_MAX + 16]; /* "mqtt plant", for the log */
};

struct host {
        struct rt *rt;
        struct pipeline *pipeline;
        struct spool *spool;
        struct tags *tags;
        const char *gateway;
        struct host_slot **slot;
        size_t n;
        double ack_slowdown;
        bool running, spool_blocks, disk_fails, stopping;
        void (*on_stopped)(void *ctx);
        void *ctx;
        struct rt_timer retired; /* those that were to leave have: told from here, not from within a driver */
        void (*on_retired)(void *ctx);
        void *retired_ctx;
};

/* host.c */
extern const struct driver_host host_upcalls;
void host_on_timer(struct rt_timer *t); /* of a slot */
void host_pause_update(struct host_slot *s);

/* host_errors.c */
void host_errors_look(struct host_slot *s, const struct rt_time *now);
void host_errors_emitted(struct host_slot *s, const struct reading *r, size_t n);
void host_errors_over(struct host_slot *s);

/* host_devices.c */
void host_devices_init(struct host_slot *s); /* those that the configuration names */
void host_devices_told(struct host_slot *s, const char *source, bool down, const char *why);
/* It was told as down, and is not listed any more; false: it was not. */
bool host_devices_forget(struct host_slot *s, const char *source);
void host_devices_leave(struct host_slot *s); /* the driver is removed, or another takes its place */
void host_devices_fini(struct host_slot *s);

void host_set_state(struct host_slot *s, enum driver_state state);

/* host_life.c: a driver has stopped */
void host_check_stopped(struct host *h);

#endif
