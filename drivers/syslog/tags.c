/*
 * tags: see tags.h.
 *
 * The gateway's table of tags is shared with the machines, so this driver takes
 * no more of it than max_tags.  A message of a host or program beyond that is
 * kept all the same, under the driver's name and the tag "other", with its
 * facility, severity and host as labels; of these there may be
 * SYSLOG_HOSTS_MAX, which always have room.  Beyond that, too, the host is no
 * label (192 tags at most), and the whole line is the text, so that who sent it
 * is in the record.
 *
 * One peer that makes up names leaves room for the others: the last quarter is
 * for peers that have a sixteenth or less.
 *
 * A message that went to "other" is counted as a name that had to be changed,
 * as are names with letters no name may have: once a name, however many
 * messages have it.
 */
#include "drivers/syslog/tags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/table_hash.h"
#include "agent/base/text.h"
#include "drivers/changed_names.h"

enum { PRIORITIES = 192, SHARED_FROM = 64 };

struct names {
        char source[TEXT_NAME_MAX + 1], tag[TEXT_NAME_MAX + 1], labels[64 + TEXT_NAME_MAX];
        char host[TEXT_NAME_MAX + 1]; /* or the peer */
        uint64_t hash;
};

void syslog_tags_init(struct syslog_tags *t, struct driver *d)
{
        const struct syslog_conf *conf = d->conf;

        *t = (struct syslog_tags){.d = d, .n_slots = 512};
        t->tags.most = (size_t)conf->max_tags;
        t->hosts.most = SYSLOG_HOSTS_MAX;
        while (t->n_slots < 2 * (t->tags.most + t->hosts.most + PRIORITIES))
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

        if (m->host_len && conf->source)
                text_map_name(n->host, m->host, m->host_len);
        else if (m->host_len)
                map(t, n->host, m->host, m->host_len);
        else
                snprintf(n->host, sizeof(n->host), "%s", peer);
        strcpy(n->source, conf->source ? conf->source : n->host);
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

static void set_other(const struct syslog_tags *t, struct names *n, bool with_host)
{
        size_t len = strlen(n->labels);

        snprintf(n->source, sizeof(n->source), "%s", t->d->name);
        strcpy(n->tag, "other");
        if (with_host)
                snprintf(n->labels + len, sizeof(n->labels) - len, ",\"host\":\"%s\"", n->host);
        else
                *strstr(n->labels, ",\"host\"") = '\0';
        set_hash(n);
}

static void count_changed(struct syslog_tags *t, const struct names *n)
{
        uint64_t hash = table_hash(n->source, strlen(n->source) + 1, 0);

        t->d->n_mapped += changed_names_add(t->changed, table_hash(n->tag, strlen(n->tag), hash));
}

static struct syslog_peer *find_peer(struct syslog_tags *t, const char *name)
{
        uint64_t hash = table_hash(name, strlen(name), 0) | 1;
        size_t i = hash % SYSLOG_PEERS_MAX;

        for (size_t k = 0; k < SYSLOG_PEERS_MAX; k++, i = (i + 1) % SYSLOG_PEERS_MAX) {
                struct syslog_peer *p = &t->peers[i];

                if (p->hash && p->hash != hash)
                        continue;
                p->hash = hash;
                return p;
        }
        return &t->peers[SYSLOG_PEERS_MAX];
}

static bool has_room(const struct syslog_bound *b, size_t n_of_peer)
{
        return b->n < b->most - (b->most >= SHARED_FROM && n_of_peer > b->most / 16 ? b->most / 4 : 0);
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

static int find_other(struct syslog_tags *t, struct names *n, struct syslog_peer *peer, uint32_t *tag, bool *whole)
{
        struct syslog_slot *slot;
        int rc = 0;

        count_changed(t, n);
        set_other(t, n, true);
        slot = find_slot(t, n);
        if (!slot->used && !has_room(&t->hosts, peer->n_hosts)) {
                *whole = true;
                set_other(t, n, false);
                slot = find_slot(t, n);
        } else if (!slot->used) {
                t->hosts.n++;
                peer->n_hosts++;
        }
        if (!is_known(t, slot))
                rc = fill(t, slot, n, true);
        *tag = slot->tag;
        return rc;
}

int syslog_tags_find(struct syslog_tags *t, const struct syslog_message *m, const char *peer_name, uint32_t *tag,
                     bool *whole)
{
        const struct syslog_conf *conf = t->d->conf;
        struct syslog_peer *peer;
        struct syslog_slot *slot;
        struct names n;
        bool is_new;
        int rc = 0;

        *whole = false;
        set_names(t, &n, m, peer_name);
        if (!conf->source && !tags_may_speak(t->d->tags, n.source, t->d->name))
                return TAGS_E_OWNED;
        slot = find_slot(t, &n);
        is_new = !slot->used;
        if (is_known(t, slot)) {
                *tag = slot->tag;
                return 0;
        }
        peer = find_peer(t, peer_name);
        rc = is_new && !has_room(&t->tags, peer->n_tags) ? TAGS_E_FULL : fill(t, slot, &n, conf->source && conf->tag);
        if (rc == TAGS_E_FULL)
                return find_other(t, &n, peer, tag, whole);
        t->tags.n += is_new;
        peer->n_tags += is_new;
        *tag = slot->tag;
        return rc;
}
