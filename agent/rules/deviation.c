/*
 * deviation: a value far from where this tag usually is.
 *
 * Mean and variance are exponentially weighted; the alarm begins `sigma` standard deviations away and ends `deadband`
 * deviations nearer (default: half way).  What keeps it honest:
 * - One reading alone is not believed: the median of the last three is what is judged.
 * - The anomaly does not teach.  While the value is beyond, nothing is learned from it; what is within but beyond three
 *   deviations counts as three.
 * - What stays is no anomaly.  A value that stays beyond for a whole half-life is the new normal: the rule moves there,
 *   with the spread seen there if that is wider, and the alarm returns.
 * - Sigma has a floor: the usual step from reading to reading, and the smallest step ever seen (the resolution), so
 *   that a signal that stood still is not in alarm at the first flicker of its last digit.
 * - It says nothing before it has learned for `warm_up`.
 *
 * Without a time the half-life is 1,000 readings: a memory in readings suits a tag read every second and one read
 * every five minutes alike.  That and 3.5 deviations were chosen on made-up signals of eight kinds, heavy tails
 * included (tests/bench/deviation_choice.c): the least cost when a shift that is missed weighs as nine false alarms.
 * Steady drift is followed, not told: that is what limits are for.
 */
#include <math.h>
#include <string.h>

#include "agent/rules/judge.h"

enum { LEAST_READINGS = 30 };
static const double most_weight = 0.25; /* of one reading, after a gap */
static const double winsor = 3;

struct deviation {
        double mean, var;
        double step;         /* weighted mean of |this - last| */
        double resolution;   /* smallest step that was not 0; 0: none yet */
        double last, before; /* the two readings before this one */
        int64_t last_ts_us, begun_ts_us;
        double away, away_squares; /* sums over the readings beyond, from mean */
        int64_t away_ts_us;
        uint32_t n, n_away;
};

size_t deviation_bytes(const struct rule_conf *c)
{
        return sizeof(struct deviation);
}

bool deviation_is_sound(const void *memory)
{
        struct deviation m;

        memcpy(&m, memory, sizeof(m));
        return isfinite(m.mean) && isfinite(m.var) && m.var >= 0 && isfinite(m.step) && isfinite(m.resolution) &&
               isfinite(m.last) && isfinite(m.before) && isfinite(m.away) && isfinite(m.away_squares);
}

static double weight_of(const struct rule_conf *c, const struct deviation *m, int64_t ts_us)
{
        double w, first = 1.0 / (m->n + 1.0);

        if (!c->half_life_us)
                w = 0.00069290708; /* 1 - 2^(-1/1000) */
        else
                w = ts_us > m->last_ts_us ? -expm1(-M_LN2 * (double)(ts_us - m->last_ts_us) / (double)c->half_life_us)
                                          : 0;
        w = w > most_weight ? most_weight : w;
        return w > first ? w : first;
}

static bool is_warm(const struct rule_conf *c, const struct deviation *m, int64_t ts_us)
{
        if (!c->warm_up_us)
                return m->n >= DEVIATION_READINGS / 2;
        return m->n >= LEAST_READINGS && ts_us - m->begun_ts_us >= c->warm_up_us;
}

static double clamp(double v, double most)
{
        return v > most ? most : v < -most ? -most : v;
}

static double sigma_of(const struct deviation *m)
{
        double sigma = sqrt(m->var);

        sigma = m->step > sigma ? m->step : sigma;
        return m->resolution > sigma ? m->resolution : sigma;
}

static void learn_step(struct deviation *m, double v, double w)
{
        double step = fabs(v - m->last), most = winsor * (m->step > m->resolution ? m->step : m->resolution);

        if (step > 0 && (m->resolution == 0 || step < m->resolution))
                m->resolution = step;
        if (m->n >= LEAST_READINGS && step > most)
                step = most;
        m->step += w * (step - m->step);
}

static void learn(struct deviation *m, double d, double w)
{
        if (m->n >= LEAST_READINGS)
                d = clamp(d, winsor * sigma_of(m));
        m->mean += w * d;
        m->var = (1 - w) * (m->var + w * d * d);
        m->n += m->n < UINT32_MAX;
}

/* Beyond: remember how it is there, and settle when it stays. */
static void watch_away(const struct rule_conf *c, struct deviation *m, double d, int64_t ts_us)
{
        double mean, var;

        if (!m->n_away++)
                m->away_ts_us = ts_us;
        m->away += d;
        m->away_squares += d * d;
        if (c->half_life_us ? ts_us - m->away_ts_us < c->half_life_us : m->n_away < DEVIATION_READINGS)
                return;
        mean = m->away / m->n_away;
        var = m->away_squares / m->n_away - mean * mean;
        m->mean += mean;
        m->var = var > m->var ? var : m->var;
        m->away = m->away_squares = 0;
        m->n_away = 0;
}

static double median3(double a, double b, double c)
{
        double low = a < b ? a : b, high = a < b ? b : a;

        return c < low ? low : c > high ? high : c;
}

static void begin(struct deviation *m, const struct sample *s)
{
        *m = (struct deviation){.mean = s->num, .last = s->num, .before = s->num, .n = 1};
        m->begun_ts_us = m->last_ts_us = s->ts_us;
}

static bool is_beyond(const struct rule_conf *c, double d, double sigma, bool active)
{
        double most = (c->sigma - (active ? c->deadband : 0)) * sigma;

        if (sigma == 0)
                return false;
        return (c->direction != RULE_FALL && d >= most) || (c->direction != RULE_RISE && -d >= most);
}

struct verdict deviation_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active)
{
        struct deviation *m = memory;
        double w, v, d, sigma, limit;
        bool warm, beyond;

        if (isnan(s->num))
                return (struct verdict){ALARM_UNKNOWN, NAN, NAN};
        if (!m->n) {
                begin(m, s);
                return (struct verdict){ALARM_UNKNOWN, s->num, NAN};
        }
        w = weight_of(c, m, s->ts_us);
        warm = is_warm(c, m, s->ts_us);
        v = median3(s->num, m->last, m->before);
        learn_step(m, s->num, w);
        d = v - m->mean;
        sigma = sigma_of(m);
        limit = m->mean + (d < 0 ? -c->sigma : c->sigma) * sigma;
        beyond = warm && is_beyond(c, d, sigma, active);
        if (beyond) {
                watch_away(c, m, d, s->ts_us);
        } else {
                m->away = m->away_squares = 0;
                m->n_away = 0;
                learn(m, d, w);
        }
        m->before = m->last;
        m->last = s->num;
        m->last_ts_us = s->ts_us;
        return (struct verdict){!warm ? ALARM_UNKNOWN : beyond ? ALARM_TRUE : ALARM_FALSE, s->num, limit};
}
