/*
 * impl: what the two rooms of the mqtt driver share.  mqtt.c: the link's life
 * and the driver's ops; round.c: reading, committing, acknowledging.  Loop
 * thread.
 */
#ifndef MILLRACE_DRIVERS_MQTT_IMPL_H
#define MILLRACE_DRIVERS_MQTT_IMPL_H

#include "drivers/mqtt/ack_delay.h"
#include "drivers/mqtt/deferred.h"
#include "drivers/mqtt/intake.h"
#include "drivers/mqtt/link.h"
#include "drivers/mqtt/mqtt.h"

enum { MQTT_BATCH_MESSAGES = 2000, MQTT_TICK_US = 1000000 };

enum mqtt_phase {
        MQTT_OFF,       /* no link: the host will start us, or pause(false) will */
        MQTT_OPENING,   /* name, TCP, files: off the loop */
        MQTT_ACCEPTING, /* until the CONNACK */
        MQTT_UP,
        MQTT_LEAVING, /* reading is over; DISCONNECT follows the last acknowledgement */
};

struct mqtt {
        struct driver *d;
        enum mqtt_phase phase;
        bool paused, stopping, stopped;
        bool away;                     /* OFF by our own will: back when the pause is over */
        bool committing;               /* asked for, not yet durable */
        bool holding;                  /* it was asked for on this link, whose acknowledgements wait for it */
        bool acking;                   /* durable, and not all acknowledgements are written */
        bool no_room;                  /* more came than may be set aside */
        struct mqtt_deferred deferred; /* refused by the host, and to be handed over again */
        unsigned n_taken;              /* messages since the last tick */
        bool busy;                     /* by the count of the last second */
        unsigned uncommitted;          /* messages handed over since a commit was asked for */
        uint64_t position;             /* of the link: what is held before it may go when the commit is done */
        bool subscribed;               /* this process did, and the session has it */
        struct mqtt_link *link;
        struct mqtt_intake intake;
        struct mqtt_ack_delay ack_delay;
        struct driver_sync sync;
        struct rt_watch watch;
        struct rt_timer hold_timer, nap_timer, tick_timer, limit_timer;
        struct mqtt_url url;
        char client_id[300];
        char scope[80];
        char **filters;
        char **left; /* filters of the driver before this one, which the session at the broker still has */
        int n_left;
};

static inline const struct mqtt_conf *mqtt_conf_of(const struct mqtt *m)
{
        return m->d->conf;
}

/*
 * The link is lost: the host starts us again. By our own will: the session at
 * the broker stays.
 */
void mqtt_lose(struct mqtt *m, const char *why);
void mqtt_go_away(struct mqtt *m, const char *why);
void mqtt_finish_stop(struct mqtt *m);

void mqtt_round_init(struct mqtt *m);
/* For how long acknowledgements are held now. */
int64_t mqtt_ack_delay_us(const struct mqtt *m);
/* Whatever happened: does what can be done now, and watches for what can't. */
void mqtt_turn(struct mqtt *m);
void mqtt_on_message(void *ctx, const struct mqtt_message *msg);

#endif
