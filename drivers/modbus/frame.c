/*
 * frame: see frame.h.
 *
 * Why two ways to read RTU: RTU has no start mark, only silence, and silence is
 * not visible behind USB adapters and gateways.  A master knows exactly what it
 * waits for (unit, function, byte count, CRC), so it looks for that anywhere in
 * the buffer; noise, an echo of its own request or half a frame in front cost
 * nothing.  (Three bytes of bits make an answer as long as a request, and the
 * echo of one for coils from 0x300 to 0x3ff is such an answer.)  A listener
 * takes what the length rules and the CRC allow, and lets go one byte at a time
 * where they don't. TCP has lengths, so a length or protocol id that can't be
 * is the end of the stream, not something to skip.
 *
 * Fails: never; garbage is counted.
 */
#include "drivers/modbus/frame.h"

#include <string.h>

#include "agent/base/err.h"

/* By nibbles: 32 bytes of table where 512 would gain nothing that is seen. */
uint16_t modbus_crc(const uint8_t *p, size_t len)
{
        static const uint16_t nibble[16] = {0x0000, 0xcc01, 0xd801, 0x1400, 0xf001, 0x3c00, 0x2800, 0xe401,
                                            0xa001, 0x6c00, 0x7800, 0xb401, 0x5000, 0x9c01, 0x8801, 0x4400};
        unsigned crc = 0xffff;

        for (size_t i = 0; i < len; i++) {
                crc ^= p[i];
                crc = crc >> 4 ^ nibble[crc & 15];
                crc = crc >> 4 ^ nibble[crc & 15];
        }
        return (uint16_t)crc;
}

/*
 * How a PDU's length is known: `fixed`; or `fixed` and the number in byte
 * `count_at`.
 */
struct shape {
        uint8_t fixed, count_at;
};

static const struct shape requests[] = {
        [1] = {5, 0},  [2] = {5, 0},  [3] = {5, 0},  [4] = {5, 0},  [5] = {5, 0},   [6] = {5, 0},
        [7] = {1, 0},  [8] = {5, 0},  [11] = {1, 0}, [12] = {1, 0}, [15] = {6, 5},  [16] = {6, 5},
        [17] = {1, 0}, [20] = {2, 1}, [21] = {2, 1}, [22] = {7, 0}, [23] = {10, 9}, [24] = {3, 0},
};
static const struct shape replies[] = {
        [1] = {2, 1},  [2] = {2, 1},  [3] = {2, 1},  [4] = {2, 1},  [5] = {5, 0},  [6] = {5, 0},
        [7] = {2, 0},  [8] = {5, 0},  [11] = {5, 0}, [12] = {2, 1}, [15] = {5, 0}, [16] = {5, 0},
        [17] = {2, 1}, [20] = {2, 1}, [21] = {2, 1}, [22] = {7, 0}, [23] = {2, 1},
};

int modbus_pdu_len(enum modbus_role role, const uint8_t *pdu, size_t have)
{
        const struct shape *shapes = role == MODBUS_REQUEST ? requests : replies;
        size_t n = role == MODBUS_REQUEST ? sizeof(requests) / sizeof(*requests) : sizeof(replies) / sizeof(*replies);
        size_t len;

        if (have == 0)
                return 0;
        if (role == MODBUS_REPLY && pdu[0] & 0x80)
                return 2;
        if (pdu[0] >= n || !shapes[pdu[0]].fixed)
                return -1;
        len = shapes[pdu[0]].fixed;
        if (!shapes[pdu[0]].count_at)
                return (int)len;
        if (have <= shapes[pdu[0]].count_at)
                return 0;
        len += pdu[shapes[pdu[0]].count_at];
        return len <= MODBUS_PDU_MAX ? (int)len : -1;
}

size_t modbus_put_rtu(uint8_t *out, uint8_t unit, const uint8_t *pdu, size_t len)
{
        uint16_t crc;

        BUG_ON(len > MODBUS_PDU_MAX);
        out[0] = unit;
        memcpy(out + 1, pdu, len);
        crc = modbus_crc(out, len + 1);
        out[len + 1] = (uint8_t)crc;
        out[len + 2] = (uint8_t)(crc >> 8);
        return len + 3;
}

size_t modbus_put_tcp(uint8_t *out, uint16_t transaction, uint8_t unit, const uint8_t *pdu, size_t len)
{
        BUG_ON(len > MODBUS_PDU_MAX);
        out[0] = (uint8_t)(transaction >> 8);
        out[1] = (uint8_t)transaction;
        out[2] = out[3] = out[4] = 0;
        out[5] = (uint8_t)(len + 1);
        out[6] = unit;
        memcpy(out + 7, pdu, len);
        return len + 7;
}

/* ---- RTU ---- */

static void drop_front(struct modbus_rtu *f, size_t n)
{
        f->len -= n;
        memmove(f->buf, f->buf + n, f->len);
}

void modbus_rtu_push(struct modbus_rtu *f, const uint8_t *p, size_t n)
{
        if (n > sizeof(f->buf)) {
                f->n_garbage += n - sizeof(f->buf);
                p += n - sizeof(f->buf);
                n = sizeof(f->buf);
        }
        if (f->len + n > sizeof(f->buf)) {
                size_t most = f->len + n - sizeof(f->buf);

                f->n_garbage += most;
                drop_front(f, most);
        }
        memcpy(f->buf + f->len, p, n);
        f->len += n;
}

size_t modbus_rtu_flush(struct modbus_rtu *f)
{
        size_t n = f->len;

        f->n_garbage += n;
        f->len = 0;
        return n;
}

/* `len`: of the whole frame with unit and CRC. */
static bool is_frame(const uint8_t *p, size_t len)
{
        uint16_t crc = modbus_crc(p, len - 2);

        return p[len - 2] == (crc & 0xff) && p[len - 1] == crc >> 8;
}

static size_t wanted_len(const struct modbus_want *want, const uint8_t *p, size_t have)
{
        if (have < 5 || (p[0] != want->unit && !want->any_unit))
                return 0;
        if (p[1] == (want->function | 0x80))
                return 5;
        return p[1] == want->function && p[2] == want->n_bytes ? want->n_bytes + 5 : 0;
}

static void set_rtu(struct modbus_frame *out, const uint8_t *p, size_t len)
{
        *out = (struct modbus_frame){.unit = p[0], .pdu = p + 1, .len = len - 3};
}

bool modbus_rtu_find(struct modbus_rtu *f, const struct modbus_want *want, struct modbus_frame *out, size_t *before)
{
        bool echoed = false;

        for (size_t at = 0; at + 5 <= f->len; at++) {
                size_t len = wanted_len(want, f->buf + at, f->len - at);

                if (len == 0 || len > f->len - at || !is_frame(f->buf + at, len))
                        continue;
                if (!echoed && len == want->n_echo && memcmp(f->buf + at, want->echo, len) == 0) {
                        echoed = true;
                        continue;
                }
                f->n_garbage += f->len - len;
                f->len = 0;
                *before = at;
                set_rtu(out, f->buf + at, len);
                return true;
        }
        return false;
}

/*
 * 0: no frame begins here; else how long it is, or would be as far as can be
 * told.
 */
static size_t listened_len(enum modbus_role role, const uint8_t *p, size_t have)
{
        int pdu = have > 1 ? modbus_pdu_len(role, p + 1, have - 1) : 0;

        if (pdu < 0)
                return 0;
        return pdu == 0 ? have + 1 : (size_t)pdu + 3;
}

size_t modbus_rtu_frame(enum modbus_role role, const uint8_t *p, size_t n)
{
        size_t len = listened_len(role, p, n);

        return len && len <= n && is_frame(p, len) ? len : 0;
}

bool modbus_rtu_next(struct modbus_rtu *f, enum modbus_role role, bool quiet, struct modbus_frame *out)
{
        size_t at = 0, len = 0;
        bool found = false;

        for (; at < f->len; at++) {
                size_t have = f->len - at;

                len = listened_len(role, f->buf + at, have);
                found = len && len <= have && is_frame(f->buf + at, len);
                if (found || (len > have && !quiet))
                        break;
        }
        f->n_garbage += at;
        drop_front(f, at);
        if (!found)
                return false;
        memcpy(f->frame, f->buf, len);
        drop_front(f, len);
        set_rtu(out, f->frame, len);
        return true;
}

/* ---- TCP ---- */

size_t modbus_tcp_room(struct modbus_tcp *f, uint8_t **at)
{
        f->len -= f->taken;
        memmove(f->buf, f->buf + f->taken, f->len);
        f->taken = 0;
        *at = f->buf + f->len;
        return sizeof(f->buf) - f->len;
}

void modbus_tcp_push(struct modbus_tcp *f, const uint8_t *p, size_t n)
{
        uint8_t *at;

        BUG_ON(n > modbus_tcp_room(f, &at));
        memmove(at, p, n);
        f->len += n;
}

int modbus_tcp_next(struct modbus_tcp *f, struct modbus_frame *out)
{
        const uint8_t *p = f->buf + f->taken;
        size_t have = f->len - f->taken, len;

        if (have >= 4 && (p[2] || p[3]))
                return -1;
        if (have < 6)
                return 0;
        len = (size_t)p[4] << 8 | p[5];
        if (len < 2 || len > MODBUS_PDU_MAX + 1)
                return -1;
        if (have < 6 + len)
                return 0;
        *out = (struct modbus_frame){
                .transaction = (uint16_t)(p[0] << 8 | p[1]), .unit = p[6], .pdu = p + 7, .len = len - 1};
        f->taken += 6 + len;
        return 1;
}

const char *modbus_exception(unsigned code)
{
        static const char *const words[] = {
                [1] = "illegal function, it does not do that",
                [2] = "illegal data address, it has no such register",
                [3] = "illegal data value, it does not give so many at once",
                [4] = "device failure",
                [5] = "acknowledged, still working",
                [6] = "device busy",
                [7] = "negative acknowledge",
                [8] = "memory parity error",
                [10] = "gateway path unavailable",
                [11] = "gateway target did not answer",
        };

        return code < sizeof(words) / sizeof(*words) && words[code] ? words[code] : "unknown exception";
}
