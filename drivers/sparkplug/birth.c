/*
 * birth: two open-addressing tables over one array (see birth.h).
 *
 * Why both: aliases are optional, and a message may use either.  Names are kept
 * whole, not as a hash: a value under the wrong name would be worse than none.
 * One allocation for each array, made by the birth; data messages allocate
 * nothing.
 */
#include "drivers/sparkplug/birth.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/table_hash.h"

void sparkplug_birth_init(struct sparkplug_birth *b, size_t n_metrics, size_t names_bytes)
{
        *b = (struct sparkplug_birth){.cap = n_metrics, .n_slots = 8};
        while (b->n_slots < 2 * n_metrics)
                b->n_slots *= 2;
        b->metric = mem_alloc((n_metrics + 1) * sizeof(*b->metric));
        b->by_alias = mem_alloc(b->n_slots * sizeof(*b->by_alias));
        b->by_name = mem_alloc(b->n_slots * sizeof(*b->by_name));
        b->names = mem_alloc(names_bytes + 1);
}

void sparkplug_birth_fini(struct sparkplug_birth *b)
{
        free(b->metric);
        free(b->by_alias);
        free(b->by_name);
        free(b->names);
        *b = (struct sparkplug_birth){0};
}

static uint32_t *alias_slot(const struct sparkplug_birth *b, uint64_t alias)
{
        size_t i = table_hash(&alias, sizeof(alias), 0) & (b->n_slots - 1);

        for (; b->by_alias[i]; i = (i + 1) & (b->n_slots - 1))
                if (b->metric[b->by_alias[i] - 1].alias == alias)
                        break;
        return &b->by_alias[i];
}

static uint32_t *name_slot(const struct sparkplug_birth *b, const void *name, size_t len)
{
        size_t i = table_hash(name, len, 0) & (b->n_slots - 1);

        for (; b->by_name[i]; i = (i + 1) & (b->n_slots - 1)) {
                const struct sparkplug_metric *m = &b->metric[b->by_name[i] - 1];

                if (m->name_len == len && memcmp(b->names + m->name_at, name, len) == 0)
                        break;
        }
        return &b->by_name[i];
}

int sparkplug_birth_add(struct sparkplug_birth *b, const void *name, size_t len, const uint64_t *alias,
                        struct sparkplug_metric **out)
{
        uint32_t *slot = name_slot(b, name, len);
        struct sparkplug_metric *m = &b->metric[b->n];

        if (*slot)
                return SPARKPLUG_BIRTH_E_NAME;
        BUG_ON(b->n == b->cap);
        *m = (struct sparkplug_metric){.name_at = (uint32_t)b->names_used, .name_len = (uint32_t)len};
        memcpy(b->names + b->names_used, name, len);
        b->names_used += len;
        *slot = (uint32_t)++b->n;
        *out = m;
        if (!alias)
                return 0;
        slot = alias_slot(b, *alias);
        if (*slot) {
                b->metric[*slot - 1].is_twice = true;
                return SPARKPLUG_BIRTH_E_ALIAS;
        }
        m->alias = *alias;
        m->has_alias = true;
        *slot = (uint32_t)b->n;
        return 0;
}

struct sparkplug_metric *sparkplug_birth_by_alias(const struct sparkplug_birth *b, uint64_t alias)
{
        uint32_t i = b->n ? *alias_slot(b, alias) : 0;

        return i ? &b->metric[i - 1] : NULL;
}

struct sparkplug_metric *sparkplug_birth_by_name(const struct sparkplug_birth *b, const void *name, size_t len)
{
        uint32_t i = b->n ? *name_slot(b, name, len) : 0;

        return i ? &b->metric[i - 1] : NULL;
}
