/*
 * publisher: a connection to a broker that only publishes retained messages at
 * QoS 1, kept up by itself.
 *
 * Why not the driver's own: there everything waits behind the acknowledgements
 * of readings, which wait for the disk; an alarm must not.  Loop thread; `conf`
 * (of an mqtt item) outlives it.
 */
#ifndef MILLRACE_DRIVERS_MQTT_PUBLISHER_H
#define MILLRACE_DRIVERS_MQTT_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/rt.h"
#include "drivers/mqtt/mqtt.h"

struct mqtt_publisher;

struct mqtt_publisher_conf {
        const struct mqtt_conf *mqtt;
        const char *gateway;
        const char *suffix; /* of the client id, behind the item's: two clients may not have the same */
        /* The broker has accepted us: what it may have missed can be sent now. */
        void (*on_up)(void *ctx);
        /* What the broker had kept under the filter of mqtt_publisher_look; NULL with it unused. */
        void (*on_retained)(void *ctx, const char *topic, const void *payload, size_t len);
        void *ctx;
};

/*
 * NULL with a sentence when the address makes no sense. Connects once started.
 */
struct mqtt_publisher *mqtt_publisher_new(struct rt *rt, const struct mqtt_publisher_conf *conf, struct err *e);
void mqtt_publisher_start(struct mqtt_publisher *p);
void mqtt_publisher_free(struct mqtt_publisher *p); /* says goodbye; does not wait */

bool mqtt_publisher_is_up(const struct mqtt_publisher *p);

/*
 * Written in the next turn of the loop. 0, or -1: not connected, or it can't
 * be.
 */
int mqtt_publisher_send(struct mqtt_publisher *p, const char *topic, const void *payload, size_t len, bool retain);

/*
 * Asks the broker for the retained messages under `filter`; for as long as this
 * connection lasts. Again is fine: they come again.  When up.
 */
void mqtt_publisher_look(struct mqtt_publisher *p, const char *filter);

#endif
