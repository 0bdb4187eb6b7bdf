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
        bool dry;             /* the library has read all it was fed */
        uint64_t n_read;      /* packets it has read; at most so many */
        bool ended;           /* nothing more comes from the broker */
        int fault;            /* errno of that; 0: it closed the connection */
};

struct mqtt_stream_conf {
        const struct mqtt_tls_conf *tls; /* NULL: none */
        int limit_ms;                    /* of the handshake */
        bool v311;
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
 * Sees to it that the library has something to read. 0: it may have, or what
 * came was no whole packet; or one of the above.
 */
int mqtt_stream_fetch(struct mqtt_stream *s);
/* The library was asked to read one packet; `none`: it says there was none. */
void mqtt_stream_read(struct mqtt_stream *s, bool none);
/*
 * Once a second. True: the library has a packet to read, which says that the
 * broker is there.
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
