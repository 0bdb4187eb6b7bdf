/*
 * librdkafka's timed waits under a wall clock that is set back. The clock of this program is one of its own: an hour
 * ahead of the kernel's when told so. A wait that ends by the kernel's wall clock does not end here, and the alarm
 * does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "uplink/kafka_wait.h"

enum { HOUR_S = 3600, LIMIT_S = 60 };

static _Atomic int ahead_s;
static cnd_t cond;
static mtx_t mutex;

int clock_gettime(clockid_t clock, struct timespec *t)
{
        int rc = (int)syscall(SYS_clock_gettime, clock, t);

        if (clock == CLOCK_REALTIME)
                t->tv_sec += ahead_s;
        return rc;
}

/* What librdkafka makes its deadlines of. */
int timespec_get(struct timespec *t, int base)
{
        clock_gettime(CLOCK_REALTIME, t);
        return base;
}

static struct timespec in_ms(int ms)
{
        struct timespec t;

        timespec_get(&t, TIME_UTC);
        t.tv_nsec += ms * 1000000L;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        return t;
}

static int set_up(void **state)
{
        ahead_s = 0;
        alarm(LIMIT_S);
        return cnd_init(&cond) == thrd_success && mtx_init(&mutex, mtx_plain) == thrd_success ? 0 : -1;
}

static int tear_down(void **state)
{
        cnd_destroy(&cond);
        mtx_destroy(&mutex);
        return 0;
}

static void test_the_waits_are_ours(void **state)
{
        assert_true(kafka_wait_is_bound());
}

static void test_a_clock_ahead_of_the_kernel_s_does_not_prolong_a_wait(void **state)
{
        struct timespec until;

        ahead_s = HOUR_S;
        until = in_ms(20);
        mtx_lock(&mutex);
        assert_int_equal(cnd_timedwait(&cond, &mutex, &until), thrd_timedout);
        mtx_unlock(&mutex);
}

static void *wake(void *arg)
{
        mtx_lock(&mutex); /* only free while it is waited for */
        cnd_signal(&cond);
        mtx_unlock(&mutex);
        return NULL;
}

static void test_a_wait_goes_on_to_its_end_when_the_clock_is_set_back_in_between(void **state)
{
        struct timespec until;
        pthread_t other;

        ahead_s = HOUR_S;
        until = in_ms(300);
        mtx_lock(&mutex);
        assert_int_equal(pthread_create(&other, NULL, wake, NULL), 0);
        cnd_timedwait(&cond, &mutex, &until); /* woken, or on a busy machine at its end */
        ahead_s = 0;
        while (cnd_timedwait(&cond, &mutex, &until) == thrd_success)
                ;
        mtx_unlock(&mutex);
        pthread_join(other, NULL);
}

static void test_a_deadline_that_is_over_is_no_wait(void **state)
{
        struct timespec past = in_ms(0), zero = {0, 0};

        past.tv_sec -= HOUR_S;
        mtx_lock(&mutex);
        assert_int_equal(cnd_timedwait(&cond, &mutex, &past), thrd_timedout);
        assert_int_equal(cnd_timedwait(&cond, &mutex, &zero), thrd_timedout);
        mtx_unlock(&mutex);
}

/* librdkafka itself: a poll of nothing is a timed wait. */
static void test_librdkafka_waits_by_it(void **state)
{
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        char text[256];
        rd_kafka_t *rk;

        rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
        rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
        assert_non_null(rk);
        ahead_s = HOUR_S;
        rd_kafka_poll(rk, 20);
        rd_kafka_destroy(rk);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_the_waits_are_ours, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_clock_ahead_of_the_kernel_s_does_not_prolong_a_wait, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_wait_goes_on_to_its_end_when_the_clock_is_set_back_in_between,
                                                set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_deadline_that_is_over_is_no_wait, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_librdkafka_waits_by_it, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
