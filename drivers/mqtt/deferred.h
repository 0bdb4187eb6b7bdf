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

struct mqtt_aside {
        struct list waiting;
        size_t n_bytes;
};

/*
 * The first message always fits; more only while all together are below this: a
 * TLS record and its copies' heads.
 */
enum { MQTT_ASIDE_BYTES_MOST = 256 * 1024 };

void mqtt_aside_init(struct mqtt_aside *a);
static inline bool mqtt_aside_empty(const struct mqtt_aside *a)
{
        return list_empty(&a->waiting);
}
/* False: too much is waiting already. */
bool mqtt_aside_add(struct mqtt_aside *a, const struct mqtt_message *msg);
/* NULL: none. Borrowed until it is dropped. */
const struct mqtt_message *mqtt_aside_first(const struct mqtt_aside *a);
void mqtt_aside_drop_first(struct mqtt_aside *a);

#endif
