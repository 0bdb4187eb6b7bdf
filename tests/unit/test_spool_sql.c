/*
 * test_spool_sql: a person's SELECT reads everything and changes nothing, on a spool in use, a copy, and a damaged
 * file.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/inspect/sql.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

enum { ROWS = 20000, LIMIT_MS = 20000 };

static struct fixture T;
static char copy[TEMP_PATH_MAX];

static int setup(void **state)
{
        uint32_t tag;

        fixture_init(&T, "spool_sql", 3);
        T.conf.commit_interval_us = 100000;
        temp_dir_path(&T.dir, "copy.db", copy);
        fixture_open(&T);
        tags_intern(T.tags, "press-1", "temp", "degC", "", "plant", &tag);
        for (int i = 1; i <= ROWS; i++) {
                struct reading r = {
                        .ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us, .type = READING_F64, .v.f64 = i};

                if (i % 1000 == 0)
                        fixture_run_for(&T, 1000000);
                assert_int_equal(spool_append(T.spool, &r), 0);
        }
        spool_quarantine(T.spool, "plant", "a/b", "no number", "\x01\xfe", 2);
        fixture_run_for(&T, 1000000);
        return 0;
}

static int teardown(void **state)
{
        fixture_fini(&T);
        return 0;
}

struct answer {
        int n_rows;
        char text[400]; /* of the last row: name=value with its type's first letter */
};

static bool on_row(void *ctx, const struct spool_sql_row *row)
{
        struct answer *a = ctx;
        size_t n = 0;

        a->n_rows++;
        for (int i = 0; i < row->n && n < sizeof(a->text); i++)
                n += (size_t)snprintf(a->text + n, sizeof(a->text) - n, "%s%s=%s%c", i ? " " : "", row->names[i],
                                      row->cells[i].text, "0ntb"[row->cells[i].type]);
        return true;
}

static struct answer ask(const char *file, const char *sql)
{
        struct answer a = {0};
        struct err e = {{0}};

        if (spool_sql(file, sql, LIMIT_MS, on_row, &a, &e) != 0)
                fail_msg("%s: %s", sql, e.text);
        return a;
}

static void check(const char *file, const char *sql, const char *expected)
{
        assert_string_equal(ask(file, sql).text, expected);
}

static void test_values(void **state)
{
        check(T.path, "SELECT count(*) AS n, max(value) AS most FROM reading", "n=20000n most=20000.0n");
        check(T.path, "SELECT source, tag, unit FROM readings LIMIT 1;  ", "source=press-1t tag=tempt unit=degCt");
        check(T.path, "SELECT NULL AS a, 'x' AS b, payload FROM quarantine", "a=0 b=xt payload=01feb");
        check(T.path, "WITH n AS (SELECT 1 AS i) SELECT i FROM n", "i=1n");
        assert_int_equal(ask(T.path, "SELECT seq FROM reading").n_rows, ROWS);
        assert_int_equal(ask(T.path, "SELECT 1 WHERE 0").n_rows, 0);
}

static void refuse(const char *sql, const char *words)
{
        struct answer a = {0};
        struct err e = {{0}};

        assert_int_equal(spool_sql(T.path, sql, LIMIT_MS, on_row, &a, &e), -1);
        if (!strstr(e.text, words))
                fail_msg("%s: %s", sql, e.text);
        assert_int_equal(a.n_rows, 0);
}

static void test_nothing_can_be_changed(void **state)
{
        static const char *const writes[] = {
                "DELETE FROM sample",
                "UPDATE cursor SET acked_seq = 99",
                "INSERT INTO meta VALUES ('x', 1)",
                "CREATE TABLE t(x)",
                "CREATE TEMP TABLE t(x)",
                "DROP TABLE sample",
                "ATTACH '/tmp/another.db' AS another",
                "PRAGMA user_version = 10",
                "PRAGMA journal_mode = DELETE",
                "PRAGMA integrity_check",
                "VACUUM",
                "VACUUM INTO '/tmp/another.db'",
                "REINDEX",
                "BEGIN IMMEDIATE",
                "SAVEPOINT s",
                "ANALYZE",
                "WITH n AS (SELECT 1) DELETE FROM sample",
        };

        for (size_t i = 0; i < sizeof(writes) / sizeof(*writes); i++)
                refuse(writes[i], "only SELECT");
        refuse("SELECT load_extension('x')", "");
        refuse("", "one statement");
        refuse(" -- nothing", "one statement");
        refuse("SELECT 1; DELETE FROM sample", "one statement");
        refuse("SELECT nothing FROM reading", "nothing");
        refuse("SELEKT 1", "syntax");
        check(T.path, "SELECT count(*) AS n, (SELECT acked_seq FROM cursor WHERE lane='samples') AS acked FROM reading",
              "n=20000n acked=0n");
}

static void test_it_ends_when_its_time_is_over(void **state)
{
        struct answer a = {0};
        struct err e;

        assert_int_equal(spool_sql(T.path, "SELECT count(*) FROM reading a, reading b, reading c", 50, on_row, &a, &e),
                         SPOOL_SQL_E_TIME);
        assert_int_equal(
                spool_sql(T.path,
                          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", 50,
                          on_row, &a, &e),
                SPOOL_SQL_E_TIME);
        assert_int_equal(a.n_rows, 0);
}

/* The writer is at work beside it: it sees what is committed, and holds nothing up. */
static void test_beside_the_daemon(void **state)
{
        struct reading r = {
                .ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us, .type = READING_F64, .v.f64 = 7};
        struct spool_counts c;

        for (int i = 1; i <= 30; i++) {
                char expected[32];

                assert_int_equal(spool_append(T.spool, &r), 0);
                fixture_run_for(&T, 1000000);
                snprintf(expected, sizeof(expected), "n=%dn", ROWS + i);
                check(T.path, "SELECT count(*) AS n FROM reading", expected);
        }
        spool_counts(T.spool, &c);
        assert_false(c.failing);
        assert_int_equal(c.accepted, ROWS + 30);
}

static void make_copy(void)
{
        char sql[200];

        snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", copy);
        db_run(T.path, sql);
        db_run(copy, "PRAGMA journal_mode=WAL");
}

/* As somebody else, in a folder where nothing can be made: not even what SQLite wants beside the file. */
static int as_somebody_else(void)
{
        struct answer a = {0};
        struct err e;

        if (setgid(12345) != 0 || setuid(12345) != 0)
                return 0;
        if (spool_sql(copy, "SELECT count(*) AS n FROM reading", LIMIT_MS, on_row, &a, &e) != 0)
                return 2;
        return strcmp(a.text, "n=20000n") != 0;
}

static void test_a_copy_that_may_only_be_read(void **state)
{
        int status;
        pid_t child;

        make_copy();
        assert_int_equal(chmod(copy, 0444), 0);
        assert_int_equal(chmod(T.dir.path, 0555), 0);
        child = fork();
        if (child == 0)
                _exit(as_somebody_else());
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(chmod(T.dir.path, 0755), 0);
        assert_int_equal(status, 0);
}

/* A page in the middle is garbage: what does not need it is answered, what does ends with a word. */
static void test_a_damaged_file(void **state)
{
        struct answer a = {0};
        char garbage[4096];
        struct err e;
        int fd;

        make_copy();
        fd = open(copy, O_RDWR);
        memset(garbage, 0xa5, sizeof(garbage));
        assert_int_equal(pwrite(fd, garbage, sizeof(garbage), 60 * 4096), sizeof(garbage));
        close(fd);
        check(copy, "SELECT value FROM meta WHERE key = 'gateway'", "value=gw-7t");
        check(copy, "SELECT seq FROM reading ORDER BY seq DESC LIMIT 1", "seq=20000n");
        assert_int_equal(spool_sql(copy, "SELECT seq FROM reading", LIMIT_MS, on_row, &a, &e), -1);
        assert_true(a.n_rows > 100 && a.n_rows < ROWS);
        assert_non_null(strstr(e.text, "malformed"));
        fd = open(copy, O_RDWR);
        assert_int_equal(pwrite(fd, garbage, sizeof(garbage), 0), sizeof(garbage));
        close(fd);
        assert_int_equal(spool_sql(copy, "SELECT 1 FROM meta", LIMIT_MS, on_row, &a, &e), -1);
        assert_non_null(strstr(e.text, "not a database"));
}

static void test_no_file(void **state)
{
        struct answer a = {0};
        struct err e;

        assert_int_equal(spool_sql(copy, "SELECT 1", LIMIT_MS, on_row, &a, &e), -1);
        assert_non_null(strstr(e.text, "copy.db"));
        assert_int_not_equal(access(copy, F_OK), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_values, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nothing_can_be_changed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_it_ends_when_its_time_is_over, setup, teardown),
                cmocka_unit_test_setup_teardown(test_beside_the_daemon, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_copy_that_may_only_be_read, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_damaged_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
