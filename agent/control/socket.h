/*
 * socket: the unix socket `millrace` talks to.  One JSON object on a line in,
 * one on a line out.
 *
 * Bounded: 16 clients, 64 KiB a request, an idle client is closed after a
 * minute.  A client that does not read its answer is closed; it never holds up
 * the loop.  Loop thread.
 */
#ifndef MILLRACE_CONTROL_SOCKET_H
#define MILLRACE_CONTROL_SOCKET_H

#include <stddef.h>

#include "agent/base/err.h"
#include "agent/base/rt.h"

struct control;
struct control_client;

/*
 * Called with one request line.  The answer is given by control_reply, now or
 * later; until then the client's further requests wait.  A client that went
 * away is not waited for: its answer is thrown away.
 */
struct control_ops {
        void (*on_request)(void *ctx, struct control_client *c, const char *line, size_t len);
        void *ctx;
};

/*
 * A path in use by a living daemon is refused; a left-over socket is replaced.
 * Blocking: before the loop runs.
 */
struct control *control_open(struct rt *rt, const char *path, const struct control_ops *ops, struct err *e);
void control_reply(struct control_client *c, const char *json); /* without the newline */
void control_close(struct control *c);

#endif
