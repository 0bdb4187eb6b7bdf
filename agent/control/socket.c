/*
 * socket: see socket.h.
 *
 * Rights are the socket's mode (0660, the daemon's group): who may open it may
 * ask.  A path longer than sun_path takes goes through /proc/self/fd of its
 * directory.  A client is kept until its pending answer was given, so that an
 * answer that comes late (send waits for the disk) finds it; if the peer has
 * gone, the answer is dropped there.
 */
#include "agent/control/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS_MAX = 16, REQUEST_MAX = 65536, IDLE_US = 60000000 };

struct control_client {
        struct control *control;
        struct list node;
        struct rt_watch watch;
        struct rt_timer idle;
        char *in;
        size_t n_in;
        char *out;
        size_t n_out, sent;
        bool waiting;    /* for an answer of ours */
        bool gone;       /* the peer; freed as soon as nothing of ours uses it */
        unsigned asking; /* in use further up the stack: 1 a request is being handed over, 2 an answer written */
};

struct control {
        struct rt *rt;
        struct control_ops ops;
        struct rt_watch watch;
        struct list clients;
        unsigned n_clients;
        int dir_fd;
        char name[128];
};

/* ---- one client ---- */

static void client_free(struct control_client *c)
{
        list_remove(&c->node);
        rt_timer_cancel(c->control->rt, &c->idle);
        c->control->n_clients--;
        free(c->in);
        free(c->out);
        free(c);
}

static void client_close(struct control_client *c)
{
        if (!c->gone) {
                rt_watch_set(c->control->rt, &c->watch, 0);
                close(c->watch.fd);
                c->gone = true;
        }
        if (!c->waiting && !c->asking)
                client_free(c);
}

/* Writes what it can; the rest goes when the socket is writable. */
static void client_write(struct control_client *c)
{
        while (c->sent < c->n_out) {
                ssize_t n = send(c->watch.fd, c->out + c->sent, c->n_out - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN) {
                        rt_watch_set(c->control->rt, &c->watch, RT_READ | RT_WRITE);
                        return;
                }
                if (n < 0) {
                        client_close(c);
                        return;
                }
                c->sent += (size_t)n;
        }
        free(c->out);
        c->out = NULL;
        c->n_out = c->sent = 0;
        rt_watch_set(c->control->rt, &c->watch, RT_READ);
}

/*
 * Hands over whole lines, one at a time: the next one after the answer to the
 * last has gone out.
 */
static void client_pump(struct control_client *c)
{
        char *end;

        while (!c->gone && !c->waiting && !c->n_out && (end = memchr(c->in, '\n', c->n_in))) {
                size_t n = (size_t)(end - c->in);

                *end = '\0';
                c->waiting = true;
                c->asking = 1;
                c->control->ops.on_request(c->control->ops.ctx, c, c->in, n);
                c->asking = 0;
                c->n_in -= n + 1;
                memmove(c->in, end + 1, c->n_in);
        }
        if (c->gone && !c->waiting)
                client_free(c);
}

void control_reply(struct control_client *c, const char *json)
{
        BUG_ON(!c->waiting);
        c->waiting = false;
        if (!c->gone) {
                c->n_out = strlen(json) + 1;
                c->out = mem_alloc(c->n_out + 1);
                memcpy(c->out, json, c->n_out - 1);
                c->out[c->n_out - 1] = '\n';
                c->asking |= 2;
                client_write(c);
                c->asking &= 1;
        }
        if (!c->asking)
                client_pump(c);
}

static void on_client(struct rt_watch *w, unsigned events)
{
        struct control_client *c = list_entry(w, struct control_client, watch);
        ssize_t n;

        rt_timer_set(c->control->rt, &c->idle, IDLE_US);
        if (events & RT_WRITE && c->n_out) {
                c->asking = 2;
                client_write(c);
                c->asking = 0;
                client_pump(c);
                return;
        }
        if (c->n_in == REQUEST_MAX) {
                client_close(c);
                return;
        }
        n = recv(w->fd, c->in + c->n_in, REQUEST_MAX - c->n_in, MSG_DONTWAIT);
        if (n > 0) {
                c->n_in += (size_t)n;
                client_pump(c);
        } else if (n == 0 || errno != EAGAIN) {
                client_close(c);
        }
}

static void on_idle(struct rt_timer *t)
{
        client_close(list_entry(t, struct control_client, idle));
}

/* ---- the listening socket ---- */

static void on_accept(struct rt_watch *w, unsigned events)
{
        struct control *control = list_entry(w, struct control, watch);
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct control_client *c;

        if (fd < 0)
                return;
        if (control->n_clients == CLIENTS_MAX) {
                static const char busy[] = "{\"error\":\"too many clients, try again\"}\n";

                (void)!send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
                close(fd);
                return;
        }
        c = mem_alloc(sizeof(*c));
        c->control = control;
        c->in = mem_alloc(REQUEST_MAX);
        c->watch = (struct rt_watch){.fd = fd, .on_event = on_client};
        c->idle.on_due = on_idle;
        list_append(&control->clients, &c->node);
        control->n_clients++;
        rt_watch_set(control->rt, &c->watch, RT_READ);
        rt_timer_set(control->rt, &c->idle, IDLE_US);
}

/*
 * The address of `name` in the directory open at `dir_fd`, or of the path
 * itself when it is short enough.
 */
static void address(const struct control *control, struct sockaddr_un *un)
{
        memset(un, 0, sizeof(*un));
        un->sun_family = AF_UNIX;
        snprintf(un->sun_path, sizeof(un->sun_path), "/proc/self/fd/%d/%.64s", control->dir_fd, control->name);
}

static int open_dir(struct control *control, const char *path, struct err *e)
{
        const char *slash = strrchr(path, '/');
        char dir[4096];
        size_t n = slash ? (size_t)(slash - path) : 0;

        if (n >= sizeof(dir) || strlen(slash ? slash + 1 : path) > 64)
                return err_set(e, "control socket %s: its name is too long", path);
        snprintf(control->name, sizeof(control->name), "%s", slash ? slash + 1 : path);
        memcpy(dir, n ? path : (slash ? "/" : "."), n ? n : 1);
        dir[n ? n : 1] = '\0';
        control->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return control->dir_fd < 0 ? err_errno(e, "control socket %s: its directory %s", path, dir) : 0;
}

static int listen_at(struct control *control, const char *path, struct err *e)
{
        struct sockaddr_un un;
        mode_t mask;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

        if (fd < 0)
                return err_errno(e, "control socket %s", path);
        control->watch.fd = fd;
        address(control, &un);
        if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 || errno == EAGAIN)
                return err_set(e,
                               "control socket %s is in use: another millraced runs with this spool or socket; stop it "
                               "or set control.socket",
                               path);
        if (errno == ECONNREFUSED)
                unlinkat(control->dir_fd, control->name, 0);
        mask = umask(0117);
        rc = bind(fd, (struct sockaddr *)&un, sizeof(un));
        umask(mask);
        if (rc < 0 || listen(fd, CLIENTS_MAX) < 0)
                return err_errno(e, "control socket %s", path);
        return 0;
}

struct control *control_open(struct rt *rt, const char *path, const struct control_ops *ops, struct err *e)
{
        struct control *control = mem_alloc(sizeof(*control));

        control->rt = rt;
        control->ops = *ops;
        control->watch.fd = control->dir_fd = -1;
        control->watch.on_event = on_accept;
        list_init(&control->clients);
        if (open_dir(control, path, e) < 0 || listen_at(control, path, e) < 0) {
                if (control->watch.fd >= 0)
                        close(control->watch.fd);
                if (control->dir_fd >= 0)
                        close(control->dir_fd);
                free(control);
                return NULL;
        }
        rt_watch_set(rt, &control->watch, RT_READ);
        return control;
}

void control_close(struct control *control)
{
        struct list *next;

        for (struct list *n = control->clients.next; n != &control->clients; n = next) {
                struct control_client *c = list_entry(n, struct control_client, node);

                next = n->next;
                c->waiting = false;
                client_close(c);
        }
        rt_watch_set(control->rt, &control->watch, 0);
        close(control->watch.fd);
        unlinkat(control->dir_fd, control->name, 0);
        close(control->dir_fd);
        free(control);
}
