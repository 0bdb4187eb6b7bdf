/*
 * curve: a tag's readings as columns of a picture: the least, the greatest, the
 * first and the last number in each, how many, and the worst quality.
 *
 * Adding to columns is pure; reading them is blocking, on a connection that
 * only reads.
 */
#ifndef MILLRACE_PAGE_CURVE_H
#define MILLRACE_PAGE_CURVE_H

#include "store/inspect/query.h"

enum { CURVE_WIDTH_MAX = 4000 };

struct curve_column {
        uint64_t n; /* readings */
        bool has_number;
        double min, max, first, last;
        int64_t first_us, last_us;
        int worst; /* 0 good, 1 uncertain, 2 bad */
};

struct curve {
        int64_t from_us, to_us; /* to_us exclusive */
        int width;
        struct curve_column *column;
        int64_t oldest_us, newest_us; /* of what the spool has of it; 0: nothing */
};

void curve_add(struct curve *c, const struct reading *r);

/*
 * The tag's rows in the spool; c->column is zeroed and has `width` places. 0,
 * or -1 with a sentence, and what was read by then is right.
 */
int curve_read(struct spool_query *q, const struct spool_query_tag *tag, struct curve *c, struct err *e);

#endif
