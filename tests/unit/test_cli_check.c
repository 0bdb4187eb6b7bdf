/*
 * `millrace check`: the exit status, and a fault taken apart for a script.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cli/cli.h"

static const char right[] = "gateway: gw-7\n"
                            "spool: {path: /tmp/spool.db}\n"
                            "kafka: {brokers: [\"127.0.0.1:9092\"]}\n"
                            "sim: [{name: s, source: press, tags: [{tag: t}]}]\n";
static const char wrong[] = "gateway: gw 7\n"
                            "spool: {path: /tmp/spool.db, max_sise: 1GiB}\n"
                            "sim: [{name: s, source: press, tags: [{tag: t}]}]\n";

static int check(const char *yaml, const char *option, char **text)
{
        char path[] = "/tmp/test_check_XXXXXX";
        const char *argv[] = {"millrace", "check", path, option};
        struct cli c = {0};
        struct err e;
        size_t len;
        int fd = mkstemp(path), r;

        assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
        close(fd);
        assert_int_equal(cli_parse(&c, option ? 4 : 3, argv, &e), 0);
        c.out = (struct out){.f = open_memstream(text, &len), .json = cli_has(&c, CLI_BIT(JSON))};
        r = c.command->run(&c);
        fclose(c.out.f);
        unlink(path);
        return r;
}

static void test_right(void **state)
{
        char *text;

        assert_int_equal(check(right, NULL, &text), CLI_OK);
        assert_non_null(strstr(text, ": ok (gateway gw-7, 1 source, 1 Kafka broker, spool /tmp/spool.db)"));
        free(text);
        assert_int_equal(check(right, "--dump", &text), CLI_OK);
        assert_non_null(strstr(text, "keep_delivered:"));
        free(text);
}

static const json_t *fault_with(json_t *const *faults, size_t n, const char *member, const char *value)
{
        for (size_t i = 0; i < n; i++) {
                const char *s = json_string_value(json_object_get(faults[i], member));

                if (s && strcmp(s, value) == 0)
                        return faults[i];
        }
        fail_msg("no fault with %s %s", member, value);
        return NULL;
}

static void test_faults(void **state)
{
        json_t *faults[8];
        const json_t *f;
        size_t n = 0;
        char *text;

        assert_int_equal(check(wrong, "--json", &text), CLI_CONFIG);
        for (char *line = strtok(text, "\n"); line && n < 8; line = strtok(NULL, "\n"))
                assert_non_null(faults[n++] = json_loads(line, 0, NULL));
        assert_int_equal(n, 3);
        f = fault_with(faults, n, "key", "gateway");
        assert_int_equal(json_integer_value(json_object_get(f, "line")), 1);
        assert_int_equal(json_integer_value(json_object_get(f, "column")), 10);
        assert_string_equal(json_string_value(json_object_get(f, "found")), "\"gw 7\" is not a name");
        assert_true(json_is_string(json_object_get(f, "allowed")));
        assert_true(json_is_null(json_object_get(f, "did_you_mean")));
        f = fault_with(faults, n, "did_you_mean", "max_size");
        assert_int_equal(json_integer_value(json_object_get(f, "line")), 2);
        assert_string_equal(json_string_value(json_object_get(f, "key")), "spool");
        fault_with(faults, n, "key", "kafka");
        while (n > 0)
                json_decref(faults[--n]);
        free(text);
}

static void test_what_librdkafka_refuses_is_a_fault(void **state)
{
        static const char yaml[] = "gateway: gw-7\n"
                                   "spool: {path: /tmp/spool.db}\n"
                                   "kafka: {brokers: [\"127.0.0.1:9092\"], properties: [lingr.ms=5]}\n"
                                   "sim: [{name: s, source: press, tags: [{tag: t}]}]\n";
        json_t *fault;
        char *text;

        assert_int_equal(check(yaml, NULL, &text), CLI_CONFIG);
        free(text);
        assert_int_equal(check(yaml, "--json", &text), CLI_CONFIG);
        fault = json_loads(text, 0, NULL);
        fault_with(&fault, 1, "key", "kafka");
        assert_non_null(strstr(text, "lingr.ms"));
        assert_int_equal(json_integer_value(json_object_get(fault, "line")), 3);
        json_decref(fault);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_right), cmocka_unit_test(test_faults),
                                           cmocka_unit_test(test_what_librdkafka_refuses_is_a_fault)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
