/*
 * frame: see frame.h.
 *
 * A serial line has no beginning: what comes first is the middle of something,
 * adapters drop bytes, and a receiver's log may mix text and binary.  So every
 * kind of framing can begin anywhere.  Lines: up to the next end of line.
 * Sentences: the next $ whose checksum is right; a $ inside begins anew.
 * Binary: the next start bytes whose length is possible and whose checksum and
 * end are right; after a failure the search goes on one byte behind the false
 * start, so that a true frame inside is found.
 *
 * Fails: never; what belongs to no frame is counted in bytes, what was meant to
 * be a frame is given out as broken.  The buffer holds one frame of the
 * greatest length and one read; a length field can't ask for more.
 */
#include "drivers/serial/frame.h"

#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 4096 };

/* ---- checksums ---- */

static uint16_t crc16_reflected(const uint8_t *p, size_t len)
{
        uint16_t crc = 0xffff;

        for (size_t i = 0; i < len; i++) {
                crc ^= p[i];
                for (int k = 0; k < 8; k++)
                        crc = (uint16_t)(crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1);
        }
        return crc;
}

static uint16_t crc16_ccitt(uint16_t crc, const uint8_t *p, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                crc = (uint16_t)(crc ^ (p[i] << 8));
                for (int k = 0; k < 8; k++)
                        crc = (uint16_t)(crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1);
        }
        return crc;
}

uint16_t serial_checksum(enum serial_checksum kind, const uint8_t *p, size_t len)
{
        uint16_t sum = 0, xored = 0;

        if (kind == SERIAL_CHECK_CRC16_MODBUS)
                return crc16_reflected(p, len);
        if (kind == SERIAL_CHECK_CRC16_CCITT || kind == SERIAL_CHECK_CRC16_XMODEM)
                return crc16_ccitt(kind == SERIAL_CHECK_CRC16_CCITT ? 0xffff : 0, p, len);
        for (size_t i = 0; i < len; i++) {
                sum = (uint16_t)(sum + p[i]);
                xored ^= p[i];
        }
        return kind == SERIAL_CHECK_XOR8 ? xored : kind == SERIAL_CHECK_SUM8 ? sum & 0xff : sum;
}

static size_t checksum_bytes(int kind)
{
        return kind == SERIAL_CHECK_NONE ? 0 : kind == SERIAL_CHECK_SUM8 || kind == SERIAL_CHECK_XOR8 ? 1 : 2;
}

/* ---- the buffer ---- */

void serial_framer_init(struct serial_framer *f, const struct serial_conf *conf)
{
        int n = 0;

        *f = (struct serial_framer){.kind = (enum serial_framing)conf->frame, .max_frame = (size_t)conf->max_frame};
        f->by_silence = conf->frame == SERIAL_LINE && conf->delimiter && !*conf->delimiter;
        if (conf->delimiter)
                n = serial_unescape(f->mark, sizeof(f->mark), conf->delimiter, NULL);
        f->n_mark = n > 0 ? (size_t)n : 0;
        f->binary = conf->binary;
        n = conf->binary.start ? serial_unhex(f->start, sizeof(f->start), conf->binary.start, NULL) : 0;
        f->n_start = n > 0 ? (size_t)n : 0;
        n = conf->binary.end ? serial_unhex(f->stop, sizeof(f->stop), conf->binary.end, NULL) : 0;
        f->n_stop = n > 0 ? (size_t)n : 0;
        f->cap = f->max_frame + SERIAL_MARK_MAX + READ_BYTES;
        f->buf = mem_alloc(f->cap);
}

void serial_framer_fini(struct serial_framer *f)
{
        free(f->buf);
        f->buf = NULL;
}

void serial_framer_reset(struct serial_framer *f)
{
        f->at = f->end = f->seen = 0;
        f->skipping = false;
}

size_t serial_framer_room(struct serial_framer *f, uint8_t **at)
{
        if (f->at) {
                memmove(f->buf, f->buf + f->at, f->end - f->at);
                f->end -= f->at;
                f->at = 0;
        }
        *at = f->buf + f->end;
        return f->cap - f->end;
}

void serial_framer_push(struct serial_framer *f, size_t n)
{
        BUG_ON(n > f->cap - f->end);
        f->end += n;
}

static void consume(struct serial_framer *f, size_t n)
{
        f->at += n;
        f->seen = 0;
}

static enum serial_found give(struct serial_framer *f, struct serial_frame *out, const uint8_t *bytes, size_t len)
{
        f->n_frames++;
        *out = (struct serial_frame){bytes, len, NULL};
        return SERIAL_FRAME;
}

static enum serial_found give_broken(struct serial_framer *f, struct serial_frame *out, size_t len, const char *reason)
{
        f->n_broken++;
        *out = (struct serial_frame){f->buf + f->at, len, reason};
        return SERIAL_BROKEN;
}

static void drop_garbage(struct serial_framer *f, size_t n)
{
        f->n_garbage_bytes += n;
        consume(f, n);
}

/* ---- lines ---- */

/*
 * Offset of the line's end from `at`, its length in *n; or the number of bytes
 * that are there.
 */
static size_t find_end(const struct serial_framer *f, size_t *n)
{
        const uint8_t *p = f->buf + f->at;
        size_t have = f->end - f->at;

        *n = f->n_mark ? f->n_mark : 1;
        if (f->by_silence)
                return have;
        for (size_t i = f->seen; i + *n <= have; i++) {
                if (f->n_mark ? memcmp(p + i, f->mark, f->n_mark) == 0 : p[i] == '\r' || p[i] == '\n')
                        return i;
        }
        return have;
}

/* What is there has no end yet. */
static enum serial_found line_unfinished(struct serial_framer *f, struct serial_frame *out, size_t have, size_t n_end)
{
        size_t keep = have < n_end - 1 ? have : n_end - 1; /* may be the beginning of an end */

        if (f->skipping) {
                drop_garbage(f, have - keep);
                return SERIAL_MORE;
        }
        if (have <= f->max_frame + n_end - 1) {
                f->seen = have - keep;
                return SERIAL_MORE;
        }
        f->skipping = true;
        return give_broken(f, out, f->max_frame, "longer than max_frame");
}

static enum serial_found next_line(struct serial_framer *f, struct serial_frame *out)
{
        for (;;) {
                size_t have = f->end - f->at, n_end, len = find_end(f, &n_end);
                const uint8_t *line = f->buf + f->at;

                if (len == have)
                        return line_unfinished(f, out, have, n_end);
                if (f->skipping) {
                        drop_garbage(f, len + n_end);
                        f->skipping = false;
                } else if (len > f->max_frame) {
                        enum serial_found found = give_broken(f, out, f->max_frame, "longer than max_frame");

                        consume(f, len + n_end);
                        return found;
                } else {
                        consume(f, len + n_end);
                        if (len)
                                return give(f, out, line, len);
                }
        }
}

/* ---- sentences ---- */

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
                consume(f, i - f->at);
        f->n_garbage_bytes += n_noise;
}

/* buf[at] begins a sentence with its * at offset `star`. */
static enum serial_found end_sentence(struct serial_framer *f, struct serial_frame *out, size_t star)
{
        const uint8_t *p = f->buf + f->at;
        int high = hex_digit(p[star + 1]), low = hex_digit(p[star + 2]);
        enum serial_found found;

        if (high < 0 || low < 0) {
                drop_garbage(f, star + 1);
                return SERIAL_MORE;
        }
        if (serial_checksum(SERIAL_CHECK_XOR8, p + 1, star - 1) == (high << 4 | low))
                found = give(f, out, p + 1, star - 1);
        else
                found = give_broken(f, out, star + 3, "wrong checksum");
        consume(f, star + 3);
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
                drop_garbage(f, i);
                return SERIAL_MORE;
        }
        f->seen = i;
        if (i == have || (p[i] == '*' && i + 2 >= have))
                return SERIAL_MORE;
        if (p[i] == '*')
                return end_sentence(f, out, i);
        if (p[i] == '\r' || p[i] == '\n') {
                found = give_broken(f, out, i, "no checksum");
                consume(f, i);
                return found;
        }
        drop_garbage(f, i);
        return SERIAL_MORE;
}

static enum serial_found next_sentence(struct serial_framer *f, struct serial_frame *out)
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

/* ---- binary ---- */

static uint64_t get_uint(const uint8_t *p, size_t n, bool little)
{
        uint64_t v = 0;

        for (size_t i = 0; i < n; i++)
                v = v << 8 | p[little ? n - 1 - i : i];
        return v;
}

static bool begins(const struct serial_framer *f, size_t i)
{
        size_t n = f->end - i < f->n_start ? f->end - i : f->n_start;

        return memcmp(f->buf + i, f->start, n) == 0;
}

static void skip_to_start(struct serial_framer *f)
{
        size_t i = f->at;

        while (i < f->end && !begins(f, i))
                i++;
        if (i > f->at)
                drop_garbage(f, i - f->at);
}

/*
 * Of the frame that begins at `at`: 0: too little is there to tell, -1: it
 * can't be one.
 */
static int64_t frame_len(const struct serial_framer *f)
{
        const struct serial_binary_conf *b = &f->binary;
        size_t tail = checksum_bytes(b->checksum) + f->n_stop, least = f->n_start + tail;
        int64_t len = b->length;

        if (b->length_at >= 0) {
                size_t head = (size_t)(b->length_at + b->length_size);

                if (f->end - f->at < head)
                        return 0;
                least = (head > f->n_start ? head : f->n_start) + tail;
                len = (int64_t)get_uint(f->buf + f->at + b->length_at, (size_t)b->length_size,
                                        b->length_order == SERIAL_LITTLE) +
                      b->length_adds;
        }
        if (len < (int64_t)least || len > (int64_t)f->max_frame || len < b->checksum_from + (int64_t)tail)
                return -1;
        return len;
}

/* NULL: all is right. */
static const char *wrong_with(const struct serial_framer *f, size_t len)
{
        const struct serial_binary_conf *b = &f->binary;
        const uint8_t *p = f->buf + f->at;
        size_t n = checksum_bytes(b->checksum), at = len - f->n_stop - n;
        bool little = b->checksum_order == SERIAL_ORDER_LITTLE ||
                      (b->checksum_order == SERIAL_ORDER_USUAL && b->checksum == SERIAL_CHECK_CRC16_MODBUS);
        uint16_t is;

        if (memcmp(p + len - f->n_stop, f->stop, f->n_stop) != 0)
                return "does not end as configured";
        if (n == 0)
                return NULL;
        is = serial_checksum((enum serial_checksum)b->checksum, p + b->checksum_from, at - (size_t)b->checksum_from);
        return is == get_uint(p + at, n, little) ? NULL : "wrong checksum";
}

static enum serial_found next_binary(struct serial_framer *f, struct serial_frame *out)
{
        for (;;) {
                enum serial_found found;
                const char *wrong;
                int64_t len;

                skip_to_start(f);
                if (f->end - f->at < (f->n_start ? f->n_start : 1))
                        return SERIAL_MORE;
                len = frame_len(f);
                if (len < 0) {
                        drop_garbage(f, 1);
                        continue;
                }
                if (len == 0 || f->end - f->at < (size_t)len)
                        return SERIAL_MORE;
                wrong = wrong_with(f, (size_t)len);
                if (!wrong) {
                        found = give(f, out, f->buf + f->at, (size_t)len);
                        consume(f, (size_t)len);
                } else {
                        found = give_broken(f, out, (size_t)len, wrong);
                        drop_garbage(f, 1);
                }
                return found;
        }
}

/* ---- all ---- */

enum serial_found serial_frame_next(struct serial_framer *f, struct serial_frame *out)
{
        switch (f->kind) {
        case SERIAL_LINE:
                return next_line(f, out);
        case SERIAL_NMEA0183:
                return next_sentence(f, out);
        case SERIAL_BINARY:
                return next_binary(f, out);
        }
        return SERIAL_MORE;
}

static enum serial_found flush_line(struct serial_framer *f, struct serial_frame *out)
{
        size_t len = f->end - f->at;
        const uint8_t *line = f->buf + f->at;
        enum serial_found found = SERIAL_MORE;

        if (f->skipping)
                drop_garbage(f, len);
        else if (len && f->by_silence)
                found = give(f, out, line, len);
        else if (len)
                found = give_broken(f, out, len, "the line was not ended");
        f->skipping = false;
        consume(f, f->end - f->at);
        return found;
}

enum serial_found serial_frame_flush(struct serial_framer *f, struct serial_frame *out)
{
        enum serial_found found = SERIAL_MORE;

        if (f->kind == SERIAL_LINE)
                return flush_line(f, out);
        while (f->at < f->end && found == SERIAL_MORE) {
                drop_garbage(f, 1);
                found = serial_frame_next(f, out);
        }
        return found;
}
