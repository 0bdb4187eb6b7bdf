/*
 * swinging_door: fewer readings for the uplink, after the rules have seen all
 * of them.
 *
 * Two ways, per tag: by exception (a reading is sent when it left a band around
 * the last one sent; the one before it is sent too, so that a line drawn
 * through what was sent shows when it left), and the swinging door (a reading
 * is sent when a straight line no longer passes all those left out within
 * `band`).  What is sent is always a reading as it was, in order.
 *
 * What was left out differs from the line through what was sent by at most
 * THIN_BOUND(mode) * band; with min_us > 0, a band left for less than min_us
 * may be missed.  Pure; a struct swinging_door is zeroed at first.
 */
#ifndef MILLRACE_RULES_SWINGING_DOOR_H
#define MILLRACE_RULES_SWINGING_DOOR_H

#include <stdbool.h>
#include <stdint.h>

enum thin_mode { THIN_NONE, THIN_EXCEPTION, THIN_SWINGING_DOOR };

#define THIN_BOUND(mode) ((mode) == THIN_EXCEPTION ? 2 : (mode) == THIN_SWINGING_DOOR ? 1 : 0)

struct swinging_door_conf {
        enum thin_mode mode;
        double band;
        int64_t min_us; /* exception: not more often than this, the one before not counted */
        int64_t max_us; /* at least this often, when there are readings; 0: no such promise */
};

struct swinging_door_point {
        int64_t ts_us;
        double v;
};

struct swinging_door {
        struct swinging_door_point sent, held;
        double low, high; /* swinging door: slopes that pass all that was left out since `sent` */
        bool begun, holds;
};

/* Returns how many points are to be sent now, 0 to 2, oldest first. */
int swinging_door_push(struct swinging_door *t, const struct swinging_door_conf *c, struct swinging_door_point p,
                       struct swinging_door_point out[2]);

/*
 * What is held back, before a reading that is no number or of another quality,
 * or at the end; begins anew.  0 or 1.
 */
int swinging_door_break(struct swinging_door *t, struct swinging_door_point out[1]);

#endif
