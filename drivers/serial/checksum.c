/*
 * checksum: see checksum.h.
 *
 * Every CRC is a row of one table, in the words of the catalogue that people
 * look such things up in: width, polynomial, first value, bits reversed or not,
 * and what is XORed in the end.  A bit at a time: a frame has a few hundred
 * bytes, and a table for each kind would be larger than all that.
 *
 * Fails never; a kind that is none is 0.
 */
#include "drivers/serial/checksum.h"

const char *const serial_checksum_names[] = {"none",         "sum8",         "xor8",       "sum16",     "crc16_modbus",
                                             "crc16_ccitt",  "crc16_xmodem", "sum8_twos",  "sum8_ones", "sum7_twos",
                                             "crc8",         "crc8_maxim",   "crc8_j1850", "crc8_rohc", "crc16_arc",
                                             "crc16_kermit", "crc16_x25",    "crc16_usb",  "crc16_dnp", "crc32",
                                             "crc32_mpeg2",  "crc32c",       NULL};

static const struct crc {
        uint8_t bits; /* 0: it is a sum */
        bool reversed;
        uint32_t polynomial, first, last; /* the polynomial as it is used: reversed too */
} crcs[N_SERIAL_CHECKS] = {
        [SERIAL_CHECK_CRC8] = {8, false, 0x07, 0, 0},
        [SERIAL_CHECK_CRC8_MAXIM] = {8, true, 0x8c, 0, 0},
        [SERIAL_CHECK_CRC8_J1850] = {8, false, 0x1d, 0xff, 0xff},
        [SERIAL_CHECK_CRC8_ROHC] = {8, true, 0xe0, 0xff, 0},
        [SERIAL_CHECK_CRC16_MODBUS] = {16, true, 0xa001, 0xffff, 0},
        [SERIAL_CHECK_CRC16_ARC] = {16, true, 0xa001, 0, 0},
        [SERIAL_CHECK_CRC16_USB] = {16, true, 0xa001, 0xffff, 0xffff},
        [SERIAL_CHECK_CRC16_CCITT] = {16, false, 0x1021, 0xffff, 0},
        [SERIAL_CHECK_CRC16_XMODEM] = {16, false, 0x1021, 0, 0},
        [SERIAL_CHECK_CRC16_KERMIT] = {16, true, 0x8408, 0, 0},
        [SERIAL_CHECK_CRC16_X25] = {16, true, 0x8408, 0xffff, 0xffff},
        [SERIAL_CHECK_CRC16_DNP] = {16, true, 0xa6bc, 0, 0xffff},
        [SERIAL_CHECK_CRC32] = {32, true, 0xedb88320, 0xffffffff, 0xffffffff},
        [SERIAL_CHECK_CRC32_MPEG2] = {32, false, 0x04c11db7, 0xffffffff, 0},
        [SERIAL_CHECK_CRC32C] = {32, true, 0x82f63b78, 0xffffffff, 0xffffffff},
};

static uint32_t crc_reversed(const struct crc *c, const uint8_t *p, size_t len)
{
        uint32_t crc = c->first;

        for (size_t i = 0; i < len; i++) {
                crc ^= p[i];
                for (int k = 0; k < 8; k++)
                        crc = crc & 1 ? (crc >> 1) ^ c->polynomial : crc >> 1;
        }
        return crc ^ c->last;
}

static uint32_t crc_forward(const struct crc *c, const uint8_t *p, size_t len)
{
        uint32_t crc = c->first, top = UINT32_C(1) << (c->bits - 1), mask = top | (top - 1);

        for (size_t i = 0; i < len; i++) {
                crc ^= (uint32_t)p[i] << (c->bits - 8);
                for (int k = 0; k < 8; k++)
                        crc = crc & top ? (crc << 1) ^ c->polynomial : crc << 1;
        }
        return (crc ^ c->last) & mask;
}

uint32_t serial_checksum(enum serial_checksum kind, const uint8_t *p, size_t len)
{
        const struct crc *c = &crcs[kind];
        uint32_t sum = 0, xored = 0;

        if (c->bits)
                return c->reversed ? crc_reversed(c, p, len) : crc_forward(c, p, len);
        for (size_t i = 0; i < len; i++) {
                sum += p[i];
                xored ^= p[i];
        }
        switch (kind) {
        case SERIAL_CHECK_SUM8:
                return sum & 0xff;
        case SERIAL_CHECK_XOR8:
                return xored;
        case SERIAL_CHECK_SUM16:
                return sum & 0xffff;
        case SERIAL_CHECK_SUM8_TWOS:
                return -sum & 0xff;
        case SERIAL_CHECK_SUM8_ONES:
                return ~sum & 0xff;
        case SERIAL_CHECK_SUM7_TWOS:
                return -sum & 0x7f;
        default:
                return 0;
        }
}

static size_t bytes_of(int kind)
{
        return kind == SERIAL_CHECK_NONE    ? 0
               : crcs[kind].bits            ? crcs[kind].bits / 8u
               : kind == SERIAL_CHECK_SUM16 ? 2
                                            : 1;
}

size_t serial_checksum_width(int kind, int form)
{
        static const uint8_t decimals[] = {0, 3, 5, 0, 10};
        size_t n = bytes_of(kind);

        return form == SERIAL_FORM_HEX ? 2 * n : form == SERIAL_FORM_DECIMAL ? decimals[n] : n;
}

static int digit(uint8_t c, unsigned base)
{
        int v = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                       : 99;

        return v < (int)base ? v : -1;
}

static bool is_written(const uint8_t *p, size_t n, unsigned base, uint32_t sum)
{
        uint64_t v = 0;

        for (size_t i = 0; i < n; i++) {
                int d = digit(p[i], base);

                if (d < 0)
                        return false;
                v = v * base + (unsigned)d;
        }
        return v == sum;
}

static uint32_t turned(uint32_t sum, size_t n)
{
        uint32_t v = 0;

        for (size_t i = 0; i < n; i++)
                v = v << 8 | (sum >> (8 * i) & 0xff);
        return v;
}

bool serial_checksum_is(int kind, int form, int order, const uint8_t *p, uint32_t sum)
{
        size_t n = bytes_of(kind), width = serial_checksum_width(kind, form);
        bool usual = order == SERIAL_ORDER_USUAL && kind == SERIAL_CHECK_CRC16_MODBUS && form == SERIAL_FORM_BINARY;
        uint32_t v = 0;

        if (order == SERIAL_ORDER_LITTLE || usual)
                sum = turned(sum, n);
        if (form != SERIAL_FORM_BINARY)
                return is_written(p, width, form == SERIAL_FORM_HEX ? 16 : 10, sum);
        for (size_t i = 0; i < n; i++)
                v = v << 8 | p[i];
        return v == sum;
}
