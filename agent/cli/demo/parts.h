/*
 * parts: the processes and files of the demo: started, watched, ended, cleaned
 * away.  One thread; blocking, bounded.
 */
#ifndef MILLRACE_CLI_DEMO_PARTS_H
#define MILLRACE_CLI_DEMO_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/base/err.h"

enum { PART_PATH_MAX = 512 };

struct part {
        const char *name;
        pid_t pid; /* 0: not started, or ended */
        char log[PART_PATH_MAX];
};

struct part_kind {
        int death_signal; /* what it gets when the demo dies */
        const char *user; /* whom it becomes, when this runs as root; NULL: as this */
};

/*
 * In $PATH, beside this program (when `beside`), or where daemons live. False:
 * nowhere.
 */
bool part_find(const char *program, bool beside, char path[PART_PATH_MAX]);

/*
 * Forks; 0 in the child, which dies with its parent and is in a process group
 * of its own.
 */
pid_t part_fork(int death_signal);

/* Runs argv[0] with its output in `dir`/`name`.log. */
int part_start(struct part *p, const char *name, const char *dir, char *const argv[], struct part_kind kind,
               struct err *e);
bool part_runs(struct part *p);
/*
 * SIGTERM, then SIGKILL after `within_ms`. The exit status, or -1 when it had
 * to be killed or was not running.
 */
int part_stop(struct part *p, int within_ms);
/* Until it ends by itself, or SIGKILL after `within_ms`. As part_stop. */
int part_wait(struct part *p, int within_ms);
void part_print_log(const struct part *p); /* its last lines, to standard error */

int part_free_port(void); /* on 127.0.0.1; -1: none */
/* Readable for all: a part may run as somebody else. */
int part_write_file(const char *path, const char *text, struct err *e);
void part_remove_dir(const char *dir);
void part_sleep_ms(int ms); /* a signal ends it early */

#endif
