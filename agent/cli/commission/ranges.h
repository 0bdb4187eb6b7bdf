/*
 * ranges: which registers of one table of a slave answer, found with few
 * questions.  A pure state machine: ask what ranges_next says, tell ranges_told
 * what came of it, until there is nothing more to ask.
 */
#ifndef MILLRACE_CLI_COMMISSION_RANGES_H
#define MILLRACE_CLI_COMMISSION_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANGES_REGISTERS = 65536, RANGES_BLOCK = 64, RANGES_SILENCE_MAX = 5, RANGES_STACK = 16 };

enum ranges_answer {
        RANGES_THERE,
        RANGES_REFUSED,     /* not all of these are there */
        RANGES_NO_FUNCTION, /* the slave does not know the function */
        RANGES_SILENT,
};

enum ranges_state { RANGES_SEARCHING, RANGES_DONE, RANGES_UNKNOWN_FUNCTION, RANGES_GAVE_UP };

struct ranges {
        uint8_t there[RANGES_REGISTERS / 8];
        uint8_t wanted[RANGES_REGISTERS / RANGES_BLOCK / 8]; /* blocks that are looked through */
        uint8_t done[RANGES_REGISTERS / RANGES_BLOCK / 8];
        struct {
                unsigned at, n;
        } stack[RANGES_STACK], asked;
        size_t n_stack;
        unsigned block, sample; /* where the search goes on */
        bool sampling;          /* beside the wanted blocks, one register here and there */
        unsigned n_silent;      /* in a row */
        uint64_t n_asked;
        size_t n_there;
        enum ranges_state state;
};

/* Looks through no block yet, and takes samples everywhere. */
void ranges_init(struct ranges *r);
/* Look through these and, `only`, through no others. */
void ranges_want(struct ranges *r, unsigned first, unsigned last, bool only);

bool ranges_next(struct ranges *r, unsigned *at, unsigned *n);
void ranges_told(struct ranges *r, enum ranges_answer answer);

/* These are known to be there. */
void ranges_mark(struct ranges *r, unsigned at, unsigned n);

/*
 * The run of registers that are there from *at on; false: no more. Then *at +=
 * *n for the next one.
 */
bool ranges_run(const struct ranges *r, unsigned *at, unsigned *n);

/* "1-247", "0,3,10-20" -> one bit each. False: it is not that. */
bool ranges_list(const char *text, unsigned most, uint8_t *bits);

static inline bool ranges_bit(const uint8_t *bits, unsigned i)
{
        return bits[i / 8] >> i % 8 & 1;
}

#endif
