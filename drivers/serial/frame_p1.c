/*
 * frame_p1: telegrams of meters: from the / of the identification to the ! and
 * the CRC16 behind it.
 *
 * Telegrams before version 4 have no CRC, and are taken without one only when
 * they do not name their version: a telegram of today whose CRC was lost is not
 * one of them.  A / that begins a line begins another telegram.
 *
 * Fails: a telegram that is cut, too long, holds a byte that is no text, or has
 * a wrong CRC is broken as a whole.
 */
#include <string.h>

#include "drivers/serial/checksum.h"
#include "drivers/serial/frame_impl.h"

enum { HEAD = 4, CRC_DIGITS = 4 };

static bool is_letter(uint8_t c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_line_end(uint8_t c)
{
        return c == '\r' || c == '\n';
}

/* A slash and the three letters of a maker; as far as they are there. */
static bool may_begin(const uint8_t *p, size_t have)
{
        for (size_t i = 1; i < HEAD && i < have; i++)
                if (!is_letter(p[i]))
                        return false;
        return *p == '/';
}

static void skip_to_telegram(struct serial_framer *f)
{
        size_t i = f->at, n_noise = 0;

        for (; i < f->end && !may_begin(f->buf + i, f->end - i); i++)
                n_noise += !is_line_end(f->buf[i]);
        if (i > f->at)
                frame_consume(f, i - f->at);
        f->n_garbage_bytes += n_noise;
}

static bool holds(const uint8_t *p, size_t len, const char *what)
{
        return memmem(p, len, what, strlen(what)) != NULL;
}

/* `n` bytes lie between the ! at `end` and the end of its line. */
static const char *wrong_with(const uint8_t *p, size_t end, size_t n)
{
        if (n == 0)
                return holds(p, end, "1-3:0.2.8(") || holds(p, end, "0-0:96.1.4(") ? "no checksum" : NULL;
        if (n != CRC_DIGITS || !serial_checksum_is(SERIAL_CHECK_CRC16_ARC, SERIAL_FORM_HEX, SERIAL_ORDER_BIG,
                                                   p + end + 1, serial_checksum(SERIAL_CHECK_CRC16_ARC, p, end + 1)))
                return "wrong checksum";
        return NULL;
}

/* The ! is at offset `end`. */
static enum serial_found end_telegram(struct serial_framer *f, struct serial_frame *out, size_t end)
{
        const uint8_t *p = f->buf + f->at;
        size_t have = f->end - f->at, n = 0;
        enum serial_found found;
        const char *wrong;

        while (end + 1 + n < have && n <= CRC_DIGITS && !is_line_end(p[end + 1 + n]))
                n++;
        if (n <= CRC_DIGITS && end + 1 + n == have)
                return SERIAL_MORE;
        wrong = wrong_with(p, end, n);
        found = wrong ? frame_give_broken(f, out, end + 1 + n, wrong) : frame_give(f, out, p, end);
        frame_consume(f, end + 1 + n);
        return found;
}

static enum serial_found cut(struct serial_framer *f, struct serial_frame *out, size_t n, const char *reason)
{
        enum serial_found found = frame_give_broken(f, out, n, reason);

        frame_consume(f, n);
        return found;
}

enum serial_found frame_next_p1(struct serial_framer *f, struct serial_frame *out)
{
        const uint8_t *p;
        size_t have, i;

        skip_to_telegram(f);
        p = f->buf + f->at;
        have = f->end - f->at;
        for (i = f->seen ? f->seen : 1; i < have && i <= f->max_frame; i++) {
                bool begins_line = is_line_end(p[i - 1]);

                if (begins_line && p[i] == '!') {
                        f->seen = i;
                        return end_telegram(f, out, i);
                }
                if (begins_line && p[i] == '/')
                        return cut(f, out, i, "the telegram was not ended");
                if ((p[i] < ' ' && !is_line_end(p[i]) && p[i] != '\t') || p[i] >= 0x7f)
                        return cut(f, out, i + 1, "a byte that is no text");
        }
        if (i > f->max_frame)
                return cut(f, out, f->max_frame, "longer than max_frame");
        f->seen = i;
        return SERIAL_MORE;
}

enum serial_found frame_flush_p1(struct serial_framer *f, struct serial_frame *out)
{
        skip_to_telegram(f);
        return f->at < f->end ? cut(f, out, f->end - f->at, "the telegram was not ended") : SERIAL_MORE;
}
