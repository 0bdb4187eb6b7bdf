/*
 * child: see child.h.
 *
 * posix_spawn, as a fork of an agent that holds 200 MB copies its tables.  What
 * is read has a deadline of its own per wait, so neither a program that never
 * writes, nor one that writes for ever, nor a grandchild that keeps the pipe
 * open holds anybody longer than that.
 *
 * How it fails: it can't be started, ends with a status, by a signal, writes
 * more than there is room for, or is killed at its time; each has its sentence.
 */
#include "agent/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 20, WORDS_MAX = 512 };

static void hand_on(posix_spawn_file_actions_t *files, int fd, int as)
{
        if (fd >= 0)
                posix_spawn_file_actions_adddup2(files, fd, as);
        else
                posix_spawn_file_actions_addopen(files, as, "/dev/null", as ? O_WRONLY : O_RDONLY, 0);
}

int child_start(pid_t *pid, char *const argv[], int in, int out, int errors)
{
        static char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                            "LANG=C.UTF-8", NULL};
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int rc;

        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawn_file_actions_init(&files);
        hand_on(&files, in, 0);
        hand_on(&files, out, 1);
        hand_on(&files, errors, 2);
        posix_spawn_file_actions_addclosefrom_np(&files, 3);
        rc = posix_spawn(pid, argv[0], &files, &attributes, argv, environment);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
        return rc;
}

/* ---- what it says ---- */

struct running {
        pid_t pid;
        int fd[2]; /* its stdout and stderr; -1: at their end */
        char *out;
        size_t n_out, cap;
        char words[WORDS_MAX]; /* of stderr, the newest */
        size_t n_words;
        int64_t end_us;
        bool over; /* more than there is room for */
};

static int64_t mono_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void take_words(struct running *r, const char *s, size_t n)
{
        size_t room = WORDS_MAX - 1, keep;

        if (n > room) {
                s += n - room;
                n = room;
        }
        keep = r->n_words + n > room ? room - n : r->n_words;
        memmove(r->words, r->words + r->n_words - keep, keep);
        memcpy(r->words + keep, s, n);
        r->n_words = keep + n;
        r->words[r->n_words] = '\0';
}

static void take(struct running *r, int which)
{
        char text[4096];
        ssize_t n = read(r->fd[which], text, sizeof(text));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0) {
                close(r->fd[which]);
                r->fd[which] = -1;
        } else if (which) {
                take_words(r, text, (size_t)n);
        } else if (r->n_out + (size_t)n >= r->cap) {
                r->over = true;
        } else {
                memcpy(r->out + r->n_out, text, (size_t)n);
                r->n_out += (size_t)n;
        }
}

/* False: its time is over, or it says too much. */
static bool listen_to(struct running *r)
{
        while (r->fd[0] >= 0 || r->fd[1] >= 0) {
                struct pollfd p[2] = {{r->fd[0], POLLIN, 0}, {r->fd[1], POLLIN, 0}};
                int64_t left_us = r->end_us - mono_us();

                if (left_us <= 0 || r->over)
                        return false;
                if (poll(p, 2, (int)(left_us / 1000) + 1) <= 0)
                        continue;
                for (int i = 0; i < 2; i++)
                        if (p[i].revents)
                                take(r, i);
        }
        return true;
}

static bool has_ended(pid_t pid)
{
        siginfo_t info = {.si_pid = 0};

        return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid;
}

/* Its group goes with it, while its number is still its own. False: it had to. */
static bool end(struct running *r, bool in_time, int *status)
{
        while (in_time && !has_ended(r->pid)) {
                in_time = mono_us() < r->end_us;
                if (in_time)
                        poll(NULL, 0, LOOK_MS);
        }
        kill(-r->pid, SIGKILL);
        waitpid(r->pid, status, 0);
        for (int i = 0; i < 2; i++)
                if (r->fd[i] >= 0)
                        close(r->fd[i]);
        return in_time;
}

static const char *last_line(struct running *r)
{
        char *at;

        while (r->n_words && strchr("\r\n ", r->words[r->n_words - 1]))
                r->words[--r->n_words] = '\0';
        at = strrchr(r->words, '\n');
        at = at ? at + 1 : r->words;
        for (char *c = at; *c; c++)
                if ((unsigned char)*c < ' ')
                        *c = ' ';
        return at;
}

static int judge(struct running *r, const char *name, bool in_time, int status, int64_t timeout_us, struct err *e)
{
        const char *words = last_line(r), *colon = *words ? ": " : "";

        if (r->over)
                return err_set(e, "%s writes more than %zu bytes", name, r->cap - 1);
        if (!in_time)
                return err_set(e, "%s was killed after %.1f s", name, (double)timeout_us / 1e6);
        if (WIFSIGNALED(status))
                return err_set(e, "%s was ended by signal %d%s%s", name, WTERMSIG(status), colon, words);
        if (WEXITSTATUS(status))
                return err_set(e, "%s ended with exit status %d%s%s", name, WEXITSTATUS(status), colon, words);
        return 0;
}

long child_read(char *const argv[], int64_t timeout_us, char *out, size_t cap, struct err *e)
{
        struct running r = {.fd = {-1, -1}, .out = out, .cap = cap, .end_us = mono_us() + timeout_us};
        int pipes[2][2] = {{-1, -1}, {-1, -1}}, status = 0, rc;
        bool in_time;

        if (pipe2(pipes[0], O_CLOEXEC) < 0)
                return err_errno(e, "%s: no pipe", argv[0]);
        if (pipe2(pipes[1], O_CLOEXEC) < 0) {
                err_errno(e, "%s: no pipe", argv[0]);
                close(pipes[0][0]);
                close(pipes[0][1]);
                return -1;
        }
        rc = child_start(&r.pid, argv, -1, pipes[0][1], pipes[1][1]);
        for (int i = 0; i < 2; i++) {
                r.fd[i] = pipes[i][0];
                close(pipes[i][1]);
        }
        if (rc) {
                close(r.fd[0]);
                close(r.fd[1]);
                return err_set(e, "%s can't be started: %s", argv[0], strerror(rc));
        }
        in_time = listen_to(&r);
        in_time = end(&r, in_time, &status);
        out[r.n_out] = '\0';
        return judge(&r, argv[0], in_time, status, timeout_us, e) < 0 ? -1 : (long)r.n_out;
}
