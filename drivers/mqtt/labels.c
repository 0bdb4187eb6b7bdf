/*
 * labels: see labels.h.
 *
 * Two series that differ in a tag are two tags of ours: all tags of a line
 * become labels.  Names and values are mapped as those of topics are; a name
 * that the record has a member of is written with tag_ in front.
 *
 * Cannot fail: a line has no more tags than labels may be, and the buffer
 * grows.
 */
#include "drivers/mqtt/labels.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "drivers/mqtt/topic.h"

void mqtt_labels_make(const struct payload_influx *line, struct payload_texts *b, struct payload_text *out)
{
        char key[TEXT_NAME_MAX + 1], value[TEXT_NAME_MAX + 1], member[2 * TEXT_NAME_MAX + 16];
        size_t from = b->n;

        for (size_t i = 0; i < line->n_tags; i++) {
                int n;

                text_map_name(key, line->key[i].at, line->key[i].len);
                text_map_name(value, line->tag[i].at, line->tag[i].len);
                n = snprintf(member, sizeof(member), "%s\"%s%s\":\"%s\"", i ? "," : "",
                             mqtt_label_is_taken(key) ? "tag_" : "", key, value);
                payload_texts_put(b, member, (size_t)n);
        }
        *out = (struct payload_text){(const char *)(uintptr_t)from, (uint32_t)(b->n - from), true};
}
