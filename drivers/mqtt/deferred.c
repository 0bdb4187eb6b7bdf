/*
 * deferred: see deferred.h.
 *
 * The library's message is gone after the callback, so each is copied into one
 * piece of memory, identifiers, topic and payload behind the struct.  That
 * happens when the spool takes nothing more, not for each reading.
 *
 * How it fails: a broker that packs more than the limit into what is read at
 * once loses its connection; nothing of it was acknowledged, so it comes again.
 */
#include "drivers/mqtt/deferred.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

struct waiting {
        struct list node;
        struct mqtt_message msg;
        size_t n_bytes;
};

void mqtt_deferred_init(struct mqtt_deferred *q)
{
        list_init(&q->waiting);
        q->n_bytes = 0;
}

bool mqtt_deferred_add(struct mqtt_deferred *q, const struct mqtt_message *msg)
{
        size_t topic_size = strlen(msg->topic) + 1, ids_size = msg->n_ids * sizeof(*msg->ids);
        size_t n_bytes = sizeof(struct waiting) + ids_size + topic_size + msg->len;
        struct waiting *w;
        char *topic, *payload;

        if (!mqtt_deferred_empty(q) &&
            (q->n_bytes > MQTT_DEFERRED_BYTES_MAX || n_bytes > MQTT_DEFERRED_BYTES_MAX - q->n_bytes))
                return false;
        w = mem_alloc(n_bytes);
        topic = (char *)(w + 1) + ids_size;
        payload = topic + topic_size;
        w->n_bytes = n_bytes;
        w->msg = *msg;
        if (ids_size)
                w->msg.ids = memcpy(w + 1, msg->ids, ids_size);
        w->msg.topic = memcpy(topic, msg->topic, topic_size);
        if (msg->len)
                w->msg.payload = memcpy(payload, msg->payload, msg->len);
        list_init(&w->node);
        list_append(&q->waiting, &w->node);
        q->n_bytes += n_bytes;
        return true;
}

const struct mqtt_message *mqtt_deferred_first(const struct mqtt_deferred *q)
{
        return mqtt_deferred_empty(q) ? NULL : &list_entry(q->waiting.next, struct waiting, node)->msg;
}

void mqtt_deferred_drop_first(struct mqtt_deferred *q)
{
        struct waiting *w = list_entry(list_take(&q->waiting), struct waiting, node);

        q->n_bytes -= w->n_bytes;
        free(w);
}
