/*
 * together: what one tag of a source says, judged against what the others say.
 *
 * Pure: rows in, a score out.  A row is one number of each tag, of about the
 * same time; who makes rows of readings is the caller.  The memory is the
 * caller's too, is flat (it may be copied, kept and read back on the same
 * machine) and never grows: together_bytes().  No allocation, no clock.
 *
 * Thread: any, one at a time for a memory.  Cannot fail.
 */
#ifndef MILLRACE_RULES_TOGETHER_H
#define MILLRACE_RULES_TOGETHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        TOGETHER_TAGS_MIN = 3,
        TOGETHER_TAGS_MAX = 64,
        TOGETHER_WARM_ROWS = 400,    /* nothing is said before */
        TOGETHER_SETTLE_ROWS = 1000, /* a state that stays so long is the new normal */
};

/* What made the score. */
enum together_by {
        TOGETHER_LEVEL,    /* the tag by itself is far from its mean */
        TOGETHER_REST,     /* it is far from what the others say */
        TOGETHER_RESTLESS, /* it steps more than it does */
        TOGETHER_ROW,      /* the row as a whole; the tag is the one that fits least */
};

struct together_said {
        double score, limit;
        uint32_t tag; /* which made the score */
        double usual; /* what it should say: its mean, or what the others say; NaN: restless */
        enum together_by by;
        bool higher;  /* that tag, than its mean or than the others say */
        bool warm;    /* score counts */
        bool on;      /* this source is in alarm */
        bool settled; /* learning goes on although the score is high: the new state is taken as normal */
};

size_t together_bytes(unsigned n_tags);
void together_begin(void *memory, unsigned n_tags);

/* These bytes could be the memory of n_tags tags. */
bool together_is_sound(const void *memory, size_t n, unsigned n_tags);

/* sqrt(3.5^2 + 3 ln(d/8)) */
double together_limit(unsigned n_tags);

/*
 * One row.  `have`: bit i is set when x[i] is a number that can be used; what
 * it does not have is neither judged nor learned from, and a row with fewer
 * than three does not count at all.
 */
void together_row(void *memory, const double *x, uint64_t have, uint32_t settle_rows, struct together_said *out);

#endif
