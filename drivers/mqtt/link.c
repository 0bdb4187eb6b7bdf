/*
 * link: libmosquitto, tamed (see link.h).
 *
 * Acknowledgements: the library queues the PUBACK before it hands over the
 * message.  mosquitto_threaded_set(true) is what keeps it in the queue until
 * mosquitto_loop_write(); the caller collects the queue in a gate
 * (mqtt_write_gate) and releases it when the readings are on disk.  A queued
 * PUBACK can't be taken back, so a link that must not acknowledge is closed:
 * mosquitto_destroy() closes the socket and writes nothing.  That is also why
 * there is a new client for each connection.
 *
 * What comes in is looked at before the library sees it (mqtt_stream): it ends
 * the process over a property it does not know, and allocates what a packet
 * says it is long.  What goes out it ends the process over when it is a byte
 * longer than the broker takes, so that is counted here.
 *
 * Connecting: names, password and certificate files and the TCP connect block,
 * so they run as slow work.  The library's connect with MQTT 5 properties has
 * no time limit of its own, and an address that swallows packets would hold a
 * worker for two minutes; so the host is tried with a limit of ours before,
 * which also gives better words for what is wrong.
 *
 * DUP is not in the library's message, but in the line it logs before the
 * callback; that line is read while asked for.
 *
 * Fails: every failure ends in MQTT_LINK_E_LOST (or on_opened) with a sentence
 * for people.
 */
#include "drivers/mqtt/link.h"

#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "drivers/mqtt/mqtt.h"
#include "drivers/mqtt/stream.h"

enum { CONNECT_LIMIT_MS = 4000, PASSWORD_MAX = 1024 };

struct mqtt_link {
        struct rt_work work;
        struct mqtt_link_conf conf; /* strings are copies */
        struct mqtt_link_upcalls up;
        struct mosquitto *mosq;
        struct mqtt_stream stream;
        bool opening; /* the work has not come back */
        bool closed;  /* while it was away */
        bool accepted;
        bool failed; /* to ask the broker for something: the link is no good */
        bool dup;    /* of the message to come */
        bool got;    /* a message, in the read that runs: errno may be anything then */
        struct err why;
};

/* ---- callbacks of the library, on the loop ---- */

static void on_log(struct mosquitto *mosq, void *ctx, int level, const char *text)
{
        struct mqtt_link *l = ctx;
        const char *at;

        at = strstr(text, "received PUBLISH (d");
        if (at)
                l->dup = at[19] == '1';
}

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

static void on_connect(struct mosquitto *mosq, void *ctx, int code, int flags, const mosquitto_property *props)
{
        struct mqtt_link *l = ctx;

        if (code) {
                refused(l, code);
                return;
        }
        l->accepted = true;
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

static void on_message(struct mosquitto *mosq, void *ctx, const struct mosquitto_message *m,
                       const mosquitto_property *props)
{
        struct mqtt_link *l = ctx;
        struct mqtt_message out = {.topic = m->topic,
                                   .payload = m->payload,
                                   .len = m->payloadlen > 0 ? (size_t)m->payloadlen : 0,
                                   .mid = m->qos > 0 ? (uint16_t)m->mid : 0,
                                   .retained = m->retain,
                                   .dup = l->dup};
        struct mqtt_set_aside a;

        if (mqtt_inbound_aside(&l->stream.inbound, out.payload, out.len, &a)) {
                out.payload = a.payload;
                out.len = a.len;
                out.aside = a.why;
                out.size = a.size;
        }
        l->dup = false;
        l->got = true;
        l->up.on_message(l->up.ctx, &out);
}

static void on_subscribe(struct mosquitto *mosq, void *ctx, int mid, int n, const int *granted,
                         const mosquitto_property *props)
{
        struct mqtt_link *l = ctx;

        l->up.on_subscribed(l->up.ctx, n, granted);
}

/* ---- connecting, off the loop ---- */

static int try_address(const struct addrinfo *a)
{
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        socklen_t len = sizeof(int);
        int fault = 0;

        if (fd < 0)
                return errno;
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
                fault = errno;
        if (fault == EINPROGRESS) {
                if (poll(&p, 1, CONNECT_LIMIT_MS) <= 0)
                        fault = ETIMEDOUT;
                else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &len) < 0)
                        fault = errno;
        }
        close(fd);
        return fault;
}

static int try_host(struct mqtt_link *l)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all, *a;
        char port[12];
        int rc, fault = ENETUNREACH;

        snprintf(port, sizeof(port), "%d", l->conf.port);
        rc = getaddrinfo(l->conf.host, port, &hints, &all);
        if (rc)
                return err_set(&l->why, "no address for '%s': %s", l->conf.host,
                               rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        for (a = all; a && fault; a = a->ai_next)
                fault = try_address(a);
        freeaddrinfo(all);
        if (!fault)
                return 0;
        return err_set(&l->why, "%s:%d %s", l->conf.host, l->conf.port,
                       fault == ECONNREFUSED ? "refuses the connection: no broker there?"
                       : fault == ETIMEDOUT  ? "does not answer"
                                             : strerror(fault));
}

/* The file's first line. */
static int read_password(struct mqtt_link *l, char out[PASSWORD_MAX])
{
        int fd = open(l->conf.password_file, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return err_errno(&l->why, "password_file %s", l->conf.password_file);
        n = read(fd, out, PASSWORD_MAX - 1);
        if (n < 0) {
                err_errno(&l->why, "password_file %s", l->conf.password_file);
                close(fd);
                return -1;
        }
        close(fd);
        out[n] = '\0';
        out[strcspn(out, "\r\n")] = '\0';
        if (!*out)
                return err_set(&l->why, "password_file %s is empty", l->conf.password_file);
        return 0;
}

static int set_login(struct mqtt_link *l)
{
        char password[PASSWORD_MAX] = "";
        int rc;

        if (!l->conf.username)
                return 0;
        if (l->conf.password_file && read_password(l, password) < 0)
                return -1;
        rc = mosquitto_username_pw_set(l->mosq, l->conf.username, l->conf.password_file ? password : NULL);
        explicit_bzero(password, sizeof(password));
        return rc ? err_set(&l->why, "user name: %s", mosquitto_strerror(rc)) : 0;
}

static int check_files(struct mqtt_link *l)
{
        const char *file[] = {l->conf.ca_file, l->conf.cert_file, l->conf.key_file};

        for (size_t i = 0; l->conf.tls && i < sizeof(file) / sizeof(*file); i++)
                if (file[i] && access(file[i], R_OK) < 0)
                        return err_errno(&l->why, "%s", file[i]);
        return 0;
}

static void set_up(struct mqtt_link *l)
{
        mosquitto_threaded_set(l->mosq, true);
        mosquitto_int_option(l->mosq, MOSQ_OPT_PROTOCOL_VERSION, l->conf.v311 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
        mosquitto_int_option(l->mosq, MOSQ_OPT_TCP_NODELAY, 1);
        mosquitto_connect_v5_callback_set(l->mosq, on_connect);
        mosquitto_disconnect_v5_callback_set(l->mosq, on_disconnect);
        mosquitto_message_v5_callback_set(l->mosq, on_message);
        mosquitto_subscribe_v5_callback_set(l->mosq, on_subscribe);
}

static int lost(struct mqtt_link *l, int rc)
{
        int fault = errno;

        if (l->why.text[0])
                return MQTT_LINK_E_LOST;
        if (l->stream.tls && mqtt_tls_fault(l->stream.tls)[0])
                err_set(&l->why, "TLS with %s:%d fails: %s", l->conf.host, l->conf.port, mqtt_tls_fault(l->stream.tls));
        else if (rc == MOSQ_ERR_KEEPALIVE)
                err_set(&l->why, "the broker has been silent for longer than the keepalive");
        else if (rc == MOSQ_ERR_ERRNO)
                err_set(&l->why, "the connection broke: %s", strerror(fault));
        else if (rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_NO_CONN || rc == 0)
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

static int connect_now(struct mqtt_link *l)
{
        mosquitto_property *props = NULL;
        int rc;

        if (!l->conf.v311) {
                mosquitto_property_add_int32(&props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, l->conf.session_expiry_s);
                mosquitto_property_add_int16(&props, MQTT_PROP_RECEIVE_MAXIMUM, l->conf.receive_maximum);
        }
        rc = mosquitto_connect_bind_v5(l->mosq, l->conf.host, l->conf.port, l->conf.keepalive_s, NULL, props);
        mosquitto_property_free_all(&props);
        if (rc)
                lost(l, rc);
        return rc ? -1 : 0;
}

static int open_stream(struct mqtt_link *l)
{
        struct mqtt_tls_conf tls = {.host = l->conf.host,
                                    .ca_file = l->conf.ca_file,
                                    .cert_file = l->conf.cert_file,
                                    .key_file = l->conf.key_file};
        struct mqtt_stream_conf conf = {.tls = l->conf.tls ? &tls : NULL,
                                        .limit_ms = CONNECT_LIMIT_MS,
                                        .v311 = l->conf.v311,
                                        .max_payload = l->conf.max_payload};
        struct err why = {0};

        if (!mosquitto_want_write(l->mosq))
                return err_set(&l->why, "libmosquitto %d has written before it was to",
                               mosquitto_lib_version(NULL, NULL, NULL));
        if (mqtt_stream_open(&l->stream, mosquitto_socket(l->mosq), &conf, &why) == 0)
                return 0;
        if (l->conf.tls)
                return err_set(&l->why, "TLS with %s:%d fails: %s", l->conf.host, l->conf.port, why.text);
        l->why = why;
        return -1;
}

static void run_open(struct rt_work *w)
{
        struct mqtt_link *l = list_entry(w, struct mqtt_link, work);

        if (try_host(l) < 0)
                return;
        l->mosq = mosquitto_new(l->conf.client_id, false, l);
        if (!l->mosq) {
                err_errno(&l->why, "client id '%s'", l->conf.client_id);
                return;
        }
        set_up(l);
        if (set_login(l) == 0 && check_files(l) == 0 && connect_now(l) == 0)
                open_stream(l);
}

static void release(struct mqtt_link *l)
{
        const char *s[] = {l->conf.host,    l->conf.client_id, l->conf.username, l->conf.password_file,
                           l->conf.ca_file, l->conf.cert_file, l->conf.key_file};

        for (size_t i = 0; i < sizeof(s) / sizeof(*s); i++)
                free((char *)(uintptr_t)s[i]);
        mosquitto_destroy(l->mosq);
        mqtt_stream_fini(&l->stream);
        free(l);
}

static void on_open_done(struct rt_work *w)
{
        struct mqtt_link *l = list_entry(w, struct mqtt_link, work);

        l->opening = false;
        if (l->closed)
                release(l);
        else
                l->up.on_opened(l->up.ctx, l->why.text[0] ? l->why.text : NULL);
}

static void copy(const char **s)
{
        if (*s)
                *s = mem_strdup(*s);
}

struct mqtt_link_conf mqtt_link_conf_of(const struct mqtt_conf *c, const struct mqtt_url *url, const char *client_id)
{
        return (struct mqtt_link_conf){.host = url->host,
                                       .port = url->port,
                                       .tls = url->tls,
                                       .client_id = client_id,
                                       .username = c->username,
                                       .password_file = c->password_file,
                                       .ca_file = c->ca_file,
                                       .cert_file = c->cert_file,
                                       .key_file = c->key_file,
                                       .v311 = c->protocol == MQTT_V311,
                                       .max_payload = c->max_payload_bytes};
}

struct mqtt_link *mqtt_link_open(struct rt *rt, const struct mqtt_link_conf *conf, const struct mqtt_link_upcalls *up)
{
        struct mqtt_link *l = mem_alloc(sizeof(*l));

        mosquitto_lib_init();
        l->conf = *conf;
        l->up = *up;
        copy(&l->conf.host);
        copy(&l->conf.client_id);
        copy(&l->conf.username);
        copy(&l->conf.password_file);
        copy(&l->conf.ca_file);
        copy(&l->conf.cert_file);
        copy(&l->conf.key_file);
        l->work = (struct rt_work){.run = run_open, .on_done = on_open_done, .slow = true};
        list_init(&l->work.node);
        mqtt_stream_init(&l->stream);
        l->opening = true;
        rt_work_start(rt, &l->work);
        return l;
}

void mqtt_link_close(struct mqtt_link *l)
{
        if (l->opening)
                l->closed = true;
        else
                release(l);
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
        return lost(l, l->stream.fault ? MOSQ_ERR_ERRNO : MOSQ_ERR_CONN_LOST);
}

static int read_packet(struct mqtt_link *l)
{
        int rc;

        errno = 0;
        l->got = false;
        rc = mosquitto_loop_read(l->mosq, 1);
        if (rc || mosquitto_socket(l->mosq) < 0 || l->failed)
                return lost(l, rc);
        mqtt_stream_read(&l->stream, errno == EAGAIN && !l->got);
        return 0;
}

int mqtt_link_read(struct mqtt_link *l)
{
        int r = mqtt_stream_fetch(&l->stream);

        if (r == MQTT_STREAM_E_ENDED)
                return ended(l);
        if (r == MQTT_STREAM_E_DRY)
                return MQTT_LINK_E_DRY;
        return l->stream.dry ? 0 : read_packet(l);
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

int mqtt_link_collect(struct mqtt_link *l, uint64_t *position)
{
        int rc;

        BUG_ON(mosquitto_socket(l->mosq) != l->stream.gate.lib_fd); /* another file would be written over */
        if (mqtt_write_gate_begin_capture(&l->stream.gate) < 0)
                return lost(l, MOSQ_ERR_ERRNO);
        rc = write_into_gate(l);
        if (mosquitto_socket(l->mosq) < 0 || rc)
                return lost(l, rc);
        if (mqtt_write_gate_end_capture(&l->stream.gate) < 0)
                return lost(l, MOSQ_ERR_ERRNO);
        *position = l->stream.gate.end;
        return 0;
}

int mqtt_link_release(struct mqtt_link *l, uint64_t position)
{
        int r = mqtt_stream_release(&l->stream, position);

        if (r < 0)
                return lost(l, MOSQ_ERR_ERRNO);
        return r == MQTT_WRITE_GATE_E_DRY ? MQTT_LINK_E_DRY : 0;
}

int mqtt_link_tick(struct mqtt_link *l)
{
        int rc;

        if (mqtt_stream_still_there(&l->stream) && read_packet(l))
                return MQTT_LINK_E_LOST;
        rc = mosquitto_loop_misc(l->mosq);
        return rc || mosquitto_socket(l->mosq) < 0 ? lost(l, rc) : 0;
}

int mqtt_link_fd(const struct mqtt_link *l)
{
        return l->stream.gate.net_fd;
}

bool mqtt_link_wants_write(const struct mqtt_link *l)
{
        return mosquitto_want_write(l->mosq) || (!l->conf.holds && mqtt_stream_holds(&l->stream));
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
        return rc ? lost(l, rc) : 0;
}

int mqtt_link_subscribe(struct mqtt_link *l, int n, char *const *filters, int qos)
{
        int options = l->conf.v311 ? 0 : MQTT_SUB_OPT_SEND_RETAIN_NEW;

        return asked(l, mosquitto_subscribe_multiple(l->mosq, NULL, n, filters, qos, options, NULL));
}

int mqtt_link_unsubscribe(struct mqtt_link *l, int n, char *const *filters)
{
        return asked(l, mosquitto_unsubscribe_multiple(l->mosq, NULL, n, filters, NULL));
}

/* The whole packet, counted as the broker counts it (MQTT 5.0, 3.2.2.3.6). */
static bool fits(const struct mqtt_link *l, const char *topic, size_t len, int qos)
{
        uint64_t body = 2 + strlen(topic) + (qos ? 2 : 0) + (l->conf.v311 ? 0 : 1) + (uint64_t)len, size = body + 2;

        for (uint64_t rest = body >> 7; rest; rest >>= 7)
                size++;
        return size <= l->stream.inbound.max_packet && body < 1u << 28;
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
        return publish(l, topic, payload, len, 1, retain);
}

void mqtt_link_goodbye(struct mqtt_link *l)
{
        mosquitto_disconnect_v5(l->mosq, 0, NULL);
}

void mqtt_link_watch_dup(struct mqtt_link *l, bool on)
{
        mosquitto_log_callback_set(l->mosq, on ? on_log : NULL);
}
