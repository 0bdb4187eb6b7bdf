/*
 * rules_bench: what a reading costs, per rule.  Readings of 300 tags in turn, each watched by one rule of a kind (and
 * by four at once); noise around a mean, so that limits with two sides compare all and seldom raise.
 *
 * usage: rules_bench [READINGS]     prints ns per reading and rule, and bytes of state per tag and rule
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/base/err.h"
#include "agent/rules/rules.h"
#include "agent/rules/rules_engine.h"
#include "tests/lib/rule_blank.h"

enum { TAGS = 300, VALUES = 4096 };

static uint64_t n_told;
static double values[VALUES];

static void on_transition(void *ctx, const struct rules_transition *t)
{
        n_told++;
}

static double seconds(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void make_values(void)
{
        uint64_t seed = 1;

        for (int i = 0; i < VALUES; i++) {
                double sum = 0;

                for (int k = 0; k < 12; k++) {
                        seed = seed * 6364136223846793005u + 1442695040888963407u;
                        sum += (double)(seed >> 40) / (double)(1 << 24);
                }
                values[i] = 70 + sum - 6;
        }
}

static struct rule_conf rule(enum rule_kind kind)
{
        struct rule_conf c = rule_blank(kind);

        c.ack_required = false;
        if (kind == RULE_LIMITS) {
                c.hihi = 95;
                c.hi = 85;
                c.lo = 50;
                c.lolo = 40;
                c.deadband = 2;
        } else if (kind == RULE_RATE) {
                c.limit = 30;
                c.over_us = 10000000;
        } else if (kind == RULE_SILENT || kind == RULE_STUCK) {
                c.after_us = 60000000;
        } else if (kind == RULE_OFF_NORMAL) {
                c.normal = "1";
        } else if (kind == RULE_COUNT) {
                c.window_us = 60000000;
                c.at_least = 1e9;
        } else if (kind == RULE_DUPLICATE) {
                c.window_us = 60000000;
        }
        return c;
}

static void run(const char *name, struct rule_conf *c, size_t n, uint64_t readings)
{
        struct rules_upcalls up = {.on_transition = on_transition};
        struct rt_time now = {0, 1700000000000000};
        struct rules *r;
        const char *key;
        struct err e;
        double begun, spent;

        for (size_t i = 0; i < n; i++)
                BUG_ON(rules_schema.check(&c[i], &key, &e) != 0);
        r = rules_new(c, n, "gw", &up, &now);
        for (uint32_t i = 0; i < TAGS; i++)
                rules_bind(r, i, "dev", "tag", &now);
        n_told = 0;
        begun = seconds();
        for (uint64_t i = 0; i < readings; i++) {
                struct reading reading = {.tag = (uint32_t)(i % TAGS), .type = READING_F64};

                now.mono_us += 100;
                now.wall_us += 100;
                reading.ts_us = now.wall_us;
                reading.v.f64 = values[i * 7 % VALUES];
                rules_eval(r, &reading, &now);
        }
        spent = seconds() - begun;
        printf("%-24s %7.1f ns per reading and rule   %5u bytes of state   %llu transitions\n", name,
               spent * 1e9 / (double)readings / (double)n, r->rules[0].bytes, (unsigned long long)n_told);
        rules_free(r);
}

int main(int argc, char **argv)
{
        uint64_t readings = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000;
        struct rule_conf four[4];

        make_values();
        for (enum rule_kind k = 0; k < RULE_KINDS; k++) {
                struct rule_conf c = rule(k);

                if (k != RULE_DEVICE_DOWN)
                        run(rule_kind_name(k), &c, 1, readings);
        }
        four[0] = rule(RULE_COUNT);
        four[0].what = RULE_DISTINCT;
        four[0].at_least = 256;
        run("count distinct", four, 1, readings);
        four[0] = rule(RULE_COUNT);
        four[0].per = RULE_PER_VALUE;
        run("count per value", four, 1, readings);
        four[0] = rule(RULE_LIMITS);
        four[1] = rule(RULE_RATE);
        four[2] = rule(RULE_DEVIATION);
        four[3] = rule(RULE_SILENT);
        run("limits+rate+dev+silent", four, 4, readings);
        return 0;
}
