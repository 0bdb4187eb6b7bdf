/*
 * deviation_choice: how the defaults of `deviation` were chosen, without any recorded series: made-up signals of 17
 * kinds, each with four troubles of one of eight sorts in 20,000 readings, scored as the Numenta benchmark scores (its
 * window around each trouble: the first alarm in it counts, the earlier the more; one that is missed costs 1, a false
 * alarm 0.11). 4 is perfect, -4 is nothing told.
 *
 * What is chosen is what has the best mean over all of them, and where its neighbours are no worse: sigma and the
 * half-life here; the other numbers (deviation.c) were varied in the code.
 *
 * usage: deviation_choice [ROUNDS]     a table: sigma, half-life in readings, mean score, alarms per series, score by
 * kind
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/rules/rules.h"

enum { N = 20000, TROUBLES = 4, WINDOW = 500, PROBATION = 750, FIRST = 2500, APART = 4400 };

static uint64_t seed = 1;
static double v[N];
static int trouble_at[TROUBLES];
static bool told[N];
static int now_at;
static int64_t period_us = 1000000;

static double uniform(void)
{
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return ((double)(seed >> 11) + 0.5) / 0x1p53;
}

static double normal(void)
{
        return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* Student's t with three degrees of freedom, scaled to a deviation of 1. */
static double heavy(void)
{
        double a = normal(), b = normal(), c = normal(), d = normal();

        return d / sqrt((a * a + b * b + c * c) / 3) / sqrt(3);
}

/* ---- signals, all of a deviation of about 1 ---- */

/* What a signal is made of at one moment. */
struct parts {
        int i;
        double white, slow5, slow10, slow50, slow200, slow500, slow1000, slow3000, slow5000; /* by memory in readings */
        double day, level, loudness, cycle;
};

static double pink(const struct parts *p)
{
        return 0.5 * (p->slow5 + p->slow50 + p->slow500 + p->slow5000);
}

static double daily(const struct parts *p)
{
        return 0.85 * p->day + 0.5 * p->white;
}

static double week(const struct parts *p)
{
        bool works = p->i % 2016 < 1440;

        return (works ? 0.6 + 0.5 * p->day : -0.9) + 0.4 * p->slow500 + 0.15 * p->white;
}

static double signal_of(int kind, const struct parts *p)
{
        switch (kind) {
        case 0:
                return p->white;
        case 1:
                return p->slow10;
        case 2:
                return p->slow50;
        case 3:
                return p->slow200;
        case 4:
                return p->slow1000;
        case 5:
                return p->slow5000;
        case 6:
                return daily(p);
        case 7:
                return week(p);
        case 8:
                return heavy();
        case 9:
                return -log(uniform());
        case 10:
                return 0.7 * p->slow50 + 0.7 * p->day + 0.2 * p->white;
        case 11:
                return p->level + 0.4 * p->slow10;
        case 12:
                return p->cycle + 0.25 * p->slow10;
        case 13:
                return floor(4 * (0.8 * p->slow200 + 0.3 * p->day)) / 4;
        case 14:
                return pink(p);
        case 15:
                return exp(0.7 * p->loudness - 0.25) * (0.7 * p->slow50 + 0.7 * p->white);
        default:
                return 0.9 * p->slow3000 + 0.3 * p->slow5 + 0.2 * p->level;
        }
}

static const char *const kinds[] = {"white",   "slow10", "slow50", "slow200", "slow1000", "slow5000",
                                    "daily",   "weekly", "heavy",  "1-sided", "mixed",    "operate",
                                    "batches", "digits", "pink",   "loud",    "wander"};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static double remember(double *slow, double memory)
{
        double keep = exp(-1 / memory);

        return *slow = keep * *slow + sqrt(1 - keep * keep) * normal();
}

static void make_signal(int kind)
{
        struct parts p = {0};
        double phase = uniform() * 288, cycle = 40 + uniform() * 200;
        int next = 0;

        for (p.i = 0; p.i < N; p.i++) {
                p.white = normal();
                remember(&p.slow5, 5);
                remember(&p.slow10, 10);
                remember(&p.slow50, 50);
                remember(&p.slow200, 200);
                remember(&p.slow500, 500);
                remember(&p.slow1000, 1000);
                remember(&p.slow3000, 3000);
                remember(&p.slow5000, 5000);
                remember(&p.loudness, 800);
                p.day = M_SQRT2 * sin((p.i + phase) * 2 * M_PI / 288);
                p.cycle = fmod(p.i, cycle) < 0.6 * cycle ? 0.9 : -1.1;
                if (p.i >= next) {
                        p.level = floor(uniform() * 3) - 1;
                        next = p.i + (int)(-log(uniform()) * 800);
                }
                v[p.i] = signal_of(kind, &p);
        }
}

/* ---- troubles of three to seven deviations, an hour to a day long at five minutes a reading ---- */

enum { JUMP, RAMP, COLLAPSE, NOISE, SPIKES, SWINGS, FAILURE, STUCK, SORTS };

/* It drifts away for long, and then fails. */
static void make_failure(double size, int at)
{
        int drift = 200 + (int)(1000 * uniform()), len = 60 + (int)(300 * uniform());

        for (int i = at - drift; i < at; i++)
                v[i] += size * (i - at + drift) / drift;
        for (int i = at; i < at + len && i < N; i++)
                v[i] -= 1.5 * size;
}

static void make_trouble(int sort, int at)
{
        double size = (3 + 4 * uniform()) * (uniform() < 0.5 ? -1 : 1), before = v[at], swing = 20 + 30 * uniform();
        int len = 60 + (int)(300 * uniform());

        if (sort == FAILURE)
                make_failure(size, at);
        for (int i = at; i < at + len && i < N; i++) {
                double t = i - at;

                if (sort == JUMP)
                        v[i] += size;
                else if (sort == RAMP)
                        v[i] += size * fmin(1, t / (0.7 * len));
                else if (sort == COLLAPSE)
                        v[i] = before + (size > 0 ? 8 : -8) + 0.2 * normal();
                else if (sort == NOISE)
                        v[i] += 3 * normal();
                else if (sort == SPIKES && uniform() < 0.15)
                        v[i] += size;
                else if (sort == SWINGS)
                        v[i] += 0.6 * size * sin(t * 2 * M_PI / swing);
                else if (sort == STUCK)
                        v[i] = before;
        }
}

static void make_troubles(int sort)
{
        for (int k = 0; k < TROUBLES; k++) {
                trouble_at[k] = FIRST + k * APART + (int)(uniform() * (APART - 1400));
                make_trouble(sort, trouble_at[k]);
        }
}

/* ---- the rule on it, and its score ---- */

static void on_transition(void *ctx, const struct rules_transition *t)
{
        if (t->change == ALARM_ACTIVATED && now_at >= PROBATION)
                told[now_at] = true;
}

static void run(const struct rule_conf *c)
{
        struct rules_upcalls up = {.on_transition = on_transition};
        struct rt_time now = {0, 1700000000000000};
        struct rules *r = rules_new(c, 1, "gw", &up, &now);

        memset(told, 0, sizeof(told));
        rules_bind(r, 0, "a", "b", &now);
        for (now_at = 0; now_at < N; now_at++) {
                struct reading reading = {.type = READING_F64, .ts_us = now.wall_us, .v.f64 = v[now_at]};

                rules_eval(r, &reading, &now);
                now.mono_us += period_us;
                now.wall_us += period_us;
        }
        rules_free(r);
}

/* 1 at the left edge of a window, 0 at its right edge, -1 far behind it. */
static double credit(double y)
{
        return y > 3 ? -1 : 2 / (1 + exp(5 * y)) - 1;
}

static double score(unsigned *alarms)
{
        double sum = 0, best[TROUBLES] = {-1, -1, -1, -1};

        for (int i = 0; i < N; i++) {
                int in = -1, behind = -1;

                for (int k = 0; told[i] && k < TROUBLES; k++) {
                        int right = trouble_at[k] + WINDOW / 2;

                        in = i >= right - WINDOW && i <= right ? k : in;
                        behind = i > right ? k : behind;
                }
                *alarms += told[i];
                if (in >= 0)
                        best[in] = fmax(best[in], credit((i - trouble_at[in] - WINDOW / 2.0) / WINDOW) / credit(-1));
                else if (told[i])
                        sum += 0.11 *
                               (behind < 0 ? -1 : credit((i - trouble_at[behind] - WINDOW / 2.0) / (WINDOW - 1)));
        }
        for (int k = 0; k < TROUBLES; k++)
                sum += best[k];
        return sum;
}

/* ---- choices ---- */

static struct rule_conf choice(double sigma, int half_life)
{
        struct rule_conf c = {.match = "*/*", .kind = RULE_DEVIATION, .sigma = sigma};
        const char *key;
        struct err e;

        c.hihi = c.hi = c.lo = c.lolo = c.limit = c.within = c.at_least = c.at_most = c.deadband = NAN;
        c.half_life_us = half_life * period_us;
        c.warm_up_us = 500 * period_us;
        BUG_ON(rules_schema.check(&c, &key, &e) != 0);
        return c;
}

int main(int argc, char **argv)
{
        static const double sigmas[] = {3, 3.5, 4, 4.5, 5, 6};
        static const int half_lives[] = {500, 1000, 2000, 4000};
        enum { CHOICES = 24 };
        static double total[CHOICES], by_kind[CHOICES][KINDS];
        static unsigned alarms[CHOICES];
        int rounds = argc > 1 ? atoi(argv[1]) : 2, series = KINDS * SORTS * rounds;

        for (int i = 0; i < series; i++) {
                int kind = i % KINDS;

                make_signal(kind);
                make_troubles(i / KINDS % SORTS);
                for (int k = 0; k < CHOICES; k++) {
                        struct rule_conf c = choice(sigmas[k / 4], half_lives[k % 4]);
                        double s;

                        run(&c);
                        s = score(&alarms[k]);
                        total[k] += s;
                        by_kind[k][kind] += s;
                }
        }
        printf("sigma half-life   score  alarms ");
        for (int i = 0; i < KINDS; i++)
                printf(" %8s", kinds[i]);
        for (int k = 0; k < CHOICES; k++) {
                printf("\n%5.1f %9d %7.3f %7.1f ", sigmas[k / 4], half_lives[k % 4], total[k] / series,
                       (double)alarms[k] / series);
                for (int i = 0; i < KINDS; i++)
                        printf(" %8.2f", by_kind[k][i] * KINDS / series);
        }
        puts("");
        return 0;
}
