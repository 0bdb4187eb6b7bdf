/*
 * equal: see equal.h.
 *
 * What a check() derives from the keys follows from them, and what one section
 * has of another (the devices of a bus) is for the caller to compare.  Numbers
 * are compared bit by bit, because NaN means "not said".  Cannot fail.
 */
#include "agent/config/equal.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_texts(const struct schema_list *a, const struct schema_list *b)
{
        const char *const *x = a->items, *const *y = b->items;
        size_t i = 0;

        if (a->n != b->n)
                return false;
        while (i < a->n && same_text(x[i], y[i]))
                i++;
        return i == a->n;
}

static bool same_pairs(const struct schema_list *a, const struct schema_list *b)
{
        const struct schema_pair *x = a->items, *y = b->items;
        size_t i = 0;

        if (a->n != b->n)
                return false;
        while (i < a->n && same_text(x[i].key, y[i].key) && same_text(x[i].value, y[i].value))
                i++;
        return i == a->n;
}

bool config_same_list(const struct schema *item, const struct schema_list *a, const struct schema_list *b)
{
        size_t i = 0;

        if (a->n != b->n)
                return false;
        while (i < a->n &&
               config_same(item, (const char *)a->items + i * item->size, (const char *)b->items + i * item->size))
                i++;
        return i == a->n;
}

bool config_same_key(const struct schema_key *key, const void *a, const void *b)
{
        const void *x = (const char *)a + key->offset, *y = (const char *)b + key->offset;

        switch (key->type) {
        case SCHEMA_TEXT:
        case SCHEMA_NAME:
        case SCHEMA_PATH:
                return same_text(*(const char *const *)x, *(const char *const *)y);
        case SCHEMA_BOOL:
                return *(const bool *)x == *(const bool *)y;
        case SCHEMA_CHOICE:
                return *(const int *)x == *(const int *)y;
        case SCHEMA_INT:
        case SCHEMA_FLOAT:
        case SCHEMA_DURATION:
        case SCHEMA_SIZE:
                return memcmp(x, y, 8) == 0;
        case SCHEMA_TEXTS:
                return same_texts(x, y);
        case SCHEMA_PAIRS:
                return same_pairs(x, y);
        case SCHEMA_MAP:
                return config_same(key->sub, x, y);
        case SCHEMA_LIST:
                return config_same_list(key->sub, x, y);
        }
        return false;
}

bool config_same(const struct schema *schema, const void *a, const void *b)
{
        const struct schema_key *k = schema->keys;

        while (k->name && config_same_key(k, a, b))
                k++;
        return !k->name;
}
