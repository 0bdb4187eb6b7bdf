/*
 * window: counts over a sliding window, and values that come again too soon.
 *
 * The window is sixteen slices; what is counted is the newest one and the fifteen before, so 15/16 to 1 of the window: a
 * count is never told that was spread over more than the window.  Values are told apart by a 64-bit hash.  Memory is fixed:
 * 256 different values for `distinct`, 64 for `per: value` (the rarest makes room), 256 for duplicate (the one seen
 * longest ago makes room).  Times are monotonic: a count is about what happens here, whatever the source's clock says.
 */
#include <math.h>

#include "agent/rules/judge.h"

enum { SLICES = 16, VALUES = 64, SEEN = 256 };

struct values {
        uint64_t hash[VALUES];
        uint32_t total[VALUES];
        uint32_t n[VALUES][SLICES];
};

struct distinct {
        uint64_t hash[RULES_DISTINCT_MOST];
        int64_t slice[RULES_DISTINCT_MOST]; /* when it was seen last; 0: free */
        uint32_t n_live;
};

struct count {
        int64_t slice;    /* the newest, from 1 + SLICES */
        int64_t begun_us; /* of counting */
        bool begun, inside;
        double sum[SLICES];
        union {
                struct values values;
                struct distinct distinct;
        } by[]; /* none for readings and sum */
};

size_t count_bytes(const struct rule_conf *c)
{
        size_t bytes = sizeof(struct count);

        if (c->what == RULE_DISTINCT)
                return bytes + sizeof(struct distinct);
        return c->per == RULE_PER_VALUE ? bytes + sizeof(struct values) : bytes;
}

static int64_t slice_at(const struct rule_conf *c, const struct count *m, int64_t mono_us)
{
        return (mono_us - m->begun_us) / (c->window_us / SLICES) + 1 + SLICES;
}

static void forget_values(struct values *v, int64_t slice)
{
        for (int i = 0; i < VALUES; i++) {
                v->total[i] -= v->n[i][slice % SLICES];
                v->n[i][slice % SLICES] = 0;
        }
}

static void count_live(struct distinct *d, int64_t slice)
{
        d->n_live = 0;
        for (int i = 0; i < RULES_DISTINCT_MOST; i++)
                d->n_live += d->slice[i] > slice - SLICES;
}

static void advance(const struct rule_conf *c, struct count *m, int64_t mono_us)
{
        int64_t slice;

        if (!m->begun) {
                m->begun = true;
                m->begun_us = mono_us;
                m->slice = 1 + SLICES;
        }
        slice = slice_at(c, m, mono_us);
        if (slice == m->slice)
                return;
        if (slice - m->slice > SLICES)
                m->slice = slice - SLICES;
        while (m->slice < slice) {
                m->sum[++m->slice % SLICES] = 0;
                if (c->per == RULE_PER_VALUE)
                        forget_values(&m->by->values, m->slice);
        }
        if (c->what == RULE_DISTINCT)
                count_live(&m->by->distinct, slice);
}

static void add_distinct(struct distinct *d, uint64_t hash, int64_t slice)
{
        int free = -1;

        for (int i = 0; i < RULES_DISTINCT_MOST; i++) {
                bool live = d->slice[i] > slice - SLICES;

                if (live && d->hash[i] == hash) {
                        d->slice[i] = slice;
                        return;
                }
                if (!live)
                        free = i;
        }
        if (free < 0)
                return;
        d->hash[free] = hash;
        d->slice[free] = slice;
        d->n_live++;
}

static void add_value(struct values *v, uint64_t hash, int64_t slice)
{
        int at = 0;

        for (int i = 0; i < VALUES; i++) {
                if (v->hash[i] == hash && v->total[i]) {
                        at = i;
                        break;
                }
                if (v->total[i] < v->total[at])
                        at = i;
        }
        if (v->hash[at] != hash || !v->total[at]) {
                v->hash[at] = hash;
                v->total[at] = 0;
                for (int i = 0; i < SLICES; i++)
                        v->n[at][i] = 0;
        }
        v->n[at][slice % SLICES]++;
        v->total[at]++;
}

static double total(const struct rule_conf *c, const struct count *m)
{
        double all = 0;

        if (c->what == RULE_DISTINCT)
                return m->by->distinct.n_live;
        if (c->per == RULE_PER_VALUE) {
                for (int i = 0; i < VALUES; i++)
                        all = m->by->values.total[i] > all ? m->by->values.total[i] : all;
                return all;
        }
        for (int i = 0; i < SLICES; i++)
                all += m->sum[i];
        return all;
}

static struct verdict compare(const struct rule_conf *c, struct count *m, int64_t mono_us, bool inside)
{
        struct verdict v = {ALARM_FALSE, total(c, m), isnan(c->at_least) ? c->at_most : c->at_least};
        double back = inside ? c->deadband : 0;

        if (!isnan(c->at_least))
                m->inside = v.value >= c->at_least - back;
        else
                m->inside = v.value <= c->at_most + back && mono_us - m->begun_us >= c->window_us;
        v.in = m->inside ? ALARM_TRUE : ALARM_FALSE;
        return v;
}

struct verdict count_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool inside)
{
        struct count *m = memory;

        advance(c, m, s->mono_us);
        if (c->value && !sample_is(s, c->value))
                return compare(c, m, s->mono_us, inside);
        if (c->what == RULE_DISTINCT)
                add_distinct(&m->by->distinct, sample_hash(s), m->slice);
        else if (c->per == RULE_PER_VALUE)
                add_value(&m->by->values, sample_hash(s), m->slice);
        else if (c->what == RULE_READINGS || !isnan(s->num))
                m->sum[m->slice % SLICES] += c->what == RULE_READINGS ? 1 : s->num;
        return compare(c, m, s->mono_us, inside);
}

struct verdict count_pass(const struct rule_conf *c, void *memory, int64_t mono_us, bool inside)
{
        struct count *m = memory;

        if (!m->begun)
                return (struct verdict){ALARM_FALSE, NAN, NAN};
        advance(c, m, mono_us);
        return compare(c, m, mono_us, inside);
}

int64_t count_due(const struct rule_conf *c, const void *memory)
{
        const struct count *m = memory;

        if (!m->begun || (!m->inside && isnan(c->at_most) && c->what != RULE_SUM))
                return INT64_MAX;
        return m->begun_us + (m->slice - SLICES) * (c->window_us / SLICES);
}

/* ---- duplicate ---- */

struct duplicate {
        uint64_t hash[SEEN];
        int64_t at_us[SEEN]; /* monotonic + 1; 0: free */
};

size_t duplicate_bytes(const struct rule_conf *c)
{
        return sizeof(struct duplicate);
}

struct verdict duplicate_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool inside)
{
        struct duplicate *m = memory;
        uint64_t hash = sample_hash(s);
        bool again = false;
        int at = 0;

        for (int i = 0; i < SEEN; i++) {
                if (m->at_us[i] && m->hash[i] == hash) {
                        again = s->mono_us + 1 - m->at_us[i] <= c->window_us;
                        at = i;
                        break;
                }
                if (m->at_us[i] < m->at_us[at])
                        at = i;
        }
        m->hash[at] = hash;
        m->at_us[at] = s->mono_us + 1;
        return (struct verdict){again ? ALARM_TRUE : ALARM_FALSE, s->num, NAN};
}
