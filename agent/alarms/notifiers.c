/*
 * notifiers: see notifiers.h.
 *
 * The log line has its fields as key=value, so that `journalctl -u millraced |
 * grep event_id=…` finds all of one alarm. Fails only at start, with the
 * sentence of the part that can't be had.
 */
#include "agent/alarms/notifiers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "drivers/mqtt/mqtt.h"

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
        log_line(level, "alarm", "%s%s%.*s %s %s: %s%s%s severity=%d event_id=%s", t->row.source,
                 *t->row.tag ? "/" : "", (int)strcspn(t->row.tag, notice->only ? "{" : ""), t->row.tag, t->row.rule,
                 t->row.limit_kind, alarm_change_name(t->change), value, limit, t->row.severity, t->row.event_id);
}

static const struct mqtt_conf *find_connection(const struct config *conf, const char *name)
{
        for (size_t i = 0; i < conf->n_drivers; i++) {
                if (conf->drivers[i].ops == &mqtt_ops && strcmp(conf->drivers[i].name, name) == 0)
                        return conf->drivers[i].conf;
        }
        return NULL;
}

static int open_mqtt(struct notifiers *n, struct rt *rt, const struct config *conf, struct alarms *alarms,
                     struct err *e)
{
        const char *name = conf->alarm_sections.notify.mqtt.connection;

        if (!name)
                return 0;
        n->mqtt = notify_mqtt_new(rt, find_connection(conf, name), conf->gateway, alarms, e);
        n->mqtt_from = conf;
        return n->mqtt ? 0 : -1;
}

static void open_exec(struct notifiers *n, struct rt *rt, const struct notify_exec_conf *conf)
{
        n->has_exec = conf->command.n > 0;
        if (!n->has_exec)
                return;
        if (n->exec)
                notify_exec_reconfigure(n->exec, conf);
        else
                n->exec = notify_exec_new(rt, conf);
}

static void add_all(struct notifiers *n, const struct notify_conf *conf, struct alarms *alarms)
{
        n->journal.tell = tell_journal;
        if (conf->journal)
                alarms_add_notifier(alarms, &n->journal);
        if (n->has_exec)
                alarms_add_notifier(alarms, notify_exec_notifier(n->exec));
        if (n->mqtt)
                alarms_add_notifier(alarms, notify_mqtt_notifier(n->mqtt));
}

int notifiers_open(struct notifiers *n, struct rt *rt, const struct config *conf, struct alarms *alarms, struct err *e)
{
        open_exec(n, rt, &conf->alarm_sections.notify.exec);
        if (open_mqtt(n, rt, conf, alarms, e) < 0)
                return -1;
        add_all(n, &conf->alarm_sections.notify, alarms);
        return 0;
}

int notifiers_reconfigure(struct notifiers *n, struct rt *rt, const struct config *conf, bool mqtt_moved,
                          struct alarms *alarms, struct err *e)
{
        int rc = 0;

        alarms_clear_notifiers(alarms);
        open_exec(n, rt, &conf->alarm_sections.notify.exec);
        if (mqtt_moved) {
                notify_mqtt_free(n->mqtt);
                n->mqtt = NULL;
                rc = open_mqtt(n, rt, conf, alarms, e);
                notifiers_start(n);
        }
        add_all(n, &conf->alarm_sections.notify, alarms);
        return rc;
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
