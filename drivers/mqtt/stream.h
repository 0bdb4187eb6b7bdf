/*
 * stream: both directions between a broker's socket and the library: TLS, the
 * filter of what comes in (inbound), the gate of what goes out (write_gate).
 *
 * Thread: the loop, but for mqtt_stream_open, which blocks and runs off it.
 */
#ifndef MILLRACE_DRIVERS_MQTT_STREAM_H
#define MILLRACE_DRIVERS_MQTT_STREAM_H

#include "drivers/mqtt/inbound.h"
#include "drivers/mqtt/tls.h"
#include "drivers/mqtt/write_gate.h"

struct mqtt_stream {
        struct mqtt_write_gate gate;
        struct mqtt_inbound inbound;
        struct mqtt_tls *tls; /* NULL: none */
        bool feeding;         /* the library has not read all of its packet */
        size_t n_feeding;     /* bytes of it that it has not been given */
        bool came;            /* bytes, since mqtt_stream_still_there */
        bool drained;         /* the last read took all that was there */
        bool ended;           /* nothing more comes from the broker */
        int fault;            /* errno of that; 0: it closed the connection */
};

struct mqtt_stream_conf {
        const struct mqtt_tls_conf *tls; /* NULL: none */
        int limit_ms;                    /* of the handshake */
        bool v311;
        uint16_t keepalive_s;
        size_t max_payload;
};

void mqtt_stream_init(struct mqtt_stream *s);
void mqtt_stream_fini(struct mqtt_stream *s);

/*
 * Takes the library's connected socket over, which has written nothing yet. 0,
 * or -1 with a sentence.
 */
int mqtt_stream_open(struct mqtt_stream *s, int lib_fd, const struct mqtt_stream_conf *conf, struct err *why);

enum {
        MQTT_STREAM_E_DRY = 1,  /* the broker has sent nothing more */
        MQTT_STREAM_E_ENDED = 2 /* and never will: `fault`, or inbound.broken */
};

/*
 * Sees to it that there is a packet. 0: there may be, or what came was no whole
 * one; or one of the above.
 */
int mqtt_stream_fetch(struct mqtt_stream *s);
/*
 * Is the next packet a PUBLISH?  `out` speaks of the packet then, which is
 * `len` long and may be changed; taken, it is gone.
 */
bool mqtt_stream_publish(struct mqtt_stream *s, struct mqtt_publish *out, unsigned char **packet, size_t *len);
void mqtt_stream_took(struct mqtt_stream *s, size_t len);
/*
 * The library gets as much of the next packet as fits. False: there is none.
 * Fed: it has read all of that packet.
 */
bool mqtt_stream_feed(struct mqtt_stream *s);
bool mqtt_stream_fed(struct mqtt_stream *s);
/*
 * Once a second.  The library does not see what keeps the broker busy, and
 * would take it for dead; so when bytes came it is given a PINGRESP to read:
 * true.
 */
bool mqtt_stream_still_there(struct mqtt_stream *s);
bool mqtt_stream_has_more(const struct mqtt_stream *s);

/* As mqtt_write_gate_release, through TLS. */
int mqtt_stream_release(struct mqtt_stream *s, uint64_t position);
static inline bool mqtt_stream_holds(const struct mqtt_stream *s)
{
        return s->gate.from < s->gate.to;
}

#endif
