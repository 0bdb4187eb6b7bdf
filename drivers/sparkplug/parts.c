/*
 * parts: see parts.h.
 *
 * Names: the source of a reading is the device, or the edge node for the node's
 * own metrics; group and edge are labels, so that two nodes with devices of one
 * name have two tags.  A device that is called like its node gets "edge.edge",
 * or its tags would be the node's; one that is really called so, a mark.
 *
 * A part is made when its first message comes, also when that can't be read:
 * how often a rebirth was asked for has to be remembered somewhere.  The table
 * is full at 2,048; what comes then is refused by name.
 */
#include "drivers/sparkplug/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/table_hash.h"

#define REQUEST_FIRST_US INT64_C(5000000)
#define REQUEST_MAX_US   INT64_C(300000000)

static size_t make_key(char key[SPARKPLUG_TOPIC_MAX], const struct sparkplug_address *a, bool with_device)
{
        char *to = key;

        to = mempcpy(to, a->group, a->group_len);
        *to++ = '/';
        to = mempcpy(to, a->edge, a->edge_len);
        if (with_device) {
                *to++ = '/';
                to = mempcpy(to, a->device, a->device_len);
        }
        return (size_t)(to - key);
}

static size_t set_names(struct sparkplug_part *p, const struct sparkplug_address *a)
{
        char group[TEXT_NAME_MAX + 1], edge[TEXT_NAME_MAX + 1], both[SPARKPLUG_TOPIC_MAX], twice[TEXT_NAME_MAX + 1];
        size_t n_mapped = text_map_name(group, a->group, a->group_len);

        n_mapped += text_map_name(edge, a->edge, a->edge_len);
        snprintf(p->labels, sizeof(p->labels), "\"group\":\"%s\",\"edge\":\"%s\"", group, edge);
        if (!a->device_len) {
                memcpy(p->source, edge, sizeof(edge));
                return n_mapped;
        }
        snprintf(both, sizeof(both), "%.*s.%.*s", (int)a->edge_len, a->edge, (int)a->edge_len, a->edge);
        text_map_name(twice, both, strlen(both));
        n_mapped = text_map_name(p->source, a->device, a->device_len); /* the node has counted its own */
        if (!strcmp(p->source, twice)) {
                text_mark_name(p->source, a->device, a->device_len, 'z');
                return 1;
        }
        return strcmp(p->source, edge) ? n_mapped : text_map_name(p->source, both, strlen(both));
}

static uint16_t *find_slot(struct sparkplug_parts *t, const char *key, size_t len)
{
        enum { MASK = 2 * SPARKPLUG_PARTS_MAX - 1 };
        size_t i = table_hash(key, len, 0) & MASK;

        for (; t->slot[i]; i = (i + 1) & MASK) {
                const struct sparkplug_part *p = t->part[t->slot[i] - 1];

                if (p->key_len == len && memcmp(p->key, key, len) == 0)
                        break;
        }
        return &t->slot[i];
}

static struct sparkplug_part *get(struct sparkplug_parts *t, const struct sparkplug_address *a,
                                  struct sparkplug_part *node, size_t *n_mapped)
{
        char key[SPARKPLUG_TOPIC_MAX];
        size_t len = make_key(key, a, node);
        uint16_t *slot = find_slot(t, key, len);
        struct sparkplug_part *p;

        if (*slot)
                return t->part[*slot - 1];
        if (t->n == SPARKPLUG_PARTS_MAX)
                return NULL;
        if (t->n == t->cap) {
                t->cap = t->cap ? 2 * t->cap : 16;
                t->part = mem_grow(t->part, t->cap, sizeof(struct sparkplug_part *));
        }
        p = mem_alloc(sizeof(*p));
        p->key = mem_alloc(len + 1);
        memcpy(p->key, key, len);
        p->key_len = len;
        p->group_len = a->group_len;
        p->node = node ? node : p;
        p->seq = -1;
        p->backoff = (struct backoff){.first_us = REQUEST_FIRST_US, .most_us = REQUEST_MAX_US};
        p->next_request_us = INT64_MIN;
        *n_mapped += set_names(p, a);
        t->part[t->n++] = p;
        p->no = (uint32_t)t->n;
        *slot = (uint16_t)t->n;
        return p;
}

struct sparkplug_part *sparkplug_parts_get(struct sparkplug_parts *t, const struct sparkplug_address *a,
                                           size_t *n_mapped)
{
        struct sparkplug_address of_node = *a;
        struct sparkplug_part *node;

        of_node.device_len = 0;
        node = get(t, &of_node, NULL, n_mapped);
        return node && a->device_len ? get(t, a, node, n_mapped) : node;
}

void sparkplug_parts_fini(struct sparkplug_parts *t)
{
        for (size_t i = 0; i < t->n; i++) {
                sparkplug_birth_fini(&t->part[i]->birth);
                free(t->part[i]->key);
                free(t->part[i]);
        }
        free(t->part);
}
