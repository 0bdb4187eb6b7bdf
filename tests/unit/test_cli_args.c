/*
 * The command line: which words make which command with which options, and what is said when they do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/cli/cli.h"

enum { WORDS = 10 };

static const int64_t now_us = 1795428000000000; /* 2026-11-23T10:00:00Z */

static int parse(struct cli *c, const char *const *words, struct err *e)
{
        const char *argv[WORDS + 1] = {"millrace"};
        int argc = 1;

        while (words[argc - 1]) {
                argv[argc] = words[argc - 1];
                argc++;
        }
        *c = (struct cli){.now_us = now_us, .lines = 10, .seconds = 30};
        e->text[0] = '\0';
        return cli_parse(c, argc, argv, e);
}

static void test_right(void **state)
{
        static const struct {
                const char *words[WORDS];
                const char *command; /* NULL: none */
                uint64_t given;
                int n_args;
                const char *arg;
        } cases[] = {
                {{"status"}, "status", 0, 0, NULL},
                {{"--config", "a.yaml", "status"}, "status", CLI_BIT(CONFIG), 0, NULL},
                {{"status", "--config=a.yaml"}, "status", CLI_BIT(CONFIG), 0, NULL},
                {{"-ca.yaml", "status", "-j"}, "status", CLI_BIT(CONFIG) | CLI_BIT(JSON), 0, NULL},
                {{"spool", "--json", "ls"}, "spool ls", CLI_BIT(JSON), 0, NULL},
                {{"--json", "spool", "show", "42"}, "spool show", CLI_BIT(JSON), 1, "42"},
                {{"spool", "tail", "-fn5"}, "spool tail", CLI_BIT(FOLLOW) | CLI_BIT(LINES), 0, NULL},
                {{"spool", "tail", "-n", "5", "-f"}, "spool tail", CLI_BIT(FOLLOW) | CLI_BIT(LINES), 0, NULL},
                {{"send", "s/t", "-5.5"}, "send", 0, 2, "s/t"},
                {{"send", "s/t", "-.5", "--unit", "degC"}, "send", CLI_BIT(UNIT), 2, "s/t"},
                {{"send", "--", "s/t", "--x"}, "send", 0, 2, "s/t"},
                {{"check", "a.yaml", "--dump"}, "check", CLI_BIT(DUMP), 1, "a.yaml"},
                {{"help", "spool", "ls"}, "help", 0, 2, "spool"},
                {{"send", "--help"}, "send", CLI_BIT(HELP), 0, NULL},
                {{"spool", "-h"}, NULL, CLI_BIT(HELP), 0, NULL},
                {{"--version"}, NULL, CLI_BIT(VERSION), 0, NULL},
                {{"-h"}, NULL, CLI_BIT(HELP), 0, NULL},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct cli c;
                struct err e;
                int r = parse(&c, cases[i].words, &e);

                if (r)
                        fail_msg("case %zu: %s", i, e.text);
                if (cases[i].command)
                        assert_string_equal(c.command->name, cases[i].command);
                else
                        assert_null(c.command);
                assert_int_equal(c.given, cases[i].given);
                assert_int_equal(c.n_args, cases[i].n_args);
                if (cases[i].arg)
                        assert_string_equal(c.args[0], cases[i].arg);
        }
}

static void test_wrong(void **state)
{
        static const struct {
                const char *words[WORDS];
                const char *said;
        } cases[] = {
                {{NULL}, "a command is needed"},
                {{"staus"}, "did you mean 'status'?"},
                {{"spol", "ls"}, "did you mean 'spool'?"},
                {{"spool"}, "needs one more word"},
                {{"spool", "shwo", "1"}, "did you mean 'spool show'?"},
                {{"frobnicate"}, "'millrace help' lists them"},
                {{"tags", "forgt"}, "no such command: tags forgt; did you mean 'tags forget'?"},
                {{"status", "--jsn"}, "did you mean --json?"},
                {{"status", "--bogus"}, "no such option: --bogus"},
                {{"status", "--conifg"}, "did you mean --config?"},
                {{"status", "--frobnicate"}, "no such option: --frobnicate"},
                {{"status", "-x"}, "no such option: -x"},
                {{"status", "--json=yes"}, "--json takes no value"},
                {{"status", "--spool"}, "--spool needs a value: --spool FILE"},
                {{"status", "--spool="}, "--spool needs a value"},
                {{"status", "--tag", "a/b"}, "'status' takes no --tag"},
                {{"status", "now"}, "'status' does not take 'now'"},
                {{"send", "s/t"}, "usage: millrace send SOURCE/TAG VALUE"},
                {{"spool", "tail", "-n", "many"}, "a whole number"},
                {{"spool", "tail", "-n", "-1"}, "a whole number"},
                {{"spool", "tail", "-n", "99999999999999999999"}, "a whole number"},
                {{"spool", "export", "--since", "last-week"}, "a time is needed"},
                {{"spool", "export", "--json", "--csv"}, "exclude each other"},
                {{"send", "a/b", "1", "2", "3", "4", "5"}, "too many arguments"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct cli c;
                struct err e;

                assert_int_equal(parse(&c, cases[i].words, &e), CLI_USAGE);
                if (!strstr(e.text, cases[i].said))
                        fail_msg("case %zu: \"%s\" does not say \"%s\"", i, e.text, cases[i].said);
                assert_null(strstr(e.text, "--bus")); /* there is one, and none of these takes it */
        }
}

static void test_times(void **state)
{
        static const struct {
                const char *s;
                int64_t us;
        } right[] = {
                {"1h", now_us - 3600000000},           {"0s", now_us},
                {"2d", now_us - 2 * 86400000000},      {"500ms", now_us - 500000},
                {"2026-11-23T10:00:00Z", now_us},      {"2026-11-23T10:00:00.5Z", now_us + 500000},
                {"2026-11-23T12:00:00+02:00", now_us}, {"2026-11-23", now_us - 10 * 3600000000},
                {"2026-11-23 10:00:00Z", now_us},      {"2026-11-23 11:00:00+01", now_us},
                {"2026-11-23 05:00:00-05", now_us},    {"2026-11-23 15:30:00+05:30", now_us},
        };
        static const char *const wrong[] = {"", "1", "now", "-1h", "2026-13-01", "2026-11-23T25:00:00Z", "1h ago"};
        int64_t us;

        for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
                assert_true(cli_time(right[i].s, now_us, &us));
                assert_int_equal(us, right[i].us);
        }
        setenv("TZ", "XYZ-2", 1); /* two hours east */
        tzset();
        assert_true(cli_time("today", now_us, &us));
        assert_int_equal(us, now_us - 12 * 3600000000);
        assert_true(cli_time("yesterday", now_us, &us));
        assert_int_equal(us, now_us - 36 * 3600000000);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
                if (cli_time(wrong[i], now_us, &us))
                        fail_msg("'%s' was taken as a time", wrong[i]);
}

static void test_values(void **state)
{
        static const char *const words[] = {"spool",      "export", "--since", "1h", "--until",
                                            "2026-11-23", "--tag",  "a/b*",    NULL};
        static const char *const demo[] = {"demo", "--seconds=0", "--kafka", "k:9092", NULL};
        struct cli c;
        struct err e;

        assert_int_equal(parse(&c, words, &e), 0);
        assert_int_equal(c.since_us, now_us - 3600000000);
        assert_int_equal(c.until_us, now_us - 10 * 3600000000);
        assert_string_equal(c.tag, "a/b*");
        assert_int_equal(parse(&c, demo, &e), 0);
        assert_int_equal(c.seconds, 0);
        assert_string_equal(c.kafka, "k:9092");
}

/* A page that can't be made, an option nobody explains, an example of another command: all would show here. */
static void test_help_of_every_command(void **state)
{
        for (const struct cli_command *k = cli_commands; k->name; k++) {
                char *text;
                size_t len;
                FILE *f = open_memstream(&text, &len);

                cli_print_help(k, f);
                fclose(f);
                assert_non_null(strstr(text, "Usage: millrace "));
                assert_non_null(strstr(text, "Exit status:"));
                assert_non_null(strstr(text, "--help"));
                assert_non_null(strstr(k->example, k->name));
                assert_null(strstr(text, "(null)"));
                if (k->run == cmd_doctor || k->run == cmd_try)
                        assert_non_null(strstr(text, "  78  "));
                free(text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_right),
                cmocka_unit_test(test_wrong),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_help_of_every_command),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
