/*
 * ctl_client: one question to the daemon, one answer, over its control socket.
 * Blocking, at most 5 s.
 */
#ifndef MILLRACE_CLI_CTL_CLIENT_H
#define MILLRACE_CLI_CTL_CLIENT_H

#include <jansson.h>

#include "agent/base/err.h"

enum {
        CTL_E_AWAY = 1,    /* nobody listens there */
        CTL_E_REFUSED = 2, /* the daemon answered with an error; its words are in *e */
};

/*
 * 0 and *reply (the caller's reference); CTL_E_*; or -1: no rights, no answer
 * in time, or nonsense. All but 0 fill *e, and leave *reply NULL.
 */
int ctl_ask(const char *path, const json_t *request, json_t **reply, struct err *e);

#endif
