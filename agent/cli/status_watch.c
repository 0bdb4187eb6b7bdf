/*
 * status_watch: see status_watch.h.
 *
 * On a terminal the page is drawn over the one before, line by line, so that
 * nothing flickers, and stays when it ends: `top` is for who wants a screen.
 * What has no room below is left out, with how much it is.  In a pipe pages
 * follow each other, with an empty line between; with --json an object a line.
 *
 * Fails as `status` does; a daemon that goes and comes ends nothing.
 */
#include "agent/cli/status_watch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

enum { EVERY_S = 2, ROWS = 24 };

static volatile sig_atomic_t over;

static void on_interrupt(int signal)
{
        over = signal;
}

/* The page on a screen of so many rows. */
static void draw(FILE *f, const char *page, size_t rows)
{
        size_t n = 0, shown = 0;

        for (const char *at = page; *at; at++)
                n += *at == '\n';
        fputs("\033[H", f);
        while (*page && shown + 1 < rows && (n < rows || shown + 2 < rows)) {
                size_t len = strcspn(page, "\n");

                fprintf(f, "%.*s\033[K\n", (int)len, page);
                page += len + (page[len] == '\n');
                shown++;
        }
        if (n > shown)
                fprintf(f, "and %zu more lines\033[K\n", n - shown);
        fputs("\033[J", f);
        fflush(f);
}

/* Once: into memory first, so that it is drawn in one go. */
static int once(struct cli *c, int (*show)(struct cli *c, const struct places *places), const struct places *places)
{
        FILE *f = c->out.f;
        struct winsize size = {.ws_row = ROWS};
        struct timespec now;
        char *page;
        size_t len;
        int r;

        clock_gettime(CLOCK_REALTIME, &now);
        c->now_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
        c->out.f = open_memstream(&page, &len);
        BUG_ON(!c->out.f);
        if (c->out.terminal && ioctl(fileno(f), TIOCGWINSZ, &size) == 0 && !cli_has(c, CLI_BIT(WIDE))) {
                c->out.cols = size.ws_col;
                c->out.rows = size.ws_row;
        }
        r = show(c, places);
        BUG_ON(fclose(c->out.f) != 0);
        c->out.f = f;
        if (c->out.terminal)
                draw(f, page, size.ws_row ? size.ws_row : ROWS);
        else
                fprintf(f, "%s%s", page, c->out.json ? "" : "\n");
        free(page);
        return fflush(f) == 0 ? r : CLI_NO;
}

int status_watch(struct cli *c, int (*show)(struct cli *c, const struct places *places), const struct places *places)
{
        struct sigaction on_int = {.sa_handler = on_interrupt};
        struct timespec pause = {.tv_sec = EVERY_S};
        int r = CLI_OK;

        sigaction(SIGINT, &on_int, NULL);
        sigaction(SIGTERM, &on_int, NULL);
        if (c->out.terminal)
                fputs("\033[H\033[J", c->out.f);
        while (!over && !out_broken(&c->out)) {
                r = once(c, show, places);
                if (!over)
                        nanosleep(&pause, NULL);
        }
        return r;
}
