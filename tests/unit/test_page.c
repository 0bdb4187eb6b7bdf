/*
 * The page's pure parts: who may try again when, sessions and their ends, columns of a curve, the file of users, and
 * addresses that it may listen on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/page/conf.h"
#include "agent/page/curve.h"
#include "agent/page/guard.h"
#include "agent/page/users.h"
#include "tests/lib/temp_dir.h"

static const int64_t s = 1000000;

static void test_tries(void **state)
{
        static struct guard g;
        int64_t now = 1000 * s;

        for (int i = 0; i < 5; i++) {
                assert_int_equal(guard_wait_s(&g, "10.0.0.1", 900, now), 0);
                guard_tried(&g, "10.0.0.1", false, now);
        }
        assert_in_range(guard_wait_s(&g, "10.0.0.1", 900, now), 30, 31);
        assert_int_equal(guard_wait_s(&g, "10.0.0.2", 900, now), 0);
        assert_int_equal(guard_wait_s(&g, "10.0.0.1", 900, now + 31 * s), 0);
        for (int i = 0; i < 40; i++)
                guard_tried(&g, "10.0.0.1", false, now);
        assert_in_range(guard_wait_s(&g, "10.0.0.1", 900, now), 900, 901);
        assert_in_range(guard_wait_s(&g, "10.0.0.1", 30, now), 30, 31);
        assert_int_equal(guard_wait_s(&g, "10.0.0.1", 900, now + 3601 * s), 0);
        guard_tried(&g, "10.0.0.1", true, now);
        assert_int_equal(guard_wait_s(&g, "10.0.0.1", 900, now), 0);
}

/* However many addresses try, the table is bounded, and who tried last is still known. */
static void test_many_addresses(void **state)
{
        static struct guard g;
        char who[32];

        for (int i = 0; i < 10000; i++) {
                snprintf(who, sizeof(who), "10.1.%d.%d", i / 256, i % 256);
                for (int k = 0; k < 6; k++)
                        guard_tried(&g, who, false, (i + 1) * s);
                assert_true(guard_wait_s(&g, who, 900, (i + 1) * s) > 0);
        }
}

static void test_sessions(void **state)
{
        static struct guard g;
        struct guard_session *one = guard_begin(&g, "kim", true, "token-1", "csrf-1", 10 * s);
        char token[32];

        assert_ptr_equal(guard_find(&g, "token-1", 20 * s), one);
        assert_null(guard_find(&g, "token-2", 20 * s));
        assert_null(guard_find(&g, "token-", 20 * s));
        assert_null(guard_find(&g, "", 20 * s));
        assert_null(guard_find(&g, "token-1", (20 + 1801) * s)); /* half an hour unused */
        assert_null(guard_find(&g, "token-1", 30 * s));          /* and it does not come back */
        guard_begin(&g, "kim", true, "token-1", "csrf-1", 10 * s);
        for (int64_t t = 10; t < 12 * 3600; t += 1000)
                assert_non_null(guard_find(&g, "token-1", t * s));
        assert_null(guard_find(&g, "token-1", (12 * 3600 + 11) * s)); /* twelve hours, however busy */
        for (int i = 0; i < 200; i++) {
                snprintf(token, sizeof(token), "many-%d", i);
                guard_begin(&g, "lee", false, token, "c", (100000 + i) * s);
                assert_non_null(guard_find(&g, token, (100000 + i) * s));
        }
        assert_null(guard_find(&g, "many-0", 100200 * s)); /* the longest unused went */
        one = guard_find(&g, "many-199", 100200 * s);
        guard_end(one);
        assert_null(guard_find(&g, "many-199", 100200 * s));
}

static struct reading number(int64_t at_us, double v, uint16_t quality)
{
        return (struct reading){.ts_us = at_us, .type = READING_F64, .v.f64 = v, .quality = quality};
}

static void test_columns(void **state)
{
        struct curve_column column[10] = {{0}};
        struct curve c = {.from_us = 1000, .to_us = 2000, .width = 10, .column = column};
        struct reading rows[] = {number(999, 1, 0),
                                 number(1000, 5, 0),
                                 number(1099, 2, 0),
                                 number(1050, 9, QUALITY_UNCERTAIN),
                                 number(1999, 7, 0),
                                 number(2000, 1, 0),
                                 number(1500, NAN, 0),
                                 {.ts_us = 1600, .type = READING_NONE, .quality = QUALITY_BAD},
                                 {.ts_us = 1700, .type = READING_BOOL, .v.b = true},
                                 {.ts_us = 1800, .type = READING_TEXT, .v.text = "x", .len = 1}};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                curve_add(&c, &rows[i]);
        assert_true(column[0].n == 3 && column[0].min == 2 && column[0].max == 9 && column[0].first == 5 &&
                    column[0].last == 2);
        assert_int_equal(column[0].worst, 1);
        assert_true(column[9].n == 1 && column[9].last == 7);
        assert_true(column[5].n == 1 && !column[5].has_number); /* not finite: counted, not drawn */
        assert_true(column[6].n == 1 && !column[6].has_number && column[6].worst == 2);
        assert_true(column[7].has_number && column[7].last == 1);
        assert_true(column[8].n == 1 && !column[8].has_number);
        for (int x = 1; x < 5; x++)
                assert_int_equal(column[x].n, 0);
}

static void count(void *ctx, const struct user *u)
{
        ++*(int *)ctx;
}

static void test_users(void **state)
{
        struct temp_dir dir;
        char path[TEMP_PATH_MAX];
        struct stat st;
        struct user u;
        struct err e;
        int n = 0;
        FILE *f;

        temp_dir_init(&dir, "page");
        temp_dir_path(&dir, "users", path);
        assert_int_equal(users_find(path, "kim", &u, &e), 1); /* no file: nobody */
        assert_false(users_password_is(NULL, "whatever"));
        assert_int_equal(users_set(path, "kim", true, "correct horse", &e), 0);
        assert_int_equal(users_set(path, "lee", false, "battery staple", &e), 0);
        assert_int_equal(users_find(path, "kim", &u, &e), 0);
        assert_true(u.operate && users_password_is(&u, "correct horse") && !users_password_is(&u, "correct hors"));
        assert_true(strncmp(u.hash, "$y$", 3) == 0);
        assert_int_equal(users_set(path, "kim", false, NULL, &e), 0); /* another role, the same password */
        assert_int_equal(users_find(path, "kim", &u, &e), 0);
        assert_true(!u.operate && users_password_is(&u, "correct horse"));
        stat(path, &st);
        assert_int_equal(st.st_mode & 0007, 0);
        f = fopen(path, "a");
        fputs("no line\nbad name:view:$y$x\nx:admin:$y$x\nnohash:view:\n#c:view:$y$\n", f);
        fclose(f);
        assert_int_equal(users_each(path, count, &n, &e), 0);
        assert_int_equal(n, 2);
        assert_int_equal(users_remove(path, "kim", &e), 0);
        assert_int_equal(users_remove(path, "kim", &e), 1);
        assert_int_equal(users_find(path, "lee", &u, &e), 0);
        temp_dir_fini(&dir);
}

static void test_addresses(void **state)
{
        static const struct {
                const char *listen;
                bool right, near;
        } rows[] = {{"127.0.0.1:8420", true, true}, {"127.8.8.8:1", true, true}, {"[::1]:8420", true, true},
                    {"0.0.0.0:8443", true, false},  {"[::]:8443", true, false},  {"unix:/run/x.sock", true, false},
                    {"localhost:8420", false, 0},   {"127.0.0.1", false, 0},     {"127.0.0.1:0", false, 0},
                    {"127.0.0.1:65536", false, 0},  {"127.0.0.1: 80", false, 0}, {"unix:x", false, 0},
                    {"::1:8420", false, 0},         {"127.0.0.1:80x", false, 0}};
        union page_address a;
        socklen_t len;
        struct err e;
        bool near;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                if ((page_address(rows[i].listen, &a, &len, &near, &e) == 0) != rows[i].right)
                        fail_msg("%s", rows[i].listen);
                if (rows[i].right)
                        assert_int_equal(near, rows[i].near);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tries),   cmocka_unit_test(test_many_addresses), cmocka_unit_test(test_sessions),
                cmocka_unit_test(test_columns), cmocka_unit_test(test_users),          cmocka_unit_test(test_addresses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
