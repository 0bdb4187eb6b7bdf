/*
 * write_gate: acknowledgements can be held back one commit at a time (see
 * write_gate.h).
 *
 * The trap: the library queues the PUBACK of a message before it hands the
 * message over, and writes its whole queue or nothing.  Whoever reads on while
 * a commit runs has, when it is done, acknowledgements that may go in one queue
 * with some that may not.  Reading nothing meanwhile is safe, but then a disk
 * whose fsync takes 300 ms keeps an alarm waiting for as long, unread in the
 * socket.
 *
 * So the queue is emptied when a commit begins, into memory: for the length of
 * that call the library's descriptor is made to point at a pipe, and what comes
 * out of it is held.  When the commit is done the bytes up to there go to the
 * socket, with one call instead of one for each packet.  With TLS the bytes are
 * whole records in their order, so it works just the same. A pipe where it will
 * do, because it takes 4 bytes in 140 ns where a socket pair needs 520: OpenSSL
 * and the libmosquitto of Debian 12 write(), that of Debian 13 wants to send().
 * Which one it is is known at run time only: systems are upgraded.
 *
 * The socket has two descriptors: the library's, which it may close as it
 * likes, and ours, for the loop to watch.
 *
 * The one thing that does not go through it is what the library writes while it
 * reads: a renegotiation that a TLS 1.2 broker asks for overtakes what is held,
 * and costs the connection.  (TLS 1.3's key updates are answered at the next
 * write.)
 *
 * How it fails: a descriptor that can't be had fails init; after that only the
 * socket itself can, and the link is lost.
 */
#include "drivers/mqtt/write_gate.h"

#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/err.h"

enum { PIECE_BYTES = 8192, WRITES_UPTO = 2000011 /* 2.0.11 */ };

static int make_ends(int ends[2])
{
        if (mosquitto_lib_version(NULL, NULL, NULL) <= WRITES_UPTO)
                return pipe2(ends, O_NONBLOCK | O_CLOEXEC);
        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
}

int mqtt_valve_init(struct mqtt_valve *v, int lib_fd)
{
        int ends[2];

        *v = (struct mqtt_valve){
                .lib_fd = lib_fd, .net_fd = fcntl(lib_fd, F_DUPFD_CLOEXEC, 0), .in_fd = -1, .out_fd = -1};
        if (v->net_fd < 0)
                return -1;
        if (make_ends(ends) < 0) {
                mqtt_valve_fini(v);
                return -1;
        }
        v->in_fd = ends[1];
        v->out_fd = ends[0];
        return 0;
}

void mqtt_valve_fini(struct mqtt_valve *v)
{
        int fds[] = {v->net_fd, v->in_fd, v->out_fd}, fault = errno;

        for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        free(v->held);
        *v = (struct mqtt_valve){.lib_fd = -1, .net_fd = -1, .in_fd = -1, .out_fd = -1};
        errno = fault;
}

int mqtt_valve_turn(struct mqtt_valve *v)
{
        return dup3(v->in_fd, v->lib_fd, O_CLOEXEC) < 0 ? -1 : 0;
}

int mqtt_valve_turn_back(struct mqtt_valve *v)
{
        return dup3(v->net_fd, v->lib_fd, O_CLOEXEC) < 0 ? -1 : 0;
}

static void make_room(struct mqtt_valve *v)
{
        if (v->from == v->to)
                v->from = v->to = 0;
        if (v->size - v->to >= PIECE_BYTES)
                return;
        if (v->from)
                memmove(v->held, v->held + v->from, v->to - v->from);
        v->to -= v->from;
        v->from = 0;
        if (v->size - v->to >= PIECE_BYTES)
                return;
        v->size = v->size * 2 + PIECE_BYTES;
        v->held = mem_grow(v->held, v->size, 1);
}

long mqtt_valve_take(struct mqtt_valve *v)
{
        long sum = 0;
        ssize_t n;

        do {
                make_room(v);
                n = read(v->out_fd, v->held + v->to, v->size - v->to);
                if (n < 0)
                        return errno == EAGAIN ? sum : -1;
                v->to += (size_t)n;
                v->end += (uint64_t)n;
                sum += n;
        } while (n > 0);
        return sum;
}

int mqtt_valve_release(struct mqtt_valve *v, uint64_t position)
{
        uint64_t first = v->end - (v->to - v->from);
        ssize_t n;

        while (first < position) {
                n = send(v->net_fd, v->held + v->from, position - first, MSG_NOSIGNAL);
                if (n < 0)
                        return errno == EAGAIN ? MQTT_VALVE_E_DRY : -1;
                v->from += (size_t)n;
                first += (uint64_t)n;
        }
        return 0;
}
