/*
 * frame: bytes <-> Modbus frames, RTU and TCP, both directions.  Pure, no
 * allocation; loop thread.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_FRAME_H
#define MILLRACE_DRIVERS_MODBUS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum modbus_role { MODBUS_REQUEST, MODBUS_REPLY }; /* what the bytes are */

enum { MODBUS_PDU_MAX = 253, MODBUS_RTU_MAX = 256, MODBUS_TCP_MAX = 260 };

/* Borrowed from the framer, valid until it is given more bytes. */
struct modbus_frame {
        uint16_t transaction; /* TCP */
        uint8_t unit;
        const uint8_t *pdu; /* function code and what follows; at least one byte */
        size_t len;
};

uint16_t modbus_crc(const uint8_t *p, size_t len); /* low byte goes first on the wire */

/*
 * Length of a PDU by its first bytes: 0: more are needed to tell, -1: there is
 * no such PDU.
 */
int modbus_pdu_len(enum modbus_role role, const uint8_t *pdu, size_t have);

/* A PDU as it goes over the wire: 3 or 7 bytes more. Return the length. */
size_t modbus_put_rtu(uint8_t *out, uint8_t unit, const uint8_t *pdu, size_t len);
size_t modbus_put_tcp(uint8_t *out, uint16_t transaction, uint8_t unit, const uint8_t *pdu, size_t len);

/* Bytes of data that the reply to a read carries. */
static inline size_t modbus_read_bytes(unsigned function, unsigned count)
{
        return function <= 2 ? (count + 7u) / 8u : 2u * count;
}

/* ---- RTU ---- */

struct modbus_rtu {
        uint8_t buf[2 * MODBUS_RTU_MAX];
        size_t len;
        uint8_t frame[MODBUS_RTU_MAX]; /* the last that modbus_rtu_next gave */
        uint64_t n_garbage;            /* bytes that belonged to no frame */
};

/*
 * What the master waits for: an answer of this unit to this function with so
 * much data, or an exception to it.
 */
struct modbus_want {
        uint8_t unit, function;
        size_t n_bytes;
        bool any_unit;
        const uint8_t *echo; /* the request, `n_echo` bytes: as long as an answer it is not taken for one, once */
        size_t n_echo;
};

/*
 * The length of the frame that begins at `p`, unit and CRC with it; 0: none
 * does, or not all of it is there.
 */
size_t modbus_rtu_frame(enum modbus_role role, const uint8_t *p, size_t n);

void modbus_rtu_push(struct modbus_rtu *f, const uint8_t *p, size_t n);
/*
 * The line was quiet: what is there begins no frame any more. Returns how many
 * bytes were dropped.
 */
size_t modbus_rtu_flush(struct modbus_rtu *f);

/*
 * The wanted frame anywhere in what came: echoes, noise and others' frames
 * before it are skipped.  They are still in `buf`, `before` bytes of them.
 */
bool modbus_rtu_find(struct modbus_rtu *f, const struct modbus_want *want, struct modbus_frame *out, size_t *before);

/*
 * The next frame of somebody's talk, for one who only listens. `quiet`: no more
 * bytes are coming for now.
 */
bool modbus_rtu_next(struct modbus_rtu *f, enum modbus_role role, bool quiet, struct modbus_frame *out);

/* ---- TCP ---- */

struct modbus_tcp {
        uint8_t buf[16 * MODBUS_TCP_MAX];
        size_t len, taken;
};

/* Room for the next read(2). */
size_t modbus_tcp_room(struct modbus_tcp *f, uint8_t **at);
void modbus_tcp_push(struct modbus_tcp *f, const uint8_t *p, size_t n); /* n <= room */
/*
 * 1: a frame; 0: more bytes are needed; -1: this is no Modbus, the connection
 * is of no use any more.
 */
int modbus_tcp_next(struct modbus_tcp *f, struct modbus_frame *out);

/* ---- words ---- */

const char *modbus_exception(unsigned code);

#endif
