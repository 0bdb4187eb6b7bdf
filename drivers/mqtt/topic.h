/*
 * topic: topic patterns with names, and what a topic says about a reading.
 *
 * factory/{line}/{source}/{tag} matches like factory/+/+/+; {source} and {tag}
 * fill the reading, any other name becomes a label.  Pure; loop thread.  A
 * pattern owns a copy of its text.
 */
#ifndef MILLRACE_DRIVERS_MQTT_TOPIC_H
#define MILLRACE_DRIVERS_MQTT_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/tags.h"
#include "agent/base/text.h"

enum {
        MQTT_LEVELS_MAX = 32,
        MQTT_LABELS_MAX = 16,
        MQTT_LABELS_BYTES = MQTT_LABELS_MAX * (2 * TEXT_NAME_MAX + 6) + 1,
        MQTT_CACHED_TOPIC_MAX = 512, /* longer topics are worked out each time */
};

struct mqtt_level {
        const char *text; /* of the pattern, "" for + and #, the name for {name} */
        enum { MQTT_LEVEL_TEXT, MQTT_LEVEL_ANY, MQTT_LEVEL_NAME, MQTT_LEVEL_REST } kind;
};

struct mqtt_pattern {
        char *text;   /* the levels point into it */
        char *filter; /* what is subscribed: {name} written as + */
        struct mqtt_level level[MQTT_LEVELS_MAX];
        int n_levels;
        int source_level, tag_level; /* -1: the topic does not tell */
        int n_names;                 /* levels that fill a name; 0: the topic tells none */
};

/* 0, or -1 with what is wrong with the pattern. */
int mqtt_pattern_init(struct mqtt_pattern *p, const char *pattern, struct err *e);
void mqtt_pattern_fini(struct mqtt_pattern *p);

/* What a topic says; names are mapped to what names may be. */
struct mqtt_match {
        char source[TEXT_NAME_MAX + 1], tag[TEXT_NAME_MAX + 1]; /* "" when the pattern does not tell */
        char labels[MQTT_LABELS_BYTES];
        unsigned n_mapped;                    /* names that had to be changed */
        uint64_t mapped[MQTT_LABELS_MAX + 2]; /* hashes of what they were */
};
bool mqtt_pattern_match(const struct mqtt_pattern *p, const char *topic, struct mqtt_match *m);

/* The record has a member of that name already. */
bool mqtt_label_is_taken(const char *name);

/* How many of the match's changed names are new. */
struct changed_names;
unsigned mqtt_mapped_add(struct changed_names *changed, const struct mqtt_match *match);

/*
 * Known topics: one lookup gives the subscription and the tags of its readings.
 * Bounded; a topic that found no room is worked out each time.
 */
struct mqtt_topics;

enum { MQTT_NO_TAG = UINT32_MAX };

struct mqtt_route {
        struct mqtt_route *next; /* of another subscription that the topic is of as well */
        uint16_t sub;
        uint16_t n_tags;
        bool is_scratch; /* not in the table */
        uint32_t tags[]; /* one for each value of the subscription; MQTT_NO_TAG until it is first seen */
};

struct mqtt_topics *mqtt_topics_new(size_t most);
void mqtt_topics_free(struct mqtt_topics *t);
/* NULL when it is not known. The route lives as long as the table. */
struct mqtt_route *mqtt_topics_find(const struct mqtt_topics *t, const char *topic, size_t len);
/* A route without tags; NULL when there is no room. The topic must be new. */
struct mqtt_route *mqtt_topics_add(struct mqtt_topics *t, const char *topic, size_t len, uint16_t sub, uint16_t n_tags);
/* A further one of the same topic, behind `last`. */
struct mqtt_route *mqtt_route_add(struct mqtt_route *last, uint16_t sub, uint16_t n_tags);
/* One of its own, freed by free(): for topics the table has no room for. */
struct mqtt_route *mqtt_route_new(uint16_t sub, uint16_t n_tags);

#endif
