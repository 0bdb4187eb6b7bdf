/*
 * spool_fixture: a spool in virtual time on a real file in a temporary folder.
 *
 *     fixture_init(&T, "spool_x", 7);        the folder, the clock, a conf
 *     T.conf.max_size_bytes = 4 << 20;       what this test wants otherwise
 *     fixture_open(&T);  ...  fixture_close(&T) or fixture_cut_power(&T)
 *     fixture_fini(&T);                      with a power cut if it is open
 *
 * For cmocka tests; what fails fails the test.
 */
#ifndef MILLRACE_TESTS_SPOOL_FIXTURE_H
#define MILLRACE_TESTS_SPOOL_FIXTURE_H

#include "agent/base/rt_sim.h"
#include "store/spool.h"
#include "tests/lib/temp_dir.h"

struct fixture {
        struct temp_dir dir;
        char path[TEMP_PATH_MAX];
        struct rt_sim sim; /* from 2026-11-23T10:00:00Z */
        struct spool_conf conf;
        struct spool_upcalls up; /* count below, until a test puts its own there */
        uint32_t max_tags;
        struct tags *tags;
        struct spool *spool; /* NULL: closed */
        struct err e;        /* why it could not be opened */
        int n_room, n_committed, n_high, n_low, n_fault, n_works;
        uint64_t n_dropped;
        struct spool_fetch fetch; /* a test that fetches gives it its size */
        bool fetched;
};

#define FIXTURE_WALL_US INT64_C(1795428000000000)

/* A spool of 64 MiB, a commit each second, nothing kept of what is delivered. */
void fixture_init(struct fixture *h, const char *name, uint64_t seed);
void fixture_init_in_memory(struct fixture *h, const char *name, uint64_t seed); /* for one that commits a lot */
void fixture_fini(struct fixture *h);

bool fixture_try_open(struct fixture *h);
void fixture_open(struct fixture *h);
void fixture_close(struct fixture *h);
void fixture_cut_power(struct fixture *h);

/* Forgets a spool that was closed or abandoned by hand. */
void fixture_leave(struct fixture *h);
void fixture_run_for(struct fixture *h, int64_t us);

/* That accepted = delivered + held + dropped was checked. */
struct spool_counts fixture_counts(struct fixture *h);

/* Into h->fetch what is behind `seq`; returns how many rows. */
uint32_t fixture_fetch(struct fixture *h, uint64_t seq);

/* Nothing is wrong with the file, page by page. */
void fixture_verify(struct fixture *h);

#endif
