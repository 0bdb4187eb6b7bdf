/*
 * What is delivered ahead of a backlog: the arithmetic of a lane against a naive model that remembers each seq, and a
 * spool that is closed, killed, asked and rescued meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/inspect/query.h"
#include "store/lane.h"
#include "tests/lib/spool_fixture.h"

enum { S = 1000000, SEQS = 3000 };

/* ---- the arithmetic ---- */

enum fate { HELD, DELIVERED, DROPPED };

static struct {
        uint8_t fate[SEQS + 1];
        uint64_t last, first; /* where the stretch that goes ahead begins; 0: none was begun */
} M;

static uint64_t rnd(struct rt_sim *sim, uint64_t below)
{
        return (uint64_t)(rt_random(&sim->rt) * (double)below);
}

static void check_against_model(const struct lane_account *l)
{
        uint64_t n[3] = {0}, after = l->acked, upto;

        for (uint64_t seq = 1; seq <= M.last; seq++)
                n[M.fate[seq]]++;
        assert_int_equal(lane_held(l), n[HELD]);
        assert_int_equal(lane_delivered(l), n[DELIVERED]);
        assert_int_equal(l->dropped, n[DROPPED]);
        while (after < M.last) {
                uint64_t from = lane_pending(&l->ahead, after, &upto);

                for (uint64_t seq = after + 1; seq <= from && seq <= M.last; seq++)
                        assert_int_not_equal(M.fate[seq], HELD);
                after = upto < M.last ? upto : M.last;
        }
        for (uint64_t seq = 1; seq <= l->acked; seq++)
                assert_int_not_equal(M.fate[seq], HELD);
        n[HELD] = 0;
        for (uint64_t seq = 1; seq < M.first; seq++)
                n[HELD] += M.fate[seq] == HELD;
        assert_int_equal(lane_held_below(l, M.first ? M.first : 1), n[HELD]);
}

static void deliver(uint64_t from, uint64_t to)
{
        for (uint64_t seq = from; seq <= to; seq++)
                if (M.fate[seq] == HELD)
                        M.fate[seq] = DELIVERED;
}

static void drop_some(struct rt_sim *sim, struct lane_account *l)
{
        uint64_t seq = l->acked + 1 + rnd(sim, 40), n = 0;

        while (seq + n <= M.last && n < 5 && M.fate[seq + n] == HELD)
                n++;
        if (!n)
                return;
        memset(M.fate + seq, DROPPED, n);
        lane_drop(l, seq, seq + n - 1);
}

static void act(struct rt_sim *sim, struct lane_account *l)
{
        uint64_t from, upto, seq;

        switch (rnd(sim, 6)) {
        case 0: /* rows came */
                M.last = l->appended = M.last + rnd(sim, 20) > SEQS ? SEQS : M.last + rnd(sim, 20);
                break;
        case 1: /* the backlog gets on */
                from = lane_pending(&l->ahead, l->acked, &upto);
                upto = M.first && upto >= M.first ? M.first - 1 : upto;
                seq = from + 1 + rnd(sim, 8);
                seq = seq < upto ? seq : upto;
                seq = seq < M.last ? seq : M.last;
                deliver(l->acked + 1, seq);
                lane_ack(l, seq);
                break;
        case 2: /* fresh rows get on */
                if (!M.first)
                        break;
                seq = (lane_durable(l, M.first) > M.first - 1 ? lane_durable(l, M.first) : M.first - 1) + rnd(sim, 15);
                seq = seq < M.last ? seq : M.last;
                if (seq < M.first)
                        break;
                deliver(M.first, seq);
                lane_ack_ahead(l, M.first, seq);
                break;
        case 3: /* a new stretch begins */
                if (!lane_may_go_ahead(l) || rnd(sim, 3))
                        break;
                M.first = M.last + 1;
                lane_begin_ahead(l, M.first);
                break;
        case 4:
                drop_some(sim, l);
                break;
        default:
                break;
        }
        lane_committed(l, l->appended, l->acked, &l->ahead);
}

static void test_arithmetic(void **state)
{
        uint32_t most = 0;

        for (uint64_t seed = 1; seed <= 60; seed++) {
                struct lane_account l = {0};
                struct rt_sim sim;

                memset(&M, 0, sizeof(M));
                rt_sim_init(&sim, seed, 1);
                for (int i = 0; i < 600; i++) {
                        act(&sim, &l);
                        check_against_model(&l);
                        most = l.ahead.n > most ? l.ahead.n : most;
                }
                deliver(1, M.last);
                lane_ack(&l, M.last);
                lane_committed(&l, l.appended, l.acked, &l.ahead);
                check_against_model(&l);
                assert_int_equal(l.ahead.n, 0);
                lane_account_fini(&l);
                rt_sim_fini(&sim);
        }
        assert_true(most > 3);
}

/* ---- a spool ---- */

static struct fixture T;

static int set_up(void **state)
{
        fixture_init(&T, "spool_ahead", 1);
        T.conf.max_size_bytes = 4 << 20;
        T.conf.batch_bytes = 1 << 18;
        fixture_open(&T);
        return 0;
}

static int tear_down(void **state)
{
        fixture_fini(&T);
        return 0;
}

static void append(int n, uint32_t text_len)
{
        static const char text[400] = {[0 ... 399] = 'x'};
        struct reading r = {.type = text_len ? READING_TEXT : READING_F64, .len = text_len};

        if (text_len)
                r.v.text = text;
        assert_int_equal(tags_intern(T.tags, "press", "temp", "", "", "sim", &r.tag), 0);
        for (int i = 0; i < n; i++) {
                r.ts_us = r.arrival_us = T.sim.now.wall_us;
                assert_int_equal(spool_append(T.spool, &r), 0);
                if (i % 200 == 199)
                        fixture_run_for(&T, 2 * S);
        }
        fixture_run_for(&T, 3 * S);
}

static void kill9(void)
{
        fixture_cut_power(&T);
        fixture_open(&T);
}

static void expect(uint64_t delivered, uint64_t held, uint64_t dropped)
{
        struct spool_counts c = fixture_counts(&T), q;
        struct spool_query *query;
        struct err e;

        assert_int_equal(c.delivered, delivered);
        assert_int_equal(c.held, held);
        assert_int_equal(c.dropped, dropped);
        assert_int_equal(c.accepted, delivered + held + dropped);
        assert_int_equal(spool_query_open(&query, T.path, &e), 0);
        assert_int_equal(spool_query_counts(query, &q, &e), 0);
        spool_query_close(query);
        assert_int_equal(q.delivered, delivered);
        assert_int_equal(q.held, held);
        assert_int_equal(q.dropped, dropped);
        assert_int_equal(q.accepted, c.accepted);
}

static void test_acks_ahead_are_kept(void **state)
{
        append(1000, 0);
        spool_ack(T.spool, SPOOL_SAMPLES, 100);
        spool_ack_ahead(T.spool, 501, 600);
        fixture_run_for(&T, 3 * S);
        expect(200, 800, 0);
        kill9();
        expect(200, 800, 0);
        assert_int_equal(spool_goes_ahead_from(T.spool), 501);
        assert_int_equal(spool_durable(T.spool, SPOOL_SAMPLES, 501), 600);
        spool_ack_ahead(T.spool, 501, 700);
        kill9(); /* before the commit */
        expect(200, 800, 0);
        spool_ack_ahead(T.spool, 501, 700);
        spool_ack_ahead(T.spool, 801, 900);
        spool_dead_letter(T.spool, SPOOL_SAMPLES, 950, "too large");
        fixture_run_for(&T, 3 * S);
        expect(400, 599, 1);
        spool_ack_ahead(T.spool, 801, 960);
        spool_ack(T.spool, SPOOL_SAMPLES, 500);
        fixture_run_for(&T, 3 * S);
        expect(700 + 159, 140, 1);
        assert_int_equal(spool_durable(T.spool, SPOOL_SAMPLES, 0), 700);
        kill9();
        spool_ack(T.spool, SPOOL_SAMPLES, 800);
        fixture_run_for(&T, 3 * S);
        expect(959, 40, 1);
        assert_int_equal(spool_durable(T.spool, SPOOL_SAMPLES, 0), 960);
        assert_int_equal(spool_goes_ahead_from(T.spool), 0);
}

/* Where fresh rows begin is on disk with the first of them, and not before; whatever commit is under way meanwhile. */
static void test_where_it_begins_is_kept_with_its_first_row(void **state)
{
        append(100, 0);
        assert_int_equal(spool_go_ahead(T.spool), 101);
        kill9();
        assert_int_equal(spool_goes_ahead_from(T.spool), 0);
        assert_int_equal(spool_go_ahead(T.spool), 101);
        append(5, 0);
        expect(0, 105, 0);
        fixture_verify(&T);
        kill9();
        assert_int_equal(spool_goes_ahead_from(T.spool), 101);
        assert_int_equal(spool_durable(T.spool, SPOOL_SAMPLES, 101), 100);
        assert_int_equal(spool_go_ahead(T.spool), 106); /* the other one stayed empty */
        append(5, 0);
        kill9();
        assert_int_equal(spool_goes_ahead_from(T.spool), 106);
        spool_ack(T.spool, SPOOL_SAMPLES, 105);
        append(5, 0);
        expect(105, 10, 0);
        assert_int_equal(spool_goes_ahead_from(T.spool), 0);
        fixture_verify(&T);
}

static void on_nothing(struct spool_sync *q)
{
}

/* A commit that is under way does not know it, so its rows are none of them. */
static void test_a_commit_under_way_is_overtaken(void **state)
{
        struct reading r = {.type = READING_F64, .ts_us = T.sim.now.wall_us, .arrival_us = T.sim.now.wall_us};
        struct spool_sync sync = {.on_durable = on_nothing};

        append(100, 0);
        assert_int_equal(spool_append(T.spool, &r), 0);
        list_init(&sync.node);
        spool_sync(T.spool, &sync);
        assert_int_equal(spool_append(T.spool, &r), 0);
        assert_int_equal(spool_go_ahead(T.spool), 102);
        assert_int_equal(spool_held_below(T.spool, 102), 100);
        fixture_run_for(&T, 3 * S);
        assert_int_equal(spool_held_below(T.spool, 102), 101);
        expect(0, 102, 0);
        kill9();
        assert_int_equal(spool_goes_ahead_from(T.spool), 102);
}

static bool count_row(void *ctx, const struct spool_query_row *row)
{
        ++*(int *)ctx;
        return true;
}

static int rows_in_file(struct spool_filter filter)
{
        struct spool_query *q;
        struct err e;
        int n = 0;

        assert_int_equal(spool_query_open(&q, T.path, &e), 0);
        assert_int_equal(spool_query_rows(q, &filter, count_row, &n, &e), 0);
        spool_query_close(q);
        return n;
}

/* Delivered rows make room, wherever they are; of the others the oldest are dropped, and nothing of what is ahead. */
static void test_room_is_made_of_what_went_ahead(void **state)
{
        struct spool_counts c;
        uint64_t dropped = 0;

        append(2000, 380);
        spool_pin(T.spool, SPOOL_SAMPLES, 2000);
        spool_pin_gap(T.spool, 10, 1001);
        spool_ack_ahead(T.spool, 1001, 2000);
        fixture_run_for(&T, 3 * S);
        expect(1000, 1000, 0);
        for (uint64_t n = 2000; !dropped; n += 200) {
                append(200, 380);
                spool_counts(T.spool, &c);
                dropped = c.dropped;
                assert_int_equal(c.delivered, 1000);
                assert_true(dropped || n < 20000);
        }
        assert_int_equal(rows_in_file((struct spool_filter){SPOOL_SAMPLES, .first_seq = 1001, .last_seq = 2000}), 0);
        expect(1000, c.accepted - 1000 - c.dropped, c.dropped);
        kill9();
        expect(1000, c.accepted - 1000 - c.dropped, c.dropped);
}

static void test_listings_know(void **state)
{
        struct spool_query *q;
        bool yes;
        struct err e;

        append(300, 0);
        spool_ack_ahead(T.spool, 101, 200);
        fixture_run_for(&T, 3 * S);
        assert_int_equal(rows_in_file((struct spool_filter){SPOOL_SAMPLES, .held_only = true}), 200);
        assert_int_equal(rows_in_file((struct spool_filter){SPOOL_SAMPLES, .held_only = true, .last_seq = 150}), 100);
        assert_int_equal(spool_query_open(&q, T.path, &e), 0);
        for (uint64_t seq = 99; seq < 203; seq++) {
                assert_int_equal(spool_query_delivered(q, seq, &yes, &e), 0);
                assert_int_equal(yes, seq > 100 && seq <= 200);
        }
        spool_query_close(q);
}

/* Damage in the middle: what is carried into a fresh file are the rows that Kafka does not have. */
static void test_a_rescue_leaves_what_went_ahead(void **state)
{
        struct spool_counts c;
        FILE *f;

        append(300, 0);
        spool_ack(T.spool, SPOOL_SAMPLES, 50);
        spool_ack_ahead(T.spool, 101, 150);
        spool_ack_ahead(T.spool, 201, 220);
        fixture_run_for(&T, 3 * S);
        spool_ack_ahead(T.spool, 201, 250);
        fixture_run_for(&T, 3 * S);
        fixture_close(&T);
        f = fopen(T.path, "r+b");
        assert_non_null(f);
        assert_int_equal(fwrite("not SQLite any more", 1, 19, f), 19);
        fclose(f);
        fixture_open(&T);
        spool_counts(T.spool, &c);
        assert_int_equal(c.accepted, 300 - 50 - 50 - 50);
        assert_int_equal(c.held, c.accepted);
}

#define AROUND(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_arithmetic),
                AROUND(test_acks_ahead_are_kept),
                AROUND(test_where_it_begins_is_kept_with_its_first_row),
                AROUND(test_a_commit_under_way_is_overtaken),
                AROUND(test_room_is_made_of_what_went_ahead),
                AROUND(test_listings_know),
                AROUND(test_a_rescue_leaves_what_went_ahead),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
