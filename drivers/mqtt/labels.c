/*
 * labels: see labels.h.
 *
 * Two series that differ in a tag are two tags of ours: all tags of a line
 * become labels.  Names and values are mapped as those of topics are; a name
 * that the record or the topic has already is marked, so that it is another.
 *
 * Cannot fail: a line has no more tags than labels may be, and the buffer
 * grows.
 */
#include "drivers/mqtt/labels.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/mqtt/topic.h"

/* By the record, or by a level of the topic. */
static bool is_taken(const char *topic, const char *name)
{
        char level[TEXT_NAME_MAX + 1];

        if (!strcmp(name, "source") || !strcmp(name, "tag") || mqtt_label_is_taken(name))
                return true;
        while ((topic = strchr(topic, '{'))) {
                size_t len = strcspn(++topic, "}");

                if (text_read_name(level, topic, len) && !strcmp(level, name))
                        return true;
                topic += len;
        }
        return false;
}

/* By a tag in front of it in the line, whose name was typed otherwise. */
static bool is_before(const struct payload_influx *line, size_t i, const char *name)
{
        char key[TEXT_NAME_MAX + 1];
        bool found = false;

        for (size_t k = 0; k < i && !found; k++) {
                text_map_name(key, line->key[k].at, line->key[k].len);
                found = !strcmp(key, name);
        }
        return found;
}

void mqtt_labels_make(const struct payload_influx *line, const char *topic, struct payload_texts *b,
                      struct payload_text *out)
{
        char key[TEXT_NAME_MAX + 1], value[TEXT_NAME_MAX + 1], member[2 * TEXT_NAME_MAX + 16];
        size_t from = b->n;

        for (size_t i = 0; i < line->n_tags; i++) {
                int n;

                text_map_name(key, line->key[i].at, line->key[i].len);
                if (is_taken(topic, key))
                        text_mark_name(key, line->key[i].at, line->key[i].len, 'z');
                else if (i && !text_is_ascii_name(key, strlen(key)) &&
                         is_before(line, i, key)) /* nothing else joins them */
                        text_mark_name(key, line->key[i].at, line->key[i].len, 'y');
                text_map_name(value, line->tag[i].at, line->tag[i].len);
                n = snprintf(member, sizeof(member), "%s\"%s\":\"%s\"", i ? "," : "", key, value);
                payload_texts_put(b, member, (size_t)n);
        }
        *out = (struct payload_text){(const char *)(uintptr_t)from, (uint32_t)(b->n - from), true};
}
