/*
 * stream: see stream.h.
 *
 * One read of the socket brings many packets, which are taken one by one.  A
 * read that brings less than it had room for has emptied the socket: the next
 * one is left to the watch.
 *
 * The library is given one packet at a time, and reads all of it before the
 * next one is looked at: so answers and messages keep their order.
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
        *s = (struct mqtt_stream){.gate = MQTT_WRITE_GATE_NONE};
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
        s->inbound.keepalive_s = conf->keepalive_s;
        if (mqtt_write_gate_init(&s->gate, lib_fd) < 0)
                return err_errno(why, "a second descriptor for the connection");
        if (conf->tls) {
                s->tls = mqtt_tls_open(s->gate.net_fd, conf->tls, conf->limit_ms, why);
                if (!s->tls)
                        return -1;
        }
        return mqtt_write_gate_own(&s->gate) < 0 ? err_errno(why, "descriptors for the connection") : 0;
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
                s->came = true;
                s->drained = !s->tls && (size_t)n < sizeof(piece);
                mqtt_inbound_feed(&s->inbound, piece, (size_t)n);
                return 0;
        }
        s->ended = true;
        s->fault = n < 0 ? errno : 0;
        return 0;
}

int mqtt_stream_fetch(struct mqtt_stream *s)
{
        struct mqtt_inbound *in = &s->inbound;

        if (in->from < in->to)
                return 0;
        if (in->broken.text[0] || s->ended)
                return MQTT_STREAM_E_ENDED;
        if (s->drained) {
                s->drained = false;
                return MQTT_STREAM_E_DRY;
        }
        return receive(s);
}

/* What inbound let through is whole. */
static size_t packet_len(const struct mqtt_inbound *in, size_t *header_len)
{
        uint32_t body_len;

        BUG_ON(mqtt_packet_header(in->out + in->from, in->to - in->from, header_len, &body_len) != 1);
        return *header_len + body_len;
}

bool mqtt_stream_publish(struct mqtt_stream *s, struct mqtt_publish *out, unsigned char **packet, size_t *len)
{
        struct mqtt_inbound *in = &s->inbound;
        size_t header_len;
        unsigned char *p;
        struct err unused;

        if (s->feeding || in->from == in->to || in->out[in->from] >> 4 != MQTT_PUBLISH)
                return false;
        p = in->out + in->from;
        *len = packet_len(in, &header_len);
        *packet = p;
        BUG_ON(mqtt_publish_head(*p, p + header_len, *len - header_len, (uint32_t)(*len - header_len), in->v311, out,
                                 &unused) < 0);
        out->properties_at += header_len;
        out->payload_at += header_len;
        return true;
}

void mqtt_stream_took(struct mqtt_stream *s, size_t len)
{
        mqtt_inbound_took(&s->inbound, len);
}

bool mqtt_stream_feed(struct mqtt_stream *s)
{
        struct mqtt_inbound *in = &s->inbound;
        size_t unused;
        long n;

        if (!s->feeding && in->from == in->to)
                return false;
        if (!s->feeding)
                s->n_feeding = packet_len(in, &unused);
        s->feeding = true;
        n = s->n_feeding ? mqtt_write_gate_feed(&s->gate, in->out + in->from, s->n_feeding) : 0;
        if (n > 0) {
                s->n_feeding -= (size_t)n;
                mqtt_inbound_took(in, (size_t)n);
        }
        return true;
}

bool mqtt_stream_fed(struct mqtt_stream *s)
{
        int n = 0;

        s->feeding = s->n_feeding || ioctl(s->gate.read_fd, FIONREAD, &n) < 0 || n;
        return !s->feeding;
}

bool mqtt_stream_still_there(struct mqtt_stream *s)
{
        static const unsigned char pingresp[] = {MQTT_PINGRESP << 4, 0};

        if (!s->came || !s->inbound.accepted || s->feeding)
                return false;
        s->came = false;
        return mqtt_write_gate_feed(&s->gate, pingresp, sizeof(pingresp)) > 0;
}

bool mqtt_stream_has_more(const struct mqtt_stream *s)
{
        int n = 0;

        if (s->inbound.from < s->inbound.to || (s->tls && mqtt_tls_pending(s->tls)))
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
