/*
 * link: libmosquitto, tamed (see link.h).
 *
 * It has the connection: CONNECT, subscriptions, keepalive, what we publish.
 * Messages it never sees.  It would read each in three calls, copy it, check it
 * once more and queue its PUBACK for a pipe; all of that is done here, from the
 * bytes one read of the socket brought.
 *
 * Acknowledgements are ours, then, and are told nobody before the caller
 * collects them.  What the library writes, it queues until
 * mosquitto_loop_write(): mosquitto_threaded_set(true) sees to that.  Both go
 * through a gate (mqtt_write_gate), which is opened when the readings are on
 * disk.  mosquitto_destroy() closes the socket and writes nothing; there is a
 * new client for each connection.
 *
 * What comes in is looked at before the library sees it (mqtt_stream): it ends
 * the process over a property it does not know, and allocates what a packet
 * says it is long.  What goes out it ends the process over when it is a byte
 * longer than the broker takes, so that is counted here.
 *
 * Fails: every failure ends in MQTT_LINK_E_LOST (or on_opened) with a sentence
 * for people.
 */
#include "drivers/mqtt/link_impl.h"

#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MAX = 1000, UNANSWERED_US = 60000000 };

/* ---- callbacks of the library, on the loop ---- */

static const char *user_of(const struct mqtt_link *l)
{
        return l->conf.username ? l->conf.username : "(none)";
}

static void refused(struct mqtt_link *l, int code)
{
        bool login = code == CONNACK_REFUSED_BAD_USERNAME_PASSWORD || code == MQTT_RC_BAD_USERNAME_OR_PASSWORD;
        bool right = code == CONNACK_REFUSED_NOT_AUTHORIZED || code == MQTT_RC_NOT_AUTHORIZED || code == MQTT_RC_BANNED;

        if (login || right)
                err_set(&l->why, "the broker refuses user '%s' with client id '%s': %s", user_of(l), l->conf.client_id,
                        login ? "wrong user name or password" : "not authorised");
        else if (!l->conf.v311 &&
                 (code == CONNACK_REFUSED_PROTOCOL_VERSION || code == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION))
                err_set(&l->why, "the broker does not speak MQTT 5: set `protocol: 3.1.1`");
        else
                err_set(&l->why, "the broker refuses the connection: %s",
                        l->conf.v311 ? mosquitto_connack_string(code) : mosquitto_reason_string(code));
}

static void note_limits(struct mqtt_link *l, const mosquitto_property *props)
{
        uint16_t keepalive_s = (uint16_t)l->conf.keepalive_s;
        uint8_t byte;

        mosquitto_property_read_int16(props, MQTT_PROP_SERVER_KEEP_ALIVE, &keepalive_s, false);
        l->limits = (struct mqtt_limits){.max_qos = 2,
                                         .session_s = l->conf.session_expiry_s,
                                         .keepalive_s = keepalive_s,
                                         .retain = true,
                                         .wildcards = true};
        mosquitto_property_read_int32(props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, &l->limits.session_s, false);
        if (mosquitto_property_read_byte(props, MQTT_PROP_MAXIMUM_QOS, &byte, false))
                l->limits.max_qos = byte;
        if (mosquitto_property_read_byte(props, MQTT_PROP_RETAIN_AVAILABLE, &byte, false))
                l->limits.retain = byte;
        if (mosquitto_property_read_byte(props, MQTT_PROP_WILDCARD_SUB_AVAILABLE, &byte, false))
                l->limits.wildcards = byte;
        mosquitto_property_read_int32(props, MQTT_PROP_MAXIMUM_PACKET_SIZE, &l->limits.max_packet, false);
}

const struct mqtt_limits *mqtt_link_limits(const struct mqtt_link *l)
{
        return &l->limits;
}

static void on_connect(struct mosquitto *mosq, void *ctx, int code, int flags, const mosquitto_property *props)
{
        struct mqtt_link *l = ctx;

        if (code) {
                refused(l, code);
                return;
        }
        l->accepted = true;
        note_limits(l, props);
        l->up.on_accepted(l->up.ctx, flags & 1);
}

static void on_disconnect(struct mosquitto *mosq, void *ctx, int code, const mosquitto_property *props)
{
        struct mqtt_link *l = ctx;

        if (l->why.text[0] || !code)
                return;
        if (code == MQTT_RC_SESSION_TAKEN_OVER)
                err_set(&l->why, "another client has connected with our client id '%s'; two gateways with one name?",
                        l->conf.client_id);
        else if (code >= 128)
                err_set(&l->why, "the broker closes the connection: %s", mosquitto_reason_string(code));
}

static void on_subscribe(struct mosquitto *mosq, void *ctx, int mid, int n, const int *granted,
                         const mosquitto_property *props)
{
        struct mqtt_link *l = ctx;

        l->up.on_subscribed(l->up.ctx, mid, n, granted);
}

static void on_unsubscribe(struct mosquitto *mosq, void *ctx, int mid, const mosquitto_property *props)
{
        struct mqtt_link *l = ctx;

        if (l->up.on_unsubscribed)
                l->up.on_unsubscribed(l->up.ctx, mid);
}

/*
 * An answer; or, on a link that publishes at QoS 0 and so counts none, that it
 * has been written.
 */
static void on_publish(struct mosquitto *mosq, void *ctx, int mid, int code, const mosquitto_property *props)
{
        struct mqtt_link *l = ctx;

        l->n_unanswered -= l->n_unanswered > 0;
        l->answered_us = rt_mono_us(l->rt);
        if (code >= 128 && l->up.on_refused)
                l->up.on_refused(l->up.ctx, mosquitto_reason_string(code));
}

void mqtt_link_set_up(struct mqtt_link *l)
{
        mosquitto_threaded_set(l->mosq, true);
        mosquitto_int_option(l->mosq, MOSQ_OPT_PROTOCOL_VERSION, l->conf.v311 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
        mosquitto_int_option(l->mosq, MOSQ_OPT_TCP_NODELAY, 1);
        mosquitto_connect_v5_callback_set(l->mosq, on_connect);
        mosquitto_disconnect_v5_callback_set(l->mosq, on_disconnect);
        mosquitto_subscribe_v5_callback_set(l->mosq, on_subscribe);
        mosquitto_unsubscribe_v5_callback_set(l->mosq, on_unsubscribe);
        mosquitto_publish_v5_callback_set(l->mosq, on_publish);
}

int mqtt_link_lost(struct mqtt_link *l, int rc)
{
        int fault = errno;

        if (l->why.text[0])
                return MQTT_LINK_E_LOST;
        if (l->stream.tls && mqtt_tls_fault(l->stream.tls)[0])
                err_set(&l->why, "TLS with %s:%d fails: %s", l->conf.host, l->conf.port, mqtt_tls_fault(l->stream.tls));
        else if (rc == MOSQ_ERR_KEEPALIVE)
                err_set(&l->why, "the broker has been silent for longer than the keepalive");
        else if (rc == MOSQ_ERR_ERRNO && (l->accepted || fault != ECONNRESET))
                err_set(&l->why, "the connection broke: %s", strerror(fault));
        else if (rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_NO_CONN || rc == MOSQ_ERR_ERRNO || rc == 0)
                err_set(&l->why, "the broker closed the connection%s",
                        l->accepted ? ""
                        : l->conf.v311
                                ? " before it answered; a plain address for a TLS port, or the reverse?"
                                : " before it answered; does it speak MQTT 3.1.1 only (protocol: 3.1.1)? Or is it a "
                                  "plain address for a TLS port, or the reverse?");
        else
                err_set(&l->why, "%s", mosquitto_strerror(rc));
        return MQTT_LINK_E_LOST;
}

/* ---- connected ---- */

/* The library has had all that came. */
static int ended(struct mqtt_link *l)
{
        const char *broken = l->stream.inbound.broken.text;

        if (*broken && !l->why.text[0])
                err_set(&l->why, "%s", broken);
        if (*broken && l->up.on_broken)
                l->up.on_broken(l->up.ctx);
        errno = l->stream.fault;
        return mqtt_link_lost(l, l->stream.fault ? MOSQ_ERR_ERRNO : MOSQ_ERR_CONN_LOST);
}

/* ---- messages ---- */

static void acknowledge(struct mqtt_link *l, uint16_t mid)
{
        unsigned char *p;

        if (l->n_acks == l->cap_acks) {
                l->cap_acks = 2 * l->cap_acks + 256;
                l->acks = mem_grow(l->acks, l->cap_acks, sizeof(*l->acks));
        }
        p = l->acks[l->n_acks++];
        p[0] = MQTT_PUBACK << 4;
        p[1] = 2;
        p[2] = (unsigned char)(mid >> 8);
        p[3] = (unsigned char)mid;
}

/* In front of its first property inbound has put them, and nothing else. */
static size_t ids_of(struct mqtt_link *l, const unsigned char *p, size_t len)
{
        struct cursor c = {p, p + len};
        uint32_t id, n;

        if (!cursor_uint(&c, 1, &id) || id != MQTT_CORRELATION || !cursor_uint(&c, 2, &n) || cursor_left(&c) < n)
                return 0;
        return mqtt_inbound_ids(&l->stream.inbound, c.p, n, l->ids);
}

/* A byte to the front, over its length: so it has room for its end. */
static const char *end_topic(const struct mqtt_publish *head)
{
        unsigned char *topic = (unsigned char *)(uintptr_t)head->topic - 1;

        memmove(topic, head->topic, head->topic_len);
        topic[head->topic_len] = '\0';
        return (const char *)topic;
}

static void take(struct mqtt_link *l, const unsigned char *packet, size_t len, const struct mqtt_publish *head)
{
        struct mqtt_message m = {.topic = end_topic(head),
                                 .payload = packet + head->payload_at,
                                 .len = len - head->payload_at,
                                 .mid = head->mid,
                                 .retained = *packet & 1,
                                 .dup = *packet & 8,
                                 .ids = l->ids};
        struct mqtt_set_aside a;

        if (mqtt_inbound_aside(&l->stream.inbound, m.payload, m.len, &a)) {
                m.payload = a.payload;
                m.len = a.len;
                m.aside = a.why;
                m.size = a.size;
        }
        m.n_ids = ids_of(l, packet + head->properties_at, head->properties_len);
        if (m.mid)
                acknowledge(l, m.mid);
        l->up.on_message(l->up.ctx, &m);
}

/* The library takes what it has been fed. */
static int read_packet(struct mqtt_link *l)
{
        int rc = mosquitto_loop_read(l->mosq, 1);

        return rc || mosquitto_socket(l->mosq) < 0 || l->failed ? mqtt_link_lost(l, rc) : 0;
}

/* Rounds, because a long one does not fit into the pipe at once. */
static int read_answer(struct mqtt_link *l)
{
        int r = 0, rounds = 0;

        do {
                if (!mqtt_stream_feed(&l->stream))
                        return 0;
                r = read_packet(l);
        } while (!r && !mqtt_stream_fed(&l->stream) && ++rounds < ROUNDS_MAX);
        return rounds == ROUNDS_MAX ? mqtt_link_lost(l, MOSQ_ERR_PROTOCOL) : r;
}

int mqtt_link_read(struct mqtt_link *l)
{
        struct mqtt_publish head;
        unsigned char *packet;
        size_t len;

        switch (mqtt_stream_fetch(&l->stream)) {
        case MQTT_STREAM_E_ENDED:
                return ended(l);
        case MQTT_STREAM_E_DRY:
                return MQTT_LINK_E_DRY;
        default:
                break;
        }
        if (!mqtt_stream_publish(&l->stream, &head, &packet, &len))
                return read_answer(l);
        take(l, packet, len, &head);
        mqtt_stream_took(&l->stream, len);
        return l->failed ? mqtt_link_lost(l, 0) : 0;
}

/*
 * Behind its DISCONNECT the library closes its end at once, so what was
 * collected goes out all the same.
 */
int mqtt_link_write(struct mqtt_link *l)
{
        bool held = l->conf.holds && l->accepted && mqtt_stream_holds(&l->stream);
        uint64_t position;
        int r = mqtt_link_collect(l, &position), sent;

        if (held)
                return r ? r : MQTT_LINK_E_DRY;
        sent = mqtt_link_release(l, l->stream.gate.end);
        return r ? r : sent;
}

/* Rounds, because little fits into the gate at once. */
static int write_into_gate(struct mqtt_link *l)
{
        long taken;
        int rc, fault;

        do {
                rc = mosquitto_loop_write(l->mosq, 1);
                fault = errno;
                taken = mqtt_write_gate_drain(&l->stream.gate);
        } while (!rc && taken > 0 && mosquitto_socket(l->mosq) >= 0 && mosquitto_want_write(l->mosq));
        if (rc)
                errno = fault;
        return taken < 0 ? MOSQ_ERR_ERRNO : rc;
}

static int capture(struct mqtt_link *l)
{
        int rc;

        BUG_ON(mosquitto_socket(l->mosq) != l->stream.gate.lib_fd); /* another file would be written over */
        if (mqtt_write_gate_begin_capture(&l->stream.gate) < 0)
                return mqtt_link_lost(l, MOSQ_ERR_ERRNO);
        rc = write_into_gate(l);
        if (mosquitto_socket(l->mosq) < 0 || rc)
                return mqtt_link_lost(l, rc);
        if (mqtt_write_gate_end_capture(&l->stream.gate) < 0)
                return mqtt_link_lost(l, MOSQ_ERR_ERRNO);
        return 0;
}

int mqtt_link_collect(struct mqtt_link *l, uint64_t *position)
{
        int r = 0;

        mqtt_write_gate_put(&l->stream.gate, l->acks, l->n_acks * sizeof(*l->acks));
        l->n_acks = 0;
        if (mosquitto_want_write(l->mosq))
                r = capture(l);
        *position = l->stream.gate.end;
        return r;
}

int mqtt_link_release(struct mqtt_link *l, uint64_t position)
{
        int r = mqtt_stream_release(&l->stream, position);

        if (r < 0)
                return mqtt_link_lost(l, MOSQ_ERR_ERRNO);
        return r == MQTT_WRITE_GATE_E_DRY ? MQTT_LINK_E_DRY : 0;
}

int mqtt_link_tick(struct mqtt_link *l)
{
        int rc;

        if (mqtt_stream_still_there(&l->stream) && read_packet(l))
                return MQTT_LINK_E_LOST;
        rc = mosquitto_loop_misc(l->mosq);
        if (!rc && l->n_unanswered && rt_mono_us(l->rt) - l->answered_us > UNANSWERED_US) {
                err_set(&l->why, "the broker does not acknowledge what is published");
                return MQTT_LINK_E_LOST;
        }
        return rc || mosquitto_socket(l->mosq) < 0 ? mqtt_link_lost(l, rc) : 0;
}

int mqtt_link_fd(const struct mqtt_link *l)
{
        return l->stream.gate.net_fd;
}

bool mqtt_link_wants_write(const struct mqtt_link *l)
{
        return l->n_acks || mosquitto_want_write(l->mosq) || (!l->conf.holds && mqtt_stream_holds(&l->stream));
}

bool mqtt_link_has_more(const struct mqtt_link *l)
{
        return mqtt_stream_has_more(&l->stream);
}

const char *mqtt_link_why(const struct mqtt_link *l)
{
        return l->why.text;
}

static int asked(struct mqtt_link *l, int rc)
{
        l->failed = l->failed || rc;
        return rc ? mqtt_link_lost(l, rc) : 0;
}

bool mqtt_link_takes_ids(const struct mqtt_link *l)
{
        return l->stream.inbound.takes.ids;
}

int mqtt_link_subscribe(struct mqtt_link *l, int n, char *const *filters, int qos, uint32_t id, int *mid)
{
        int options = l->conf.v311 ? 0 : MQTT_SUB_OPT_SEND_RETAIN_NEW, rc;
        mosquitto_property *props = NULL;

        if (id)
                mosquitto_property_add_varint(&props, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, id);
        rc = mosquitto_subscribe_multiple(l->mosq, mid, n, filters, qos, options, props);
        mosquitto_property_free_all(&props);
        return asked(l, rc);
}

int mqtt_link_unsubscribe(struct mqtt_link *l, int n, char *const *filters, int *mid)
{
        return asked(l, mosquitto_unsubscribe_multiple(l->mosq, mid, n, filters, NULL));
}

/* The whole packet, counted as the broker counts it (MQTT 5.0, 3.2.2.3.6). */
static bool fits(const struct mqtt_link *l, const char *topic, size_t len, int qos)
{
        uint64_t body = 2 + strlen(topic) + (qos ? 2 : 0) + (l->conf.v311 ? 0 : 1) + (uint64_t)len, size = body + 2;

        for (uint64_t rest = body >> 7; rest; rest >>= 7)
                size++;
        return size <= l->stream.inbound.takes.max_packet && body < 1u << 28;
}

static int publish(struct mqtt_link *l, const char *topic, const void *payload, size_t len, int qos, bool retain)
{
        if (!fits(l, topic, len, qos))
                return -1;
        return mosquitto_publish(l->mosq, NULL, topic, (int)len, payload, qos, retain) ? -1 : 0;
}

int mqtt_link_publish(struct mqtt_link *l, const char *topic, const void *payload, size_t len)
{
        return publish(l, topic, payload, len, 0, false);
}

int mqtt_link_publish_sure(struct mqtt_link *l, const char *topic, const void *payload, size_t len, bool retain)
{
        bool sure = l->limits.max_qos > 0;

        if (publish(l, topic, payload, len, sure, retain) < 0)
                return -1;
        if (sure && l->n_unanswered++ == 0)
                l->answered_us = rt_mono_us(l->rt);
        return 0;
}

void mqtt_link_goodbye(struct mqtt_link *l)
{
        mosquitto_disconnect_v5(l->mosq, 0, NULL);
}
