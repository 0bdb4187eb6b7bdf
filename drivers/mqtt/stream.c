/*
 * stream: see stream.h.
 *
 * One read of the socket brings many packets, which the library then takes one
 * by one from its pipe.  So "dry" is no matter of the socket alone: it is told
 * only when the pipe is empty as well, or what lies there would wait for the
 * broker's next byte.  Packets are counted for that; the library sometimes
 * reads several at once, so when it says there is none the pipe is asked.
 *
 * How it fails: an end of the socket, a fault of TLS and a broken protocol are
 * told after the library has had all that came before.
 */
#include "drivers/mqtt/stream.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

enum { PIECE_BYTES = 64 * 1024 };

void mqtt_stream_init(struct mqtt_stream *s)
{
        *s = (struct mqtt_stream){.gate = MQTT_WRITE_GATE_NONE, .dry = true};
}

void mqtt_stream_fini(struct mqtt_stream *s)
{
        mqtt_tls_close(s->tls);
        mqtt_write_gate_fini(&s->gate);
        mqtt_inbound_fini(&s->inbound);
        mqtt_stream_init(s);
}

int mqtt_stream_open(struct mqtt_stream *s, int lib_fd, const struct mqtt_stream_conf *conf, struct err *why)
{
        unsigned char mark[MQTT_MARK_BYTES];

        if (getrandom(mark, sizeof(mark), 0) != sizeof(mark))
                return err_errno(why, "random bytes");
        mqtt_inbound_init(&s->inbound, conf->v311, conf->max_payload, mark);
        if (mqtt_write_gate_init(&s->gate, lib_fd) < 0)
                return err_errno(why, "a second descriptor for the connection");
        if (conf->tls) {
                s->tls = mqtt_tls_open(s->gate.net_fd, conf->tls, conf->limit_ms, why);
                if (!s->tls)
                        return -1;
        }
        return mqtt_write_gate_own(&s->gate) < 0 ? err_errno(why, "a pipe for the connection") : 0;
}

/* ---- in ---- */

static int receive(struct mqtt_stream *s)
{
        static unsigned char piece[PIECE_BYTES]; /* the loop's: nothing stays in it */
        ssize_t n =
                s->tls ? mqtt_tls_read(s->tls, piece, sizeof(piece)) : recv(s->gate.net_fd, piece, sizeof(piece), 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return MQTT_STREAM_E_DRY;
        if (n > 0) {
                mqtt_inbound_feed(&s->inbound, piece, (size_t)n);
                return 0;
        }
        s->ended = true;
        s->fault = n < 0 ? errno : 0;
        return MQTT_STREAM_E_ENDED;
}

/* As much as the pipe takes. */
static void feed(struct mqtt_stream *s)
{
        struct mqtt_inbound *in = &s->inbound;

        while (in->from < in->to) {
                long n = mqtt_write_gate_feed(&s->gate, in->out + in->from, in->to - in->from);

                if (n <= 0)
                        break;
                s->dry = false;
                mqtt_inbound_took(in, (size_t)n);
        }
}

int mqtt_stream_fetch(struct mqtt_stream *s)
{
        struct mqtt_inbound *in = &s->inbound;
        int r = 0;

        if (!s->dry)
                return 0;
        if (in->from == in->to) {
                if (in->broken.text[0] || s->ended)
                        return MQTT_STREAM_E_ENDED;
                r = receive(s);
        }
        feed(s);
        return r == MQTT_STREAM_E_DRY ? r : 0;
}

static bool pipe_is_empty(const struct mqtt_stream *s)
{
        int n = 0;

        return ioctl(s->gate.read_fd, FIONREAD, &n) == 0 && n == 0;
}

void mqtt_stream_read(struct mqtt_stream *s, bool none)
{
        bool all_fed = s->inbound.from == s->inbound.to;

        if (!none && s->n_read < s->inbound.n_packets)
                s->n_read++;
        if (none && pipe_is_empty(s)) {
                s->dry = true;
                if (all_fed)
                        s->n_read = s->inbound.n_packets;
        } else if (all_fed && s->n_read == s->inbound.n_packets) {
                s->dry = true;
        }
}

bool mqtt_stream_still_there(struct mqtt_stream *s)
{
        if (!s->dry || s->inbound.from < s->inbound.to)
                return false;
        mqtt_inbound_still_there(&s->inbound);
        feed(s);
        return !s->dry;
}

bool mqtt_stream_has_more(const struct mqtt_stream *s)
{
        int n = 0;

        if (!s->dry || s->inbound.from < s->inbound.to || (s->tls && mqtt_tls_pending(s->tls)))
                return true;
        return ioctl(s->gate.net_fd, FIONREAD, &n) == 0 && n > 0;
}

/* ---- out ---- */

int mqtt_stream_release(struct mqtt_stream *s, uint64_t position)
{
        const void *bytes;
        size_t size;
        long n;

        if (!s->tls)
                return mqtt_write_gate_release(&s->gate, position);
        for (;;) {
                bytes = mqtt_write_gate_held(&s->gate, position, &size);
                if (!size)
                        return 0;
                n = mqtt_tls_write(s->tls, bytes, size);
                if (n < 0 && errno == EAGAIN)
                        return MQTT_WRITE_GATE_E_DRY;
                if (n <= 0) {
                        errno = n < 0 ? errno : EPIPE;
                        return -1;
                }
                mqtt_write_gate_sent(&s->gate, (size_t)n);
        }
}
