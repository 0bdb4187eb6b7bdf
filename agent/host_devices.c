/*
 * host_devices: the devices behind a driver, and which of them are down.
 *
 * Why here and not in each driver: they only tell what changes (device_event).
 * Those that the configuration names are listed from the start, so that "1 of
 * 3" can be said; others, of the wire, when they are told of first.
 *
 * Bounded: beyond DEVICES_MOST one that is down counts as the last.  Cannot
 * fail.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/host_impl.h"

enum { DEVICES_MOST = 10000 };

static struct host_device *device_of(struct host_devices *all, const char *name)
{
        struct host_device *d;
        size_t i = 0;

        if (all->n && !strcmp(all->v[all->n - 1].name, name))
                return &all->v[all->n - 1]; /* a configuration names each once for each of its tags */
        while (i < all->n && strncmp(all->v[i].name, name, sizeof(all->v[i].name) - 1) != 0)
                i++;
        if (i < all->n || all->n == DEVICES_MOST)
                return &all->v[i < all->n ? i : all->n - 1];
        all->v = mem_grow(all->v, all->n + 1, sizeof(*all->v));
        d = &all->v[all->n++];
        *d = (struct host_device){.since_us = 0};
        text_copy(d->name, sizeof(d->name), name);
        return d;
}

struct each_device {
        struct driver_names names;
        struct host_devices *all;
};

static void on_name(struct driver_names *to, const char *source, const char *tag, const void *field)
{
        device_of(((struct each_device *)to)->all, source);
}

void host_devices_init(struct host_slot *s)
{
        struct each_device each = {{on_name}, &s->devices};

        if (s->d.ops->has_devices && s->d.ops->names)
                s->d.ops->names(s->d.conf, &each.names);
}

void host_devices_told(struct host_slot *s, const char *source, bool down, const char *why)
{
        struct host_device *d = device_of(&s->devices, source);

        if (down != d->down || !d->since_us)
                d->since_us = rt_mono_us(s->d.rt);
        s->devices.n_down += (size_t)down - (size_t)d->down;
        d->down = down;
        text_copy(d->why, sizeof(d->why), down ? why : "");
}

bool host_devices_forget(struct host_slot *s, const char *source)
{
        struct host_devices *all = &s->devices;
        size_t i = 0;

        while (i < all->n && (!all->v[i].down || strcmp(all->v[i].name, source) != 0))
                i++;
        if (i == all->n)
                return false;
        all->n_down--;
        memmove(&all->v[i], &all->v[i + 1], (--all->n - i) * sizeof(*all->v));
        return true;
}

/*
 * Those that are down are so no longer as far as anybody knows: who takes the
 * driver's place tells it anew, and says nothing of one that answers it.
 */
void host_devices_leave(struct host_slot *s)
{
        struct pipeline *to = s->host->pipeline;

        for (size_t i = 0; i < s->devices.n && s->devices.n_down; i++) {
                const struct host_device *d = &s->devices.v[i];

                if (!d->down)
                        continue;
                pipeline_event(to, "device", EVENT_NORMAL, SPOOL_NO_TAG,
                               "\"driver\":\"%s\",\"source\":\"%s\",\"state\":\"removed\",\"why\":\"the configuration "
                               "is another\"",
                               s->d.name, d->name);
                pipeline_device(to, d->name, false);
        }
}

void host_devices_fini(struct host_slot *s)
{
        free(s->devices.v);
}
