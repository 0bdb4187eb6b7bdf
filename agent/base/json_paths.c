/*
 * json_paths: what is looked for in a message, and the rows of what is walked
 * (see json_scan.h).
 *
 * A tree, each node one level of some pointers, made once.  Of a container that
 * is walked `any` is the node of each member that no other pointer names; the
 * slots below it are emptied into a row when the member ends, so that a scan
 * needs to know nothing else about rows.
 *
 * Fails: pointers that are none, with a sentence; a row beyond `most` is not
 * taken.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/json_scan.h"
#include "agent/base/table_hash.h"
#include "agent/base/text.h"

void json_paths_begin(const struct json_paths *p, struct json_value *found)
{
        for (int i = 0; i < p->n_nodes; i++)
                p->node[i].seen = 0;
        for (int i = 0; i < p->n_slots; i++)
                found[i].type = SCAN_ABSENT;
}

static int node_new(struct json_paths *p, const char *key, size_t len)
{
        struct json_node *n;
        bool digits = len > 0 && len < 10 && (len == 1 || key[0] != '0');

        p->node = mem_grow(p->node, (unsigned long)p->n_nodes + 1, sizeof(*p->node));
        n = &p->node[p->n_nodes];
        *n = (struct json_node){.key = mem_alloc(len + 1),
                                .key_len = (uint32_t)len,
                                .slot = -1,
                                .child = -1,
                                .next = -1,
                                .any = -1,
                                .in = -1,
                                .then = -1};
        memcpy(n->key, key, len);
        for (size_t i = 0; i < len && digits; i++)
                digits = key[i] >= '0' && key[i] <= '9';
        n->index = digits ? (int32_t)strtol(n->key, NULL, 10) : -1;
        return p->n_nodes++;
}

static int child_for(struct json_paths *p, int parent, const char *key, size_t len)
{
        int last = -1, i;

        for (i = p->node[parent].child; i >= 0; last = i, i = p->node[i].next)
                if (p->node[i].key_len == len && !memcmp(p->node[i].key, key, len))
                        return i;
        i = node_new(p, key, len);
        if (last >= 0)
                p->node[last].next = i;
        else
                p->node[parent].child = i;
        return i;
}

/*
 * One level of a pointer without its escapes; returns what is behind it, NULL
 * at a wrong escape.
 */
static const char *level(const char *s, char *out, size_t *len)
{
        *len = 0;
        for (; *s && *s != '/'; s++) {
                if (*s == '~' && s[1] != '0' && s[1] != '1')
                        return NULL;
                out[(*len)++] = *s != '~' ? *s : *++s == '0' ? '~' : '/';
        }
        return s;
}

/* The node of a pointer that begins at `at`, or -1. */
static int node_at(struct json_paths *p, int at, const char *pointer, struct err *e)
{
        const char *s = pointer;
        char key[JSON_POINTER_MAX];
        size_t len;

        if (*s && *s != '/')
                return err_set(e, "'%s': a JSON pointer begins with / (like /temp)", pointer);
        if (strlen(s) >= sizeof(key) || !text_is_utf8(s, strlen(s)))
                return err_set(e, "a JSON pointer is UTF-8 and shorter than %d bytes", JSON_POINTER_MAX);
        if (!p->n_nodes)
                node_new(p, "", 0);
        while (*s) {
                s = level(s + 1, key, &len);
                if (!s)
                        return err_set(e, "in a JSON pointer ~ is written ~0 and / inside a name ~1");
                at = child_for(p, at, key, len);
        }
        return at;
}

int json_paths_add(struct json_paths *p, const char *pointer, struct err *e)
{
        int at = node_at(p, 0, pointer, e);

        if (at < 0)
                return -1;
        if (p->node[at].slot < 0)
                p->node[at].slot = p->n_slots++;
        return p->node[at].slot;
}

static int cell_new(struct json_paths *p, int slot)
{
        p->cell = mem_grow(p->cell, (unsigned long)p->n_cells + 1, sizeof(*p->cell));
        p->cell[p->n_cells] = slot;
        return p->n_cells++;
}

int json_paths_walk(struct json_paths *p, const char *pointer, struct err *e)
{
        int at = node_at(p, 0, pointer, e), any;

        BUG_ON(p->n_cells);
        if (at < 0)
                return -1;
        any = node_new(p, "", 0);
        p->node[at].any = any;
        p->walked = at;
        cell_new(p, -1);
        return 0;
}

int json_paths_add_in(struct json_paths *p, const char *pointer, struct err *e)
{
        int at = node_at(p, p->node[p->walked].any, pointer, e);

        if (at < 0)
                return -1;
        for (int i = 1; i < p->n_cells; i++)
                if (p->cell[i] == p->node[at].slot)
                        return i;
        p->node[at].slot = p->n_slots++;
        return cell_new(p, p->node[at].slot);
}

void json_paths_fini(struct json_paths *p)
{
        for (int i = 0; i < p->n_nodes; i++)
                free(p->node[i].key);
        free(p->node);
        free(p->cell);
        *p = (struct json_paths){0};
}

/* ---- rows ---- */

void json_rows_begin(struct json_rows *rows)
{
        rows->n = 0;
        rows->entered = true;
}

bool json_rows_take(const struct json_paths *p, struct json_rows *rows, struct json_value *found,
                    const struct json_value *key)
{
        struct json_value *row;

        if (rows->n == rows->most) {
                rows->over = true;
                return false;
        }
        if (rows->n == rows->cap) {
                rows->cap = rows->cap ? 2 * rows->cap : 16;
                rows->cell = mem_grow(rows->cell, rows->cap, (size_t)p->n_cells * sizeof(*rows->cell));
        }
        row = rows->cell + rows->n++ * (size_t)p->n_cells;
        row[JSON_CELL_KEY] = *key;
        for (int i = 1; i < p->n_cells; i++) {
                row[i] = found[p->cell[i]];
                found[p->cell[i]].type = SCAN_ABSENT;
        }
        return true;
}

/* The places in an array, which are one for each. */
static bool are_places(const struct json_paths *p, const struct json_rows *rows)
{
        for (size_t i = 0; i < rows->n; i++) {
                const struct json_value *key = &json_rows_at(p, rows, i)[JSON_CELL_KEY];

                if (key->type != SCAN_I64 || (i && key->i64 <= json_rows_at(p, rows, i - 1)[JSON_CELL_KEY].i64))
                        return false;
        }
        return true;
}

/*
 * As it is met by pointers: integers by their digits.  What has no name by its
 * bits and type.
 */
static size_t name_of(const struct json_value *key, char room[TEXT_DOUBLE_MAX], const char **at)
{
        *at = key->at;
        if (key->type == SCAN_TEXT || key->type == SCAN_BYTES || key->type == SCAN_NUMBER)
                return key->len;
        *at = room;
        if (key->type == SCAN_I64)
                return text_put_i64(room, key->i64);
        memcpy(room, &key->i64, sizeof(key->i64));
        room[sizeof(key->i64)] = (char)key->type;
        return sizeof(key->i64) + 1;
}

static bool same_name(const struct json_value *key, const char *at, size_t len)
{
        char room[TEXT_DOUBLE_MAX];
        const char *other;

        return name_of(key, room, &other) == len && !memcmp(other, at, len);
}

static void make_room_for_names(struct json_rows *rows)
{
        size_t n = rows->n_named ? rows->n_named : 64;

        while (n < 2 * rows->n)
                n *= 2;
        if (n == rows->n_named)
                return;
        rows->n_named = n;
        rows->named = mem_grow(rows->named, n, sizeof(*rows->named));
}

bool json_rows_twice(const struct json_paths *p, struct json_rows *rows)
{
        char room[TEXT_DOUBLE_MAX];
        const char *at;

        if (rows->n < 2 || are_places(p, rows))
                return false;
        make_room_for_names(rows);
        memset(rows->named, 0, rows->n_named * sizeof(*rows->named));
        for (size_t i = 0; i < rows->n; i++) {
                size_t len = name_of(&json_rows_at(p, rows, i)[JSON_CELL_KEY], room, &at);
                size_t k = (size_t)table_hash(at, len, 0) & (rows->n_named - 1);

                for (; rows->named[k]; k = (k + 1) & (rows->n_named - 1))
                        if (same_name(&json_rows_at(p, rows, rows->named[k] - 1u)[JSON_CELL_KEY], at, len))
                                return true;
                rows->named[k] = (uint16_t)(i + 1);
        }
        return false;
}

void json_rows_fini(struct json_rows *rows)
{
        free(rows->cell);
        free(rows->named);
        *rows = (struct json_rows){0};
}
