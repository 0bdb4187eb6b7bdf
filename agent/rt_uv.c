/*
 * rt_uv: the only file that knows libuv.
 *
 * Timers: base/rt.c keeps the heap, here is one uv_timer for the earliest.
 * Watches: a uv_poll_t closes asynchronously, so each lives in a struct of ours
 * that outlives its rt_watch until libuv lets go of it; a late event finds no
 * watch and is dropped.  Works: those of the disk have the pool's four threads.
 * A `slow` one (a name server that does not answer, a kernel that does not) has
 * a thread of its own for as long as it takes, so that it costs nobody else
 * anything; what it has done comes back over a list and an uv_async.  Many hang
 * at once only where many names are dead, and a thread that hangs costs its
 * touched stack.
 *
 * Fails: only by our own bugs (an fd that can't be polled), which abort.  Slow
 * works over the bound, or when the machine has no thread, wait for another to
 * end.
 */
#include "agent/rt_uv.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "agent/base/err.h"

enum { SLOW_AT_ONCE = 128, SLOW_STACK_BYTES = 1 << 20 };

struct rt_uv {
        struct rt rt; /* first */
        uv_loop_t loop;
        uv_timer_t timer;
        int64_t armed_us; /* what the timer is set to; INT64_MAX: it is not */
        struct list jobs;

        struct list slow_waiting; /* works without a thread */
        unsigned n_slow;          /* threads; with `ended` those that the loop has not seen */
        uv_async_t slow_ended;
        uv_mutex_t lock;
        struct list ended; /* under the lock; a thread's last touch of anything here */
        uv_cond_t one_ended;
        bool stopped, quiet;
};

struct poll {
        uv_poll_t handle;       /* first */
        struct rt_watch *watch; /* NULL: closing */
        int mask;
};

struct slow {
        struct list node;
        struct rt_uv *uv;
        struct rt_work *work;
};

struct job {
        uv_work_t req; /* first */
        struct list node;
        struct rt_uv *uv;
        struct rt_work *work;
};

static int64_t uv_ops_mono_us(struct rt *rt)
{
        struct timespec mono;

        clock_gettime(CLOCK_MONOTONIC, &mono);
        return (int64_t)mono.tv_sec * 1000000 + mono.tv_nsec / 1000;
}

static void uv_ops_now(struct rt *rt, struct rt_time *now)
{
        struct timespec wall;

        clock_gettime(CLOCK_REALTIME, &wall);
        now->mono_us = uv_ops_mono_us(rt);
        now->wall_us = (int64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000;
}

static void on_timer(uv_timer_t *timer)
{
        struct rt_uv *uv = timer->data;

        uv->armed_us = INT64_MAX;
        rt_run_due(&uv->rt, rt_mono_us(&uv->rt));
}

static void uv_ops_arm(struct rt *rt, int64_t due_us)
{
        struct rt_uv *uv = (struct rt_uv *)rt;
        int64_t delay_us;

        uv->armed_us = due_us;
        if (due_us == INT64_MAX) {
                uv_timer_stop(&uv->timer);
                return;
        }
        delay_us = due_us - rt_mono_us(rt);
        uv_update_time(&uv->loop);
        uv_timer_start(&uv->timer, on_timer, delay_us > 0 ? (uint64_t)(delay_us + 999) / 1000 : 0, 0);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
        struct poll *p = (struct poll *)handle;
        unsigned raised = 0;

        if (!p->watch)
                return;
        if (status < 0) {
                p->mask = 0; /* libuv has stopped it */
                raised = RT_ERROR;
        }
        if (events & (UV_READABLE | UV_DISCONNECT))
                raised |= RT_READ;
        if (events & UV_WRITABLE)
                raised |= RT_WRITE;
        p->watch->on_event(p->watch, raised);
}

static void on_poll_closed(uv_handle_t *handle)
{
        free(handle);
}

static void uv_ops_watch(struct rt *rt, struct rt_watch *w, unsigned events)
{
        struct rt_uv *uv = (struct rt_uv *)rt;
        struct poll *p = w->impl;
        int mask = (events & RT_READ ? UV_READABLE : 0) | (events & RT_WRITE ? UV_WRITABLE : 0);

        if (!events) {
                if (p) {
                        p->watch = NULL;
                        w->impl = NULL;
                        uv_poll_stop(&p->handle);
                        uv_close((uv_handle_t *)&p->handle, on_poll_closed);
                }
                return;
        }
        if (!p) {
                p = mem_alloc(sizeof(*p));
                BUG_ON(uv_poll_init(&uv->loop, &p->handle, w->fd) != 0);
                p->watch = w;
                w->impl = p;
        }
        if (p->mask == mask) /* libuv would take it out of epoll and put it in again */
                return;
        p->mask = mask;
        BUG_ON(uv_poll_start(&p->handle, mask, on_poll) != 0);
}

static void run_job(uv_work_t *req)
{
        struct job *job = (struct job *)req;

        job->work->run(job->work);
}

static void on_job_done(uv_work_t *req, int status);

static void start_job(struct rt_uv *uv, struct rt_work *w)
{
        struct job *job = mem_alloc(sizeof(*job));

        job->uv = uv;
        job->work = w;
        list_append(&uv->jobs, &job->node);
        BUG_ON(uv_queue_work(&uv->loop, &job->req, run_job, on_job_done) != 0);
}

static void on_job_done(uv_work_t *req, int status)
{
        struct job *job = (struct job *)req;
        struct rt_uv *uv = job->uv;
        struct rt_work *w = job->work;

        list_remove(&job->node);
        free(job);
        if (uv->quiet)
                return;
        w->on_done(w);
}

/* ---- slow works ---- */

static void *run_slow(void *arg)
{
        struct slow *s = arg;
        struct rt_uv *uv = s->uv;

        s->work->run(s->work);
        uv_mutex_lock(&uv->lock);
        list_append(&uv->ended, &s->node);
        uv_async_send(&uv->slow_ended);
        uv_cond_signal(&uv->one_ended);
        uv_mutex_unlock(&uv->lock);
        return NULL;
}

/* False: the machine has no thread for it now. */
static bool start_slow(struct rt_uv *uv, struct rt_work *w)
{
        struct slow *s = mem_alloc(sizeof(*s));
        pthread_attr_t attr;
        pthread_t thread;
        int rc;

        s->uv = uv;
        s->work = w;
        BUG_ON(pthread_attr_init(&attr) != 0 || pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0 ||
               pthread_attr_setstacksize(&attr, SLOW_STACK_BYTES) != 0);
        rc = pthread_create(&thread, &attr, run_slow, s);
        pthread_attr_destroy(&attr);
        if (rc != 0) {
                free(s);
                return false;
        }
        if (uv->n_slow++ == 0)
                uv_ref((uv_handle_t *)&uv->slow_ended);
        return true;
}

static void start_waiting(struct rt_uv *uv)
{
        struct list *next;

        while (uv->n_slow < SLOW_AT_ONCE && (next = list_take(&uv->slow_waiting))) {
                struct rt_work *w = list_entry(next, struct rt_work, node);

                if (start_slow(uv, w))
                        continue;
                if (uv->n_slow == 0)
                        start_job(uv, w); /* nobody would end and wake it */
                else
                        list_append(uv->slow_waiting.next, &w->node); /* the first again */
                return;
        }
}

static struct slow *take_ended(struct rt_uv *uv)
{
        struct list *node;

        uv_mutex_lock(&uv->lock);
        node = list_take(&uv->ended);
        uv_mutex_unlock(&uv->lock);
        if (node && --uv->n_slow == 0)
                uv_unref((uv_handle_t *)&uv->slow_ended);
        return node ? list_entry(node, struct slow, node) : NULL;
}

static void on_slow_ended(uv_async_t *async)
{
        struct rt_uv *uv = async->data;
        struct slow *s;

        while ((s = take_ended(uv))) {
                struct rt_work *w = s->work;

                free(s);
                if (uv->quiet)
                        continue;
                start_waiting(uv);
                w->on_done(w);
        }
}

static void uv_ops_work(struct rt *rt, struct rt_work *w)
{
        struct rt_uv *uv = (struct rt_uv *)rt;

        if (!w->slow) {
                start_job(uv, w);
                return;
        }
        list_append(&uv->slow_waiting, &w->node);
        start_waiting(uv);
}

static void uv_ops_random(struct rt *rt, void *out, size_t n_bytes)
{
        BUG_ON(uv_random(NULL, NULL, out, n_bytes, 0, NULL) != 0);
}

static const struct rt_ops uv_ops = {.now = uv_ops_now,
                                     .mono_us = uv_ops_mono_us,
                                     .arm = uv_ops_arm,
                                     .watch = uv_ops_watch,
                                     .work = uv_ops_work,
                                     .random = uv_ops_random};

struct rt *rt_uv_new(void)
{
        struct rt_uv *uv = mem_alloc(sizeof(*uv));

        setenv("UV_THREADPOOL_SIZE", "4", 1);
        uv->rt.ops = &uv_ops;
        list_init(&uv->slow_waiting);
        list_init(&uv->jobs);
        list_init(&uv->ended);
        BUG_ON(uv_mutex_init(&uv->lock) != 0 || uv_cond_init(&uv->one_ended) != 0);
        BUG_ON(uv_loop_init(&uv->loop) != 0);
        BUG_ON(uv_async_init(&uv->loop, &uv->slow_ended, on_slow_ended) != 0);
        uv->slow_ended.data = uv;
        uv_unref((uv_handle_t *)&uv->slow_ended); /* keeps the loop only while one runs */
        BUG_ON(uv_timer_init(&uv->loop, &uv->timer) != 0);
        uv->timer.data = uv;
        uv->armed_us = INT64_MAX;
        return &uv->rt;
}

void rt_uv_run(struct rt *rt)
{
        struct rt_uv *uv = (struct rt_uv *)rt;

        uv->stopped = false;
        do { /* a timer that was cancelled, or moved away, wakes nobody */
                if (rt_next_due(rt) != uv->armed_us)
                        uv_ops_arm(rt, rt_next_due(rt));
        } while (!uv->stopped && uv_run(&uv->loop, UV_RUN_ONCE));
}

void rt_uv_stop(struct rt *rt)
{
        ((struct rt_uv *)rt)->stopped = true;
        uv_stop(&((struct rt_uv *)rt)->loop);
}

bool rt_uv_quiesce(struct rt *rt)
{
        struct rt_uv *uv = (struct rt_uv *)rt;
        struct slow *s;
        bool quiet;

        uv->quiet = true;
        while ((s = take_ended(uv)))
                free(s);
        quiet = uv->n_slow == 0;
        for (struct list *n = uv->jobs.next; n != &uv->jobs; n = n->next)
                quiet &= uv_cancel((uv_req_t *)&list_entry(n, struct job, node)->req) == 0;
        return quiet;
}

void rt_uv_free(struct rt *rt)
{
        struct rt_uv *uv = (struct rt_uv *)rt;

        while (rt->n_timers)
                rt_timer_cancel(rt, rt->heap[0]);
        uv_mutex_lock(&uv->lock);
        while (uv->n_slow > 0) {
                struct list *node = list_take(&uv->ended);

                if (!node) {
                        uv_cond_wait(&uv->one_ended, &uv->lock);
                        continue;
                }
                free(list_entry(node, struct slow, node));
                uv->n_slow--;
        }
        uv_mutex_unlock(&uv->lock);
        uv_close((uv_handle_t *)&uv->slow_ended, NULL);
        uv_close((uv_handle_t *)&uv->timer, NULL);
        uv_run(&uv->loop, UV_RUN_DEFAULT);
        BUG_ON(uv_loop_close(&uv->loop) != 0);
        uv_mutex_destroy(&uv->lock);
        uv_cond_destroy(&uv->one_ended);
        rt_fini(rt);
        free(uv);
}
