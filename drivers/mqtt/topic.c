/*
 * topic: topic patterns with names, and the table of known topics.
 *
 * Why names and not numbers of levels: factory/{line}/{source}/{tag} can be
 * read by the person who knows the plant. The broker sees the same pattern with
 * + for each name.  A pattern is cut into levels once; matching walks topic and
 * levels side by side.  Names from the wire are mapped to what names may be
 * (text_map_name), so a topic can't bring anything into a record that would
 * need escaping.
 *
 * A plant has few topics and many messages: the table remembers, for each topic
 * seen, its subscription and tags, so a known topic costs one hash and one
 * compare.  Bounded in number and in length of topic, so a flood of new topics
 * can't eat the memory; what does not fit is matched again each time and works
 * just as well.
 *
 * Fails: only at start, for a pattern that makes no sense; the sentence names
 * the level.
 */
#include "drivers/mqtt/topic.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/table_hash.h"
#include "drivers/changed_names.h"

/* Keys of the record: a label of that name would be a second member with it. */
static const char *const taken[] = {
        "id",         "gateway",   "site", "ts",      "ts_us",      "value",    "value_str", "value_bool",
        "value_int",  "value_raw", "unit", "quality", "reason",     "clock",    "epoch",     "seq",
        "arrival_us", "flags",     "time", "kind",    "historical", "retained", "aggregate", "agg",
        "event_id",   "n",         "min",  "max",     "test",
};

bool mqtt_label_is_taken(const char *name)
{
        for (size_t k = 0; k < sizeof(taken) / sizeof(*taken); k++)
                if (strcmp(name, taken[k]) == 0)
                        return true;
        return false;
}

static int name_level(struct mqtt_pattern *p, char *s, size_t len, struct err *e)
{
        int i = p->n_levels;

        char name[TEXT_NAME_MAX + 1];

        if (!text_read_name(name, s + 1, len - 2) || strlen(name) >= len)
                return err_set(e, "%.*s: a name is made of letters, digits, _ - . (1 to 64)", (int)len, s);
        strcpy(s, name);
        p->level[i] = (struct mqtt_level){s, MQTT_LEVEL_NAME};
        p->n_names++;
        if (strcmp(s, "source") == 0)
                p->source_level = i;
        else if (strcmp(s, "tag") == 0)
                p->tag_level = i;
        if (mqtt_label_is_taken(s))
                return err_set(e, "{%s}: the record has a member of that name already; choose another", s);
        for (int k = 0; k < i; k++)
                if (p->level[k].kind == MQTT_LEVEL_NAME && strcmp(p->level[k].text, s) == 0)
                        return err_set(e, "{%s} stands in the pattern twice", s);
        return 0;
}

static int add_level(struct mqtt_pattern *p, char *s, size_t len, bool last, struct err *e)
{
        struct mqtt_level *l = &p->level[p->n_levels];
        int r = 0;

        if (p->n_levels == MQTT_LEVELS_MAX)
                return err_set(e, "more than %d levels", MQTT_LEVELS_MAX);
        if (len == 1 && *s == '+') {
                *l = (struct mqtt_level){"", MQTT_LEVEL_ANY};
        } else if (len == 1 && *s == '#') {
                *l = (struct mqtt_level){"", MQTT_LEVEL_REST};
                if (!last)
                        return err_set(e, "# must be the last level");
        } else if (len > 2 && *s == '{' && s[len - 1] == '}') {
                r = name_level(p, s, len, e);
        } else if (strcspn(s, "+#{}") < len) {
                return err_set(e, "'%.*s': +, # and {name} must be a whole level between slashes", (int)len, s);
        } else {
                s[len] = '\0';
                *l = (struct mqtt_level){s, MQTT_LEVEL_TEXT};
        }
        p->n_levels++;
        return r;
}

static void put_filter(struct mqtt_pattern *p)
{
        char *to = p->filter;

        for (int i = 0; i < p->n_levels; i++) {
                const struct mqtt_level *l = &p->level[i];
                const char *s = l->kind == MQTT_LEVEL_TEXT ? l->text : l->kind == MQTT_LEVEL_REST ? "#" : "+";

                if (i)
                        *to++ = '/';
                to = stpcpy(to, s);
        }
}

static int cut_levels(struct mqtt_pattern *p, struct err *e)
{
        char *s = p->text;
        bool last;
        int n_labels;

        do {
                size_t len = strcspn(s, "/");

                last = s[len] == '\0';
                if (add_level(p, s, len, last, e) < 0)
                        return -1;
                s += len + 1;
        } while (!last);
        n_labels = -(p->source_level >= 0) - (p->tag_level >= 0);
        for (int i = 0; i < p->n_levels; i++)
                n_labels += p->level[i].kind == MQTT_LEVEL_NAME;
        if (n_labels > MQTT_LABELS_MAX)
                return err_set(e, "more than %d names beside {source} and {tag}", MQTT_LABELS_MAX);
        return 0;
}

int mqtt_pattern_init(struct mqtt_pattern *p, const char *pattern, struct err *e)
{
        size_t len = strlen(pattern);

        *p = (struct mqtt_pattern){.source_level = -1, .tag_level = -1};
        if (len == 0)
                return err_set(e, "an empty topic");
        if (len > MQTT_CACHED_TOPIC_MAX)
                return err_set(e, "longer than %d bytes", MQTT_CACHED_TOPIC_MAX);
        if (!text_is_utf8(pattern, len))
                return err_set(e, "not valid UTF-8");
        if (strncmp(pattern, "$share/", 7) == 0)
                return err_set(e, "shared subscriptions are not offered: they would tear a source's order apart");
        p->text = mem_strdup(pattern);
        p->filter = mem_alloc(len + 1);
        if (cut_levels(p, e) < 0) {
                mqtt_pattern_fini(p);
                return -1;
        }
        put_filter(p);
        return 0;
}

void mqtt_pattern_fini(struct mqtt_pattern *p)
{
        free(p->text);
        free(p->filter);
        p->text = p->filter = NULL;
}

static char *put_label(char *to, const char *from, const char *name, const char *value)
{
        if (to != from)
                *to++ = ',';
        *to++ = '"';
        to = stpcpy(to, name);
        to = stpcpy(to, "\":\"");
        to = stpcpy(to, value);
        return stpcpy(to, "\"");
}

static char *take_name(const struct mqtt_pattern *p, int i, const char *s, size_t len, struct mqtt_match *m,
                       char *labels)
{
        char name[TEXT_NAME_MAX + 1];
        char *out = i == p->source_level ? m->source : i == p->tag_level ? m->tag : name;

        if (text_map_name(out, s, len))
                m->mapped[m->n_mapped++] = table_hash(s, len, 0);
        return out == name ? put_label(labels, m->labels, p->level[i].text, name) : labels;
}

bool mqtt_pattern_match(const struct mqtt_pattern *p, const char *topic, struct mqtt_match *m)
{
        const char *s = topic;
        char *labels = m->labels;

        m->source[0] = m->tag[0] = m->labels[0] = '\0';
        m->n_mapped = 0;
        if (*topic == '$' && p->level[0].kind != MQTT_LEVEL_TEXT) /* 4.7.2: a wildcard is not for the broker's own */
                return false;
        for (int i = 0; i < p->n_levels; i++) {
                const struct mqtt_level *l = &p->level[i];
                size_t len;

                if (l->kind == MQTT_LEVEL_REST)
                        return true;
                if (!s)
                        return false;
                len = strcspn(s, "/");
                if (l->kind == MQTT_LEVEL_TEXT && (strncmp(l->text, s, len) != 0 || l->text[len]))
                        return false;
                if (l->kind == MQTT_LEVEL_NAME)
                        labels = take_name(p, i, s, len, m, labels);
                s = s[len] ? s + len + 1 : NULL;
        }
        return !s;
}

unsigned mqtt_mapped_add(struct changed_names *changed, const struct mqtt_match *match)
{
        unsigned n = 0;

        for (unsigned i = 0; i < match->n_mapped; i++)
                n += changed_names_add(changed, match->mapped[i]);
        return n;
}

/* ---- known topics ---- */

struct slot {
        uint64_t hash;
        struct known *known; /* NULL: free */
};

struct known {
        size_t len;
        char *topic; /* behind the tags */
        struct mqtt_route route;
};

struct mqtt_topics {
        struct slot *slots;
        size_t n_slots; /* a power of two, at least twice n */
        size_t n, most;
};

struct mqtt_topics *mqtt_topics_new(size_t most)
{
        struct mqtt_topics *t = mem_alloc(sizeof(*t));

        t->most = most;
        t->n_slots = 256;
        t->slots = mem_alloc(t->n_slots * sizeof(*t->slots));
        return t;
}

void mqtt_topics_free(struct mqtt_topics *t)
{
        if (!t)
                return;
        for (size_t i = 0; i < t->n_slots; i++) {
                struct mqtt_route *next = t->slots[i].known ? t->slots[i].known->route.next : NULL;

                for (struct mqtt_route *r = next; r; r = next) {
                        next = r->next;
                        free(r);
                }
                free(t->slots[i].known);
        }
        free(t->slots);
        free(t);
}

static struct slot *find_slot(const struct mqtt_topics *t, uint64_t hash, const char *topic, size_t len)
{
        size_t i = hash & (t->n_slots - 1);

        for (;; i = (i + 1) & (t->n_slots - 1)) {
                struct slot *s = &t->slots[i];

                if (!s->known)
                        return s;
                if (s->hash == hash && s->known->len == len && memcmp(s->known->topic, topic, len) == 0)
                        return s;
        }
}

struct mqtt_route *mqtt_topics_find(const struct mqtt_topics *t, const char *topic, size_t len)
{
        struct known *k = find_slot(t, table_hash(topic, len, 0), topic, len)->known;

        return k ? &k->route : NULL;
}

static void grow(struct mqtt_topics *t)
{
        struct slot *old = t->slots;
        size_t n_old = t->n_slots;

        t->n_slots *= 2;
        t->slots = mem_alloc(t->n_slots * sizeof(*t->slots));
        for (size_t i = 0; i < n_old; i++)
                if (old[i].known)
                        *find_slot(t, old[i].hash, old[i].known->topic, old[i].known->len) = old[i];
        free(old);
}

struct mqtt_route *mqtt_topics_add(struct mqtt_topics *t, const char *topic, size_t len, uint16_t sub, uint16_t n_tags)
{
        size_t tags_bytes = n_tags * sizeof(uint32_t);
        uint64_t hash = table_hash(topic, len, 0);
        struct known *k;

        if (t->n >= t->most || len > MQTT_CACHED_TOPIC_MAX)
                return NULL;
        if (2 * (t->n + 1) > t->n_slots)
                grow(t);
        k = mem_alloc(sizeof(*k) + tags_bytes + len);
        k->len = len;
        k->topic = (char *)k->route.tags + tags_bytes;
        memcpy(k->topic, topic, len);
        k->route.sub = sub;
        k->route.n_tags = n_tags;
        memset(k->route.tags, 0xff, tags_bytes);
        *find_slot(t, hash, topic, len) = (struct slot){hash, k};
        t->n++;
        return &k->route;
}

struct mqtt_route *mqtt_route_new(uint16_t sub, uint16_t n_tags)
{
        struct mqtt_route *r = mem_alloc(sizeof(*r) + n_tags * sizeof(uint32_t));

        r->sub = sub;
        r->n_tags = n_tags;
        memset(r->tags, 0xff, n_tags * sizeof(uint32_t));
        return r;
}

struct mqtt_route *mqtt_route_add(struct mqtt_route *last, uint16_t sub, uint16_t n_tags)
{
        last->next = mqtt_route_new(sub, n_tags);
        return last->next;
}
