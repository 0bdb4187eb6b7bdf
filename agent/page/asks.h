/*
 * asks: what a page may ask, as JSON.  Blocking, on a worker.
 *
 * Lists are what `millrace … --json` prints, by that very command, so that the
 * page and the command can't differ.
 */
#ifndef MILLRACE_PAGE_ASKS_H
#define MILLRACE_PAGE_ASKS_H

#include <stdbool.h>

#include "agent/base/err.h"

struct asks {
        char *config, *spool, *socket, *program; /* program: millrace, its path */
};

/* One parameter of the address, decoded; NULL: not there. */
struct ask_values {
        const char *(*get)(void *ctx, const char *name);
        void *ctx;
};

/* What an ask came to: an HTTP status, and JSON that is the caller's to free. */
struct ask_answer {
        int status;
        char *json;
};

bool asks_know(const char *path); /* /api/tags … */
void asks_run(const struct asks *a, const char *path, const struct ask_values *v, struct ask_answer *out);

/* An operator's word about an alarm: {"action","alarm","comment","for_s"}. */
void asks_act(const struct asks *a, const char *operator, const char * body, struct ask_answer *out);

void answer_error(struct ask_answer *out, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
