/*
 * frame_line: lines of text, up to the next end of line, or a silence.
 *
 * Fails: a line longer than max_frame is broken, once, and left out up to its
 * end.
 */
#include <string.h>

#include "drivers/serial/frame_impl.h"

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

/* It is told once, and its end is looked for. */
static enum serial_found begin_skipping(struct serial_framer *f, struct serial_frame *out)
{
        f->skipping = true;
        return frame_give_broken(f, out, f->max_frame, "longer than max_frame");
}

/* What is there has no end yet. */
static enum serial_found line_unfinished(struct serial_framer *f, struct serial_frame *out, size_t have, size_t n_end)
{
        size_t keep = have < n_end - 1 ? have : n_end - 1; /* may be the beginning of an end */

        if (f->skipping) {
                frame_drop(f, have - keep);
                return SERIAL_MORE;
        }
        if (have <= f->max_frame + n_end - 1) {
                f->seen = have - keep;
                return SERIAL_MORE;
        }
        return begin_skipping(f, out);
}

/*
 * Gives what is behind the last start mark, up to the checksum.  Behind `line`
 * lie `len` bytes, its end, and the checksum when that is its place.
 */
static enum serial_found check_sum(struct serial_framer *f, struct serial_frame *out, const uint8_t *line, size_t len,
                                   size_t n_end)
{
        const struct serial_line_sum_conf *c = &f->sum;
        size_t n_inside = f->n_sum_mark + (c->behind_end ? 0 : f->n_sum), from = 0, to, n_start = f->n_sum_start;
        const uint8_t *sum = c->behind_end ? line + len + n_end : line + len - f->n_sum;
        uint32_t is;

        for (size_t i = 0; n_start && i + n_start <= len; i++)
                if (memcmp(line + i, f->sum_start, n_start) == 0)
                        from = i + n_start;
        if ((n_start && !from) || len < from + n_inside)
                return frame_give_broken(f, out, len, "no checksum");
        to = len - n_inside;
        if (memcmp(line + to, f->sum_mark, f->n_sum_mark) != 0)
                return frame_give_broken(f, out, len, "no checksum");
        n_start = c->with_start ? n_start : 0;
        is = serial_checksum((enum serial_checksum)c->kind, line + from - n_start,
                             to - from + n_start + (c->with_mark ? f->n_sum_mark : 0) + (c->with_end ? n_end : 0));
        if (!serial_checksum_is(c->kind, c->form, c->order, sum, is))
                return frame_give_broken(f, out, len, "wrong checksum");
        return frame_give(f, out, line + from, to - from);
}

static enum serial_found give_line(struct serial_framer *f, struct serial_frame *out, size_t len, size_t n_end)
{
        const uint8_t *line = f->buf + f->at;

        if (len > f->max_frame)
                return frame_give_broken(f, out, f->max_frame, "longer than max_frame");
        return f->n_sum ? check_sum(f, out, line, len, n_end) : frame_give(f, out, line, len);
}

enum serial_found frame_next_line(struct serial_framer *f, struct serial_frame *out)
{
        for (;;) {
                size_t have = f->end - f->at, n_end, len = find_end(f, &n_end);
                size_t n_behind = (len || f->skipping) && f->sum.behind_end ? f->n_sum : 0;
                enum serial_found found;

                if (len == have)
                        return line_unfinished(f, out, have, n_end);
                if (len + n_end + n_behind > have) {
                        f->seen = len;
                        return f->skipping || len <= f->max_frame ? SERIAL_MORE : begin_skipping(f, out);
                }
                if (len && !f->skipping) {
                        found = give_line(f, out, len, n_end);
                        frame_consume(f, len + n_end + n_behind);
                        return found;
                }
                if (f->skipping)
                        f->n_garbage_bytes += len + n_end + n_behind;
                f->skipping = false;
                frame_consume(f, len + n_end + n_behind);
        }
}

enum serial_found frame_flush_line(struct serial_framer *f, struct serial_frame *out)
{
        size_t len = f->end - f->at;
        enum serial_found found = SERIAL_MORE;

        if (f->skipping)
                frame_drop(f, len);
        else if (len && f->by_silence)
                found = give_line(f, out, len, 0);
        else if (len)
                found = frame_give_broken(f, out, len, "the line was not ended");
        f->skipping = false;
        frame_consume(f, f->end - f->at);
        return found;
}
