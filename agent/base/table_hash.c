/*
 * table_hash: SipHash-1-3 (Aumasson and Bernstein, SipHash: a fast short-input
 * PRF, 2012), see table_hash.h.
 *
 * Why this one: a key that is only added to a weak hash does not help, since
 * what collides there collides under each key.  Why 1-3 and not 2-4: nobody
 * sees these numbers, so there is nothing to learn the key from but time; a
 * topic of 30 bytes costs about what it did with FNV-1a.  Eight bytes at a
 * time, as this machine reads them: on a big-endian one the numbers are others,
 * and as good.
 */
#include "agent/base/table_hash.h"

#include <string.h>

static uint64_t key[2];

void table_hash_set_key(const uint64_t k[2])
{
        memcpy(key, k, sizeof(key));
}

static inline uint64_t turn(uint64_t x, int by)
{
        return x << by | x >> (64 - by);
}

static inline void stir(uint64_t v[4])
{
        v[0] += v[1];
        v[2] += v[3];
        v[1] = turn(v[1], 13) ^ v[0];
        v[3] = turn(v[3], 16) ^ v[2];
        v[0] = turn(v[0], 32) + v[3];
        v[2] += v[1];
        v[1] = turn(v[1], 17) ^ v[2];
        v[3] = turn(v[3], 21) ^ v[0];
        v[2] = turn(v[2], 32);
}

static inline void take(uint64_t v[4], uint64_t word)
{
        v[3] ^= word;
        stir(v);
        v[0] ^= word;
}

uint64_t table_hash(const void *p, size_t len, uint64_t seed)
{
        uint64_t v[4] = {key[0] ^ seed ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                         key[0] ^ seed ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
        const unsigned char *s = p;
        uint64_t last = (uint64_t)len << 56;

        for (; len >= 8; len -= 8, s += 8) {
                uint64_t word;

                memcpy(&word, s, sizeof(word));
                take(v, word);
        }
        for (size_t i = 0; i < len; i++)
                last |= (uint64_t)s[i] << (8 * i);
        take(v, last);
        v[2] ^= 0xff;
        stir(v);
        stir(v);
        stir(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}
