/*
 * metrics: the status object as Prometheus text, and the `metrics:` section.
 * Pure.
 *
 * Made from the JSON of the control socket, so that `millrace metrics` and the
 * HTTP page say the same.
 */
#ifndef MILLRACE_CONTROL_METRICS_H
#define MILLRACE_CONTROL_METRICS_H

#include <jansson.h>
#include <sys/socket.h>

#include "agent/base/schema.h"

struct metrics_conf {
        struct schema_at at;
        const char *listen; /* NULL: nothing listens */
};
extern const struct schema metrics_schema;

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * Text exposition format 0.0.4. What the object does not hold is left out.
 * free() it.
 */
char *metrics_text(const json_t *status);

/* 127.0.0.1:9464, [::1]:9464. 0, or -1 with what is wrong. */
int metrics_address(const char *listen, struct sockaddr_storage *out, struct err *e);

#endif
