/*
 * count_window: counts over a sliding window, and values that come again too
 * soon.
 *
 * The window is sixteen slices; what is counted is the newest one and the
 * fifteen before, so 15/16 to 1 of the window: a count is never told that was
 * spread over more than the window.  Values are told apart by a 64-bit hash.
 * Memory is fixed: 256 different values for `distinct`, 64 for `per: value`
 * (the rarest makes room), 256 in sets of eight for duplicate (the one of the
 * set seen longest ago makes room).  Times are monotonic: a count is about what
 * happens here, whatever the source's clock says.
 */
#include <math.h>
#include <string.h>

#include "agent/rules/judge.h"

enum { SLICES = 16, VALUES = 64, SEEN_SETS = 32, SEEN_WAYS = 8, PLACES = 2 * RULES_DISTINCT_MAX };

struct values {
        uint64_t hash[VALUES];
        uint32_t total[VALUES];
        uint32_t n[VALUES][SLICES];
};

/*
 * Open addressing, at most half full; what left the window goes when the window
 * moves.
 */
struct distinct {
        struct {
                uint64_t hash;
                int64_t slice; /* when it was seen last; 0: free */
        } places[PLACES];
        uint32_t n;
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

static uint32_t place_of(const struct distinct *d, uint64_t hash)
{
        uint32_t i = hash % PLACES;

        while (d->places[i].slice && d->places[i].hash != hash)
                i = (i + 1) % PLACES;
        return i;
}

static void add_distinct(struct distinct *d, uint64_t hash, int64_t slice)
{
        uint32_t i = place_of(d, hash);

        if (!d->places[i].slice) {
                if (d->n == RULES_DISTINCT_MAX)
                        return;
                d->n++;
        }
        d->places[i].hash = hash;
        d->places[i].slice = slice;
}

static void forget_distinct(struct distinct *d, int64_t slice)
{
        struct distinct old = *d;

        *d = (struct distinct){.n = 0};
        for (int i = 0; i < PLACES; i++) {
                if (old.places[i].slice && old.places[i].slice > slice - SLICES)
                        add_distinct(d, old.places[i].hash, old.places[i].slice);
        }
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
                forget_distinct(&m->by->distinct, slice);
}

/* Returns how often it is now in the window. */
static uint32_t add_value(struct values *v, uint64_t hash, int64_t slice)
{
        int at = 0;

        while (at < VALUES && v->hash[at] != hash)
                at++;
        if (at == VALUES) {
                at = 0;
                for (int i = 1; i < VALUES; i++)
                        at = v->total[i] < v->total[at] ? i : at;
                v->hash[at] = hash;
                v->total[at] = 0;
                memset(v->n[at], 0, sizeof(v->n[at]));
        }
        v->n[at][slice % SLICES]++;
        return ++v->total[at];
}

/* Of the values by themselves the most frequent. */
static double total(const struct rule_conf *c, const struct count *m)
{
        double all = 0;

        if (c->what == RULE_DISTINCT)
                return m->by->distinct.n;
        if (c->per == RULE_PER_VALUE) {
                for (int i = 0; i < VALUES; i++)
                        all = m->by->values.total[i] > all ? m->by->values.total[i] : all;
                return all;
        }
        for (int i = 0; i < SLICES; i++)
                all += m->sum[i];
        return all;
}

static struct verdict compare(const struct rule_conf *c, struct count *m, double n, int64_t mono_us, bool active)
{
        struct verdict v = {ALARM_FALSE, n, isnan(c->at_least) ? c->at_most : c->at_least};
        double back = active ? c->deadband : 0;

        if (!isnan(c->at_least))
                m->inside = v.value >= c->at_least - back;
        else
                m->inside = v.value <= c->at_most + back && mono_us - m->begun_us >= c->window_us;
        v.in = m->inside ? ALARM_TRUE : ALARM_FALSE;
        return v;
}

struct verdict count_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active)
{
        struct count *m = memory;
        double n = 0; /* of this value */

        advance(c, m, s->mono_us);
        if (c->value && !sample_is(s, c->value))
                return compare(c, m, total(c, m), s->mono_us, active);
        if (c->what == RULE_DISTINCT)
                add_distinct(&m->by->distinct, sample_hash(s), m->slice);
        else if (c->per == RULE_PER_VALUE)
                n = add_value(&m->by->values, sample_hash(s), m->slice);
        else if (c->what == RULE_READINGS || !isnan(s->num))
                m->sum[m->slice % SLICES] += c->what == RULE_READINGS ? 1 : s->num;
        if (c->per != RULE_PER_VALUE || active)
                n = total(c, m);
        return compare(c, m, n, s->mono_us, active);
}

struct verdict count_pass(const struct rule_conf *c, void *memory, int64_t mono_us, bool active)
{
        struct count *m = memory;

        if (!m->begun)
                return (struct verdict){ALARM_FALSE, NAN, NAN};
        advance(c, m, mono_us);
        return compare(c, m, total(c, m), mono_us, active);
}

/* Nothing is left that could leave the window. */
static bool is_empty(const struct rule_conf *c, const struct count *m)
{
        if (c->what == RULE_DISTINCT || c->per == RULE_PER_VALUE)
                return total(c, m) == 0;
        for (int i = 0; i < SLICES; i++) {
                if (m->sum[i] != 0)
                        return false;
        }
        return true;
}

int64_t count_due(const struct rule_conf *c, const void *memory)
{
        const struct count *m = memory;
        bool whole = m->slice - 1 - SLICES >= SLICES; /* a whole window has been seen */

        if (!m->begun || (!m->inside && isnan(c->at_most) && c->what != RULE_SUM) || (whole && is_empty(c, m)))
                return INT64_MAX;
        return m->begun_us + (m->slice - SLICES) * (c->window_us / SLICES);
}

/* ---- duplicate ---- */

/* Sets of eight: a value is looked for in its own set only. */
struct duplicate {
        struct {
                uint64_t hash;
                int64_t at_us; /* monotonic + 1; 0: free */
        } seen[SEEN_SETS][SEEN_WAYS];
};

size_t duplicate_bytes(const struct rule_conf *c)
{
        return sizeof(struct duplicate);
}

struct verdict duplicate_judge(const struct rule_conf *c, void *memory, const struct sample *s, bool active)
{
        struct duplicate *m = memory;
        uint64_t hash = sample_hash(s);
        unsigned set = (hash >> 32) % SEEN_SETS;
        bool again = false;
        int at = 0;

        for (int i = 0; i < SEEN_WAYS; i++) {
                if (m->seen[set][i].at_us && m->seen[set][i].hash == hash) {
                        again = s->mono_us + 1 - m->seen[set][i].at_us <= c->window_us;
                        at = i;
                        break;
                }
                if (m->seen[set][i].at_us < m->seen[set][at].at_us)
                        at = i;
        }
        m->seen[set][at].hash = hash;
        m->seen[set][at].at_us = s->mono_us + 1;
        return (struct verdict){again ? ALARM_TRUE : ALARM_FALSE, s->num, NAN};
}
