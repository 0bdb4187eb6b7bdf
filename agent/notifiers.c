/*
 * notifiers: see notifiers.h.
 *
 * The log line has its fields as key=value, so that `journalctl -u millraced | grep event_id=…` finds all of one alarm.
 * Fails only at start, with the sentence of the part that can't be had.
 */
#include "agent/notifiers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "drivers/mqtt.h"

enum { GRAVE = 500 };

static void tell_journal(struct alarm_notifier *n, const struct alarm_notice *notice)
{
        const struct rules_transition *t = notice->t;
        bool grave = notice->severity >= GRAVE && (!t || t->row.active);
        enum log_level level = grave ? LOG_WARN : LOG_NOTICE;
        char value[40] = "", limit[40] = "";

        if (!t) {
                log_line(level, "alarm", "%.*s", (int)notice->len, notice->json);
                return;
        }
        if (isfinite(t->value))
                snprintf(value, sizeof(value), " value=%g", t->value);
        if (isfinite(t->limit))
                snprintf(limit, sizeof(limit), " limit=%g", t->limit);
        log_line(level, "alarm", "%s%s%s %s %s: %s%s%s severity=%d event_id=%s", t->row.source, *t->row.tag ? "/" : "",
                 t->row.tag, t->row.rule, t->row.limit_kind, alarm_change_name(t->change), value, limit,
                 t->row.severity, t->row.event_id);
}

static const struct mqtt_conf *find_connection(const struct config *conf, const char *name)
{
        for (size_t i = 0; i < conf->n_drivers; i++) {
                if (conf->drivers[i].ops == &mqtt_ops && strcmp(conf->drivers[i].name, name) == 0)
                        return conf->drivers[i].conf;
        }
        return NULL;
}

int notifiers_open(struct notifiers *n, struct rt *rt, const struct config *conf, struct alarms *alarms, struct err *e)
{
        const struct floor_notify_conf *c = &conf->floor.notify;

        if (c->journal) {
                n->journal.tell = tell_journal;
                alarms_add_notifier(alarms, &n->journal);
        }
        if (c->exec.command.n) {
                n->exec = notify_exec_new(rt, &c->exec);
                alarms_add_notifier(alarms, notify_exec_notifier(n->exec));
        }
        if (!c->mqtt.connection)
                return 0;
        n->mqtt = notify_mqtt_new(rt, find_connection(conf, c->mqtt.connection), conf->gateway, alarms, e);
        if (!n->mqtt)
                return -1;
        alarms_add_notifier(alarms, notify_mqtt_notifier(n->mqtt));
        return 0;
}

void notifiers_start(struct notifiers *n)
{
        if (n->mqtt)
                notify_mqtt_start(n->mqtt);
}

void notifiers_close(struct notifiers *n)
{
        notify_exec_free(n->exec);
        notify_mqtt_free(n->mqtt);
}
