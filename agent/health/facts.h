/*
 * facts: what health is judged from, and the judge.
 *
 * The agent fills struct health_facts (agent/conditions.c); health_judge holds
 * the conditions that follow.  Pure: no clock, no file, no library.  All is
 * borrowed for the call.  What has to be compared with the last round (has it
 * moved since?) is in struct health_memory, all zero at first.
 */
#ifndef MILLRACE_HEALTH_FACTS_H
#define MILLRACE_HEALTH_FACTS_H

#include "agent/base/tags.h"
#include "agent/health/health.h"
#include "agent/host.h"
#include "store/spool.h"
#include "uplink/uplink.h"

/* A file that a source or Kafka shows or trusts. */
struct health_certificate {
        const char *path;
        const char *user;     /* "mqtt plant", "kafka" */
        int64_t not_after_us; /* wall clock */
};

struct health_facts {
        struct rt_time now;
        const char *gateway;

        const struct spool_conf *spool_conf;
        struct spool_counts spool;
        uint64_t n_dropped;      /* since start, of those that nothing else tells (health_drop_is_told) */
        const char *drop_reason; /* of the last of them; "" */

        const struct kafka_conf *kafka;
        struct uplink_status uplink;

        const struct host_source *sources;
        size_t n_sources;
        struct tags_counts tags;

        uint64_t n_turned;        /* tags that were numbers and brought a text */
        const char *turned;       /* "source/tag", the last of them; "" */
        bool notifies, notify_up; /* alarms over MQTT */

        bool config_refused, config_partly;
        int64_t config_at_us;     /* wall clock, of the last reload */
        const char *config_fault; /* the first, a line; "" */
        const char *restart_keys; /* separated by ", "; "" */

        const struct health_certificate *certificates;
        size_t n_certificates;

        double flash_day_bytes; /* forecast */
        uint64_t flash_budget_bytes;
        double flash_slowdown;
        bool clock_unsynced;
};

/* A counter, and when it rose last. */
struct health_rise {
        uint64_t seen, by;
        int64_t at_us; /* monotonic; 0: not since the first round */
        bool known;
};

/*
 * A time of the wall clock, and what it was on the monotonic one when it was
 * first told.
 */
struct health_time {
        int64_t wall_us, mono_us;
};

struct health_memory {
        struct health_time full, config;
        int64_t filling_us; /* monotonic: told, and so then; 0: not told */
        struct health_rise dropped, dead_lettered, answers, turned;
        int64_t took_us;      /* an answer of late, the longest */
        int64_t out_since_us; /* monotonic: records are out, and none was answered since */
        int64_t paused_told_us;
};

/*
 * What goes for this reason of the ledger is told by another condition, or is
 * what somebody wanted.
 */
bool health_drop_is_told(const char *reason);

void health_judge(struct health *h, struct health_memory *m, const struct health_facts *f);

/* ---- ways.c ---- */

/*
 * What to do about `why`, which `kind` (a driver's, "kafka", "spool", "device
 * of …") says.  Names of what it is about, each may be NULL: they stand for
 * {item}, {where}, {device}, {gateway} in the table.
 */
struct health_names {
        const char *kind, *item, *where, *device;
};
void health_way(struct health_condition *c, const struct health_names *of, const char *why);

#endif
