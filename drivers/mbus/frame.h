/*
 * frame: bytes <-> telegrams of EN 13757-2.  Pure, no allocation; any thread.
 */
#ifndef MILLRACE_DRIVERS_MBUS_FRAME_H
#define MILLRACE_DRIVERS_MBUS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MBUS_FRAME_MAX = 261, MBUS_SHORT = 5, MBUS_SELECT = 17 };
enum { MBUS_SELECTED = 0xfd, MBUS_ANY_FRAME_COUNT = 0x20 };

enum mbus_found {
        MBUS_MORE,  /* more bytes are needed */
        MBUS_ACK,   /* one E5 */
        MBUS_LONG,  /* a telegram with data, its checksum right */
        MBUS_OTHER, /* a short one: our own echo, or somebody else's */
        MBUS_NOISE, /* a byte that begins nothing */
        MBUS_WRONG, /* begins like a telegram, and is none: checksum or end */
};

struct mbus_frame {
        uint8_t control, address, ci;
        const uint8_t *data; /* behind the CI field; borrowed */
        size_t len;
};

/* What the bytes begin with, and how many of them it is. */
enum mbus_found mbus_frame_find(const uint8_t *p, size_t n, struct mbus_frame *out, size_t *used);

/* SND_NKE and REQ_UD2; fcb: the frame count bit. */
size_t mbus_put_reset(uint8_t out[MBUS_SHORT], uint8_t address);
size_t mbus_put_request(uint8_t out[MBUS_SHORT], uint8_t address, bool fcb);

/*
 * Which meter is to answer on address FD. A nibble, or all of a field, may be
 * F.
 */
struct mbus_secondary {
        uint8_t id[4]; /* as on the wire: the lowest first, BCD */
        uint16_t manufacturer;
        uint8_t version, medium;
};

size_t mbus_put_select(uint8_t out[MBUS_SELECT], const struct mbus_secondary *s);

/* Whether the meter that says `is` was meant by `wanted`. */
bool mbus_is_meant(const struct mbus_secondary *wanted, const struct mbus_secondary *is);

#endif
