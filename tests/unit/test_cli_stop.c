/*
 * Waiting for a person: a signal that comes between the look at the mark and the wait is not waited out.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cli/stop.h"

static void test_a_signal_that_came_before_ends_the_wait(void **state)
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        int ends[2];

        (void)state;
        signal(SIGHUP, SIG_DFL);
        assert_int_equal(pipe(ends), 0);
        for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
                stop_arm();
                raise(signals[i]);
                assert_false(stop_wait(ends[0]));
                assert_true(stop_asked());
        }
        close(ends[0]);
        close(ends[1]);
}

static void test_a_signal_in_the_wait_ends_it(void **state)
{
        int ends[2];
        pid_t parent = getpid(), child;

        (void)state;
        assert_int_equal(pipe(ends), 0);
        stop_arm();
        child = fork();
        if (child == 0)
                _exit(kill(parent, SIGTERM) < 0);
        assert_false(stop_wait(ends[0]));
        while (waitpid(child, NULL, 0) < 0)
                ;
        close(ends[0]);
        close(ends[1]);
}

static void test_what_can_be_read_is_told(void **state)
{
        int ends[2];
        char c;

        (void)state;
        assert_int_equal(pipe(ends), 0);
        stop_arm();
        assert_int_equal(write(ends[1], "y", 1), 1);
        assert_true(stop_wait(ends[0]));
        assert_int_equal(read(ends[0], &c, 1), 1);
        close(ends[1]);
        assert_true(stop_wait(ends[0])); /* the end, too */
        close(ends[0]);
        assert_true(stop_wait(ends[0])); /* and what is no file: the read tells */
}

static void test_what_nohup_ignores_stays_ignored(void **state)
{
        struct sigaction a;

        (void)state;
        signal(SIGHUP, SIG_IGN);
        stop_arm();
        raise(SIGHUP);
        assert_false(stop_asked());
        sigaction(SIGHUP, NULL, &a);
        assert_true(a.sa_handler == SIG_IGN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_signal_that_came_before_ends_the_wait),
                cmocka_unit_test(test_a_signal_in_the_wait_ends_it),
                cmocka_unit_test(test_what_can_be_read_is_told),
                cmocka_unit_test(test_what_nohup_ignores_stays_ignored),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
