/*
 * test_rt_uv: the end of the runtime in the middle of work.
 *
 * What a daemon does that is ended during a slow commit: the loop stops, the owner of the work makes the commit itself
 * and goes. Nobody is called any more whose memory has gone; here that memory is unmapped, so a call is a crash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <semaphore.h>
#include <sys/mman.h>

#include "agent/base/err.h"
#include "agent/rt_uv.h"

enum { JOBS = 12, THREADS = 4 }; /* some have not begun when it ends */

struct owner {
        struct rt *rt;
        struct rt_work work[JOBS];
        struct rt_timer timer;
        int n_done;
};

static sem_t begun, gate, ended; /* outlive the owner, as SQLite's own memory does */

static void run(struct rt_work *w)
{
        sem_post(&begun);
        sem_wait(&gate);
        sem_post(&ended);
}

static void on_done(struct rt_work *w)
{
        abort(); /* unmapped before this could run */
}

static void on_due(struct rt_timer *t)
{
        rt_uv_stop(list_entry(t, struct owner, timer)->rt);
}

static void test_an_end_in_the_middle_of_work_calls_nobody(void **state)
{
        struct owner *o = mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct rt *rt = rt_uv_new();

        assert_ptr_not_equal(o, MAP_FAILED);
        sem_init(&begun, 0, 0);
        sem_init(&gate, 0, 0);
        sem_init(&ended, 0, 0);
        o->rt = rt;
        o->timer.on_due = on_due;
        for (int i = 0; i < JOBS; i++) {
                o->work[i] = (struct rt_work){.run = run, .on_done = on_done};
                list_init(&o->work[i].node);
                rt_work_start(rt, &o->work[i]);
        }
        for (int i = 0; i < THREADS; i++)
                sem_wait(&begun);
        rt_timer_set(rt, &o->timer, 0);
        rt_uv_run(rt);
        assert_false(rt_uv_quiesce(rt)); /* four of them run */
        munmap(o, sizeof(*o));
        for (int i = 0; i < JOBS; i++)
                sem_post(&gate);
        for (int i = 0; i < THREADS; i++)
                sem_wait(&ended);
        rt_uv_run(rt); /* what is reported late finds nobody to tell */
        rt_uv_free(rt);
}

static void count(struct rt_work *w)
{
        list_entry(w, struct owner, work[0])->n_done++;
        rt_uv_stop(w->rt);
}

static void nothing(struct rt_work *w)
{
}

static void test_a_quiet_end_says_so(void **state)
{
        struct owner o = {.work[0] = {.run = nothing, .on_done = count, .slow = true}};
        struct rt *rt = rt_uv_new();

        list_init(&o.work[0].node);
        rt_work_start(rt, &o.work[0]);
        rt_uv_run(rt);
        assert_int_equal(o.n_done, 1);
        assert_true(rt_uv_quiesce(rt));
        rt_uv_free(rt);
}

/* Names that nobody answers for, and one that is answered: it does not wait for them. */
enum { HANG = 40 };

struct slow_house {
        struct rt *rt;
        struct rt_work hangs[HANG], good;
        int n_ended;
};

static void hang(struct rt_work *w)
{
        sem_wait(&gate);
}

static void on_good(struct rt_work *w)
{
        rt_uv_stop(w->rt);
}

static struct slow_house house;

static void on_hung(struct rt_work *w)
{
        if (++house.n_ended == HANG)
                rt_uv_stop(w->rt);
}

static void start_slow(struct rt_work *w, void (*work)(struct rt_work *w), void (*on_end)(struct rt_work *w))
{
        *w = (struct rt_work){.run = work, .on_done = on_end, .slow = true};
        list_init(&w->node);
        rt_work_start(house.rt, w);
}

static void test_slow_works_that_hang_hold_up_nobody(void **state)
{
        house.rt = rt_uv_new();
        house.n_ended = 0;
        sem_init(&gate, 0, 0);
        for (int i = 0; i < HANG; i++)
                start_slow(&house.hangs[i], hang, on_hung);
        start_slow(&house.good, nothing, on_good);
        rt_uv_run(house.rt);
        assert_int_equal(house.n_ended, 0);
        for (int i = 0; i < HANG; i++)
                sem_post(&gate);
        rt_uv_run(house.rt);
        assert_int_equal(house.n_ended, HANG);
        assert_true(rt_uv_quiesce(house.rt));
        rt_uv_free(house.rt);
}

static void test_slow_works_over_the_bound_have_their_turn(void **state)
{
        static struct rt_work many[1000];

        house.rt = rt_uv_new();
        house.n_ended = HANG - 1000;
        for (size_t i = 0; i < sizeof(many) / sizeof(*many); i++)
                start_slow(&many[i], nothing, on_hung);
        rt_uv_run(house.rt);
        assert_int_equal(house.n_ended, HANG);
        assert_true(rt_uv_quiesce(house.rt));
        rt_uv_free(house.rt);
}

static void test_an_end_while_slow_works_hang_calls_nobody(void **state)
{
        house.rt = rt_uv_new();
        sem_init(&gate, 0, 0);
        for (int i = 0; i < HANG; i++)
                start_slow(&house.hangs[i], hang, on_done);
        start_slow(&house.good, nothing, on_good);
        rt_uv_run(house.rt);
        assert_false(rt_uv_quiesce(house.rt));
        for (int i = 0; i < HANG; i++)
                sem_post(&gate);
        rt_uv_free(house.rt); /* waits for them */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_end_in_the_middle_of_work_calls_nobody),
                cmocka_unit_test(test_a_quiet_end_says_so),
                cmocka_unit_test(test_slow_works_that_hang_hold_up_nobody),
                cmocka_unit_test(test_slow_works_over_the_bound_have_their_turn),
                cmocka_unit_test(test_an_end_while_slow_works_hang_calls_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
