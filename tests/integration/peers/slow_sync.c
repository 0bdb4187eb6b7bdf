/*
 * slow_sync: LD_PRELOAD for a disk whose fsync takes SLOW_SYNC_MS (default 300).  For the tests.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_a_while(void)
{
        const char *ms = getenv("SLOW_SYNC_MS");
        long n = ms ? atol(ms) : 300;
        struct timespec t = {n / 1000, n % 1000 * 1000000};

        nanosleep(&t, NULL);
}

int fdatasync(int fd)
{
        static int (*next)(int fd);

        if (!next)
                next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
        wait_a_while();
        return next(fd);
}

int fsync(int fd)
{
        static int (*next)(int fd);

        if (!next)
                next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
        wait_a_while();
        return next(fd);
}
