/*
 * job: what takes a while, off the thread that serves connections: two threads,
 * a queue of bounded length.
 *
 * Any thread.  run() is called on a worker, then on_done() there too.
 */
#ifndef MILLRACE_PAGE_JOB_H
#define MILLRACE_PAGE_JOB_H

#include <stdbool.h>

struct job {
        void (*run)(struct job *j);
        void (*on_done)(struct job *j);
        struct job *next;
};

void jobs_start(void);        /* once */
bool jobs_add(struct job *j); /* false: too many wait */

#endif
