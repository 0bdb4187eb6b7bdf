/*
 * notify_exec: see notify_exec.h.
 *
 * Starting a process may take a while on a small board, so it is done off the
 * loop; its end is an event of a pidfd (on a kernel without: looked for now and
 * then).  The JSON is smaller than a pipe's buffer, so it is written before the
 * start and nobody waits for a program that does not read.  The program is a
 * process group of its own, with an empty signal mask, nothing of our
 * environment but PATH, and no file of ours; after `timeout` the whole group is
 * killed.
 *
 * Fails: what can't be started, ends with a status or is killed is counted and
 * told in one line, the next one goes on.
 */
#include "agent/alarms/notify_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/child.h"
#include "agent/base/err.h"
#include "agent/base/log.h"

enum { WAITING_MAX = 64, LOOK_US = 20000, MINUTE_US = 60000000 };

struct notify_exec {
        struct alarm_notifier notifier; /* first */
        struct rt *rt;
        int64_t timeout_us, per_minute;
        char **argv, **next_argv; /* ours, each one piece of memory; next: when the start under way is over */
        char *waiting[WAITING_MAX];
        size_t first, n_waiting;
        double tokens; /* starts left of this minute */
        int64_t tokens_us;

        struct rt_work work;
        struct rt_watch watch;
        struct rt_timer timer;
        bool busy, starting, orphan;
        char *text; /* of the one that runs */
        pid_t pid;
        int64_t kill_us;
        bool killed;
        struct err why;
        struct notify_exec_counts counts;
};

/* ---- off the loop ---- */

static int fill_pipe(const char *text, int fd[2], struct err *e)
{
        size_t len = strlen(text);

        if (pipe2(fd, O_CLOEXEC) < 0)
                return err_errno(e, "no pipe");
        if (write(fd[1], text, len) == (ssize_t)len) {
                close(fd[1]);
                return 0;
        }
        err_errno(e, "its input can't be written");
        close(fd[0]);
        close(fd[1]);
        return -1;
}

static void run(struct rt_work *w)
{
        struct notify_exec *n = list_entry(w, struct notify_exec, work);
        int fd[2], rc;

        n->pid = -1;
        n->why.text[0] = '\0';
        if (fill_pipe(n->text, fd, &n->why) < 0)
                return;
        rc = child_start(&n->pid, n->argv, fd[0], -1, -1);
        close(fd[0]);
        if (rc == 0)
                return;
        n->pid = -1;
        err_set(&n->why, "can't be started: %s", strerror(rc));
}

/* ---- on the loop ---- */

static void start_next(struct notify_exec *n);
static void take_next(struct notify_exec *n);

static void end(struct notify_exec *n)
{
        rt_timer_cancel(n->rt, &n->timer);
        if (n->watch.fd >= 0) {
                rt_watch_set(n->rt, &n->watch, 0);
                close(n->watch.fd);
                n->watch.fd = -1;
        }
        if (n->why.text[0]) {
                n->counts.failed += !n->killed;
                log_warn("notify", "%s: %s", n->argv[0], n->why.text);
        }
        free(n->text);
        n->text = NULL;
        n->busy = false;
        start_next(n);
}

static void look(struct notify_exec *n)
{
        int64_t left_us = n->kill_us - rt_mono_us(n->rt);
        int status;
        pid_t pid = waitpid(n->pid, &status, WNOHANG);

        if (pid == 0 && left_us <= 0 && !n->killed) {
                kill(-n->pid, SIGKILL);
                n->killed = true;
                n->counts.timed_out++;
                err_set(&n->why, "killed after %.1f s", (double)n->timeout_us / 1e6);
        }
        if (pid == 0) {
                rt_timer_set(n->rt, &n->timer, n->watch.fd < 0 || n->killed ? LOOK_US : left_us);
                return;
        }
        if (!n->killed && pid > 0 && WIFEXITED(status) && WEXITSTATUS(status))
                err_set(&n->why, "exit status %d", WEXITSTATUS(status));
        else if (!n->killed && pid > 0 && WIFSIGNALED(status))
                err_set(&n->why, "ended by signal %d", WTERMSIG(status));
        end(n);
}

static void on_pidfd(struct rt_watch *w, unsigned events)
{
        look(list_entry(w, struct notify_exec, watch));
}

static void on_timer(struct rt_timer *t)
{
        look(list_entry(t, struct notify_exec, timer));
}

static void on_started(struct rt_work *w)
{
        struct notify_exec *n = list_entry(w, struct notify_exec, work);

        n->starting = false;
        if (n->orphan) {
                notify_exec_free(n);
                return;
        }
        take_next(n);
        if (n->pid < 0) {
                end(n);
                return;
        }
        n->killed = false;
        n->kill_us = rt_mono_us(n->rt) + n->timeout_us;
        n->watch.fd = (int)syscall(SYS_pidfd_open, n->pid, 0);
        if (n->watch.fd >= 0)
                rt_watch_set(n->rt, &n->watch, RT_READ);
        look(n);
}

static void start_next(struct notify_exec *n)
{
        if (n->busy || !n->n_waiting)
                return;
        n->text = n->waiting[n->first];
        n->first = (n->first + 1) % WAITING_MAX;
        n->n_waiting--;
        n->busy = n->starting = true;
        n->killed = false;
        n->counts.started++;
        rt_work_start(n->rt, &n->work);
}

static bool within_rate(struct notify_exec *n)
{
        int64_t now_us = rt_mono_us(n->rt);
        double most = (double)n->per_minute;

        n->tokens += (double)(now_us - n->tokens_us) / MINUTE_US * most;
        n->tokens_us = now_us;
        if (n->tokens > most)
                n->tokens = most;
        if (n->tokens < 1)
                return false;
        n->tokens -= 1;
        return true;
}

static void tell(struct alarm_notifier *notifier, const struct alarm_notice *notice)
{
        struct notify_exec *n = (struct notify_exec *)(void *)notifier;
        char *text;

        if (n->n_waiting == WAITING_MAX || !within_rate(n)) {
                if (!n->counts.not_run++)
                        log_warn("notify", "%s: more alarms than it may be started for; the rest is counted",
                                 n->argv[0]);
                return;
        }
        text = mem_alloc(notice->len + 2);
        memcpy(text, notice->json, notice->len);
        text[notice->len] = '\n';
        n->waiting[(n->first + n->n_waiting++) % WAITING_MAX] = text;
        start_next(n);
}

static bool busy(const struct alarm_notifier *notifier)
{
        const struct notify_exec *n = (const struct notify_exec *)(const void *)notifier;

        return n->busy || n->n_waiting;
}

/* The words and the array in front of them. */
static char **copy_argv(const struct schema_list *command)
{
        const char *const *words = command->items;
        size_t n_bytes = (command->n + 1) * sizeof(char *);
        char **argv, *to;

        for (size_t i = 0; i < command->n; i++)
                n_bytes += strlen(words[i]) + 1;
        argv = mem_alloc(n_bytes);
        to = (char *)(argv + command->n + 1);
        for (size_t i = 0; i < command->n; i++) {
                argv[i] = to;
                to = stpcpy(to, words[i]) + 1;
        }
        return argv;
}

static void take_next(struct notify_exec *n)
{
        if (n->starting || !n->next_argv)
                return;
        free(n->argv);
        n->argv = n->next_argv;
        n->next_argv = NULL;
}

void notify_exec_reconfigure(struct notify_exec *n, const struct notify_exec_conf *conf)
{
        free(n->next_argv);
        n->next_argv = copy_argv(&conf->command);
        n->timeout_us = conf->timeout_us;
        n->per_minute = conf->per_minute;
        take_next(n);
}

struct notify_exec *notify_exec_new(struct rt *rt, const struct notify_exec_conf *conf)
{
        struct notify_exec *n = mem_alloc(sizeof(*n));

        n->notifier.tell = tell;
        n->notifier.busy = busy;
        n->rt = rt;
        notify_exec_reconfigure(n, conf);
        n->tokens = (double)conf->per_minute;
        n->tokens_us = rt_mono_us(rt);
        n->work = (struct rt_work){.run = run, .on_done = on_started};
        list_init(&n->work.node);
        n->watch = (struct rt_watch){.fd = -1, .on_event = on_pidfd};
        n->timer.on_due = on_timer;
        return n;
}

void notify_exec_free(struct notify_exec *n)
{
        if (!n)
                return;
        rt_timer_cancel(n->rt, &n->timer);
        n->orphan = true;
        if (n->starting)
                return;
        if (n->watch.fd >= 0) {
                rt_watch_set(n->rt, &n->watch, 0);
                close(n->watch.fd);
        }
        for (; n->n_waiting; n->n_waiting--)
                free(n->waiting[(n->first + n->n_waiting - 1) % WAITING_MAX]);
        free(n->text);
        free(n->argv);
        free(n->next_argv);
        free(n);
}

struct alarm_notifier *notify_exec_notifier(struct notify_exec *n)
{
        return &n->notifier;
}

void notify_exec_counts(const struct notify_exec *n, struct notify_exec_counts *out)
{
        *out = n->counts;
        out->waiting = n->n_waiting;
}
