/*
 * learn: limits, deadband and delays proposed from recorded readings of one
 * tag.  A proposal is for a person to review.
 *
 * hi and lo stand 2.6 times as far from the median as the 95 % quantile of that
 * side; or, when the value went beyond that five times or more, half of that
 * distance beyond the 99.9 % quantile.  hihi and lolo stand 0.6 of it further.
 * The deadband is four times the noise between readings, at least a fiftieth of
 * the band.  The delays come from how the value behaves at its own edges:
 * excursions as short as most of those are waited for, and gaps as short as
 * most of those do not count as gone.
 *
 * Pure but for memory, which grows with the recording (16 bytes per reading).
 * Not for the live agent.
 */
#ifndef MILLRACE_RULES_LEARN_H
#define MILLRACE_RULES_LEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEARN_MIN = 100 };

struct learn {
        int64_t *ts_us;
        double *v;
        size_t n, cap;
};

struct learned {
        double hihi, hi, lo, lolo, deadband;
        int64_t on_delay_us, off_delay_us;
        double median, low, high,
                noise;     /* of what was seen: median, 0.1 % and 99.9 % quantile, deviation of the noise */
        int64_t period_us; /* median */
};

void learn_add(struct learn *l, int64_t ts_us, double v);
void learn_fini(struct learn *l);

enum { LEARN_E_FEW = 1, LEARN_E_STILL = 2 };
/*
 * 0; LEARN_E_FEW: fewer than LEARN_MIN readings; LEARN_E_STILL: it did not
 * move.
 */
int learn_propose(const struct learn *l, struct learned *out);

#endif
