/*
 * deviation_choice: how the defaults of `deviation` were chosen, without any recorded series: eight kinds of made-up
 * signals, false alarms on them as they are, and how often a shift of three to six of their standard deviations is
 * found, half of them at once and half over thirty readings.
 *
 * The rule of the choice: the least cost, where a shift that is missed weighs as nine false alarms (the weights of the
 * Numenta benchmark), and there are two shifts in 10,000 readings.
 *
 * usage: deviation_choice     prints a table: sigma, half-life in readings, false alarms in 10,000 readings by kind,
 *                             the part of the shifts that was missed, and the cost
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/base/err.h"
#include "agent/rules/rules.h"

enum {
        N = 20000,
        KINDS = 8,
        ROUNDS = 16, /* four sizes of shift, up and down, at once and slowly */
        SHIFT_LONG = 150
};

static const char *const names[KINDS] = {"white", "slow10", "slow50", "slow200", "daily", "heavy", "onesided", "mixed"};
static uint64_t seed = 1;
static unsigned n_active;
static double signal_of[N];

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

static void make_signal(int kind)
{
        static const double memory[KINDS] = {1, 10, 50, 200, 1, 1, 1, 50};
        double keep = exp(-1 / memory[kind]), add = sqrt(1 - keep * keep), slow = normal();

        for (int i = 0; i < N; i++) {
                double day = M_SQRT2 * sin(i * 2 * M_PI / 288);

                slow = keep * slow + add * normal();
                signal_of[i] = kind == 0   ? normal()
                               : kind <= 3 ? slow
                               : kind == 4 ? 0.85 * day + 0.5 * normal()
                               : kind == 5 ? heavy()
                               : kind == 6 ? -log(uniform())
                                           : 0.7 * slow + 0.7 * day + 0.2 * normal();
        }
}

static void on_transition(void *ctx, const struct rules_transition *t)
{
        n_active += t->change == ALARM_ACTIVATED;
}

static void put(struct rules *r, struct rt_time *now, double v)
{
        struct reading reading = {.type = READING_F64, .ts_us = now->wall_us, .v.f64 = v};

        rules_eval(r, &reading, now);
        now->mono_us += 1000000;
        now->wall_us += 1000000;
}

/* Adds the false alarms to *n_false; true when the shift was found. */
static bool one_signal(const struct rule_conf *c, int round, unsigned *n_false)
{
        struct rules_upcalls up = {.on_transition = on_transition};
        struct rt_time now = {0, 1700000000000000};
        struct rules *r = rules_new(c, 1, "gw", &up, &now);
        int at = 15000 + (int)(uniform() * 3000);
        bool found;

        rules_bind(r, 0, "a", "b", &now);
        n_active = 0;
        for (int i = 0; i < at; i++)
                put(r, &now, signal_of[i]);
        *n_false += n_active;
        n_active = 0;
        for (int i = at; i < at + SHIFT_LONG; i++) {
                double part = round % 2 && i - at < 30 ? (i - at) / 30.0 : 1;

                put(r, &now, signal_of[i] + (3 + round / 4) * part * (round % 4 < 2 ? 1 : -1));
        }
        found = n_active > 0;
        put(r, &now, signal_of[at]); /* its return and what follows at once are the shift's */
        n_active = 0;
        for (int i = at + SHIFT_LONG; i < N; i++)
                put(r, &now, signal_of[i]);
        *n_false += n_active;
        rules_free(r);
        return found;
}

static void one_choice(double sigma, int half_life)
{
        struct rule_conf c = {.match = "*/*",
                              .kind = RULE_DEVIATION,
                              .hihi = NAN,
                              .hi = NAN,
                              .lo = NAN,
                              .lolo = NAN,
                              .limit = NAN,
                              .sigma = sigma,
                              .within = NAN,
                              .at_least = NAN,
                              .at_most = NAN,
                              .deadband = NAN,
                              .half_life_us = half_life * INT64_C(1000000)};
        const char *key;
        double missed;
        unsigned n_found = 0, n_false_all = 0;
        struct err e;

        BUG_ON(rules_schema.check(&c, &key, &e) != 0);
        printf("%5.1f %9d ", sigma, half_life);
        for (int kind = 0; kind < KINDS; kind++) {
                unsigned n_false = 0;

                for (int round = 0; round < ROUNDS; round++) {
                        make_signal(kind);
                        n_found += one_signal(&c, round, &n_false);
                }
                printf(" %8.2f", n_false * 1e4 / (N * ROUNDS));
                n_false_all += n_false;
        }
        missed = 1 - n_found / (double)(KINDS * ROUNDS);
        printf(" %8.2f %8.2f\n", missed, 2 * missed + 0.11 * n_false_all * 1e4 / (N * ROUNDS) / KINDS);
}

int main(void)
{
        static const double sigmas[] = {2.5, 3, 3.5, 4, 4.5, 5, 6};
        static const int half_lives[] = {200, 500, 1000};

        printf("sigma half-life ");
        for (int kind = 0; kind < KINDS; kind++)
                printf(" %8s", names[kind]);
        printf("   missed     cost\n");
        for (size_t i = 0; i < sizeof(sigmas) / sizeof(*sigmas); i++)
                for (size_t k = 0; k < sizeof(half_lives) / sizeof(*half_lives); k++)
                        one_choice(sigmas[i], half_lives[k]);
        return 0;
}
