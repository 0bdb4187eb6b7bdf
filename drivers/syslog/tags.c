/*
 * tags: see tags.h.
 *
 * The gateway's table of tags is shared with the machines, so this driver takes
 * no more of it than max_tags.  A message of a host or program beyond that is
 * kept all the same, under the driver's name and the tag "other" with its
 * facility and severity (192 at most, which always have room); it is counted as
 * a name that had to be changed, as are names with letters no name may have:
 * once a name, however many messages have it.
 */
#include "drivers/syslog/tags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/table_hash.h"
#include "agent/base/text.h"
#include "drivers/changed_names.h"

enum { PRIORITIES = 192 };

struct names {
        char source[TEXT_NAME_MAX + 1], tag[TEXT_NAME_MAX + 1], labels[64];
        uint64_t hash;
};

void syslog_tags_init(struct syslog_tags *t, struct driver *d)
{
        const struct syslog_conf *conf = d->conf;

        *t = (struct syslog_tags){.d = d, .most = (size_t)conf->max_tags, .n_slots = 512};
        while (t->n_slots < 2 * (t->most + PRIORITIES))
                t->n_slots *= 2;
        t->slots = mem_alloc(t->n_slots * sizeof(*t->slots));
        t->changed = changed_names_new();
}

void syslog_tags_fini(struct syslog_tags *t)
{
        changed_names_free(t->changed);
        free(t->slots);
        t->slots = NULL;
}

static void set_hash(struct names *n)
{
        n->hash = table_hash(n->source, strlen(n->source) + 1, 0);
        n->hash = table_hash(n->tag, strlen(n->tag) + 1, n->hash);
        n->hash = table_hash(n->labels, strlen(n->labels), n->hash);
}

static bool is_tag(const struct syslog_tags *t, const struct syslog_slot *slot, const struct names *n)
{
        const struct tag *tag;

        if (slot->hash != n->hash)
                return false;
        tag = tags_get(t->d->tags, slot->tag);
        return !strcmp(tag->name, n->tag) && !strcmp(tag->source, n->source) && !strcmp(tag->labels, n->labels);
}

/*
 * The slot of these names, or the free one where they belong; there is always
 * one.
 */
static struct syslog_slot *find_slot(struct syslog_tags *t, const struct names *n)
{
        size_t i = n->hash & (t->n_slots - 1);

        while (t->slots[i].used && !is_tag(t, &t->slots[i], n))
                i = (i + 1) & (t->n_slots - 1);
        return &t->slots[i];
}

static void map(struct syslog_tags *t, char out[TEXT_NAME_MAX + 1], const char *s, size_t len)
{
        if (text_map_name(out, s, len))
                t->d->n_mapped += changed_names_add(t->changed, table_hash(s, len, 0));
}

static void set_names(struct syslog_tags *t, struct names *n, const struct syslog_message *m, const char *peer)
{
        const struct syslog_conf *conf = t->d->conf;

        if (conf->source)
                snprintf(n->source, sizeof(n->source), "%s", conf->source);
        else if (m->host_len)
                map(t, n->source, m->host, m->host_len);
        else
                snprintf(n->source, sizeof(n->source), "%.64s", peer);
        if (conf->tag)
                snprintf(n->tag, sizeof(n->tag), "%s", conf->tag);
        else if (m->app_len)
                map(t, n->tag, m->app, m->app_len);
        else
                strcpy(n->tag, "message");
        snprintf(n->labels, sizeof(n->labels), "\"facility\":\"%s\",\"severity\":\"%s\"", syslog_facility(m->facility),
                 syslog_severity(m->severity));
        set_hash(n);
}

static void set_other(struct syslog_tags *t, struct names *n)
{
        uint64_t hash = table_hash(n->source, strlen(n->source) + 1, 0);

        t->d->n_mapped += changed_names_add(t->changed, table_hash(n->tag, strlen(n->tag), hash));
        snprintf(n->source, sizeof(n->source), "%s", t->d->name);
        strcpy(n->tag, "other");
        set_hash(n);
}

static int fill(struct syslog_tags *t, struct syslog_slot *slot, const struct names *n, bool configured)
{
        uint32_t tag;
        int rc = (configured ? tags_configure : tags_intern)(t->d->tags, n->source, n->tag, "", n->labels, t->d->name,
                                                             &tag);

        if (rc)
                return rc;
        *slot = (struct syslog_slot){.used = true, .hash = n->hash, .tag = tag};
        return 0;
}

static bool is_known(const struct syslog_tags *t, const struct syslog_slot *slot)
{
        return slot->used && !tags_get(t->d->tags, slot->tag)->forgotten;
}

static int find_other(struct syslog_tags *t, struct names *n, uint32_t *tag)
{
        struct syslog_slot *slot;
        int rc = 0;

        set_other(t, n);
        slot = find_slot(t, n);
        if (!is_known(t, slot))
                rc = fill(t, slot, n, true);
        *tag = slot->tag;
        return rc;
}

int syslog_tags_find(struct syslog_tags *t, const struct syslog_message *m, const char *peer, uint32_t *tag)
{
        const struct syslog_conf *conf = t->d->conf;
        struct syslog_slot *slot;
        struct names n;
        bool is_new;
        int rc = 0;

        set_names(t, &n, m, peer);
        if (!conf->source && !tags_may_speak(t->d->tags, n.source, t->d->name))
                return TAGS_E_OWNED;
        slot = find_slot(t, &n);
        is_new = !slot->used;
        if (!is_known(t, slot))
                rc = is_new && t->n == t->most ? TAGS_E_FULL : fill(t, slot, &n, conf->source && conf->tag);
        if (rc == TAGS_E_FULL)
                return find_other(t, &n, tag);
        t->n += is_new;
        *tag = slot->tag;
        return rc;
}
