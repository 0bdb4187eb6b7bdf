/*
 * toledo: the continuous output of Mettler-Toledo scales and of those that
 * imitate it.  Pure, no allocation; any thread.
 */
#ifndef MILLRACE_DRIVERS_SERIAL_TOLEDO_H
#define MILLRACE_DRIVERS_SERIAL_TOLEDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct toledo {
        bool has_weight, has_tare; /* they are numbers */
        double weight, tare;       /* gross, or net */
        bool is_net, in_motion;
        bool out_of_range; /* also while it is switched on: there is no weight */
        bool expanded;     /* ten times the digits: a display only */
        const char *unit;
};

/* What is between STX and CR; false: it is no such frame. */
bool toledo_read(struct toledo *out, const uint8_t *p, size_t len);

#endif
