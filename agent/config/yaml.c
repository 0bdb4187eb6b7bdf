/*
 * yaml: see yaml.h.  The only file with libyaml's yaml.h.
 *
 * Why two passes over a text: libyaml's documents know the line and column of
 * every node, but have already followed aliases and forgotten anchors, tags and
 * further documents.  So the events are read once for what is not allowed at
 * all, and how deep it goes; then the document is built and copied into nodes
 * of ours.  A text with an alias is not copied: shared nodes could make a small
 * file endless.
 *
 * The parser stops at the first thing that is no YAML.  A configuration is
 * sections, each of which begins a line, so then each is read by itself: the
 * others' faults are told in the same run, and a quote or a brace that is not
 * closed reaches no further than its section.
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
#include "agent/config/yaml_words.h"

enum { PARTS_MAX = 256 };

/* What is read: a file, or a section of it. */
struct text {
        struct faults *faults;
        const char *file, *s;
        size_t len;
        int first_line; /* of the file, from 0 */
};

static struct schema_at at_mark(const struct text *t, yaml_mark_t mark)
{
        return (struct schema_at){t->file, t->first_line + (int)mark.line + 1, (int)mark.column + 1};
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

/* The control character there; -1: it is none.  U+0085 is an end of a line. */
static int control_at(const char *s, size_t n)
{
        unsigned char c = (unsigned char)s[0], next = n > 1 ? (unsigned char)s[1] : 0;

        if (c == 0xc2 && next >= 0x80 && next < 0xa0 && next != 0x85)
                return next;
        return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f ? c : -1;
}

/*
 * What YAML takes for the end of a line, and no editor does: every line behind
 * it would be told of by another number.  The words for it, or NULL.
 */
static const char *odd_break(const char *s, size_t n)
{
        if (*s == '\r')
                return n > 1 && s[1] == '\n' ? NULL : "a carriage return without a line feed";
        if (n > 1 && memcmp(s, "\xc2\x85", 2) == 0)
                return "an end of a line that nobody sees (U+0085)";
        if (n > 2 && (memcmp(s, "\xe2\x80\xa8", 3) == 0 || memcmp(s, "\xe2\x80\xa9", 3) == 0))
                return s[2] == '\xa8' ? "an end of a line that nobody sees (U+2028)"
                                      : "an end of a paragraph that nobody sees (U+2029)";
        return NULL;
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
                int c = control_at(text + i, len - i);

                if (c < 0)
                        continue;
                at = at_offset(file, text, i);
                faults_add(faults, &at, "",
                           c < 0x80 ? "a control character (byte 0x%02x); allowed: UTF-8 text"
                                    : "a control character (U+00%02X); allowed: UTF-8 text",
                           (unsigned)c);
                return -1;
        }
        for (size_t i = 0; i < len; i++) {
                const char *what = odd_break(text + i, len - i);

                if (!what)
                        continue;
                at = at_offset(file, text, i);
                faults_add(faults, &at, "", "%s; allowed: line feeds", what);
                return -1;
        }
        if (text_is_utf8(text, len))
                return 0;
        at = at_offset(file, text, first_not_utf8(text, len));
        faults_add(faults, &at, "", "bytes that are not UTF-8; allowed: UTF-8 text");
        return -1;
}

static void fault_yaml(const struct text *t, const yaml_parser_t *p)
{
        struct yaml_trouble trouble = {.context = p->context,
                                       .problem = p->problem,
                                       .at = {p->problem_mark.line, p->problem_mark.column},
                                       .begin = {p->context_mark.line, p->context_mark.column}};
        struct schema_at at = at_offset(t->file, t->s, p->problem_offset < t->len ? p->problem_offset : t->len);
        char words[400];
        struct yaml_spot spot;

        if (!p->context)
                trouble.begin = trouble.at;
        spot = yaml_words(t->s, t->len, &trouble, words, sizeof(words));
        if (p->error != YAML_READER_ERROR)
                at = (struct schema_at){t->file, (int)spot.line + 1, (int)spot.column + 1};
        at.line += t->first_line;
        faults_add(t->faults, &at, "", "%s", words);
}

/* What the events of one text say, while they are read. */
struct scan {
        const struct text *text;
        int depth, documents;
        bool walkable, is_yaml;
};

__attribute__((format(printf, 4, 5))) static void scan_fault(struct scan *s, yaml_mark_t mark, bool stops,
                                                             const char *fmt, ...)
{
        struct schema_at at = at_mark(s->text, mark);
        struct err e;
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(e.text, sizeof(e.text), fmt, ap);
        va_end(ap);
        faults_add(s->text->faults, &at, "", "%s", e.text);
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
                scan_fault(s, event->start_mark, true,
                           "an alias (*%s); allowed: the value, written out, or in quotes a text that begins "
                           "with *",
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

static struct scan scan_text(const struct text *t)
{
        struct scan s = {.text = t, .walkable = true, .is_yaml = true};
        yaml_parser_t parser;
        bool more = true;

        BUG_ON(!yaml_parser_initialize(&parser));
        yaml_parser_set_input_string(&parser, (const unsigned char *)t->s, t->len);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        while (more) {
                yaml_event_t event;

                if (!yaml_parser_parse(&parser, &event)) {
                        fault_yaml(t, &parser);
                        s.walkable = s.is_yaml = false;
                        break;
                }
                more = event.type != YAML_STREAM_END_EVENT && scan_event(&s, &event);
                yaml_event_delete(&event);
        }
        yaml_parser_delete(&parser);
        return s;
}

static struct node *copy_node(struct arena *arena, const struct text *t, yaml_document_t *doc, int index)
{
        const yaml_node_t *from = yaml_document_get_node(doc, index);
        struct node *node = arena_alloc(arena, sizeof(*node));

        node->line = t->first_line + (int)from->start_mark.line + 1;
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
                        node->items[node->n++] = copy_node(arena, t, doc, *item);
        } else {
                const yaml_node_pair_t *pair = from->data.mapping.pairs.start;

                node->kind = NODE_MAP;
                node->braces = from->data.mapping.style == YAML_FLOW_MAPPING_STYLE;
                node->items =
                        arena_alloc(arena, (size_t)(from->data.mapping.pairs.top - pair) * 2 * sizeof(*node->items));
                for (; pair < from->data.mapping.pairs.top; pair++) {
                        node->items[node->n++] = copy_node(arena, t, doc, pair->key);
                        node->items[node->n++] = copy_node(arena, t, doc, pair->value);
                }
        }
        return node;
}

/* 0 or -1; *is_yaml: whatever else is wrong. */
static int read_text(struct arena *arena, const struct text *t, struct node **root, bool *is_yaml)
{
        size_t before = t->faults->n + t->faults->n_more;
        struct scan scan = scan_text(t);
        yaml_parser_t parser;
        yaml_document_t doc;
        int rc = 0;

        *is_yaml = scan.is_yaml;
        if (!scan.walkable)
                return -1;
        BUG_ON(!yaml_parser_initialize(&parser));
        yaml_parser_set_input_string(&parser, (const unsigned char *)t->s, t->len);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        if (yaml_parser_load(&parser, &doc)) {
                if (yaml_document_get_root_node(&doc))
                        *root = copy_node(arena, t, &doc, 1);
                yaml_document_delete(&doc);
        } else {
                if (t->faults->n + t->faults->n_more == before)
                        fault_yaml(t, &parser);
                rc = -1;
        }
        yaml_parser_delete(&parser);
        return rc;
}

/* ---- section by section ---- */

/* Of the section that begins at `from`: up to the next line that begins one. */
static size_t part_end(const struct text *t, size_t from)
{
        const char *s = t->s + from, *end = t->s + t->len;

        while ((s = memchr(s, '\n', (size_t)(end - s))) && ++s < end)
                if (text_is_name(s, 1) && *s != '-' && *s != '.')
                        return (size_t)(s - t->s);
        return t->len;
}

static void take_part(struct arena *arena, struct node *root, const struct node *part)
{
        struct node **items = arena_alloc(arena, (root->n + part->n) * sizeof(*items));

        if (root->n)
                memcpy(items, root->items, root->n * sizeof(*items));
        if (part->n)
                memcpy(items + root->n, part->items, part->n * sizeof(*items));
        root->items = items;
        root->n += part->n;
}

/* A section's first line without a colon is a single value, and sound YAML. */
static void fault_part(const struct text *t, const struct node *part)
{
        struct yaml_spot at = {(size_t)(part->line - 1 - t->first_line), (size_t)part->column - 1};
        struct yaml_trouble trouble = {"a section", "did not find expected ':'", at, at};
        char words[400];
        struct yaml_spot spot = yaml_words(t->s, t->len, &trouble, words, sizeof(words));
        struct schema_at where = {t->file, t->first_line + (int)spot.line + 1, (int)spot.column + 1};

        faults_add(t->faults, &where, "", "%s", words);
}

/*
 * The map of those that could be read, NULL: there is no use in it.  Faults of
 * the others are told; none: they are sound by themselves.
 */
static struct node *read_parts(struct arena *arena, const struct text *whole)
{
        struct node *root = arena_alloc(arena, sizeof(*root));
        struct text t = *whole;
        size_t n = 0, end;

        *root = (struct node){.kind = NODE_MAP, .line = 1, .column = 1};
        for (size_t at = 0; at < whole->len && n < PARTS_MAX; at = end, n++) {
                struct node *part = NULL;
                bool is_yaml;

                end = part_end(whole, at);
                t.s = whole->s + at;
                t.len = end - at;
                if (read_text(arena, &t, &part, &is_yaml) == 0 && part && part->kind == NODE_MAP)
                        take_part(arena, root, part);
                else if (part)
                        fault_part(&t, part);
                for (size_t i = at; i < end; i++)
                        t.first_line += whole->s[i] == '\n';
        }
        return n < PARTS_MAX ? root : NULL;
}

/* A byte order mark, which some editors put in front, says nothing. */
static size_t mark_len(const char *text, size_t len)
{
        return len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

int config_yaml(struct arena *arena, struct faults *faults, const char *file, const char *text, size_t len,
                const struct node **root)
{
        size_t skip = mark_len(text, len);
        const struct text t = {faults, file, text + skip, len - skip, 0};
        size_t before = faults->n;
        struct node *got = NULL, *parts;
        bool is_yaml;
        int rc;

        *root = NULL;
        if (check_bytes(faults, file, t.s, t.len) < 0)
                return -1;
        rc = read_text(arena, &t, &got, &is_yaml);
        *root = got;
        if (rc == 0 || is_yaml || faults->n == FAULTS_MAX)
                return rc;
        faults->n = before; /* the sections tell it, and nearer to its place */
        parts = read_parts(arena, &t);
        *root = parts;
        if (faults->n == before) {
                *root = NULL;
                read_text(arena, &t, &got, &is_yaml);
        }
        return -1;
}
