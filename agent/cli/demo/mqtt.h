/*
 * mqtt: a sensor that speaks just enough MQTT 3.1.1 to publish at QoS 1.  One
 * thread; never waits once connected.
 */
#ifndef MILLRACE_CLI_DEMO_MQTT_H
#define MILLRACE_CLI_DEMO_MQTT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"

struct demo_mqtt {
        int fd;
        uint16_t packet_id;
        uint64_t published, ack_bytes;
};

int demo_mqtt_open(struct demo_mqtt *m, const char *host, int port, const char *client_id, struct err *e);
bool demo_mqtt_publish(struct demo_mqtt *m, const char *topic, const char *payload); /* false: not taken */
uint64_t demo_mqtt_acked(struct demo_mqtt *m); /* how many the broker has acknowledged so far */
void demo_mqtt_close(struct demo_mqtt *m);

#endif
