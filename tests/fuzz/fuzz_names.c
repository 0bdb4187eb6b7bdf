/*
 * fuzz_names: any bytes as a name from the wire, as labels of a file, as what a
 * person types.
 *
 * Holds: what comes out is a name, of valid UTF-8, and a name that is one stays
 * as it is; what was changed without being cut says what was sent, so no two
 * names become one; a mark makes another name; labels of any kind make a text
 * within its bounds that means itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/tags.h"
#include "agent/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned hex_of(char c)
{
        return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

/* What was sent, out of the name; a _ stands for the next byte behind the ~. */
static size_t undo(const char *name, char *out)
{
        const char *tail = strchr(name, '~'), *hex = tail + 1;
        size_t n = 0;

        for (; name < tail; name++) {
                out[n++] = *name == '_' ? (char)(hex_of(hex[0]) << 4 | hex_of(hex[1])) : *name;
                hex += *name == '_' ? 2 : 0;
        }
        BUG_ON(*hex);
        return n;
}

static void check_name(const char *s, size_t len)
{
        char out[TEXT_NAME_MAX + 1], again[TEXT_NAME_MAX + 1], marked[TEXT_NAME_MAX + 1], sent[TEXT_NAME_MAX];
        bool changed = text_map_name(out, s, len);
        const char *tail = strchr(out, '~');

        BUG_ON(!text_is_name(out, strlen(out)) || !text_is_utf8(out, strlen(out)));
        BUG_ON(changed != text_map_name(again, s, len) || strcmp(out, again));
        text_mark_name(marked, s, len, 'z');
        BUG_ON(!text_is_name(marked, strlen(marked)) || !strcmp(marked, out));
        if (!changed) {
                BUG_ON(strlen(out) != len || memcmp(out, s, len) != 0 || tail);
                return;
        }
        BUG_ON(!tail);
        if (tail[1] != 'x' && len)
                BUG_ON(undo(out, sent) != len || memcmp(sent, s, len) != 0);
}

static void check_labels(const char *labels)
{
        char ident[TAGS_IDENT_MAX + 1], members[2 * TAGS_IDENT_MAX], event[4096];

        tags_put_ident(ident, "temp", labels);
        BUG_ON(strlen(ident) > TAGS_IDENT_MAX || strncmp(ident, "temp", 4) != 0);
        BUG_ON(!tags_ident_means(ident, ident) || !tags_ident_means(ident, "temp"));
        BUG_ON(tags_put_labels(members, sizeof(members), ident) >= sizeof(members));
        BUG_ON(tags_put_event_labels(event, sizeof(event), labels) >= sizeof(event));
        tags_labels_have(labels, "line=l2");
}

/* Two halves of the input, as a tag's name and as what somebody means. */
static void check_meant(const char *s, size_t len)
{
        char ident[TAGS_IDENT_MAX + 1];
        size_t n = len / 2 < TAGS_IDENT_MAX ? len / 2 : TAGS_IDENT_MAX;

        memcpy(ident, s, n);
        ident[n] = '\0';
        tags_ident_means(ident, s + len / 2);
        tags_labels_have(s, ident);
        if (tags_is_ident(s, len))
                BUG_ON(!tags_ident_means(s, s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = malloc(size + 1); /* so that a read behind the end is seen */
        size_t len;

        memcpy(text, data, size);
        text[size] = '\0';
        check_name(text, size);
        len = strlen(text);
        check_labels(text);
        check_meant(text, len);
        free(text);
        return 0;
}
