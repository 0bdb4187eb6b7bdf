/*
 * alarms: alarms over the control socket: the list, and an operator's word.
 * Loop thread.
 */
#ifndef MILLRACE_CONTROL_ALARMS_H
#define MILLRACE_CONTROL_ALARMS_H

#include <jansson.h>

#include "agent/alarms/alarms.h"

/*
 * {"alarms":[…]}: those that are not normal, or with `all` every one that ever
 * was.
 */
json_t *alarms_ctl_list(struct alarms *a, bool all);

/*
 * {"action","alarm","operator","comment","for_s"}: NULL when it is done (not
 * yet durable), or what is wrong.
 */
const char *alarms_ctl_command(struct alarms *a, const json_t *request, int64_t now_wall_us);

/* For status: counts of alarms. */
json_t *alarms_ctl_metrics(struct alarms *a);

#endif
