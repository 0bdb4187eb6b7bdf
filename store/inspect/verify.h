/*
 * verify: is all of a spool as it should be?  For `millrace spool verify` and
 * the tests; reads only.
 *
 * Works on a live file (in slices; SQLite's own check of all pages only when
 * asked for, as it would hold up the daemon's checkpoints), on a copy, and on
 * one that was moved aside.  Thread: any one; blocking.
 */
#ifndef MILLRACE_STORE_INSPECT_VERIFY_H
#define MILLRACE_STORE_INSPECT_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"

struct spool_verify {
        const char *path;
        bool pages; /* SQLite's check of every page, too */
        void (*on_fault)(void *ctx, const char *what);
        void (*on_progress)(void *ctx, double part); /* 0..1; may be NULL */
        void *ctx;
        /* Result. */
        uint64_t n_faults, n_readings, n_events;
        bool readable; /* by SQLite; else n_readings is what a rescue would find */
};

/*
 * 0: looked at, see n_faults; -1 with a sentence: not a spool, or not
 * reachable.
 */
int spool_verify(struct spool_verify *v, struct err *e);

#endif
