/*
 * forget: tags that an operator wants to be forgotten, and what speaks against
 * it.  Loop thread.
 */
#ifndef MILLRACE_CONTROL_FORGET_H
#define MILLRACE_CONTROL_FORGET_H

#include <jansson.h>

#include "agent/agent.h"

struct forget_counts {
        size_t forgotten;
        size_t configured, held, alarms, used; /* that stay: used since `unused_before` */
        size_t unknown;
        size_t full; /* so many are forgotten since start that no more can be */
};

/*
 * {"tags": [[source, tag, labels], …], "unused_before": microseconds or 0}.
 * NULL, or what is wrong with it.  On disk after a spool_sync.
 */
const char *forget_tags(struct agent *a, const json_t *request, struct forget_counts *out);

/*
 * Once a second: what was forgotten is told, and the rules look at the tags
 * that are left.
 */
void forget_settle(struct agent *a);

#endif
