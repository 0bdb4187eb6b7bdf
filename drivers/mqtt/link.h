/*
 * link: one connection to a broker, from resolving its name to the closed
 * socket; a new one for each attempt.
 *
 * Keeps the manners of libmosquitto inside one file.  Thread: loop; connecting
 * is done off it by itself.  What arrives is acknowledged by the library at
 * once, but nothing leaves before mqtt_link_write or mqtt_link_release: the
 * caller decides when acknowledgements may go.
 */
#ifndef MILLRACE_DRIVERS_MQTT_LINK_H
#define MILLRACE_DRIVERS_MQTT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/rt.h"
#include "drivers/mqtt/inbound.h"

struct mqtt_link;

/* Borrowed until mqtt_link_open returns. */
struct mqtt_link_conf {
        const char *host, *client_id;
        const char *username, *password_file;       /* NULL: none */
        const char *ca_file, *cert_file, *key_file; /* NULL: the system's, none */
        int port;
        bool tls, v311;
        bool holds; /* the caller wants mqtt_link_collect */
        int keepalive_s;
        uint32_t session_expiry_s;
        uint16_t receive_maximum;
        size_t max_payload; /* longer ones are set aside */
};

/* What the broker said of itself when it took us; of 3.1.1 what that has. */
struct mqtt_limits {
        int max_qos;
        uint32_t max_packet; /* it takes; 0: any */
        uint32_t session_s;  /* for so long it keeps our session */
        int keepalive_s;     /* that holds: ours, or its own when that is shorter */
        bool retain, wildcards;
};

struct mqtt_message {
        const char *topic;
        const void *payload;
        size_t len;
        uint16_t mid; /* 0 at QoS 0 */
        bool retained;
        bool dup;
        enum mqtt_aside aside;
        uint64_t size; /* of a message set aside: what it was; `payload` is its beginning */
        const uint32_t *ids;
        size_t n_ids; /* the subscriptions it came for, where they were asked for with an identifier */
};

/*
 * None of these may close the link; they note what is to be done and do it when
 * the call into the link has returned.
 */
struct mqtt_link_upcalls {
        void (*on_opened)(void *ctx, const char *why_not); /* a socket is there: read and write; or not, and why */
        void (*on_accepted)(void *ctx, bool session_present);
        void (*on_message)(void *ctx, const struct mqtt_message *m);
        void (*on_subscribed)(void *ctx, int mid, int n, const int *granted); /* in the order asked; >= 128: refused */
        void (*on_unsubscribed)(void *ctx, int mid);                          /* or NULL */
        void (*on_refused)(void *ctx, const char *why);                       /* what we publish at QoS 1; or NULL */
        void (*on_broken)(void *ctx); /* the link will be lost, for the broker has broken the protocol; or NULL */
        void *ctx;
};

/*
 * What a configured item says of address, login and TLS; the rest is the
 * caller's. Borrows from all three.
 */
struct mqtt_conf;
struct mqtt_url;
struct mqtt_link_conf mqtt_link_conf_of(const struct mqtt_conf *c, const struct mqtt_url *url, const char *client_id);

struct mqtt_link *mqtt_link_open(struct rt *rt, const struct mqtt_link_conf *conf, const struct mqtt_link_upcalls *up);

/*
 * The socket is closed as it is: nothing that waits to be written is. Also
 * while connecting: the rest ends by itself.
 */
void mqtt_link_close(struct mqtt_link *l);

enum { MQTT_LINK_E_DRY = 1, MQTT_LINK_E_LOST = 2 };

/* One packet. 0, or nothing (more) to read, or the link is lost. */
int mqtt_link_read(struct mqtt_link *l);
/*
 * All that waits, when nothing is held. 0; or the socket is full, go on when it
 * is writable; or the link is lost.
 */
int mqtt_link_write(struct mqtt_link *l);
/*
 * Holds all that waits; it may go when *position has been released. 0 or
 * MQTT_LINK_E_LOST.
 */
int mqtt_link_collect(struct mqtt_link *l, uint64_t *position);
/* Writes what is held before `position`; results as mqtt_link_write. */
int mqtt_link_release(struct mqtt_link *l, uint64_t position);
/* Once a second: keepalive, and answers that do not come. 0 or MQTT_LINK_E_LOST. */
int mqtt_link_tick(struct mqtt_link *l);

int mqtt_link_fd(const struct mqtt_link *l); /* -1: closed */
bool mqtt_link_wants_write(const struct mqtt_link *l);
bool mqtt_link_has_more(const struct mqtt_link *l);   /* bytes wait to be read */
const char *mqtt_link_why(const struct mqtt_link *l); /* it was lost, in words */
const struct mqtt_limits *mqtt_link_limits(const struct mqtt_link *l);

bool mqtt_link_takes_ids(const struct mqtt_link *l); /* the broker has subscription identifiers */
/*
 * `id`: the subscription identifier of all of them, or 0. The answer comes with
 * *mid, which may be NULL.
 */
int mqtt_link_subscribe(struct mqtt_link *l, int n, char *const *filters, int qos, uint32_t id, int *mid);
int mqtt_link_unsubscribe(struct mqtt_link *l, int n, char *const *filters, int *mid);
/*
 * At QoS 0; queued behind what waits. 0, or -1: it can't be (the topic is too
 * long, the broker takes no packet of that size, the connection is gone).
 */
int mqtt_link_publish(struct mqtt_link *l, const char *topic, const void *payload, size_t len);
/* At QoS 1, where the broker takes that; as mqtt_link_publish. */
int mqtt_link_publish_sure(struct mqtt_link *l, const char *topic, const void *payload, size_t len, bool retain);
void mqtt_link_goodbye(struct mqtt_link *l); /* queues the DISCONNECT */

#endif
