/*
 * test_rules_carry: rules that are replaced while readings flow.
 *
 * The first play runs two engines on the same random readings.  One is never touched; the other is replaced all the
 * time, by the same rules in another order and with strangers among them.  What they say of the rules they share is the
 * same to the letter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "agent/base/err.h"
#include "agent/rules/rules.h"
#include "tests/lib/rule_blank.h"

enum { KINDS = 8, TAGS = 6, STEPS = 4000, S = 1000000 };

static const int64_t wall_us = INT64_C(1700000000000000);

struct told {
        char text[1 << 18];
        size_t n, n_lost, n_groups;
        struct rules_row lost[16];
};

static void on_transition(void *ctx, const struct rules_transition *t)
{
        struct told *told = ctx;

        if (strncmp(t->row.rule, "stranger", 8) == 0)
                return;
        told->n += (size_t)snprintf(told->text + told->n, sizeof(told->text) - told->n,
                                    "%s/%s %s.%s %s@%lld %s %d %g\n", t->row.source, t->row.tag, t->row.rule,
                                    t->row.limit_kind, alarm_change_name(t->change),
                                    (long long)(t->ts_us - wall_us) / 1000, t->row.event_id, t->row.unacked, t->value);
        assert_true(told->n < sizeof(told->text));
}

/* Which alarms are left to a group depends on who comes first within an instant, and strangers are counted, too. */
static void on_group(void *ctx, const struct rules_group *g)
{
        ((struct told *)ctx)->n_groups++;
}

static void on_lost(void *ctx, uint32_t tag, const struct rules_row *row)
{
        struct told *told = ctx;

        if (strncmp(row->rule, "stranger", 8) != 0 && told->n_lost < 16)
                told->lost[told->n_lost] = *row;
        told->n_lost += strncmp(row->rule, "stranger", 8) != 0;
}

static struct rule_conf rule(enum rule_kind kind, const char *name)
{
        struct rule_conf c = rule_blank(kind);

        c.name = name;
        return c;
}

static size_t make_rules(struct rule_conf c[KINDS])
{
        c[0] = rule(RULE_LIMITS, "limits");
        c[0].hihi = 95;
        c[0].hi = 80;
        c[0].lo = 10;
        c[0].exclusive = true;
        c[0].on_delay_us = 2 * S;
        c[0].off_delay_us = 3 * S;
        c[0].re_alarm_us = 60 * S;
        c[1] = rule(RULE_RATE, "rate");
        c[1].limit = 30;
        c[1].over_us = 5 * S;
        c[2] = rule(RULE_DEVIATION, "deviation");
        c[2].sigma = 2;
        c[3] = rule(RULE_STUCK, "stuck");
        c[3].after_us = 20 * S;
        c[3].within = 0;
        c[4] = rule(RULE_SILENT, "silent");
        c[4].after_us = 15 * S;
        c[5] = rule(RULE_DEVICE_DOWN, "down");
        c[5].match = "*";
        c[5].after_us = 40 * S;
        c[6] = rule(RULE_COUNT, "count");
        c[6].what = RULE_READINGS;
        c[6].window_us = 10 * S;
        c[6].at_least = 8;
        c[7] = rule(RULE_LIMITS, "latch");
        c[7].hi = 97;
        c[7].latching = true;
        for (int i = 0; i < KINDS; i++)
                rule_check(&c[i]);
        return KINDS;
}

static struct rt_time at(int64_t us)
{
        return (struct rt_time){.mono_us = us, .wall_us = us + wall_us};
}

static const char *const sources[TAGS] = {"a", "a", "a", "b", "b", "c"};
static const char *const names[TAGS] = {"0", "1", "2", "0", "1", "0"};

static struct rules *make(const struct rule_conf *c, size_t n, struct told *told, int64_t us)
{
        struct rules_upcalls up = {on_transition, on_group, told};
        struct rt_time now = at(us);
        struct rules *r = rules_new(c, n, "gw", &up, &now);

        for (uint32_t i = 0; i < TAGS; i++)
                rules_bind(r, i, sources[i], names[i], &now);
        return r;
}

static uint32_t next(uint64_t *seed)
{
        *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        return (uint32_t)(*seed >> 33);
}

/* The rules from `first` on, round, with strangers between; *at: where each is. */
static size_t shuffle(struct rule_conf *out, const struct rule_conf *c, uint32_t first, bool strangers,
                      uint32_t place[KINDS])
{
        size_t n = 0;

        for (uint32_t i = 0; i < KINDS; i++) {
                uint32_t k = (first + i) % KINDS;

                if (strangers && i % 3 == 0) {
                        out[n] = rule(RULE_LIMITS, "stranger");
                        out[n].hi = 50;
                        rule_check(&out[n]);
                        n++;
                }
                place[k] = (uint32_t)n;
                out[n++] = c[k];
        }
        return n;
}

struct replaced {
        struct rules *r;
        struct rule_conf rules[2][2 * KINDS];
        uint32_t place[KINDS];
        size_t n;
        int turn;
};

static void replace(struct replaced *p, const struct rule_conf *c, struct told *told, uint64_t *seed, int64_t us)
{
        uint32_t place[KINDS], same[2 * KINDS] = {0};
        struct rt_time now = at(us);
        struct rules *is;

        p->turn = !p->turn;
        p->n = shuffle(p->rules[p->turn], c, next(seed) % KINDS, next(seed) % 2, place);
        for (int i = 0; i < KINDS; i++)
                same[p->place[i]] = place[i] + 1;
        rules_tick(p->r, &now);
        is = make(p->rules[p->turn], p->n, told, us);
        rules_take_over(is, p->r, same, &now, on_lost, told);
        rules_free(p->r);
        memset(p->rules[!p->turn], 0xa5, sizeof(p->rules[0])); /* nobody looks there any more */
        memcpy(p->place, place, sizeof(place));
        p->r = is;
}

static void both(struct rules *a, struct rules *b, uint64_t *seed, int64_t us)
{
        struct rt_time now = at(us);
        uint32_t dice = next(seed) % 100, tag = next(seed) % TAGS;
        struct reading r = {.tag = tag, .ts_us = now.wall_us, .type = READING_F64, .v.f64 = next(seed) % 101};
        struct rules_ref ref;

        if (dice < 2) {
                r.type = READING_NONE;
                r.quality = QUALITY_BAD_COMM_FAILURE;
        }
        if (dice >= 97) {
                rules_source_down(a, sources[tag], dice == 97, &now);
                rules_source_down(b, sources[tag], dice == 97, &now);
        } else if (dice >= 94) {
                enum alarm_input in = dice == 94 ? ALARM_ACK : dice == 95 ? ALARM_SHELVE : ALARM_UNSHELVE;

                assert_int_equal(rules_find(a, sources[tag], names[tag], "limits", "hi", &ref), 0);
                rules_command(a, ref, in, now.wall_us + 30 * S, &now);
                assert_int_equal(rules_find(b, sources[tag], names[tag], "limits", "hi", &ref), 0);
                rules_command(b, ref, in, now.wall_us + 30 * S, &now);
        } else if (dice < 60) {
                rules_eval(a, &r, &now);
                rules_eval(b, &r, &now);
        } else {
                rules_tick(a, &now);
                rules_tick(b, &now);
        }
}

static int by_line(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In an order of its own: rules that stand in another order speak in another order within one instant. */
static void sort_lines(char *text, char *out)
{
        static char *line[20000];
        size_t n = 0;

        for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n"))
                line[n++] = p;
        qsort(line, n, sizeof(*line), by_line);
        for (size_t i = 0; i < n; i++)
                out += sprintf(out, "%s\n", line[i]);
}

static void test_nobody_hears_that_the_rules_were_replaced(void **state)
{
        static struct told one, other;
        static char a_text[sizeof(one.text)], b_text[sizeof(one.text)];

        for (uint64_t seed = 1; seed <= 20; seed++) {
                struct rule_conf c[KINDS];
                struct replaced p = {0};
                struct rules *a;
                uint64_t dice = seed, play = seed * 77;
                int64_t us = 0;

                memset(&one, 0, sizeof(one));
                memset(&other, 0, sizeof(other));
                make_rules(c);
                a = make(c, KINDS, &one, 0);
                p.n = shuffle(p.rules[0], c, 0, false, p.place);
                p.r = make(p.rules[0], p.n, &other, 0);
                for (int i = 0; i < STEPS; i++) {
                        us += next(&dice) % (2 * S);
                        us -= us % 1000;
                        both(a, p.r, &dice, us);
                        if (next(&play) % 10 == 0) {
                                struct rt_time now = at(us);

                                rules_tick(a, &now);
                                replace(&p, c, &other, &play, us);
                        }
                }
                assert_int_equal(other.n_lost, 0);
                assert_true(one.n > 20000);
                sort_lines(one.text, a_text);
                sort_lines(other.text, b_text);
                assert_string_equal(a_text, b_text);
                rules_free(a);
                rules_free(p.r);
        }
}

static void test_a_state_stays_with_its_name(void **state)
{
        static struct told told;
        struct rule_conf was[2] = {rule(RULE_LIMITS, "hot"), rule(RULE_LIMITS, "gone")}, is = was[0];
        static const uint32_t none[2] = {0};
        struct rt_time now = at(S);
        struct reading r = {.type = READING_F64, .ts_us = wall_us + S, .v.f64 = 90};
        struct rules_ref ref;
        struct rules_row row;
        struct rules *a, *b;

        memset(&told, 0, sizeof(told));
        was[0].hi = 80;
        was[1].hi = 10;
        is.hi = 85;
        rule_check(&was[0]);
        rule_check(&was[1]);
        rule_check(&is);
        a = make(was, 2, &told, 0);
        rules_eval(a, &r, &now);
        assert_int_equal(rules_find(a, "a", "0", "hot", NULL, &ref), 0);
        rules_command(a, ref, ALARM_SHELVE, now.wall_us + 100 * S, &now);
        b = make(&is, 1, &told, S);
        rules_take_over(b, a, none, &now, on_lost, &told);
        assert_int_equal(told.n_lost, 1);
        assert_string_equal(told.lost[0].rule, "gone");
        assert_int_equal(told.lost[0].active, true);
        rules_free(a);
        assert_int_equal(rules_find(b, "a", "0", "hot", NULL, &ref), 0);
        rules_row_of(b, ref, &row);
        assert_int_equal(row.state, ALARM_IS_SHELVED);
        assert_int_equal(row.shelved_until_us, now.wall_us + 100 * S);
        assert_int_equal(row.seq, 1);
        told.n = 0;
        now = at(101 * S);
        rules_tick(b, &now);
        assert_non_null(strstr(told.text, "a/0 hot.hi unshelved@101000"));
        told.n = 0;
        r.v.f64 = 84; /* over the old limit, under the new one */
        r.ts_us = now.wall_us;
        rules_eval(b, &r, &now);
        assert_non_null(strstr(told.text, "a/0 hot.hi returned@101000"));
        rules_free(b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nobody_hears_that_the_rules_were_replaced),
                cmocka_unit_test(test_a_state_stays_with_its_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
