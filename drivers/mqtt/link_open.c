/*
 * link_open: from a broker's name to an open connection, and its end.
 *
 * Names, password and certificate files and the TCP connect block, so they run
 * as slow work.  The library's connect with MQTT 5 properties has no time limit
 * of its own, and an address that swallows packets would hold a worker for two
 * minutes; so the host is tried with a limit of ours before, which also gives
 * better words for what is wrong, and the library is given the address that
 * answered.
 *
 * Fails: on_opened with a sentence for people.
 */
#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/mqtt/link_impl.h"
#include "drivers/mqtt/mqtt.h"

enum { CONNECT_LIMIT_MS = 4000, PASSWORD_MAX = 1024, ADDRESS_MAX = INET6_ADDRSTRLEN + IF_NAMESIZE + 1 };

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

/* `address`: the first of its addresses that answers, in digits. */
static int try_host(struct mqtt_link *l, char address[ADDRESS_MAX])
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all, *a;
        char port[12];
        int rc, fault = ENETUNREACH;

        snprintf(port, sizeof(port), "%d", l->conf.port);
        rc = getaddrinfo(l->conf.host, port, &hints, &all);
        if (rc)
                return err_set(&l->why, "no address for '%s': %s", l->conf.host,
                               rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        for (a = all; a && fault; a = a->ai_next) {
                fault = try_address(a);
                if (!fault && getnameinfo(a->ai_addr, a->ai_addrlen, address, ADDRESS_MAX, NULL, 0, NI_NUMERICHOST))
                        fault = EAFNOSUPPORT;
        }
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

static int connect_now(struct mqtt_link *l, const char *address)
{
        mosquitto_property *props = NULL;
        int rc;

        if (!l->conf.v311) {
                mosquitto_property_add_int32(&props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, l->conf.session_expiry_s);
                mosquitto_property_add_int16(&props, MQTT_PROP_RECEIVE_MAXIMUM, l->conf.receive_maximum);
        }
        rc = mosquitto_connect_bind_v5(l->mosq, address, l->conf.port, l->conf.keepalive_s, NULL, props);
        mosquitto_property_free_all(&props);
        if (rc)
                mqtt_link_lost(l, rc);
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
                                        .keepalive_s = (uint16_t)l->conf.keepalive_s,
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
        char address[ADDRESS_MAX];

        if (try_host(l, address) < 0)
                return;
        /* 3.1.1 knows no time for a session: one that is to end with the link is none at all */
        l->mosq = mosquitto_new(l->conf.client_id, l->conf.v311 && l->conf.session_expiry_s == 0, l);
        if (!l->mosq) {
                err_errno(&l->why, "client id '%s'", l->conf.client_id);
                return;
        }
        mqtt_link_set_up(l);
        if (set_login(l) == 0 && check_files(l) == 0 && connect_now(l, address) == 0)
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
        free(l->acks);
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
        l->rt = rt;
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
