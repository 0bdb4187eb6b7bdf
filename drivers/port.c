/*
 * port: see port.h.
 *
 * Fails: what can't be opened is told with its reason; a port that is unplugged
 * (read says 0) or a connection that is closed is gone, and it is the owner who
 * shuts it and tries again.
 */
#include "drivers/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char scheme[] = "tcp://";

static bool is_tcp(const char *path)
{
        return strncmp(path, scheme, sizeof(scheme) - 1) == 0;
}

int port_check(const char *path, int64_t baud, struct err *e)
{
        struct tcp_address address;

        if (is_tcp(path))
                return tcp_address_parse(&address, path + sizeof(scheme) - 1, 0) < 0
                               ? err_set(e,
                                         "\"%.80s\" has no host and port; allowed: tcp://host:port, tcp://[::1]:port",
                                         path)
                               : 0;
        if (path[0] != '/')
                return err_set(e, "\"%.80s\" is not a port; allowed: /dev/… or tcp://host:port", path);
        if (!tty_is_baud(baud))
                return err_set(
                        e, "%lld is no speed of a serial port; allowed: 9600, 19200, 38400, 57600, 115200 and the like",
                        (long long)baud);
        return 0;
}

static void on_event(struct rt_watch *w, unsigned events)
{
        struct port *p = list_entry(w, struct port, watch);

        p->on_event(p, events);
}

static void on_tcp_open(struct tcp *t, int fd)
{
        struct port *p = list_entry(t, struct port, tcp);

        p->watch.fd = fd;
        p->on_open(p);
}

static void on_tcp_fail(struct tcp *t, const char *why)
{
        struct port *p = list_entry(t, struct port, tcp);

        p->on_fail(p, why);
}

static void on_tcp_cancelled(struct tcp *t)
{
        struct port *p = list_entry(t, struct port, tcp);

        p->on_stopped(p);
}

void port_init(struct port *p, struct rt *rt, const struct tty_conf *conf)
{
        struct tcp_address address;

        p->rt = rt;
        p->conf = *conf;
        p->is_tcp = is_tcp(conf->path);
        p->watch = (struct rt_watch){.fd = -1, .on_event = on_event};
        p->tcp.on_open = on_tcp_open;
        p->tcp.on_fail = on_tcp_fail;
        p->tcp.on_cancelled = on_tcp_cancelled;
        if (p->is_tcp && tcp_address_parse(&address, conf->path + sizeof(scheme) - 1, 0) == 0)
                tcp_init(&p->tcp, rt, &address);
}

void port_open(struct port *p)
{
        struct err e;

        if (p->is_tcp) {
                tcp_connect(&p->tcp);
                return;
        }
        p->watch.fd = tty_open(&p->conf, &e);
        if (p->watch.fd < 0)
                p->on_fail(p, e.text);
        else
                p->on_open(p);
}

void port_open_again(struct port *p)
{
        if (p->is_tcp)
                tcp_connect_again(&p->tcp);
        else
                port_open(p);
}

void port_watch(struct port *p, unsigned events)
{
        rt_watch_set(p->rt, &p->watch, events);
}

static ssize_t gone(struct port *p, int error, bool *closed, char why[PORT_WHY_MAX])
{
        *closed = p->is_tcp && tcp_is_closed(error);
        snprintf(why, PORT_WHY_MAX, "%s",
                 *closed ? "the other side has closed the connection"
                 : error ? strerror(error)
                         : "the serial port is gone");
        return -1;
}

ssize_t port_read(struct port *p, void *to, size_t room, bool *closed, char why[PORT_WHY_MAX])
{
        ssize_t n = read(p->watch.fd, to, room);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        return n > 0 ? n : gone(p, n < 0 ? errno : 0, closed, why);
}

ssize_t port_write(struct port *p, const void *bytes, size_t n, bool *closed, char why[PORT_WHY_MAX])
{
        ssize_t done = p->is_tcp ? send(p->watch.fd, bytes, n, MSG_NOSIGNAL) : write(p->watch.fd, bytes, n);

        if (done < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        return done >= 0 ? done : gone(p, errno, closed, why);
}

int port_set_baud(struct port *p, int64_t baud, struct err *e)
{
        return p->is_tcp ? 0 : tty_set_baud(p->watch.fd, &p->conf, baud, e);
}

void port_shut(struct port *p)
{
        if (p->watch.fd < 0)
                return;
        rt_watch_set(p->rt, &p->watch, 0);
        if (p->is_tcp)
                close(p->watch.fd);
        else
                tty_close(p->watch.fd);
        p->watch.fd = -1;
}

bool port_stop(struct port *p)
{
        port_shut(p);
        return !p->is_tcp || tcp_cancel(&p->tcp);
}
