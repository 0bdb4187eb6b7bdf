/*
 * requests: what a client of the control socket may ask of a running agent:
 * `status`, `send`, `alarms`, `alarm_cmd`, `requeue`, `purge`, `forget`.  Loop
 * thread.
 */
#ifndef MILLRACE_CONTROL_REQUESTS_H
#define MILLRACE_CONTROL_REQUESTS_H

#include "agent/agent.h"
#include "agent/control/socket.h"

struct daemon;

struct daemon *daemon_open(struct agent *a, const char *socket_path, struct err *e);
void daemon_close(struct daemon *d);

#endif
