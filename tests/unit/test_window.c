/*
 * The window as a property: a spool of rows with gaps in seq, a sink that reports in any order and refuses at will, and
 * after every step what must hold whatever happened.  A failing seed is printed and can be run alone: test_window SEED.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uplink/window.h"

enum { ROWS = 300, WINDOW_MAX = 64 };

struct model {
        uint64_t rng;
        struct window w;
        unsigned cap;
        uint64_t most_bytes;
        uint64_t seq[ROWS];
        bool poison[ROWS], gone[ROWS];
        bool refused[ROWS];
        unsigned delivered[ROWS];
        int next;            /* row to offer */
        int out[WINDOW_MAX]; /* row of each slot that is out; -1 */
        uint64_t last_sent;  /* since the last rest */
        unsigned p_retry;    /* of 100 */
};

static uint32_t rnd(struct model *m, uint32_t below)
{
        m->rng = m->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (uint32_t)((m->rng >> 33) % below);
}

static void init(struct model *m, uint64_t seed)
{
        uint64_t seq = 0;

        memset(m, 0, sizeof(*m));
        m->rng = seed;
        m->cap = 1 + rnd(m, WINDOW_MAX);
        m->most_bytes = 100 + rnd(m, 5000);
        m->p_retry = rnd(m, 3) ? rnd(m, 30) : 0;
        for (int i = 0; i < ROWS; i++) {
                seq += rnd(m, 10) ? 1 : 1 + rnd(m, 50);
                m->seq[i] = seq;
                m->poison[i] = !rnd(m, 100);
        }
        memset(m->out, -1, sizeof(m->out));
        window_init(&m->w, m->cap, m->most_bytes, 0);
}

static bool is_done(const struct model *m, int i)
{
        return m->delivered[i] || m->refused[i] || m->gone[i];
}

static unsigned count_out(const struct model *m)
{
        unsigned n = 0;

        for (unsigned i = 0; i < WINDOW_MAX; i++)
                n += m->out[i] >= 0;
        return n;
}

static void check(const struct model *m)
{
        for (int i = 0; i < ROWS && m->seq[i] <= m->w.watermark; i++)
                assert_true(is_done(m, i));
        assert_int_equal(m->w.n_out, count_out(m));
        assert_true(m->w.n_out <= m->cap);
        assert_true(m->w.bytes_out <= m->most_bytes || m->w.n_out == 1);
        assert_true(m->w.phase != WINDOW_BACKOFF || !m->w.n_out);
        assert_true(m->w.phase != WINDOW_DRAINS || m->w.n_out);
}

static void sent(struct model *m, int row, uint32_t slot)
{
        assert_true(slot < m->cap);
        assert_int_equal(m->out[slot], -1);
        assert_false(is_done(m, row));
        assert_true(m->seq[row] > m->last_sent);
        m->out[slot] = row;
}

static void offer(struct model *m)
{
        uint32_t slot, coin = rnd(m, 60);

        while (m->next < ROWS && m->gone[m->next])
                m->next++;
        if (m->next == ROWS) {
                if (m->w.phase == WINDOW_FLOWS)
                        window_gone(&m->w, m->seq[ROWS - 1]);
                return;
        }
        switch (window_offer(&m->w, m->seq[m->next], 50 + rnd(m, 300), &slot)) {
        case WINDOW_SEND:
                sent(m, m->next, slot);
                if (coin < 2) { /* the sink is full, or wants patience */
                        window_withdraw(&m->w, slot, coin == 1);
                        m->out[slot] = -1;
                        return;
                }
                m->last_sent = m->seq[m->next];
                m->next++;
                break;
        case WINDOW_SKIP:
                assert_true(is_done(m, m->next));
                m->next++;
                break;
        case WINDOW_WAIT:
                assert_false(window_is_open(&m->w));
                break;
        }
}

static bool poison_is_out(const struct model *m)
{
        for (unsigned i = 0; i < WINDOW_MAX; i++)
                if (m->out[i] >= 0 && m->poison[m->out[i]])
                        return true;
        return false;
}

static void report_one(struct model *m, unsigned slot, bool refuse_all)
{
        int row = m->out[slot];
        enum sink_result result = SINK_DELIVERED, effect;
        uint64_t seq;

        if (m->poison[row] || refuse_all)
                result = SINK_POISON;
        else if (rnd(m, 100) < m->p_retry)
                result = SINK_RETRY;
        m->out[slot] = -1;
        effect = window_report(&m->w, slot, result, &seq);
        assert_int_equal(seq, m->seq[row]);
        if (effect == SINK_DELIVERED)
                assert_int_equal(++m->delivered[row], 1);
        if (effect == SINK_POISON) {
                assert_true(m->poison[row]);
                m->refused[row] = true;
        }
        if (result == SINK_RETRY)
                assert_int_equal(effect, SINK_RETRY);
}

/* Some of what is out, in any order; a batch that holds a poisoned record is refused as a whole. */
static void report(struct model *m)
{
        bool refuse_all = poison_is_out(m);
        unsigned n = refuse_all ? WINDOW_MAX : 1 + rnd(m, 8), from = rnd(m, WINDOW_MAX);

        for (unsigned i = 0; i < WINDOW_MAX && n; i++) {
                unsigned slot = (from + i * 7) % WINDOW_MAX;

                if (m->out[slot] >= 0) {
                        report_one(m, slot, refuse_all);
                        n--;
                }
                check(m);
        }
        window_advance(&m->w);
}

/* Somebody purges rows while the lane rests. */
static void purge(struct model *m)
{
        int i = (int)rnd(m, ROWS);

        if (!rnd(m, 4) && !is_done(m, i))
                m->gone[i] = true;
}

static void rest(struct model *m)
{
        int64_t us = window_backoff_us(&m->w, (double)rnd(m, 1000) / 1000);

        assert_true(us >= 0 && us <= 30000000);
        purge(m);
        window_resume(&m->w);
        m->last_sent = 0;
        for (m->next = 0; m->next < ROWS && m->seq[m->next] <= m->w.watermark;)
                m->next++;
}

static void run_seed(uint64_t seed)
{
        struct model m;
        long steps = 0;

        init(&m, seed);
        for (; m.w.watermark < m.seq[ROWS - 1] && steps < 1000000; steps++) {
                if (m.w.phase == WINDOW_BACKOFF)
                        rest(&m);
                else if (rnd(&m, 4))
                        offer(&m);
                else
                        report(&m);
                check(&m);
                window_advance(&m.w);
                check(&m);
                if (!rnd(&m, 20)) /* a commit */
                        window_durable(&m.w, rnd(&m, 2) ? m.w.watermark : m.w.watermark / 2);
                check(&m);
                if (m.gone[ROWS - 1] && m.next == ROWS && m.w.n == m.w.n_settled)
                        break;
        }
        for (int i = 0; i < ROWS; i++) {
                assert_true(is_done(&m, i));
                if (m.refused[i])
                        assert_int_equal(m.delivered[i], 0);
        }
        assert_int_equal(m.w.n_out, 0);
        window_fini(&m.w);
}

static uint64_t only_seed;

static void test_any_order_of_reports(void **state)
{
        for (uint64_t seed = only_seed ? only_seed : 1; seed <= (only_seed ? only_seed : 300); seed++) {
                if (only_seed)
                        print_message("seed %llu\n", (unsigned long long)seed);
                run_seed(seed);
        }
}

static void test_full_until_half_is_free(void **state)
{
        struct window w;
        uint32_t slot;
        uint64_t seq;

        window_init(&w, 10, 100000, 100);
        for (uint32_t i = 0; i < 10; i++)
                assert_int_equal(window_offer(&w, 101 + i, 10, &slot), WINDOW_SEND);
        assert_int_equal(window_offer(&w, 111, 10, &slot), WINDOW_WAIT);
        for (uint32_t i = 0; i < 10; i++) {
                assert_int_equal(window_report(&w, i, SINK_DELIVERED, &seq), SINK_DELIVERED);
                assert_true(window_advance(&w));
                assert_int_equal(w.watermark, 101 + i);
                assert_false(window_is_open(&w)); /* done, but the spool has not got it on disk */
        }
        for (uint32_t i = 0; i < 10; i++) {
                window_durable(&w, 101 + i);
                assert_int_equal(window_is_open(&w), i >= 4);
        }
        window_fini(&w);
}

static void test_a_record_larger_than_the_window_goes_alone(void **state)
{
        struct window w;
        uint32_t slot;
        uint64_t seq;

        window_init(&w, 10, 1000, 0);
        assert_int_equal(window_offer(&w, 1, 10, &slot), WINDOW_SEND);
        assert_int_equal(window_offer(&w, 2, 5000, &slot), WINDOW_WAIT);
        window_report(&w, 0, SINK_DELIVERED, &seq);
        window_advance(&w);
        assert_int_equal(window_offer(&w, 2, 5000, &slot), WINDOW_SEND);
        assert_int_equal(window_offer(&w, 3, 1, &slot), WINDOW_WAIT);
        window_fini(&w);
}

static void test_rests_grow_until_the_watermark_moves(void **state)
{
        struct window w;
        uint32_t slot;
        uint64_t seq;
        int64_t before_us = 0;

        window_init(&w, 10, 1000, 0);
        for (int i = 0; i < 12; i++) {
                int64_t us;

                assert_int_equal(window_offer(&w, 1, 10, &slot), WINDOW_SEND);
                window_report(&w, slot, SINK_RETRY, &seq);
                assert_int_equal(w.phase, WINDOW_BACKOFF);
                us = window_backoff_us(&w, 0.5);
                assert_true(us >= before_us && us <= 30000000);
                before_us = us;
                window_resume(&w);
        }
        assert_true(before_us > 15000000);
        window_offer(&w, 1, 10, &slot);
        window_report(&w, slot, SINK_DELIVERED, &seq);
        assert_true(window_advance(&w));
        window_offer(&w, 2, 10, &slot);
        window_report(&w, slot, SINK_RETRY, &seq);
        assert_true(window_backoff_us(&w, 0.5) < 1000000);
        window_fini(&w);
}

/* Rows that wait behind others are purged, while the first of them have not been offered again yet. */
static void test_gone_rows_behind_waiting_ones(void **state)
{
        struct window w;
        uint32_t slot[16];
        uint64_t seq;

        window_init(&w, 16, 1 << 20, 0);
        for (uint64_t i = 0; i < 8; i++)
                assert_int_equal(window_offer(&w, i + 1, 10, &slot[i]), WINDOW_SEND);
        for (uint32_t i = 0; i < 8; i++)
                window_report(&w, slot[i], SINK_RETRY, &seq);
        window_advance(&w);
        window_resume(&w);
        for (uint64_t i = 0; i < 3; i++)
                assert_int_equal(window_offer(&w, i + 1, 10, &slot[i]), WINDOW_SEND);
        window_gone(&w, 6); /* 7 and 8 are not in the spool any more; 4 to 6 are in the batch in hand */
        for (uint64_t i = 3; i < 6; i++)
                assert_int_equal(window_offer(&w, i + 1, 10, &slot[i]), WINDOW_SEND);
        assert_int_equal(w.n, 8);
        for (uint32_t i = 0; i < 6; i++)
                window_report(&w, slot[i], SINK_DELIVERED, &seq);
        window_advance(&w);
        assert_int_equal(w.watermark, 8);
        for (uint64_t next = 9; next < 60; next++) {
                assert_int_equal(window_offer(&w, next, 10, &slot[0]), WINDOW_SEND);
                window_report(&w, slot[0], SINK_DELIVERED, &seq);
                window_advance(&w);
                window_durable(&w, w.watermark);
        }
        window_fini(&w);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_any_order_of_reports),
                cmocka_unit_test(test_full_until_half_is_free),
                cmocka_unit_test(test_a_record_larger_than_the_window_goes_alone),
                cmocka_unit_test(test_rests_grow_until_the_watermark_moves),
                cmocka_unit_test(test_gone_rows_behind_waiting_ones),
        };

        only_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
