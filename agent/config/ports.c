/*
 * ports: see ports.h.
 *
 * A serial line has one master, so a port is one item's, whatever its kind; the
 * same holds for a serial server that passes bytes on (rtu+tcp://, ascii+tcp://
 * and lines over TCP).  A Modbus TCP device takes several connections or says
 * no by itself: two items for one are allowed, but told.  Names are compared as
 * they are written, but for /./, // and /../; that two of them are one port
 * only on this machine is told and no fault, since what is plugged in where
 * must not decide whether the agent starts.
 *
 * Cannot fail.
 */
#include "agent/config/ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/err.h"
#include "drivers/mbus/mbus.h"
#include "drivers/modbus/modbus.h"
#include "drivers/modbus/plan.h"
#include "drivers/serial/serial.h"

enum { PLACE_MAX = 512 };

struct use {
        const void *field;
        const char *port;
        char place[PLACE_MAX]; /* the same for the same port */
        bool line;             /* only one may have it */
};

struct uses {
        struct use *v;
        size_t n;
};

/* ---- names of ports ---- */

/* Without empty parts, "." and "..", by the text alone. */
static void tidy_path(char *out, const char *path)
{
        size_t n = 0;

        while (*path) {
                size_t len;

                path += strspn(path, "/");
                len = strcspn(path, "/");
                if (len == 2 && strncmp(path, "..", 2) == 0) {
                        while (n > 0 && out[--n] != '/')
                                ;
                } else if (len > 0 && !(len == 1 && *path == '.') && n + len + 2 < PLACE_MAX) {
                        out[n++] = '/';
                        memcpy(out + n, path, len);
                        n += len;
                }
                path += len;
        }
        out[n] = '\0';
}

static void take(struct uses *u, const char *port, const void *field)
{
        const char *address = strstr(port, "tcp://");
        struct modbus_address a;
        struct use *use;

        u->v = mem_grow(u->v, u->n + 1, sizeof(*u->v));
        use = &u->v[u->n];
        *use = (struct use){.field = field, .port = port, .line = !address || address != port};
        if (!address)
                tidy_path(use->place, port);
        else if (modbus_address_parse(&a, address, 0, NULL) == 0)
                snprintf(use->place, sizeof(use->place), "%s %d", a.host, atoi(a.service));
        else
                return;
        u->n++;
}

/*
 * Each item of a section, `size` bytes, has its port `at` bytes in; a line has
 * one master.
 */
static void take_all(struct walk *w, struct uses *u, const struct schema_list *list, size_t size, size_t at, bool line)
{
        for (size_t i = 0; i < list->n; i++) {
                const char *item = (const char *)list->items + i * size;
                const char *const *port = (const void *)(item + at);
                size_t before = u->n;

                if (!walk_is_right(w, item))
                        continue;
                take(u, *port, port);
                if (u->n > before)
                        u->v[before].line |= line;
        }
}

static struct uses gather(struct walk *w, const struct config *c)
{
        struct uses u = {NULL, 0};

        for (size_t i = 0; drivers_known[i]; i++) {
                if (drivers_known[i] == &modbus_ops)
                        take_all(w, &u, &c->sections[i], sizeof(struct modbus_conf), offsetof(struct modbus_conf, port),
                                 false);
                if (drivers_known[i] == &serial_ops)
                        take_all(w, &u, &c->sections[i], sizeof(struct serial_conf), offsetof(struct serial_conf, port),
                                 true);
                if (drivers_known[i] == &mbus_ops)
                        take_all(w, &u, &c->sections[i], sizeof(struct mbus_conf), offsetof(struct mbus_conf, port),
                                 true);
        }
        return u;
}

/* ---- the checks ---- */

static void tell(struct walk *w, struct config *c, const struct use *first, const struct use *again)
{
        const struct walk_place *at = walk_find(w, first->field), *here = walk_find(w, again->field);

        if (!at || !here)
                return;
        if (first->line || again->line)
                walk_fault(w, again->field, "%s is used by %s in %s:%d already; allowed: one item for a port",
                           again->port, at->path, at->at.file, at->at.line);
        else
                faults_add(&c->notices, &here->at, here->path,
                           "%s has this address too (%s:%d): the device needs room for two connections", at->path,
                           at->at.file, at->at.line);
}

/* A register that both read; NULL: none. */
static const struct modbus_register_conf *overlap(const struct modbus_device_conf *a,
                                                  const struct modbus_device_conf *b)
{
        const struct modbus_register_conf *x = a->map->registers.items, *y = b->map->registers.items;

        for (size_t i = 0; i < a->map->registers.n; i++) {
                for (size_t k = 0; k < b->map->registers.n; k++) {
                        if (x[i].table == y[k].table && modbus_overlap(&x[i], &y[k]))
                                return &y[k];
                }
        }
        return NULL;
}

static void check_slaves(struct walk *w, const struct modbus_conf *bus)
{
        for (const struct modbus_device_conf *b = bus->devices; b; b = b->next) {
                for (const struct modbus_device_conf *a = bus->devices; a != b; a = a->next) {
                        const struct modbus_register_conf *both = a->unit == b->unit ? overlap(a, b) : NULL;

                        if (!both)
                                continue;
                        walk_fault(
                                w, walk_find(w, &b->unit) ? (const void *)&b->unit : (const void *)&b->source,
                                "unit %lld of %s is %s in line %d already, and both read %s; allowed: one device for "
                                "a slave, or others of its registers",
                                (long long)b->unit, bus->name, a->source, a->at.line, both->where);
                        break;
                }
        }
}

void ports_check(struct walk *w, struct config *c)
{
        struct uses u = gather(w, c);

        for (size_t i = 0; i < u.n; i++) {
                size_t k = 0;

                while (k < i && strcasecmp(u.v[k].place, u.v[i].place) != 0)
                        k++;
                if (k < i)
                        tell(w, c, &u.v[k], &u.v[i]);
        }
        free(u.v);
        for (size_t i = 0; drivers_known[i]; i++) {
                for (size_t k = 0; k < c->sections[i].n && drivers_known[i] == &modbus_ops; k++)
                        check_slaves(w, (const struct modbus_conf *)c->sections[i].items + k);
        }
}

void ports_notice(struct walk *w, struct config *c)
{
        struct uses u = gather(w, c);
        char **real = mem_alloc((u.n + 1) * sizeof(*real));

        for (size_t i = 0; i < u.n; i++) {
                const struct walk_place *here = walk_find(w, u.v[i].field);

                real[i] = u.v[i].port[0] == '/' ? realpath(u.v[i].port, NULL) : NULL;
                for (size_t k = 0; k < i && real[i] && here; k++) {
                        if (real[k] && strcmp(real[k], real[i]) == 0 && strcmp(u.v[k].place, u.v[i].place) != 0)
                                faults_add(&c->notices, &here->at, here->path, "%s and %s are the same port here: %s",
                                           u.v[i].port, u.v[k].port, real[i]);
                }
        }
        for (size_t i = 0; i < u.n; i++)
                free(real[i]);
        free(real);
        free(u.v);
}
