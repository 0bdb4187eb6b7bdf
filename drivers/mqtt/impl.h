/*
 * impl: what the two rooms of the mqtt driver share.  mqtt.c: the driver's ops;
 * round.c: the link, and what step.c says is to be done.  Loop thread.
 */
#ifndef MILLRACE_DRIVERS_MQTT_IMPL_H
#define MILLRACE_DRIVERS_MQTT_IMPL_H

#include "agent/base/text.h"
#include "drivers/mqtt/deferred.h"
#include "drivers/mqtt/intake.h"
#include "drivers/mqtt/link.h"
#include "drivers/mqtt/mqtt.h"
#include "drivers/mqtt/session.h"
#include "drivers/mqtt/step.h"

struct mqtt {
        struct driver *d;
        struct mqtt_machine machine;
        struct mqtt_deferred deferred;
        struct mqtt_link *link;
        struct mqtt_intake intake;
        struct mqtt_session session;
        struct driver_sync sync;
        struct rt_watch watch;
        struct rt_timer timer; /* when the machine wants its next turn */
        uint64_t position;     /* of the link: what was collected before it may go when the machine says so */
        bool running;          /* the machine's turn: what is told meanwhile is part of it */
        bool broke;            /* this link's broker has broken the protocol */
        unsigned n_broken;     /* links in a row that ended so */
        int64_t up_us;         /* monotonic, since when this link is up; 0: it is not */
        unsigned n_short;      /* links in a row that were lost soon after the broker had accepted us */
        struct rt_timer hold;  /* until it is over the host's start waits */
        int64_t hold_us;       /* for how long the next one does */
        struct rt_timer again; /* when the broker is asked again for what it refuses */
        bool told_session;     /* that the broker keeps it for less than was asked for */
        int64_t again_us;      /* after how long, the next time */
        struct mqtt_url url;
        char client_id[TEXT_NAME_MAX + 128];
        char scope[TEXT_NAME_MAX + 8];
};

static inline const struct mqtt_conf *mqtt_conf_of(const struct mqtt *m)
{
        return m->d->conf;
}

void mqtt_round_init(struct mqtt *m);
/* Closes the link as it is. */
void mqtt_round_fini(struct mqtt *m);
/*
 * The host wants us to start; a broker that has broken the protocol several
 * times is left alone for longer than the host knows.
 */
void mqtt_round_start(struct mqtt *m);
/*
 * The machine's turn, after something was told to it.  The driver may be gone
 * when it comes back: it tells the host of its end.
 */
void mqtt_round_run(struct mqtt *m);
/* The same, soon: what is told within an upcall of the host. */
void mqtt_round_run_soon(struct mqtt *m);

#endif
