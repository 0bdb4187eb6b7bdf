/*
 * systemd: what the service manager is told: READY=1, STOPPING=1, a line for
 * `systemctl status`, and WATCHDOG=1 for as long as readings move.  Without a
 * service manager it is silent.  Loop thread.
 */
#ifndef MILLRACE_AGENT_SYSTEMD_H
#define MILLRACE_AGENT_SYSTEMD_H

#include "agent/agent.h"

/* What is known at one moment. */
struct notify_seen {
        int64_t mono_us;
        uint64_t commits;   /* that got through */
        bool to_commit;     /* readings or events wait for one */
        bool disk_failing;  /* told by health; commits are being tried again */
        uint64_t delivered; /* records Kafka took, or gave back */
        bool to_deliver;    /* records are out, and the uplink says that it is up */
};

/*
 * What was known when the two last moved or had nothing to do. Zeroed before
 * the first.
 */
struct notify_progress {
        uint64_t commits, delivered;
        int64_t committed_us, delivered_us;
};

enum { NOTIFY_COMMIT_WITHIN_US = 30000000, NOTIFY_DELIVER_WITHIN_US = 600000000 };

/* Pure: may the watchdog be fed? */
bool notify_may_feed(struct notify_progress *p, const struct notify_seen *now);

struct notify {
        struct agent *agent;
        struct rt_timer timer;
        int64_t period_us; /* 0: no watchdog is asked for */
        struct notify_progress progress;
        bool starved;
};

void notify_ready(struct notify *n, struct agent *a);
void notify_reloading(int64_t mono_us);
void notify_reloaded(void);
void notify_stopping(void);
void notify_close(struct notify *n);

#endif
