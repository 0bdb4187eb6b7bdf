/*
 * binary: see binary.h.
 *
 * No tree is built, and what a message says it holds is held against the bytes
 * that are left before anything is made of it.  What a value's first byte means
 * is cbor.c's (a library's) and msgpack.c's (ours: it says why); the walk along
 * the pointers is the same for both, and as in json_scan.
 *
 * Fails: at the first wrong byte, with its position and a reason.
 */
#include "drivers/payload/binary.h"

#include <string.h>

#include "agent/base/text.h"

void payload_token_text(struct payload_token *t, const unsigned char *s, size_t len)
{
        bool sound = text_is_utf8((const char *)s, len);

        t->kind = TOKEN_VALUE;
        t->value = (struct json_value){
                .type = sound ? SCAN_TEXT : SCAN_BYTES, .at = (const char *)s, .len = (uint32_t)len};
}

void payload_token_unsigned(struct payload_token *t, uint64_t v)
{
        t->kind = TOKEN_VALUE;
        t->value = (struct json_value){.type = v <= INT64_MAX ? SCAN_I64 : SCAN_U64, .i64 = (int64_t)v};
}

static bool wrong(struct payload_walk *w, const char *why)
{
        w->why = why;
        return false;
}

static bool is_key(const struct json_node *n, const struct json_value *key)
{
        char digits[TEXT_DOUBLE_MAX];

        if (key->type == SCAN_I64)
                return n->key_len == text_put_i64(digits, key->i64) && !memcmp(n->key, digits, n->key_len);
        return key->type == SCAN_TEXT && n->key_len == key->len && !memcmp(n->key, key->at, key->len);
}

static bool is_child(const struct json_node *n, const struct payload_frame *f, const struct json_value *key)
{
        return key ? is_key(n, key) : n->index == f->index;
}

/* As in json_scan.  With `why` it stands there twice. */
static int find_child(struct payload_walk *w, struct payload_frame *f, const struct json_value *key)
{
        struct json_node *node = w->p->node;
        int i = f->first;

        f->in_row = f->any >= 0;
        if (i < 0)
                return f->any;
        if (*f->likely >= 0)
                i = *f->likely;
        for (int start = i; !is_child(&node[i], f, key);) {
                i = node[i].next >= 0 ? node[i].next : f->first;
                if (i == start)
                        return f->any;
        }
        *f->likely = i;
        f->likely = &node[i].then;
        f->in_row = false;
        if (node[i].seen == f->number)
                w->why = JSON_TWICE;
        node[i].seen = f->number;
        return i;
}

static void keep(struct payload_walk *w, const struct json_value *v)
{
        if (w->node >= 0 && w->p->node[w->node].slot >= 0)
                w->found[w->p->node[w->node].slot] = *v;
}

/* The node of the next element, when it is an array's. */
static void before_value(struct payload_walk *w)
{
        struct payload_frame *f = w->depth ? &w->stack[w->depth - 1] : NULL;

        if (f && !f->is_map)
                w->node = find_child(w, f, NULL);
}

static bool end_row(struct payload_walk *w, struct payload_frame *f)
{
        if (!f->in_row)
                return true;
        f->in_row = false;
        if (!f->is_map)
                f->key = (struct json_value){.type = SCAN_I64, .i64 = f->index};
        return json_rows_take(w->p, w->rows, w->found, &f->key) || wrong(w, "more elements than max_elements");
}

/* A value is over, and with it perhaps what it is in. */
static bool after_value(struct payload_walk *w)
{
        while (w->depth) {
                struct payload_frame *f = &w->stack[w->depth - 1];

                if (!end_row(w, f))
                        return false;
                f->index++;
                f->want_key = f->is_map;
                if (f->is_open || --f->left)
                        return true;
                w->depth--;
        }
        return true;
}

static bool enter(struct payload_walk *w, const struct payload_token *t, size_t bytes_left)
{
        struct json_value v = {.type = t->kind == TOKEN_MAP ? SCAN_OBJECT : SCAN_ARRAY};
        uint64_t least = t->kind == TOKEN_MAP ? 2 : 1;
        struct payload_frame *f = &w->stack[w->depth];

        if (w->depth == JSON_DEPTH_MAX)
                return wrong(w, "nested deeper than 64 levels");
        if (t->n != TOKEN_OPEN && t->n > bytes_left / least)
                return wrong(w, "it says it holds more than there is");
        keep(w, &v);
        *f = (struct payload_frame){.is_map = t->kind == TOKEN_MAP,
                                    .is_open = t->n == TOKEN_OPEN,
                                    .want_key = t->kind == TOKEN_MAP,
                                    .left = t->n,
                                    .number = ++w->n_containers,
                                    .first = -1,
                                    .any = -1};
        if (w->node >= 0) {
                f->first = w->p->node[w->node].child;
                f->any = w->p->node[w->node].any;
                f->likely = &w->p->node[w->node].in;
        }
        if (f->any >= 0)
                json_rows_begin(w->rows);
        if (!t->n)
                return after_value(w);
        w->depth++;
        return true;
}

static bool take_key(struct payload_walk *w, struct payload_frame *f, const struct payload_token *t)
{
        if (t->kind != TOKEN_VALUE)
                return wrong(w, "a name that is an array or map");
        f->want_key = false;
        f->key = t->value;
        w->node = find_child(w, f, &f->key);
        return !w->why;
}

static bool take_break(struct payload_walk *w)
{
        struct payload_frame *f = w->depth ? &w->stack[w->depth - 1] : NULL;

        if (!f || !f->is_open || (f->is_map && !f->want_key))
                return wrong(w, "a break where nothing can end");
        w->depth--;
        return after_value(w);
}

bool payload_walk_take(struct payload_walk *w, const struct payload_token *t, size_t bytes_left)
{
        struct payload_frame *f = w->depth ? &w->stack[w->depth - 1] : NULL;

        if (t->kind == TOKEN_TAG)
                return true;
        if (t->kind == TOKEN_BREAK)
                return take_break(w);
        if (f && f->want_key)
                return take_key(w, f, t);
        before_value(w);
        if (t->kind != TOKEN_VALUE)
                return enter(w, t, bytes_left);
        keep(w, &t->value);
        return after_value(w);
}

void payload_walk_begin(struct payload_walk *w, const struct json_paths *p, struct json_value *found,
                        struct json_rows *rows)
{
        w->p = p;
        w->found = found;
        w->rows = rows;
        w->why = NULL;
        w->depth = w->n_containers = 0;
        w->node = p->n_nodes ? 0 : -1;
        json_paths_begin(p, found);
}

int payload_binary_scan(const struct json_paths *p,
                        size_t (*token)(const unsigned char *, size_t, struct payload_token *, const char **),
                        const void *bytes, size_t len, struct json_value *found, struct json_rows *rows,
                        struct json_wrong *why)
{
        struct payload_walk w;
        const unsigned char *s = bytes, *end = s + len;
        struct payload_token t;
        bool over = false;

        payload_walk_begin(&w, p, found, rows);
        while (s < end && !over) {
                size_t n = token(s, (size_t)(end - s), &t, &w.why);

                if (!n)
                        break;
                s += n;
                if (!payload_walk_take(&w, &t, (size_t)(end - s)))
                        break;
                over = !w.depth && t.kind != TOKEN_TAG;
        }
        if (over && s == end && !w.why)
                return 0;
        why->why = w.why ? w.why : over ? "something stands behind the end" : "it ends too early";
        why->byte = (size_t)(s - (const unsigned char *)bytes);
        return -1;
}
