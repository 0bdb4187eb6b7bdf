/*
 * together: see together.h.
 *
 * The row is turned into deviations z from each tag's mean, and compared with
 * the correlation the tags have had so far, shrunk a fifth towards none
 * (Ledoit and Wolf 2004), R.  Followed are, smoothed over about five rows
 * (Lowry et al. 1992): each z; what is left of it when the others have spoken,
 * (R^-1 z)_i / sqrt((R^-1)_ii) (Mason, Young and Tracy 1995); the logarithm of
 * how restless the tag is; and, not smoothed, the distance of the row,
 * sqrt(z'R^-1 z).  Each is divided by its own usual size, learned before this
 * row, so that one limit suits all of them; the greatest is the score.
 *
 * Why so: a tag that is wrong while all others are right is within its own
 * range for hours; against the others it is out of it at once.  What keeps it
 * honest: nothing is learned while the score is high, until that has lasted for
 * `settle` rows; what is learned is cut at four deviations; the alarm needs
 * three rows to begin and ten quiet ones to end.  A value that is missing is
 * taken for what the others say it is (with several missing in a row nearly).
 *
 * The matrices are triangles of float: half the memory, and the noise of 1e-7
 * is far below that of any estimate here.  All sums run over the tags in their
 * order, in double, so that a second implementation can say the same to the
 * last digit (tests/unit/together_model.py).  The inverse is made anew every 20
 * rows at first, later every 200, by Cholesky; R has no eigenvalue below 0.2, so
 * that cannot fail for finite numbers.
 *
 * Numbers of more than 1e150 would leave the range of their squares: a row that
 * has one lacks it.
 */
#include "agent/rules/together.h"

#include <math.h>
#include <string.h>

enum { FIRST_ROWS = 30, OFTEN_ROWS = 20, SELDOM_ROWS = 200, ON_ROWS = 3, OFF_ROWS = 10 };
static const double memory_rows = 2000;
static const double smooth = 0.2, shrink = 0.2;
static const double clip = 12;                          /* of z, of what is left of it, of a step in deviations */
static const double winsor = 4;                         /* deviations: more teaches no more */
static const double teach_up_to = 0.8, off_below = 0.7; /* of the limit */
static const double calm = 0.05;                        /* added to restlessness before its logarithm */
static const double number_max = 1e150;

struct size {
        float mean, var;
};

struct one {
        double mean, last;
        float sd, resolution; /* resolution: smallest step that was not 0; 0: none yet */
        float z, rest, restless;
        float z_var, rest_var;
        struct size size; /* of log restlessness */
};

struct together {
        uint32_t n_tags, n_rows, n_taught, n_away;
        uint64_t seen; /* tags that have been in a row */
        uint8_t n_on, n_off, on, unused;
        struct size row; /* usual distance of a row */
        struct one tags[];
        /* float: triangle of covariances, triangle of R^-1 */
};

static size_t triangle(unsigned d)
{
        return (size_t)d * (d + 1) / 2;
}

static float *covariance_of(struct together *m)
{
        return (float *)(void *)(m->tags + m->n_tags);
}

size_t together_bytes(unsigned n_tags)
{
        return sizeof(struct together) + n_tags * sizeof(struct one) + 2 * triangle(n_tags) * sizeof(float);
}

void together_begin(void *memory, unsigned n_tags)
{
        memset(memory, 0, together_bytes(n_tags));
        ((struct together *)memory)->n_tags = n_tags;
}

double together_limit(unsigned n_tags)
{
        return sqrt(3.5 * 3.5 + 3 * log(n_tags / 8.0));
}

static bool is_sound_tag(const struct one *t)
{
        return isfinite(t->mean) && isfinite(t->last) && isfinite(t->sd) && t->sd >= 0 && isfinite(t->resolution) &&
               isfinite(t->z) && isfinite(t->rest) && isfinite(t->restless) && t->restless >= 0 && isfinite(t->z_var) &&
               t->z_var >= 0 && isfinite(t->rest_var) && t->rest_var >= 0 && isfinite(t->size.mean) &&
               isfinite(t->size.var) && t->size.var >= 0;
}

bool together_is_sound(const void *memory, size_t n, unsigned n_tags)
{
        struct together head;
        struct one t;
        float f;

        if (n_tags < TOGETHER_TAGS_MIN || n_tags > TOGETHER_TAGS_MAX || n != together_bytes(n_tags))
                return false;
        memcpy(&head, memory, sizeof(head));
        if (head.n_tags != n_tags || !isfinite(head.row.mean) || !isfinite(head.row.var) || head.row.var < 0)
                return false;
        for (unsigned i = 0; i < n_tags; i++) {
                memcpy(&t, (const char *)memory + sizeof(head) + i * sizeof(t), sizeof(t));
                if (!is_sound_tag(&t) || (head.n_rows > FIRST_ROWS && !(t.sd > 0 && t.z_var > 0 && t.rest_var > 0)))
                        return false;
        }
        for (size_t at = sizeof(head) + n_tags * sizeof(t); at < n; at += sizeof(f)) {
                memcpy(&f, (const char *)memory + at, sizeof(f));
                if (!isfinite(f))
                        return false;
        }
        return true;
}

static double clamp(double v, double most)
{
        return v > most ? most : v < -most ? -most : v;
}

static double forget(double n, double first)
{
        double w = 1 / (n + first), least = M_LN2 / memory_rows;

        return w > least ? w : least;
}

/* ---- the inverse ---- */

static double floor_of(const struct one *t)
{
        double least = t->resolution / 2.0;

        return least > 0 ? least : 1e-9 * fabs(t->mean) + 1e-12;
}

static void note_deviations(struct together *m)
{
        const float *s = covariance_of(m);

        for (unsigned i = 0; i < m->n_tags; i++) {
                double sd = sqrt(s[triangle(i) + i]), least = floor_of(&m->tags[i]);

                m->tags[i].sd = (float)(sd > least ? sd : least);
        }
}

/* In place, row by row: l becomes the lower factor. */
static void factor(double *l, unsigned d)
{
        for (unsigned i = 0; i < d; i++) {
                double *row = l + triangle(i);

                for (unsigned j = 0; j <= i; j++) {
                        const double *other = l + triangle(j);
                        double sum = row[j];

                        for (unsigned k = 0; k < j; k++)
                                sum -= row[k] * other[k];
                        row[j] = i == j ? sqrt(sum > 1e-9 ? sum : 1e-9) : sum / other[j];
                }
        }
}

/* In place: the inverse of a lower triangle. */
static void invert_factor(double *l, unsigned d)
{
        for (unsigned i = 0; i < d; i++) {
                double *row = l + triangle(i), own = row[i];

                for (unsigned j = 0; j < i; j++) {
                        double sum = 0;

                        for (unsigned k = j; k < i; k++)
                                sum -= row[k] * l[triangle(k) + j];
                        row[j] = sum / own;
                }
                row[i] = 1 / own;
        }
}

static void make_inverse(struct together *m)
{
        unsigned d = m->n_tags;
        float *s = covariance_of(m), *inverse = s + triangle(d);
        double l[TOGETHER_TAGS_MAX * (TOGETHER_TAGS_MAX + 1) / 2];

        note_deviations(m);
        for (unsigned i = 0; i < d; i++) {
                for (unsigned j = 0; j < i; j++)
                        l[triangle(i) + j] = (1 - shrink) * s[triangle(i) + j] / m->tags[i].sd / m->tags[j].sd;
                l[triangle(i) + i] = 1;
        }
        factor(l, d);
        invert_factor(l, d);
        for (unsigned i = 0; i < d; i++) {
                for (unsigned j = 0; j <= i; j++) {
                        double sum = 0;

                        for (unsigned k = i; k < d; k++)
                                sum += l[triangle(k) + i] * l[triangle(k) + j];
                        inverse[triangle(i) + j] = (float)sum;
                }
        }
}

/* ---- one row ---- */

struct row {
        const double *x;
        uint64_t have;
        double away[TOGETHER_TAGS_MAX]; /* from the mean */
        double z[TOGETHER_TAGS_MAX];
        double g[TOGETHER_TAGS_MAX]; /* R^-1 z */
        double distance;
};

static bool has(const struct row *w, unsigned i)
{
        return w->have >> i & 1;
}

/* A tag that is new begins where it is. */
static void note_step(struct one *t, double x)
{
        double step = fabs(x - t->last);

        if (!(step > 0) || (t->resolution > 0 && step >= t->resolution))
                return;
        if (t->resolution == 0 && t->sd < step / 2)
                t->sd = (float)(step / 2);
        t->resolution = (float)step;
}

static void read_row(struct together *m, struct row *w)
{
        for (unsigned i = 0; i < m->n_tags; i++) {
                struct one *t = &m->tags[i];

                w->away[i] = 0;
                if (!has(w, i))
                        continue;
                if (!(m->seen >> i & 1))
                        t->mean = t->last = w->x[i];
                else
                        note_step(t, w->x[i]);
                w->away[i] = w->x[i] - t->mean;
        }
        m->seen |= w->have;
}

static void normalise(const struct together *m, struct row *w)
{
        for (unsigned i = 0; i < m->n_tags; i++)
                w->z[i] = has(w, i) ? clamp(w->away[i] / m->tags[i].sd, clip) : 0;
}

/* What the others say a missing one is: there R^-1 z is 0. */
static void fill_in(const struct together *m, struct row *w, const float *inverse)
{
        for (unsigned i = 0; i < m->n_tags; i++) {
                double sum = 0;

                if (has(w, i))
                        continue;
                for (unsigned j = 0; j < m->n_tags; j++) {
                        if (j != i)
                                sum += inverse[j < i ? triangle(i) + j : triangle(j) + i] * w->z[j];
                }
                w->z[i] = -sum / inverse[triangle(i) + i];
        }
}

/* Each sum over the tags in their order. */
static void multiply(const struct together *m, struct row *w, const float *inverse)
{
        double squares = 0;

        for (unsigned i = 0; i < m->n_tags; i++) {
                const float *row = inverse + triangle(i);
                double sum = 0, z = w->z[i];

                for (unsigned j = 0; j < i; j++) {
                        sum += row[j] * w->z[j];
                        w->g[j] += row[j] * z;
                }
                w->g[i] = sum + row[i] * z;
        }
        for (unsigned i = 0; i < m->n_tags; i++)
                squares += w->g[i] * w->z[i];
        w->distance = sqrt(squares > 0 ? squares : 0);
}

static void follow(struct together *m, const struct row *w, const float *inverse)
{
        for (unsigned i = 0; i < m->n_tags; i++) {
                struct one *t = &m->tags[i];
                double rest = clamp(w->g[i] / sqrt(inverse[triangle(i) + i]), clip);
                double step;

                if (!has(w, i))
                        continue;
                step = fabs(w->x[i] - t->last) / t->sd;
                t->z = (float)(t->z + smooth * (w->z[i] - t->z));
                t->rest = (float)(t->rest + smooth * (rest - t->rest));
                t->restless = (float)(t->restless + smooth * ((step < clip ? step : clip) - t->restless));
        }
}

static double log_restless(const struct one *t)
{
        return log(calm + t->restless);
}

/* How large each usually is, before anything is known about it. */
static void begin_sizes(struct together *m, const struct row *w)
{
        float usual = (float)(smooth / (2 - smooth));

        for (unsigned i = 0; i < m->n_tags; i++) {
                m->tags[i].z_var = m->tags[i].rest_var = usual;
                m->tags[i].size = (struct size){(float)log_restless(&m->tags[i]), 0.1f};
        }
        m->row = (struct size){(float)w->distance, 1};
}

static void take(struct together_said *out, double score, unsigned tag, enum together_by by, bool higher)
{
        if (!(score > out->score))
                return;
        out->score = score;
        out->tag = tag;
        out->by = by;
        out->higher = higher;
}

static void score_row(const struct together *m, const struct row *w, const float *inverse, struct together_said *out)
{
        double most = -1, rest;
        unsigned odd = 0;

        for (unsigned i = 0; i < m->n_tags; i++) {
                const struct one *t = &m->tags[i];

                if (!has(w, i))
                        continue;
                take(out, fabs(t->z) / sqrt(t->z_var), i, TOGETHER_LEVEL, t->z > 0);
                take(out, fabs(t->rest) / sqrt(t->rest_var), i, TOGETHER_REST, t->rest > 0);
                take(out, (log_restless(t) - t->size.mean) / sqrt(t->size.var), i, TOGETHER_RESTLESS, true);
                rest = fabs(w->g[i]) / sqrt(inverse[triangle(i) + i]);
                if (rest > most) {
                        most = rest;
                        odd = i;
                }
        }
        take(out, (w->distance - m->row.mean) / sqrt(m->row.var), odd, TOGETHER_ROW, w->g[odd] > 0);
}

/* ---- learning ---- */

static void learn_about_zero(float *var, double v, double weight)
{
        v = clamp(v, winsor * sqrt(*var));
        *var = (float)(*var + weight * (v * v - *var));
        if (*var < 1e-6f)
                *var = 1e-6f;
}

static void learn_size(struct size *s, double v, double weight)
{
        double d = clamp(v - s->mean, winsor * sqrt(s->var));

        s->mean = (float)(s->mean + weight * d);
        s->var = (float)(s->var + weight * (d * d - s->var));
        if (s->var < 1e-3f)
                s->var = 1e-3f;
}

static void learn_sizes(struct together *m, const struct row *w)
{
        double weight = forget(++m->n_taught, 10);

        for (unsigned i = 0; i < m->n_tags; i++) {
                struct one *t = &m->tags[i];

                if (!has(w, i))
                        continue;
                learn_about_zero(&t->z_var, t->z, weight);
                learn_about_zero(&t->rest_var, t->rest, weight);
                learn_size(&t->size, log_restless(t), weight);
        }
        learn_size(&m->row, w->distance, weight);
}

/* A pair that is not whole keeps what it knows. */
static void learn_row(struct together *m, struct row *w)
{
        double weight = forget(m->n_rows, 1);
        float *s = covariance_of(m);

        for (unsigned i = 0; i < m->n_tags && m->n_rows >= FIRST_ROWS; i++)
                w->away[i] = clamp(w->away[i], winsor * m->tags[i].sd);
        for (unsigned i = 0; i < m->n_tags; i++) {
                float *row = s + triangle(i);
                double mine = weight * w->away[i];

                if (!has(w, i))
                        continue;
                for (unsigned j = 0; j <= i; j++) {
                        if (has(w, j))
                                row[j] = (float)((1 - weight) * (row[j] + mine * w->away[j]));
                }
                m->tags[i].mean += mine;
        }
}

/* ---- judging ---- */

static void step_alarm(struct together *m, const struct together_said *said)
{
        if (!said->warm)
                return;
        m->n_on = said->score < said->limit ? 0 : m->n_on < ON_ROWS ? m->n_on + 1 : ON_ROWS;
        m->n_off = said->score >= off_below * said->limit ? 0 : m->n_off < OFF_ROWS ? m->n_off + 1 : OFF_ROWS;
        m->on = m->on ? m->n_off < OFF_ROWS : m->n_on >= ON_ROWS;
}

/* What the others say is where R^-1 z of the tag would be 0. */
static double usual_of(const struct together *m, const struct row *w, const float *inverse,
                       const struct together_said *said)
{
        const struct one *t = &m->tags[said->tag];

        if (said->by == TOGETHER_RESTLESS)
                return NAN;
        if (said->by == TOGETHER_LEVEL)
                return t->mean;
        return t->mean + t->sd * (w->z[said->tag] - w->g[said->tag] / inverse[triangle(said->tag) + said->tag]);
}

static void judge(struct together *m, struct row *w, const float *inverse, struct together_said *out)
{
        normalise(m, w);
        if (w->have != m->seen || m->seen != UINT64_MAX >> (64 - m->n_tags))
                fill_in(m, w, inverse);
        multiply(m, w, inverse);
        follow(m, w, inverse);
        if (m->n_rows == FIRST_ROWS)
                begin_sizes(m, w);
        score_row(m, w, inverse, out);
        out->usual = usual_of(m, w, inverse, out);
        out->warm = m->n_rows >= TOGETHER_WARM_ROWS;
        m->n_away = out->warm && out->score >= teach_up_to * out->limit ? m->n_away + (m->n_away < UINT32_MAX) : 0;
        step_alarm(m, out);
}

static bool is_due(const struct together *m)
{
        if (m->n_rows < FIRST_ROWS)
                return false;
        return m->n_rows == FIRST_ROWS || m->n_rows % (m->n_rows < TOGETHER_WARM_ROWS ? OFTEN_ROWS : SELDOM_ROWS) == 0;
}

static uint64_t usable(const double *x, uint64_t have, unsigned d)
{
        uint64_t usable = 0;

        for (unsigned i = 0; i < d; i++)
                usable |= (uint64_t)((have >> i & 1) && fabs(x[i]) <= number_max) << i;
        return usable;
}

void together_row(void *memory, const double *x, uint64_t have, uint32_t settle_rows, struct together_said *out)
{
        struct together *m = memory;
        const float *inverse = covariance_of(m) + triangle(m->n_tags);
        struct row w;

        *out = (struct together_said){.limit = together_limit(m->n_tags), .on = m->on};
        w.x = x;
        w.have = usable(x, have, m->n_tags);
        if (__builtin_popcountll(w.have) < TOGETHER_TAGS_MIN)
                return;
        read_row(m, &w);
        if (is_due(m))
                make_inverse(m);
        if (m->n_rows >= FIRST_ROWS)
                judge(m, &w, inverse, out);
        out->on = m->on;
        out->settled = m->n_away > settle_rows;
        if (!m->n_away || out->settled) {
                if (m->n_rows >= FIRST_ROWS)
                        learn_sizes(m, &w);
                learn_row(m, &w);
        }
        for (unsigned i = 0; i < m->n_tags; i++) {
                if (has(&w, i))
                        m->tags[i].last = x[i];
        }
        m->n_rows += m->n_rows < UINT32_MAX;
}
