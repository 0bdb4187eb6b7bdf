/*
 * config_walk: see config_walk.h.  The only file with yaml.h.
 *
 * Why two passes over a text: libyaml's documents know the line and column of every node, but have already followed
 * aliases and forgotten anchors, tags and further documents.  So the events are read once for what is not allowed at
 * all (an alias also stops the walk: shared nodes could make a small file endless), then the document is built and
 * compared with the tables, row by row.  The walk goes only where a table leads, so its depth is the tables', not
 * the file's.
 *
 * Fails: never half.  Every fault is added to the list and the walk goes on with the next key; a table's own check()
 * runs only for what is otherwise right, so that one mistake is told once.  A struct that was filled with faults is
 * not used.
 */
#include "agent/config_walk.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/config_scalar.h"

enum { KEYS_MOST = 64 };

struct source {
        struct source *next;
        const char *file;
        yaml_document_t doc;
        yaml_node_t *root; /* a map; NULL: empty */
};

/* A node and the text it is from. */
struct ref {
        const struct source *src;
        yaml_node_t *node;
};

struct pair {
        struct ref key, value;
};

struct walk {
        struct arena *arena; /* of what is filled */
        struct arena own;    /* of the places */
        struct faults *faults;
        struct source *sources, **sources_end;
        const char *first_file;
        struct walk_place *places;
        size_t n_places, cap_places;
        char path[512];
        size_t path_len;
};

struct walk *walk_new(struct arena *arena, struct faults *faults)
{
        struct walk *w = mem_alloc(sizeof(*w));

        w->arena = arena;
        w->faults = faults;
        w->sources_end = &w->sources;
        return w;
}

void walk_free(struct walk *w)
{
        while (w->sources) {
                struct source *src = w->sources;

                w->sources = src->next;
                yaml_document_delete(&src->doc);
                free(src);
        }
        arena_release(&w->own);
        free(w->places);
        free(w);
}

/* ---- places and paths ---- */

static struct schema_at at_mark(const char *file, yaml_mark_t mark)
{
        return (struct schema_at){file, (int)mark.line + 1, (int)mark.column + 1};
}

static struct schema_at at_ref(struct ref r)
{
        return at_mark(r.src->file, r.node->start_mark);
}

__attribute__((format(printf, 2, 3))) static size_t path_push(struct walk *w, const char *fmt, ...)
{
        size_t before = w->path_len, room = sizeof(w->path) - before;
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(w->path + before, room, fmt, ap);
        va_end(ap);
        w->path_len += (size_t)n < room ? (size_t)n : room - 1;
        return before;
}

static size_t path_key(struct walk *w, const char *name)
{
        return path_push(w, "%s%.80s", w->path_len ? "." : "", name);
}

static void path_pop(struct walk *w, size_t before)
{
        w->path_len = before;
        w->path[before] = '\0';
}

static void note_place(struct walk *w, const void *field, const struct schema_key *key, struct ref r)
{
        if (w->n_places == w->cap_places) {
                w->cap_places = w->cap_places ? w->cap_places * 2 : 64;
                w->places = mem_grow(w->places, w->cap_places, sizeof(*w->places));
        }
        w->places[w->n_places++] =
                (struct walk_place){field, key, at_ref(r), arena_text(&w->own, w->path, w->path_len)};
}

/* A struct and its first member share an address, so the last one noted is the innermost. */
const struct walk_place *walk_find(const struct walk *w, const void *field)
{
        for (size_t i = w->n_places; i-- > 0;) {
                if (w->places[i].field == field)
                        return &w->places[i];
        }
        return NULL;
}

size_t walk_places(const struct walk *w, const struct walk_place **out)
{
        *out = w->places;
        return w->n_places;
}

void walk_fault(struct walk *w, const void *field, const char *fmt, ...)
{
        const struct walk_place *place = walk_find(w, field);
        struct schema_at nowhere = {w->first_file, 1, 1};
        struct err e;
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(e.text, sizeof(e.text), fmt, ap);
        va_end(ap);
        faults_add(w->faults, place ? &place->at : &nowhere, place ? place->path : "", "%s", e.text);
}

static void fault_here(struct walk *w, struct ref r, const char *text)
{
        struct schema_at at = at_ref(r);

        faults_add(w->faults, &at, w->path, "%s", text);
}

static size_t n_faults(const struct walk *w)
{
        return w->faults->n + w->faults->n_more;
}

/* ---- a text, before any table ---- */

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

/* Bytes that no configuration has, told here because libyaml names no line for them. */
static int check_bytes(struct walk *w, const char *file, const char *text, size_t len)
{
        struct schema_at at = {file, 0, 0};

        if (len > CONFIG_BYTES_MOST) {
                faults_add(w->faults, &at, "", "the file is too large (%zu bytes); allowed: 1 MiB", len);
                return -1;
        }
        for (size_t i = 0; i < len; i++) {
                if (!is_control((unsigned char)text[i]))
                        continue;
                at = at_offset(file, text, i);
                faults_add(w->faults, &at, "", "a control character (byte 0x%02x); allowed: UTF-8 text",
                           (unsigned char)text[i]);
                return -1;
        }
        if (text_is_utf8(text, len))
                return 0;
        at = at_offset(file, text, first_not_utf8(text, len));
        faults_add(w->faults, &at, "", "bytes that are not UTF-8; allowed: UTF-8 text");
        return -1;
}

static void fault_yaml(struct walk *w, const char *file, const char *text, size_t len, const yaml_parser_t *p)
{
        struct schema_at at = at_mark(file, p->problem_mark);

        if (p->error == YAML_READER_ERROR)
                at = at_offset(file, text, p->problem_offset < len ? p->problem_offset : len);
        faults_add(w->faults, &at, "", "not YAML: %s%s%s", p->context ? p->context : "", p->context ? ", " : "",
                   p->problem ? p->problem : "it can't be read");
}

/* What the events of one text say, while they are read. */
struct scan {
        struct walk *w;
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
        faults_add(s->w->faults, &at, "", "%s", e.text);
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
        if (++s->depth > CONFIG_DEPTH_MOST)
                scan_fault(s, event->start_mark, true, "nested too deep; allowed: %d levels", CONFIG_DEPTH_MOST);
        return s->depth <= CONFIG_DEPTH_MOST;
}

static bool scan_text(struct walk *w, const char *file, const char *text, size_t len)
{
        struct scan s = {.w = w, .file = file, .walkable = true};
        yaml_parser_t parser;
        bool more = true;

        BUG_ON(!yaml_parser_initialize(&parser));
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        while (more) {
                yaml_event_t event;

                if (!yaml_parser_parse(&parser, &event)) {
                        fault_yaml(w, file, text, len, &parser);
                        s.walkable = false;
                        break;
                }
                more = event.type != YAML_STREAM_END_EVENT && scan_event(&s, &event);
                yaml_event_delete(&event);
        }
        yaml_parser_delete(&parser);
        return s.walkable;
}

static bool is_nothing(const yaml_node_t *node)
{
        const char *s;

        if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
                return false;
        s = (const char *)node->data.scalar.value;
        return !*s || strcmp(s, "~") == 0 || strcasecmp(s, "null") == 0;
}

static int take_root(struct walk *w, struct source *src, bool may_be_empty)
{
        yaml_node_t *root = yaml_document_get_root_node(&src->doc);
        struct schema_at at = {src->file, 1, 1};

        if (!root || is_nothing(root)) {
                if (may_be_empty)
                        return 0;
                faults_add(w->faults, &at, "", "the file is empty; a configuration is needed");
                return -1;
        }
        at = at_mark(src->file, root->start_mark);
        if (root->type != YAML_MAPPING_NODE) {
                faults_add(w->faults, &at, "", "%s; allowed: a map of sections (section: …)",
                           root->type == YAML_SEQUENCE_NODE ? "the file is a list" : "the file is a single value");
                return -1;
        }
        src->root = root;
        return 0;
}

int walk_add(struct walk *w, const char *file, const char *text, size_t len, bool may_be_empty)
{
        struct source *src;
        yaml_parser_t parser;

        file = faults_file(w->faults, file);
        if (!w->first_file)
                w->first_file = file;
        if (check_bytes(w, file, text, len) < 0 || !scan_text(w, file, text, len))
                return -1;
        src = mem_alloc(sizeof(*src));
        src->file = arena_text(w->arena, file, strlen(file));
        BUG_ON(!yaml_parser_initialize(&parser));
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        if (!yaml_parser_load(&parser, &src->doc)) {
                fault_yaml(w, file, text, len, &parser);
                yaml_parser_delete(&parser);
                free(src);
                return -1;
        }
        yaml_parser_delete(&parser);
        *w->sources_end = src;
        w->sources_end = &src->next;
        return take_root(w, src, may_be_empty);
}

/* ---- values against tables ---- */

static void fill_map(struct walk *w, const struct schema *schema, void *obj, const struct schema_at *at,
                     const struct pair *pairs, size_t n);

static void fault_kind(struct walk *w, const struct schema_key *key, struct ref r)
{
        char allowed[256], text[400];
        const char *found = r.node->type == YAML_SEQUENCE_NODE  ? "a list is written here"
                            : r.node->type == YAML_MAPPING_NODE ? "a map is written here"
                            : is_nothing(r.node)                ? "nothing is written here"
                                                                : "a single value is written here";

        config_allowed(key, allowed, sizeof(allowed));
        snprintf(text, sizeof(text), "%s; allowed: %s", found, allowed);
        fault_here(w, r, text);
}

static void fill_scalar(struct walk *w, const struct schema_key *key, enum schema_type type, void *field, struct ref r)
{
        struct err e;

        if (r.node->type != YAML_SCALAR_NODE) {
                fault_kind(w, key, r);
                return;
        }
        note_place(w, field, key, r);
        if (config_scalar(key, type, (const char *)r.node->data.scalar.value, r.node->data.scalar.length,
                          r.node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, field, w->arena, &e) < 0)
                fault_here(w, r, e.text);
}

static void fill_node(struct walk *w, const struct schema *schema, void *obj, const struct schema_key *key,
                      struct ref r)
{
        struct schema_at at = at_ref(r);
        yaml_node_pair_t *p;
        struct pair *pairs;
        size_t n = 0;

        if (r.node->type != YAML_MAPPING_NODE) {
                fault_kind(w, key, r);
                return;
        }
        note_place(w, obj, key, r);
        p = r.node->data.mapping.pairs.start;
        pairs = mem_alloc((size_t)(r.node->data.mapping.pairs.top - p) * sizeof(*pairs));
        for (; p < r.node->data.mapping.pairs.top; p++) {
                yaml_document_t *doc = (yaml_document_t *)&r.src->doc;

                pairs[n++] = (struct pair){{r.src, yaml_document_get_node(doc, p->key)},
                                           {r.src, yaml_document_get_node(doc, p->value)}};
        }
        fill_map(w, schema, obj, &at, pairs, n);
        free(pairs);
}

static size_t item_bytes(const struct schema_key *key)
{
        return key->type == SCHEMA_TEXTS ? sizeof(const char *) : key->sub->size;
}

static void fill_item(struct walk *w, const struct schema_key *key, struct schema_list *list, struct ref r)
{
        size_t i = list->n++;
        void *item = (char *)list->items + i * item_bytes(key);
        size_t before = path_push(w, "[%zu]", i);
        const struct schema_key as_item = {
                .name = key->name, .type = key->type == SCHEMA_TEXTS ? SCHEMA_TEXT : SCHEMA_MAP, .flags = key->flags};

        if (key->type == SCHEMA_LIST) {
                fill_node(w, key->sub, item, &as_item, r);
        } else if (r.node->type != YAML_SCALAR_NODE) {
                fault_kind(w, &as_item, r);
        } else {
                fill_scalar(w, key, SCHEMA_TEXT, item, r);
        }
        path_pop(w, before);
}

/* No two items with the same text in the key. */
static void check_unique(struct walk *w, const struct schema_key *key, size_t size, const struct schema_list *list)
{
        for (size_t j = 1; j < list->n; j++) {
                const char *const *b = (const void *)((const char *)list->items + j * size + key->offset);

                for (size_t i = 0; *b && i < j; i++) {
                        const struct schema_at *first;
                        const char *const *a = (const void *)((const char *)list->items + i * size + key->offset);

                        if (!*a || strcmp(*a, *b) != 0)
                                continue;
                        first = &walk_find(w, a)->at;
                        walk_fault(w, b, "\"%.72s\" is used twice, first in %s:%d; allowed: each once", *b, first->file,
                                   first->line);
                        break;
                }
        }
}

static bool is_list_node(struct walk *w, const struct schema_key *key, struct ref r, size_t *n)
{
        size_t items;
        char text[100];

        if (r.node->type != YAML_SEQUENCE_NODE) {
                fault_kind(w, key, r);
                return false;
        }
        items = (size_t)(r.node->data.sequence.items.top - r.node->data.sequence.items.start);
        if (*n + items > CONFIG_ITEMS_MOST) {
                snprintf(text, sizeof(text), "%zu items; allowed: at most %d", *n + items, CONFIG_ITEMS_MOST);
                fault_here(w, r, text);
                return false;
        }
        *n += items;
        return true;
}

/* `values`: one, or one of each text that has the section. */
static void fill_list(struct walk *w, const struct schema_key *key, struct schema_list *list, const struct ref *values,
                      size_t n_values)
{
        size_t n = 0;

        for (size_t v = 0; v < n_values; v++) {
                if (!is_list_node(w, key, values[v], &n))
                        return;
        }
        note_place(w, list, key, values[0]);
        list->items = arena_alloc(w->arena, n * item_bytes(key));
        for (size_t v = 0; v < n_values; v++) {
                const yaml_node_item_t *item = values[v].node->data.sequence.items.start;

                for (; item < values[v].node->data.sequence.items.top; item++) {
                        yaml_document_t *doc = (yaml_document_t *)&values[v].src->doc;

                        fill_item(w, key, list, (struct ref){values[v].src, yaml_document_get_node(doc, *item)});
                }
        }
        for (const struct schema_key *k = key->sub ? key->sub->keys : NULL; k && k->name; k++) {
                if (k->flags & SCHEMA_UNIQUE)
                        check_unique(w, k, key->sub->size, list);
        }
}

static void fill_value(struct walk *w, const struct schema_key *key, void *obj, const struct ref *values, size_t n)
{
        void *field = (char *)obj + key->offset;

        if (key->type == SCHEMA_MAP)
                fill_node(w, key->sub, field, key, values[0]);
        else if (key->type == SCHEMA_LIST || key->type == SCHEMA_TEXTS)
                fill_list(w, key, field, values, n);
        else
                fill_scalar(w, key, key->type, field, values[0]);
}

static void fill_default(struct walk *w, const struct schema_key *key, void *obj)
{
        void *field = (char *)obj + key->offset;
        struct err e;

        if (key->type == SCHEMA_MAP) {
                for (const struct schema_key *k = key->sub->keys; k->name; k++)
                        fill_default(w, k, field);
        } else if (key->def) {
                BUG_ON(config_scalar(key, key->type, key->def, strlen(key->def), key->type != SCHEMA_TEXT, field,
                                     w->arena, &e) < 0);
        } else if (key->flags & SCHEMA_NAN) {
                *(double *)field = __builtin_nan("");
        }
}

static void fault_unknown(struct walk *w, const struct schema *schema, struct ref r)
{
        const char *name = (const char *)r.node->data.scalar.value;
        const char *names[KEYS_MOST], *near;
        char text[480], shown[72];
        size_t n = 0, len;

        for (; schema->keys[n].name; n++)
                names[n] = schema->keys[n].name;
        config_show(shown, sizeof(shown), name, r.node->data.scalar.length);
        if (strcmp(name, "<<") == 0) {
                fault_here(w, r, "a merge key (<<); allowed: the keys, written out");
                return;
        }
        len = (size_t)snprintf(text, sizeof(text), "unknown key \"%s\"; allowed:", shown);
        for (size_t i = 0; i < n && len < sizeof(text) - 100; i++)
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s", i ? "," : "", names[i]);
        near = text_did_you_mean(name, names, n);
        if (near)
                snprintf(text + len, sizeof(text) - len, " (did you mean %s?)", near);
        fault_here(w, r, text);
}

/* The row of a written key; NULL: none, and the fault is told. */
static const struct schema_key *find_key(struct walk *w, const struct schema *schema, struct ref r)
{
        const char *name;

        if (r.node->type != YAML_SCALAR_NODE) {
                fault_here(w, r, "a list or map stands where a key belongs; allowed: key: value");
                return NULL;
        }
        name = (const char *)r.node->data.scalar.value;
        for (const struct schema_key *k = schema->keys; k->name; k++) {
                if (strcmp(k->name, name) == 0 && strlen(name) == r.node->data.scalar.length)
                        return k;
        }
        fault_unknown(w, schema, r);
        return NULL;
}

static void fault_twice(struct walk *w, const struct pair *again, const struct pair *first)
{
        size_t before = path_key(w, (const char *)again->key.node->data.scalar.value);
        struct schema_at at = at_ref(first->key);
        char text[480];

        if (again->key.src == first->key.src)
                snprintf(text, sizeof(text), "the key is here twice, first in line %d; allowed: once", at.line);
        else
                snprintf(text, sizeof(text), "set twice, first in %.300s:%d:%d; allowed: in one file", at.file, at.line,
                         at.column);
        fault_here(w, again->key, text);
        path_pop(w, before);
}

static void check_map(struct walk *w, const struct schema *schema, void *obj, const struct schema_at *at,
                      const struct pair *pairs, size_t n)
{
        struct schema_at where = *at;
        const char *key = NULL;
        size_t before = w->path_len;
        struct err e = {""};

        if (schema->check(obj, &key, &e) == 0)
                return;
        for (size_t i = 0; key && i < n; i++) {
                if (strcmp((const char *)pairs[i].key.node->data.scalar.value, key) == 0)
                        where = at_ref(pairs[i].value);
        }
        if (key)
                path_key(w, key);
        faults_add(w->faults, &where, w->path, "%s", e.text);
        path_pop(w, before);
}

/* Which pairs belong to which row: the first, and further ones only of a list that several texts have. */
struct row_values {
        const struct pair *first;
        struct ref *values;
        size_t n;
};

static void sort_pairs(struct walk *w, const struct schema *schema, const struct pair *pairs, size_t n,
                       struct row_values *rows)
{
        for (size_t i = 0; i < n; i++) {
                const struct schema_key *key = find_key(w, schema, pairs[i].key);
                struct row_values *row = key ? &rows[key - schema->keys] : NULL;
                bool same_text = row && row->n && row->values[row->n - 1].src == pairs[i].key.src;

                if (!row)
                        continue;
                if (row->n && (same_text || key->type != SCHEMA_LIST)) {
                        fault_twice(w, &pairs[i], row->first);
                        continue;
                }
                if (!row->n)
                        row->first = &pairs[i];
                row->values = mem_grow(row->values, row->n + 1, sizeof(*row->values));
                row->values[row->n++] = pairs[i].value;
        }
}

static void fill_map(struct walk *w, const struct schema *schema, void *obj, const struct schema_at *at,
                     const struct pair *pairs, size_t n)
{
        struct row_values rows[KEYS_MOST] = {{NULL}};
        size_t faults = n_faults(w);

        if (schema->has_at)
                *(struct schema_at *)obj = *at;
        sort_pairs(w, schema, pairs, n, rows);
        for (size_t i = 0; schema->keys[i].name; i++) {
                const struct schema_key *key = &schema->keys[i];
                size_t before = path_key(w, key->name);

                BUG_ON(i >= KEYS_MOST);
                if (rows[i].n)
                        fill_value(w, key, obj, rows[i].values, rows[i].n);
                else if (key->flags & SCHEMA_REQUIRED)
                        faults_add(w->faults, at, w->path, "missing; it is required");
                else
                        fill_default(w, key, obj);
                free(rows[i].values);
                path_pop(w, before);
        }
        if (schema->check && n_faults(w) == faults)
                check_map(w, schema, obj, at, pairs, n);
}

void walk_fill(struct walk *w, const struct schema *root, void *obj)
{
        struct schema_at at = {arena_text(w->arena, w->first_file, strlen(w->first_file)), 1, 1};
        struct pair *pairs = NULL;
        size_t n = 0;

        for (struct source *src = w->sources; src; src = src->next) {
                yaml_node_pair_t *p = src->root ? src->root->data.mapping.pairs.start : NULL;

                for (; p && p < src->root->data.mapping.pairs.top; p++) {
                        pairs = mem_grow(pairs, n + 1, sizeof(*pairs));
                        pairs[n++] = (struct pair){{src, yaml_document_get_node(&src->doc, p->key)},
                                                   {src, yaml_document_get_node(&src->doc, p->value)}};
                }
        }
        fill_map(w, root, obj, &at, pairs, n);
        free(pairs);
}
