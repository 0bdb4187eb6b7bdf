/*
 * notifiers: who is told of alarms, as configured: the log, a program, an MQTT
 * broker.  Loop thread.
 */
#ifndef MILLRACE_ALARMS_NOTIFIERS_H
#define MILLRACE_ALARMS_NOTIFIERS_H

#include "agent/alarms/notify_exec.h"
#include "agent/alarms/notify_mqtt.h"
#include "agent/config/config.h"

struct notifiers {
        struct alarm_notifier journal;
        struct notify_exec *exec; /* NULL: never configured; what it runs is not cut short by a change */
        bool has_exec;
        struct notify_mqtt *mqtt;
        const struct config *mqtt_from; /* whose texts the connection uses */
};

/* Zeroed before. 0, or -1 with a sentence; notifiers_close in either case. */
int notifiers_open(struct notifiers *n, struct rt *rt, const struct config *conf, struct alarms *alarms, struct err *e);
void notifiers_start(struct notifiers *n);
/*
 * A new configuration while it runs. `mqtt_moved`: the connection is another
 * one; else it is left alone and goes on using what it was made from. 0, or -1
 * with a sentence: no retained messages.
 */
int notifiers_reconfigure(struct notifiers *n, struct rt *rt, const struct config *conf, bool mqtt_moved,
                          struct alarms *alarms, struct err *e);
void notifiers_close(struct notifiers *n);

#endif
