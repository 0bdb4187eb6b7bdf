/*
 * ack_delay: for how long acknowledgements are held, so that one commit covers
 * many messages.
 *
 * Pure: times are arguments (monotonic).  Held at least `least_us` from the
 * first message that waits, and as long as few wait at most `most_us`: what a
 * commit costs on flash does not depend on how many it covers.  Less when the
 * broker has sent all it may (its in-flight window), which is learned from its
 * falling silent.
 */
#ifndef MILLRACE_DRIVERS_MQTT_ACK_DELAY_H
#define MILLRACE_DRIVERS_MQTT_ACK_DELAY_H

#include <stdbool.h>
#include <stdint.h>

enum { MQTT_ACKS_ENOUGH = 250 }; /* so many pay for a commit: about eight pages */

struct mqtt_ack_pace {
        int64_t least_us, most_us;
};

struct mqtt_ack_delay {
        struct mqtt_ack_pace pace;
        uint32_t batch;     /* so many are enough at any time */
        uint32_t pending;   /* received since the last commit was asked for */
        uint32_t under_way; /* of the commit that is asked for */
        int64_t first_us;   /* when the first pending one came */
        int64_t last_us;    /* when the last one came */
        int64_t done_us;    /* when the last acknowledgements went out */
        uint32_t window;    /* the broker's window as we believe it; 0: none */
        uint32_t stalled;   /* pending of the last delay that ended in silence */
        uint32_t n_stalls;  /* so many such delays running, with the same number */
        uint32_t n_silent;  /* with any number */
        uint32_t n_needed;  /* so many make us believe it */
        bool quick;         /* the first pending one came soon behind our acknowledgements */
        bool silent;        /* the commit under way: its delay ended in silence */
        bool early;         /* the commit under way: made because of the window */
};

void mqtt_ack_delay_init(struct mqtt_ack_delay *a, const struct mqtt_ack_pace *pace, uint32_t batch);

/* A message that is to be acknowledged has come. */
void mqtt_ack_delay_add(struct mqtt_ack_delay *a, int64_t now_us);

/*
 * Commit now?  `dry`: nothing more can be read at the moment.  When not, ask
 * again after *wait_us (-1: nothing waits) or when more has been read.
 */
bool mqtt_ack_delay_due(struct mqtt_ack_delay *a, int64_t now_us, bool dry, int64_t *wait_us);

/* Others' commit begins, and ours with it. False: nothing is pending. */
bool mqtt_ack_delay_join(struct mqtt_ack_delay *a, int64_t now_us, bool dry);

/* A commit of what is pending is asked for. */
void mqtt_ack_delay_commit(struct mqtt_ack_delay *a);

/*
 * It is durable; `more`: what the broker has sent meanwhile, though it had no
 * acknowledgement, has not all been read.
 */
void mqtt_ack_delay_done(struct mqtt_ack_delay *a, int64_t now_us, bool more);

#endif
