/*
 * unset_clock: LD_PRELOAD for a system clock that nobody sets as long as the file named in UNSET_CLOCK is there, and
 * that is set when it is gone, whatever this machine's own is. For the tests.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

int adjtimex(struct timex *t)
{
        const char *file = getenv("UNSET_CLOCK");

        memset(t, 0, sizeof(*t));
        return file && access(file, F_OK) == 0 ? TIME_ERROR : TIME_OK;
}
