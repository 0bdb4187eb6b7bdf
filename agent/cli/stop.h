/*
 * stop: ^C, SIGTERM and SIGHUP set a mark instead of ending the program, for
 * commands that have something to put in order first.  One thread.
 */
#ifndef MILLRACE_CLI_STOP_H
#define MILLRACE_CLI_STOP_H

#include <stdbool.h>

void stop_arm(void);
bool stop_asked(void);
/* Until there is something to read (or its end): true; false: stop_asked. */
bool stop_wait(int fd);

#endif
