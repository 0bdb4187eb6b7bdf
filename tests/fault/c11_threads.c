/*
 * c11_threads: the threads, locks and conditions of C11 as those of POSIX, for
 * ThreadSanitizer: that of clang 14 knows only these, so that a thread of
 * librdkafka's would end it, and its locks order nothing.
 *
 * To be preloaded.  glibc's types are the same in both.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && sizeof(cnd_t) == sizeof(pthread_cond_t), "one in the other");

struct begin {
        thrd_start_t run;
        void *arg;
};

static void *on_begin(void *p)
{
        struct begin b = *(struct begin *)p;

        free(p);
        return (void *)(intptr_t)b.run(b.arg);
}

static int result(int rc)
{
        return rc == 0           ? thrd_success
               : rc == ETIMEDOUT ? thrd_timedout
               : rc == EBUSY     ? thrd_busy
               : rc == ENOMEM    ? thrd_nomem
                                 : thrd_error;
}

int thrd_create(thrd_t *t, thrd_start_t run, void *arg)
{
        struct begin *b = malloc(sizeof(*b));

        if (!b)
                return thrd_nomem;
        *b = (struct begin){run, arg};
        return result(pthread_create(t, NULL, on_begin, b));
}

int thrd_join(thrd_t t, int *res)
{
        void *p = NULL;
        int rc = pthread_join(t, &p);

        if (res)
                *res = (int)(intptr_t)p;
        return result(rc);
}

int thrd_detach(thrd_t t)
{
        return result(pthread_detach(t));
}

int mtx_init(mtx_t *m, int type)
{
        pthread_mutexattr_t attr;
        int rc;

        pthread_mutexattr_init(&attr);
        if (type & mtx_recursive)
                pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
        rc = pthread_mutex_init((pthread_mutex_t *)m, &attr);
        pthread_mutexattr_destroy(&attr);
        return result(rc);
}

void mtx_destroy(mtx_t *m)
{
        pthread_mutex_destroy((pthread_mutex_t *)m);
}

int mtx_lock(mtx_t *m)
{
        return result(pthread_mutex_lock((pthread_mutex_t *)m));
}

int mtx_trylock(mtx_t *m)
{
        return result(pthread_mutex_trylock((pthread_mutex_t *)m));
}

int mtx_unlock(mtx_t *m)
{
        return result(pthread_mutex_unlock((pthread_mutex_t *)m));
}

int cnd_init(cnd_t *c)
{
        return result(pthread_cond_init((pthread_cond_t *)c, NULL));
}

void cnd_destroy(cnd_t *c)
{
        pthread_cond_destroy((pthread_cond_t *)c);
}

int cnd_signal(cnd_t *c)
{
        return result(pthread_cond_signal((pthread_cond_t *)c));
}

int cnd_broadcast(cnd_t *c)
{
        return result(pthread_cond_broadcast((pthread_cond_t *)c));
}

int cnd_wait(cnd_t *c, mtx_t *m)
{
        return result(pthread_cond_wait((pthread_cond_t *)c, (pthread_mutex_t *)m));
}

int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until)
{
        return result(pthread_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, until));
}
