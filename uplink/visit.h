/*
 * visit: what `millrace setup` wants of a cluster, with the `kafka:` section's
 * own login: are its brokers there, are the topics, make those that are not,
 * and read back what the gateway wrote.  For the tool: blocking, each call
 * bounded.  One thread.
 */
#ifndef MILLRACE_UPLINK_VISIT_H
#define MILLRACE_UPLINK_VISIT_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"
#include "uplink/uplink.h"

enum { VISIT_BROKERS_MAX = 16, VISIT_TOPICS = SINK_TOPICS, VISIT_COMMAND_ROOM = 400 };

struct visit;

struct visit_seen {
        struct {
                char host[256];
                int port;
        } broker[VISIT_BROKERS_MAX]; /* as the cluster names them */
        int n_brokers;               /* all that it has; the first VISIT_BROKERS_MAX are above */
        bool missing[VISIT_TOPICS];
        int n_missing;
};

/* Makes the client; nobody is connected to yet. `conf` must live as long. */
struct visit *visit_open(const struct kafka_conf *conf, const char *gateway, struct err *e);
void visit_close(struct visit *v); /* NULL is fine */

/* 0 and what is there, or -1 with why nobody answers. 10 s. */
int visit_look(struct visit *v, struct visit_seen *seen, struct err *e);

/* Kafka's own command that makes a topic; a topic's name. */
void visit_command(const struct visit *v, const struct visit_seen *seen, int topic, char out[VISIT_COMMAND_ROOM]);
const char *visit_topic(const struct visit *v, int topic);

/*
 * Makes what is missing; a sentence to on_fault for each that could not be. The
 * number of those. 15 s, and as long again for a broker that does not answer.
 */
int visit_make(struct visit *v, const struct visit_seen *seen, void (*on_fault)(void *ctx, const char *text),
               void *ctx);

/*
 * From here on records of the topic of readings are read; -1 with why they
 * can't be.  10 s.
 */
int visit_mark(struct visit *v, struct err *e);
/*
 * A reading of this gateway that came since, as it stands in Kafka; false: none
 * within `wait_ms`.
 */
bool visit_read(struct visit *v, const char *gateway, int wait_ms, char *out, size_t cap);

#endif
