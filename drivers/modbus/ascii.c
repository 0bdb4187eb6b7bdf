/*
 * ascii: see ascii.h.
 *
 * A colon begins a frame wherever it comes, so what is damaged costs no more
 * than itself.  Small hex digits and a bare line feed are taken as well: there
 * are devices that send them.
 *
 * Fails: never; what is no frame is counted.
 */
#include "drivers/modbus/ascii.h"

#include "agent/base/err.h"

static uint8_t lrc(const uint8_t *p, size_t len)
{
        unsigned sum = 0;

        for (size_t i = 0; i < len; i++)
                sum += p[i];
        return (uint8_t)(0u - sum);
}

static uint8_t *put_byte(uint8_t *out, uint8_t byte)
{
        static const char digits[] = "0123456789ABCDEF";

        *out++ = (uint8_t)digits[byte >> 4];
        *out++ = (uint8_t)digits[byte & 15];
        return out;
}

size_t modbus_put_ascii(uint8_t *out, uint8_t unit, const uint8_t *pdu, size_t len)
{
        uint8_t *at = out;

        BUG_ON(len > MODBUS_PDU_MAX);
        *at++ = ':';
        at = put_byte(at, unit);
        for (size_t i = 0; i < len; i++)
                at = put_byte(at, pdu[i]);
        at = put_byte(at, (uint8_t)(lrc(pdu, len) - unit));
        *at++ = '\r';
        *at++ = '\n';
        return (size_t)(at - out);
}

size_t modbus_ascii_flush(struct modbus_ascii *a)
{
        size_t n = a->open ? 1 + 2 * a->len + a->half + a->cr : 0;

        a->n_garbage += n;
        a->open = a->half = a->cr = false;
        a->len = 0;
        return n;
}

static int digit(uint8_t c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The LRC gives way to a CRC that is right when it was. */
static void to_rtu(struct modbus_ascii *a)
{
        size_t n = a->len - 1;
        bool right = lrc(a->frame, n) == a->frame[n];
        uint16_t crc = (uint16_t)(modbus_crc(a->frame, n) ^ (right ? 0 : 0xffff));

        a->frame[n] = (uint8_t)crc;
        a->frame[n + 1] = (uint8_t)(crc >> 8);
        a->len = n + 2;
        a->open = a->half = a->cr = false;
}

static bool take_digit(struct modbus_ascii *a, int value)
{
        if (value < 0 || a->cr || (!a->half && a->len == MODBUS_RTU_MAX - 1))
                return false;
        if (a->half)
                a->frame[a->len++] |= (uint8_t)value;
        else
                a->frame[a->len] = (uint8_t)(value << 4);
        a->half = !a->half;
        return true;
}

bool modbus_ascii_take(struct modbus_ascii *a, uint8_t c)
{
        if (c == ':') {
                modbus_ascii_flush(a);
                a->open = true;
                a->len = 0;
                return false;
        }
        if (a->open && c == '\n' && !a->half && a->len >= 3) {
                to_rtu(a);
                return true;
        }
        if (a->open && c == '\r' && !a->half && !a->cr) {
                a->cr = true;
                return false;
        }
        if (!a->open || !take_digit(a, digit(c))) {
                modbus_ascii_flush(a);
                a->n_garbage++;
        }
        return false;
}
