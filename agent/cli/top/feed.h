/*
 * feed: the spool's file beside the daemon, looked at once a second for what
 * came since.
 */
#ifndef MILLRACE_CLI_TOP_FEED_H
#define MILLRACE_CLI_TOP_FEED_H

#include <sys/types.h>

#include "agent/cli/top/seen.h"

struct feed {
        const char *path;
        struct spool_query *q; /* NULL: to be opened (again) */
        ino_t inode;
        uint64_t last_seq[SPOOL_LANES]; /* looked at up to here */
};

/* `now_us`: wall clock. 0, or -1 and why the file can't be read. */
int feed_look(struct feed *f, struct seen *seen, int64_t now_us, struct err *e);
void feed_close(struct feed *f);

#endif
