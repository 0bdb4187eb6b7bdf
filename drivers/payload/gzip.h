/*
 * gzip: a payload that was packed (gzip or zlib).
 *
 * Loop thread.  Memory is taken when the first one comes, and kept: 40 KiB, and
 * what the longest unpacked one needed.
 */
#ifndef MILLRACE_DRIVERS_PAYLOAD_GZIP_H
#define MILLRACE_DRIVERS_PAYLOAD_GZIP_H

#include <stddef.h>

struct payload_gzip;

struct payload_gzip *payload_gzip_new(size_t most_bytes);
void payload_gzip_free(struct payload_gzip *g);

/* NULL, and *out is valid until the next call; or why it can't be had. */
const char *payload_gzip_unpack(struct payload_gzip *g, const void *packed, size_t len, const char **out,
                                size_t *out_len);

#endif
