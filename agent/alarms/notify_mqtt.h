/*
 * notify_mqtt: the state of every alarm as a retained message on a broker, the
 * last one always there.  Loop thread.
 *
 * millrace/<gateway>/alarm/<source>/<tag>/<rule>, with .<limit> behind a rule
 * that has several; the tag is "-" for an alarm of a source as a whole, and has
 * its labels behind it, temp{line=l2}, where several have its name.  Groups in
 * a flood go to millrace/<gateway>/alarm, not retained.
 */
#ifndef MILLRACE_ALARMS_NOTIFY_MQTT_H
#define MILLRACE_ALARMS_NOTIFY_MQTT_H

#include "agent/alarms/alarms.h"
#include "drivers/mqtt/publisher.h"

struct notify_mqtt;

struct notify_mqtt_counts {
        uint64_t published;
        bool up, behind; /* connected; states are still to be told again */
};

struct notify_mqtt *notify_mqtt_new(struct rt *rt, const struct mqtt_conf *conf, const char *gateway,
                                    struct alarms *alarms, struct err *e);
void notify_mqtt_start(struct notify_mqtt *n);
void notify_mqtt_free(struct notify_mqtt *n); /* NULL is fine */
struct alarm_notifier *notify_mqtt_notifier(struct notify_mqtt *n);
void notify_mqtt_counts(const struct notify_mqtt *n, struct notify_mqtt_counts *out);

#endif
