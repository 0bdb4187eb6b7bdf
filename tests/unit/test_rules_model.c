/*
 * A second engine, naive on purpose: it lives through every millisecond, counts how long things have been so, and
 * shares no code with the first.  Both get the same random readings (good, bad, near the limits), operators' commands
 * and restarts; what they tell must be the same, word for word, however late the real one's timer is.
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

#include "agent/rules/rules.h"

enum { LEVELS = 4, ROUNDS = 1500, STEPS = 2500, LOG_CAP = 4096 };

static const char *const level_names[LEVELS] = {"hihi", "hi", "lolo", "lo"};

struct line {
        char kind[8];
        char what[16];
        char shown[16];
        long ts_ms;
        bool acked_needed, latched;
        unsigned seq;
};

struct log {
        struct line lines[LOG_CAP];
        size_t n;
        struct rules_row stored[LEVELS]; /* as a store would have it: the row of the last transition */
        bool is_stored[LEVELS];
};

static void log_add(struct log *l, const char *kind, const char *what, const char *shown, long ts_ms, bool unacked,
                    bool latched, unsigned seq)
{
        struct line *x = &l->lines[l->n++ % LOG_CAP];

        memset(x, 0, sizeof(*x));
        snprintf(x->kind, sizeof(x->kind), "%s", kind);
        snprintf(x->what, sizeof(x->what), "%s", what);
        snprintf(x->shown, sizeof(x->shown), "%s", shown);
        x->ts_ms = ts_ms;
        x->acked_needed = unacked;
        x->latched = latched;
        x->seq = seq;
}

/* ---- the naive one ---- */

struct naive_alarm {
        bool there;
        double limit;
        bool beyond;   /* with deadband */
        bool wanted;   /* beyond, and nobody else speaks for it */
        long true_ms;  /* how long it has been wanted */
        long false_ms; /* how long it has not */
        long stood_ms; /* since it was told last */
        bool on, unacked, latched, shelved, oos;
        long shelved_until;
        unsigned seq;
};

struct naive {
        struct naive_alarm a[LEVELS];
        double deadband;
        long on_delay, off_delay, re_alarm;
        bool latching, ack, exclusive;
        struct log log;
};

static const char *naive_shown(const struct naive_alarm *a)
{
        if (a->oos)
                return "out_of_service";
        if (a->shelved)
                return "shelved";
        if (a->on && a->unacked)
                return "unack";
        if (a->on)
                return "acked";
        if (a->latched)
                return "latched";
        return a->unacked ? "rtn_unack" : "normal";
}

static void naive_tell(struct naive *n, int i, const char *what, long t)
{
        const struct naive_alarm *a = &n->a[i];

        log_add(&n->log, level_names[i], what, naive_shown(a), t, a->unacked, a->latched, a->seq);
}

static void naive_on(struct naive *n, int i, long t)
{
        n->a[i].on = true;
        n->a[i].unacked = n->ack;
        n->a[i].latched = n->latching;
        n->a[i].stood_ms = 0;
        n->a[i].seq++;
        naive_tell(n, i, "active", t);
}

static void naive_off(struct naive *n, int i, long t, bool replaced)
{
        n->a[i].on = false;
        if (replaced || n->a[i].shelved || n->a[i].oos)
                n->a[i].unacked = n->a[i].latched = false;
        naive_tell(n, i, "returned", t);
}

/* hi lives under hihi, lo under lolo. */
static int naive_over(const struct naive *n, int i)
{
        return n->exclusive && (i == 1 || i == 3) && n->a[i - 1].there ? i - 1 : -1;
}

static void naive_settle(struct naive *n, int i, long t);

static void naive_inner(struct naive *n, int i, long t)
{
        int inner = i + 1;

        if ((i != 0 && i != 2) || !n->a[inner].there || naive_over(n, inner) != i)
                return;
        if (!n->a[i].on && n->a[inner].beyond && !n->a[inner].on) {
                n->a[inner].wanted = true;
                n->a[inner].true_ms = n->a[inner].false_ms = 0;
                naive_on(n, inner, t);
        } else {
                naive_settle(n, inner, t);
        }
}

/* What follows from `beyond` at this moment. */
static void naive_settle(struct naive *n, int i, long t)
{
        struct naive_alarm *a = &n->a[i];
        int over = naive_over(n, i);
        bool was_on = a->on;

        if (over >= 0 && n->a[over].on) {
                a->wanted = false;
                a->true_ms = a->false_ms = 0;
                if (a->on)
                        naive_off(n, i, t, true);
                return;
        }
        if (a->beyond != a->wanted) {
                a->wanted = a->beyond;
                a->true_ms = a->false_ms = 0;
                if (a->wanted && a->on)
                        a->stood_ms = 0;
        }
        if (a->wanted && !a->on && a->true_ms >= n->on_delay)
                naive_on(n, i, t);
        if (!a->wanted && a->on && a->false_ms >= n->off_delay)
                naive_off(n, i, t, false);
        if (a->wanted && a->on && was_on && n->re_alarm && a->stood_ms >= n->re_alarm) {
                a->stood_ms = 0;
                if (!a->shelved && !a->oos) {
                        a->unacked = n->ack;
                        naive_tell(n, i, "realarmed", t);
                }
        }
        if (was_on != a->on)
                naive_inner(n, i, t);
}

static void naive_reading(struct naive *n, long t, double v)
{
        for (int i = 0; i < LEVELS; i++) {
                struct naive_alarm *a = &n->a[i];
                int over = naive_over(n, i);
                bool stands = a->on || (over >= 0 && n->a[over].on);

                if (i < 2)
                        a->beyond = v >= a->limit || (stands && !(v < a->limit - n->deadband));
                else
                        a->beyond = v <= a->limit || (stands && !(v > a->limit + n->deadband));
        }
        for (int i = 0; i < LEVELS; i++) {
                if (n->a[i].there)
                        naive_settle(n, i, t);
        }
}

static void naive_bad(struct naive *n)
{
        for (int i = 0; i < LEVELS; i++) {
                struct naive_alarm *a = &n->a[i];

                if (a->on && !a->wanted)
                        a->stood_ms = 0;
                a->beyond = a->wanted = a->on;
                a->true_ms = a->false_ms = 0;
        }
}

static void naive_end_of_ms(struct naive *n, long t)
{
        for (int i = 0; i < LEVELS; i++) {
                if (n->a[i].there)
                        naive_settle(n, i, t);
        }
        for (int i = 0; i < LEVELS; i++) {
                if (n->a[i].shelved && n->a[i].shelved_until <= t) {
                        n->a[i].shelved = false;
                        naive_tell(n, i, "unshelved", t);
                }
        }
}

static void naive_next_ms(struct naive *n)
{
        for (int i = 0; i < LEVELS; i++) {
                n->a[i].true_ms++;
                n->a[i].false_ms++;
                n->a[i].stood_ms++;
        }
}

/* 0 ack, 1 reset, 2 shelve, 3 unshelve, 4 remove, 5 restore */
static void naive_command(struct naive *n, int i, int command, long t, long until)
{
        struct naive_alarm *a = &n->a[i];

        if (command == 0 && a->unacked) {
                a->unacked = false;
                naive_tell(n, i, "acked", t);
        } else if (command == 1 && a->latched && !a->on) {
                a->latched = false;
                naive_tell(n, i, "latch_reset", t);
        } else if (command == 2 && !a->oos) {
                a->shelved = true;
                a->shelved_until = until;
                naive_tell(n, i, "shelved", t);
        } else if (command == 3 && a->shelved) {
                a->shelved = false;
                naive_tell(n, i, "unshelved", t);
        } else if (command == 4 && !a->oos) {
                a->shelved = false;
                a->oos = true;
                naive_tell(n, i, "out_of_service", t);
        } else if (command == 5 && a->oos) {
                a->oos = false;
                naive_tell(n, i, "in_service", t);
        }
}

/* ---- both ---- */

static uint64_t seed;

static unsigned any(unsigned n)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (unsigned)(seed >> 33) % n;
}

static void on_transition(void *ctx, const struct rules_transition *t)
{
        struct log *l = ctx;

        log_add(l, t->row.limit_kind, alarm_change_name(t->change), alarm_state_name(t->row.state),
                (long)(t->ts_us / 1000), t->row.unacked, t->row.latched, t->row.seq);
        for (int i = 0; i < LEVELS; i++) {
                if (strcmp(level_names[i], t->row.limit_kind) != 0)
                        continue;
                l->stored[i] = t->row;
                l->is_stored[i] = true;
        }
}

static void make_pair(struct naive *n, struct rule_conf *c)
{
        static const double limits[LEVELS] = {20, 15, 5, 10};
        double *fields[LEVELS] = {&c->hihi, &c->hi, &c->lolo, &c->lo};

        memset(n, 0, sizeof(*n));
        *c = (struct rule_conf){.match = "*/*", .kind = RULE_LIMITS, .severity = 500, .severity_outer = 800};
        do {
                for (int i = 0; i < LEVELS; i++) {
                        n->a[i].there = any(3) > 0;
                        n->a[i].limit = limits[i];
                        *fields[i] = n->a[i].there ? limits[i] : NAN;
                }
        } while (!n->a[0].there && !n->a[1].there && !n->a[2].there && !n->a[3].there);
        c->deadband = n->deadband = any(3);
        c->on_delay_us = (n->on_delay = any(2) ? 0 : any(12)) * 1000;
        c->off_delay_us = (n->off_delay = any(2) ? 0 : any(12)) * 1000;
        c->re_alarm_us = (n->re_alarm = any(3) ? 0 : 1 + any(40)) * 1000;
        c->latching = n->latching = any(4) == 0;
        c->ack_required = n->ack = any(4) != 0;
        c->exclusive = n->exclusive = any(2);
}

static const long wall_ahead_ms = 1700000000000;

static struct rt_time at_ms(long t)
{
        return (struct rt_time){.mono_us = (int64_t)t * 1000, .wall_us = (int64_t)(t + wall_ahead_ms) * 1000};
}

static void compare(const struct log *real, const struct log *naive, unsigned round)
{
        size_t from = naive->n > LOG_CAP ? naive->n - LOG_CAP : 0;

        for (size_t i = from; i < naive->n && i < real->n; i++) {
                const struct line *a = &real->lines[i % LOG_CAP], *b = &naive->lines[i % LOG_CAP];

                if (memcmp(a, b, sizeof(*a)) != 0)
                        fail_msg("round %u, line %zu: %s %s at %ld (%s, seq %u), the naive one: %s %s at %ld (%s, seq "
                                 "%u)",
                                 round, i, a->kind, a->what, a->ts_ms - wall_ahead_ms, a->shown, a->seq, b->kind,
                                 b->what, b->ts_ms - wall_ahead_ms, b->shown, b->seq);
        }
        assert_int_equal(real->n, naive->n);
}

static void command_both(struct rules *r, struct naive *n, long t)
{
        static const enum alarm_input inputs[] = {ALARM_ACK,      ALARM_RESET,  ALARM_SHELVE,
                                                  ALARM_UNSHELVE, ALARM_REMOVE, ALARM_RESTORE};
        int level = (int)any(LEVELS), command = any(3) ? (int)any(2) : (int)any(6);
        long until = t + 1 + any(60);
        struct rt_time now = at_ms(t);
        struct rules_ref ref;
        size_t before;
        int rc;

        rc = rules_find(r, "s", "t", "limits", level_names[level], &ref);
        assert_int_equal(rc, n->a[level].there ? 0 : RULES_E_UNKNOWN);
        naive_end_of_ms(n, t + wall_ahead_ms); /* a command sees what has happened by now */
        if (rc) {
                rules_tick(r, &now);
                return;
        }
        before = n->log.n;
        naive_command(n, level, command, t + wall_ahead_ms, until + wall_ahead_ms);
        rc = rules_command(r, ref, inputs[command], (int64_t)(until + wall_ahead_ms) * 1000, &now);
        assert_int_equal(rc == 0, n->log.n > before);
}

static struct rules *begin(const struct rule_conf *c, struct log *log, long t)
{
        struct rules_upcalls up = {.on_transition = on_transition, .ctx = log};
        struct rt_time now = at_ms(t);
        struct rules *r = rules_new(c, 1, "gw", &up, &now);

        assert_int_equal(rules_bind(r, 0, "s", "t", &now), 1);
        return r;
}

/* What was stored with each transition is all there is; only the delays under way are lost. */
static struct rules *restart_both(struct rules *r, const struct rule_conf *c, struct naive *n, struct log *log, long t)
{
        struct rt_time now = at_ms(t);

        rules_tick(r, &now);
        naive_end_of_ms(n, t + wall_ahead_ms);
        rules_free(r);
        r = begin(c, log, t);
        for (int i = 0; i < LEVELS; i++) {
                log->stored[i].source = "s";
                log->stored[i].tag = "t";
                log->stored[i].rule = "limits";
                if (log->is_stored[i])
                        assert_int_equal(rules_import(r, &log->stored[i], &now), 0);
        }
        naive_bad(n);
        for (int i = 0; i < LEVELS; i++)
                n->a[i].stood_ms = 0;
        return r;
}

/* The naive one's time is the wall's, in ms. */
static void reading_both(struct rules *r, struct naive *n, long t)
{
        struct rt_time now = at_ms(t);
        struct reading reading = {.ts_us = now.wall_us, .type = READING_F64, .v.f64 = (int)any(26) + (int)any(2) * 0.5};

        if (any(12) == 0) {
                reading.quality = (uint16_t)(QUALITY_BAD + any(3));
                reading.type = READING_NONE;
                naive_bad(n);
        } else {
                reading.quality = (uint16_t)any(2);
                naive_reading(n, t + wall_ahead_ms, reading.v.f64);
        }
        rules_eval(r, &reading, &now);
}

static void one_round(unsigned round)
{
        static struct naive n;
        static struct log real;
        static struct rule_conf c;
        long t = 1000 + (long)any(5000);
        unsigned busy = 1 + any(6);
        struct rules *r;

        real.n = 0;
        memset(real.is_stored, 0, sizeof(real.is_stored));
        make_pair(&n, &c);
        r = begin(&c, &real, t);
        for (int step = 0; step < STEPS; step++) {
                if (any(busy) == 0)
                        reading_both(r, &n, t);
                if (any(40) == 0)
                        command_both(r, &n, t);
                if (any(700) == 0)
                        r = restart_both(r, &c, &n, &real, t);
                naive_end_of_ms(&n, t + wall_ahead_ms);
                if (rules_due_us(r) <= (int64_t)t * 1000 && any(3)) {
                        struct rt_time now = at_ms(t);

                        rules_tick(r, &now);
                }
                naive_next_ms(&n);
                t++;
        }
        rules_tick(r, &(struct rt_time){(int64_t)(t - 1) * 1000, (int64_t)(t - 1 + wall_ahead_ms) * 1000});
        compare(&real, &n.log, round);
        rules_free(r);
}

static void test_same_as_naive(void **state)
{
        for (unsigned round = 0; round < ROUNDS; round++) {
                seed = 0x9e3779b97f4a7c15u * (round + 1);
                one_round(round);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_as_naive)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
