/*
 * http: the page's server.  A thread of libmicrohttpd's serves all connections
 * and never blocks; what takes a while is a job.
 */
#ifndef MILLRACE_PAGE_HTTP_H
#define MILLRACE_PAGE_HTTP_H

#include "agent/base/err.h"
#include "agent/page/asks.h"
#include "agent/page/conf.h"

struct http_conf {
        struct asks asks;
        char *gateway, *listen, *users;
        char *certificate, *key; /* PEM texts; NULL: no TLS */
};

/* Everything of it lasts as long as the process. 0, or -1 with a sentence. */
int http_start(const struct http_conf *conf, struct err *e);

#endif
