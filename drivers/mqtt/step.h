/*
 * step: when to read, when to commit, when to acknowledge, when to leave the
 * broker.  Pure, as the machine it looks at.
 *
 * The caller's circle: tell the machine what happened, begin a turn, ask
 * mqtt_step and do what it says until it says WAIT or TELL, and come back when
 * the time it named is reached or the socket is as it asked for.  What is done
 * is told to the machine; what has nothing to tell is done when it is asked
 * for.
 */
#ifndef MILLRACE_DRIVERS_MQTT_STEP_H
#define MILLRACE_DRIVERS_MQTT_STEP_H

#include "drivers/mqtt/machine.h"

enum mqtt_action {
        MQTT_WAIT,    /* until `until_us`, or the socket */
        MQTT_OPEN,    /* a link; then mqtt_machine_opened */
        MQTT_WRITE,   /* all that waits: we are not accepted, nothing is held */
        MQTT_READ,    /* while mqtt_machine_may_read, at most MQTT_READS; then mqtt_machine_read */
        MQTT_TAKE,    /* what is deferred, in order, until one is refused or none is left */
        MQTT_COLLECT, /* what the library would write is held */
        MQTT_SYNC,    /* ask the host for a commit; mqtt_machine_durable when it is done */
        MQTT_RELEASE, /* write what is held, up to where was collected; then mqtt_machine_released */
        MQTT_TICK,    /* the library's keepalive */
        MQTT_CLOSE,   /* the link, and drop what is deferred: `why`, after a DISCONNECT if `goodbye` */
        MQTT_TELL     /* the host that we have stopped; the machine is done */
};

enum { MQTT_READS = 256 /* then others have the loop */ };

struct mqtt_next {
        int64_t until_us; /* INT64_MAX: only the socket, or something told, matters */
        bool read, write; /* watch the socket for this */
        enum mqtt_end why;
        bool goodbye;
        bool down;       /* the host is to start us again */
        bool in_doubt;   /* whether the broker had accepted us */
        unsigned n_lost; /* messages that will be sent again */
};

/*
 * `wants_write`: the library has something in its queue; false without an open
 * link.
 */
enum mqtt_action mqtt_step(struct mqtt_machine *m, int64_t now_us, bool wants_write, struct mqtt_next *out);

#endif
