/*
 * parts: the edge nodes and devices we have heard of, found by "group/edge" or
 * "group/edge/device".
 *
 * Pure.  A part lives as long as the table.  Bounded.
 */
#ifndef MILLRACE_DRIVERS_SPARKPLUG_PARTS_H
#define MILLRACE_DRIVERS_SPARKPLUG_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/backoff.h"
#include "agent/base/text.h"
#include "drivers/sparkplug/birth.h"
#include "drivers/sparkplug/sparkplug.h"

enum { SPARKPLUG_LABELS_BYTES = 2 * TEXT_NAME_MAX + 32 };

struct sparkplug_part {
        char *key;
        size_t key_len, group_len;   /* the group is the beginning of the key */
        uint32_t no;                 /* from 1 */
        struct sparkplug_part *node; /* itself for a node */
        char source[TEXT_NAME_MAX + 1];
        char labels[SPARKPLUG_LABELS_BYTES];
        struct sparkplug_birth birth;
        bool born; /* data can be read */
        bool bad;  /* its tags have been told as not connected */
        bool told_unsupported;

        /* of a node */
        int seq;       /* of its last message, -1: not known */
        bool doubtful; /* something was missed since the birth: aliases may have been given anew */
        bool wanted;   /* a birth of it is */
        bool has_bd_seq;
        uint64_t bd_seq; /* of the birth: a death with another is of an earlier session */
        struct backoff backoff;
        int64_t next_request_us; /* monotonic */
};

struct sparkplug_parts {
        struct sparkplug_part **part;
        size_t n, cap;
        uint16_t slot[2 * SPARKPLUG_PARTS_MAX]; /* no of the part; 0: free */
};

/* A topic, taken apart; the levels point into it. */
struct sparkplug_address {
        const char *group, *edge, *device; /* device: "" for a node */
        size_t group_len, edge_len, device_len;
};

/* Found or made; NULL: no room. */
struct sparkplug_part *sparkplug_parts_get(struct sparkplug_parts *t, const struct sparkplug_address *a,
                                           size_t *n_mapped);
void sparkplug_parts_fini(struct sparkplug_parts *t);

#endif
