/*
 * trial: sources of a configuration, read for a while without spool and Kafka:
 * the daemon's own drivers on a small host.  What they give is kept as the last
 * reading of each tag.
 *
 * Nobody else is disturbed: an MQTT item has a client id of its own, asks at
 * QoS 0 and leaves no session behind; a serial port that somebody has open is
 * not opened.  Blocking, for the tool; single thread.
 */
#ifndef MILLRACE_CLI_TRIAL_H
#define MILLRACE_CLI_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reading.h"
#include "agent/config/config.h"

enum { TRIAL_VALUE_MAX = 120 };

/* A tag that was heard, or that the configuration names and was not. */
struct trial_tag {
        const char *source, *name, *unit, *labels;
        uint64_t n, n_bad; /* readings; n 0: none came */
        int64_t ts_us;
        uint16_t type, quality;
        char value[TRIAL_VALUE_MAX]; /* "": none */
};

struct trial_item {
        const char *kind, *name;
        bool connected;          /* at the end, or once if it can't be said */
        char why[200];           /* what stands against it; "": nothing */
        uint64_t n, n_malformed; /* readings; messages that could not be decoded */
        size_t n_tags, n_good;   /* of them those whose last reading is not bad */
        size_t n_silent;         /* named, and nothing came */
};

struct trial;

/* Items that `wants` says yes to. */
struct trial *trial_new(const struct config *c, bool (*wants)(void *ctx, const struct config_driver *d), void *ctx);
/*
 * Reads for `span_us`, or until `stop` says so.  `once`: until each item has
 * given what its configuration names, or can't be had.
 */
void trial_run(struct trial *t, int64_t span_us, bool once, bool (*stop)(void));
size_t trial_items(const struct trial *t, const struct trial_item **items);
/* The tags of an item, in order of their names. */
void trial_tags(const struct trial *t, const struct trial_item *item,
                void (*each)(void *ctx, const struct trial_tag *tag), void *ctx);
void trial_free(struct trial *t);

#endif
