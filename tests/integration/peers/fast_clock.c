/*
 * fast_clock: LD_PRELOAD for a wall clock that runs FAST_CLOCK times as fast from the start on; the monotonic one does
 * not. For the tests.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct timespec began;
static long times = 1;

__attribute__((constructor)) static void begin(void)
{
        const char *say = getenv("FAST_CLOCK");

        syscall(SYS_clock_gettime, CLOCK_REALTIME, &began);
        times = say ? atol(say) : 1;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
        int rc = (int)syscall(SYS_clock_gettime, clock, t);
        long long ns;

        if (rc != 0 || clock != CLOCK_REALTIME)
                return rc;
        ns = ((t->tv_sec - began.tv_sec) * 1000000000LL + t->tv_nsec - began.tv_nsec) * times + began.tv_nsec;
        t->tv_sec = began.tv_sec + ns / 1000000000;
        t->tv_nsec = ns % 1000000000;
        return 0;
}
