/*
 * books: how many readings came and went between two times, from the counts
 * that events carry.
 *
 * Pure.  The counts of an epoch only grow, so what a time brought is the
 * difference of two marks: the last one before it and the first one behind it,
 * or what is nearest.
 */
#ifndef MILLRACE_CLI_PAST_BOOKS_H
#define MILLRACE_CLI_PAST_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

struct books_mark {
        int64_t ts_us; /* 0: none */
        uint64_t accepted, delivered, dropped;
};

struct books_time {
        int64_t from_us, until_us; /* asked for */
        struct books_mark from, to;
        uint64_t last_accepted;
        int64_t anew_us; /* the spool's counts began anew within the time; 0: they did not */
};

void books_take(struct books_time *b, const struct books_mark *m);
void books_anew(struct books_time *b, int64_t ts_us); /* another file: what was counted before is not comparable */
bool books_known(const struct books_time *b);

#endif
