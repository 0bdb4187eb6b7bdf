/*
 * decode: registers and bits of a slave -> readings.  Pure, no allocation, any
 * thread.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_DECODE_H
#define MILLRACE_DRIVERS_MODBUS_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/reading.h"

/*
 * In the order of their function codes: 1 reads coils … 4 reads input
 * registers.
 */
enum modbus_table { MODBUS_COIL, MODBUS_DISCRETE, MODBUS_HOLDING, MODBUS_INPUT, N_MODBUS_TABLES };

enum modbus_type {
        MODBUS_INT16,
        MODBUS_UINT16,
        MODBUS_INT32,
        MODBUS_UINT32,
        MODBUS_INT64,
        MODBUS_UINT64,
        MODBUS_FLOAT32,
        MODBUS_FLOAT64,
        MODBUS_BOOL, /* a coil or discrete input; a register that is not 0 */
        MODBUS_BIT,  /* one bit of a register, 0 is the lowest */
        MODBUS_STRING,
        MODBUS_INT8, /* half a register */
        MODBUS_UINT8,
        MODBUS_INT48,
        MODBUS_UINT48,
        MODBUS_BCD16, /* a decimal digit in each four bits */
        MODBUS_BCD32,
        MODBUS_BCD64,
        MODBUS_UNIX32, /* seconds since 1970 */
        MODBUS_UNIX64,
        MODBUS_DATETIME3, /* year and month, day and hour, minute and second, a byte each; years from 2000 */
        MODBUS_DATETIME4, /* IEC 60870-5: year, month and day, hour and minute, milliseconds */
        MODBUS_DATETIME6, /* year, month, day, hour, minute, second, a register each */
        N_MODBUS_TYPES
};

/*
 * How a value lies on the wire, by the bytes of 0xAABBCCDD; longer values alike
 * (ABCDEFGH, GHEFCDAB, BADCFEHG, HGFEDCBA).
 */
enum modbus_order { MODBUS_ABCD, MODBUS_CDAB, MODBUS_BADC, MODBUS_DCBA, N_MODBUS_ORDERS };

enum { MODBUS_REGISTERS_MAX = 125, MODBUS_BITS_MAX = 2000, MODBUS_DATA_MAX = 250 };

enum { MODBUS_TIME_ROOM = 32 };

struct modbus_format {
        uint8_t type, order, bit;
        uint8_t length; /* registers of a string */
        bool high;      /* of half a register: the first byte */
};

/* A value that is words or letters, not a number. */
static inline bool modbus_is_text(unsigned type)
{
        return type == MODBUS_STRING || (type >= MODBUS_UNIX32 && type <= MODBUS_DATETIME6);
}

/* How many bits a whole number of this type has; 0: it is none. */
unsigned modbus_type_bits(enum modbus_type type);

/* In registers; in bits for coils and discrete inputs it is always 1. */
unsigned modbus_type_width(enum modbus_type type, unsigned length);

/* How much room the text of a reading may take. */
static inline size_t modbus_text_room(const struct modbus_format *f)
{
        return f->type == MODBUS_STRING ? 4u * f->length : modbus_is_text(f->type) ? MODBUS_TIME_ROOM : 0;
}

/*
 * Sets type, value, len and quality of *out, as it lies in the slave, from the
 * value's own registers (`data`: high byte first, as on the wire). A string's
 * text is written to `text` (modbus_text_room) and borrowed by *out.
 */
void modbus_decode(const struct modbus_format *f, const uint8_t *data, char *text, struct reading *out);
void modbus_decode_bit(const uint8_t *bits, unsigned index, struct reading *out);

/*
 * Where a value lies: "holding:0", "input:0x10" count from 0 as the wire does;
 * 400001, 40001, 300001, 10001, 1 count from 1 as manuals do, their first digit
 * is the table.  0 or -1 with a sentence.
 */
/* "holding", or "register" for a function that reads none. */
const char *modbus_table_of(unsigned function);
int modbus_where_parse(const char *text, enum modbus_table *table, unsigned *address, struct err *e);

#endif
