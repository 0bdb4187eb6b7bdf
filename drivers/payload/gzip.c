/*
 * gzip: see gzip.h.
 *
 * A few bytes can stand for gigabytes, so nothing beyond `most_bytes` is ever
 * unpacked; the buffer doubles up to there.
 *
 * Fails: what is damaged, cut short, or longer than may be, with a reason.
 */
#include "drivers/payload/gzip.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "agent/base/err.h"

struct payload_gzip {
        z_stream z;
        bool begun;
        char *out;
        size_t size, most;
};

struct payload_gzip *payload_gzip_new(size_t most_bytes)
{
        struct payload_gzip *g = mem_alloc(sizeof(*g));

        g->most = most_bytes + 1; /* one more, to see that it is */
        return g;
}

void payload_gzip_free(struct payload_gzip *g)
{
        if (!g)
                return;
        if (g->begun)
                inflateEnd(&g->z);
        free(g->out);
        free(g);
}

static bool begin(struct payload_gzip *g)
{
        if (g->begun)
                return inflateReset(&g->z) == Z_OK;
        g->begun = inflateInit2(&g->z, 15 + 32) == Z_OK; /* gzip or zlib, as the header says */
        return g->begun;
}

static bool grow(struct payload_gzip *g)
{
        size_t size = g->size ? 2 * g->size : 4096;

        if (size > g->most)
                size = g->most;
        if (size == g->size)
                return false;
        g->out = mem_grow(g->out, size, 1);
        g->size = size;
        return true;
}

const char *payload_gzip_unpack(struct payload_gzip *g, const void *packed, size_t len, const char **out,
                                size_t *out_len)
{
        size_t n = 0;
        int rc = Z_OK;

        if (!begin(g))
                return "no memory to unpack it";
        g->z.next_in = (Bytef *)(uintptr_t)packed;
        g->z.avail_in = (uInt)len;
        while (rc == Z_OK) {
                if (n == g->size && !grow(g))
                        return "longer than max_payload when it is unpacked";
                g->z.next_out = (Bytef *)g->out + n;
                g->z.avail_out = (uInt)(g->size - n);
                rc = inflate(&g->z, Z_NO_FLUSH);
                n = g->size - g->z.avail_out;
        }
        if (n == g->most)
                return "longer than max_payload when it is unpacked";
        if (rc != Z_STREAM_END)
                return rc == Z_BUF_ERROR ? "packed, and cut short" : "neither gzip nor zlib";
        if (g->z.avail_in)
                return "something stands behind what is packed";
        *out = g->out;
        *out_len = n;
        return NULL;
}
