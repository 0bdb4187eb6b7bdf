/*
 * requeue: sends dead letters and delivered rows that are still kept once more,
 * for an operator.
 *
 * One job at a time.  The file is read off the loop, a slice at a time; a slice
 * is sent, and all its reports are in before the next one is read.  Loop
 * thread.
 */
#ifndef MILLRACE_CONTROL_REQUEUE_H
#define MILLRACE_CONTROL_REQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/rt.h"
#include "store/spool.h"
#include "uplink/uplink.h"

struct requeue;

struct requeue_status {
        bool running;
        uint64_t found, delivered, refused;
        char last_error[200];
};

struct requeue *requeue_new(struct rt *rt, const char *path, struct spool *spool, struct uplink *uplink);
void requeue_free(struct requeue *r);

/* At the end: what is being read is given up. */
void requeue_stop(struct requeue *r);

/* False: one is running. */
bool requeue_start(struct requeue *r, enum spool_lane lane, uint64_t first_seq, uint64_t last_seq);
void requeue_status(const struct requeue *r, struct requeue_status *out);

/* The uplink's on_again. */
void requeue_report(struct requeue *r, uint32_t token, bool delivered, const char *why);

#endif
