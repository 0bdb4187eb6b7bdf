/*
 * agent: the wiring of one gateway: drivers → pipeline → spool → uplink.
 *
 * Used by the daemon (main.c: libuv, Kafka) and by the simulation (tests/sim:
 * virtual clock, a sink that fails on purpose), so that both run the same
 * house.  Loop thread; the configuration, runtime and sink outlive it, and with
 * agent_reconfigure every configuration of which agent_uses is true.
 */
#ifndef MILLRACE_AGENT_AGENT_H
#define MILLRACE_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/alarms/notifiers.h"
#include "agent/books.h"
#include "agent/certificates.h"
#include "agent/clock.h"
#include "agent/conditions.h"
#include "agent/config/config.h"
#include "agent/control/requeue.h"
#include "agent/host.h"
#include "agent/pipeline.h"
#include "agent/reload/plan.h"
#include "agent/shares.h"
#include "agent/sign.h"
#include "uplink/uplink.h"

enum { RATE_SECONDS = 10 };

/*
 * Dropped ranges are told in one event per reason and interval, not one per
 * range.
 */
struct drop_note {
        uint64_t n, first_seq, last_seq;
        char reason[32];
};

/* What came of reading the configuration again; for status. */
struct reload_report {
        uint64_t n_applied, n_refused;
        bool refused;                      /* the last time */
        int64_t at_us;                     /* wall clock, of the last time; 0: never */
        char *faults;                      /* of the last time, one a line; NULL: none */
        const char *keys[RELOAD_KEYS_MAX]; /* that differ in the files and need a restart */
        size_t n_keys;
};

struct agent {
        struct rt *rt;
        const struct config *conf;
        char *gateway; /* what the house is built with, whatever configuration is in use */
        struct reload_report reload;
        bool spool_high; /* what the spool said last */
        struct tags *tags;
        struct spool *spool;
        struct alarms *alarms;
        struct thinning *thinning; /* NULL: nothing is left out */
        struct notifiers notifiers;
        struct pipeline pipeline;
        struct host *host;
        struct sink *sink;
        struct uplink *uplink;
        struct requeue *requeue;
        struct shares shares;
        size_t n_forgotten;      /* tags, not told yet */
        int64_t forgotten_us;    /* monotonic, when the last of them was */
        struct signer *signer;   /* of the seals in heartbeats; NULL: they are not signed */
        struct kafka_conf kafka; /* conf->kafka with a window that fits the spool */
        int64_t started_us;      /* monotonic */

        struct rt_timer each_second, heartbeat;
        struct {
                uint64_t accepted, delivered;
                int64_t mono_us;
        } past[RATE_SECONDS + 1]; /* a ring, one entry a second */
        unsigned n_past;

        struct flash flash;
        struct clock clock;
        uint64_t first_seq,
                seq_at_update; /* above first_seq: of this run; appended when the clock was last looked at */

        struct conditions conditions;
        struct books books;
        struct certificates certificates;
        struct drop_note dropped;
        uint64_t n_dropped; /* since start, what no other condition tells (health_drop_is_told) */
        char drop_reason[32];
        int64_t dropped_told_us;
        uint64_t io_bytes_at_start, io_bytes_at_midnight;
        int64_t day; /* since 1970, of io_bytes_at_midnight */

        void (*on_stopped)(void *ctx);
        void *ctx;
        int64_t stop_by_us;
        bool stopping;
        struct rt_timer last_rows; /* stopping: until the uplink has sent what it can */
        struct spool_sync last_sync;
};

/*
 * Opens the spool, makes drivers and uplink; nothing runs before agent_start.
 * Blocking.
 */
int agent_open(struct agent *a, struct rt *rt, const struct config *conf, struct sink *sink, struct err *e);
void agent_start(struct agent *a);

/*
 * Drivers end, what they handed over is committed, the uplink gets up to
 * `within_us` for what is out; then on_stopped.
 */
void agent_stop(struct agent *a, int64_t within_us, void (*on_stopped)(void *ctx), void *ctx);

/* Commits the rest. Blocking; false when something could not be committed. */
bool agent_close(struct agent *a);

/* What kill -9 would leave. For the simulation. */
void agent_abandon(struct agent *a);

/* ---- agent/reload/apply.c: another configuration while it runs ---- */

/*
 * Drivers that change or go end; then on_retired, after which agent_reconfigure
 * follows at once.
 */
void agent_retire(struct agent *a, const struct reload_plan *plan, void (*on_retired)(void *ctx), void *ctx);
/*
 * All follows `is`, which differs by `plan` and not in what needs a restart;
 * drivers that did not change go on.  `kafka`: NULL, or what the sink takes
 * over.  0, or -1: a driver can't be made any more, each is told in the log and
 * by `fault`.
 */
int agent_reconfigure(struct agent *a, const struct config *is, const struct reload_plan *plan,
                      struct kafka_next *kafka, void (*fault)(void *ctx, const char *words), void *ctx);
/* Something still uses the memory of this one. */
bool agent_uses(const struct agent *a, const struct config *c);

/* What agent.c and agent/reload/apply.c share. */
void agent_watch_conf(struct agent *a, struct alarms_conf *out);
void agent_kafka_conf(struct agent *a);
void agent_set_interval(struct agent *a);

/* ---- control/status.c ---- */

void status_each_second(struct agent *a);
uint64_t status_bytes_written(void);          /* by this process, so far */
char *status_json(struct agent *a);           /* the object of `millrace status --json`; free() it */
char *status_heartbeat_json(struct agent *a); /* flat, for the status topic; free() it */

#endif
