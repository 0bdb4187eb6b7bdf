/*
 * kafka_wait: see kafka_wait.h.
 *
 * librdkafka waits with C11's cnd_timedwait, whose deadlines are times of the
 * wall clock.  When that is set back by an hour, its threads sleep for an hour
 * more: no reconnect, no record, though the broker answers.  A gateway's clock
 * is set back whenever a wrong one is corrected, and librdkafka has no setting
 * for it.
 *
 * So the function is defined here.  The dynamic linker looks at the program
 * before it looks at the C library, and the program exports the name because
 * librdkafka, which it is linked with, wants it.  A deadline becomes what is
 * left until it, counted on the monotonic clock; glibc's cnd_t is a
 * pthread_cond_t (cnd_init is pthread_cond_init), for which it has a wait on
 * either clock.
 *
 * librdkafka waits for one deadline several times, when it is woken in between
 * by what it has not waited for.  If the clock was set back in between, what is
 * left would be wrong again: each thread knows its last deadline, and when that
 * would have been.
 *
 * Where time was 32 bits wide there are two names: that of programs with wide
 * times (a librdkafka of Debian 13), and that of the others (of Debian 12).
 *
 * Fails: not bound (another libc, another librdkafka) it is as it was, and
 * kafka.c says so in the log.  A clock that is set back within the microseconds
 * between a first deadline and its wait is not noticed.
 */
#include "uplink/kafka_wait.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <threads.h>
#include <time.h>

enum { NS = 1000000000 };

#if __TIMESIZE == 32
#define NAME_OF_WIDE_TIMES "__cnd_timedwait64"
#else
#define NAME_OF_WIDE_TIMES "cnd_timedwait"
#endif

int kafka_wait_until(cnd_t *cond, mtx_t *mutex, const struct timespec *wall) __asm__(NAME_OF_WIDE_TIMES);

_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t) && sizeof(mtx_t) == sizeof(pthread_mutex_t), "glibc's");

static int64_t clock_ns(clockid_t clock)
{
        struct timespec now;

        clock_gettime(clock, &now);
        return (int64_t)now.tv_sec * NS + now.tv_nsec;
}

static int wait_until(cnd_t *cond, mtx_t *mutex, int64_t wall_ns)
{
        static _Thread_local int64_t last_wall_ns, last_mono_ns;
        struct timespec until;

        if (wall_ns != last_wall_ns) {
                last_wall_ns = wall_ns;
                last_mono_ns = clock_ns(CLOCK_MONOTONIC) + wall_ns - clock_ns(CLOCK_REALTIME);
        }
        if (last_mono_ns < 0)
                return thrd_timedout;
        until = (struct timespec){.tv_sec = last_mono_ns / NS, .tv_nsec = last_mono_ns % NS};
        switch (pthread_cond_clockwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, CLOCK_MONOTONIC, &until)) {
        case 0:
                return thrd_success;
        case ETIMEDOUT:
                return thrd_timedout;
        default:
                return thrd_error;
        }
}

int kafka_wait_until(cnd_t *cond, mtx_t *mutex, const struct timespec *wall)
{
        return wait_until(cond, mutex, (int64_t)wall->tv_sec * NS + wall->tv_nsec);
}

#if __TIMESIZE == 32
struct narrow_time {
        int32_t tv_sec, tv_nsec;
};

int kafka_wait_until_narrow(cnd_t *cond, mtx_t *mutex, const struct narrow_time *wall) __asm__("cnd_timedwait");

int kafka_wait_until_narrow(cnd_t *cond, mtx_t *mutex, const struct narrow_time *wall)
{
        return wait_until(cond, mutex, (int64_t)wall->tv_sec * NS + wall->tv_nsec);
}

bool kafka_wait_is_bound(void)
{
        return dlsym(RTLD_DEFAULT, "cnd_timedwait") == (void *)kafka_wait_until_narrow ||
               dlsym(RTLD_DEFAULT, NAME_OF_WIDE_TIMES) == (void *)kafka_wait_until;
}
#else
bool kafka_wait_is_bound(void)
{
        return dlsym(RTLD_DEFAULT, NAME_OF_WIDE_TIMES) == (void *)kafka_wait_until;
}
#endif
