/*
 * status_watch: `millrace status --watch`: the same page again and again.
 */
#ifndef MILLRACE_CLI_STATUS_WATCH_H
#define MILLRACE_CLI_STATUS_WATCH_H

#include "agent/cli/open.h"

/*
 * Shows what `show` prints, every two seconds until ^C; what it answered last.
 */
int status_watch(struct cli *c, int (*show)(struct cli *c, const struct places *places), const struct places *places);

#endif
