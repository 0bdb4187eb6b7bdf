/*
 * tls: OpenSSL on a connected socket, so that plain bytes are ours on both
 * sides of the library.
 *
 * Thread: one at a time; only mqtt_tls_open blocks, up to its limit.
 */
#ifndef MILLRACE_DRIVERS_MQTT_TLS_H
#define MILLRACE_DRIVERS_MQTT_TLS_H

#include <stddef.h>

#include "agent/base/err.h"

struct mqtt_tls;

struct mqtt_tls_conf {
        const char *host;                           /* the certificate must be for it */
        const char *ca_file, *cert_file, *key_file; /* NULL: the system's, none */
};

/*
 * The handshake on `fd`, which is borrowed and does not block. NULL with what
 * is wrong.
 */
struct mqtt_tls *mqtt_tls_open(int fd, const struct mqtt_tls_conf *conf, int limit_ms, struct err *why);
void mqtt_tls_close(struct mqtt_tls *t); /* says so to the broker; NULL is fine; the socket stays open */

/*
 * As read() and write() on a socket that does not block: -1 with EAGAIN; or -1
 * with EPROTO and mqtt_tls_fault(), or another errno.
 */
long mqtt_tls_read(struct mqtt_tls *t, void *bytes, size_t n);
long mqtt_tls_write(struct mqtt_tls *t, const void *bytes, size_t n);
const char *mqtt_tls_fault(const struct mqtt_tls *t);
/* Bytes lie here that no look at the socket shows. */
size_t mqtt_tls_pending(const struct mqtt_tls *t);

#endif
