/*
 * notify_exec: a program of the operator's own for every alarm that is told.
 * Loop thread.
 *
 * It gets the configured arguments and one JSON object with a newline on its
 * standard input; no shell is between, and what is in the JSON never becomes an
 * argument.  One runs at a time; at most 64 wait, the rest is counted.
 */
#ifndef MILLRACE_ALARMS_NOTIFY_EXEC_H
#define MILLRACE_ALARMS_NOTIFY_EXEC_H

#include "agent/alarms/alarms.h"
#include "agent/config/alarm_sections.h"

struct notify_exec;

struct notify_exec_counts {
        uint64_t started, failed, timed_out, not_run; /* failed: could not be started, or its exit status was not 0 */
        size_t waiting;
};

struct notify_exec *notify_exec_new(struct rt *rt, const struct notify_exec_conf *conf);
/*
 * For those that are told from now on; what waits is still run, by the new
 * command.
 */
void notify_exec_reconfigure(struct notify_exec *n, const struct notify_exec_conf *conf);
void notify_exec_free(struct notify_exec *n); /* NULL is fine; a program that runs is left alone */
struct alarm_notifier *notify_exec_notifier(struct notify_exec *n);
void notify_exec_counts(const struct notify_exec *n, struct notify_exec_counts *out);

#endif
