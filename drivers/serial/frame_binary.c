/*
 * frame_binary: the next start bytes whose length is possible and whose
 * checksum and end are right.
 *
 * Fails: after a failure the search goes on one byte behind the false start, so
 * that a true frame inside is found.  A length field can't ask for more than
 * max_frame.
 */
#include <string.h>

#include "drivers/serial/checksum.h"
#include "drivers/serial/frame_impl.h"

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
                frame_drop(f, i - f->at);
}

/*
 * Of the frame that begins at `at`: 0: too little is there to tell, -1: it
 * can't be one.
 */
static int64_t frame_len(const struct serial_framer *f)
{
        const struct serial_binary_conf *b = &f->binary;
        size_t tail = serial_checksum_width(b->checksum, b->checksum_form) + (size_t)b->checksum_behind + f->n_stop,
               least = f->n_start + tail;
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
        size_t n = serial_checksum_width(b->checksum, b->checksum_form);
        size_t at = len - f->n_stop - (size_t)b->checksum_behind - n;
        uint32_t is;

        if (memcmp(p + len - f->n_stop, f->stop, f->n_stop) != 0)
                return "does not end as configured";
        if (n == 0)
                return NULL;
        is = serial_checksum((enum serial_checksum)b->checksum, p + b->checksum_from, at - (size_t)b->checksum_from);
        return serial_checksum_is(b->checksum, b->checksum_form, b->checksum_order, p + at, is) ? NULL
                                                                                                : "wrong checksum";
}

enum serial_found frame_next_binary(struct serial_framer *f, struct serial_frame *out)
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
                        frame_drop(f, 1);
                        continue;
                }
                if (len == 0 || f->end - f->at < (size_t)len)
                        return SERIAL_MORE;
                wrong = wrong_with(f, (size_t)len);
                if (!wrong) {
                        found = frame_give(f, out, f->buf + f->at, (size_t)len);
                        frame_consume(f, (size_t)len);
                } else {
                        found = frame_give_broken(f, out, (size_t)len, wrong);
                        frame_drop(f, 1);
                }
                return found;
        }
}
