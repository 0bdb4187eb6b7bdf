/*
 * tcp: see tcp.h.
 *
 * An address that is no name is taken as it is; a name is resolved off the
 * loop, because a name server may take half a minute to say nothing.  The
 * connect does not block and has five seconds; the kernel gives a peer up that
 * acknowledges nothing for ten.
 *
 * Fails: each failure is told once, with the host or the address it is about.
 */
#include "drivers/tcp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_US = 5000000, PEER_GONE_MS = 10000, WHY_MAX = 400 };

int tcp_address_parse(struct tcp_address *out, const char *text, unsigned usual_port)
{
        const char *host = text + (text[0] == '['), *end = host + strcspn(host, text[0] == '[' ? "]" : ":"), *service;
        size_t digits;

        *out = (struct tcp_address){.host = ""};
        if (text[0] == '[' && *end != ']')
                return -1;
        service = end + (*end == ']');
        if (end == host || (size_t)(end - host) >= sizeof(out->host))
                return -1;
        memcpy(out->host, host, (size_t)(end - host));
        if (*service == '\0' && usual_port) {
                snprintf(out->service, sizeof(out->service), "%hu", (unsigned short)usual_port);
                return 0;
        }
        if (*service++ != ':')
                return -1;
        digits = strspn(service, "0123456789");
        if (digits == 0 || digits > 5 || service[digits] || atoi(service) < 1 || atoi(service) > 65535)
                return -1;
        memcpy(out->service, service, digits);
        return 0;
}

bool tcp_is_closed(int error)
{
        return error == 0 || error == ECONNRESET || error == EPIPE || error == ECONNABORTED;
}

/* Behind this no event comes any more. */
static int let_go(struct tcp *t)
{
        int fd = t->watch.fd;

        rt_timer_cancel(t->rt, &t->timer);
        if (fd >= 0)
                rt_watch_set(t->rt, &t->watch, 0);
        t->watch.fd = -1;
        t->state = TCP_SHUT;
        return fd;
}

static void fail(struct tcp *t, const char *what, const char *why)
{
        char text[WHY_MAX];
        int fd = let_go(t);

        if (fd >= 0)
                close(fd);
        snprintf(text, sizeof(text), "%s: %s", what, why);
        t->on_fail(t, text);
}

static void fail_connect(struct tcp *t, int error)
{
        char what[TCP_HOST_MAX + 16];

        snprintf(what, sizeof(what), "%s:%s", t->address.host, t->address.service);
        fail(t, what, strerror(error));
}

static void set_options(int fd)
{
        unsigned gone_ms = PEER_GONE_MS;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof(gone_ms));
}

static void connect_to(struct tcp *t, size_t i)
{
        int fd = socket(t->found[i].addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        t->watch.fd = fd;
        if (fd >= 0)
                set_options(fd);
        if (fd < 0 ||
            (connect(fd, (struct sockaddr *)&t->found[i].addr, t->found[i].len) < 0 && errno != EINPROGRESS)) {
                fail_connect(t, errno);
                return;
        }
        t->state = TCP_CONNECTING;
        rt_watch_set(t->rt, &t->watch, RT_WRITE);
        rt_timer_set(t->rt, &t->timer, CONNECT_US);
}

static void on_event(struct rt_watch *w, unsigned events)
{
        struct tcp *t = list_entry(w, struct tcp, watch);
        socklen_t len = sizeof(int);
        int error = 0;

        if (getsockopt(t->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                error = errno;
        if (error)
                fail_connect(t, error);
        else
                t->on_open(t, let_go(t));
}

static void on_late(struct rt_timer *timer)
{
        fail_connect(list_entry(timer, struct tcp, timer), ETIMEDOUT);
}

/* ---- names ---- */

static int resolve(struct tcp *t, int flags)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV}, *list;
        int r = getaddrinfo(t->address.host, t->address.service, &hints, &list);

        if (r)
                return r;
        t->n_found = 0;
        for (struct addrinfo *a = list; a && t->n_found < TCP_ADDRESSES_MAX; a = a->ai_next) {
                memcpy(&t->found[t->n_found].addr, a->ai_addr, a->ai_addrlen);
                t->found[t->n_found++].len = a->ai_addrlen;
        }
        freeaddrinfo(list);
        return 0;
}

static void run_resolve(struct rt_work *w)
{
        struct tcp *t = list_entry(w, struct tcp, resolve);

        t->resolve_error = resolve(t, 0);
}

static void on_resolved(struct rt_work *w)
{
        struct tcp *t = list_entry(w, struct tcp, resolve);

        t->state = TCP_SHUT;
        if (t->cancelled)
                t->on_cancelled(t);
        else if (t->resolve_error)
                fail(t, t->address.host, gai_strerror(t->resolve_error));
        else
                connect_to(t, t->next_found++ % t->n_found);
}

/* ---- for the owner ---- */

void tcp_init(struct tcp *t, struct rt *rt, const struct tcp_address *address)
{
        t->rt = rt;
        t->address = *address;
        t->watch = (struct rt_watch){.fd = -1, .on_event = on_event};
        t->timer.on_due = on_late;
        t->resolve = (struct rt_work){.run = run_resolve, .on_done = on_resolved, .slow = true};
}

void tcp_connect(struct tcp *t)
{
        BUG_ON(t->state != TCP_SHUT);
        t->cancelled = false;
        if (resolve(t, AI_NUMERICHOST) == 0) {
                connect_to(t, t->next_found++ % t->n_found);
                return;
        }
        t->state = TCP_RESOLVING;
        rt_work_start(t->rt, &t->resolve);
}

void tcp_connect_again(struct tcp *t)
{
        if (t->n_found)
                connect_to(t, (t->next_found + t->n_found - 1) % t->n_found);
        else
                tcp_connect(t);
}

bool tcp_cancel(struct tcp *t)
{
        int fd;

        if (t->state == TCP_RESOLVING) {
                t->cancelled = true;
                return false;
        }
        fd = let_go(t);
        if (fd >= 0)
                close(fd);
        return true;
}
