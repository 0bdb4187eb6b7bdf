/*
 * house_fill: a filled spool for fuzz targets, in three states.
 */
#ifndef MILLRACE_TESTS_FUZZ_HOUSE_FILL_H
#define MILLRACE_TESTS_FUZZ_HOUSE_FILL_H

#include "tests/fuzz/house.h"

enum house_state {
        HOUSE_KILLED, /* part of it is in the WAL */
        HOUSE_CLOSED, /* no WAL */
        HOUSE_OLD,    /* format 4 */
        HOUSE_STATES
};

extern const char house_rules[]; /* for house_init */

void house_fill(struct house *h, struct house_files files[HOUSE_STATES]);

#endif
