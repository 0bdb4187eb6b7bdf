/*
 * learn: see learn.h.
 *
 * Why quantiles and not mean and deviation: what was recorded may hold a
 * failure or two, and those must not set the limits they are to be caught by.
 * So what is far out counts only when the value went there five times or more:
 * what happened often is operation, what happened a few times is an incident.
 * Why the noise from steps between neighbours: the process itself moves slowly,
 * what is left from one reading to the next is the instrument.  Numbers are
 * rounded outwards to two digits: nobody reviews 85.37182.
 */
#include "agent/rules/learn.h"

#include <math.h>
#include <stdlib.h>

#include "agent/base/err.h"

enum { BLIP_PERIODS = 5, GAP_PERIODS = 30, OFTEN = 5 };

void learn_add(struct learn *l, int64_t ts_us, double v)
{
        if (!isfinite(v))
                return;
        if (l->n == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 1024;
                l->ts_us = mem_grow(l->ts_us, l->cap, sizeof(*l->ts_us));
                l->v = mem_grow(l->v, l->cap, sizeof(*l->v));
        }
        l->ts_us[l->n] = ts_us;
        l->v[l->n++] = v;
}

void learn_fini(struct learn *l)
{
        free(l->ts_us);
        free(l->v);
        *l = (struct learn){.n = 0};
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t n, double q)
{
        double at = q * (double)(n - 1);
        size_t i = (size_t)at;

        return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

/* Of 0..n-1; sorts. 0 when there are none. */
static double median_of(double *v, size_t n)
{
        if (!n)
                return 0;
        qsort(v, n, sizeof(*v), by_value);
        return quantile(v, n, 0.5);
}

static double round_up(double v)
{
        double unit = v != 0 ? pow(10, floor(log10(fabs(v))) - 1) : 1;

        return ceil(v / unit - 1e-9) * unit;
}

/* Towards plus infinity (or minus) on the grid of two digits of `scale`. */
static double round_out(double v, double scale, double sign)
{
        double unit = pow(10, floor(log10(scale)) - 1);

        return sign * ceil(sign * v / unit - 1e-9) * unit;
}

/* 1, 2, 3, 5, 10, 15, 20, 30 and so on: what a person would write. */
static int64_t round_delay(double us)
{
        static const int64_t steps_s[] = {1,   2,   3,   5,   10,  15,   20,   30,   60,
                                          120, 180, 300, 600, 900, 1200, 1800, 3600, 7200};
        const size_t n = sizeof(steps_s) / sizeof(*steps_s);

        for (size_t i = 0; i < n; i++) {
                if (us <= (double)steps_s[i] * 1e6)
                        return steps_s[i] * 1000000;
        }
        return steps_s[n - 1] * 1000000;
}

/*
 * Excursions beyond `edge` on one side: how long they are, and the gaps
 * between.
 */
struct edges {
        double *blips, *gaps;
        size_t n_blips, n_gaps;
};

static void walk_edge(const struct learn *l, double edge, double sign, double deadband, int64_t period_us,
                      struct edges *out)
{
        int64_t since_us = l->ts_us[0], left_us = INT64_MIN;
        bool inside = false;

        for (size_t i = 0; i < l->n; i++) {
                double beyond = sign * (l->v[i] - edge);

                if (!inside && beyond >= 0) {
                        inside = true;
                        since_us = l->ts_us[i];
                        if (left_us != INT64_MIN && since_us - left_us <= GAP_PERIODS * period_us)
                                out->gaps[out->n_gaps++] = (double)(since_us - left_us);
                } else if (inside && beyond < -deadband) {
                        inside = false;
                        left_us = l->ts_us[i];
                        if (left_us - since_us <= BLIP_PERIODS * period_us)
                                out->blips[out->n_blips++] = (double)(left_us - since_us);
                }
        }
}

static void propose_delays(const struct learn *l, const double *sorted, double *room, struct learned *out)
{
        struct edges e = {.blips = room, .gaps = mem_alloc((l->n + 1) * sizeof(double))};
        double on_us, off_us;

        walk_edge(l, quantile(sorted, l->n, 0.99), 1, out->deadband, out->period_us, &e);
        walk_edge(l, quantile(sorted, l->n, 0.01), -1, out->deadband, out->period_us, &e);
        on_us = median_of(e.blips, e.n_blips);
        qsort(e.gaps, e.n_gaps, sizeof(*e.gaps), by_value);
        off_us = e.n_gaps ? quantile(e.gaps, e.n_gaps, 0.9) : 0;
        on_us = on_us > (double)out->period_us ? on_us : (double)out->period_us;
        off_us = off_us > 3 * (double)out->period_us ? off_us : 3 * (double)out->period_us;
        out->on_delay_us = round_delay(on_us);
        out->off_delay_us = round_delay(off_us);
        free(e.gaps);
}

/*
 * How many times the value went beyond `edge` on that side, coming back by half
 * of `spread` in between.
 */
static size_t episodes(const struct learn *l, double edge, double spread, double sign)
{
        bool beyond = false;
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++) {
                double by = sign * (l->v[i] - edge);

                n += !beyond && by > 0;
                beyond = by > 0 || (beyond && by > -spread / 2);
        }
        return n;
}

/*
 * One side. `spread`: from the median to the 95 % quantile; `most`: the 99.9 %
 * quantile.
 */
static void propose_side(const struct learn *l, double median, double spread, double most, double sign, double scale,
                         double *warning, double *alarm)
{
        double edge = median + sign * 2.6 * spread; /* 4.3 deviations of a bell curve */

        if (episodes(l, edge, spread, sign) >= OFTEN && sign * (most - edge) > 0)
                edge = most + sign * spread / 2;
        *warning = round_out(edge, scale, sign);
        *alarm = round_out(edge + sign * 0.6 * spread, scale, sign);
}

static void propose_limits(const struct learn *l, const double *sorted, struct learned *out)
{
        double up, down, band, scale;
        size_t n = l->n;

        out->median = quantile(sorted, n, 0.5);
        out->low = quantile(sorted, n, 0.001);
        out->high = quantile(sorted, n, 0.999);
        up = quantile(sorted, n, 0.95) - out->median;
        down = out->median - quantile(sorted, n, 0.05);
        band = up + down > 0 ? up + down : out->high - out->low;
        up = up > band / 5 ? up : band / 5; /* a side it hardly leaves still has a limit apart from it */
        down = down > band / 5 ? down : band / 5;
        scale = up + down;
        propose_side(l, out->median, up, out->high, 1, scale, &out->hi, &out->hihi);
        propose_side(l, out->median, down, out->low, -1, scale, &out->lo, &out->lolo);
        out->deadband = 4 * out->noise > (out->hi - out->lo) / 50 ? 4 * out->noise : (out->hi - out->lo) / 50;
        out->deadband = round_up(out->deadband < (out->hi - out->lo) / 4 ? out->deadband : (out->hi - out->lo) / 4);
}

int learn_propose(const struct learn *l, struct learned *out)
{
        double *sorted, *room;
        size_t steps = 0, periods = 0;

        *out = (struct learned){.noise = 0};
        if (l->n < LEARN_MIN)
                return LEARN_E_FEW;
        sorted = mem_alloc(l->n * sizeof(double));
        room = mem_alloc(2 * l->n * sizeof(double)); /* both edges can have that many blips */
        for (size_t i = 1; i < l->n; i++)
                room[steps++] = fabs(l->v[i] - l->v[i - 1]);
        out->noise = median_of(room, steps) / 0.954; /* of a normal deviation, from the median step */
        for (size_t i = 1; i < l->n; i++) {
                if (l->ts_us[i] > l->ts_us[i - 1])
                        room[periods++] = (double)(l->ts_us[i] - l->ts_us[i - 1]);
        }
        out->period_us = (int64_t)median_of(room, periods);
        for (size_t i = 0; i < l->n; i++)
                sorted[i] = l->v[i];
        qsort(sorted, l->n, sizeof(*sorted), by_value);
        if (sorted[0] < sorted[l->n - 1] && quantile(sorted, l->n, 0.001) < quantile(sorted, l->n, 0.999)) {
                propose_limits(l, sorted, out);
                propose_delays(l, sorted, room, out);
        } else {
                out->median = sorted[0];
        }
        free(sorted);
        free(room);
        return out->period_us && out->hi > out->lo ? 0 : LEARN_E_STILL;
}
