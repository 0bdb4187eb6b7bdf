/*
 * job: see job.h.
 *
 * Two workers: one slow question never holds up all others, and the page never
 * has more than two processes or readers of the spool at work.  What waits
 * beyond WAITING_MAX is refused, and the browser asks again.
 */
#include "agent/page/job.h"

#include <pthread.h>
#include <stddef.h>

#include "agent/base/err.h"

enum { WORKERS = 2, WAITING_MAX = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static int n_waiting;

static struct job *take(void)
{
        struct job *j;

        pthread_mutex_lock(&lock);
        while (!first)
                pthread_cond_wait(&wanted, &lock);
        j = first;
        first = j->next;
        if (!first)
                last = &first;
        n_waiting--;
        pthread_mutex_unlock(&lock);
        return j;
}

static void *work(void *ctx)
{
        for (;;) {
                struct job *j = take();

                j->run(j);
                j->on_done(j);
        }
        return NULL;
}

void jobs_start(void)
{
        pthread_t thread;

        for (int i = 0; i < WORKERS; i++) {
                BUG_ON(pthread_create(&thread, NULL, work, NULL) != 0);
                pthread_detach(thread);
        }
}

bool jobs_add(struct job *j)
{
        bool room;

        j->next = NULL;
        pthread_mutex_lock(&lock);
        room = n_waiting < WAITING_MAX;
        if (room) {
                *last = j;
                last = &j->next;
                n_waiting++;
                pthread_cond_signal(&wanted);
        }
        pthread_mutex_unlock(&lock);
        return room;
}
