/*
 * link: libmosquitto, tamed (see link.h).
 *
 * Acknowledgements: the library queues the PUBACK before it hands over the
 * message.  mosquitto_threaded_set(true) is what keeps it in the queue until
 * mosquitto_loop_write(); the caller collects the queue in a gate
 * (mqtt_write_gate) and releases it when the readings are on disk.  A queued PUBACK can't be
 * taken back, so a link that must not acknowledge is closed:
 * mosquitto_destroy() closes the socket and writes nothing.  That is also why
 * there is a new client for each connection.
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
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "drivers/mqtt/mqtt.h"
#include "drivers/mqtt/write_gate.h"

enum { CONNECT_LIMIT_MS = 4000, PASSWORD_MAX = 1024 };

struct mqtt_link {
        struct rt_work work;
        struct mqtt_link_conf conf; /* strings are copies */
        struct mqtt_link_upcalls up;
        struct mosquitto *mosq;
        struct mqtt_write_gate gate; /* when conf.holds */
        bool opening;                /* the work has not come back */
        bool closed;                 /* while it was away */
        bool accepted;
        bool dup; /* of the message to come */
        bool got; /* a message, in the read that runs: errno may be anything then */
        struct err why;
        char tls_error[200];
};

/*
 * ---- callbacks of the library, on the loop but for the log while connecting
 * ----
 */

static void on_log(struct mosquitto *mosq, void *ctx, int level, const char *text)
{
        struct mqtt_link *l = ctx;
        const char *at;

        if (level == MOSQ_LOG_DEBUG) {
                at = strstr(text, "received PUBLISH (d");
                if (at)
                        l->dup = at[19] == '1';
        } else if (level == MOSQ_LOG_ERR && !l->tls_error[0]) {
                at = strstr(text, "::"); /* OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed */
                snprintf(l->tls_error, sizeof(l->tls_error), "%s", at ? at + 2 : text);
        }
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

/* An encrypted key would make OpenSSL ask on the terminal. */
static int on_key_password(char *buf, int size, int rw, void *ctx)
{
        return 0;
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

static int set_tls(struct mqtt_link *l)
{
        const char *file[] = {l->conf.ca_file, l->conf.cert_file, l->conf.key_file};
        int rc;

        if (!l->conf.tls)
                return 0;
        for (size_t i = 0; i < sizeof(file) / sizeof(*file); i++)
                if (file[i] && access(file[i], R_OK) < 0)
                        return err_errno(&l->why, "%s", file[i]);
        rc = mosquitto_tls_set(l->mosq, l->conf.ca_file, l->conf.ca_file ? NULL : "/etc/ssl/certs", l->conf.cert_file,
                               l->conf.key_file, on_key_password);
        if (!rc)
                rc = mosquitto_tls_opts_set(l->mosq, 1, NULL, NULL);
        return rc ? err_set(&l->why, "TLS: %s", mosquitto_strerror(rc)) : 0;
}

static void set_up(struct mqtt_link *l)
{
        mosquitto_threaded_set(l->mosq, true);
        mosquitto_int_option(l->mosq, MOSQ_OPT_PROTOCOL_VERSION, l->conf.v311 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
        mosquitto_int_option(l->mosq, MOSQ_OPT_TCP_NODELAY, 1);
        mosquitto_log_callback_set(l->mosq, on_log);
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
        if (l->tls_error[0] && !l->accepted)
                err_set(&l->why, "TLS with %s:%d fails: %s", l->conf.host, l->conf.port, l->tls_error);
        else if (rc == MOSQ_ERR_TLS)
                err_set(&l->why, "TLS with %s:%d fails", l->conf.host, l->conf.port);
        else if (rc == MOSQ_ERR_KEEPALIVE)
                err_set(&l->why, "the broker has been silent for longer than the keepalive");
        else if (rc == MOSQ_ERR_ERRNO)
                err_set(&l->why, "the connection broke: %s", strerror(fault));
        else if (rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_NO_CONN || rc == 0)
                err_set(&l->why, "the broker closed the connection%s",
                        l->accepted ? "" : " before it answered; a plain address for a TLS port, or the reverse?");
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
        if (set_login(l) < 0 || set_tls(l) < 0 || connect_now(l) < 0)
                return;
        if (l->conf.holds && mqtt_write_gate_init(&l->gate, mosquitto_socket(l->mosq)) < 0)
                err_errno(&l->why, "a second descriptor for the connection");
}

static void release(struct mqtt_link *l)
{
        const char *s[] = {l->conf.host,    l->conf.client_id, l->conf.username, l->conf.password_file,
                           l->conf.ca_file, l->conf.cert_file, l->conf.key_file};

        for (size_t i = 0; i < sizeof(s) / sizeof(*s); i++)
                free((char *)(uintptr_t)s[i]);
        mosquitto_destroy(l->mosq);
        mqtt_write_gate_fini(&l->gate);
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
                                       .v311 = c->protocol == MQTT_V311};
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
        l->gate = (struct mqtt_write_gate){.lib_fd = -1, .net_fd = -1, .in_fd = -1, .out_fd = -1};
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

int mqtt_link_read(struct mqtt_link *l)
{
        int rc;

        errno = 0;
        l->got = false;
        rc = mosquitto_loop_read(l->mosq, 1);
        if (rc || mosquitto_socket(l->mosq) < 0)
                return lost(l, rc);
        return errno == EAGAIN && !l->got ? MQTT_LINK_E_DRY : 0;
}

int mqtt_link_write(struct mqtt_link *l)
{
        int fd = mosquitto_socket(l->mosq), on = 1, off = 0, rc;

        setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
        rc = mosquitto_loop_write(l->mosq, 1);
        if (rc || mosquitto_socket(l->mosq) < 0)
                return lost(l, rc);
        setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
        return mosquitto_want_write(l->mosq) ? MQTT_LINK_E_DRY : 0;
}

/* Rounds, because little fits into the gate at once. */
static int write_into_gate(struct mqtt_link *l)
{
        long taken;
        int rc, fault;

        do {
                rc = mosquitto_loop_write(l->mosq, 1);
                fault = errno;
                taken = mqtt_write_gate_drain(&l->gate);
        } while (!rc && taken > 0 && mosquitto_socket(l->mosq) >= 0 && mosquitto_want_write(l->mosq));
        if (rc)
                errno = fault;
        return taken < 0 ? MOSQ_ERR_ERRNO : rc;
}

int mqtt_link_collect(struct mqtt_link *l, uint64_t *position)
{
        int rc;

        BUG_ON(mosquitto_socket(l->mosq) != l->gate.lib_fd); /* another file would be written over */
        if (mqtt_write_gate_begin_capture(&l->gate) < 0)
                return lost(l, MOSQ_ERR_ERRNO);
        rc = write_into_gate(l);
        if (mosquitto_socket(l->mosq) < 0 || rc)
                return lost(l, rc);
        if (mqtt_write_gate_end_capture(&l->gate) < 0)
                return lost(l, MOSQ_ERR_ERRNO);
        *position = l->gate.end;
        return 0;
}

int mqtt_link_release(struct mqtt_link *l, uint64_t position)
{
        int r = mqtt_write_gate_release(&l->gate, position);

        if (r < 0)
                return lost(l, MOSQ_ERR_ERRNO);
        return r == MQTT_WRITE_GATE_E_DRY ? MQTT_LINK_E_DRY : 0;
}

int mqtt_link_tick(struct mqtt_link *l)
{
        int rc = mosquitto_loop_misc(l->mosq);

        return rc || mosquitto_socket(l->mosq) < 0 ? lost(l, rc) : 0;
}

int mqtt_link_fd(const struct mqtt_link *l)
{
        return !l->mosq ? -1 : l->conf.holds ? l->gate.net_fd : mosquitto_socket(l->mosq);
}

bool mqtt_link_wants_write(const struct mqtt_link *l)
{
        return mosquitto_want_write(l->mosq);
}

bool mqtt_link_has_more(const struct mqtt_link *l)
{
        int n = 0;

        return ioctl(mosquitto_socket(l->mosq), FIONREAD, &n) == 0 && n > 0;
}

const char *mqtt_link_why(const struct mqtt_link *l)
{
        return l->why.text;
}

int mqtt_link_subscribe(struct mqtt_link *l, int n, char *const *filters, int qos)
{
        int options = l->conf.v311 ? 0 : MQTT_SUB_OPT_SEND_RETAIN_NEW;
        int rc = mosquitto_subscribe_multiple(l->mosq, NULL, n, filters, qos, options, NULL);

        return rc ? lost(l, rc) : 0;
}

int mqtt_link_unsubscribe(struct mqtt_link *l, int n, char *const *filters)
{
        int rc = mosquitto_unsubscribe_multiple(l->mosq, NULL, n, filters, NULL);

        return rc ? lost(l, rc) : 0;
}

int mqtt_link_publish(struct mqtt_link *l, const char *topic, const void *payload, size_t len)
{
        return mosquitto_publish(l->mosq, NULL, topic, (int)len, payload, 0, false) ? -1 : 0;
}

int mqtt_link_publish_sure(struct mqtt_link *l, const char *topic, const void *payload, size_t len, bool retain)
{
        return mosquitto_publish(l->mosq, NULL, topic, (int)len, payload, 1, retain) ? -1 : 0;
}

void mqtt_link_goodbye(struct mqtt_link *l)
{
        mosquitto_disconnect_v5(l->mosq, 0, NULL);
}

void mqtt_link_watch_dup(struct mqtt_link *l, bool on)
{
        mosquitto_log_callback_set(l->mosq, on ? on_log : NULL);
}
