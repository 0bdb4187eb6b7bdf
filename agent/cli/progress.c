/*
 * progress: see progress.h.  The line is wiped at the end, so that nothing of
 * it is left.  It does not fail.
 */
#include "agent/cli/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 30, FIRST_MS = 500, EVERY_MS = 100 };

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(struct progress *p, bool beside)
{
        *p = (struct progress){.on = isatty(STDERR_FILENO) && (!beside || !isatty(STDOUT_FILENO)),
                               .due_ms = now_ms() + FIRST_MS};
}

void progress_show(struct progress *p, double part)
{
        int full = part >= 1 ? WIDTH : part > 0 ? (int)(part * WIDTH) : 0;

        if (!p->on || now_ms() < p->due_ms)
                return;
        p->due_ms = now_ms() + EVERY_MS;
        p->shown = true;
        fprintf(stderr, "\r[%.*s%*s] %3d %%", full, "##############################", WIDTH - full, "",
                part >= 1 ? 100 : (int)(part * 100));
}

void progress_end(struct progress *p)
{
        if (p->shown)
                fputs("\r\033[K", stderr);
        p->shown = false;
}
