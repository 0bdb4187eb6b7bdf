/*
 * set_back: LD_PRELOAD for a wall clock that is an hour ahead (or AHEAD_S seconds) until the file named in SET_BACK is
 * there: then it is set right, which is an hour back. The monotonic one does not move, and what the kernel counts on
 * the wall clock itself waits for the hour, as it does after a real step. For the tests.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t ahead(void)
{
        const char *file = getenv("SET_BACK"), *by = getenv("AHEAD_S");

        return file && access(file, F_OK) == 0 ? 0 : by ? (time_t)atoll(by) : 3600;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
        int rc = (int)syscall(SYS_clock_gettime, clock, t);

        if (rc == 0 && clock == CLOCK_REALTIME)
                t->tv_sec += ahead();
        return rc;
}

int timespec_get(struct timespec *t, int base)
{
        return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0;
}

int gettimeofday(struct timeval *t, void *zone)
{
        struct timespec now;
        int rc = clock_gettime(CLOCK_REALTIME, &now);

        t->tv_sec = now.tv_sec;
        t->tv_usec = now.tv_nsec / 1000;
        return rc;
}

time_t time(time_t *out)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        if (out)
                *out = now.tv_sec;
        return now.tv_sec;
}
