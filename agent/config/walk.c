/*
 * walk: see walk.h.
 *
 * The walk goes only where a table leads, row by row, so its depth is the
 * tables', not the file's.  Texts have become trees of nodes before (yaml.c),
 * without aliases, so nothing is visited twice.
 *
 * Fails: never half.  Every fault is added to the list and the walk goes on
 * with the next key; a table's own check() runs only for what is otherwise
 * right, so that one mistake is told once.  What was filled with faults is
 * remembered, so that checks across sections can leave it out.
 */
#include "agent/config/walk.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/config/scalar.h"
#include "agent/config/yaml.h"

enum { KEYS_MAX = 64 };

struct source {
        struct source *next;
        const char *file;
        const struct node *root; /* a map; NULL: empty */
};

/* A node and the text it is from. */
struct ref {
        const struct source *src;
        const struct node *node;
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
        const void **wrong; /* what was filled with a fault */
        size_t n_wrong;
        bool partial; /* a text, or some of its sections, could not be read */
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
                free(src);
        }
        arena_fini(&w->own);
        free(w->places);
        free(w->wrong);
        free(w);
}

/* ---- places and paths ---- */

static struct schema_at at_ref(struct ref r)
{
        return (struct schema_at){r.src->file, r.node->line, r.node->column};
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

/*
 * A struct and its first member share an address, so the last one noted is the
 * innermost.
 */
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

static void note_wrong(struct walk *w, const void *obj)
{
        w->wrong = mem_grow(w->wrong, w->n_wrong + 1, sizeof(*w->wrong));
        w->wrong[w->n_wrong++] = obj;
}

bool walk_is_right(const struct walk *w, const void *obj)
{
        for (size_t i = 0; i < w->n_wrong; i++)
                if (w->wrong[i] == obj)
                        return false;
        return true;
}

static bool has_fault_at(const struct walk *w, const struct schema_at *at)
{
        for (size_t i = 0; i < w->faults->n; i++) {
                const struct schema_at *told = &w->faults->items[i].at;

                if (told->line == at->line && told->column == at->column && strcmp(told->file, at->file) == 0)
                        return true;
        }
        return false;
}

void walk_fault(struct walk *w, const void *field, const char *fmt, ...)
{
        const struct walk_place *place = walk_find(w, field);
        struct schema_at nowhere = {w->first_file ? w->first_file : "", 1, 1};
        struct err e;
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(e.text, sizeof(e.text), fmt, ap);
        va_end(ap);
        if (place && has_fault_at(w, &place->at))
                return;
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

static bool is_nothing(const struct node *node)
{
        return node->kind == NODE_SCALAR && node->plain &&
               (node->len == 0 || strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0);
}

static int take_root(struct walk *w, struct source *src, bool may_be_empty)
{
        const struct node *root = src->root;
        struct schema_at at = {src->file, 1, 1};

        if (!root || is_nothing(root)) {
                src->root = NULL;
                if (may_be_empty)
                        return 0;
                w->partial = true;
                faults_add(w->faults, &at, "", "the file is empty; a configuration is needed");
                return -1;
        }
        if (root->kind == NODE_MAP)
                return 0;
        src->root = NULL;
        w->partial = true;
        at = (struct schema_at){src->file, root->line, root->column};
        faults_add(w->faults, &at, "", "%s; allowed: a map of sections (section: …)",
                   root->kind == NODE_LIST ? "the file is a list" : "the file is a single value");
        return -1;
}

int walk_add(struct walk *w, const char *file, const char *text, size_t len, bool may_be_empty)
{
        struct source *src;
        const struct node *root;
        int rc;

        file = faults_file(w->faults, file);
        if (!w->first_file)
                w->first_file = file;
        rc = config_yaml(&w->own, w->faults, file, text, len, &root);
        w->partial |= rc < 0;
        if (rc < 0 && !root)
                return -1;
        src = mem_alloc(sizeof(*src));
        src->file = arena_text(w->arena, file, strlen(file));
        src->root = root;
        *w->sources_end = src;
        w->sources_end = &src->next;
        return take_root(w, src, may_be_empty) < 0 ? -1 : rc;
}

void walk_lacks(struct walk *w)
{
        w->partial = true;
}

/* ---- values against tables ---- */

static void fill_map(struct walk *w, const struct schema *schema, void *obj, const struct schema_at *at,
                     const struct pair *pairs, size_t n);

/* {source}: a text to who wrote it, a map with one empty value to YAML. */
static bool is_braced_text(const struct schema_key *key, const struct node *node)
{
        return node->kind == NODE_MAP && node->braces && node->n == 2 && key->type <= SCHEMA_CHOICE &&
               node->items[0]->kind == NODE_SCALAR && is_nothing(node->items[1]);
}

static void fault_kind(struct walk *w, const struct schema_key *key, struct ref r)
{
        char allowed[256], text[400], shown[72];
        const char *found = r.node->kind == NODE_LIST  ? "a list is written here"
                            : r.node->kind == NODE_MAP ? "a map is written here"
                            : is_nothing(r.node)       ? "nothing is written here"
                                                       : "a single value is written here";

        config_allowed(key, allowed, sizeof(allowed));
        if (is_braced_text(key, r.node))
                snprintf(text, sizeof(text), "a text that begins with { needs quotes: \"{%s}\"",
                         config_show(shown, sizeof(shown), r.node->items[0]->text, r.node->items[0]->len));
        else
                snprintf(text, sizeof(text), "%s; allowed: %s", found, allowed);
        fault_here(w, r, text);
}

static void fill_scalar(struct walk *w, const struct schema_key *key, enum schema_type type, void *field, struct ref r)
{
        struct err e;

        if (r.node->kind != NODE_SCALAR) {
                fault_kind(w, key, r);
                return;
        }
        note_place(w, field, key, r);
        if (config_scalar(key, type, r.node->text, r.node->len, r.node->plain, field, w->arena, &e) < 0)
                fault_here(w, r, e.text);
}

static void fill_node(struct walk *w, const struct schema *schema, void *obj, const struct schema_key *key,
                      struct ref r)
{
        struct schema_at at = at_ref(r);
        struct pair *pairs;
        size_t n = r.node->n / 2, faults = n_faults(w);

        if (r.node->kind != NODE_MAP) {
                fault_kind(w, key, r);
                note_wrong(w, obj);
                return;
        }
        note_place(w, obj, key, r);
        pairs = mem_alloc(n * sizeof(*pairs));
        for (size_t i = 0; i < n; i++)
                pairs[i] = (struct pair){{r.src, r.node->items[2 * i]}, {r.src, r.node->items[2 * i + 1]}};
        fill_map(w, schema, obj, &at, pairs, n);
        free(pairs);
        if (n_faults(w) != faults)
                note_wrong(w, obj);
}

static size_t item_bytes(const struct schema_key *key)
{
        return key->type == SCHEMA_TEXTS ? sizeof(const char *) : key->sub->size;
}

/* What an item is by itself, for places and faults: they outlive the walk. */
static const struct schema_key item_map = {.name = "item", .type = SCHEMA_MAP};
static const struct schema_key item_text = {.name = "item", .type = SCHEMA_TEXT};
static const struct schema_key pair_text = {.name = "item", .type = SCHEMA_TEXT, .flags = SCHEMA_SCALAR};

static void fill_item(struct walk *w, const struct schema_key *key, struct schema_list *list, struct ref r)
{
        size_t i = list->n++;
        void *item = (char *)list->items + i * item_bytes(key);
        size_t before = path_push(w, "[%zu]", i);

        if (key->type == SCHEMA_LIST) {
                fill_node(w, key->sub, item, &item_map, r);
        } else if (r.node->kind != NODE_SCALAR) {
                fault_kind(w, &item_text, r);
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

        if (r.node->kind != NODE_LIST) {
                fault_kind(w, key, r);
                return false;
        }
        items = r.node->n;
        if (*n + items > CONFIG_ITEMS_MAX) {
                snprintf(text, sizeof(text), "%zu items; allowed: at most %d", *n + items, CONFIG_ITEMS_MAX);
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
                if (!is_list_node(w, key, values[v], &n)) {
                        note_wrong(w, list);
                        return;
                }
        }
        note_place(w, list, key, values[0]);
        if (n == 0 && (key->flags & SCHEMA_REQUIRED))
                fault_here(w, values[0], "an empty list; allowed: at least one item");
        list->items = arena_alloc(w->arena, n * item_bytes(key));
        for (size_t v = 0; v < n_values; v++) {
                for (size_t i = 0; i < values[v].node->n; i++)
                        fill_item(w, key, list, (struct ref){values[v].src, values[v].node->items[i]});
        }
        for (const struct schema_key *k = key->sub ? key->sub->keys : NULL; k && k->name; k++) {
                if (k->flags & SCHEMA_UNIQUE)
                        check_unique(w, k, key->sub->size, list);
        }
}

/*
 * A map with keys of the writer's, each once.
 */
static void fill_pairs(struct walk *w, const struct schema_key *key, struct schema_list *list, struct ref r)
{
        struct schema_pair *pairs;

        if (r.node->kind != NODE_MAP || r.node->n / 2 > CONFIG_ITEMS_MAX) {
                fault_kind(w, key, r);
                return;
        }
        note_place(w, list, key, r);
        pairs = arena_alloc(w->arena, r.node->n / 2 * sizeof(*pairs));
        *list = (struct schema_list){pairs, r.node->n / 2};
        for (size_t i = 0; i < list->n; i++) {
                struct ref from = {r.src, r.node->items[2 * i]}, to = {r.src, r.node->items[2 * i + 1]};
                size_t before = path_key(w, from.node->kind == NODE_SCALAR ? from.node->text : "?");

                fill_scalar(w, &pair_text, SCHEMA_TEXT, &pairs[i].key, from);
                fill_scalar(w, &pair_text, SCHEMA_TEXT, &pairs[i].value, to);
                for (size_t k = 0; k < i && pairs[i].key; k++)
                        if (pairs[k].key && strcmp(pairs[k].key, pairs[i].key) == 0)
                                fault_here(w, from, "the key is here twice; allowed: once");
                path_pop(w, before);
        }
}

static void fill_value(struct walk *w, const struct schema_key *key, void *obj, const struct ref *values, size_t n)
{
        void *field = (char *)obj + key->offset;

        if (key->type == SCHEMA_MAP)
                fill_node(w, key->sub, field, key, values[0]);
        else if (key->type == SCHEMA_LIST || key->type == SCHEMA_TEXTS)
                fill_list(w, key, field, values, n);
        else if (key->type == SCHEMA_PAIRS)
                fill_pairs(w, key, field, values[0]);
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
        } else if (key->flags & SCHEMA_MINUS) {
                *(int64_t *)field = -1;
        }
}

static void fault_unknown(struct walk *w, const struct schema *schema, struct ref r)
{
        const char *name = r.node->text;
        const char *names[KEYS_MAX], *near;
        char text[480], shown[72];
        size_t n = 0, len;

        for (; schema->keys[n].name; n++)
                names[n] = schema->keys[n].name;
        config_show(shown, sizeof(shown), name, r.node->len);
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

        if (r.node->kind != NODE_SCALAR) {
                fault_here(w, r, "a list or map stands where a key belongs; allowed: key: value");
                return NULL;
        }
        name = r.node->text;
        for (const struct schema_key *k = schema->keys; k->name; k++) {
                if (strcmp(k->name, name) == 0 && strlen(name) == r.node->len)
                        return k;
        }
        fault_unknown(w, schema, r);
        return NULL;
}

static void fault_twice(struct walk *w, const struct pair *again, const struct pair *first)
{
        size_t before = path_key(w, again->key.node->text);
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
                if (strcmp(pairs[i].key.node->text, key) == 0)
                        where = at_ref(pairs[i].value);
        }
        if (key)
                path_key(w, key);
        faults_add(w->faults, &where, w->path, "%s", e.text);
        path_pop(w, before);
}

/*
 * Which pairs belong to which row: the first, and further ones only of a list
 * that several texts have.
 */
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

static void fault_missing(struct walk *w, const struct schema_key *key, void *obj, const struct schema_at *at,
                          size_t depth)
{
        if (key->type == SCHEMA_MAP)
                note_wrong(w, (char *)obj + key->offset);
        if (depth > 0 || !w->partial) /* a whole section may be in what could not be read */
                faults_add(w->faults, at, w->path, "missing; it is required");
}

static void fill_map(struct walk *w, const struct schema *schema, void *obj, const struct schema_at *at,
                     const struct pair *pairs, size_t n)
{
        struct row_values rows[KEYS_MAX] = {{NULL}};
        size_t faults = n_faults(w);

        if (schema->has_at)
                *(struct schema_at *)obj = *at;
        sort_pairs(w, schema, pairs, n, rows);
        for (size_t i = 0; schema->keys[i].name; i++) {
                const struct schema_key *key = &schema->keys[i];
                size_t before = path_key(w, key->name);

                BUG_ON(i >= KEYS_MAX);
                if (rows[i].n)
                        fill_value(w, key, obj, rows[i].values, rows[i].n);
                else if (key->flags & SCHEMA_REQUIRED)
                        fault_missing(w, key, obj, at, before);
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
        const char *file = w->first_file ? w->first_file : "";
        struct schema_at at = {arena_text(w->arena, file, strlen(file)), 1, 1};
        struct pair *pairs = NULL;
        size_t n = 0;

        for (struct source *src = w->sources; src; src = src->next) {
                for (size_t i = 0; src->root && i < src->root->n; i += 2) {
                        pairs = mem_grow(pairs, n + 1, sizeof(*pairs));
                        pairs[n++] = (struct pair){{src, src->root->items[i]}, {src, src->root->items[i + 1]}};
                }
        }
        fill_map(w, root, obj, &at, pairs, n);
        free(pairs);
}
