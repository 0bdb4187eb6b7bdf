/*
 * The rule `together` in the engine: rows from tags with periods and gaps of
 * their own, the alarm at the tag that doesn't fit, in words, and what a reload
 * leaves of it.
 */
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/rules/rules.h"
#include "tests/lib/rule_blank.h"

enum { TAGS = 5 /* and a text */ };
static const int64_t second_us = 1000000;

struct story {
        struct rules *r;
        struct rule_conf conf;
        uint64_t random;
        struct rt_time now;
        double by[TAGS]; /* added to what a tag says */
        unsigned bad;    /* tag of bad quality + 1; 0: none */
        unsigned n_activated, n_returned;
        struct rules_transition last;
        char tag[16];
};

static void on_transition(void *ctx, const struct rules_transition *t)
{
        struct story *s = ctx;

        s->n_activated += t->change == ALARM_ACTIVATED;
        s->n_returned += t->change == ALARM_RETURNED;
        s->last = *t;
        strcpy(s->tag, t->row.tag);
}

static struct rules *make(struct story *s)
{
        static const char *const names[] = {"a", "b", "c", "d", "e", "text"};
        struct rules_upcalls up = {.on_transition = on_transition, .ctx = s};
        struct rules *r = rules_new(&s->conf, 1, "gw", &up, &s->now);

        for (uint32_t i = 0; i <= TAGS; i++)
                assert_int_equal(rules_bind(r, i, "press", names[i], &s->now), 1);
        return r;
}

static void begin(struct story *s)
{
        *s = (struct story){.random = 11, .conf = rule_blank(RULE_TOGETHER), .now = {0, INT64_C(1700000000000000)}};
        s->conf.settle_rows = 300;
        rule_check(&s->conf);
        s->r = make(s);
}

static double noise(struct story *s)
{
        s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (double)(int64_t)s->random / 0x1p63;
}

static void put(struct story *s, uint32_t tag, double v)
{
        struct reading r = {.ts_us = s->now.wall_us, .tag = tag, .type = READING_F64, .v.f64 = v};

        if (s->bad == tag + 1)
                r = (struct reading){.ts_us = r.ts_us, .tag = tag, .quality = QUALITY_BAD_SENSOR};
        rules_eval(s->r, &r, &s->now);
}

/* Tag e comes every fifth second, the others each second, a little apart. */
static void play(struct story *s, unsigned seconds)
{
        for (unsigned n = 0; n < seconds; n++) {
                double common = 2 * noise(s);
                struct reading text = {.ts_us = s->now.wall_us, .tag = TAGS, .type = READING_TEXT, .v.text = "x"};

                text.len = 1;
                rules_eval(s->r, &text, &s->now);
                for (uint32_t i = 0; i < TAGS; i++) {
                        double v = 20.0 * i + (i + 1) * (common + 0.3 * noise(s)) + s->by[i];

                        s->now.mono_us += second_us / 20;
                        s->now.wall_us += second_us / 20;
                        if (i + 1 < TAGS || s->now.mono_us / second_us % 5 == 0)
                                put(s, i, i + 1 < TAGS ? v : noise(s));
                }
                s->now.mono_us += second_us - TAGS * (second_us / 20);
                s->now.wall_us += second_us - TAGS * (second_us / 20);
        }
}

static void learn(struct story *s)
{
        play(s, 15000);
        s->n_activated = s->n_returned = 0;
}

static void names_the_tag_in_words(void **state)
{
        struct story s;

        begin(&s);
        learn(&s);
        s.by[1] = -5;
        play(&s, 200);
        assert_int_equal(s.n_activated, 1);
        assert_string_equal(s.tag, "b");
        assert_string_equal(s.last.row.rule, "together");
        assert_string_equal(s.last.says, "lower than the other tags of its source say");
        assert_true(s.last.limit > s.last.value);
        s.by[1] = 0;
        play(&s, 200);
        assert_int_equal(s.n_returned, 1);
        rules_free(s.r);
}

static void what_stays_settles(void **state)
{
        struct story s;

        begin(&s);
        learn(&s);
        s.by[2] = 6;
        for (unsigned n = 0; n < 500 && !s.n_returned; n++)
                play(&s, 100);
        assert_int_equal(s.n_returned, 1);
        assert_string_equal(s.last.says, "settled: what stayed is taken as normal now");
        rules_free(s.r);
}

static void bad_quality_neither_raises_nor_clears(void **state)
{
        struct story s;

        begin(&s);
        learn(&s);
        s.by[1] = -5;
        s.bad = 2;
        play(&s, 100);
        assert_int_equal(s.n_activated, 0);
        s.bad = 0;
        play(&s, 100);
        assert_int_equal(s.n_activated, 1);
        for (uint32_t i = 0; i < TAGS; i++) {
                s.now.mono_us += second_us;
                s.bad = i + 1;
                put(&s, i, 0);
        }
        assert_int_equal(s.n_returned, 0);
        rules_free(s.r);
}

static void two_tags_are_not_judged(void **state)
{
        struct story s;

        begin(&s);
        learn(&s);
        for (unsigned n = 0; n < 1000; n++) {
                s.now.mono_us += second_us;
                s.now.wall_us += second_us;
                put(&s, 0, n > 100 ? 1e6 : 0);
                put(&s, 1, n > 100 ? -1e6 : 0);
                s.n_activated = n <= 100 ? 0 : s.n_activated; /* the others are held for three of their periods */
        }
        assert_int_equal(s.n_activated, 0);
        rules_free(s.r);
}

static void a_reload_leaves_it(void **state)
{
        static const uint32_t same[] = {1};
        struct rules *was;
        struct story s;

        begin(&s);
        learn(&s);
        was = s.r;
        s.r = make(&s);
        rules_take_over(s.r, was, same, &s.now, NULL, NULL);
        rules_free(was);
        s.by[1] = -5;
        play(&s, 200);
        assert_int_equal(s.n_activated, 1);
        assert_string_equal(s.tag, "b");
        rules_free(s.r);
}

static void no_allocation_per_reading(void **state)
{
        struct mallinfo2 before, after;
        struct story s;

        begin(&s);
        before = mallinfo2();
        play(&s, 2000);
        after = mallinfo2();
        assert_true(before.uordblks == after.uordblks && before.hblkhd == after.hblkhd);
        rules_free(s.r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_the_tag_in_words),
                cmocka_unit_test(what_stays_settles),
                cmocka_unit_test(bad_quality_neither_raises_nor_clears),
                cmocka_unit_test(two_tags_are_not_judged),
                cmocka_unit_test(a_reload_leaves_it),
                cmocka_unit_test(no_allocation_per_reading),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
