/*
 * frame: see frame.h.
 *
 * A serial line has no beginning: what comes first is the middle of something,
 * adapters drop bytes, and a receiver's log may mix text and binary.  So every
 * kind of framing can begin anywhere, and has a room of its own (frame_line and
 * its neighbours); here is the buffer they look at.
 *
 * Fails: never; what belongs to no frame is counted in bytes, what was meant to
 * be a frame is given out as broken.  The buffer holds one frame of the
 * greatest length and one read; a length field can't ask for more.
 */
#include "drivers/serial/frame.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/serial/frame_impl.h"

enum { READ_BYTES = 4096 };

/* ---- the buffer ---- */

static size_t bytes_of(uint8_t out[SERIAL_MARK_MAX], const char *text,
                       int (*read)(uint8_t *out, size_t cap, const char *text, struct err *e))
{
        int n = text ? read(out, SERIAL_MARK_MAX, text, NULL) : 0;

        return n > 0 ? (size_t)n : 0;
}

size_t serial_max_frame(const struct serial_conf *c)
{
        return c->max_frame                  ? (size_t)c->max_frame
               : c->frame == SERIAL_P1       ? 4096
               : c->frame == SERIAL_IEC62056 ? SERIAL_FRAME_MAX
                                             : 1024;
}

/* A line from STX to CR; behind it comes the checksum, when there is one. */
static void set_toledo(struct serial_framer *f)
{
        f->kind = SERIAL_LINE;
        f->mark[0] = '\r';
        f->sum_start[0] = 0x02;
        f->n_mark = f->n_sum_start = 1;
        f->sum.form = SERIAL_FORM_BINARY;
        f->sum.behind_end = f->sum.with_start = f->sum.with_end = true;
        f->n_sum = serial_checksum_width(f->sum.kind, SERIAL_FORM_BINARY);
        f->n_sum_mark = 0;
}

void serial_framer_init(struct serial_framer *f, const struct serial_conf *conf)
{
        *f = (struct serial_framer){.kind = (enum serial_framing)conf->frame, .max_frame = serial_max_frame(conf)};
        f->by_silence = conf->frame == SERIAL_LINE && conf->delimiter && !*conf->delimiter;
        f->n_mark = bytes_of(f->mark, conf->delimiter, serial_unescape);
        f->binary = conf->binary;
        f->n_start = bytes_of(f->start, conf->binary.start, serial_unhex);
        f->n_stop = bytes_of(f->stop, conf->binary.end, serial_unhex);
        f->sum = conf->checksum;
        f->n_sum = serial_checksum_width(f->sum.kind, f->sum.form);
        f->n_sum_start = bytes_of(f->sum_start, f->sum.start, serial_unescape);
        f->n_sum_mark = bytes_of(f->sum_mark, f->sum.mark, serial_unescape);
        if (conf->frame == SERIAL_TOLEDO)
                set_toledo(f);
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

void frame_consume(struct serial_framer *f, size_t n)
{
        f->at += n;
        f->seen = 0;
}

enum serial_found frame_give(struct serial_framer *f, struct serial_frame *out, const uint8_t *bytes, size_t len)
{
        f->n_frames++;
        *out = (struct serial_frame){bytes, len, NULL};
        return SERIAL_FRAME;
}

enum serial_found frame_give_broken(struct serial_framer *f, struct serial_frame *out, size_t len, const char *reason)
{
        f->n_broken++;
        *out = (struct serial_frame){f->buf + f->at, len, reason};
        return SERIAL_BROKEN;
}

void frame_drop(struct serial_framer *f, size_t n)
{
        f->n_garbage_bytes += n;
        frame_consume(f, n);
}

/* ---- all ---- */

enum serial_found serial_frame_next(struct serial_framer *f, struct serial_frame *out)
{
        switch (f->kind) {
        case SERIAL_LINE:
                return frame_next_line(f, out);
        case SERIAL_NMEA0183:
                return frame_next_sentence(f, out);
        case SERIAL_BINARY:
                return frame_next_binary(f, out);
        case SERIAL_P1:
                return frame_next_p1(f, out);
        case SERIAL_IEC62056: /* its bytes go elsewhere */
        case SERIAL_TOLEDO:   /* is a line */
                break;
        }
        return SERIAL_MORE;
}

enum serial_found serial_frame_flush(struct serial_framer *f, struct serial_frame *out)
{
        enum serial_found found = SERIAL_MORE;

        if (f->kind == SERIAL_LINE)
                return frame_flush_line(f, out);
        if (f->kind == SERIAL_P1)
                return frame_flush_p1(f, out);
        while (f->at < f->end && found == SERIAL_MORE) {
                frame_drop(f, 1);
                found = serial_frame_next(f, out);
        }
        return found;
}
