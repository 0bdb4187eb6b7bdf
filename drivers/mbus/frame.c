/*
 * frame: see frame.h.
 *
 * Fails: noise is told a byte at a time, a telegram with a wrong checksum or
 * end as such; the length stands twice, and both must be the same.
 */
#include "drivers/mbus/frame.h"

#include <string.h>

enum { ACK = 0xe5, BEGINS_SHORT = 0x10, BEGINS_LONG = 0x68, ENDS = 0x16 };
enum { SND_NKE = 0x40, REQ_UD2 = 0x5b, FCB = 0x20, SND_UD = 0x53, CI_SELECT = 0x52 };
enum { LONG_HEAD = 4, LONG_TAIL = 2, LEAST = 3 };

static uint8_t sum(const uint8_t *p, size_t n)
{
        uint8_t v = 0;

        for (size_t i = 0; i < n; i++)
                v = (uint8_t)(v + p[i]);
        return v;
}

static enum mbus_found find_short(const uint8_t *p, size_t n, size_t *used)
{
        if (n < MBUS_SHORT)
                return MBUS_MORE;
        *used = p[4] == ENDS && p[3] == sum(p + 1, 2) ? MBUS_SHORT : 1;
        return *used == 1 ? MBUS_NOISE : MBUS_OTHER;
}

static enum mbus_found find_long(const uint8_t *p, size_t n, struct mbus_frame *out, size_t *used)
{
        size_t len = n > 1 ? p[1] : 0, whole = LONG_HEAD + len + LONG_TAIL;

        *used = 1;
        if ((n > 1 && len < LEAST) || (n > 2 && p[2] != p[1]) || (n > 3 && p[3] != BEGINS_LONG))
                return MBUS_NOISE;
        if (n < LONG_HEAD || n < whole)
                return MBUS_MORE;
        *used = whole;
        if (p[whole - 1] != ENDS || p[whole - 2] != sum(p + LONG_HEAD, len))
                return MBUS_WRONG;
        *out = (struct mbus_frame){p[4], p[5], p[6], p + 7, len - LEAST};
        return MBUS_LONG;
}

enum mbus_found mbus_frame_find(const uint8_t *p, size_t n, struct mbus_frame *out, size_t *used)
{
        *used = 1;
        if (n == 0)
                return MBUS_MORE;
        switch (p[0]) {
        case ACK:
                return MBUS_ACK;
        case BEGINS_SHORT:
                return find_short(p, n, used);
        case BEGINS_LONG:
                return find_long(p, n, out, used);
        default:
                return MBUS_NOISE;
        }
}

static size_t put_short(uint8_t out[MBUS_SHORT], uint8_t control, uint8_t address)
{
        const uint8_t bytes[MBUS_SHORT] = {BEGINS_SHORT, control, address, (uint8_t)(control + address), ENDS};

        memcpy(out, bytes, sizeof(bytes));
        return sizeof(bytes);
}

size_t mbus_put_reset(uint8_t out[MBUS_SHORT], uint8_t address)
{
        return put_short(out, SND_NKE, address);
}

size_t mbus_put_request(uint8_t out[MBUS_SHORT], uint8_t address, bool fcb)
{
        return put_short(out, (uint8_t)(REQ_UD2 | (fcb ? FCB : 0)), address);
}

size_t mbus_put_select(uint8_t out[MBUS_SELECT], const struct mbus_secondary *s)
{
        const uint8_t bytes[] = {BEGINS_LONG,
                                 11,
                                 11,
                                 BEGINS_LONG,
                                 SND_UD,
                                 MBUS_SELECTED,
                                 CI_SELECT,
                                 s->id[0],
                                 s->id[1],
                                 s->id[2],
                                 s->id[3],
                                 (uint8_t)s->manufacturer,
                                 (uint8_t)(s->manufacturer >> 8),
                                 s->version,
                                 s->medium};

        memcpy(out, bytes, sizeof(bytes));
        out[sizeof(bytes)] = sum(out + LONG_HEAD, sizeof(bytes) - LONG_HEAD);
        out[sizeof(bytes) + 1] = ENDS;
        return sizeof(bytes) + 2;
}

static bool same_digit(unsigned wanted, unsigned is)
{
        return wanted == 0xf || wanted == is;
}

bool mbus_is_meant(const struct mbus_secondary *wanted, const struct mbus_secondary *is)
{
        for (int i = 0; i < 4; i++)
                if (!same_digit(wanted->id[i] & 15, is->id[i] & 15) || !same_digit(wanted->id[i] >> 4, is->id[i] >> 4))
                        return false;
        return (wanted->manufacturer == 0xffff || wanted->manufacturer == is->manufacturer) &&
               (wanted->version == 0xff || wanted->version == is->version) &&
               (wanted->medium == 0xff || wanted->medium == is->medium);
}
