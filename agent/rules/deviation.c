/*
 * deviation: a value that is unlike what is usual for this tag: far away from
 * its mean, or much more restless than it is.
 *
 * Mean and variance are exponentially weighted; the alarm begins `sigma`
 * standard deviations away, and `deadband` deviations nearer (default: half
 * way) it is back.  Restless: the mean step over the last ten readings or so is
 * six of its own deviations above what is usual for it; that counts where both
 * directions do.  What keeps it honest: - One reading alone is not believed:
 * the median of the last three is what is judged. - The anomaly does not teach.
 * While the value is beyond, nothing is learned from it; what is within but
 * beyond three
 *   deviations counts as three.  The spread is remembered three times as long as the mean: it is less well known.
 * - It is over when 50 readings in a row were usual: an incident is one alarm,
 * not ten. - What stays is no anomaly.  A value that stays beyond for a whole
 * half-life is the new normal: the rule moves there,
 *   with the spread seen there if that is wider, and the alarm returns.
 * - Sigma has a floor: the usual step from reading to reading, and the smallest
 * step ever seen (the resolution), so
 *   that a signal that stood still is not in alarm at the first flicker of its last digit.
 * - It says nothing before it has learned for `warm_up`.
 *
 * Without a time the half-life is 1,000 readings: a memory in readings suits a
 * tag read every second and one read every five minutes alike.  All of these
 * numbers were chosen on made-up signals, of 17 kinds with eight sorts of
 * trouble (tests/bench/deviation_choice.c), none on a recorded series.  Steady
 * drift is followed, not told: that is what limits are for.
 */
#include <math.h>
#include <string.h>

#include "agent/rules/judge.h"

enum { READINGS_MIN = 30, QUIET_READINGS = 50 };
static const double most_weight = 0.25;      /* of one reading, after a gap */
static const double short_weight = 0.066967; /* 1 - 2^(-1/10) */
static const double spread_memory = 3;       /* of the mean's */
static const double winsor = 3;
static const double leap = 5;     /* usual steps: of one step, no more counts as restless */
static const double restless = 6; /* deviations of the short mean of steps */

struct deviation {
        double mean, var;
        double step;              /* weighted mean of |this - last| */
        double resolution;        /* smallest step that was not 0; 0: none yet */
        double last, before;      /* the two readings before this one */
        double now;               /* the mean |this - last| of late */
        double now_mean, now_var; /* what is usual for that */
        int64_t last_ts_us, begun_ts_us;
        double away, away_squares; /* sums over the readings beyond, from mean */
        int64_t away_ts_us;
        uint32_t n, n_away, n_quiet;
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
               isfinite(m.last) && isfinite(m.before) && isfinite(m.away) && isfinite(m.away_squares) &&
               isfinite(m.now) && isfinite(m.now_mean) && isfinite(m.now_var) && m.now_var >= 0;
}

static double at_least_first(const struct deviation *m, double w)
{
        double first = 1.0 / (m->n + 1.0);

        return w > first ? w : first;
}

static double weight_of(const struct rule_conf *c, const struct deviation *m, int64_t ts_us)
{
        double w;

        if (!c->half_life_us)
                w = 0.00069290708; /* 1 - 2^(-1/1000) */
        else
                w = ts_us > m->last_ts_us ? -expm1(-M_LN2 * (double)(ts_us - m->last_ts_us) / (double)c->half_life_us)
                                          : 0;
        return w > most_weight ? most_weight : w;
}

static bool is_warm(const struct rule_conf *c, const struct deviation *m, int64_t ts_us)
{
        if (!c->warm_up_us)
                return m->n >= DEVIATION_READINGS / 2;
        return m->n >= READINGS_MIN && ts_us - m->begun_ts_us >= c->warm_up_us;
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

/*
 * From reading to reading; also how restless it is of late, and how much of
 * that is usual.
 */
static void learn_step(struct deviation *m, double v, double w)
{
        double step = fabs(v - m->last), usual = fmax(m->step, m->resolution), d;

        if (step > 0 && (m->resolution == 0 || step < m->resolution))
                m->resolution = step;
        if (m->n >= READINGS_MIN)
                step = fmin(step, leap * usual);
        m->now += at_least_first(m, short_weight) * (step - m->now);
        d = m->now - m->now_mean;
        if (m->n >= READINGS_MIN) {
                step = fmin(step, winsor * usual);
                d = clamp(d, winsor * fmax(sqrt(m->now_var), m->resolution / 4));
        }
        m->step += w * (step - m->step);
        m->now_mean += w * d;
        m->now_var += w * (d * d - m->now_var);
}

static void learn(struct deviation *m, double d, double w, double w_spread)
{
        if (m->n >= READINGS_MIN)
                d = clamp(d, winsor * sigma_of(m));
        m->mean += w * d;
        m->var = (1 - w_spread) * (m->var + w_spread * d * d);
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

/* A clock that was set back: what was waited for stays as long as it was. */
static void go_back(struct deviation *m, int64_t ts_us)
{
        int64_t by_us = ts_us - m->last_ts_us;

        if (ts_us < m->begun_ts_us)
                m->begun_ts_us += by_us;
        if (ts_us < m->away_ts_us)
                m->away_ts_us += by_us;
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

/* What is usual for the mean step of late, at most. */
static double step_limit(const struct rule_conf *c, const struct deviation *m, bool active)
{
        double most = active ? restless * (1 - c->deadband / c->sigma) : restless;

        return m->now_mean + most * fmax(sqrt(m->now_var), m->resolution / 4);
}

/* True: an active alarm stays though this reading is usual. */
static bool stays(struct deviation *m, bool active)
{
        m->n_quiet = active ? m->n_quiet + 1 : QUIET_READINGS;
        return m->n_quiet < QUIET_READINGS;
}

/* Of a rule that is warm. `d`: from the mean. */
static struct verdict judge_warm(const struct rule_conf *c, struct deviation *m, double num, double d, bool active)
{
        double sigma = sigma_of(m), steps = step_limit(c, m, active);
        struct verdict v = {ALARM_TRUE, num, m->mean + (d < 0 ? -c->sigma : c->sigma) * sigma};

        if (is_beyond(c, d, sigma, active)) {
                m->n_quiet = 0;
        } else if (c->direction == RULE_BOTH && m->now > steps && steps > 0) {
                m->n_quiet = 0;
                v.value = m->now;
                v.limit = steps;
        } else if (!stays(m, active)) {
                v.in = ALARM_FALSE;
        }
        return v;
}

struct verdict deviation_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active)
{
        struct deviation *m = memory;
        struct verdict v = {ALARM_UNKNOWN, s->num, NAN};
        double w, w_spread, d;

        if (isnan(s->num))
                return (struct verdict){ALARM_UNKNOWN, NAN, NAN};
        if (!m->n) {
                begin(m, s);
                return v;
        }
        if (s->ts_us < m->last_ts_us)
                go_back(m, s->ts_us);
        w = weight_of(c, m, s->ts_us);
        w_spread = at_least_first(m, w / spread_memory);
        learn_step(m, s->num, w_spread);
        d = median3(s->num, m->last, m->before) - m->mean;
        if (is_warm(c, m, s->ts_us))
                v = judge_warm(c, m, s->num, d, active);
        if (v.in == ALARM_TRUE && is_beyond(c, d, sigma_of(m), active)) {
                watch_away(c, m, d, s->ts_us);
        } else {
                m->away = m->away_squares = 0;
                m->n_away = 0;
                learn(m, d, at_least_first(m, w), w_spread);
        }
        m->before = m->last;
        m->last = s->num;
        m->last_ts_us = s->ts_us;
        return v;
}
