/*
 * tcp: a connection to a host and port that the configuration names.  Shared by
 * the drivers that have one.  Loop thread; nothing here waits.
 */
#ifndef MILLRACE_DRIVERS_TCP_H
#define MILLRACE_DRIVERS_TCP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "agent/base/err.h"
#include "agent/base/rt.h"

enum { TCP_HOST_MAX = 256, TCP_ADDRESSES_MAX = 4 };

struct tcp_address {
        char host[TCP_HOST_MAX], service[8];
};

/*
 * "host:port", "[::1]:port"; with a usual port (not 0) also "host". 0 or -1,
 * and no sentence: what is allowed is the caller's to say.
 */
int tcp_address_parse(struct tcp_address *out, const char *text, unsigned usual_port);

enum tcp_state { TCP_SHUT, TCP_RESOLVING, TCP_CONNECTING };

struct tcp {
        /* The owner's: set before tcp_init. */
        void (*on_open)(struct tcp *t, int fd);          /* fd is the owner's now */
        void (*on_fail)(struct tcp *t, const char *why); /* with the host's name */
        void (*on_cancelled)(struct tcp *t);             /* after tcp_cancel said false */

        struct rt *rt;
        struct tcp_address address;
        enum tcp_state state;
        bool cancelled;
        struct rt_watch watch; /* while it connects */
        struct rt_timer timer;
        struct rt_work resolve;
        struct {
                struct sockaddr_storage addr;
                socklen_t len;
        } found[TCP_ADDRESSES_MAX];
        size_t n_found, next_found;
        int resolve_error;
};

void tcp_init(struct tcp *t, struct rt *rt, const struct tcp_address *address);

/*
 * Ends in on_open or on_fail, maybe before it returns.  A name is looked up
 * each time, off the loop; one address a try: the next try takes the next.
 */
void tcp_connect(struct tcp *t);

/* The address that was connected last, without looking its name up. */
void tcp_connect_again(struct tcp *t);

/*
 * true: nothing is under way.  false: a name is being looked up, which can't be
 * called back; on_cancelled follows, and nothing else.
 */
bool tcp_cancel(struct tcp *t);

/*
 * Whether errno (0: read said 0) is a connection that the other side has
 * closed.
 */
bool tcp_is_closed(int error);

#endif
