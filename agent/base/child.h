/*
 * child: starts a program of the administrator's.  Any thread; may take a while
 * on a small board, so not the loop's.
 */
#ifndef MILLRACE_BASE_CHILD_H
#define MILLRACE_BASE_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/err.h"

/*
 * argv[0] is a path. It is a process group of its own, with an empty signal
 * mask, nothing of our environment but PATH, and of our files these three; -1:
 * /dev/null. 0 and *pid, which the caller waits for, or an errno.
 */
int child_start(pid_t *pid, char *const argv[], int in, int out, int errors);

/*
 * Runs it to its end and takes what it writes, at most cap - 1 bytes, ended by
 * a NUL.  Blocking, at most timeout_us: then its group is killed.  The length,
 * or -1 with a sentence that has the last line of what it wrote on stderr.
 */
long child_read(char *const argv[], int64_t timeout_us, char *out, size_t cap, struct err *e);

#endif
