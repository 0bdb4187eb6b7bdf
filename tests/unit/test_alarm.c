/*
 * The life of an alarm: every state by every input, from tables written by hand; delays across the wrap of the clock.
 * Whole stories with a second implementation beside it are in test_rules_model.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/rules/alarm.h"

enum { CONDITION_INPUTS = ALARM_TIMER + 1 };

struct outcome {
        enum alarm_phase phase;
        enum alarm_change change;
};

#define C  ALARM_CLEAR
#define R  ALARM_RISING
#define A  ALARM_ACTIVE
#define F  ALARM_FALLING
#define NO ALARM_SAME
#define UP ALARM_ACTIVATED
#define DN ALARM_RETURNED
#define RE ALARM_REALARMED

/* [phase][input], in the order TRUE FALSE UNKNOWN REPLACED TIMER; delays of 100 ms, re-alarm after 300 ms. */
static const struct outcome early[ALARM_PHASES][CONDITION_INPUTS] = {
        [C] = {{R, NO}, {C, NO}, {C, NO}, {C, NO}, {C, NO}},
        [R] = {{R, NO}, {C, NO}, {C, NO}, {C, NO}, {R, NO}},
        [A] = {{A, NO}, {F, NO}, {A, NO}, {C, DN}, {A, NO}},
        [F] = {{A, NO}, {F, NO}, {A, NO}, {C, DN}, {F, NO}},
};
static const struct outcome due[ALARM_PHASES][CONDITION_INPUTS] = {
        [C] = {{R, NO}, {C, NO}, {C, NO}, {C, NO}, {C, NO}},
        [R] = {{A, UP}, {C, NO}, {C, NO}, {C, NO}, {A, UP}},
        [A] = {{A, RE}, {F, NO}, {A, NO}, {C, DN}, {A, RE}},
        [F] = {{A, NO}, {C, DN}, {A, NO}, {C, DN}, {C, DN}},
};
/* Without any delay, no re-alarm. Rising and falling are never met then. */
static const struct outcome at_once[ALARM_PHASES][CONDITION_INPUTS] = {
        [C] = {{A, UP}, {C, NO}, {C, NO}, {C, NO}, {C, NO}},
        [A] = {{A, NO}, {C, DN}, {A, NO}, {C, DN}, {A, NO}},
};

/* [visibility][input], in the order SHELVE UNSHELVE REMOVE RESTORE. */
static const struct {
        enum alarm_visibility next;
        enum alarm_change change;
} sights[ALARM_VISIBILITIES][4] = {
        [ALARM_SHOWN] = {{ALARM_SHELVED, ALARM_WAS_SHELVED},
                         {ALARM_SHOWN, NO},
                         {ALARM_OUT_OF_SERVICE, ALARM_WAS_REMOVED},
                         {ALARM_SHOWN, NO}},
        [ALARM_SHELVED] = {{ALARM_SHELVED, ALARM_WAS_SHELVED},
                           {ALARM_SHOWN, ALARM_WAS_UNSHELVED},
                           {ALARM_OUT_OF_SERVICE, ALARM_WAS_REMOVED},
                           {ALARM_SHELVED, NO}},
        [ALARM_OUT_OF_SERVICE] = {{ALARM_OUT_OF_SERVICE, NO},
                                  {ALARM_OUT_OF_SERVICE, NO},
                                  {ALARM_OUT_OF_SERVICE, NO},
                                  {ALARM_SHOWN, ALARM_WAS_RESTORED}},
};

/* Bits of a full state: phase, visibility, unacked, latched. */
static struct alarm state_of(unsigned phase, unsigned visibility, unsigned unacked, unsigned latched)
{
        return (struct alarm){.phase = phase & 3,
                              .visibility = visibility & 3,
                              .unacked = unacked & 1,
                              .latched = latched & 1,
                              .told = 1,
                              .seq = 41,
                              .due_ms = 5000,
                              .since_s = 7};
}

/* What the operator has seen, after an outcome of the condition. */
static void check_seen(const struct alarm *before, const struct alarm *after, enum alarm_change change,
                       enum alarm_input in, const struct alarm_policy *p)
{
        bool hidden = before->visibility != ALARM_SHOWN;

        if (change == UP) {
                assert_int_equal(after->unacked, p->ack);
                assert_int_equal(after->latched, p->latching);
        } else if (change == DN && (hidden || in == ALARM_REPLACED)) {
                assert_int_equal(after->unacked, 0);
                assert_int_equal(after->latched, 0);
        } else if (change == RE) {
                assert_int_equal(after->unacked, p->ack);
                assert_int_equal(after->latched, before->latched);
        } else {
                assert_int_equal(after->unacked, before->unacked);
                assert_int_equal(after->latched, before->latched);
        }
        assert_int_equal(after->seq, before->seq + (change == UP));
}

static void check_condition(const struct outcome table[ALARM_PHASES][CONDITION_INPUTS], const struct alarm_policy *p,
                            uint32_t now_ms, const unsigned *phases, size_t n_phases)
{
        for (unsigned i = 0; i < n_phases * 12 * CONDITION_INPUTS; i++) {
                unsigned in = i % CONDITION_INPUTS, bits = i / CONDITION_INPUTS, phase = phases[bits / 12];
                struct alarm a = state_of(phase, bits / 4 % 3, bits & 1, bits >> 1 & 1), before = a;
                enum alarm_change expected = table[phase][in].change, change;

                if (expected == RE && a.visibility != ALARM_SHOWN)
                        expected = NO;
                change = alarm_step(&a, p, in, now_ms);
                assert_int_equal(a.phase, table[phase][in].phase);
                assert_int_equal(change, expected);
                assert_int_equal(a.visibility, before.visibility);
                check_seen(&before, &a, change, in, p);
        }
}

static void test_every_condition_input(void **state)
{
        static const unsigned all[] = {C, R, A, F}, settled[] = {C, A};

        for (unsigned i = 0; i < 4; i++) {
                struct alarm_policy p = {100, 100, 300, i & 1, i >> 1}, none = {0, 0, 0, i & 1, i >> 1};

                check_condition(early, &p, 4999, all, 4);
                check_condition(due, &p, 5000, all, 4);
                check_condition(due, &p, 9000, all, 4);
                check_condition(at_once, &none, 4999, settled, 2);
                check_condition(at_once, &none, 5001, settled, 2);
        }
}

static void test_every_operator_input(void **state)
{
        struct alarm_policy p = {100, 100, 300, true, true};

        for (unsigned bits = 0; bits < 48 * (ALARM_INPUTS - ALARM_ACK); bits++) {
                unsigned in = ALARM_ACK + bits / 48;
                struct alarm a = state_of(bits & 3, bits / 4 % 3, bits / 12 & 1, bits / 24 & 1), before = a;
                enum alarm_change change = alarm_step(&a, &p, in, 5000);

                assert_int_equal(a.phase, before.phase);
                assert_int_equal(a.seq, before.seq);
                assert_int_equal(a.due_ms, before.due_ms);
                if (in == ALARM_ACK) {
                        assert_int_equal(change, before.unacked ? ALARM_ACKED : NO);
                        assert_int_equal(a.unacked, 0);
                        assert_int_equal(a.latched, before.latched);
                        assert_int_equal(a.visibility, before.visibility);
                } else if (in == ALARM_RESET) {
                        bool resets = before.latched && (before.phase == C || before.phase == R);

                        assert_int_equal(change, resets ? ALARM_LATCH_RESET : NO);
                        assert_int_equal(a.latched, before.latched && !resets);
                        assert_int_equal(a.unacked, before.unacked);
                        assert_int_equal(a.visibility, before.visibility);
                } else {
                        assert_int_equal(change, sights[before.visibility][in - ALARM_SHELVE].change);
                        assert_int_equal(a.visibility, sights[before.visibility][in - ALARM_SHELVE].next);
                        assert_int_equal(a.unacked, before.unacked);
                        assert_int_equal(a.latched, before.latched);
                }
        }
}

/* What is shown, for all of phase × unacked × latched × visibility. */
static void test_shown(void **state)
{
        static const char *const in_sight[2][2][2] = {
                /* clear */ {{"normal", "latched"}, {"rtn_unack", "latched"}},
                /* active */ {{"acked", "acked"}, {"unack", "unack"}},
        };

        for (unsigned bits = 0; bits < 48; bits++) {
                struct alarm a = state_of(bits & 3, bits / 4 % 3, bits / 12 & 1, bits / 24 & 1);
                const char *expected = in_sight[a.phase == A || a.phase == F][a.unacked][a.latched];

                if (a.visibility != ALARM_SHOWN)
                        expected = a.visibility == ALARM_SHELVED ? "shelved" : "out_of_service";
                assert_string_equal(alarm_state_name(alarm_state(&a)), expected);
        }
}

/* A delay that runs over the wrap of the 32-bit clock is as long as any other. */
static void test_wrap(void **state)
{
        struct alarm_policy p = {1000, 1000, 0, false, true};
        struct alarm a = {0};

        assert_int_equal(alarm_step(&a, &p, ALARM_TRUE, 0xfffffe00), NO);
        assert_int_equal(alarm_step(&a, &p, ALARM_TIMER, 0xffffffff), NO);
        assert_int_equal(alarm_step(&a, &p, ALARM_TRUE, 0x1e7), NO);
        assert_int_equal(alarm_step(&a, &p, ALARM_TRUE, 0x1e8), UP);
        assert_int_equal(alarm_step(&a, &p, ALARM_FALSE, 0x1e8), NO);
        assert_int_equal(alarm_step(&a, &p, ALARM_FALSE, 0x1e8 + 999), NO);
        assert_int_equal(alarm_step(&a, &p, ALARM_FALSE, 0x1e8 + 1000), DN);
}

static void test_size(void **state)
{
        assert_true(sizeof(struct alarm) == 12);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_condition_input),
                cmocka_unit_test(test_every_operator_input),
                cmocka_unit_test(test_shown),
                cmocka_unit_test(test_wrap),
                cmocka_unit_test(test_size),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
