/*
 * What each kind of rule raises and when, told as stories: readings in, "active@10 returned@20" out.  And what the
 * engine promises besides: names, devices that replace their tags, quality, what is kept, no allocation per reading.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <malloc.h>
#include <math.h>

#include "agent/base/err.h"
#include "agent/rules/rules.h"
#include "agent/rules/rules_engine.h"
#include "tests/lib/rule_blank.h"

static const int64_t second_us = 1000000, wall_us = 1700000000000000;

struct story {
        struct rules *r;
        char told[8192];
        size_t n_told, n_grouped, n_notified, n_groups;
        struct rules_transition last;
        struct rules_row rows[64];
        size_t n_rows;
        struct rules_group group;
};

static void on_transition(void *ctx, const struct rules_transition *t)
{
        struct story *s = ctx;
        const char *what = t->row.limit_kind;
        bool limits = t->kind == RULE_LIMITS;

        s->last = *t;
        s->n_notified += t->notify;
        s->n_grouped += t->grouped;
        if (sizeof(s->told) - s->n_told > 100)
                s->n_told += (size_t)snprintf(s->told + s->n_told, sizeof(s->told) - s->n_told, "%s%s%s%s@%g",
                                              s->n_told ? " " : "", limits ? what : "", limits ? "-" : "",
                                              alarm_change_name(t->change),
                                              (double)(t->ts_us - wall_us) / (double)second_us);
}

static void on_group(void *ctx, const struct rules_group *g)
{
        struct story *s = ctx;

        s->group = *g;
        s->n_groups++;
}

static struct rt_time at(double t)
{
        int64_t us = (int64_t)llround(t * 1e6);

        return (struct rt_time){.mono_us = us, .wall_us = us + wall_us};
}

static void begin(struct story *s, struct rule_conf *c, size_t n)
{
        struct rules_upcalls up = {on_transition, on_group, s};
        struct rt_time now = at(0);

        memset(s, 0, sizeof(*s));
        for (size_t i = 0; i < n; i++)
                rule_check(&c[i]);
        s->r = rules_new(c, n, "gw", &up, &now);
        rules_bind(s->r, 0, "dev", "tag", &now);
}

static void expect(struct story *s, const char *told)
{
        assert_string_equal(s->told, told);
        s->told[0] = '\0';
        s->n_told = 0;
}

static void put(struct story *s, uint32_t tag, double t, double v, unsigned quality)
{
        struct rt_time now = at(t);
        struct reading reading = {.tag = tag, .ts_us = now.wall_us, .quality = (uint16_t)quality};

        reading.type = quality_is_bad(quality) ? READING_NONE : READING_F64;
        reading.v.f64 = v;
        rules_eval(s->r, &reading, &now);
}

static void text(struct story *s, double t, const char *v)
{
        struct rt_time now = at(t);
        struct reading reading = {.ts_us = now.wall_us, .type = READING_TEXT, .len = (uint32_t)strlen(v), .v.text = v};

        rules_eval(s->r, &reading, &now);
}

static void tick(struct story *s, double t)
{
        struct rt_time now = at(t);

        rules_tick(s->r, &now);
}

static void end(struct story *s, const char *told)
{
        assert_string_equal(s->told, told);
        rules_free(s->r);
}

/* ---- limits ---- */

static void test_limits(void **state)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);
        struct story s;

        c.hihi = 95;
        c.hi = 85;
        c.deadband = 2;
        begin(&s, &c, 1);
        put(&s, 0, 1, 84.999, 0);
        expect(&s, "");
        put(&s, 0, 2, 85, 0);
        expect(&s, "hi-active@2");
        assert_int_equal(s.last.row.severity, 500);
        assert_true(s.last.value == 85 && s.last.limit == 85);
        put(&s, 0, 3, 83, 0);
        put(&s, 0, 4, 96, 1);
        expect(&s, "hihi-active@4");
        assert_int_equal(s.last.row.severity, 800);
        put(&s, 0, 5, 93, 0);
        put(&s, 0, 6, 92.9, 0);
        expect(&s, "hihi-returned@6");
        put(&s, 0, 7, 82.9, 0);
        end(&s, "hi-returned@7");
}

/* The delays end by themselves, between readings, at their own time. */
static void test_delays(void **state)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);
        struct story s;

        c.lo = 10;
        c.on_delay_us = 5 * second_us;
        c.off_delay_us = 10 * second_us;
        begin(&s, &c, 1);
        put(&s, 0, 1, 9, 0);
        put(&s, 0, 5.9, 11, 0);
        put(&s, 0, 7, 9, 0);
        assert_true(rules_due_us(s.r) <= 12 * second_us);
        tick(&s, 11.999);
        expect(&s, "");
        tick(&s, 12.5);
        expect(&s, "lo-active@12");
        put(&s, 0, 13, 11, 0);
        put(&s, 0, 22, 10, 0);
        put(&s, 0, 23, 11, 0);
        expect(&s, "");
        put(&s, 0, 50, 9, 0); /* nobody called in time: it returned at 33 all the same */
        end(&s, "lo-returned@33");
}

/* The deadband is for leaving: it neither helps an on-delay to its end nor an off-delay. */
static void test_deadband_and_delays(void **state)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);
        struct story s;

        c.hi = 100;
        c.deadband = 3;
        c.on_delay_us = c.off_delay_us = 15 * second_us;
        begin(&s, &c, 1);
        put(&s, 0, 0, 101, 0);
        put(&s, 0, 10, 98, 0); /* not over the limit the whole time */
        put(&s, 0, 14, 101, 0);
        put(&s, 0, 29, 99, 0); /* nor here: the reading of the last moment counts */
        tick(&s, 60);
        expect(&s, "");
        put(&s, 0, 60, 101, 0);
        put(&s, 0, 75, 101, 0);
        expect(&s, "hi-active@75");
        put(&s, 0, 80, 96, 0);
        put(&s, 0, 90, 98, 0); /* not clear the whole time */
        put(&s, 0, 100, 96, 0);
        tick(&s, 200);
        end(&s, "hi-returned@115");
}

static void test_bad_quality(void **state)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);
        struct story s;

        c.hi = 50;
        c.on_delay_us = 5 * second_us;
        begin(&s, &c, 1);
        put(&s, 0, 1, 60, 0);
        put(&s, 0, 2, 0, QUALITY_BAD_SENSOR);
        tick(&s, 20);
        put(&s, 0, 21, 60, 0);
        tick(&s, 30);
        expect(&s, "hi-active@26");
        for (unsigned q = QUALITY_BAD; q < N_QUALITIES; q++)
                put(&s, 0, 31, 0, q);
        tick(&s, 100);
        expect(&s, "");
        put(&s, 0, 101, NAN, 0); /* good, they say; it is not a number */
        expect(&s, "");
        put(&s, 0, 102, 0, 0);
        end(&s, "hi-returned@102");
}

static void test_exclusive(void **state)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);
        struct story s;

        c.hihi = 95;
        c.hi = 85;
        c.exclusive = true;
        c.on_delay_us = 5 * second_us;
        begin(&s, &c, 1);
        put(&s, 0, 0, 90, 0);
        tick(&s, 6);
        put(&s, 0, 10, 97, 0);
        tick(&s, 16);
        expect(&s, "hi-active@5 hihi-active@15 hi-returned@15");
        put(&s, 0, 20, 90, 0);
        end(&s, "hihi-returned@20 hi-active@20");
}

static void test_realarm_latch_and_hidden(void **state)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);
        struct rt_time now = at(20);
        struct rules_ref ref;
        struct story s;

        c.hi = 1;
        c.latching = true;
        c.re_alarm_us = 10 * second_us;
        begin(&s, &c, 1);
        assert_int_equal(rules_find(s.r, "dev", "tag", "limits", NULL, &ref), 0);
        assert_int_equal(rules_find(s.r, "dev", "tag", "limits", "lo", &ref), RULES_E_UNKNOWN);
        assert_int_equal(rules_find(s.r, "dev", "gat", "limits", "hi", &ref), RULES_E_UNKNOWN);
        assert_int_equal(rules_find(s.r, "ved", "tag", "limits", "hi", &ref), RULES_E_UNKNOWN);
        assert_int_equal(rules_find(s.r, "dev", "tag", "limits", "hi", &ref), 0);
        put(&s, 0, 5, 2, 0);
        assert_int_equal(rules_command(s.r, ref, ALARM_ACK, 0, &now), 0);
        expect(&s, "hi-active@5 hi-realarmed@15 hi-acked@20");
        assert_int_equal(rules_command(s.r, ref, ALARM_ACK, 0, &now), RULES_E_SAME);
        assert_int_equal(rules_command(s.r, ref, ALARM_RESET, 0, &now), RULES_E_ACTIVE);
        put(&s, 0, 21, 0, 0);
        assert_int_equal(s.last.row.state, ALARM_IS_LATCHED);
        now = at(22);
        assert_int_equal(rules_command(s.r, ref, ALARM_RESET, 0, &now), 0);
        assert_int_equal(s.last.row.state, ALARM_IS_NORMAL);
        assert_int_equal(rules_command(s.r, ref, ALARM_SHELVE, wall_us + 40 * second_us, &now), 0);
        assert_int_equal(s.last.row.shelved_until_us, wall_us + 40 * second_us);
        s.n_notified = 0;
        put(&s, 0, 23, 2, 0);
        put(&s, 0, 24, 0, 0);
        put(&s, 0, 25, 2, 0);
        assert_int_equal(s.n_notified, 0);
        tick(&s, 41);
        assert_int_equal(s.n_notified, 1);
        assert_int_equal(s.last.row.state, ALARM_IS_UNACK);
        assert_int_equal(rules_command(s.r, ref, ALARM_UNSHELVE, 0, &now), RULES_E_SAME);
        end(&s, "hi-returned@21 hi-latch_reset@22 hi-shelved@22 hi-active@23 hi-returned@24 hi-active@25 "
                "hi-unshelved@40");
}

/* ---- the other kinds ---- */

static void test_rate(void **state)
{
        struct rule_conf c = rule_blank(RULE_RATE);
        struct story s;

        c.limit = 2;
        c.over_us = 10 * second_us;
        c.deadband = 1;
        begin(&s, &c, 1);
        for (int t = 0; t < 100; t++) /* 0.19 a second: 1.9 in 10 s at most */
                put(&s, 0, t, 0.19 * t, 0);
        expect(&s, "");
        put(&s, 0, 100, 0.19 * 99 + 1, 0);
        expect(&s, "active@100");
        assert_true(s.last.value >= 2 && s.last.limit == 2);
        for (int t = 101; t < 120; t++)
                put(&s, 0, t, 20, 0);
        assert_int_equal(s.last.change, ALARM_RETURNED);
        s.n_told = s.told[0] = 0;
        put(&s, 0, 150, 16, 0); /* 4 in 31 s: slower than 2 in 10 s */
        put(&s, 0, 151, 13.9, 0);
        expect(&s, "active@151"); /* down counts as well */
        put(&s, 0, 200, 13.9, 0);
        expect(&s, "returned@200");
        c.direction = RULE_RISE;
        put(&s, 0, 201, 5, 0);
        expect(&s, "");
        put(&s, 0, 202, 8, 0);
        end(&s, "active@202");
}

static double noise(uint64_t *seed)
{
        double sum = 0;

        for (int i = 0; i < 12; i++) {
                *seed = *seed * 6364136223846793005u + 1442695040888963407u;
                sum += (double)(*seed >> 40) / (double)(1 << 24);
        }
        return sum - 6;
}

static void test_deviation(void **state)
{
        struct rule_conf c = rule_blank(RULE_DEVIATION);
        uint64_t seed = 5;
        struct story s;
        int t = 0;

        begin(&s, &c, 1);
        put(&s, 0, t++, 70, 0);
        put(&s, 0, t++, 700, 0); /* warming up: nothing is said, and later it is forgotten */
        for (; t < 6000; t++)
                put(&s, 0, t, 70 + noise(&seed), 0);
        expect(&s, "");
        for (; t < 6010; t++)
                put(&s, 0, t, 80 + noise(&seed), 0);
        for (; t < 6100; t++)
                put(&s, 0, t, 70 + noise(&seed), 0);
        expect(&s, "active@6001 returned@6060"); /* 50 in a row are usual */
        /* The anomaly did not teach: the same again is as strange as before. */
        for (; t < 6105; t++)
                put(&s, 0, t, 60 + noise(&seed), 0);
        for (; t < 7000; t++)
                put(&s, 0, t, 70 + noise(&seed), 0);
        expect(&s, "active@6101 returned@6155");
        /* What stays becomes normal after a half-life, and then the old place is strange. */
        for (; t < 9000; t++)
                put(&s, 0, t, 100 + noise(&seed), 0);
        put(&s, 0, t++, 70, 0); /* one alone is not believed */
        put(&s, 0, t++, 100, 0);
        put(&s, 0, t++, 70, 0);
        put(&s, 0, t++, 70, 0);
        put(&s, 0, t++, NAN, 0);
        end(&s, "active@7001 returned@8050 active@9002");
}

/* As restless as never: told, though it stays where it is; one leap alone is not restless. */
static void test_deviation_of_a_restless_signal(void **state)
{
        struct rule_conf c[] = {rule_blank(RULE_DEVIATION), rule_blank(RULE_DEVIATION)};
        uint64_t seed = 6;
        struct story s;
        int t = 0;

        for (int i = 0; i < 2; i++) {
                c[i].direction = i ? RULE_RISE : RULE_BOTH;
                begin(&s, &c[i], 1);
                for (t = 0; t < 3000; t++)
                        put(&s, 0, t, 70 + noise(&seed), 0);
                put(&s, 0, t++, 170, 0);
                for (; t < 4000; t++)
                        put(&s, 0, t, 70 + noise(&seed), 0);
                expect(&s, "");
                for (; t < 4040; t++)
                        put(&s, 0, t, t % 2 ? 72.5 : 67.5, 0);
                for (; t < 4200; t++)
                        put(&s, 0, t, 70 + noise(&seed), 0);
                end(&s, i ? "" : "active@4005 returned@4120");
        }
}

/* A signal that stood still is not in alarm at the flicker of its last digit. */
static void test_deviation_of_a_still_signal(void **state)
{
        struct rule_conf c = rule_blank(RULE_DEVIATION);
        struct story s;

        begin(&s, &c, 1);
        for (int t = 0; t < 3000; t++)
                put(&s, 0, t, t % 700 >= 650 ? 20.1 : 20.0, 0);
        expect(&s, "");
        put(&s, 0, 3000, 25, 0);
        put(&s, 0, 3001, 25, 0);
        end(&s, "active@3001");
}

static void test_stuck(void **state)
{
        struct rule_conf c = rule_blank(RULE_STUCK);
        struct story s;

        c.after_us = 10 * second_us;
        c.within = 0.5;
        begin(&s, &c, 1);
        put(&s, 0, 0, 5, 0);
        put(&s, 0, 9, 5.5, 0);
        tick(&s, 60); /* silent is not stuck */
        expect(&s, "");
        put(&s, 0, 61, 5.2, 0);
        put(&s, 0, 62, 5.6, 0);
        put(&s, 0, 70, 5.6, 0);
        put(&s, 0, 72, 5.6, 0);
        end(&s, "active@61 returned@62 active@72");
}

static void test_silent(void **state)
{
        struct rule_conf c = rule_blank(RULE_SILENT);
        struct story s;

        c.after_us = 60 * second_us;
        begin(&s, &c, 1);
        tick(&s, 61);
        expect(&s, "active@60"); /* dead from the start */
        put(&s, 0, 70, 1, 0);
        for (int t = 100; t < 1000; t += 50)
                put(&s, 0, t, 1, 0);
        expect(&s, "returned@70");
        for (int t = 1000; t < 1100; t += 10)
                put(&s, 0, t, 1, QUALITY_BAD_SENSOR);
        end(&s, "active@1010"); /* only bad: as good as silent */
}

static void test_off_normal(void **state)
{
        struct rule_conf c = rule_blank(RULE_OFF_NORMAL);
        struct story s;

        c.normal = "1";
        begin(&s, &c, 1);
        put(&s, 0, 1, 1.0, 0);
        put(&s, 0, 2, 0, 0);
        put(&s, 0, 3, 1, 0);
        text(&s, 4, "1");
        text(&s, 5, "open");
        end(&s, "active@2 returned@3 active@5");
        c.normal = "true";
        begin(&s, &c, 1);
        put(&s, 0, 1, 1, 0);
        put(&s, 0, 2, 0, 0);
        end(&s, "active@2");
}

static void test_count(void **state)
{
        struct rule_conf c = rule_blank(RULE_COUNT);
        struct story s;

        c.window_us = 16 * second_us;
        c.value = "fail";
        c.at_least = 3;
        begin(&s, &c, 1);
        for (int i = 0; i < 20; i++)
                text(&s, 0.5 + 8 * i, "fail"); /* two in 16 s */
        expect(&s, "");
        text(&s, 153, "fail");
        text(&s, 153.5, "ok");
        tick(&s, 300);
        expect(&s, "active@153 returned@160.5"); /* by itself: the first of the three left the window */
        rules_free(s.r);

        c = rule_blank(RULE_COUNT);
        c.window_us = 16 * second_us;
        c.what = RULE_SUM;
        c.at_least = 10;
        begin(&s, &c, 1);
        put(&s, 0, 1, 6, 0);
        put(&s, 0, 2, 4, 0);
        put(&s, 0, 3, -1, 0);
        end(&s, "active@2 returned@3");

        c = rule_blank(RULE_COUNT);
        c.window_us = 16 * second_us;
        c.at_most = 1;
        begin(&s, &c, 1);
        for (int t = 0; t < 40; t += 4)
                put(&s, 0, t, 1, 0);
        tick(&s, 100);
        expect(&s, "active@48");                     /* of 32 and 36, 32 is no more counted */
        assert_true(rules_due_us(s.r) == INT64_MAX); /* an empty window needs no more looking at */
        put(&s, 0, 101, 1, 0);
        put(&s, 0, 102, 1, 0);
        end(&s, "returned@102");
}

static void test_count_values(void **state)
{
        static const char *const codes[] = {"a", "b", "c", "d"};
        struct rule_conf c = rule_blank(RULE_COUNT);
        struct story s;

        c.window_us = 160 * second_us;
        c.what = RULE_DISTINCT;
        c.at_least = 4;
        begin(&s, &c, 1);
        for (int i = 0; i < 60; i++)
                text(&s, i, codes[i % 3]);
        expect(&s, "");
        text(&s, 60, "d");
        tick(&s, 500);
        end(&s, "active@60 returned@210");

        c = rule_blank(RULE_COUNT);
        c.window_us = 160 * second_us;
        c.per = RULE_PER_VALUE;
        c.at_least = 3;
        begin(&s, &c, 1);
        for (int i = 0; i < 8; i++)
                text(&s, i, codes[i % 4]);
        for (int i = 0; i < 500; i++) { /* more values than are kept: each by itself is seldom */
                char code[16];

                snprintf(code, sizeof(code), "x%d", i);
                text(&s, 8 + i * 0.01, code);
        }
        expect(&s, "");
        text(&s, 20, "c");
        end(&s, "active@20"); /* those seen twice were not the ones that made room */
}

static void test_duplicate(void **state)
{
        struct rule_conf c = rule_blank(RULE_DUPLICATE);
        struct story s;

        c.window_us = 100 * second_us;
        begin(&s, &c, 1);
        text(&s, 1, "4711");
        text(&s, 2, "4712");
        text(&s, 101, "4711");
        text(&s, 102, "4713");
        text(&s, 202, "4711");
        end(&s, "active@101 returned@102");
}

/* ---- devices ---- */

static void test_device_replaces_its_tags(void **state)
{
        static const char *const names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
        struct rule_conf c[] = {rule_blank(RULE_DEVICE_DOWN), rule_blank(RULE_SILENT)};
        struct rt_time now = at(0);
        struct story s;

        c[0].match = "dev*";
        c[1].after_us = 60 * second_us;
        begin(&s, c, 2);
        for (uint32_t i = 1; i < 10; i++)
                rules_bind(s.r, i, "dev", names[i], &now);
        for (uint32_t i = 0; i < 10; i++)
                put(&s, i, 1, 5, 0);
        for (uint32_t i = 0; i < 10; i++)
                put(&s, i, 10 + i, 0, QUALITY_BAD_COMM_FAILURE);
        tick(&s, 500);
        expect(&s, "active@19"); /* one alarm, no silent tag */
        assert_int_equal(s.last.tag, RULES_NO_TAG);
        assert_string_equal(s.last.row.tag, "");
        assert_string_equal(s.last.row.limit_kind, "device_down");
        put(&s, 0, 510, 5, 0);
        expect(&s, "returned@510");
        tick(&s, 569);
        expect(&s, ""); /* the others have all their time again */
        tick(&s, 570);
        assert_int_equal(s.n_rows, 0);
        s.n_told = s.told[0] = 0;
        now = at(580);
        rules_source_down(s.r, "dev", true, &now); /* what was silent is told by the device from now on */
        assert_true(strncmp(s.told, "active@580 returned@580 returned@580", 36) == 0);
        rules_source_down(s.r, "nobody", true, &now);
        rules_free(s.r);
}

static void test_device_by_time(void **state)
{
        struct rule_conf c = rule_blank(RULE_DEVICE_DOWN);
        struct story s;

        c.after_us = 30 * second_us;
        begin(&s, &c, 1);
        put(&s, 0, 10, 1, 0);
        put(&s, 0, 20, 1, QUALITY_BAD_OUT_OF_RANGE); /* it answers */
        tick(&s, 49);
        expect(&s, "");
        tick(&s, 51);
        put(&s, 0, 60, 1, 0);
        end(&s, "active@50 returned@60");
}

/* ---- names, keeping, bounds ---- */

static void test_matches(void **state)
{
        static const struct {
                const char *pattern, *source, *tag;
                bool yes;
        } rows[] = {
                {"press-*/temp", "press-1", "temp", true},
                {"press-*/temp", "press-1", "temp2", false},
                {"*/*", "a", "b", true},
                {"*/temp*", "x", "temp", true},
                {"p?/t", "p1", "t", true},
                {"p?/t", "p", "t", false},
                {"*a*b/c", "xaxxb", "c", true},
                {"*a*b/c", "xaxxbx", "c", false},
                {"a/b", "a", "b", true},
                {"a/b", "A", "b", false},
                {"****/*", "abc", "d", true},
                {"a/*b", "a", "bbbbbc", false},
                {"공장/온?", "공장", "온도", true},
                {"K?che/t", "Küche", "t", true},
                {"*/온도", "공장", "습도", false},
                {"p_1/a_b", "p_1._20", "a_b._2f", true}, /* what it became matters only to who asks */
                {"p/a_b._2f", "p", "a_b._2f", true},
                {"p/a_b._2f", "p", "a_b._20", false},
                {"p/a_b*", "p", "a_b._20", true},
                {"p/temp", "p", "temp{line=l2}", true},
                {"p/temp{line=l2}", "p", "temp{line=l2}", true},
                {"p/temp{line=l2}", "p", "temp{line=l1}", false},
                {"p/*{line=l2}", "p", "temp{line=l2}", true},
                {"p/temp{line=l2}", "p", "temp", false},
                {"p/temp", "p", "temp._20{line=a_b._20}", true},
                {"p/a_b~2f", "p", "a_b._2f", true}, /* as it was written before format 10 of the file */
                {"p/a_b~*", "p", "a_b._2f", true},
                {"p/a_b~2f", "p", "a_b._20", false},
                {"p/T_°C", "p", "T____C._5f20c2b0", false},
                {"p/T°C", "p", "T__C._c2b0", true},
                {"p/e\u0301*", "p", "\u00e9t\u00e9", true}, /* in whatever form */
                {"p/a._2f", "p", "a._2f", true},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                assert_int_equal(rule_matches(rows[i].pattern, rows[i].source, rows[i].tag), rows[i].yes);
}

static void test_names(void **state)
{
        struct rule_conf c[] = {rule_blank(RULE_LIMITS), rule_blank(RULE_LIMITS), rule_blank(RULE_LIMITS),
                                rule_blank(RULE_LIMITS)};
        struct rules_ref ref;
        struct story s;

        for (int i = 0; i < 4; i++)
                c[i].hi = i;
        c[1].match = "other/*";
        c[3].name = "mine";
        begin(&s, c, 4);
        assert_int_equal(rules_find(s.r, "dev", "tag", "limits", "hi", &ref), 0);
        assert_int_equal(rules_find(s.r, "dev", "tag", "limits-2", "hi", &ref), 0);
        assert_int_equal(rules_find(s.r, "dev", "tag", "mine", "hi", &ref), 0);
        assert_int_equal(rules_find(s.r, "dev", "tag", "limits-3", "hi", &ref), RULES_E_UNKNOWN);
        rules_free(s.r);
}

static void keep(void *ctx, const struct rules_row *row)
{
        struct story *s = ctx;

        s->rows[s->n_rows++] = *row;
}

static void test_kept(void **state)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);
        struct rules_upcalls up = {0};
        struct rt_time now = at(50);
        char id[RULES_ID_MAX + 1];
        struct rules_ref ref;
        struct rules *again;
        struct story s;

        c.hi = 10;
        c.lo = 1;
        begin(&s, &c, 1);
        put(&s, 0, 1, 20, 0);
        put(&s, 0, 2, 5, 0);
        put(&s, 0, 3, 20, 0);
        strcpy(id, s.last.row.event_id);
        rules_each(s.r, false, keep, &s);
        assert_int_equal(s.n_rows, 1);
        assert_int_equal(rules_find_event(s.r, id, &ref), 0);
        up.on_transition = on_transition;
        up.ctx = &s;
        again = rules_new(&c, 1, "gw", &up, &now);
        rules_bind(again, 7, "dev", "tag", &now);
        assert_int_equal(rules_import(again, &s.rows[0], &now), 0);
        rules_free(s.r);
        s.r = again;
        s.n_told = s.told[0] = 0;
        assert_int_equal(rules_find_event(s.r, id, &ref), 0);
        put(&s, 7, 60, 20, 0); /* still there: nobody is told twice */
        expect(&s, "");
        put(&s, 7, 61, 5, 0);
        expect(&s, "hi-returned@61");
        assert_string_equal(s.last.row.event_id, id);
        put(&s, 7, 62, 20, 0);
        assert_int_equal(s.last.row.seq, 3);
        assert_string_not_equal(s.last.row.event_id, id);
        rules_free(s.r);
}

static void learned(void *ctx, const struct rules_row *row, int form, const void *bytes, size_t n)
{
        assert_int_equal(rules_import_baseline(ctx, row, form, bytes, n), 0);
        assert_int_equal(rules_import_baseline(ctx, row, form, bytes, n - 1), RULES_E_UNKNOWN);
        assert_int_equal(rules_import_baseline(ctx, row, form + 1, bytes, n), RULES_E_UNKNOWN);
}

static void test_learned_is_kept(void **state)
{
        struct rule_conf c = rule_blank(RULE_DEVIATION);
        struct story s, t;
        uint64_t seed = 3;

        begin(&s, &c, 1);
        begin(&t, &c, 1);
        for (int i = 0; i < 1000; i++)
                put(&s, 0, i, noise(&seed), 0);
        rules_each_baseline(s.r, learned, t.r);
        put(&t, 0, 1001, 30, 0);
        put(&t, 0, 1002, 30, 0);
        end(&t, "active@1002");
        end(&s, "");
}

/* 1,000 alarms in 10 s: the first and the worst at once, the rest in groups. */
static void test_flood(void **state)
{
        struct rule_conf c[] = {rule_blank(RULE_LIMITS), rule_blank(RULE_LIMITS)};
        static char names[1000][8];
        struct rt_time now = at(0);
        struct rules_metrics m;
        struct story s;

        c[0].hi = 1;
        c[1].hi = 1;
        c[1].match = "dev/t777";
        c[1].severity = 950;
        begin(&s, c, 2);
        for (uint32_t i = 0; i < 1000; i++) {
                snprintf(names[i], sizeof(names[i]), "t%u", i);
                rules_bind(s.r, i + 1, "dev", names[i], &now);
        }
        for (uint32_t i = 0; i < 1000; i++) {
                size_t before = s.n_notified;

                put(&s, i + 1, 1 + i * 0.01, 5, 0);
                if (i < 10 || i == 777)
                        assert_true(s.n_notified > before);
        }
        assert_true(s.n_notified <= 13);
        assert_int_equal(s.n_notified + s.n_grouped, 1001);
        tick(&s, 1 + 61.2);
        assert_int_equal(s.n_groups, 1);
        assert_int_equal(s.group.n_activated, s.n_grouped);
        assert_int_equal(s.group.worst_severity, 500);
        s.n_notified = s.n_grouped = 0;
        for (uint32_t i = 0; i < 1000; i++)
                put(&s, i + 1, 100, 0, 0);
        assert_true(s.n_notified <= 13); /* whoever was told comes back by itself, the rest in a group */
        assert_int_equal(s.n_notified + s.n_grouped, 1001);
        now = at(101);
        rules_metrics(s.r, &m, &now);
        assert_true(m.flood && m.floods == 1 && m.active == 0 && m.activations == 1001 && m.returns == 1001);
        assert_int_equal(m.unacked, 1001);
        tick(&s, 900);
        now = at(900);
        rules_metrics(s.r, &m, &now);
        assert_false(m.flood);
        assert_int_equal(m.per_10min, 0);
        rules_free(s.r);
}

static void test_metrics(void **state)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);
        struct rules_metrics m;
        struct rt_time now;
        struct story s;

        c.hi = 1;
        begin(&s, &c, 1);
        for (int i = 0; i < 3; i++) {
                put(&s, 0, 10 * i, 5, 0);
                put(&s, 0, 10 * i + 5, 0, 0);
        }
        put(&s, 0, 600, 5, 0);
        now = at(30);
        rules_metrics(s.r, &m, &now);
        assert_true(m.chattered == 1 && m.chattering == 1 && m.fleeting == 3 && m.stale == 0);
        now = at(600 + 86402);
        rules_metrics(s.r, &m, &now);
        assert_true(m.stale == 1 && m.active == 1 && m.chattering == 0);
        rules_free(s.r);
}

static void test_no_allocation(void **state)
{
        struct rule_conf c[RULE_KINDS];
        struct mallinfo2 before, after;
        struct story s;

        for (int k = 0; k < RULE_KINDS; k++)
                c[k] = rule_blank(k);
        c[RULE_LIMITS].hi = 10;
        c[RULE_LIMITS].on_delay_us = second_us;
        c[RULE_RATE].limit = 1;
        c[RULE_RATE].over_us = 10 * second_us;
        c[RULE_STUCK].after_us = c[RULE_SILENT].after_us = second_us;
        c[RULE_OFF_NORMAL].normal = "3";
        c[RULE_COUNT].window_us = c[RULE_DUPLICATE].window_us = 60 * second_us;
        c[RULE_COUNT].at_least = 5;
        begin(&s, c, RULE_KINDS);
        before = mallinfo2();
        for (int i = 0; i < 20000; i++)
                put(&s, 0, i * 0.3, (i * 7919) % 21, i % 17 == 0 ? QUALITY_BAD_COMM_FAILURE : 0);
        after = mallinfo2();
        assert_true(before.uordblks == after.uordblks && before.hblkhd == after.hblkhd);
        assert_true(s.last.ordinal > 1000);
        rules_free(s.r);
}

static void test_state_fits(void **state)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);
        struct story s;

        c.hihi = 4;
        c.hi = 3;
        c.lo = 2;
        c.lolo = 1;
        begin(&s, &c, 1);
        assert_true(s.r->rules[0].bytes <= 64);
        rules_free(s.r);
}

/* ---- configuration ---- */

static void test_sense(void **state)
{
        struct {
                struct rule_conf c;
                const char *key;
        } rows[16];
        size_t n = 0;

#define BAD(kind, bad_key, ...)                        \
        do {                                           \
                struct rule_conf x = rule_blank(kind); \
                __VA_ARGS__;                           \
                rows[n].c = x;                         \
                rows[n++].key = bad_key;               \
        } while (0)
        BAD(RULE_LIMITS, NULL, x.deadband = 1);
        BAD(RULE_LIMITS, "hihi", (x.hi = 5, x.hihi = 5));
        BAD(RULE_LIMITS, "hi", (x.hi = 5, x.lo = 6));
        BAD(RULE_LIMITS, "sigma", (x.hi = 5, x.sigma = 6));
        BAD(RULE_LIMITS, "deadband", (x.hi = 5, x.lo = 4, x.deadband = 2));
        BAD(RULE_LIMITS, "match", (x.hi = 5, x.match = "press-1"));
        BAD(RULE_LIMITS, "match", (x.hi = 5, x.match = "a/b/c"));
        BAD(RULE_RATE, "limit", x.over_us = 1);
        BAD(RULE_RATE, "over", x.limit = 1);
        BAD(RULE_SILENT, "after", x.match = "*/*");
        BAD(RULE_OFF_NORMAL, "normal", x.match = "*/*");
        BAD(RULE_COUNT, "window", x.at_least = 1);
        BAD(RULE_COUNT, NULL, x.window_us = 1);
        BAD(RULE_COUNT, "at_least", (x.window_us = 1, x.what = RULE_DISTINCT, x.at_least = 257));
        BAD(RULE_DEVIATION, "deadband", x.deadband = 4);
        for (size_t i = 0; i < n; i++) {
                const char *key = "none";
                struct err e = {""};

                assert_int_equal(rules_schema.check(&rows[i].c, &key, &e), -1);
                if (rows[i].key)
                        assert_string_equal(key, rows[i].key);
                else
                        assert_null(key);
                assert_true(strlen(e.text) > 10);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_delays),
                cmocka_unit_test(test_deadband_and_delays),
                cmocka_unit_test(test_bad_quality),
                cmocka_unit_test(test_exclusive),
                cmocka_unit_test(test_realarm_latch_and_hidden),
                cmocka_unit_test(test_rate),
                cmocka_unit_test(test_deviation),
                cmocka_unit_test(test_deviation_of_a_restless_signal),
                cmocka_unit_test(test_deviation_of_a_still_signal),
                cmocka_unit_test(test_stuck),
                cmocka_unit_test(test_silent),
                cmocka_unit_test(test_off_normal),
                cmocka_unit_test(test_count),
                cmocka_unit_test(test_count_values),
                cmocka_unit_test(test_duplicate),
                cmocka_unit_test(test_device_replaces_its_tags),
                cmocka_unit_test(test_device_by_time),
                cmocka_unit_test(test_matches),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_kept),
                cmocka_unit_test(test_learned_is_kept),
                cmocka_unit_test(test_flood),
                cmocka_unit_test(test_metrics),
                cmocka_unit_test(test_no_allocation),
                cmocka_unit_test(test_state_fits),
                cmocka_unit_test(test_sense),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
