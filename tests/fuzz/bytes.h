/*
 * bytes: an input that is taken apart from its front; what is missing is 0.
 */
#ifndef MILLRACE_TESTS_FUZZ_BYTES_H
#define MILLRACE_TESTS_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
        const uint8_t *p;
        size_t n;
};

static inline uint8_t bytes_take(struct bytes *b)
{
        if (!b->n)
                return 0;
        b->n--;
        return *b->p++;
}

static inline uint64_t bytes_u64(struct bytes *b)
{
        uint64_t v = 0;

        for (int i = 0; i < 8; i++)
                v = v << 8 | bytes_take(b);
        return v;
}

/* At most `most` of them, from where they are. */
static inline struct bytes bytes_cut(struct bytes *b, size_t most)
{
        struct bytes part = {b->p, b->n < most ? b->n : most};

        b->p += part.n;
        b->n -= part.n;
        return part;
}

#endif
