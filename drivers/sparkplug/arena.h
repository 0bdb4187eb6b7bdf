/*
 * arena: memory for one unpacked message, given back as a whole.
 *
 * Loop thread.  What protobuf-c asks for is cut from chunks; nothing is freed
 * alone.  Bounded: a message that wants more than `most` bytes gets NULL,
 * `full` says so, and protobuf-c gives up the message.
 */
#ifndef MILLRACE_DRIVERS_SPARKPLUG_ARENA_H
#define MILLRACE_DRIVERS_SPARKPLUG_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

struct sparkplug_chunk;

struct sparkplug_arena {
        ProtobufCAllocator allocator;   /* to be handed to protobuf-c */
        struct sparkplug_chunk *chunks; /* the one in use first */
        size_t total, most;
        bool full;
};

void sparkplug_arena_init(struct sparkplug_arena *a, size_t most_bytes);
void sparkplug_arena_reset(struct sparkplug_arena *a);
void sparkplug_arena_fini(struct sparkplug_arena *a);

#endif
