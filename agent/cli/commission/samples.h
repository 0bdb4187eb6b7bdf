/*
 * samples: messages that were seen, by topic: what kind their payload is, and
 * which values a JSON text has.  Pure.
 */
#ifndef MILLRACE_CLI_COMMISSION_SAMPLES_H
#define MILLRACE_CLI_COMMISSION_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        SAMPLES_TOPICS_MAX = 2000,
        SAMPLES_LEVELS_MAX = 32,
        SAMPLES_LEAVES_MAX = 64, /* values of one topic's JSON */
        SAMPLES_POINTER_ROOM = 200,
        SAMPLES_KEY_ROOM = 32
};

enum sample_kind { SAMPLE_NUMBER, SAMPLE_TEXT, SAMPLE_JSON, SAMPLE_ARRAY, SAMPLE_RAW, SAMPLE_SPARKPLUG };
enum leaf_type { LEAF_NUMBER, LEAF_BOOL, LEAF_TEXT };
/*
 * TIME_LOCAL: it says no zone, and is what a clock here shows; TIME_UNCLEAR: it
 * is neither, or of no form that is known.
 */
enum leaf_time { TIME_NONE, TIME_UNIX_S, TIME_UNIX_MS, TIME_UNIX_US, TIME_ISO8601, TIME_LOCAL, TIME_UNCLEAR };
/* Of two messages: an old one (retained) does not show what clock it has. */
enum leaf_time samples_time_of_both(enum leaf_time a, enum leaf_time b);

struct leaf {
        char pointer[SAMPLES_POINTER_ROOM]; /* RFC 6901 */
        enum leaf_type type;
        enum leaf_time time; /* what its name and value say */
};

struct sample {
        char *topic; /* as it came */
        char *text;  /* the same, cut into levels */
        const char *level[SAMPLES_LEVELS_MAX];
        size_t n_levels;
        enum sample_kind kind;
        struct leaf *leaves;
        size_t n_leaves;
        bool has_array;                   /* of objects, at `array` */
        char array[SAMPLES_POINTER_ROOM]; /* "": the message itself */
        /* Members of its elements: what names them, their value and time; "": none */
        char id[SAMPLES_KEY_ROOM], value[SAMPLES_KEY_ROOM], at[SAMPLES_KEY_ROOM];
        enum leaf_time at_time;
        uint64_t n_messages;
        const struct samples *all;
};

struct samples {
        struct sample *items;
        size_t n;
        uint64_t n_left_out; /* messages of topics for which there was no room */
        const char *zone;    /* this machine's time zone, or NULL */
        int64_t local_us;    /* what a clock in it shows now */
};

void samples_add(struct samples *s, const char *topic, const void *payload, size_t len);
void samples_fini(struct samples *s);

#endif
