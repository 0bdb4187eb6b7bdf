/*
 * report: what is gathered for a time, and what is said of it.  Between
 * report.c, which reads the spool, and report_parts.c, which makes the page.
 */
#ifndef MILLRACE_CLI_PAST_REPORT_H
#define MILLRACE_CLI_PAST_REPORT_H

#include "agent/cli/past/books.h"
#include "agent/cli/past/gaps.h"
#include "agent/cli/past/outages.h"
#include "agent/cli/past/page.h"

struct report_drop {
        char reason[48];
        uint64_t n, first_seq, last_seq;
        int64_t from_us, to_us; /* when they were dropped */
};

struct report_tag {
        char *name; /* source/tag{labels}; NULL: no reading of it was seen */
        size_t source_len;
        int64_t last_us; /* of a tag without a reading in the time: its last one */
};

enum { REPORT_DROPS = 16 };

struct report {
        int64_t from_us, until_us, now_us;
        bool utc;
        bool plain; /* digits alone and seconds, for who reckons with them */
        const char *gateway;
        uint64_t epoch;

        struct spool_counts counts; /* now */
        struct books_time books;
        struct report_drop drops[REPORT_DROPS];
        size_t n_drops;

        struct outages outages, alarms;

        struct gaps gaps;
        struct report_tag *tags;
        size_t n_tags;
        uint64_t n_readings;
        int64_t first_reading_us; /* of all that is in the file; 0: none */
};

void report_page(struct report *r, struct page *p);

#endif
