/*
 * main of `millrace`: reads the command line, runs one command, turns a failed
 * write into an exit status.
 *
 * A reader that goes away (`millrace spool export | head`) ends the command at
 * once and quietly: SIGPIPE exits 0.  Nothing needs cleaning up then, the spool
 * is only read; the demo, which does, takes the signal over.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/fds.h"
#include "agent/base/log.h"
#include "agent/cli/cli.h"
#include "agent/program.h"

static void on_closed_pipe(int signal)
{
        _exit(signal == SIGPIPE ? CLI_OK : CLI_NO);
}

static int64_t wall_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int run(struct cli *c)
{
        if (cli_has(c, CLI_BIT(VERSION)))
                return cmd_version(c);
        if (!cli_has(c, CLI_BIT(HELP)))
                return c->command->run(c);
        cli_print_help(c->command, c->out.f);
        return CLI_OK;
}

/*
 * `millrace page …` is a program of its own, and a package.  Comes back only when
 * it is not there, or another command is meant.
 */
static int try_page(int argc, char **argv)
{
        char here[512], program[600];
        ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);
        char *slash;

        if (argc < 2 || strcmp(argv[1], "page") != 0)
                return CLI_OK;
        argv[1] = argv[0];
        execvp("millrace-page", argv + 1);
        here[n > 0 ? n : 0] = '\0';
        slash = strrchr(here, '/');
        if (slash) {
                *slash = '\0';
                snprintf(program, sizeof(program), "%s/page/millrace-page", here);
                execv(program, argv + 1);
        }
        return cli_fail(CLI_AWAY, "the page is the package millrace-page, which is not installed");
}

int millrace_main(int argc, char **argv)
{
        struct cli c = {.now_us = wall_us(), .config = "/etc/millrace/millrace.yaml", .lines = 10, .seconds = 30};
        struct sigaction on_pipe = {.sa_handler = on_closed_pipe};
        struct err e;
        int r;

        fds_fill();
        sigaction(SIGPIPE, &on_pipe, NULL);
        log_init(LOG_WARN);
        r = try_page(argc, argv);
        if (r)
                return r;
        r = cli_parse(&c, argc, (const char *const *)argv, &e);
        if (r)
                return cli_fail(r, "%s", e.text);
        out_init(&c.out, stdout, cli_has(&c, CLI_BIT(JSON)));
        c.out.utc = cli_has(&c, CLI_BIT(UTC));
        c.out.cols = cli_has(&c, CLI_BIT(WIDE)) ? 0 : c.out.cols;
        r = run(&c);
        if (!out_end(&c.out))
                return cli_fail(CLI_NO, "the output could not be written in full");
        return r;
}
