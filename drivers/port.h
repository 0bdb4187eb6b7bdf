/*
 * port: bytes of instruments, over a serial port or a connection to one that is
 * elsewhere: /dev/… or tcp://host:port, where a device server carries them as
 * they are.  Loop thread; nothing here waits.
 */
#ifndef MILLRACE_DRIVERS_PORT_H
#define MILLRACE_DRIVERS_PORT_H

#include "drivers/tcp.h"
#include "drivers/tty.h"

/* The path is /dev/… or tcp://host:port. 0 or -1 with a sentence. */
int port_check(const char *path, int64_t baud, struct err *e);

struct port {
        /* The owner's: set before port_init. */
        void (*on_open)(struct port *p);
        void (*on_fail)(struct port *p, const char *why);  /* it can't be opened */
        void (*on_event)(struct port *p, unsigned events); /* of rt.h, while it is open */
        void (*on_stopped)(struct port *p);                /* after port_stop said false */

        struct rt *rt;
        struct tty_conf conf;
        bool is_tcp;
        struct tcp tcp;
        struct rt_watch watch; /* fd -1: not open */
};

/* The configuration has been checked, and outlives the port. */
void port_init(struct port *p, struct rt *rt, const struct tty_conf *conf);

/* Ends in on_open or on_fail, maybe before it returns. */
void port_open(struct port *p);
/* A connection the other side has closed, once more. */
void port_open_again(struct port *p);

static inline bool port_is_open(const struct port *p)
{
        return p->watch.fd >= 0;
}

void port_watch(struct port *p, unsigned events);

/* The bytes; 0: nothing now; -1: it is gone, why says so. */
enum { PORT_WHY_MAX = 160 };
ssize_t port_read(struct port *p, void *to, size_t room, bool *closed, char why[PORT_WHY_MAX]);
/* How many were taken; -1: likewise. */
ssize_t port_write(struct port *p, const void *bytes, size_t n, bool *closed, char why[PORT_WHY_MAX]);

/*
 * Another speed; a device server sees to its own, which it can't be told. 0 or
 * -1 with a sentence.
 */
int port_set_baud(struct port *p, int64_t baud, struct err *e);

void port_shut(struct port *p);
bool port_stop(struct port *p);

#endif
