/*
 * checksum: those that instruments put behind what they say.  Pure; any thread.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_CHECKSUM_H
#define MILLRACE_DRIVERS_SERIAL_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum serial_checksum {
        SERIAL_CHECK_NONE,
        SERIAL_CHECK_SUM8,
        SERIAL_CHECK_XOR8,
        SERIAL_CHECK_SUM16,
        SERIAL_CHECK_CRC16_MODBUS,
        SERIAL_CHECK_CRC16_CCITT,  /* polynomial 1021, begins with FFFF */
        SERIAL_CHECK_CRC16_XMODEM, /* the same, begins with 0 */
        SERIAL_CHECK_SUM8_TWOS,    /* what makes the sum 0; the LRC of Modbus ASCII */
        SERIAL_CHECK_SUM8_ONES,    /* what makes the sum FF */
        SERIAL_CHECK_SUM7_TWOS,    /* of seven bits: Toledo */
        SERIAL_CHECK_CRC8,
        SERIAL_CHECK_CRC8_MAXIM,
        SERIAL_CHECK_CRC8_J1850,
        SERIAL_CHECK_CRC8_ROHC,
        SERIAL_CHECK_CRC16_ARC,
        SERIAL_CHECK_CRC16_KERMIT,
        SERIAL_CHECK_CRC16_X25,
        SERIAL_CHECK_CRC16_USB,
        SERIAL_CHECK_CRC16_DNP,
        SERIAL_CHECK_CRC32,
        SERIAL_CHECK_CRC32_MPEG2,
        SERIAL_CHECK_CRC32C,
        N_SERIAL_CHECKS
};
enum serial_form { SERIAL_FORM_BINARY, SERIAL_FORM_HEX, SERIAL_FORM_DECIMAL };
enum { SERIAL_ORDER_USUAL, SERIAL_ORDER_BIG, SERIAL_ORDER_LITTLE }; /* of its bytes */

extern const char *const serial_checksum_names[]; /* NULL-ended */

uint32_t serial_checksum(enum serial_checksum kind, const uint8_t *p, size_t len);

/* Bytes it takes on the line. */
size_t serial_checksum_width(int kind, int form);

/* Whether it is `sum` that stands at `p`, in serial_checksum_width() bytes. */
bool serial_checksum_is(int kind, int form, int order, const uint8_t *p, uint32_t sum);

#endif
