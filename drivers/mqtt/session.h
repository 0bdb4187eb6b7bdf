/*
 * session: what we are subscribed to at the broker, which keeps it while we are
 * away.  Loop thread; no call waits for an answer.
 */
#ifndef MILLRACE_DRIVERS_MQTT_SESSION_H
#define MILLRACE_DRIVERS_MQTT_SESSION_H

#include "drivers/mqtt/intake.h"
#include "drivers/mqtt/link.h"

enum mqtt_answer { MQTT_UNANSWERED, MQTT_GRANTED, MQTT_GRANTED_LESS, MQTT_REFUSED };

/* One filter the broker is asked for. */
struct mqtt_asked {
        char *text; /* borrowed from the intake's filters */
        uint64_t hash;
        uint32_t id;
        int mid; /* of the SUBSCRIBE whose answer is to come; 0: none is */
        enum mqtt_answer answer;
        bool told; /* it is not granted: in the log */
};

struct mqtt_left {
        char *text;
        uint64_t hash;
};

struct mqtt_session {
        struct driver *d;
        const char *scope;                  /* for the log */
        const struct mqtt_filters *filters; /* the intake's */
        struct mqtt_asked *asked;
        size_t n_asked;
        char **room;            /* for a SUBSCRIBE */
        struct mqtt_left *left; /* filters that the session at the broker may have from before, and is not to have */
        int n_left;
        int left_mid;  /* of the last UNSUBSCRIBE of one of them */
        int stray_mid; /* of the last UNSUBSCRIBE of what nobody asked for */
        unsigned n_strays;
        int64_t stray_after_us; /* monotonic: not again before that */
        int waited_s;           /* for an answer, while we listened */
        bool joined;            /* `asked` are the joined ones */
        bool came;              /* a message, since the last tick */
        unsigned quiet_s, listened_s;
        bool is_new;     /* what comes was published after this link was accepted */
        bool no_ids;     /* the broker has no identifiers, whatever it says */
        bool told_wide;  /* that more comes than is wanted */
        bool subscribed; /* the session at the broker has all of `asked`, as far as anybody knows */
};

void mqtt_session_init(struct mqtt_session *s, struct driver *d, const struct mqtt_intake *in, const char *scope);
void mqtt_session_fini(struct mqtt_session *s);

/*
 * The session is the one of the driver before; `same`: it asks the same broker
 * as the same client, at the same QoS.
 */
void mqtt_session_inherit(struct mqtt_session *s, const struct mqtt_session *before, bool same);

/* The broker has accepted us; queues what is to be asked of it. */
void mqtt_session_accepted(struct mqtt_session *s, struct mqtt_link *l, bool session_present);
/* How many are refused. */
int mqtt_session_granted(struct mqtt_session *s, struct mqtt_link *l, int mid, int n, const int *granted);
void mqtt_session_unsubscribed(struct mqtt_session *s, int mid);
bool mqtt_session_asks(const struct mqtt_session *s, const char *filter);
/* A message came that nobody asked for (stray.c): what brings it is to end. */
void mqtt_session_stray(struct mqtt_session *s, struct mqtt_link *l, const char *topic, int64_t mono_us);
/* What is refused is asked for once more. */
void mqtt_session_ask_again(struct mqtt_session *s, struct mqtt_link *l);
static inline void mqtt_session_came(struct mqtt_session *s)
{
        s->came = true;
}
/* Once a second while we listen: a broker that does not answer is told. */
void mqtt_session_tick(struct mqtt_session *s);
/* A message came without the identifiers it was asked for with. */
void mqtt_session_lacks_ids(struct mqtt_session *s, struct mqtt_link *l);
/* We asked to be accepted and do not know whether we were. */
void mqtt_session_doubt(struct mqtt_session *s);

#endif
