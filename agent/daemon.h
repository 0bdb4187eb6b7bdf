/*
 * daemon: what a client of the control socket may ask of a running agent: `status`, `send`.  Loop thread.
 */
#ifndef MILLRACE_AGENT_DAEMON_H
#define MILLRACE_AGENT_DAEMON_H

#include "agent/agent.h"
#include "agent/control.h"

struct daemon;

struct daemon *daemon_open(struct agent *a, const char *socket_path, struct err *e);
void daemon_close(struct daemon *d);

#endif
