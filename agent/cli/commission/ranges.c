/*
 * ranges: see ranges.h.
 *
 * A block of 64 registers is asked for whole; when that is refused, in halves,
 * down to one.  So a slave whose map has holes is seen exactly, and values of
 * two registers that can't be read by halves are seen too, for a pair is asked
 * before its parts.  Which blocks: those that are wanted, and around what a
 * sample finds: one register at each multiple of 100 and of 256, where makers
 * begin their tables; a block whose edge answers takes its neighbour along.
 *
 * Bounds: a block costs at most 127 questions and is looked through once; about
 * 900 samples; a slave that leaves five questions in a row unanswered is not
 * asked further.  Fails: never.
 */
#include "agent/cli/commission/ranges.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCKS = RANGES_REGISTERS / RANGES_BLOCK };

static void set_bit(uint8_t *bits, unsigned i)
{
        bits[i / 8] |= (uint8_t)(1u << i % 8);
}

void ranges_init(struct ranges *r)
{
        memset(r, 0, sizeof(*r));
        r->sampling = true;
}

void ranges_want(struct ranges *r, unsigned first, unsigned last, bool only)
{
        for (unsigned b = first / RANGES_BLOCK; b <= last / RANGES_BLOCK && b < BLOCKS; b++)
                set_bit(r->wanted, b);
        if (only)
                r->sampling = false;
}

static void push(struct ranges *r, unsigned at, unsigned n)
{
        r->stack[r->n_stack].at = at;
        r->stack[r->n_stack++].n = n;
}

static bool next_block(struct ranges *r)
{
        for (; r->block < BLOCKS; r->block++) {
                if (!ranges_bit(r->wanted, r->block) || ranges_bit(r->done, r->block))
                        continue;
                set_bit(r->done, r->block);
                push(r, r->block * RANGES_BLOCK, RANGES_BLOCK);
                return true;
        }
        return false;
}

static bool next_sample(struct ranges *r)
{
        for (; r->sampling && r->sample < RANGES_REGISTERS; r->sample++) {
                bool round = r->sample % 100 == 0 || r->sample % 256 == 0;

                if (!round || ranges_bit(r->done, r->sample / RANGES_BLOCK))
                        continue;
                push(r, r->sample++, 1);
                return true;
        }
        return false;
}

bool ranges_next(struct ranges *r, unsigned *at, unsigned *n)
{
        if (r->state != RANGES_SEARCHING)
                return false;
        if (!r->n_stack && !next_block(r) && !next_sample(r)) {
                r->state = RANGES_DONE;
                return false;
        }
        r->n_stack--;
        r->asked.at = *at = r->stack[r->n_stack].at;
        r->asked.n = *n = r->stack[r->n_stack].n;
        r->n_asked++;
        return true;
}

static void want_block(struct ranges *r, unsigned block)
{
        if (block >= BLOCKS || ranges_bit(r->done, block))
                return;
        set_bit(r->wanted, block);
        if (block < r->block)
                r->block = block;
}

void ranges_mark(struct ranges *r, unsigned at, unsigned n)
{
        for (unsigned i = at; i < at + n && i < RANGES_REGISTERS; i++) {
                r->n_there += !ranges_bit(r->there, i);
                set_bit(r->there, i);
        }
}

static void told_there(struct ranges *r)
{
        unsigned first = r->asked.at, last = first + r->asked.n - 1;

        ranges_mark(r, first, r->asked.n);
        if (!r->sampling)
                return;
        want_block(r, first / RANGES_BLOCK);
        if (first % RANGES_BLOCK == 0 && first > 0)
                want_block(r, first / RANGES_BLOCK - 1);
        if ((last + 1) % RANGES_BLOCK == 0)
                want_block(r, (last + 1) / RANGES_BLOCK);
}

void ranges_told(struct ranges *r, enum ranges_answer answer)
{
        r->n_silent = answer == RANGES_SILENT ? r->n_silent + 1 : 0;
        if (answer == RANGES_NO_FUNCTION) {
                r->state = RANGES_UNKNOWN_FUNCTION;
        } else if (answer == RANGES_THERE) {
                told_there(r);
        } else if (r->n_silent == RANGES_SILENCE_MAX) {
                r->state = RANGES_GAVE_UP;
        } else if (r->asked.n > 1) {
                push(r, r->asked.at + r->asked.n / 2, r->asked.n / 2);
                push(r, r->asked.at, r->asked.n / 2);
        }
}

bool ranges_run(const struct ranges *r, unsigned *at, unsigned *n)
{
        while (*at < RANGES_REGISTERS && !ranges_bit(r->there, *at))
                ++*at;
        *n = 0;
        while (*at + *n < RANGES_REGISTERS && ranges_bit(r->there, *at + *n))
                ++*n;
        return *n > 0;
}

static bool take_number(const char **text, unsigned most, unsigned *out)
{
        char *end;
        unsigned long v;

        if (**text < '0' || **text > '9')
                return false;
        v = strtoul(*text, &end, 10);
        *text = end;
        *out = (unsigned)v;
        return v <= most;
}

bool ranges_list(const char *text, unsigned most, uint8_t *bits)
{
        unsigned first, last;

        for (;;) {
                if (!take_number(&text, most, &first))
                        return false;
                last = first;
                if (*text == '-') {
                        text++;
                        if (!take_number(&text, most, &last) || last < first)
                                return false;
                }
                for (unsigned i = first; i <= last; i++)
                        set_bit(bits, i);
                if (*text == '\0')
                        return true;
                if (*text++ != ',')
                        return false;
        }
}
