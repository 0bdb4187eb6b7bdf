/*
 * rt_uv: the only file that knows libuv.
 *
 * Timers: base/rt.c keeps the heap, here is one uv_timer for the earliest.
 * Watches: a uv_poll_t closes asynchronously, so each lives in a struct of ours
 * that outlives its rt_watch until libuv lets go of it; a late event finds no
 * watch and is dropped.  Works: the pool has four threads; at most two `slow`
 * ones (a name server that does not answer) run at once, so that a commit
 * always finds a thread.
 *
 * Fails: only by our own bugs (an fd that can't be polled), which abort.
 */
#include "agent/rt_uv.h"

#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "agent/base/err.h"

enum { SLOW_AT_ONCE = 2 };

struct rt_uv {
        struct rt rt; /* first */
        uv_loop_t loop;
        uv_timer_t timer;
        struct list slow_waiting;
        unsigned n_slow;
        struct list jobs;
        bool stopped, quiet;
};

struct poll {
        uv_poll_t handle;       /* first */
        struct rt_watch *watch; /* NULL: closing */
};

struct job {
        uv_work_t req; /* first */
        struct list node;
        struct rt_uv *uv;
        struct rt_work *work;
};

static void uv_ops_now(struct rt *rt, struct rt_time *now)
{
        struct timespec mono, wall;

        clock_gettime(CLOCK_MONOTONIC, &mono);
        clock_gettime(CLOCK_REALTIME, &wall);
        now->mono_us = (int64_t)mono.tv_sec * 1000000 + mono.tv_nsec / 1000;
        now->wall_us = (int64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000;
}

static void on_timer(uv_timer_t *timer)
{
        struct rt_uv *uv = timer->data;

        rt_run_due(&uv->rt, rt_mono_us(&uv->rt));
}

static void uv_ops_arm(struct rt *rt, int64_t due_us)
{
        struct rt_uv *uv = (struct rt_uv *)rt;
        int64_t delay_us;

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
        if (status < 0)
                raised = RT_ERROR;
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
        if (w->slow) {
                struct list *next = list_take(&uv->slow_waiting);

                uv->n_slow--;
                if (next) {
                        uv->n_slow++;
                        start_job(uv, list_entry(next, struct rt_work, node));
                }
        }
        w->on_done(w);
}

static void uv_ops_work(struct rt *rt, struct rt_work *w)
{
        struct rt_uv *uv = (struct rt_uv *)rt;

        if (w->slow && uv->n_slow == SLOW_AT_ONCE) {
                list_append(&uv->slow_waiting, &w->node);
                return;
        }
        uv->n_slow += w->slow;
        start_job(uv, w);
}

static void uv_ops_random(struct rt *rt, void *out, size_t n_bytes)
{
        BUG_ON(uv_random(NULL, NULL, out, n_bytes, 0, NULL) != 0);
}

static const struct rt_ops uv_ops = {
        .now = uv_ops_now, .arm = uv_ops_arm, .watch = uv_ops_watch, .work = uv_ops_work, .random = uv_ops_random};

struct rt *rt_uv_new(void)
{
        struct rt_uv *uv = mem_alloc(sizeof(*uv));

        setenv("UV_THREADPOOL_SIZE", "4", 1);
        uv->rt.ops = &uv_ops;
        list_init(&uv->slow_waiting);
        list_init(&uv->jobs);
        BUG_ON(uv_loop_init(&uv->loop) != 0);
        BUG_ON(uv_timer_init(&uv->loop, &uv->timer) != 0);
        uv->timer.data = uv;
        return &uv->rt;
}

void rt_uv_run(struct rt *rt)
{
        struct rt_uv *uv = (struct rt_uv *)rt;

        uv->stopped = false;
        while (!uv->stopped && uv_run(&uv->loop, UV_RUN_ONCE))
                ;
}

void rt_uv_stop(struct rt *rt)
{
        ((struct rt_uv *)rt)->stopped = true;
        uv_stop(&((struct rt_uv *)rt)->loop);
}

bool rt_uv_quiesce(struct rt *rt)
{
        struct rt_uv *uv = (struct rt_uv *)rt;
        bool quiet = true;

        uv->quiet = true;
        for (struct list *n = uv->jobs.next; n != &uv->jobs; n = n->next)
                quiet &= uv_cancel((uv_req_t *)&list_entry(n, struct job, node)->req) == 0;
        return quiet;
}

void rt_uv_free(struct rt *rt)
{
        struct rt_uv *uv = (struct rt_uv *)rt;

        while (rt->n_timers)
                rt_timer_cancel(rt, rt->heap[0]);
        uv_close((uv_handle_t *)&uv->timer, NULL);
        uv_run(&uv->loop, UV_RUN_DEFAULT);
        BUG_ON(uv_loop_close(&uv->loop) != 0);
        rt_fini(rt);
        free(uv);
}
