/*
 * powercut_world: a life of one spool file with all that uses it: a source, the real uplink and the real requeue
 * against a made-up Kafka, an operator who purges, clocks that are set right.
 *
 * What Kafka took, what was told and what was promised is remembered by seq; powercut_check.c holds the file against
 * it.  One thread.
 */
#ifndef MILLRACE_TESTS_POWERCUT_WORLD_H
#define MILLRACE_TESTS_POWERCUT_WORLD_H

#include <inttypes.h>

#include "agent/base/rt_sim.h"
#include "agent/control/requeue.h"
#include "store/spool.h"
#include "tests/lib/fake_sink.h"
#include "tests/lib/temp_dir.h"
#include "uplink/uplink.h"

enum { MOST = 400000, N_TAGS = 7 };

/* Known of a seq. */
enum {
        TAKEN = 1,  /* Kafka has it */
        RESENT = 2, /* as a dead letter that was sent again */
        TOLD = 4,   /* that it was dropped */
};

struct world {
        struct fake_sink kafka; /* first */
        struct rt_sim sim;
        uint64_t seed, file_seed;
        const struct temp_dir *dir;
        char path[TEMP_PATH_MAX];
        struct spool_conf conf;
        struct kafka_conf kafka_conf;
        struct tags *tags;
        struct spool *spool;
        struct uplink *uplink;
        struct requeue *requeue;
        struct spool_sync sync;
        bool syncing;
        uint64_t sync_seq[SPOOL_LANES], durable[SPOOL_LANES]; /* durable: promised */
        uint64_t heaviest;
        bool slow;      /* Kafka is away most of the time, and nobody purges much: the file fills up */
        bool takes_all; /* Kafka: poison is none any more */

        uint64_t n; /* seqs of readings that were given */
        uint64_t n_events;
        int64_t *value, *arrival_us;
        int64_t *moved_us;            /* by a repair that was asked for; 0: none was */
        uint8_t *known[SPOOL_LANES];  /* TAKEN ... */
        uint32_t *print[SPOOL_LANES]; /* of the record that was made of it; 0: none was */
        uint8_t *fate;                /* powercut_check.c's */
        bool unsynced;                /* the clock, in this session */
        uint64_t since;
        bool migrating;
        uint64_t epoch;
        uint64_t cuts_left; /* of this file */
};

struct powercut_seen {
        uint64_t cuts, in_open, in_wal, in_db, in_names, in_sync, in_truncate;
        uint64_t drops, thinned, vacuums, lost_unpromised, migrations, in_migration;
        uint64_t repairs, moved;
        uint64_t taken, twice, survived, purges, purged, dead, resent, most_ahead, switched;
};
extern struct powercut_seen seen;

#define CHECK(w, cond)                                       \
        do {                                                 \
                if (!(cond))                                 \
                        wrong(w, __FILE__, __LINE__, #cond); \
        } while (0)
_Noreturn void wrong(struct world *w, const char *file, int line, const char *what);

/* A random number of the file's own. */
uint64_t below(struct world *w, uint64_t n);
uint64_t next(struct world *w);

void world_init(struct world *w, uint64_t seed, const struct temp_dir *dir);
void world_fini(struct world *w);

void world_choose_conf(struct world *w);
bool world_open(struct world *w); /* false: the power went again */
void world_leave(struct world *w);
void world_step(struct world *w);
void world_append(struct world *w);

/* All that was promised is there, and the file agrees with what is known; then what was lost is forgotten. */
void powercut_check(struct world *w);
void powercut_forget_lost(struct world *w);

#endif
