/*
 * help: usage pages, made from the tables of commands and options, so that they
 * can't fall behind them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"

static void print_options(uint64_t options, FILE *f)
{
        char left[64];

        for (int i = 0; i < CLI_OPTIONS; i++) {
                if (options & (UINT64_C(1) << i)) {
                        const char *help = cli_option_help((enum cli_option_id)i, left, sizeof(left));

                        fprintf(f, "  %-22s  %s\n", left, help);
                }
        }
}

static void print_overview(FILE *f)
{
        fprintf(f, "millrace: sensor readings to Kafka, with nothing lost\n\nUsage: millrace [--config FILE] COMMAND "
                   "…\n\n");
        for (const struct cli_command *k = cli_commands; k->name; k++)
                fprintf(f, "  %-16s  %s\n", k->name, k->summary);
        fprintf(f,
                "\nOptions may stand before or behind the command. 'millrace COMMAND --help' tells more.\n"
                "Exit status: 0 done, 1 the answer is no, 2 wrong usage, 69 daemon, file or Kafka can't be reached,\n"
                "78 the configuration is wrong.\n");
}

void cli_print_help(const struct cli_command *k, FILE *f)
{
        if (!k) {
                print_overview(f);
                return;
        }
        fprintf(f, "Usage: millrace %s%s%s%s\n\n%s\n", k->name, k->args[0] ? " " : "", k->args,
                k->options ? " [OPTION…]" : "", k->summary);
        if (k->detail)
                fprintf(f, "%s\n", k->detail);
        fprintf(f, "\nOptions:\n");
        print_options(k->options | CLI_BIT(CONFIG) | CLI_BIT(HELP), f);
        fprintf(f, "\nExit status:\n   0  done\n");
        if (k->no)
                fprintf(f, "   1  %s\n", k->no);
        fprintf(f, "   2  the command line is wrong\n");
        if (k->options & CLI_BIT(UNTRIED))
                fprintf(f, "  69  what was answered can't be reached; nothing was written\n");
        else if (k->options & CLI_BIT(SPOOL))
                fprintf(f, "  69  the daemon or the spool's file can't be reached\n");
        if (k->options & CLI_BIT(TOPICS))
                fprintf(f, "  69  --kafka: no broker answers\n");
        if (k->run == cmd_verify)
                fprintf(f, "  69  no broker answers\n");
        if (k->options & (CLI_BIT(SPOOL) | CLI_BIT(DUMP) | CLI_BIT(REPORT)) || k->run == cmd_try ||
            k->run == cmd_verify)
                fprintf(f, "  78  the configuration is wrong\n");
        fprintf(f, "\nExample:\n  %s\n", k->example);
}

int cmd_help(struct cli *c)
{
        struct cli asked = {.now_us = c->now_us};
        const char *argv[] = {"millrace", c->n_args > 0 ? c->args[0] : NULL, c->n_args > 1 ? c->args[1] : NULL,
                              "--help"};
        struct err e;

        if (c->n_args == 0 || (c->n_args == 1 && strcmp(c->args[0], "spool") == 0)) {
                cli_print_help(NULL, c->out.f);
                return CLI_OK;
        }
        argv[c->n_args + 1] = "--help";
        if (cli_parse(&asked, c->n_args + 2, argv, &e) != 0)
                return cli_fail(CLI_USAGE, "%s", e.text);
        cli_print_help(asked.command, c->out.f);
        return CLI_OK;
}

int cmd_version(struct cli *c)
{
        fprintf(c->out.f, "millrace %s\n", MILLRACE_VERSION);
        return CLI_OK;
}

int cli_fail(int code, const char *fmt, ...)
{
        struct err e;
        char clean[sizeof(e.text)];
        va_list args;

        va_start(args, fmt);
        vsnprintf(e.text, sizeof(e.text), fmt, args);
        va_end(args);
        out_put_clean(clean, sizeof(clean), e.text); /* it may be a broker's or a file's words */
        fprintf(stderr, "millrace: %s\n", clean);
        return code;
}
