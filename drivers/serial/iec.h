/*
 * iec: a meter that is asked as IEC 62056-21 says: modes A, B and C.  A pure
 * state machine: bytes and the time go in; what to send, when to change the
 * speed and what came of it come out.  Allocates once, in init; one thread.
 *
 * The caller's circle: give every byte that came to iec_input, then do what
 * iec_next says until that is IEC_WAIT, and come back when bytes come or the
 * time it named is reached.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_IEC_H
#define MILLRACE_DRIVERS_SERIAL_IEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IEC_ADDRESS_MAX = 32, IEC_SEND_MAX = IEC_ADDRESS_MAX + 8 };

enum iec_state {
        IEC_IDLE,
        IEC_SIGN_ON,  /* at the first speed: to ask who is there */
        IEC_IDENTITY, /* asked; its line is awaited */
        IEC_REACTION, /* the pause it wants before it is answered */
        IEC_ACK,      /* what we have answered is under way, at the old speed */
        IEC_DATA,     /* the data block is awaited, or coming */
        IEC_DONE,
        IEC_FAILED,
};

struct iec_conf {
        const char *address;    /* "": whoever is there */
        int64_t baud, max_baud; /* at first; the most that is agreed on */
        int64_t timeout_us;     /* of silence */
        size_t max_block;
};

struct iec {
        struct iec_conf conf;
        enum iec_state state;
        int64_t until_us;      /* of this state */
        int64_t latest_us;     /* whatever comes before its answer begins */
        int64_t baud, agreed;  /* as it is, as it will be */
        char digit;            /* of the speed: what is acknowledged; 0: nothing is */
        bool in_block, framed; /* the data has begun; with an STX: a block check ends it, */
        bool at_check;         /* which is next */
        uint8_t check;
        char *text;
        size_t n;
        const char *why;
        uint64_t n_asked, n_blocks;
};

/* What `conf` borrows outlives it. */
void iec_init(struct iec *m, const struct iec_conf *conf);
void iec_fini(struct iec *m);

static inline bool iec_is_busy(const struct iec *m)
{
        return m->state != IEC_IDLE;
}

/* One readout. Not while one is under way. */
void iec_begin(struct iec *m);
/* The line is gone, or stays as it is. */
void iec_abort(struct iec *m);
void iec_input(struct iec *m, int64_t now_us, const uint8_t *bytes, size_t n);

enum iec_next {
        IEC_WAIT,  /* until `until_us`, or bytes; INT64_MAX: nothing is under way */
        IEC_SEND,  /* these bytes, now */
        IEC_BAUD,  /* this speed, now */
        IEC_BLOCK, /* the whole data: `text`, valid until the next call; it is over */
        IEC_FAIL,  /* why; it is over */
};

struct iec_action {
        int64_t until_us, baud;
        uint8_t bytes[IEC_SEND_MAX];
        size_t len; /* of bytes, or of the text */
        const char *text, *why;
};

enum iec_next iec_next(struct iec *m, int64_t now_us, struct iec_action *out);

#endif
