/*
 * ctl_client: the command's end of the control socket.
 *
 * The protocol is one JSON object on a line each way, then the connection ends.
 * A socket's address holds 107 bytes of path; a longer one (a spool deep down
 * in a tree) is reached through /proc/self/fd/N of its opened directory.
 *
 * Fails in words: nobody there (no socket, or one that a dead daemon left
 * behind) is told apart from "not allowed" and from a daemon that does not
 * answer within 5 s.  An answer is bounded at 64 MiB and never trusted to be
 * JSON.
 */
#include "agent/cli/ctl_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_WITHIN_MS = 5000, ANSWER_MAX = 64 << 20, ANSWER_STEP = 16 << 10 };

static int64_t mono_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int open_dir(const char *path, size_t dir_len)
{
        char *dir = mem_strdup(path);
        int fd;

        dir[dir_len] = '\0';
        fd = open(dir_len ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        free(dir);
        return fd;
}

/*
 * Fills the address; *dir_fd is to stay open until connected, -1 when none is
 * needed. 0, or -1 and errno.
 */
static int put_address(struct sockaddr_un *address, const char *path, int *dir_fd)
{
        const char *slash = strrchr(path, '/');
        size_t cap = sizeof(address->sun_path);

        *address = (struct sockaddr_un){.sun_family = AF_UNIX};
        *dir_fd = -1;
        if (strlen(path) < cap) {
                memcpy(address->sun_path, path, strlen(path) + 1);
                return 0;
        }
        if (!slash || strlen(slash) > cap - sizeof("/proc/self/fd/0123456789")) {
                errno = ENAMETOOLONG;
                return -1;
        }
        *dir_fd = open_dir(path, (size_t)(slash - path));
        if (*dir_fd < 0)
                return -1;
        snprintf(address->sun_path, cap, "/proc/self/fd/%d%s", *dir_fd, slash);
        return 0;
}

static int connect_to(const char *path)
{
        struct timeval within = {.tv_sec = ANSWER_WITHIN_MS / 1000};
        struct sockaddr_un address;
        int dir_fd, fd, r, saved;

        if (put_address(&address, path, &dir_fd) < 0)
                return -1;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0)
                setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof(within));
        r = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)&address, sizeof(address));
        saved = errno;
        if (dir_fd >= 0)
                close(dir_fd);
        if (r < 0 && fd >= 0)
                close(fd);
        errno = saved;
        return r < 0 ? -1 : fd;
}

static int send_line(int fd, const json_t *request, struct err *e)
{
        char *text = json_dumps(request, JSON_COMPACT);
        size_t len = text ? strlen(text) : 0, at = 0;
        ssize_t n = 0;

        BUG_ON(!text);
        text[len] = '\n'; /* in place of the end */
        while (at <= len && n >= 0) {
                n = send(fd, text + at, len + 1 - at, MSG_NOSIGNAL);
                at += n > 0 ? (size_t)n : 0;
        }
        free(text);
        return n < 0 ? err_errno(e, "the daemon does not take the question") : 0;
}

/* Reads up to the first line end or the end of the connection. */
static int read_line(int fd, char **out, size_t *out_len, struct err *e)
{
        int64_t until = mono_ms() + ANSWER_WITHIN_MS;
        size_t cap = 0, len = 0;
        char *buf = NULL;

        for (;;) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                int64_t left = until - mono_ms();
                int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
                ssize_t n;

                if (ready < 0 && errno == EINTR)
                        continue;
                if (ready == 0) {
                        free(buf);
                        return err_set(e, "the daemon did not answer within %d s", ANSWER_WITHIN_MS / 1000);
                }
                if (cap - len < ANSWER_STEP)
                        buf = mem_grow(buf, cap = 2 * cap + ANSWER_STEP, 1);
                n = read(fd, buf + len, cap - len);
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                len += n > 0 ? (size_t)n : 0;
                if (n <= 0 || memchr(buf + len - n, '\n', (size_t)n) || len >= ANSWER_MAX)
                        break;
        }
        *out = buf;
        *out_len = len;
        return 0;
}

static int read_answer(int fd, json_t **reply, struct err *e)
{
        const char *refusal;
        json_error_t fault;
        size_t len = 0;
        char *text = NULL;

        if (read_line(fd, &text, &len, e) < 0)
                return -1;
        *reply = json_loadb(text, len, JSON_DISABLE_EOF_CHECK, &fault);
        free(text);
        if (len == 0)
                return err_set(e, "the daemon closed the connection without an answer");
        if (!json_is_object(*reply)) {
                json_decref(*reply);
                *reply = NULL;
                return err_set(e, "the daemon's answer is no JSON object (%s)", fault.text);
        }
        refusal = json_string_value(json_object_get(*reply, "error"));
        if (!refusal)
                return 0;
        err_set(e, "%s", refusal);
        json_decref(*reply);
        *reply = NULL;
        return CTL_E_REFUSED;
}

int ctl_ask(const char *path, const json_t *request, json_t **reply, struct err *e)
{
        int fd = connect_to(path), r;

        *reply = NULL;
        if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)) {
                err_set(e, "no daemon listens at %s", path);
                return CTL_E_AWAY;
        }
        if (fd < 0 && errno == EACCES)
                return err_set(e, "not allowed to talk to the daemon at %s: be root or in the group millrace", path);
        if (fd < 0)
                return err_errno(e, "the daemon at %s can't be reached", path);
        r = send_line(fd, request, e);
        if (r == 0)
                r = read_answer(fd, reply, e);
        close(fd);
        return r;
}
