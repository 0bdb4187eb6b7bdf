/*
 * changed_names: see changed_names.h.
 *
 * Hashes only, in a table half of which stays free: a name costs 16 bytes, and
 * pages that were never touched cost none. Two names with one 64-bit hash count
 * as one.  Fails: never; a full table takes nothing more and says "new".
 */
#include "drivers/changed_names.h"

#include <stdlib.h>

#include "agent/base/err.h"

enum { SLOTS = 2 * CHANGED_NAMES_MAX };

struct changed_names {
        unsigned n;
        uint64_t hash[SLOTS]; /* 0: free */
};

struct changed_names *changed_names_new(void)
{
        return mem_alloc(sizeof(struct changed_names));
}

void changed_names_free(struct changed_names *c)
{
        free(c);
}

bool changed_names_add(struct changed_names *c, uint64_t hash)
{
        size_t i = hash % SLOTS;

        hash |= 1;
        for (; c->hash[i]; i = (i + 1) % SLOTS)
                if (c->hash[i] == hash)
                        return false;
        if (c->n < CHANGED_NAMES_MAX) {
                c->hash[i] = hash;
                c->n++;
        }
        return true;
}
