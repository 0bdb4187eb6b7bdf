/*
 * deferred: messages the host had no room for, in the order they came, until it
 * has.
 *
 * Several, for one read may bring several: a TLS record is handed over whole.
 * Thread: loop. Copies, freed when dropped.
 */
#ifndef MILLRACE_DRIVERS_MQTT_DEFERRED_H
#define MILLRACE_DRIVERS_MQTT_DEFERRED_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/list.h"
#include "drivers/mqtt/link.h"

struct mqtt_deferred {
        struct list waiting;
        size_t n_bytes;
};

/*
 * The first message always fits; more only while all together are below this: a
 * TLS record and its copies' heads.
 */
enum { MQTT_DEFERRED_BYTES_MAX = 256 * 1024 };

void mqtt_deferred_init(struct mqtt_deferred *q);
static inline bool mqtt_deferred_empty(const struct mqtt_deferred *q)
{
        return list_empty(&q->waiting);
}
/* False: too much is waiting already. */
bool mqtt_deferred_add(struct mqtt_deferred *q, const struct mqtt_message *msg);
/* NULL: none. Borrowed until it is dropped. */
const struct mqtt_message *mqtt_deferred_first(const struct mqtt_deferred *q);
void mqtt_deferred_drop_first(struct mqtt_deferred *q);

#endif
