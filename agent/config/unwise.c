/*
 * unwise: see unwise.h.
 *
 * Each sentence says what will happen, not which rule was broken: when it will
 * be full, whose password can be read, which message comes twice.  What is
 * polled has a rate that is known before anything runs; what comes by itself
 * has none, so of it nothing is foretold.
 *
 * Cannot fail.
 */
#include "agent/config/unwise.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/base/text.h"
#include "drivers/mqtt/filters.h"
#include "drivers/mqtt/mqtt.h"
#include "drivers/mqtt/topic.h"

enum { WEEKEND_H = 64 };

static void tell(const struct walk *w, struct config *c, const void *field, const char *path, const char *text)
{
        const struct walk_place *place = walk_find(w, field);

        faults_add(&c->notices, place ? &place->at : &c->at, place ? place->path : path, "%s", text);
}

/* ---- room ---- */

struct rate {
        struct driver_names names;
        double per_second;
};

static void on_name(struct driver_names *to, const char *source, const char *tag, const void *field)
{
        struct rate *r = (struct rate *)to;

        if (tag && to->period_us > 0)
                r->per_second += 1e6 / (double)to->period_us;
}

double unwise_polled_rate(const struct config *c)
{
        struct rate r = {{.each = on_name}, 0};

        for (size_t i = 0; i < c->n_drivers; i++) {
                r.names.period_us = 0;
                c->drivers[i].ops->names(c->drivers[i].conf, &r.names);
        }
        return r.per_second;
}

static void notice_weekend(const struct walk *w, struct config *c)
{
        double rate = unwise_polled_rate(c), usable = (double)spool_usable_bytes(&c->spool);
        double hours = rate > 0 ? usable / SPOOL_READING_BYTES / rate / 3600 : WEEKEND_H;
        double wanted = (double)c->spool.max_size_bytes * WEEKEND_H / hours;
        char text[320], is[32], needs[32], span[32];

        if (hours >= WEEKEND_H)
                return;
        text_put_size(is, sizeof(is), c->spool.max_size_bytes);
        text_put_size(needs, sizeof(needs), (uint64_t)wanted);
        text_put_duration(span, sizeof(span), (int64_t)(hours * 3600e6));
        snprintf(text, sizeof(text),
                 "%s holds %s of the %.*f readings a second that are polled: without Kafka over a weekend (%d h) "
                 "readings are lost; that needs %s",
                 is, span, rate < 10 ? 1 : 0, rate, WEEKEND_H, needs);
        tell(w, c, &c->spool.max_size_bytes, "spool.max_size", text);
}

/* The folder of the spool, or what there is of the way to it. */
static bool disk_of(const char *path, struct statvfs *disk)
{
        char folder[4096];
        char *slash;

        if (strlen(path) >= sizeof(folder))
                return false;
        strcpy(folder, path);
        while ((slash = strrchr(folder, '/'))) {
                slash[slash == folder] = '\0';
                if (statvfs(folder, disk) == 0)
                        return true;
                if (slash == folder)
                        break;
        }
        return false;
}

static void notice_disk(const struct walk *w, struct config *c)
{
        struct statvfs disk;
        struct stat file;
        char text[320], is[32], has[32];
        uint64_t room;

        if (!disk_of(c->spool.path, &disk))
                return;
        room = (uint64_t)disk.f_bavail * disk.f_frsize;
        room += stat(c->spool.path, &file) == 0 ? (uint64_t)file.st_blocks * 512 : 0;
        if (room >= c->spool.max_size_bytes)
                return;
        text_put_size(is, sizeof(is), c->spool.max_size_bytes);
        text_put_size(has, sizeof(has), room);
        snprintf(text, sizeof(text), "%s, and the disk here has room for %s: it is full before the spool is", is, has);
        tell(w, c, &c->spool.max_size_bytes, "spool.max_size", text);
}

/* ---- MQTT ---- */

static bool is_this_machine(const char *host)
{
        return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static void notice_clear_password(const struct walk *w, struct config *c, const struct mqtt_conf *m)
{
        struct mqtt_url url;

        if (!m->password_file || mqtt_url_parse(&url, m->url, NULL) < 0 || url.tls || is_this_machine(url.host))
                return;
        tell(w, c, &m->url, "mqtt", "the password crosses the network readable by all on the way; mqtts:// hides it");
}

/* Names are +, as the broker has them. NULL: a share, its own filter is behind it; or a fault, told elsewhere. */
static char **filters_of(const struct mqtt_conf *m)
{
        const struct mqtt_sub_conf *subs = m->subscriptions.items;
        char **filters = mem_alloc((m->subscriptions.n + 1) * sizeof(*filters));

        for (size_t i = 0; i < m->subscriptions.n; i++) {
                struct mqtt_pattern p;

                if (strncmp(subs[i].topic, "$share/", 7) == 0 || mqtt_pattern_init(&p, subs[i].topic, NULL) < 0)
                        continue;
                filters[i] = mem_strdup(p.filter);
                mqtt_pattern_fini(&p);
        }
        return filters;
}

static void free_filters(char **filters, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(filters[i]);
        free(filters);
}

/* The first two that both match: places in the two lists. */
static bool find_meeting(const struct mqtt_conf *a, const struct mqtt_conf *b, size_t *of_a, size_t *of_b)
{
        char **x = filters_of(a), **y = filters_of(b);
        size_t n = a->subscriptions.n, m = b->subscriptions.n, i = 0;
        bool found = false;

        for (; i < n * m && !found; i++)
                found = x[i / m] && y[i % m] && mqtt_filter_meets(x[i / m], y[i % m]);
        free_filters(x, n);
        free_filters(y, m);
        if (found) {
                *of_a = (i - 1) / m;
                *of_b = (i - 1) % m;
        }
        return found;
}

static void notice_pair(const struct walk *w, struct config *c, const struct mqtt_conf *a, const struct mqtt_conf *b)
{
        const struct mqtt_sub_conf *x = a->subscriptions.items, *y = b->subscriptions.items;
        char text[400];
        size_t i, k;

        if (strcmp(a->url, b->url) != 0)
                return;
        if (a->client_id && b->client_id && strcmp(a->client_id, b->client_id) == 0) {
                snprintf(text, sizeof(text), "%s has this client id at the same broker: each throws the other out",
                         a->name);
                tell(w, c, &b->client_id, "mqtt", text);
        }
        if (!find_meeting(a, b, &i, &k))
                return;
        snprintf(text, sizeof(text), "%s has %.120s at the same broker: a message that both match is read twice",
                 a->name, x[i].topic);
        tell(w, c, &y[k].topic, "mqtt", text);
}

static void notice_mqtt(const struct walk *w, struct config *c)
{
        for (size_t k = 0; k < c->n_drivers; k++) {
                if (c->drivers[k].ops != &mqtt_ops)
                        continue;
                notice_clear_password(w, c, c->drivers[k].conf);
                for (size_t i = 0; i < k; i++)
                        if (c->drivers[i].ops == &mqtt_ops)
                                notice_pair(w, c, c->drivers[i].conf, c->drivers[k].conf);
        }
}

/* ---- Kafka ---- */

static void notice_kafka(const struct walk *w, struct config *c)
{
        const char *const *items = c->kafka.properties.items, *const *brokers = c->kafka.brokers.items;
        bool here = true;

        for (size_t i = 0; i < c->kafka.brokers.n; i++)
                here &= strncmp(brokers[i], "localhost:", 10) == 0 || strncmp(brokers[i], "127.", 4) == 0;
        for (size_t i = 0; i < c->kafka.properties.n && !here; i++)
                if (strcasecmp(items[i], "security.protocol=sasl_plaintext") == 0)
                        tell(w, c, &items[i], "kafka.properties",
                             "the password crosses the network readable by all on the way; sasl_ssl hides it");
}

void unwise_notice(const struct walk *w, struct config *c)
{
        notice_weekend(w, c);
        notice_mqtt(w, c);
        notice_kafka(w, c);
}

void unwise_notice_here(const struct walk *w, struct config *c)
{
        notice_disk(w, c);
}
