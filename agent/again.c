/*
 * again: see again.h.
 *
 * By executing the program in its own place: threads, memory, descriptors and
 * locks go as they would at an end, and nothing is left half.  Process number,
 * watchdog and readiness stay as the service manager knows them, so it works as
 * well where nobody would start it again.  How it fails: as abort().
 */
#include "agent/again.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/close_range.h>

static char **arguments;

void again_remember(char **argv)
{
        arguments = argv;
}

noreturn void again_now(bool stopping)
{
        fflush(NULL);
        if (stopping)
                _exit(1);
        if (arguments && close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
                execv("/proc/self/exe", arguments);
        abort();
}
