/* conf: the `page:` section, which millrace-page reads and the daemon checks. */
#ifndef MILLRACE_PAGE_CONF_H
#define MILLRACE_PAGE_CONF_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/base/err.h"
#include "agent/base/schema.h"

struct page_conf {
        struct schema_at at;
        const char *listen; /* NULL: no page */
        const char *certificate, *key, *users;
};
extern const struct schema page_schema;

#define PAGE_USERS "/etc/millrace/page-users"

union page_address {
        struct sockaddr_storage any;
        struct sockaddr_un local;
};

/*
 * 127.0.0.1:8420, [::1]:8420, 0.0.0.0:8443, unix:/run/x.sock. `near`: loopback,
 * where one may look without a name.  0, or -1 with what is wrong.
 */
int page_address(const char *listen, union page_address *out, socklen_t *len, bool *near, struct err *e);

#endif
