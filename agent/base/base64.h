/*
 * base64: RFC 4648, both alphabets, with padding or without.  Pure, no
 * allocation, any thread.
 */
#ifndef MILLRACE_BASE_BASE64_H
#define MILLRACE_BASE_BASE64_H

#include <stddef.h>

/*
 * Bytes of `len` characters into `out`, which has 3/4 of that. How many, or -1:
 * it is none.
 */
long base64_read(char *out, const char *s, size_t len);

/*
 * For addresses (section 5), without padding; `out` has BASE64_ROOM(len). Ended
 * by a NUL, which the returned length does not count.
 */
#define BASE64_ROOM(len) (((len) + 2) / 3 * 4 + 1)
size_t base64_put_url(char *out, const char *s, size_t len);

#endif
