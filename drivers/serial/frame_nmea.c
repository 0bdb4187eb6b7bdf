/*
 * frame_nmea: sentences: the next $ whose checksum is right; a $ inside begins
 * anew.
 *
 * Fails: a sentence without a checksum, or with a wrong one, is broken; what is
 * none is counted in bytes.
 */
#include "drivers/serial/checksum.h"
#include "drivers/serial/frame_impl.h"

static int hex_digit(uint8_t c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                      : -1;
}

static bool is_blank(uint8_t c)
{
        return c == '\r' || c == '\n' || c == ' ' || c == '\t';
}

/*
 * Up to the next $ or !; blanks and ends of lines between sentences are nothing
 * to count.
 */
static void skip_to_sentence(struct serial_framer *f)
{
        size_t i = f->at, n_noise = 0;

        for (; i < f->end && f->buf[i] != '$' && f->buf[i] != '!'; i++)
                n_noise += !is_blank(f->buf[i]);
        if (i > f->at)
                frame_consume(f, i - f->at);
        f->n_garbage_bytes += n_noise;
}

/* buf[at] begins a sentence with its * at offset `star`. */
static enum serial_found end_sentence(struct serial_framer *f, struct serial_frame *out, size_t star)
{
        const uint8_t *p = f->buf + f->at;
        int high = hex_digit(p[star + 1]), low = hex_digit(p[star + 2]);
        enum serial_found found;

        if (high < 0 || low < 0) {
                frame_drop(f, star + 1);
                return SERIAL_MORE;
        }
        if ((int)serial_checksum(SERIAL_CHECK_XOR8, p + 1, star - 1) == (high << 4 | low))
                found = frame_give(f, out, p + 1, star - 1);
        else
                found = frame_give_broken(f, out, star + 3, "wrong checksum");
        frame_consume(f, star + 3);
        return found;
}

/* SERIAL_MORE with `at` moved: look again. */
static enum serial_found try_sentence(struct serial_framer *f, struct serial_frame *out)
{
        const uint8_t *p = f->buf + f->at;
        size_t have = f->end - f->at, i = f->seen ? f->seen : 1;
        enum serial_found found;

        for (; i < have && i <= f->max_frame && p[i] >= 0x20 && p[i] < 0x7f && p[i] != '$' && p[i] != '*'; i++)
                ;
        if (i > f->max_frame) {
                frame_drop(f, i);
                return SERIAL_MORE;
        }
        f->seen = i;
        if (i == have || (p[i] == '*' && i + 2 >= have))
                return SERIAL_MORE;
        if (p[i] == '*')
                return end_sentence(f, out, i);
        if (p[i] == '\r' || p[i] == '\n') {
                found = frame_give_broken(f, out, i, "no checksum");
                frame_consume(f, i);
                return found;
        }
        frame_drop(f, i);
        return SERIAL_MORE;
}

enum serial_found frame_next_sentence(struct serial_framer *f, struct serial_frame *out)
{
        for (;;) {
                enum serial_found found;
                size_t before;

                skip_to_sentence(f);
                if (f->at == f->end)
                        return SERIAL_MORE;
                before = f->at;
                found = try_sentence(f, out);
                if (found != SERIAL_MORE || f->at == before)
                        return found;
        }
}
