/*
 * write_gate: acknowledgements can be held back one commit at a time (see
 * write_gate.h).
 *
 * The trap: what is read on while a commit runs has acknowledgements that may
 * not go when the commit is done.  Reading nothing meanwhile is safe, but then
 * a disk whose fsync takes 300 ms keeps an alarm waiting for as long, unread in
 * the socket.
 *
 * So acknowledgements are held in memory, and when a commit is done those up to
 * where they were when it began go to the socket, with one call.  What the
 * library writes goes the same way: for the length of a call its descriptor is
 * made to point at one of ours, and what comes out of it is held.
 *
 * The other direction is the same trick: once the gate owns the socket, the
 * library's descriptor is the reading end of a second pair, and nothing reaches
 * the library that we have not looked at.  TLS is ours then, too: the library
 * sees plain packets on both sides.  Pairs of sockets, because the libmosquitto
 * of Debian 12 write()s and read()s, that of Debian 13 wants to send() and
 * recv().
 *
 * The socket has two descriptors: the library's, which it may close as it
 * likes, and ours, for the loop to watch.
 *
 * How it fails: a descriptor that can't be had fails init; after that only the
 * socket itself can, and the link is lost.
 */
#include "drivers/mqtt/write_gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/err.h"

enum { PIECE_BYTES = 8192 };

static int make_ends(int ends[2])
{
        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
}

int mqtt_write_gate_init(struct mqtt_write_gate *g, int lib_fd)
{
        int ends[2];

        *g = (struct mqtt_write_gate)MQTT_WRITE_GATE_NONE;
        g->lib_fd = lib_fd;
        g->net_fd = fcntl(lib_fd, F_DUPFD_CLOEXEC, 0);
        if (g->net_fd < 0)
                return -1;
        if (make_ends(ends) < 0) {
                mqtt_write_gate_fini(g);
                return -1;
        }
        g->in_fd = ends[1];
        g->out_fd = ends[0];
        return 0;
}

void mqtt_write_gate_fini(struct mqtt_write_gate *g)
{
        int fds[] = {g->net_fd, g->in_fd, g->out_fd, g->read_fd, g->feed_fd}, fault = errno;

        for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        free(g->held);
        *g = (struct mqtt_write_gate)MQTT_WRITE_GATE_NONE;
        errno = fault;
}

int mqtt_write_gate_own(struct mqtt_write_gate *g)
{
        int ends[2];

        if (make_ends(ends) < 0)
                return -1;
        g->read_fd = ends[0];
        g->feed_fd = ends[1];
        return mqtt_write_gate_end_capture(g);
}

long mqtt_write_gate_feed(struct mqtt_write_gate *g, const void *bytes, size_t n)
{
        ssize_t r = write(g->feed_fd, bytes, n);

        return r < 0 && errno == EAGAIN ? 0 : r;
}

int mqtt_write_gate_begin_capture(struct mqtt_write_gate *g)
{
        return dup3(g->in_fd, g->lib_fd, O_CLOEXEC) < 0 ? -1 : 0;
}

int mqtt_write_gate_end_capture(struct mqtt_write_gate *g)
{
        return dup3(g->read_fd >= 0 ? g->read_fd : g->net_fd, g->lib_fd, O_CLOEXEC) < 0 ? -1 : 0;
}

static void make_room(struct mqtt_write_gate *g, size_t n)
{
        if (g->from == g->to)
                g->from = g->to = 0;
        if (g->size - g->to >= n)
                return;
        if (g->from)
                memmove(g->held, g->held + g->from, g->to - g->from);
        g->to -= g->from;
        g->from = 0;
        if (g->size - g->to >= n)
                return;
        g->size = g->size * 2 + n;
        g->held = mem_grow(g->held, g->size, 1);
}

long mqtt_write_gate_drain(struct mqtt_write_gate *g)
{
        long sum = 0;
        ssize_t n;

        do {
                make_room(g, PIECE_BYTES);
                n = read(g->out_fd, g->held + g->to, g->size - g->to);
                if (n < 0)
                        return errno == EAGAIN ? sum : -1;
                g->to += (size_t)n;
                g->end += (uint64_t)n;
                sum += n;
        } while (n > 0);
        return sum;
}

void mqtt_write_gate_put(struct mqtt_write_gate *g, const void *bytes, size_t n)
{
        if (!n)
                return;
        make_room(g, n);
        memcpy(g->held + g->to, bytes, n);
        g->to += n;
        g->end += n;
}

const void *mqtt_write_gate_held(const struct mqtt_write_gate *g, uint64_t position, size_t *n)
{
        uint64_t first = g->end - (g->to - g->from);

        *n = first < position ? position - first : 0;
        return *n ? g->held + g->from : NULL;
}

void mqtt_write_gate_sent(struct mqtt_write_gate *g, size_t n)
{
        g->from += n;
}

int mqtt_write_gate_release(struct mqtt_write_gate *g, uint64_t position)
{
        const void *bytes;
        size_t size;
        ssize_t n;

        for (;;) {
                bytes = mqtt_write_gate_held(g, position, &size);
                if (!size)
                        return 0;
                n = send(g->net_fd, bytes, size, MSG_NOSIGNAL);
                if (n < 0)
                        return errno == EAGAIN ? MQTT_WRITE_GATE_E_DRY : -1;
                mqtt_write_gate_sent(g, (size_t)n);
        }
}
