/*
 * machine: where the driver stands with its broker, its disk and its host, and
 * what happened.  What is to be done about it: step.h.
 *
 * A pure state machine; the time is an argument (monotonic).  Nothing is
 * allocated.  One thread.
 */
#ifndef MILLRACE_DRIVERS_MQTT_MACHINE_H
#define MILLRACE_DRIVERS_MQTT_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/mqtt/ack_delay.h"

/* The link, and our own life. */
enum mqtt_state {
        MQTT_DOWN,      /* no link: the host will start us */
        MQTT_AWAY,      /* no link, by our own will: back when no pause keeps us */
        MQTT_OPENING,   /* name, TCP, files: off the loop */
        MQTT_ACCEPTING, /* until the CONNACK */
        MQTT_UP,
        MQTT_LEAVING, /* paused for too long: the last acknowledgements, then DISCONNECT */
        MQTT_ENDING,  /* told to stop: the same */
        MQTT_ENDED,   /* no link; a commit may be under way */
        MQTT_STOPPED,
        MQTT_N_STATES
};

/* The host is asked for one commit at a time. */
enum mqtt_commit {
        MQTT_COMMIT_NONE,
        MQTT_COMMIT_OURS,  /* asked for on this link */
        MQTT_COMMIT_FORMER /* on one that is gone: nothing on this one waits for it but the next */
};

/* The acknowledgements of this link. */
enum mqtt_acks {
        MQTT_ACKS_FREE,  /* none held; those of what is not committed are in the library's queue */
        MQTT_ACKS_HELD,  /* collected, and may go when our commit is durable */
        MQTT_ACKS_GOING, /* may go */
        MQTT_ACKS_FULL,  /* may go, when the socket takes more */
        MQTT_ACKS_STUCK  /* of what is committed, in the library's queue behind that of a deferred message */
};

/* Of one turn. */
enum mqtt_reading { MQTT_READING, MQTT_READ_DRY, MQTT_READ_ENOUGH };

/* Why a link is closed. */
enum mqtt_end {
        MQTT_END_NONE,
        MQTT_END_LOST,       /* the link says why */
        MQTT_END_NO_ANSWER,  /* to the CONNECT */
        MQTT_END_OVERFLOW,   /* more came than may be deferred */
        MQTT_END_PAUSE,      /* paused for too long: goodbye */
        MQTT_END_PAUSE_DISK, /* the same, and the disk does not answer */
        MQTT_END_PAUSE_FULL, /* the same, and the broker does not take its acknowledgements */
        MQTT_END_STOP
};

struct mqtt_machine {
        int64_t keepalive_us;      /* the link's */
        struct mqtt_ack_pace pace; /* taken over when a commit is done */
        enum mqtt_state state;
        enum mqtt_commit commit;
        enum mqtt_acks acks;
        enum mqtt_reading reading;
        enum mqtt_end end; /* why the link is to be closed */
        bool paused;       /* as the host says */
        bool joins;        /* in this turn: others' commit begins, and ours with it */
        bool written;      /* in this turn, before the broker has accepted us */
        bool busy;         /* by the count of the last second */
        unsigned n_second; /* messages since then */
        unsigned n_early;  /* commits since then that the broker's window made */
        uint32_t window;   /* the broker's, while it makes some each second; 0: not */
        unsigned n_deferred;
        uint64_t n_rows, n_bytes; /* handed over since a commit was asked for */
        struct mqtt_ack_delay delay;
        int64_t limit_us; /* of the state; INT64_MAX: none */
        int64_t tick_us;  /* the next look at the keepalive */
        int64_t ack_us;   /* what is pending is committed then; INT64_MAX: nothing is */
};

void mqtt_machine_init(struct mqtt_machine *m, int64_t keepalive_us, const struct mqtt_ack_pace *pace, uint32_t batch);

/*
 * Something has happened, or the time has come: everything is looked at anew.
 */
void mqtt_machine_turn(struct mqtt_machine *m);
/* ---- what the host wants ---- */

void mqtt_machine_start(struct mqtt_machine *m);
void mqtt_machine_pause(struct mqtt_machine *m, int64_t now_us, bool on);
void mqtt_machine_stop(struct mqtt_machine *m, int64_t now_us);
/*
 * `more`: what the broker has sent meanwhile, though it had no acknowledgement,
 * has not all been read.
 */
void mqtt_machine_durable(struct mqtt_machine *m, int64_t now_us, bool more);

/* ---- what the link did ---- */

void mqtt_machine_opened(struct mqtt_machine *m, int64_t now_us);
void mqtt_machine_accepted(struct mqtt_machine *m, int64_t now_us);
void mqtt_machine_lost(struct mqtt_machine *m);
bool mqtt_machine_may_read(const struct mqtt_machine *m);
void mqtt_machine_read(struct mqtt_machine *m, bool dry);
void mqtt_machine_released(struct mqtt_machine *m, bool full);

/* ---- what became of a message ---- */

/* The host has it, or it need not have it. */
void mqtt_machine_took(struct mqtt_machine *m, int64_t now_us, bool wants_ack, uint64_t n_rows, uint64_t n_bytes);
/* The host refused it, or one before it, and paused us. */
void mqtt_machine_deferred(struct mqtt_machine *m);
/* The first of those was taken after all; took is told as well. */
void mqtt_machine_undeferred(struct mqtt_machine *m);
/* It may not even be deferred. */
void mqtt_machine_overflow(struct mqtt_machine *m);

/* ---- for step.c ---- */

/* The state's limit is none then. */
void mqtt_machine_move(struct mqtt_machine *m, enum mqtt_state to);
/* The link is to be closed; the first reason counts. */
void mqtt_machine_give_up(struct mqtt_machine *m, enum mqtt_end why);

enum {
        MQTT_TICK_US = 1000000,
        MQTT_BATCH_ROWS = 4000,
        MQTT_BATCH_BYTES = 1 << 20,
        MQTT_LEAVE_LIMIT_US = 2000000 /* for the last acknowledgements to go out */
};

static inline bool mqtt_machine_batch_full(const struct mqtt_machine *m)
{
        return m->n_rows >= MQTT_BATCH_ROWS || m->n_bytes >= MQTT_BATCH_BYTES;
}

static inline bool mqtt_machine_is_connected(const struct mqtt_machine *m)
{
        return m->state == MQTT_UP || m->state == MQTT_LEAVING || m->state == MQTT_ENDING;
}

static inline bool mqtt_machine_has_link(const struct mqtt_machine *m)
{
        return m->state >= MQTT_OPENING && m->state <= MQTT_ENDING;
}

#endif
