/*
 * thin: fewer readings for the uplink, after the rules have seen all of them.
 *
 * Two ways, per tag: by exception (a reading is sent when it left a band around
 * the last one sent; the one before it is sent too, so that a line drawn
 * through what was sent shows when it left), and the swinging door (a reading
 * is sent when a straight line no longer passes all those left out within
 * `band`).  What is sent is always a reading as it was, in order.
 *
 * What was left out differs from the line through what was sent by at most
 * THIN_BOUND(mode) * band; with min_us > 0, a band left for less than min_us
 * may be missed.  Pure; a struct thin is zeroed at first.
 */
#ifndef MILLRACE_RULES_THIN_H
#define MILLRACE_RULES_THIN_H

#include <stdbool.h>
#include <stdint.h>

enum thin_mode { THIN_NONE, THIN_EXCEPTION, THIN_SWINGING_DOOR };

#define THIN_BOUND(mode) ((mode) == THIN_EXCEPTION ? 2 : (mode) == THIN_SWINGING_DOOR ? 1 : 0)

struct thin_conf {
        enum thin_mode mode;
        double band;
        int64_t min_us; /* exception: not more often than this, the one before not counted */
        int64_t max_us; /* at least this often, when there are readings; 0: no such promise */
};

struct thin_point {
        int64_t ts_us;
        double v;
};

struct thin {
        struct thin_point sent, held;
        double low, high; /* swinging door: slopes that pass all that was left out since `sent` */
        bool begun, holds;
};

/* Returns how many points are to be sent now, 0 to 2, oldest first. */
int thin_push(struct thin *t, const struct thin_conf *c, struct thin_point p, struct thin_point out[2]);

/*
 * What is held back, before a reading that is no number or of another quality,
 * or at the end; begins anew.  0 or 1.
 */
int thin_break(struct thin *t, struct thin_point out[1]);

#endif
