/*
 * progress: a bar on standard error while something takes long.  Only on a
 * terminal, and only after half a second.
 */
#ifndef MILLRACE_CLI_PROGRESS_H
#define MILLRACE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
        bool on, shown;
        int64_t due_ms;
};

/*
 * `beside`: standard output may be the same terminal, where a bar would stand
 * among what is printed.
 */
void progress_begin(struct progress *p, bool beside);
void progress_show(struct progress *p, double part); /* cheap: draws ten times a second at most */
void progress_end(struct progress *p);

#endif
