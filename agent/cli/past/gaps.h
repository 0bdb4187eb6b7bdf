/*
 * gaps: tags that were silent for much longer than they usually are.
 *
 * Pure: times of readings in, spans out.  What is usual a tag says itself: 95
 * of 100 of its pauses are no longer.  Three times as much, and a minute at
 * least, is a gap.  Of a tag with fewer than ten pauses nobody knows.
 *
 * Memory: 256 bytes a tag; of one tag the three longest pauses are remembered.
 */
#ifndef MILLRACE_CLI_PAST_GAPS_H
#define MILLRACE_CLI_PAST_GAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GAPS_OF_TAG = 3, GAPS_BUCKETS = 44 };

struct gaps_tag {
        uint64_t n;
        int64_t last_us;
        uint32_t pauses[GAPS_BUCKETS]; /* by length: below 1 ms, 2 ms, 4 ms, … */
        struct {
                int64_t from_us, to_us;
        } longest[GAPS_OF_TAG];
};

struct gaps {
        struct gaps_tag *v; /* by tag */
        size_t n;
};

struct gap {
        uint32_t tag;
        int64_t from_us, to_us;
        int64_t usual_us; /* its pauses are no longer than that, mostly */
        bool goes_on;
};

void gaps_fini(struct gaps *g);
void gaps_take(struct gaps *g, uint32_t tag, int64_t ts_us);

/* The gaps of a tag until then; returns how many. */
size_t gaps_of(const struct gaps *g, uint32_t tag, int64_t until_us, struct gap out[GAPS_OF_TAG + 1]);

#endif
