/*
 * rt_uv: the runtime on libuv, for the daemon.  One loop thread; works run on
 * libuv's pool.
 */
#ifndef MILLRACE_AGENT_RT_UV_H
#define MILLRACE_AGENT_RT_UV_H

#include "agent/base/rt.h"

struct rt *rt_uv_new(void);
void rt_uv_run(struct rt *rt);  /* until rt_uv_stop */
void rt_uv_stop(struct rt *rt); /* loop thread, or from a callback */

/*
 * The loop has ended and the works' owners are about to go: those that have not
 * begun never will, and nobody is told any more.  False while one still runs;
 * then neither it nor the runtime may be freed.
 */
bool rt_uv_quiesce(struct rt *rt);
void rt_uv_free(struct rt *rt);

#endif
