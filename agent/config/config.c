/*
 * config: see config.h.
 *
 * Why one table for the whole file: the root is put together from the agent's
 * own keys, one list per driver in drivers_known, and the sections of the
 * floor, so a new driver brings its section by being in that list.  What needs
 * two sections (does the bus of a device exist?) is checked here after the
 * walk, for all that is right by itself, so that one mistake is told once and
 * all of them in one run.
 *
 * Fails with all faults at once; nothing is half loaded.  What is allowed but
 * should be known (a bus that is asked more than it can answer, a password file
 * that is not there yet) is a notice, because a configuration may be checked on
 * another machine than the one it is for.
 */
#include "agent/config/config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/config/file.h"
#include "agent/config/library.h"
#include "agent/config/ports.h"
#include "agent/config/silences.h"
#include "agent/config/sources.h"
#include "agent/config/unwise.h"
#include "agent/config/walk.h"
#include "agent/config/yaml.h"
#include "drivers/modbus/modbus.h"
#include "drivers/modbus/plan.h"
#include "drivers/mqtt/mqtt.h"
#include "store/spool.h"

enum { OWN_KEYS = 11, SLAVE_KEYS = 2, FILES_MAX = 256 };

static const char *const levels[] = {"error", "warn", "notice", "info", "debug", NULL};

#define AT(member) offsetof(struct config, member)
static const struct schema_key control_keys[] = {
        {"socket", SCHEMA_PATH, 0, 0,
         .help = "Socket of the command-line tool; default: millrace.sock beside the spool."},
        {NULL},
};
/* As the daemon's socket.c holds. */
static int check_control(void *obj, const char **key, struct err *e)
{
        const char *socket = *(const char *const *)obj;

        if (!socket || strlen(strrchr(socket, '/')) <= 65)
                return 0;
        *key = "socket";
        return err_set(e, "the name behind the last / is longer than 64 bytes; allowed: a shorter one");
}

static const struct schema control_schema = {
        .name = "control",
        .help = "How the command-line tool reaches the daemon.",
        .keys = control_keys,
        .size = sizeof(const char *),
        .check = check_control,
};

static const struct schema_key log_keys[] = {
        {"level", SCHEMA_CHOICE, 0, AT(log.level) - AT(log), .choices = levels, .def = "info",
         .help = "The least important that is told."},
        {"per_minute", SCHEMA_INT, 0, AT(log.per_minute) - AT(log), 1, 3840, .def = "30",
         .help = "Most lines a minute of one item or part, errors aside; further ones are counted, and told in one."},
        {NULL},
};
static const struct schema log_schema = {
        .name = "log",
        .help = "What is told on standard error.",
        .keys = log_keys,
        .size = sizeof(((struct config *)0)->log),
};

static const struct schema_key limits_keys[] = {
        {"max_tags", SCHEMA_INT, 0, 0, 1, 1000000, .def = "50000",
         .help = "Most tags of names from the wire; messages with further names go to the quarantine. Tags that the "
                 "configuration names always have room, and do not count."},
        {NULL},
};
static const struct schema limits_schema = {
        .name = "limits",
        .help = "Bounds on memory.",
        .keys = limits_keys,
        .size = sizeof(int64_t),
};

static const struct schema_key own_keys[OWN_KEYS] = {
        {"gateway", SCHEMA_NAME, SCHEMA_REQUIRED | SCHEMA_ASCII, AT(gateway),
         .help = "Name of this gateway, the same for ever: part of every record's key and id."},
        {"site", SCHEMA_NAME, 0, AT(site), .help = "Name of the plant it stands in."},
        {"spool", SCHEMA_MAP, 0, AT(spool), .sub = &spool_schema,
         .help = "The local file every reading goes to first."},
        {"kafka", SCHEMA_MAP, SCHEMA_REQUIRED, AT(kafka), .sub = &kafka_schema, .help = "Where readings go."},
        {"control", SCHEMA_MAP, 0, AT(control), .sub = &control_schema,
         .help = "How the command-line tool reaches the daemon."},
        {"log", SCHEMA_MAP, 0, AT(log), .sub = &log_schema, .help = "What is told on standard error."},
        {"limits", SCHEMA_MAP, 0, AT(limits), .sub = &limits_schema, .help = "Bounds on memory."},
        {"metrics", SCHEMA_MAP, 0, AT(metrics), .sub = &metrics_schema, .help = "Numbers for Prometheus."},
        {"page", SCHEMA_MAP, 0, AT(page), .sub = &page_schema, .help = "The page for browsers."},
        {"flash", SCHEMA_MAP, 0, AT(flash), .sub = &flash_schema, .help = "Sparing the flash the spool lies on."},
        {"profiles_dir", SCHEMA_PATH, 0, AT(profiles_dir),
         .help = "Folder of register maps of your own, NAME.yaml each; default: profiles beside this file. Those that "
                 "are installed are looked for behind it."},
};

/*
 * What hangs on the buses of the modbus section; bound to them by modbus_link.
 */
static const struct schema_key slave_keys[SLAVE_KEYS] = {
        {"profiles", SCHEMA_LIST, 0, AT(profiles), .sub = &modbus_profile_schema,
         .help = "Register maps of Modbus devices."},
        {"devices", SCHEMA_LIST, 0, AT(devices), .sub = &modbus_device_schema, .help = "Modbus devices."},
};

const struct schema *config_schema(void)
{
        static struct schema_key keys[OWN_KEYS + DRIVERS_KNOWN + SLAVE_KEYS + N_ALARM_SECTIONS + 1];
        static const struct schema root = {.name = "configuration",
                                           .help = "The whole file.",
                                           .keys = keys,
                                           .size = sizeof(struct config),
                                           .has_at = true};
        size_t n = OWN_KEYS;

        if (keys[0].name) /* made by the first call, on the main thread */
                return &root;
        memcpy(keys, own_keys, sizeof(own_keys));
        for (size_t i = 0; drivers_known[i]; i++)
                keys[n++] = (struct schema_key){.name = drivers_known[i]->kind,
                                                .type = SCHEMA_LIST,
                                                .offset = AT(sections) + i * sizeof(struct schema_list),
                                                .sub = drivers_known[i]->schema,
                                                .help = drivers_known[i]->schema->help};
        for (size_t i = 0; i < SLAVE_KEYS; i++)
                keys[n++] = slave_keys[i];
        for (size_t i = 0; i < N_ALARM_SECTIONS; i++) {
                keys[n] = alarm_section_keys[i];
                keys[n++].offset += AT(alarm_sections);
        }
        return &root;
}
#undef AT

/* ---- what needs two sections ---- */

/* The texts of one key over a list of structs. */
struct names {
        const char *const **names;
        size_t n;
};

static void names_add(struct names *out, const struct schema_list *list, const struct schema *schema, const char *key)
{
        const struct schema_key *k = schema->keys;

        while (k->name && strcmp(k->name, key) != 0)
                k++;
        BUG_ON(!k->name);
        out->names = mem_grow(out->names, out->n + list->n, sizeof(*out->names));
        for (size_t i = 0; i < list->n; i++)
                out->names[out->n++] = (const void *)((const char *)list->items + i * schema->size + k->offset);
}

static void collect(struct names *out, const struct config *c, const char *section)
{
        const struct schema_key *k = config_schema()->keys;

        for (; k->name; k++) {
                if (strcmp(k->name, section) == 0 && k->type == SCHEMA_LIST)
                        names_add(out, (const void *)((const char *)c + k->offset), k->sub, "name");
        }
}

/* *field names an item of the section. */
static void check_exists(struct walk *w, const struct config *c, const char *const *field, const char *section)
{
        struct names known = {NULL, 0};
        const char **plain, *near;
        bool found = false;

        collect(&known, c, section);
        plain = mem_alloc(known.n * sizeof(*plain));
        for (size_t i = 0; i < known.n; i++) {
                plain[i] = *known.names[i] ? *known.names[i] : "";
                found |= !*plain[i] || strcmp(plain[i], *field) == 0; /* one whose name is wrong may be it */
        }
        near = text_did_you_mean(*field, plain, known.n);
        if (!found)
                walk_fault(w, field, "\"%s\" is not in %s; allowed: a name from there%s%s%s", *field, section,
                           near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
        free(plain);
        free(known.names);
}

/* Is the j-th name used before? */
static void check_name(struct walk *w, const struct names *all, size_t j)
{
        for (size_t i = 0; i < j; i++) {
                const struct walk_place *first;

                if (!*all->names[i] || !*all->names[j] || strcmp(*all->names[i], *all->names[j]) != 0)
                        continue;
                first = walk_find(w, all->names[i]);
                walk_fault(w, all->names[j],
                           "\"%s\" is used twice, first by %s in %s:%d; allowed: once over all drivers", *all->names[j],
                           first->path, first->at.file, first->at.line);
                return;
        }
}

static void check_names(struct walk *w, const struct config *c)
{
        struct names all = {NULL, 0};

        for (size_t i = 0; drivers_known[i]; i++)
                collect(&all, c, drivers_known[i]->kind);
        for (size_t j = 1; j < all.n; j++)
                check_name(w, &all, j);
        free(all.names);
}

struct across {
        struct walk *walk;
        struct library *library;
        struct config *c;
        bool lacks_buses, lacks_profiles; /* some could not be read: none is missing for sure */
};

static struct schema_list *section_of(struct config *c, const struct driver_ops *ops)
{
        struct schema_list *section = c->sections;

        while (drivers_known[section - c->sections] != ops)
                section++;
        return section;
}

static void on_link_fault(void *ctx, const void *field, const char *sentence)
{
        struct across *a = ctx;
        struct walk *of_file = library_walk(a->library, field);
        const struct modbus_device_conf *devices = a->c->devices.items;

        for (size_t i = 0; i < a->c->devices.n; i++)
                if ((field == &devices[i].bus && a->lacks_buses) || (field == &devices[i].profile && a->lacks_profiles))
                        return;
        walk_fault(of_file ? of_file : a->walk, field, "%s", sentence);
}

/* What has faults of its own is left without what modbus_link hangs it by. */
static void unhang_wrong(struct across *a, struct schema_list *buses)
{
        struct modbus_conf *bus = buses->items;
        struct modbus_profile_conf *profile = a->c->profiles.items;
        struct modbus_device_conf *device = a->c->devices.items;

        a->lacks_buses = !walk_is_right(a->walk, buses);
        a->lacks_profiles |= !walk_is_right(a->walk, &a->c->profiles);
        for (size_t i = 0; i < buses->n; i++) {
                if (!walk_is_right(a->walk, &bus[i]))
                        bus[i].port = NULL;
                a->lacks_buses |= !bus[i].name;
        }
        for (size_t i = 0; i < a->c->profiles.n; i++) {
                if (!walk_is_right(a->walk, &profile[i]))
                        profile[i].registers = (struct schema_list){NULL, 0};
                a->lacks_profiles |= !profile[i].name;
        }
        for (size_t i = 0; i < a->c->devices.n; i++)
                if (!walk_is_right(a->walk, &device[i]))
                        device[i].source = NULL;
}

static void link_slaves(struct across *a)
{
        struct config *c = a->c;
        struct schema_list *buses = section_of(c, &modbus_ops);

        unhang_wrong(a, buses);
        modbus_link(buses->items, buses->n, c->profiles.items, c->profiles.n, c->devices.items, c->devices.n,
                    on_link_fault, a);
}

/*
 * A message that found no room in the spool's memory would be acknowledged and
 * dropped, so none is as long as that.
 */
static void fit_payloads(struct walk *w, struct config *c)
{
        uint64_t most = spool_text_most(&c->spool);
        struct schema_list *links = section_of(c, &mqtt_ops);

        for (size_t i = 0; i < links->n && walk_is_right(w, &c->spool); i++) {
                struct mqtt_conf *conf = (struct mqtt_conf *)links->items + i;

                if (conf->max_payload_bytes <= most || !walk_is_right(w, conf))
                        continue;
                if (walk_find(w, &conf->max_payload_bytes))
                        walk_fault(w, &conf->max_payload_bytes,
                                   "more than the spool gathers in memory; allowed: up to %lluKiB, the smaller of "
                                   "spool.batch_bytes and spool.max_size / 32",
                                   (unsigned long long)most / 1024);
                conf->max_payload_bytes = most;
        }
}

/* Devices hang on their buses now. */
static void check_linked(struct walk *w, struct config *c)
{
        sources_check(w, c);
        ports_check(w, c);
        silences_check(w, c);
}

static void check_across(struct across *a)
{
        const char *const *connection = &a->c->alarm_sections.notify.mqtt.connection;

        fit_payloads(a->walk, a->c);
        check_names(a->walk, a->c);
        link_slaves(a);
        check_linked(a->walk, a->c);
        if (*connection && walk_is_right(a->walk, section_of(a->c, &mqtt_ops)))
                check_exists(a->walk, a->c, connection, "mqtt");
}

/* ---- notices ---- */

/* A bus that is asked more than it can answer. */
static void notice_scans(struct config *c)
{
        struct modbus_scan scan;
        char text[400];

        for (size_t i = 0; i < c->n_drivers; i++) {
                const struct modbus_conf *bus = c->drivers[i].conf;

                if (c->drivers[i].ops != &modbus_ops)
                        continue;
                modbus_scan(bus, &scan);
                if (modbus_scan_warning(bus, &scan, text, sizeof(text)))
                        faults_add(&c->notices, &bus->at, "modbus", "%s", text);
        }
}

/* Items that say more than there is: one may take another's room. */
static void notice_shares(struct config *c)
{
        size_t said = 0;

        for (size_t i = 0; i < c->n_drivers; i++)
                said += c->drivers[i].ops->share ? c->drivers[i].ops->share(c->drivers[i].conf, 0) : 0;
        if (said > (size_t)c->max_tags)
                faults_add(&c->notices, &c->at, "limits.max_tags",
                           "%lld, and the items' max_tags are %zu together: one may take another's room",
                           (long long)c->max_tags, said);
}

#define KIND_IN_WORDS(kind) " " #kind
static void notice_sections(struct config *c)
{
        notice_scans(c);
        notice_shares(c);
        if (c->n_drivers == 0)
                faults_add(&c->notices, &c->at, "",
                           "no source of readings is configured: none of the sections" DRIVERS_EACH(KIND_IN_WORDS));
}

/* The file a value names as a secret or certificate; NULL: it names none. */
static const char *named_file(const struct walk_place *place)
{
        const char *text = *(const char *const *)place->field, *file;
        size_t len = strlen(place->key->name);

        if (place->key->type == SCHEMA_PATH && len > 5 && strcmp(place->key->name + len - 5, "_file") == 0)
                return text;
        if (place->key->type != SCHEMA_TEXTS || strcmp(place->key->name, "secrets") != 0 ||
            place->path[strlen(place->path) - 1] != ']')
                return NULL;
        file = strchr(text, '=');
        return file && strncmp(file, "=file:", 6) == 0 ? file + 6 : NULL;
}

static void notice_files(struct config *c, const struct walk *w)
{
        const struct walk_place *places;
        size_t n = walk_places(w, &places);

        for (size_t i = 0; i < n; i++) {
                const char *file;

                if (places[i].key->type != SCHEMA_PATH && places[i].key->type != SCHEMA_TEXTS)
                        continue;
                file = named_file(&places[i]);
                if (file && access(file, R_OK) < 0)
                        faults_add(&c->notices, &places[i].at, places[i].path, "%s can't be read here now: %s", file,
                                   strerror(errno));
        }
}

void config_log_notices(const struct config *c)
{
        for (size_t i = 0; i < c->notices.n; i++)
                log_notice("config", "%s:%d: %s", c->notices.items[i].at.file, c->notices.items[i].at.line,
                           c->notices.items[i].text);
}

/* ---- loading ---- */

static void gather_drivers(struct config *c)
{
        for (size_t i = 0; drivers_known[i]; i++)
                c->n_drivers += c->sections[i].n;
        c->drivers = arena_alloc(&c->arena, c->n_drivers * sizeof(*c->drivers));
        c->n_drivers = 0;
        for (size_t i = 0; drivers_known[i]; i++) {
                const struct driver_ops *ops = drivers_known[i];
                struct names names = {NULL, 0};

                names_add(&names, &c->sections[i], ops->schema, "name");
                for (size_t j = 0; j < names.n; j++)
                        c->drivers[c->n_drivers++] = (struct config_driver){
                                ops, *names.names[j], (const char *)c->sections[i].items + j * ops->schema->size};
                free(names.names);
        }
}

static const char *socket_beside(struct config *c, const char *path)
{
        size_t dir = (size_t)(strrchr(path, '/') + 1 - path);
        char *out = arena_alloc(&c->arena, dir + sizeof("millrace.sock"));

        memcpy(out, path, dir);
        strcpy(out + dir, "millrace.sock");
        return out;
}

/* What the daemon reads, out of what was written. */
static void derive(struct config *c)
{
        gather_drivers(c);
        c->control_socket = c->control.socket ? c->control.socket : socket_beside(c, c->spool.path);
        c->log_level = LOG_ERROR + (unsigned)c->log.level;
        c->max_tags = c->limits.max_tags;
}

struct loading {
        struct config *config;
        struct walk *walk;
        struct faults *faults;
        void (*more)(const struct config *c, struct faults *faults); /* NULL: no more is looked at */
        bool broken;                                                 /* not all of a text could be walked */
};

static void begin(struct loading *l, struct faults *faults)
{
        l->config = mem_alloc(sizeof(*l->config));
        l->walk = walk_new(&l->config->arena, faults);
        l->faults = faults;
        l->more = NULL;
        l->broken = false;
}

/* A text that is not there may hold what another one refers to. */
static void check_all(struct loading *l, struct library *library, bool lacks_profiles)
{
        struct across a = {.walk = l->walk, .library = library, .c = l->config, .lacks_profiles = lacks_profiles};

        if (l->broken)
                return;
        check_across(&a);
        if (l->more && walk_find(l->walk, &l->config->kafka) && walk_is_right(l->walk, &l->config->kafka) &&
            l->config->gateway)
                l->more(l->config, l->faults);
}

/*
 * `path`: of the file, beside which others may be; NULL: no other file is
 * looked at.
 */
static int finish(struct loading *l, const char *path, struct config **out)
{
        struct config *c = l->config;
        struct library *library = NULL;
        size_t before;

        *out = NULL;
        walk_fill(l->walk, config_schema(), c);
        before = l->faults->n;
        if (path && !l->broken)
                library = library_load(c, l->faults, path);
        check_all(l, library, l->faults->n > before);
        library_free(library);
        if (l->faults->n == 0) {
                derive(c);
                notice_sections(c);
                unwise_notice(l->walk, c);
                if (path) {
                        unwise_notice_here(l->walk, c);
                        notice_files(c, l->walk);
                        ports_notice(l->walk, c);
                }
                faults_sort(&c->notices);
                *out = c;
        }
        walk_free(l->walk);
        faults_sort(l->faults);
        if (*out)
                return 0;
        config_free(c);
        return -1;
}

int config_load_text(const char *name, const char *text, size_t len, struct config **out, struct faults *faults)
{
        struct loading l;

        begin(&l, faults);
        l.broken = walk_add(l.walk, name, text, len, false) < 0;
        return finish(&l, NULL, out);
}

static void load_file(struct loading *l, const char *path, bool may_be_empty)
{
        size_t len;
        char *text = file_read(path, CONFIG_BYTES_MAX, &len);
        struct schema_at at = {path, 0, 0};

        if (!text) {
                faults_add(l->faults, &at, "", "can't be read: %s", strerror(errno));
                walk_lacks(l->walk);
                l->broken = true;
                return;
        }
        l->broken |= walk_add(l->walk, path, text, len, may_be_empty) < 0;
        free(text);
}

static int is_fragment(const struct dirent *d)
{
        size_t len = strlen(d->d_name);

        return d->d_name[0] != '.' && len > 5 && strcmp(d->d_name + len - 5, ".yaml") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_fragments(struct loading *l, const char *path)
{
        const char *slash = strrchr(path, '/');
        int dir_len = slash ? (int)(slash + 1 - path) : 0;
        struct dirent **entries;
        char *name = NULL;
        int n;

        if (asprintf(&name, "%.*sconf.d", dir_len, path) < 0)
                abort();
        n = scandir(name, &entries, is_fragment, by_bytes);
        if (n < 0 && errno != ENOENT && errno != ENOTDIR) {
                faults_add(l->faults, &(struct schema_at){name, 0, 0}, "", "can't be read: %s", strerror(errno));
                l->broken = true;
        }
        free(name);
        for (int i = 0; i < n; i++) {
                if (i == FILES_MAX) {
                        faults_add(l->faults, &(struct schema_at){path, 0, 0}, "",
                                   "more than %d files in conf.d/; allowed: fewer", FILES_MAX);
                        l->broken = true;
                }
                if (asprintf(&name, "%.*sconf.d/%s", dir_len, path, entries[i]->d_name) < 0)
                        abort();
                if (i < FILES_MAX)
                        load_file(l, name, true);
                free(name);
                free(entries[i]);
        }
        if (n >= 0)
                free(entries);
}

int config_load(const char *path, struct config **out, struct faults *faults)
{
        return config_load_more(path, NULL, out, faults);
}

int config_load_more(const char *path, void (*more)(const struct config *c, struct faults *faults), struct config **out,
                     struct faults *faults)
{
        struct loading l;

        begin(&l, faults);
        l.more = more;
        load_file(&l, path, false);
        load_fragments(&l, path);
        return finish(&l, path, out);
}

int config_places(const char *path, char **spool, char **socket)
{
        struct faults faults = {0};
        struct loading l;
        int rc = -1;

        begin(&l, &faults);
        load_file(&l, path, false);
        load_fragments(&l, path);
        walk_fill(l.walk, config_schema(), l.config);
        if (l.config->spool.path) {
                const char *beside = socket_beside(l.config, l.config->spool.path);

                *spool = mem_strdup(l.config->spool.path);
                *socket = mem_strdup(l.config->control.socket ? l.config->control.socket : beside);
                rc = 0;
        }
        walk_free(l.walk);
        config_free(l.config);
        faults_fini(&faults);
        return rc;
}

void config_free(struct config *c)
{
        if (!c)
                return;
        faults_fini(&c->notices);
        arena_fini(&c->arena);
        free(c);
}
