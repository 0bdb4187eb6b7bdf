/*
 * library: see library.h.
 *
 * All files that are wanted are one walk of their own: a file can hold nothing
 * but a profile, whatever it says, and its faults have its lines.  What is
 * loaded lives in the configuration, and is shown and compared as if it had
 * been written there.
 *
 * Fails: a file that can't be read, or holds something else, is a fault.
 */
#include "agent/config/library.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/config/file.h"
#include "agent/config/yaml.h"
#include "drivers/modbus/modbus.h"

#ifndef MILLRACE_PROFILES
#define MILLRACE_PROFILES "/usr/share/millrace/profiles"
#endif

struct library {
        struct config *c;
        struct walk *walk;
        struct faults *faults;
        const char *path; /* of the configuration */
        const char **wanted;
        size_t n_wanted;
        size_t n_texts;
};

struct found {
        struct schema_list profiles;
};

static const struct schema_key root_keys[] = {
        {"profiles", SCHEMA_LIST, SCHEMA_REQUIRED, 0, .sub = &modbus_profile_schema,
         .help = "One register map, of the file's name."},
        {NULL},
};
static const struct schema root = {
        .name = "profile", .help = "A register map.", .keys = root_keys, .size = sizeof(struct found)};

/* ---- which ---- */

static bool is_known(const struct library *l, const char *name)
{
        const struct modbus_profile_conf *p = l->c->profiles.items;

        for (size_t i = 0; i < l->c->profiles.n; i++) {
                if (p[i].name && strcmp(p[i].name, name) == 0)
                        return true;
        }
        for (size_t i = 0; i < l->n_wanted; i++) {
                if (strcmp(l->wanted[i], name) == 0)
                        return true;
        }
        return false;
}

static void want(struct library *l, const char *name)
{
        l->wanted = mem_grow(l->wanted, l->n_wanted + 1, sizeof(*l->wanted));
        l->wanted[l->n_wanted++] = name;
}

/* ---- where ---- */

static int beside(const struct library *l)
{
        const char *slash = strrchr(l->path, '/');

        return slash ? (int)(slash + 1 - l->path) : 0;
}

/* true: the file is there, and was added or told of. */
static bool add_file(struct library *l, const char *path)
{
        size_t len;
        char *text = file_read(path, CONFIG_BYTES_MAX, &len);

        if (!text && (errno == ENOENT || errno == ENOTDIR))
                return false;
        if (!text) {
                faults_add(l->faults, &(struct schema_at){path, 0, 0}, "", "can't be read: %s", strerror(errno));
                return true;
        }
        l->n_texts += walk_add(l->walk, path, text, len, false) == 0;
        free(text);
        return true;
}

static void find(struct library *l, const char *name)
{
        char *own = NULL, *installed = NULL;
        int n = l->c->profiles_dir ? asprintf(&own, "%s/%s.yaml", l->c->profiles_dir, name)
                                   : asprintf(&own, "%.*sprofiles/%s.yaml", beside(l), l->path, name);

        if (n < 0 || asprintf(&installed, "%s/%s.yaml", MILLRACE_PROFILES, name) < 0)
                abort();
        if (!add_file(l, own))
                add_file(l, installed);
        free(own);
        free(installed);
}

/* ---- what is in them ---- */

static const char *name_of_file(const char *path, size_t *len)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

        *len = strlen(name) - strlen(".yaml");
        return name;
}

static void check(struct library *l, const struct modbus_profile_conf *p)
{
        size_t len;
        const char *name = name_of_file(p->at.file, &len);

        if (strlen(p->name) != len || strncmp(p->name, name, len) != 0)
                walk_fault(l->walk, &p->name, "\"%s\" in a file of another name; allowed: %.*s, and nothing else in it",
                           p->name, (int)len, name);
}

static void take(struct library *l, const struct found *found)
{
        struct schema_list *all = &l->c->profiles;
        size_t size = sizeof(struct modbus_profile_conf);
        char *items = arena_alloc(&l->c->arena, (all->n + found->profiles.n) * size);

        if (all->n)
                memcpy(items, all->items, all->n * size);
        memcpy(items + all->n * size, found->profiles.items, found->profiles.n * size);
        all->items = items;
        all->n += found->profiles.n;
}

struct library *library_load(struct config *c, struct faults *faults, const char *path)
{
        struct library *l = mem_alloc(sizeof(*l));
        const struct modbus_device_conf *d = c->devices.items;
        struct found found = {{NULL, 0}};
        size_t before = faults->n;

        *l = (struct library){.c = c, .walk = walk_new(&c->arena, faults), .faults = faults, .path = path};
        for (size_t i = 0; i < c->devices.n; i++) {
                if (d[i].profile && !is_known(l, d[i].profile))
                        want(l, d[i].profile);
        }
        for (size_t i = 0; i < l->n_wanted; i++)
                find(l, l->wanted[i]);
        if (l->n_texts)
                walk_fill(l->walk, &root, &found);
        for (size_t i = 0; i < found.profiles.n && faults->n == before; i++)
                check(l, (const struct modbus_profile_conf *)found.profiles.items + i);
        if (found.profiles.n && faults->n == before)
                take(l, &found);
        return l;
}

void library_free(struct library *l)
{
        if (!l)
                return;
        walk_free(l->walk);
        free(l->wanted);
        free(l);
}

struct walk *library_walk(struct library *l, const void *field)
{
        return l && walk_find(l->walk, field) ? l->walk : NULL;
}
