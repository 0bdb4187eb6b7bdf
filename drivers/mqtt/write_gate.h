/*
 * write_gate: what the library writes is held, and goes to the broker as far as
 * we say.
 *
 * Bytes, not packets: the gate knows nothing of MQTT or TLS.  A position
 * counts all bytes collected since init, so "up to here" can be remembered
 * while more is collected.  Thread: loop.  No call blocks.
 */
#ifndef MILLRACE_DRIVERS_MQTT_WRITE_GATE_H
#define MILLRACE_DRIVERS_MQTT_WRITE_GATE_H

#include <stddef.h>
#include <stdint.h>

struct mqtt_write_gate {
        int lib_fd; /* the socket as the library knows it */
        int net_fd; /* our own descriptor of the same socket: watch this one */
        int in_fd, out_fd;
        unsigned char *held;
        size_t from, to, size;
        uint64_t end; /* position behind the last byte held */
};

enum { MQTT_WRITE_GATE_E_DRY = 1 };

/*
 * `lib_fd` is borrowed, and must be a connected, non-blocking socket. 0, or -1
 * with errno.
 */
int mqtt_write_gate_init(struct mqtt_write_gate *g, int lib_fd);
void mqtt_write_gate_fini(struct mqtt_write_gate *g);

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

/*
 * Sends what is held before `position`. 0; MQTT_WRITE_GATE_E_DRY: go on when
 * net_fd is writable; or -1 with errno.
 */
int mqtt_write_gate_release(struct mqtt_write_gate *g, uint64_t position);

#endif
