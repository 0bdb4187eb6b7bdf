/*
 * fds: descriptors 0 to 2 are ours to rely on.
 */
#ifndef MILLRACE_AGENT_BASE_FDS_H
#define MILLRACE_AGENT_BASE_FDS_H

/*
 * First thing in main: a standard stream that came closed becomes one on
 * /dev/null.  Can't fail in a way that matters: without a /dev/null something
 * else that takes no output holds the place.
 */
void fds_fill(void);

#endif
