/*
 * sparkplug: messages of Sparkplug B -> readings, and requests for a rebirth.
 *
 * Bytes, topic and time in; readings and what is to be done out.  No I/O.  Loop
 * thread.  Text and raw of the readings, and everything else in the result, are
 * valid until the next call.
 */
#ifndef MILLRACE_DRIVERS_SPARKPLUG_SPARKPLUG_H
#define MILLRACE_DRIVERS_SPARKPLUG_SPARKPLUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/convert.h"
#include "agent/base/reading.h"
#include "agent/base/rt.h"
#include "agent/base/tags.h"

enum {
        SPARKPLUG_TOPIC_MAX = 512,
        SPARKPLUG_PARTS_MAX = 2048,    /* nodes and devices that are remembered */
        SPARKPLUG_METRICS_MAX = 50000, /* of all of them */
        SPARKPLUG_NAME_BYTES = 256,    /* of a metric */
        SPARKPLUG_COMMAND_BYTES = 64,
        SPARKPLUG_ARENA_BYTES = 8 << 20, /* for one unpacked message */
};

struct sparkplug;

/* What one message came to. */
struct sparkplug_result {
        struct reading *r; /* all but `mid` is filled */
        size_t n;
        const char *reason; /* NULL; or all or part of the message can't be read: to the quarantine */
        const char *gap;    /* NULL; or what was missed, in words */
        const char *source; /* NULL; or this node or device is ... */
        const char *state;  /* "up" or "down" */
        const char *why;    /* it is */
        size_t n_absent;    /* values without a reading: alias unknown, datatype not supported */
        size_t n_untagged;  /* values the table of tags had no room for */
        size_t n_mapped;    /* names that had to be changed, once each */
        bool rebirth;       /* publish the command: */
        char command_topic[SPARKPLUG_TOPIC_MAX + 16];
        uint8_t command[SPARKPLUG_COMMAND_BYTES];
        size_t command_len;
};

struct sparkplug *sparkplug_new(struct tags *tags, const char *driver);
void sparkplug_free(struct sparkplug *s);

/*
 * Before the first message: what the values of a metric are, of whichever node
 * or device, whose name makes the tag `tag`; the first said of a tag counts.  A
 * unit of NULL: that of its birth.  Borrows from its arguments.  0 or -1.
 */
int sparkplug_convert(struct sparkplug *s, const char *tag, const char *unit, const struct convert_conf *conf,
                      struct err *e);

void sparkplug_take(struct sparkplug *s, const char *topic, const void *payload, size_t len, const struct rt_time *now,
                    struct sparkplug_result *out);

/*
 * Tags were forgotten: those that are dead, and of which no tag is known any
 * more.
 */
void sparkplug_forgotten(struct sparkplug *s, void (*on_gone)(void *ctx, const char *source), void *ctx);

#endif
