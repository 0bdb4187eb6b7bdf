/*
 * txn: every move by a table, and what must hold whatever comes: what Kafka has
 * is learnt before anything is sent again, and no state is a trap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "uplink/txn.h"

static void test_each_way(void **unused)
{
        static const struct {
                enum txn_event event;
                enum txn_state to;
                enum txn_act act;
        } steps[] = {
                {TXN_RECORD, TXN_STARTING, TXN_NOTHING},
                {TXN_AGAIN, TXN_STARTING, TXN_PAUSE},
                {TXN_PATIENCE, TXN_STARTING, TXN_START},
                {TXN_DONE, TXN_IDLE, TXN_TAKE_MARK},
                {TXN_DUE, TXN_IDLE, TXN_NOTHING}, /* there is nothing in it */
                {TXN_RECORD, TXN_OPEN, TXN_NOTHING},
                {TXN_RECORD, TXN_OPEN, TXN_NOTHING},
                {TXN_DUE, TXN_COMMITTING, TXN_COMMIT},
                {TXN_DUE, TXN_COMMITTING, TXN_NOTHING},
                {TXN_SPOILED, TXN_COMMITTING, TXN_NOTHING},
                {TXN_AGAIN, TXN_COMMITTING, TXN_COMMIT},
                {TXN_DONE, TXN_IDLE, TXN_ACK},
                {TXN_RECORD, TXN_OPEN, TXN_NOTHING},
                {TXN_SPOILED, TXN_ABORTING, TXN_ABORT},
                {TXN_SPOILED, TXN_ABORTING, TXN_NOTHING},
                {TXN_AGAIN, TXN_ABORTING, TXN_ABORT},
                {TXN_DONE, TXN_IDLE, TXN_ROLL_BACK},
                {TXN_RECORD, TXN_OPEN, TXN_NOTHING},
                {TXN_DUE, TXN_COMMITTING, TXN_COMMIT},
                {TXN_ABORTABLE, TXN_ABORTING, TXN_ABORT},
                {TXN_BROKEN, TXN_FATAL, TXN_PAUSE},
                {TXN_DONE, TXN_FATAL, TXN_NOTHING},
                {TXN_PATIENCE, TXN_STARTING, TXN_START},
                {TXN_DONE, TXN_IDLE, TXN_TAKE_MARK},
                {TXN_TWIN, TXN_FENCED, TXN_WAIT},
                {TXN_DUE, TXN_FENCED, TXN_NOTHING},
                {TXN_BROKEN, TXN_FENCED, TXN_NOTHING},
                {TXN_PATIENCE, TXN_STARTING, TXN_START},
        };
        enum txn_state state = TXN_STARTING;

        for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
                assert_int_equal(txn_step(&state, steps[i].event), steps[i].act);
                assert_int_equal(state, steps[i].to);
        }
}

static enum txn_act step_from(enum txn_state from, enum txn_event event, enum txn_state *to)
{
        *to = from;
        return txn_step(to, event);
}

/* A watermark moves by a commit or by the mark alone, and only where it was asked for. */
static void test_acks_follow_from_answers_alone(void **unused)
{
        for (enum txn_state s = 0; s < TXN_STATES; s++)
                for (enum txn_event e = 0; e < TXN_EVENTS; e++) {
                        enum txn_state to;
                        enum txn_act act = step_from(s, e, &to);

                        if (act == TXN_ACK)
                                assert_true(s == TXN_COMMITTING && e == TXN_DONE);
                        if (act == TXN_TAKE_MARK)
                                assert_true(s == TXN_STARTING && e == TXN_DONE);
                        if (act == TXN_ROLL_BACK)
                                assert_true(s == TXN_ABORTING && e == TXN_DONE);
                        if (to == TXN_IDLE && s != TXN_IDLE)
                                assert_int_equal(e, TXN_DONE);
                }
}

/* Whatever fails, a way leads back to IDLE, and from outside of a transaction only over START. */
static void test_no_state_is_a_trap(void **unused)
{
        static const enum txn_event out[TXN_STATES] = {
                [TXN_STARTING] = TXN_DONE,   [TXN_IDLE] = TXN_RECORD,   [TXN_OPEN] = TXN_DUE,
                [TXN_COMMITTING] = TXN_DONE, [TXN_ABORTING] = TXN_DONE, [TXN_FENCED] = TXN_PATIENCE,
                [TXN_FATAL] = TXN_PATIENCE};

        for (enum txn_state s = 0; s < TXN_STATES; s++) {
                enum txn_state at = s;
                int n = 0;

                do
                        txn_step(&at, out[at]);
                while (at != TXN_IDLE && ++n < TXN_STATES);
                assert_int_equal(at, TXN_IDLE);
                for (enum txn_event e = 0; e < TXN_EVENTS; e++) {
                        enum txn_act act = step_from(s, e, &at);

                        if (s == TXN_FENCED || s == TXN_FATAL)
                                assert_true(at == s || (at == TXN_STARTING && act == TXN_START));
                }
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_way),
                cmocka_unit_test(test_acks_follow_from_answers_alone),
                cmocka_unit_test(test_no_state_is_a_trap),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
