/*
 * plan: see plan.h.
 *
 * A driver is its kind and its name: an item of another name is another driver,
 * though all else be equal.  Of a Modbus bus the devices that hang on it count,
 * in their order, each with the profile it names; a profile nobody uses changes
 * nothing.
 *
 * Cannot fail.  When in doubt two things differ: that costs one driver a new
 * connection.
 */
#include "agent/reload/plan.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/config/equal.h"
#include "agent/rules/rules_conf.h"
#include "drivers/modbus/modbus.h"
#include "drivers/mqtt/mqtt.h"

/* ---- drivers ---- */

static bool same_bus(const struct modbus_conf *a, const struct modbus_conf *b)
{
        const struct modbus_device_conf *x = a->devices, *y = b->devices;

        while (x && y && config_same(&modbus_device_schema, x, y) &&
               config_same(&modbus_profile_schema, x->map, y->map)) {
                x = x->next;
                y = y->next;
        }
        return !x && !y;
}

static bool same_driver(const struct config_driver *a, const struct config_driver *b)
{
        if (a->ops->schema && !config_same(a->ops->schema, a->conf, b->conf))
                return false;
        return a->ops != &modbus_ops || same_bus(a->conf, b->conf);
}

static int find(const struct config *c, const struct config_driver *d)
{
        for (size_t i = 0; i < c->n_drivers; i++) {
                if (c->drivers[i].ops == d->ops && strcmp(c->drivers[i].name, d->name) == 0)
                        return (int)i;
        }
        return RELOAD_NONE;
}

static void plan_drivers(struct reload_plan *p, const struct config *was, const struct config *is)
{
        p->drivers = mem_alloc((was->n_drivers + is->n_drivers + 1) * sizeof(*p->drivers));
        for (size_t i = 0; i < is->n_drivers; i++) {
                struct reload_driver *d = &p->drivers[p->n_drivers++];

                *d = (struct reload_driver){.was = find(was, &is->drivers[i]), .is = (int)i};
                d->changed = d->was >= 0 && !same_driver(&was->drivers[d->was], &is->drivers[i]);
                p->n_added += d->was < 0;
                p->n_changed += d->changed;
                p->n_kept += d->was >= 0 && !d->changed;
        }
        for (size_t i = 0; i < was->n_drivers; i++) {
                if (find(is, &was->drivers[i]) >= 0)
                        continue;
                p->drivers[p->n_drivers++] = (struct reload_driver){.was = (int)i, .is = RELOAD_NONE};
                p->n_removed++;
        }
}

/* ---- the other sections ---- */

static void plan_rules(struct reload_plan *p, const struct schema_list *was, const struct schema_list *is)
{
        const struct rule_conf *a = was->items, *b = is->items;
        bool *taken = mem_alloc(is->n + 1);

        p->same_rules = mem_alloc((was->n + 1) * sizeof(*p->same_rules));
        for (size_t i = 0; i < was->n; i++) {
                for (size_t k = 0; k < is->n && !p->same_rules[i]; k++) {
                        if (taken[k] || !config_same(&rules_schema, &a[i], &b[k]))
                                continue;
                        taken[k] = true;
                        p->same_rules[i] = (uint32_t)k + 1;
                }
        }
        free(taken);
}

static const struct mqtt_conf *connection_of(const struct config *c)
{
        const char *name = c->alarm_sections.notify.mqtt.connection;

        for (size_t i = 0; name && i < c->n_drivers; i++) {
                if (c->drivers[i].ops == &mqtt_ops && strcmp(c->drivers[i].name, name) == 0)
                        return c->drivers[i].conf;
        }
        return NULL;
}

static bool same_connection(const struct config *was, const struct config *is)
{
        const struct mqtt_conf *a = connection_of(was), *b = connection_of(is);

        return a && b ? config_same(&mqtt_schema, a, b) : a == b;
}

static void plan_sections(struct reload_plan *p, const struct config *was, const struct config *is)
{
        size_t n = 0;

        for (const struct schema_key *k = config_schema()->keys; k->name; k++) {
                if (!config_same_key(k, was, is) && n + 1 < sizeof(p->sections) / sizeof(*p->sections))
                        p->sections[n++] = k->name;
        }
}

void reload_plan(struct reload_plan *p, const struct config *was, const struct config *is)
{
        *p = (struct reload_plan){.metrics = !config_same(&metrics_schema, &was->metrics, &is->metrics),
                                  .notify_mqtt = !same_connection(was, is),
                                  .when_full = was->spool.when_full != is->spool.when_full};
        plan_drivers(p, was, is);
        plan_rules(p, &was->alarm_sections.alarms, &is->alarm_sections.alarms);
        plan_sections(p, was, is);
}

void reload_plan_fini(struct reload_plan *p)
{
        free(p->drivers);
        free(p->same_rules);
}

/* ---- what needs a restart ---- */

static bool hold_text(struct config *is, const char **field, const char *was)
{
        if (strcmp(*field, was) == 0)
                return false;
        *field = arena_text(&is->arena, was, strlen(was));
        return true;
}

static const char *or_none(const char *text)
{
        return text ? text : "";
}

size_t reload_hold_back(struct config *is, const struct config *was, const char *keys[RELOAD_KEYS_MAX])
{
        size_t n = 0;

        if (hold_text(is, &is->gateway, was->gateway))
                keys[n++] = "gateway";
        /* the socket lies beside the spool when nothing else is said: one change, told once */
        if (hold_text(is, &is->spool.path, was->spool.path))
                keys[n++] = "spool.path";
        if (hold_text(is, &is->control_socket, was->control_socket) && (is->control.socket || was->control.socket))
                keys[n++] = "control.socket";
        is->control.socket = was->control.socket ? is->control_socket : NULL;
        if (is->kafka.window_records != was->kafka.window_records) {
                is->kafka.window_records = was->kafka.window_records;
                keys[n++] = "kafka.window_records";
        }
        if (is->kafka.seal != was->kafka.seal) {
                is->kafka.seal = was->kafka.seal;
                keys[n++] = "kafka.seal";
        }
        if (strcmp(or_none(is->kafka.sign_key), or_none(was->kafka.sign_key)) != 0) {
                is->kafka.sign_key = was->kafka.sign_key
                                             ? arena_text(&is->arena, was->kafka.sign_key, strlen(was->kafka.sign_key))
                                             : NULL;
                keys[n++] = "kafka.sign_key";
        }
        if (is->kafka.delivery != was->kafka.delivery) {
                is->kafka.delivery = was->kafka.delivery;
                keys[n++] = "kafka.delivery";
        }
        return n;
}
