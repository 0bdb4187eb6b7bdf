/*
 * condition_words: one condition of the status object as people read it: how
 * bad, of what, since when, what it is, and the way out.  Pure.
 */
#ifndef MILLRACE_CLI_CONDITION_WORDS_H
#define MILLRACE_CLI_CONDITION_WORDS_H

#include <jansson.h>
#include <stddef.h>

#include "agent/cli/out.h"

struct condition_words {
        enum out_colour colour;
        char severity[24];
        char what[1400]; /* kafka, since 21:40:11 (12s): no record is acknowledged */
        char todo[1024]; /* "": nothing is known that would help */
};

/* `condition` may be anything: what is missing in it is left out. */
void condition_words(struct condition_words *w, const json_t *condition, bool utc);

/* Of the status object; `shown` is how many of them it has. 0: it has none. */
size_t condition_total(const json_t *status, size_t *shown);

enum out_colour condition_colour(const char *severity);

#endif
