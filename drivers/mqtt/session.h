/*
 * session: what we are subscribed to at the broker, which keeps it while we are
 * away.  Loop thread; no call waits for an answer.
 */
#ifndef MILLRACE_DRIVERS_MQTT_SESSION_H
#define MILLRACE_DRIVERS_MQTT_SESSION_H

#include "drivers/mqtt/intake.h"
#include "drivers/mqtt/link.h"

struct mqtt_session {
        struct driver *d;
        const char *scope; /* for the log */
        char **filters;    /* of the intake's subscriptions, in their order; borrowed from it */
        int n_filters;
        char **left; /* filters of the driver before this one, which the session at the broker still has */
        int n_left;
        char **asked; /* of them, what the broker was asked for last; after its answer: what it refuses */
        int n_asked;
        bool again;      /* it was refused before */
        bool subscribed; /* the session at the broker has all of `filters`, as far as anybody knows */
};

void mqtt_session_init(struct mqtt_session *s, struct driver *d, const struct mqtt_intake *in, const char *scope);
void mqtt_session_fini(struct mqtt_session *s);

/*
 * The session is the one of the driver before; `same`: it asks the same broker
 * for the same, as the same client.
 */
void mqtt_session_inherit(struct mqtt_session *s, const struct mqtt_session *before, bool same);
bool mqtt_session_same_filters(const struct mqtt_session *s, const struct mqtt_session *before);

/* The broker has accepted us; queues what is to be asked of it. */
void mqtt_session_accepted(struct mqtt_session *s, struct mqtt_link *l, bool session_present);
/* How many are refused. */
int mqtt_session_granted(struct mqtt_session *s, int n, const int *granted);
/* What is refused is asked for once more. */
void mqtt_session_ask_again(struct mqtt_session *s, struct mqtt_link *l);
/* We asked to be accepted and do not know whether we were. */
void mqtt_session_doubt(struct mqtt_session *s);

#endif
