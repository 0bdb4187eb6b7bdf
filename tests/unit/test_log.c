/*
 * test_log: a scope that floods takes neither the journal nor the others' lines, and what is left out is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "agent/base/log.h"

static FILE *said;
static int stderr_fd;

static int set_up(void **state)
{
        said = tmpfile();
        assert_non_null(said);
        stderr_fd = dup(STDERR_FILENO);
        return dup2(fileno(said), STDERR_FILENO) < 0;
}

static int tear_down(void **state)
{
        dup2(stderr_fd, STDERR_FILENO);
        close(stderr_fd);
        return fclose(said);
}

/* Lines so far with these words in them. */
static int n_lines(const char *words)
{
        char line[2000];
        int n = 0;

        rewind(said);
        while (fgets(line, sizeof(line), said))
                n += strstr(line, words) != NULL;
        return n;
}

static void one_scope_has_its_minute(void **state)
{
        log_bound(10);
        for (int i = 0; i < 500; i++)
                log_warn("mqtt flood", "line %d", i);
        log_warn("mqtt calm", "one");
        for (int i = 0; i < 20; i++)
                log_error("mqtt flood", "error %d", i);
        assert_in_range(n_lines("mqtt flood: line"), 10, 12); /* more when this takes seconds */
        assert_int_equal(n_lines("mqtt flood: line 9\n"), 1);
        assert_int_equal(n_lines("mqtt calm: one"), 1);
        assert_int_equal(n_lines("mqtt flood: error"), 20);
        log_tell_left_out();
        assert_int_equal(n_lines("left out"), 0); /* once a minute */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(one_scope_has_its_minute, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
