/*
 * txn: where the transaction of a lane stands, with exactly once.  Pure.
 *
 * A lane's records and the mark up to where they go are one transaction.  What
 * the sink tells, and what the lane wants, are steps of one table; what a step
 * says is to be done is the caller's (lane_txn.c).
 *
 *   STARTING --done--> IDLE --record--> OPEN --due--> COMMITTING --done--> IDLE
 *                       ^                 |spoiled        |abortable
 *                       +-----done---- ABORTING <---------+
 *   any --fenced--> FENCED --patience--> STARTING
 *   any --broken--> FATAL  --patience--> STARTING
 *
 * After START it is what Kafka has of the lane that counts; so a commit whose
 * answer was lost needs no guess.
 */
#ifndef MILLRACE_UPLINK_TXN_H
#define MILLRACE_UPLINK_TXN_H

enum txn_state {
        TXN_STARTING, /* an earlier run's is ended, and its mark asked for */
        TXN_IDLE,     /* nothing is in it yet */
        TXN_OPEN,
        TXN_COMMITTING,
        TXN_ABORTING,
        TXN_FENCED, /* another agent has our name */
        TXN_FATAL,  /* the producer can't go on */
        TXN_STATES
};

enum txn_event {
        /* the lane's */
        TXN_RECORD,   /* one was taken */
        TXN_DUE,      /* it is to be committed */
        TXN_SPOILED,  /* a record in it was not delivered */
        TXN_PATIENCE, /* a pause is over */
        /* the sink's, of what it was told to do last; the latter two also by themselves */
        TXN_DONE,
        TXN_AGAIN,     /* neither done nor refused: the same again */
        TXN_ABORTABLE, /* it can only be aborted */
        TXN_TWIN,      /* fenced */
        TXN_BROKEN,
        TXN_EVENTS
};

enum txn_act {
        TXN_NOTHING,
        TXN_START, /* the sink: a producer, rid of what an earlier one left open; then the mark */
        TXN_COMMIT,
        TXN_ABORT,
        TXN_TAKE_MARK, /* go on behind what Kafka has */
        TXN_ACK,       /* Kafka has all that was in it */
        TXN_ROLL_BACK, /* Kafka has none of it: all of it again */
        TXN_PAUSE,     /* a while, then PATIENCE */
        TXN_WAIT,      /* a long while, then PATIENCE */
};

/* Moves *state. */
enum txn_act txn_step(enum txn_state *state, enum txn_event event);

extern const char *const txn_state_names[TXN_STATES];

#endif
