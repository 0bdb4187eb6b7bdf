/*
 * again: the daemon begins anew as the same process, for what only a start can
 * do: rescue a spool that is damaged.
 */
#ifndef MILLRACE_AGENT_AGAIN_H
#define MILLRACE_AGENT_AGAIN_H

#include <stdbool.h>
#include <stdnoreturn.h>

/* Before anything else; `argv` is the process's and stays. */
void again_remember(char **argv);

/*
 * What is in memory only is gone, as after kill -9.  Nobody remembered, or the
 * program is not there any more: aborts, and whoever watches starts it.  Who
 * was told to end (`stopping`) ends with 1: the next start does it.
 */
noreturn void again_now(bool stopping);

#endif
