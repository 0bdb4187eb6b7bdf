/*
 * notifiers: who is told of alarms, as configured: the log, a program, an MQTT broker.  Loop thread.
 */
#ifndef MILLRACE_AGENT_NOTIFIERS_H
#define MILLRACE_AGENT_NOTIFIERS_H

#include "agent/config.h"
#include "agent/notify_exec.h"
#include "agent/notify_mqtt.h"

struct notifiers {
        struct alarm_notifier journal;
        struct notify_exec *exec; /* NULL: not configured */
        struct notify_mqtt *mqtt;
};

/* Zeroed before. 0, or -1 with a sentence; notifiers_close in either case. */
int notifiers_open(struct notifiers *n, struct rt *rt, const struct config *conf, struct alarms *alarms, struct err *e);
void notifiers_start(struct notifiers *n);
void notifiers_close(struct notifiers *n);

#endif
