/*
 * rate: a value that changes by too much within a span.
 *
 * The span is kept as eight slices with the lowest and highest value of each,
 * so that a rise is the distance from the lowest value of the span and a fall
 * from the highest, whatever happened between: bounded memory at any rate of
 * readings.  The oldest slice is left whole before it could be older than the
 * span, so the span that is looked at is 7/8 to 1 of what was asked: a change
 * is never called too fast that was slower.  A tag that is read less often than
 * the span is judged by its slope since the last reading.  Times are the
 * readings' own; a clock that goes back begins anew.
 */
#include <math.h>

#include "agent/rules/judge.h"

enum { SLICES = 8 };

struct rate {
        struct {
                double min, max;
        } slices[SLICES]; /* ring; min > max: empty */
        int64_t slice;    /* number of the newest */
        int64_t last_ts_us;
        double last;
        bool begun;
};

size_t rate_bytes(const struct rule_conf *c)
{
        return sizeof(struct rate);
}

static void empty(struct rate *m, int64_t slice)
{
        m->slices[slice % SLICES].min = HUGE_VAL;
        m->slices[slice % SLICES].max = -HUGE_VAL;
}

static void advance(struct rate *m, int64_t slice, int64_t width_us)
{
        if (!m->begun || slice - m->slice >= SLICES || m->slice - slice >= SLICES) {
                for (int i = 0; i < SLICES; i++)
                        empty(m, i);
                m->slice = slice;
        }
        while (m->slice < slice)
                empty(m, ++m->slice);
}

static double change(const struct rule_conf *c, const struct rate *m, double v, int64_t ts_us)
{
        double min = HUGE_VAL, max = -HUGE_VAL, scale = 1;

        for (int i = 0; i < SLICES; i++) {
                min = m->slices[i].min < min ? m->slices[i].min : min;
                max = m->slices[i].max > max ? m->slices[i].max : max;
        }
        if (min > max) {
                int64_t since_us = ts_us - m->last_ts_us;

                min = max = m->last;
                if (!m->begun || since_us < 0)
                        return 0;
                if (since_us > c->over_us)
                        scale = (double)c->over_us / (double)since_us;
        }
        if (c->direction == RULE_RISE || (c->direction == RULE_BOTH && v - min >= max - v))
                return (v - min) * scale;
        return (max - v) * scale;
}

struct verdict rate_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active)
{
        int64_t width_us = c->over_us / SLICES, slice = s->ts_us / width_us;
        struct rate *m = memory;
        double by;

        if (isnan(s->num) || s->ts_us < 0)
                return (struct verdict){ALARM_UNKNOWN, NAN, NAN};
        advance(m, slice, width_us);
        by = change(c, m, s->num, s->ts_us);
        if (s->num < m->slices[m->slice % SLICES].min)
                m->slices[m->slice % SLICES].min = s->num;
        if (s->num > m->slices[m->slice % SLICES].max)
                m->slices[m->slice % SLICES].max = s->num;
        m->last = s->num;
        m->last_ts_us = s->ts_us;
        m->begun = true;
        return (struct verdict){by >= c->limit - (active ? c->deadband : 0) ? ALARM_TRUE : ALARM_FALSE, by, c->limit};
}
