/*
 * conf_link: what binds the sections `modbus:`, `profiles:` and `devices:`, see
 * modbus.h.
 *
 * Fails with a sentence at the field it is about; everything wrong is told in
 * one run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/modbus/plan.h"

struct link {
        struct modbus_conf *buses;
        const struct modbus_profile_conf *profiles;
        size_t n_buses, n_profiles;
        void (*fault)(void *ctx, const void *field, const char *sentence);
        void *ctx;
        const struct modbus_profile_conf *group_fault; /* told once for all of its devices */
};

static void fault_missing(const struct link *l, const char *const *field, const char *section, const char **names,
                          size_t n)
{
        const char *near = text_did_you_mean(*field, names, n);
        char text[320];

        snprintf(text, sizeof(text), "\"%s\" is not in %s; allowed: a name from there%s%s%s", *field, section,
                 near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
        l->fault(l->ctx, field, text);
        free(names);
}

static const struct modbus_profile_conf *find_profile(const struct link *l, const struct modbus_device_conf *d)
{
        const char **names;

        for (size_t i = 0; i < l->n_profiles; i++) {
                if (l->profiles[i].name && strcmp(l->profiles[i].name, d->profile) == 0)
                        return &l->profiles[i];
        }
        names = mem_alloc((l->n_profiles + 1) * sizeof(*names));
        for (size_t i = 0; i < l->n_profiles; i++)
                names[i] = l->profiles[i].name ? l->profiles[i].name : "";
        fault_missing(l, &d->profile, "profiles, nor in the library", names, l->n_profiles);
        return NULL;
}

static struct modbus_conf *find_bus(const struct link *l, const struct modbus_device_conf *d)
{
        const char **names;

        for (size_t i = 0; i < l->n_buses; i++) {
                if (l->buses[i].name && strcmp(l->buses[i].name, d->bus) == 0)
                        return &l->buses[i];
        }
        names = mem_alloc((l->n_buses + 1) * sizeof(*names));
        for (size_t i = 0; i < l->n_buses; i++)
                names[i] = l->buses[i].name ? l->buses[i].name : "";
        fault_missing(l, &d->bus, "modbus", names, l->n_buses);
        return NULL;
}

/* ---- groups ---- */

static void fault_group(const struct link *l, const struct modbus_register_conf *r, unsigned span, int64_t most)
{
        char text[320];

        snprintf(text, sizeof(text),
                 "group \"%s\" is %u registers long, and a request to this device has at most %lld (max_registers); "
                 "allowed: fewer, or no group",
                 r->group, span, (long long)most);
        l->fault(l->ctx, &r->group, text);
}

/* Can all of the group that r[i] begins be one request? false: told. */
static bool group_fits(const struct link *l, const struct modbus_conf *bus, const struct modbus_device_conf *d,
                       const struct modbus_register_conf *r, size_t i, size_t n)
{
        unsigned first = r[i].address, end = 0, bits = r[i].table <= MODBUS_DISCRETE;
        int64_t most = bits ? MODBUS_BITS_MAX : modbus_max_registers(bus, d);

        for (size_t j = i; j < n; j++) {
                unsigned low, high;

                if (!r[j].group || strcmp(r[j].group, r[i].group) != 0)
                        continue;
                if (r[j].table != r[i].table || r[j].period_us != r[i].period_us) {
                        l->fault(l->ctx, &r[j].group,
                                 "registers of a group are read in one request; allowed: one table and one period");
                        return false;
                }
                modbus_extent(&r[j], &low, &high);
                first = low < first ? low : first;
                end = high > end ? high : end;
        }
        if (end - first > most)
                fault_group(l, &r[i], end - first, most);
        return end - first <= most;
}

static void check_groups(struct link *l, const struct modbus_conf *bus, const struct modbus_device_conf *d)
{
        const struct modbus_register_conf *r = d->map->registers.items;

        for (size_t i = 0; i < d->map->registers.n && l->group_fault != d->map; i++) {
                if (r[i].group && !group_fits(l, bus, d, r, i, d->map->registers.n))
                        l->group_fault = d->map;
        }
}

/* ---- devices ---- */

/* On a serial line the unit is all that tells late answers of others apart. */
static void check_accept(const struct link *l, const struct modbus_conf *bus)
{
        if (modbus_framing_of(bus) != MODBUS_TCP && bus->accept_unit == MODBUS_ANY_UNIT && bus->devices &&
            bus->devices->next)
                l->fault(l->ctx, &bus->accept_unit,
                         "any, on a line with several devices: a late answer of one would be taken for another's; "
                         "allowed: same");
}

static void check_unit(const struct link *l, const struct modbus_conf *bus, const struct modbus_device_conf *d)
{
        if (modbus_framing_of(bus) != MODBUS_TCP && (d->unit < 1 || d->unit > 247))
                l->fault(l->ctx, &d->unit,
                         "a slave on a serial line has a unit from 1 to 247 (0 is for all at once, nobody answers)");
}

void modbus_link(struct modbus_conf *buses, size_t n_buses, const struct modbus_profile_conf *profiles,
                 size_t n_profiles, struct modbus_device_conf *devices, size_t n_devices,
                 void (*on_fault)(void *ctx, const void *field, const char *sentence), void *ctx)
{
        struct link l = {buses, profiles, n_buses, n_profiles, on_fault, ctx, NULL};

        for (size_t i = n_devices; i-- > 0;) {
                struct modbus_conf *bus = devices[i].bus ? find_bus(&l, &devices[i]) : NULL;

                devices[i].map = devices[i].profile ? find_profile(&l, &devices[i]) : NULL;
                if (!bus || !bus->port || !devices[i].map || !devices[i].source)
                        continue;
                check_unit(&l, bus, &devices[i]);
                check_groups(&l, bus, &devices[i]);
                devices[i].next = bus->devices;
                bus->devices = &devices[i];
        }
        for (size_t i = 0; i < n_buses; i++)
                if (buses[i].port)
                        check_accept(&l, &buses[i]);
}

void modbus_names(const void *conf, struct driver_names *to)
{
        const struct modbus_conf *bus = conf;
        char name[MODBUS_NAME_MAX];

        for (const struct modbus_device_conf *d = bus->devices; d; d = d->next) {
                const struct modbus_register_conf *r = d->map->registers.items;

                for (size_t i = 0; i < d->map->registers.n; i++) {
                        to->period_us = modbus_period_us(d, &r[i]);
                        for (unsigned k = 0; k < modbus_tags_of(&r[i]); k++)
                                to->each(to, d->source, modbus_tag_name(&r[i], k, name), &d->source);
                }
        }
}
