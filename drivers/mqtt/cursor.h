/*
 * cursor: what a packet holds, taken from its front, never past its end.  Each
 * says false when it is not all there.  Pure.
 */
#ifndef MILLRACE_DRIVERS_MQTT_CURSOR_H
#define MILLRACE_DRIVERS_MQTT_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
        const unsigned char *p, *end;
};

static inline size_t cursor_left(const struct cursor *c)
{
        return (size_t)(c->end - c->p);
}

static inline bool cursor_skip(struct cursor *c, size_t n)
{
        if (cursor_left(c) < n)
                return false;
        c->p += n;
        return true;
}

static inline bool cursor_uint(struct cursor *c, size_t n_bytes, uint32_t *out)
{
        *out = 0;
        if (cursor_left(c) < n_bytes)
                return false;
        while (n_bytes--)
                *out = *out << 8 | *c->p++;
        return true;
}

/* A number of 1 to 4 bytes (1.5.5), written as short as it can be. */
static inline bool cursor_varint(struct cursor *c, uint32_t *out)
{
        *out = 0;
        for (int i = 0; i < 4 && c->p < c->end; i++) {
                unsigned char byte = *c->p++;

                *out |= (uint32_t)(byte & 0x7f) << (7 * i);
                if (!(byte & 0x80))
                        return i == 0 || byte != 0;
        }
        return false;
}

#endif
