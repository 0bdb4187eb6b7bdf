/*
 * syslog: the sockets.  One for UDP, one that listens, and a bounded number of
 * connections, each with its own buffer.
 *
 * A TCP sender can wait: when the spool has no room the message stays in its
 * connection's buffer, nothing is read, and TCP holds the sender; so nothing is
 * lost that was sent.  UDP can't: it is read on, 16 datagrams per system call,
 * and what the spool can't take is dropped there, counted and named; what the
 * kernel dropped before us is asked for and counted as an error.
 *
 * Time: what has a zone is believed as source_time.h says.  The old format has
 * none: the arrival stands and the reading is uncertain.  Bytes that are not
 * UTF-8 become question marks, one each; the message is counted as malformed.
 *
 * Fails: a port that is in use or not allowed ends in link_down and another
 * try.  A connection that fails, ends, or says nothing for idle_timeout is
 * closed; its neighbours are not touched.  Out of file descriptors: no
 * accepting for a second.
 */
#include "drivers/syslog/syslog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "drivers/source_time.h"
#include "drivers/syslog/parse.h"
#include "drivers/syslog/stream.h"
#include "drivers/syslog/tags.h"

enum { DATAGRAMS = 16, ROUNDS_MAX = 4, RECEIVE_BUFFER_BYTES = 1 << 20, ACCEPT_AGAIN_US = 1000000 };

struct connection {
        struct syslog *s;
        struct rt_watch watch; /* fd -1: free */
        struct rt_timer idle;
        struct syslog_stream stream;
        char peer[TEXT_NAME_MAX + 1];
        bool ended; /* by the other side; what it sent is still here */
};

struct datagram {
        char bytes[SYSLOG_MESSAGE_MAX];
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint32_t))];
        struct sockaddr_storage from;
        struct iovec iov;
};

struct syslog {
        struct driver *d;
        const struct syslog_conf *conf;
        struct syslog_address address;
        struct syslog_tags tags;
        bool paused;

        struct rt_watch udp, listener; /* fd -1: none */
        struct rt_timer accept_again;
        struct datagram *datagrams;
        struct mmsghdr heads[DATAGRAMS];
        uint32_t n_kernel_dropped; /* as the kernel counts */

        struct connection *connections; /* max_connections of them */
        char repaired[SYSLOG_MESSAGE_MAX];
};

/* ---- messages ---- */

/* A copy with a ? for every byte that is no UTF-8. */
static const char *repair(struct syslog *s, const char *text, size_t len)
{
        if (text_is_utf8(text, len))
                return text;
        for (size_t i = 0; i < len;) {
                size_t n = 1;

                while (n <= 4 && i + n <= len && !text_is_utf8(text + i, n))
                        n++;
                if (n <= 4 && i + n <= len) {
                        memcpy(s->repaired + i, text + i, n);
                        i += n;
                } else {
                        s->repaired[i++] = '?';
                }
        }
        return s->repaired;
}

/* 0: taken care of; DRIVER_E_WAIT: nothing was taken. */
static int take(struct syslog *s, const char *line, size_t len, const char *peer, bool may_wait)
{
        bool whole = s->conf->text == SYSLOG_TEXT_LINE, is_other;
        struct syslog_message m;
        struct reading r = {.type = READING_TEXT};
        struct rt_time now;

        syslog_parse(line, len, &m);
        if (syslog_tags_find(&s->tags, &m, peer, &r.tag, &is_other) != 0) {
                s->d->n_untagged++;
                s->d->host->quarantine(s->d, peer, tags_why(s->d->tags), line, len);
                return 0;
        }
        whole |= is_other;
        rt_now(s->d->rt, &now);
        r.ts_us = r.arrival_us = now.wall_us;
        if (m.has_time)
                source_time_set(&r, m.time_us, m.has_zone);
        r.len = (uint32_t)(whole ? len : m.text_len);
        r.v.text = repair(s, whole ? line : m.text, r.len);
        if (driver_emit(s->d, &r, 1, may_wait) == DRIVER_E_WAIT)
                return DRIVER_E_WAIT;
        if (r.v.text == s->repaired)
                driver_malformed(s->d, peer, "a message was not UTF-8");
        return 0;
}

static void name_peer(char out[TEXT_NAME_MAX + 1], const struct sockaddr_storage *from)
{
        char text[INET6_ADDRSTRLEN] = "unknown";

        if (from->ss_family == AF_INET)
                inet_ntop(AF_INET, &((const struct sockaddr_in *)from)->sin_addr, text, sizeof(text));
        else if (from->ss_family == AF_INET6)
                inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)from)->sin6_addr, text, sizeof(text));
        text_map_name(out, strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text,
                      strlen(text) - (strncmp(text, "::ffff:", 7) == 0 ? 7 : 0));
}

/* ---- UDP ---- */

static void prepare(struct syslog *s)
{
        for (size_t i = 0; i < DATAGRAMS; i++) {
                struct datagram *g = &s->datagrams[i];

                g->iov = (struct iovec){g->bytes, sizeof(g->bytes)};
                s->heads[i].msg_hdr = (struct msghdr){.msg_name = &g->from,
                                                      .msg_namelen = sizeof(g->from),
                                                      .msg_iov = &g->iov,
                                                      .msg_iovlen = 1,
                                                      .msg_control = g->control,
                                                      .msg_controllen = sizeof(g->control)};
        }
}

static void count_kernel_dropped(struct syslog *s, struct msghdr *head)
{
        uint32_t n;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
                        continue;
                memcpy(&n, CMSG_DATA(c), sizeof(n));
                if (n != s->n_kernel_dropped) {
                        s->d->n_errors += n - s->n_kernel_dropped - 1;
                        driver_error(s->d, "the kernel dropped datagrams, they came faster than they were read");
                }
                s->n_kernel_dropped = n;
        }
}

static void take_datagram(struct syslog *s, const struct datagram *g, struct mmsghdr *head)
{
        char peer[TEXT_NAME_MAX + 1];
        size_t len = head->msg_len;

        count_kernel_dropped(s, &head->msg_hdr);
        while (len && (g->bytes[len - 1] == '\n' || g->bytes[len - 1] == '\r' || g->bytes[len - 1] == '\0'))
                len--;
        if (!len)
                return;
        name_peer(peer, &g->from);
        if (head->msg_hdr.msg_flags & MSG_TRUNC)
                driver_malformed(s->d, peer, "a message longer than 8 KiB was cut");
        take(s, g->bytes, len, peer, false);
}

static void on_udp(struct rt_watch *w, unsigned events)
{
        struct syslog *s = list_entry(w, struct syslog, udp);
        int n = DATAGRAMS;

        for (int round = 0; round < ROUNDS_MAX && n == DATAGRAMS; round++) {
                prepare(s);
                n = recvmmsg(w->fd, s->heads, DATAGRAMS, 0, NULL);
                for (int i = 0; i < n; i++)
                        take_datagram(s, &s->datagrams[i], &s->heads[i]);
        }
}

/* ---- TCP ---- */

static void close_connection(struct connection *c)
{
        if (c->watch.fd < 0)
                return;
        rt_timer_cancel(c->s->d->rt, &c->idle);
        rt_watch_set(c->s->d->rt, &c->watch, 0);
        close(c->watch.fd);
        c->watch.fd = -1;
}

/* False: there is no room; the rest stays where it is. */
static bool drain(struct connection *c, bool may_wait)
{
        const char *message;
        size_t len;

        while (syslog_stream_next(&c->stream, c->ended, &message, &len)) {
                bool cut = c->stream.cut;

                if (take(c->s, message, len, c->peer, may_wait) == DRIVER_E_WAIT)
                        return false;
                if (cut)
                        driver_malformed(c->s->d, c->peer, "a message longer than 8 KiB was cut");
                syslog_stream_took(&c->stream);
        }
        if (c->ended)
                close_connection(c);
        return true;
}

static void on_connection(struct rt_watch *w, unsigned events)
{
        struct connection *c = list_entry(w, struct connection, watch);
        char *at;
        size_t room = syslog_stream_room(&c->stream, &at);
        ssize_t n;

        BUG_ON(room == 0);
        n = read(w->fd, at, room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        c->ended = n <= 0;
        if (n > 0)
                syslog_stream_push(&c->stream, (size_t)n);
        rt_timer_set(c->s->d->rt, &c->idle, c->s->conf->idle_timeout_us);
        drain(c, true);
}

static void on_idle(struct rt_timer *t)
{
        struct connection *c = list_entry(t, struct connection, idle);

        if (c->s->paused) {
                rt_timer_set(c->s->d->rt, t, c->s->conf->idle_timeout_us);
                return;
        }
        c->ended = true;
        drain(c, false);
}

static struct connection *free_connection(struct syslog *s)
{
        for (int64_t i = 0; i < s->conf->max_connections; i++)
                if (s->connections[i].watch.fd < 0)
                        return &s->connections[i];
        return NULL;
}

static void accepted(struct syslog *s, int fd, const struct sockaddr_storage *from)
{
        struct connection *c = free_connection(s);

        if (!c) {
                close(fd);
                driver_error(s->d, "a connection beyond max_connections was closed");
                return;
        }
        if (!c->stream.buf)
                syslog_stream_init(&c->stream);
        syslog_stream_reset(&c->stream);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
        name_peer(c->peer, from);
        c->ended = false;
        c->watch.fd = fd;
        rt_timer_set(s->d->rt, &c->idle, s->conf->idle_timeout_us);
        if (!s->paused)
                rt_watch_set(s->d->rt, &c->watch, RT_READ);
}

static void on_listener(struct rt_watch *w, unsigned events)
{
        struct syslog *s = list_entry(w, struct syslog, listener);

        for (int i = 0; i < DATAGRAMS; i++) {
                struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
                socklen_t len = sizeof(from);
                int fd = accept4(w->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd >= 0) {
                        accepted(s, fd, &from);
                        continue;
                }
                if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
                        return;
                driver_error(s->d, "accept: %s", strerror(errno));
                rt_watch_set(s->d->rt, w, 0);
                rt_timer_set(s->d->rt, &s->accept_again, ACCEPT_AGAIN_US);
                return;
        }
}

static void on_accept_again(struct rt_timer *t)
{
        struct syslog *s = list_entry(t, struct syslog, accept_again);

        rt_watch_set(s->d->rt, &s->listener, RT_READ);
}

/* ---- opening and closing ---- */

static void shut_watch(struct syslog *s, struct rt_watch *w)
{
        if (w->fd < 0)
                return;
        rt_watch_set(s->d->rt, w, 0);
        close(w->fd);
        w->fd = -1;
}

static void shut(struct syslog *s)
{
        rt_timer_cancel(s->d->rt, &s->accept_again);
        shut_watch(s, &s->udp);
        shut_watch(s, &s->listener);
        for (int64_t i = 0; i < s->conf->max_connections; i++) {
                struct connection *c = &s->connections[i];

                if (c->watch.fd < 0)
                        continue;
                c->ended = true;
                drain(c, false);
        }
}

static int open_socket(const struct syslog *s, int type, struct err *e)
{
        const struct sockaddr *addr = (const struct sockaddr *)(const void *)s->address.bytes;
        int fd = socket(addr->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return err_errno(e, "%s", s->conf->listen);
        if (type == SOCK_STREAM) {
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        } else {
                setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){RECEIVE_BUFFER_BYTES}, sizeof(int));
                setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &(int){1}, sizeof(int));
        }
        if (bind(fd, addr, s->address.len) == 0 && (type != SOCK_STREAM || listen(fd, 16) == 0))
                return fd;
        err_errno(e, "%s, %s", s->conf->listen, type == SOCK_STREAM ? "tcp" : "udp");
        close(fd);
        return -1;
}

static int open_both(struct syslog *s, struct err *e)
{
        if (s->conf->protocol != SYSLOG_TCP) {
                s->udp.fd = open_socket(s, SOCK_DGRAM, e);
                if (s->udp.fd < 0)
                        return -1;
                s->n_kernel_dropped = 0;
                rt_watch_set(s->d->rt, &s->udp, RT_READ);
        }
        if (s->conf->protocol != SYSLOG_UDP) {
                s->listener.fd = open_socket(s, SOCK_STREAM, e);
                if (s->listener.fd < 0)
                        return -1;
                rt_watch_set(s->d->rt, &s->listener, RT_READ);
        }
        return 0;
}

/* ---- the driver's seven ---- */

static void init_connections(struct syslog *s)
{
        s->connections = mem_alloc((size_t)s->conf->max_connections * sizeof(*s->connections));
        for (int64_t i = 0; i < s->conf->max_connections; i++)
                s->connections[i] = (struct connection){
                        .s = s, .watch = {.fd = -1, .on_event = on_connection}, .idle.on_due = on_idle};
}

static int syslog_init(struct driver *d, struct err *e)
{
        struct syslog *s = mem_alloc(sizeof(*s));

        s->d = d;
        s->conf = d->conf;
        if (syslog_address_parse(&s->address, s->conf->listen, e) < 0) {
                free(s);
                return -1;
        }
        s->udp = (struct rt_watch){.fd = -1, .on_event = on_udp};
        s->listener = (struct rt_watch){.fd = -1, .on_event = on_listener};
        s->accept_again.on_due = on_accept_again;
        s->datagrams = mem_alloc(DATAGRAMS * sizeof(*s->datagrams));
        syslog_tags_init(&s->tags, d);
        init_connections(s);
        d->priv = s;
        return 0;
}

static void syslog_start(struct driver *d)
{
        struct syslog *s = d->priv;
        struct err e;

        if (open_both(s, &e) < 0) {
                shut(s);
                d->host->link_down(d, e.text);
                return;
        }
        if (!s->address.loopback)
                log_notice("syslog", "%s takes messages from anybody who reaches %s", s->conf->name, s->conf->listen);
        d->host->link_up(d);
}

/*
 * While a buffer is emptied there may be no room again, and this is called
 * inside itself with `on`.
 */
static void syslog_pause(struct driver *d, bool on)
{
        struct syslog *s = d->priv;

        s->paused = on;
        for (int64_t i = 0; i < s->conf->max_connections && s->paused == on; i++) {
                struct connection *c = &s->connections[i];

                if (c->watch.fd < 0)
                        continue;
                if (on)
                        rt_watch_set(d->rt, &c->watch, 0);
                else if (drain(c, true) && c->watch.fd >= 0)
                        rt_watch_set(d->rt, &c->watch, RT_READ);
        }
}

static void syslog_stop(struct driver *d)
{
        shut(d->priv);
        d->host->stopped(d);
}

static void syslog_fini(struct driver *d)
{
        struct syslog *s = d->priv;

        shut(s);
        for (int64_t i = 0; i < s->conf->max_connections; i++)
                syslog_stream_fini(&s->connections[i].stream);
        syslog_tags_fini(&s->tags);
        free(s->connections);
        free(s->datagrams);
        free(s);
}

const struct driver_ops syslog_ops = {
        .kind = "syslog",
        .schema = &syslog_schema,
        .names = syslog_names,
        .where = offsetof(struct syslog_conf, listen),
        .share = syslog_share,
        .init = syslog_init,
        .start = syslog_start,
        .pause = syslog_pause,
        .stop = syslog_stop,
        .fini = syslog_fini,
};
