/*
 * metrics_http: serves the metrics page on loopback.  Loop thread; nothing of
 * it blocks.
 */
#ifndef MILLRACE_CONTROL_METRICS_HTTP_H
#define MILLRACE_CONTROL_METRICS_HTTP_H

#include "agent/base/err.h"
#include "agent/base/rt.h"

struct metrics_http;

/*
 * The library; any thread, blocking. metrics_http_open does it as well when it
 * was not done. 0, or -1 with a sentence.
 */
int metrics_http_load(struct err *e);

/*
 * `page` makes the page of this moment; it is freed here. NULL with a sentence
 * when the address can't be had.
 */
struct metrics_http *metrics_http_open(struct rt *rt, const char *listen, char *(*page)(void *ctx), void *ctx,
                                       struct err *e);
void metrics_http_close(struct metrics_http *m); /* NULL is fine */

#endif
