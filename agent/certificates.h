/*
 * certificates: until when the certificates that the configuration names are
 * good.
 *
 * Files are read off the loop, at start, when the configuration has changed and
 * every hour.  What the brokers themselves show is not looked at here: a
 * handshake that fails for it is told by the link.  Loop thread.
 */
#ifndef MILLRACE_AGENT_CERTIFICATES_H
#define MILLRACE_AGENT_CERTIFICATES_H

#include "agent/config/config.h"
#include "agent/health/facts.h"

enum { CERTIFICATES_MOST = 64 };

struct certificates {
        struct rt *rt;
        struct rt_timer timer;
        struct rt_work work;
        bool busy, again;
        char *path[CERTIFICATES_MOST], *user[CERTIFICATES_MOST]; /* of the work */
        bool trusted[CERTIFICATES_MOST];
        int64_t not_after_us[CERTIFICATES_MOST];
        size_t n;
        struct health_certificate known[CERTIFICATES_MOST]; /* what came of it; texts are its own */
        size_t n_known;
        const struct config *conf;
};

void certificates_init(struct certificates *c, struct rt *rt, const struct config *conf);
/* From now on, these. */
void certificates_look(struct certificates *c, const struct config *conf);
void certificates_fini(struct certificates *c); /* no work of the runtime is under way */

/*
 * Until when a PEM file is of use, wall clock; 0: no certificate is in it, or
 * it can't be read.  One that is shown: to the earliest end of those in it, all
 * are needed.  Of those that are `trusted` one is enough, and a system's own
 * list has some that ended years ago: to the latest.  Any thread.
 */
int64_t certificate_end_us(const char *path, bool trusted);

#endif
