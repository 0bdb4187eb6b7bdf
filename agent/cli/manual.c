/*
 * manual: prints the parts of the manual pages that the code's own tables hold,
 * in scdoc: `manual keys` for millrace.yaml(5), `manual commands` for
 * millrace(1).  A tool of the build, not installed.
 *
 * Why a program: a key or a command is described once, beside the code that
 * takes it, and the pages say what that says. Fails with 1 when the output
 * can't be written, so that no half page is installed.
 */
#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/config/config.h"

/*
 * scdoc's marks are to be read as they stand, and a line's end may not make
 * one.
 */
static void put(const char *s)
{
        for (; *s; s++) {
                if (strchr("_*\\<>#`.", *s))
                        putchar('\\');
                putchar(*s == '\n' ? ' ' : *s);
        }
}

static void put_options(uint64_t options)
{
        char left[64];

        for (int i = 0; i < CLI_OPTIONS; i++) {
                const char *help;

                if (!(options & (UINT64_C(1) << i)))
                        continue;
                help = cli_option_help((enum cli_option_id)i, left, sizeof(left));
                fputs("*", stdout);
                put(left + strspn(left, " "));
                fputs("*\n\t", stdout);
                put(help);
                fputs("\n\n", stdout);
        }
}

static void put_command(const struct cli_command *k)
{
        fputs("## ", stdout);
        put(k->name);
        fputs("\n\n*millrace ", stdout);
        put(k->name);
        fputs("*", stdout);
        if (k->args[0]) {
                putchar(' ');
                put(k->args);
        }
        fputs("\n\n", stdout);
        put(k->summary);
        fputs(".\n", stdout);
        if (k->detail) {
                put(k->detail);
                putchar('\n');
        }
        if (k->no) {
                fputs("Exit status 1: ", stdout);
                put(k->no);
                fputs(".\n", stdout);
        }
        putchar('\n');
        put_options(k->options);
        fputs("Example: *", stdout);
        put(k->example);
        fputs("*\n\n", stdout);
}

int main(int argc, char **argv)
{
        if (argc == 2 && !strcmp(argv[1], "keys")) {
                config_manual(stdout);
        } else if (argc == 2 && !strcmp(argv[1], "commands")) {
                for (const struct cli_command *k = cli_commands; k->name; k++)
                        put_command(k);
        } else {
                fputs("usage: manual keys|commands\n", stderr);
                return 2;
        }
        return fflush(stdout) != 0 || ferror(stdout);
}
