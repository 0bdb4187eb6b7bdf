/*
 * ascii: Modbus ASCII, the older framing: a colon, the bytes in hex, a check
 * sum (LRC), carriage return and line feed.  Pure, no allocation; loop thread.
 *
 * What comes is made into the frame that RTU would have carried, so that all
 * behind it is the same for both; a wrong LRC becomes a wrong CRC.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_ASCII_H
#define MILLRACE_DRIVERS_MODBUS_ASCII_H

#include <stdbool.h>

#include "drivers/modbus/frame.h"

enum { MODBUS_ASCII_MAX = 2 * MODBUS_TCP_MAX };

struct modbus_ascii {
        uint8_t frame[MODBUS_RTU_MAX + 1]; /* unit, PDU, LRC as far as they came; then the CRC in its place */
        size_t len;
        bool open, half, cr; /* behind a colon; of a byte one digit came; CR came */
        uint64_t n_garbage;  /* characters that belonged to no frame */
};

/* A request's or answer's text; returns its length: 2 * len + 7. */
size_t modbus_put_ascii(uint8_t *out, uint8_t unit, const uint8_t *pdu, size_t len);

/*
 * Takes one character. true: a frame has ended: `frame`, `len` are as RTU would
 * have them, until the next character.
 */
bool modbus_ascii_take(struct modbus_ascii *a, uint8_t c);

/*
 * The line was quiet: what is there begins no frame any more. Returns how many
 * characters that were.
 */
size_t modbus_ascii_flush(struct modbus_ascii *a);

#endif
