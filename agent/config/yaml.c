/*
 * yaml: see yaml.h.  The only file with yaml.h.
 *
 * Why two passes over a text: libyaml's documents know the line and column of
 * every node, but have already followed aliases and forgotten anchors, tags and
 * further documents.  So the events are read once for what is not allowed at
 * all, and how deep it goes; then the document is built and copied into nodes
 * of ours.  A text with an alias is not copied: shared nodes could make a small
 * file endless.
 *
 * Fails with a fault at its line and column; what would only be told again (an
 * alias that leads nowhere) is not.
 */
#include "agent/config/yaml.h"

#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/config/scalar.h"

static struct schema_at at_mark(const char *file, yaml_mark_t mark)
{
        return (struct schema_at){file, (int)mark.line + 1, (int)mark.column + 1};
}

static struct schema_at at_offset(const char *file, const char *text, size_t offset)
{
        struct schema_at at = {file, 1, 1};

        for (size_t i = 0; i < offset; i++) {
                if (text[i] == '\n') {
                        at.line++;
                        at.column = 1;
                } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
                        at.column++;
                }
        }
        return at;
}

static bool is_control(unsigned char c)
{
        return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

/* The first byte that belongs to no UTF-8 sequence; len: there is none. */
static size_t first_not_utf8(const char *text, size_t len)
{
        size_t i = 0;

        while (i < len) {
                size_t n = 1;

                while (n <= 4 && (i + n > len || !text_is_utf8(text + i, n)))
                        n++;
                if (n > 4)
                        break;
                i += n;
        }
        return i;
}

/*
 * Bytes that no configuration has, told here because libyaml names no line for
 * them.
 */
static int check_bytes(struct faults *faults, const char *file, const char *text, size_t len)
{
        struct schema_at at = {file, 0, 0};

        if (len > CONFIG_BYTES_MAX) {
                faults_add(faults, &at, "", "the file is too large (%zu bytes); allowed: 1 MiB", len);
                return -1;
        }
        for (size_t i = 0; i < len; i++) {
                if (!is_control((unsigned char)text[i]))
                        continue;
                at = at_offset(file, text, i);
                faults_add(faults, &at, "", "a control character (byte 0x%02x); allowed: UTF-8 text",
                           (unsigned char)text[i]);
                return -1;
        }
        if (text_is_utf8(text, len))
                return 0;
        at = at_offset(file, text, first_not_utf8(text, len));
        faults_add(faults, &at, "", "bytes that are not UTF-8; allowed: UTF-8 text");
        return -1;
}

static void fault_yaml(struct faults *faults, const char *file, const char *text, size_t len, const yaml_parser_t *p)
{
        struct schema_at at = at_mark(file, p->problem_mark);

        if (p->error == YAML_READER_ERROR)
                at = at_offset(file, text, p->problem_offset < len ? p->problem_offset : len);
        faults_add(faults, &at, "", "not YAML: %s%s%s", p->context ? p->context : "", p->context ? ", " : "",
                   p->problem ? p->problem : "it can't be read");
}

/* What the events of one text say, while they are read. */
struct scan {
        struct faults *faults;
        const char *file;
        int depth, documents;
        bool walkable;
};

__attribute__((format(printf, 4, 5))) static void scan_fault(struct scan *s, yaml_mark_t mark, bool stops,
                                                             const char *fmt, ...)
{
        struct schema_at at = at_mark(s->file, mark);
        struct err e;
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(e.text, sizeof(e.text), fmt, ap);
        va_end(ap);
        faults_add(s->faults, &at, "", "%s", e.text);
        s->walkable = s->walkable && !stops;
}

static void scan_marks(struct scan *s, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
        char shown[72];

        if (anchor)
                scan_fault(s, event->start_mark, false, "an anchor (&%s); allowed: plain values only",
                           config_show(shown, sizeof(shown), (const char *)anchor, strlen((const char *)anchor)));
        if (tag)
                scan_fault(s, event->start_mark, false, "a tag (%s); allowed: values without a tag",
                           config_show(shown, sizeof(shown), (const char *)tag, strlen((const char *)tag)));
}

/* False: no use in reading on. */
static bool scan_event(struct scan *s, const yaml_event_t *event)
{
        char shown[72];

        switch (event->type) {
        case YAML_DOCUMENT_START_EVENT:
                if (++s->documents == 2)
                        scan_fault(s, event->start_mark, true, "a second document begins; allowed: one");
                return s->documents < 2;
        case YAML_ALIAS_EVENT:
                scan_fault(s, event->start_mark, true, "an alias (*%s); allowed: the value, written out",
                           config_show(shown, sizeof(shown), (const char *)event->data.alias.anchor,
                                       strlen((const char *)event->data.alias.anchor)));
                return true;
        case YAML_SCALAR_EVENT:
                scan_marks(s, event, event->data.scalar.anchor, event->data.scalar.tag);
                return true;
        case YAML_SEQUENCE_START_EVENT:
                scan_marks(s, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
                break;
        case YAML_MAPPING_START_EVENT:
                scan_marks(s, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
                break;
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
                s->depth--;
                return true;
        default:
                return true;
        }
        if (++s->depth > CONFIG_DEPTH_MAX)
                scan_fault(s, event->start_mark, true, "nested too deep; allowed: %d levels", CONFIG_DEPTH_MAX);
        return s->depth <= CONFIG_DEPTH_MAX;
}

static bool scan_text(struct faults *faults, const char *file, const char *text, size_t len)
{
        struct scan s = {.faults = faults, .file = file, .walkable = true};
        yaml_parser_t parser;
        bool more = true;

        BUG_ON(!yaml_parser_initialize(&parser));
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        while (more) {
                yaml_event_t event;

                if (!yaml_parser_parse(&parser, &event)) {
                        fault_yaml(faults, file, text, len, &parser);
                        s.walkable = false;
                        break;
                }
                more = event.type != YAML_STREAM_END_EVENT && scan_event(&s, &event);
                yaml_event_delete(&event);
        }
        yaml_parser_delete(&parser);
        return s.walkable;
}

static struct node *copy_node(struct arena *arena, yaml_document_t *doc, int index)
{
        const yaml_node_t *from = yaml_document_get_node(doc, index);
        struct node *node = arena_alloc(arena, sizeof(*node));

        node->line = (int)from->start_mark.line + 1;
        node->column = (int)from->start_mark.column + 1;
        if (from->type == YAML_SCALAR_NODE) {
                node->kind = NODE_SCALAR;
                node->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
                node->len = from->data.scalar.length;
                node->text = arena_text(arena, (const char *)from->data.scalar.value, node->len);
        } else if (from->type == YAML_SEQUENCE_NODE) {
                const yaml_node_item_t *item = from->data.sequence.items.start;

                node->kind = NODE_LIST;
                node->items = arena_alloc(arena, (size_t)(from->data.sequence.items.top - item) * sizeof(*node->items));
                for (; item < from->data.sequence.items.top; item++)
                        node->items[node->n++] = copy_node(arena, doc, *item);
        } else {
                const yaml_node_pair_t *pair = from->data.mapping.pairs.start;

                node->kind = NODE_MAP;
                node->items =
                        arena_alloc(arena, (size_t)(from->data.mapping.pairs.top - pair) * 2 * sizeof(*node->items));
                for (; pair < from->data.mapping.pairs.top; pair++) {
                        node->items[node->n++] = copy_node(arena, doc, pair->key);
                        node->items[node->n++] = copy_node(arena, doc, pair->value);
                }
        }
        return node;
}

int config_yaml(struct arena *arena, struct faults *faults, const char *file, const char *text, size_t len,
                const struct node **root)
{
        size_t before = faults->n + faults->n_more;
        yaml_parser_t parser;
        yaml_document_t doc;
        int rc = 0;

        *root = NULL;
        if (check_bytes(faults, file, text, len) < 0 || !scan_text(faults, file, text, len))
                return -1;
        BUG_ON(!yaml_parser_initialize(&parser));
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        if (yaml_parser_load(&parser, &doc)) {
                if (yaml_document_get_root_node(&doc))
                        *root = copy_node(arena, &doc, 1);
                yaml_document_delete(&doc);
        } else {
                if (faults->n + faults->n_more == before)
                        fault_yaml(faults, file, text, len, &parser);
                rc = -1;
        }
        yaml_parser_delete(&parser);
        return rc;
}
