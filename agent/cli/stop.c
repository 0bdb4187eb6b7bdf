/*
 * stop: see stop.h.
 *
 * A read that has no bound must not be entered behind a look at the mark: a
 * signal between the two would be waited out for good.  So there the signals
 * are held off while it is looked, and let in by the call that waits.
 *
 * Fails: never; what can't be waited for is read, which tells why.
 */
#include "agent/cli/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t stopped;

static void on_stop(int signal)
{
        stopped = signal;
}

void stop_arm(void)
{
        struct sigaction a = {.sa_handler = on_stop}, hangup;

        stopped = 0;
        sigaction(SIGINT, &a, NULL);
        sigaction(SIGTERM, &a, NULL);
        if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) /* nohup's stays */
                sigaction(SIGHUP, &a, NULL);
}

bool stop_asked(void)
{
        return stopped != 0;
}

bool stop_wait(int fd)
{
        struct pollfd p = {.fd = fd, .events = POLLIN};
        sigset_t held, before;
        int n = -1;

        sigemptyset(&held);
        sigaddset(&held, SIGINT);
        sigaddset(&held, SIGTERM);
        sigaddset(&held, SIGHUP);
        sigprocmask(SIG_BLOCK, &held, &before);
        do
                n = stopped ? 0 : ppoll(&p, 1, NULL, &before);
        while (n < 0 && errno == EINTR);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return n != 0;
}
