/*
 * filter_rows: how many filters stand to each other.  Pure.
 */
#ifndef MILLRACE_DRIVERS_MQTT_FILTER_ROWS_H
#define MILLRACE_DRIVERS_MQTT_FILTER_ROWS_H

#include <stdbool.h>
#include <stddef.h>

struct filter_relation {
        bool covered; /* another one brings all of its messages; of equal ones the first does */
        bool again;   /* one before it is the same */
        size_t group; /* of those that meet, or are led to each other by others that do: the first */
};

/* One for each of `texts`, in their order; the caller's to free. */
struct filter_relation *mqtt_filter_relations(char *const *texts, size_t n);

#endif
