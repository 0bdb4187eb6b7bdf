/*
 * frame: bytes -> frames, and back in step after anything.  Pure; loop thread.
 * Allocates once, in init.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_FRAME_H
#define MILLRACE_DRIVERS_SERIAL_FRAME_H

#include "drivers/serial/serial.h"

enum serial_found {
        SERIAL_MORE,   /* more bytes are needed */
        SERIAL_FRAME,  /* a whole frame, checksum right */
        SERIAL_BROKEN, /* something that was meant to be one; `reason` says what is wrong */
};

/* Borrowed from the framer, valid until it gets more bytes. */
struct serial_frame {
        const uint8_t *bytes; /* a line without its end; a sentence without $ and *hh; a binary frame whole */
        size_t len;
        const char *reason; /* of a broken one */
};

struct serial_framer {
        enum serial_framing kind;
        uint8_t *buf;
        size_t cap, at, end; /* what has come and was not given out is buf[at..end) */
        size_t seen;         /* bytes behind `at` that were looked at and can't end the frame */
        size_t max_frame;
        bool skipping;                 /* a line was too long: its rest */
        bool by_silence;               /* lines have no end but a pause */
        uint8_t mark[SERIAL_MARK_MAX]; /* what ends a line; n_mark 0: CR or LF */
        size_t n_mark;
        uint8_t start[SERIAL_MARK_MAX], stop[SERIAL_MARK_MAX]; /* of binary frames */
        size_t n_start, n_stop;
        struct serial_binary_conf binary;
        struct serial_line_sum_conf sum; /* of lines */
        uint8_t sum_start[SERIAL_MARK_MAX], sum_mark[SERIAL_MARK_MAX];
        size_t n_sum, n_sum_start, n_sum_mark; /* bytes of it on the line, and around it */
        uint64_t n_frames, n_broken, n_garbage_bytes;
};

/* The configuration has been checked. */
void serial_framer_init(struct serial_framer *f, const struct serial_conf *conf);
void serial_framer_fini(struct serial_framer *f);

/*
 * Room for the next read; never 0 after serial_frame_next has said SERIAL_MORE.
 */
size_t serial_framer_room(struct serial_framer *f, uint8_t **at);
void serial_framer_push(struct serial_framer *f, size_t n); /* n bytes were put there */

enum serial_found serial_frame_next(struct serial_framer *f, struct serial_frame *out);

/*
 * The line has been silent: what lies there does not go on. Call until
 * SERIAL_MORE; then nothing lies there any more.
 */
enum serial_found serial_frame_flush(struct serial_framer *f, struct serial_frame *out);

static inline bool serial_framer_empty(const struct serial_framer *f)
{
        return f->at == f->end && !f->skipping;
}

void serial_framer_reset(struct serial_framer *f);

#endif
