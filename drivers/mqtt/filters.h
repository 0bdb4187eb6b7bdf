/*
 * filters: what a broker is asked for, where subscriptions have topics in
 * common.
 *
 * A filter is a topic pattern as the broker has it, with + for each name.
 * Pure; nothing is allocated after mqtt_filters_init.
 */
#ifndef MILLRACE_DRIVERS_MQTT_FILTERS_H
#define MILLRACE_DRIVERS_MQTT_FILTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mqtt_filter {
        char *text;
        uint64_t hash; /* mqtt_filter_hash */
        uint32_t id;   /* the subscription identifier it is asked for with; 0: none */
};

/*
 * Two ways to ask for the same: with identifiers and without. They differ only
 * where of subscriptions with topics in common none has all of the others'.
 */
struct mqtt_filters {
        struct mqtt_filter *own; /* there all, each with its identifier; else the widest, without one */
        size_t n_own;
        struct mqtt_filter *joined; /* no two of them meet */
        size_t n_joined;
};

/* Of thousands one is found by it; it is also what identifiers are made of. */
uint64_t mqtt_filter_hash(const char *text);

void mqtt_filters_init(struct mqtt_filters *f, char *const *texts, size_t n);
void mqtt_filters_fini(struct mqtt_filters *f);

/* Do they differ? */
static inline bool mqtt_filters_differ(const struct mqtt_filters *f)
{
        return f->n_joined < f->n_own;
}
/* The identifier this one is asked for with; 0: none, or a wider one is. */
uint32_t mqtt_filters_id(const struct mqtt_filters *f, const char *text);
/* Is it one of `own`? */
bool mqtt_filters_own(const struct mqtt_filters *f, const char *text);
/* Does one of `joined` bring this topic? */
bool mqtt_filters_bring(const struct mqtt_filters *f, const char *topic);

/* stray.c: the filters that match a topic; 0: it has too many levels. */
enum { MQTT_STRAY_LEVELS = 8, MQTT_STRAY_BYTES = 500, MQTT_STRAY_ROOM = MQTT_STRAY_LEVELS + 3 };
size_t mqtt_stray_count(const char *topic);
/*
 * One of them; `out` has room for the topic and MQTT_STRAY_ROOM: of an empty
 * level there may be a +.
 */
void mqtt_stray_filter(const char *topic, size_t i, char *out);

/* Is all that `b` matches matched by `a`? */
bool mqtt_filter_covers(const char *a, const char *b);
/* Is there a topic that both match? */
bool mqtt_filter_meets(const char *a, const char *b);
/*
 * Of two that meet: the narrowest that covers both; `out` has room for the
 * longer one and a byte.
 */
void mqtt_filter_join(const char *a, const char *b, char *out);

#endif
