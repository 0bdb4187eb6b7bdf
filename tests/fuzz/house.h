/*
 * house: a whole agent for fuzz targets, in virtual time on files in memory,
 * with a made-up Kafka.
 *
 *     house_init(&h, "control", "alarms: ...");   once in a process
 *     house_keep(&h, &files);                     the spool's files as they are
 *     house_put(&h, &files);  house_open(&h, &e);  ...  house_leave(&h);
 *
 * So each input finds the same files and the same clock, whatever came before.
 * What Kafka gets is held against the contract of records: see house.c.
 */
#ifndef MILLRACE_TESTS_FUZZ_HOUSE_H
#define MILLRACE_TESTS_FUZZ_HOUSE_H

#include <setjmp.h>

#include "agent/agent.h"
#include "agent/base/rt_sim.h"
#include "tests/lib/fake_sink.h"
#include "tests/lib/temp_dir.h"

enum { HOUSE_FILES = 5, HOUSE_WATCHES = 32 };

extern const char *const house_suffixes[HOUSE_FILES]; /* "", -wal, .epoch, .lock, .damaged */

struct house_files {
        char *bytes[HOUSE_FILES]; /* NULL: there is none */
        size_t len[HOUSE_FILES];
};

struct house {
        struct temp_dir dir;
        char path[TEMP_PATH_MAX]; /* of the spool */
        struct rt_sim sim;
        struct rt_ops ops; /* sim's, but for watches: those are polled */
        const struct rt_ops *sim_ops;
        struct rt_watch *watch[HOUSE_WATCHES];
        struct fake_sink kafka;
        struct config *conf;
        struct agent agent;
        bool is_open;
        jmp_buf ended; /* set it: the agent begins anew, as its file is damaged; house_leave, open again */
        bool damaged;  /* the files were: names and texts may be anything */
        uint64_t n_records;
};

/* `sections`: YAML behind gateway, spool and kafka. */
void house_init(struct house *h, const char *name, const char *sections);

/* 0; or -1, and nothing is open. */
int house_open(struct house *h, struct err *e);
void house_run_for(struct house *h, int64_t us);
/* Events of what is watched, as long as there are any. */
void house_poll(struct house *h);
/* Status, metrics and the list of alarms are whole. */
void house_check_status(struct house *h);
/* In order; what is held stays, when Kafka is away. */
void house_close(struct house *h);
/* As kill -9 would. */
void house_leave(struct house *h);

void house_keep(const struct house *h, struct house_files *f);
/* Nothing else is in the folder then. */
void house_put(struct house *h, const struct house_files *f);
void house_path(const struct house *h, int file, char path[static TEMP_PATH_MAX]);

#endif
