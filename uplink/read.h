/*
 * read: all records of a gateway's topics, for the tool: those of the status
 * topic first, then all others, partitions side by side.  With the `kafka:`
 * section's own login; nothing is committed, nothing is left behind.
 */
#ifndef MILLRACE_UPLINK_READ_H
#define MILLRACE_UPLINK_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"
#include "uplink/uplink.h"

struct kafka_read_record {
        bool is_status;
        const char *value, *identity; /* of a raw payload, else NULL */
        size_t value_len, identity_len;
};

struct kafka_read {
        void (*on_record)(void *ctx, const struct kafka_read_record *r);
        void (*on_progress)(void *ctx, double part); /* may be NULL */
        void *ctx;
};

/*
 * What is there when it begins.  Blocking, as long as that takes; 30 s for a
 * broker that does not answer.  0, or -1 with a sentence.
 */
int kafka_read_all(const struct kafka_conf *conf, const struct kafka_read *on, struct err *e);

#endif
