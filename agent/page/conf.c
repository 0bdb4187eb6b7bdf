/*
 * conf: see conf.h.  Pure.
 *
 * Beyond loopback a page is for everybody on the network, so TLS is a must
 * there; a unix socket is for a reverse proxy that has its own.  How it fails:
 * with a sentence that says what is allowed.
 */
#include "agent/page/conf.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct page_conf, member)

static const struct schema_key keys[] = {
        {.name = "listen",
         .type = SCHEMA_TEXT,
         .offset = AT(listen),
         .help = "Where millrace-page answers: 127.0.0.1:8420, or unix:/path for a reverse proxy; beyond loopback only "
                 "with TLS and users. Absent: 127.0.0.1:8420 when millrace-page is started."},
        {.name = "certificate", .type = SCHEMA_PATH, .offset = AT(certificate), .help = "TLS: a PEM file."},
        {.name = "key", .type = SCHEMA_PATH, .offset = AT(key), .help = "TLS: its private key, PEM."},
        {.name = "users",
         .type = SCHEMA_PATH,
         .offset = AT(users),
         .def = PAGE_USERS,
         .help = "Who may act, or look from afar: written by millrace-page user."},
        {.name = NULL},
};

static int local_address(const char *path, union page_address *out, socklen_t *len, struct err *e)
{
        if (*path != '/' || strlen(path) >= sizeof(out->local.sun_path))
                return err_set(e, "unix:/path is expected, of at most %zu bytes", sizeof(out->local.sun_path) - 1);
        out->local.sun_family = AF_UNIX;
        memcpy(out->local.sun_path, path, strlen(path) + 1);
        *len = sizeof(out->local);
        return 0;
}

int page_address(const char *listen, union page_address *out, socklen_t *len, bool *near, struct err *e)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)&out->any;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->any;
        const char *colon = strrchr(listen, ':');
        char host[64], *end;
        long port;

        memset(out, 0, sizeof(*out));
        *near = false;
        if (!strncmp(listen, "unix:", 5))
                return local_address(listen + 5, out, len, e);
        port = colon ? strtol(colon + 1, &end, 10) : 0;
        if (!colon || colon[1] < '0' || colon[1] > '9' || *end || port < 1 || port > 65535 ||
            (size_t)(colon - listen) >= sizeof(host))
                return err_set(e, "\"%s\" is no address: 127.0.0.1:8420, [::1]:8420 or unix:/path is expected", listen);
        memcpy(host, listen, (size_t)(colon - listen));
        host[colon - listen] = '\0';
        if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons((uint16_t)port);
                *len = sizeof(*v4);
                *near = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
                return 0;
        }
        if (*host == '[' && host[strlen(host) - 1] == ']') {
                host[strlen(host) - 1] = '\0';
                if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1) {
                        v6->sin6_family = AF_INET6;
                        v6->sin6_port = htons((uint16_t)port);
                        *len = sizeof(*v6);
                        *near = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
                        return 0;
                }
        }
        return err_set(e, "\"%s\" is no address: a number as 127.0.0.1 is expected before the port, no name", listen);
}

static int check(void *obj, const char **key, struct err *e)
{
        struct page_conf *c = obj;
        union page_address a;
        socklen_t len;
        bool near;

        *key = "certificate";
        if (!c->certificate != !c->key)
                return err_set(e, "certificate: and key: go together");
        *key = "listen";
        if (!c->listen)
                return 0;
        if (page_address(c->listen, &a, &len, &near, e) < 0)
                return -1;
        if (!near && a.any.ss_family != AF_UNIX && !c->certificate)
                return err_set(e,
                               "beyond loopback the page needs certificate: and key: (millrace-page cert makes them)");
        return 0;
}

const struct schema page_schema = {
        .name = "page",
        .help = "The page in the browser, of the package millrace-page.",
        .keys = keys,
        .size = sizeof(struct page_conf),
        .has_at = true,
        .check = check,
};
