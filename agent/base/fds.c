/*
 * fds: a program that was started with 0, 1 or 2 closed gets those numbers for
 * the next files it opens: its log would go into the spool, and who closes or
 * replaces a standard stream takes an epoll or a database away.
 *
 * Standard output comes back read-only: what is written to it fails as it did,
 * and is told as output that could not be written, instead of being lost with
 * status 0.
 */
#include "agent/base/fds.h"

#include <fcntl.h>
#include <unistd.h>

void fds_fill(void)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                if (fcntl(fd, F_GETFD) >= 0)
                        continue;
                /* the lowest free number is this one: those below are taken */
                if (open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) < 0)
                        (void)!open("/", O_PATH);
        }
}
