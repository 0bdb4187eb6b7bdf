/*
 * outstanding: see outstanding.h.
 *
 * Grows to the largest opaque there was and stays: a window of 65536 records is
 * 64 KiB.  Whoever gives many records one opaque (heartbeats, whose reports
 * nobody needs) has one bit for them all.  Never fails.
 */
#include "uplink/outstanding.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

enum { BITS = 64 };

void outstanding_add(struct outstanding *o, uint32_t opaque)
{
        size_t word = opaque / BITS;

        if (word >= o->n_words) {
                size_t n = word + 1 + word / 2;

                o->words = mem_grow(o->words, n, sizeof(*o->words));
                memset(o->words + o->n_words, 0, (n - o->n_words) * sizeof(*o->words));
                o->n_words = n;
        }
        o->words[word] |= UINT64_C(1) << opaque % BITS;
}

void outstanding_remove(struct outstanding *o, uint32_t opaque)
{
        if (opaque / BITS < o->n_words)
                o->words[opaque / BITS] &= ~(UINT64_C(1) << opaque % BITS);
}

bool outstanding_pop(struct outstanding *o, uint32_t *opaque)
{
        for (size_t i = 0; i < o->n_words; i++) {
                if (!o->words[i])
                        continue;
                *opaque = (uint32_t)(i * BITS) + (uint32_t)__builtin_ctzll(o->words[i]);
                o->words[i] &= o->words[i] - 1;
                return true;
        }
        return false;
}

void outstanding_fini(struct outstanding *o)
{
        free(o->words);
        *o = (struct outstanding){NULL, 0};
}
