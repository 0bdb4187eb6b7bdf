/*
 * write_gate: what the library writes is held, and goes to the broker as far as
 * we say; what it reads is what we feed it.
 *
 * Bytes, not packets: the gate knows nothing of MQTT or TLS.  A position counts
 * all bytes collected since init, so "up to here" can be remembered while more
 * is collected.  Thread: loop.  No call blocks.
 */
#ifndef MILLRACE_DRIVERS_MQTT_WRITE_GATE_H
#define MILLRACE_DRIVERS_MQTT_WRITE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mqtt_write_gate {
        int lib_fd;           /* the socket as the library knows it */
        int net_fd;           /* our own descriptor of the same socket: watch this one */
        int in_fd, out_fd;    /* of what it writes: its end while capturing, ours */
        int read_fd, feed_fd; /* of what it reads: its end, ours; -1: it has the socket */
        unsigned char *held;
        size_t from, to, size;
        uint64_t end; /* position behind the last byte held */
};

enum { MQTT_WRITE_GATE_E_DRY = 1 };

/* Nothing of it: no descriptor is open. */
#define MQTT_WRITE_GATE_NONE                                                                        \
        {                                                                                           \
                .lib_fd = -1, .net_fd = -1, .in_fd = -1, .out_fd = -1, .read_fd = -1, .feed_fd = -1 \
        }

/*
 * `lib_fd` is borrowed, and must be a connected, non-blocking socket. 0, or -1
 * with errno.
 */
int mqtt_write_gate_init(struct mqtt_write_gate *g, int lib_fd);
void mqtt_write_gate_fini(struct mqtt_write_gate *g);

/*
 * From now on the library has no way to the socket: outside of a capture it
 * reads what it is fed. 0, or -1 with errno.
 */
int mqtt_write_gate_own(struct mqtt_write_gate *g);
/* How much of it was taken, 0: none for now; or -1 with errno. */
long mqtt_write_gate_feed(struct mqtt_write_gate *g, const void *bytes, size_t n);

/*
 * Between these two the library's descriptor leads into the gate; it must not
 * be closed, or not be turned back then.
 */
int mqtt_write_gate_begin_capture(struct mqtt_write_gate *g);
int mqtt_write_gate_end_capture(struct mqtt_write_gate *g);
/*
 * Takes what was written: how many bytes, or -1 with errno. Little fits in at
 * once, so write and take in turns.
 */
long mqtt_write_gate_drain(struct mqtt_write_gate *g);

/* Bytes of our own, behind what is held. */
void mqtt_write_gate_put(struct mqtt_write_gate *g, const void *bytes, size_t n);

/*
 * Sends what is held before `position`. 0; MQTT_WRITE_GATE_E_DRY: go on when
 * net_fd is writable; or -1 with errno.
 */
int mqtt_write_gate_release(struct mqtt_write_gate *g, uint64_t position);
/*
 * The same by hand, for a socket that is not written with send(): what is held
 * before `position`, how much that is, and that so much of it is gone.
 */
const void *mqtt_write_gate_held(const struct mqtt_write_gate *g, uint64_t position, size_t *n);
void mqtt_write_gate_sent(struct mqtt_write_gate *g, size_t n);

#endif
