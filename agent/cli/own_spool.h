/*
 * own_spool: a spool that no daemon has, opened by the tool to be changed: as
 * the daemon would open it, on a clock of its own (rt_sim: nothing else is
 * waited for), and by its owner: what root would leave beside it could not be
 * opened by the daemon afterwards.
 */
#ifndef MILLRACE_CLI_OWN_SPOOL_H
#define MILLRACE_CLI_OWN_SPOOL_H

#include "agent/base/err.h"
#include "agent/base/rt_sim.h"
#include "store/spool.h"

struct own_spool {
        struct rt_sim sim;
        struct tags *tags;
        struct spool *spool;
        const char *path;
};

/* 0, or -1 with a sentence: then there is nothing to close. */
int own_spool_open(struct own_spool *o, const char *path, const char *gateway, int64_t now_us, struct err *e);
void own_spool_step(struct own_spool *o); /* until the next commit */
int own_spool_close(struct own_spool *o, struct err *e);

#endif
