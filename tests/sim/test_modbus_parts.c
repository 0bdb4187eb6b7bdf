/*
 * Reads that a slave refuses as a whole: with every exception, with a short answer or none, for a hole, for one value
 * or for their number.  What can be had is had, what is found is kept, and is tried as one again.
 */
#include "tests/sim/modbus_world.h"

enum how { NO_ANSWER, SHORT_ANSWER, EXCEPTION };

/* A slave that refuses a request that touches what is not there, or is too long. */
struct picky {
        enum how how;
        unsigned code;       /* of an exception */
        unsigned missing[4]; /* addresses that are not there */
        size_t n_missing;
        unsigned most; /* registers in one request; 0: any */
        bool dead;
        long n_refused, n_holes; /* n_holes: requests that touched a register nobody wants */
        unsigned widest;         /* the longest request since it was set to 0 */
};

static bool is_there(const struct picky *p, const struct request *r)
{
        for (size_t i = 0; i < p->n_missing; i++) {
                if (p->missing[i] >= r->address && p->missing[i] < (unsigned)r->address + r->count)
                        return false;
        }
        return !p->most || r->count <= p->most;
}

static void answer_short(struct world *w, const struct request *r)
{
        struct request part = *r;

        part.count = (uint16_t)(r->count > 1 ? r->count - 1 : 0);
        answer(w, &part, 5 * MS);
}

static void answer_picky(struct world *w, const struct request *r)
{
        struct picky *p = w->test;

        p->widest = r->count > p->widest ? r->count : p->widest;
        if (p->dead)
                return;
        if (is_there(p, r)) {
                answer(w, r, 5 * MS);
                return;
        }
        p->n_refused++;
        if (p->how == EXCEPTION)
                answer_exception(w, r, p->code);
        else if (p->how == SHORT_ANSWER)
                answer_short(w, r);
}

static struct world *make_picky(const char *port, struct picky *p, const unsigned *addresses, size_t n)
{
        struct world *w = make(port, 1, 3);

        w->test = p;
        w->on_request = answer_picky;
        for (size_t i = 0; i < n; i++)
                add_register(w, 0, MODBUS_HOLDING, addresses[i], MODBUS_UINT16, 0, 0);
        return w;
}

/* What was said last of the read that holds this address. */
static unsigned quality_at(const struct world *w, unsigned address)
{
        for (size_t i = 0; i < w->plan->n_reads; i++) {
                const struct modbus_read *r = &w->plan->reads[i];

                for (uint32_t k = r->first; k < r->first + r->n; k++) {
                        if (w->plan->points[k].address == address)
                                return w->quality_of[i];
                }
        }
        fail_msg("%u is in no read", address);
        return 0;
}

static size_t live_reads(const struct world *w)
{
        size_t n = 0;

        for (size_t i = 0; i < w->plan->n_reads; i++)
                n += w->plan->reads[i].n > 0;
        return n;
}

static const char *const ports[] = {"tcp://plc:502", "/dev/ttyS1", "rtu+tcp://moxa:4001", "ascii+tcp://moxa:4002"};

/* Registers 0-1 and 4-5 in one request, and 2-3 are not there. */
static void a_hole_that_is_refused(void **state)
{
        static const unsigned at[] = {0, 1, 4, 5};
        static const struct picky kinds[] = {
                {.how = EXCEPTION, .code = 1},
                {.how = EXCEPTION, .code = 2},
                {.how = EXCEPTION, .code = 3},
                {.how = EXCEPTION, .code = 4},
                {.how = EXCEPTION, .code = 7},
                {.how = SHORT_ANSWER},
                {.how = NO_ANSWER},
        };

        for (size_t i = 0; i < 4 * sizeof(kinds) / sizeof(*kinds); i++) {
                struct picky p = kinds[i / 4];
                struct world *w;

                p.n_missing = 2;
                p.missing[0] = 2;
                p.missing[1] = 3;
                w = make_picky(ports[i % 4], &p, at, 4);
                w->conf.hole_limit = 8;
                start(w);
                assert_int_equal(live_reads(w), 1);
                run(w, 60 * SECOND);
                assert_int_equal(live_reads(w), 2);
                for (size_t k = 0; k < 4; k++)
                        assert_int_equal(quality_at(w, at[k]), QUALITY_GOOD);
                assert_int_equal(w->n_bad, 0);
                assert_int_equal(w->n_down, 0);
                assert_int_equal(w->n_wrong, 0);
                assert_true(p.n_refused <= 2);
                assert_true(w->n_data >= 2 * 58);
                finish(w);
        }
}

/* Holes are not read at all where nobody allows it. */
static void no_hole_without_leave(void **state)
{
        static const unsigned at[] = {0, 1, 4, 5};
        struct picky p = {.how = NO_ANSWER, .missing = {2, 3}, .n_missing = 2};
        struct world *w = make_picky(ports[0], &p, at, 4);

        start(w);
        run(w, 60 * SECOND);
        assert_int_equal(p.n_refused, 0);
        assert_in_range(w->n_requests, 2 * 60, 2 * 60 + 2);
        finish(w);
}

/* One value of twenty is not there: it alone is bad, told once. */
static void one_value_that_is_refused(void **state)
{
        unsigned at[20];

        for (unsigned i = 0; i < 20; i++)
                at[i] = i;
        for (unsigned missing = 0; missing < 20; missing++) {
                struct picky p = {.how = EXCEPTION, .code = 2 + missing % 3, .missing = {missing}, .n_missing = 1};
                struct world *w = make_picky(ports[missing % 2], &p, at, 20);

                start(w);
                run(w, 120 * SECOND);
                for (unsigned i = 0; i < 20; i++)
                        assert_int_equal(quality_at(w, i) == QUALITY_GOOD, i != missing);
                assert_int_equal(w->n_bad, 1);
                assert_int_equal(w->n_wrong, 0);
                assert_true(live_reads(w) <= 7);
                finish(w);
        }
}

/* A slave that takes fewer registers than the protocol allows, and says so in whatever way. */
static void too_many_at_once(void **state)
{
        unsigned at[40];

        for (unsigned i = 0; i < 40; i++)
                at[i] = 100 + i;
        for (int how = NO_ANSWER; how <= EXCEPTION; how++) {
                struct picky p = {.how = (enum how)how, .code = 3, .most = 10};
                struct world *w = make_picky(ports[0], &p, at, 40);

                start(w);
                run(w, 60 * SECOND);
                for (unsigned i = 0; i < 40; i++)
                        assert_int_equal(quality_at(w, at[i]), QUALITY_GOOD);
                assert_int_equal(live_reads(w), 4);
                assert_int_equal(w->n_wrong, 0);
                finish(w);
        }
}

/* It was a bad moment: ten minutes later all is one request again. */
static void what_was_split_is_tried_as_one(void **state)
{
        static const unsigned at[] = {0, 1, 2, 3};
        struct picky p = {.how = EXCEPTION, .code = 4, .missing = {2}, .n_missing = 1};
        struct world *w = make_picky(ports[0], &p, at, 4);

        start(w);
        run(w, 300 * SECOND);
        assert_int_equal(live_reads(w), 3);
        assert_int_equal(quality_at(w, 2), QUALITY_BAD_SENSOR);
        p.n_missing = 0;
        run(w, 5 * SECOND);
        assert_int_equal(quality_at(w, 2), QUALITY_GOOD);
        assert_int_equal(live_reads(w), 3);
        run(w, 400 * SECOND);
        assert_int_equal(live_reads(w), 1);
        assert_int_equal(w->n_bad, 1);
        assert_int_equal(w->n_wrong, 0);
        finish(w);
}

/* A trial that fails costs one request, with growing pauses, and no value. */
static void trials_are_few(void **state)
{
        static const unsigned at[] = {0, 1, 4, 5};
        struct picky p = {.how = EXCEPTION, .code = 2, .missing = {2, 3}, .n_missing = 2};
        struct world *w = make_picky(ports[0], &p, at, 4);

        w->conf.hole_limit = 8;
        start(w);
        run(w, 24 * 3600 * (int64_t)SECOND);
        assert_in_range(p.n_refused, 5, 10);
        assert_int_equal(w->n_bad, 0);
        assert_true(w->n_data >= 2 * 24 * 3600 - 4);
        finish(w);
}

/* A trial is under way when the port goes: every tag is told, once. */
static void a_port_that_goes_in_a_trial(void **state)
{
        static const unsigned at[] = {0, 1, 4, 5};
        struct picky p = {.how = EXCEPTION, .code = 2, .missing = {2, 3}, .n_missing = 2};
        struct world *w = make_picky(ports[0], &p, at, 4);

        w->conf.hole_limit = 8;
        start(w);
        run(w, 30 * SECOND);
        p.dead = true;
        w->conf.retries = 0;
        for (p.widest = 0; p.widest < 6 && w->n_down == 0;) {
                p.dead = false;
                run(w, 100 * MS);
        }
        assert_int_equal(p.widest, 6);
        p.dead = true;
        modbus_bus_close(w->bus, w->now_us, "gone");
        assert_int_equal(live_reads(w), 2);
        for (size_t k = 0; k < 4; k++)
                assert_int_equal(quality_at(w, at[k]), QUALITY_BAD_NOT_CONNECTED);
        assert_int_equal(w->n_bad, 2);
        finish(w);
}

/* Nothing of it is there: one request a period, not one for each value. */
static void nothing_is_there(void **state)
{
        unsigned at[20];
        struct picky p = {.how = EXCEPTION, .code = 2, .most = 0};
        struct world *w;

        for (unsigned i = 0; i < 20; i++)
                at[i] = i;
        w = make_picky(ports[0], &p, at, 20);
        for (unsigned i = 0; i < 4; i++)
                p.missing[i] = i;
        w->profiles[0].registers.n = 4;
        p.n_missing = 4;
        start(w);
        run(w, 300 * SECOND);
        assert_int_equal(live_reads(w), 1);
        assert_true(w->n_requests <= 300 + 8);
        assert_int_equal(quality_at(w, 3), QUALITY_BAD_CONFIG);
        p.n_missing = 0;
        run(w, 2 * SECOND);
        assert_int_equal(quality_at(w, 3), QUALITY_GOOD);
        finish(w);
}

/* A dead slave is not taken for one that wants small requests. */
static void a_dead_slave_comes_back_whole(void **state)
{
        unsigned at[20];
        struct picky p = {.dead = true};
        struct world *w;

        for (unsigned i = 0; i < 20; i++)
                at[i] = 2 * i;
        w = make_picky(ports[1], &p, at, 20);
        w->conf.hole_limit = 8;
        start(w);
        run(w, 600 * SECOND);
        assert_int_equal(w->n_down, 1);
        p.dead = false;
        run(w, 800 * SECOND);
        assert_int_equal(w->n_up, 1);
        assert_int_equal(live_reads(w), 1);
        for (unsigned i = 0; i < 20; i++)
                assert_int_equal(quality_at(w, at[i]), QUALITY_GOOD);
        finish(w);
}

/* Once it has worked, silence is silence: nothing is split. */
static void a_slave_that_falls_silent_is_not_split(void **state)
{
        static const unsigned at[] = {0, 1, 2, 3};
        struct picky p = {.dead = false};
        struct world *w = make_picky(ports[1], &p, at, 4);

        start(w);
        run(w, 10 * SECOND);
        p.dead = true;
        run(w, 100 * SECOND);
        assert_int_equal(live_reads(w), 1);
        assert_int_equal(w->n_bad, 1);
        assert_int_equal(w->n_down, 1);
        finish(w);
}

/* A group is one request or none. */
static void a_group_is_never_split(void **state)
{
        static const unsigned at[] = {0, 1, 2, 3, 4, 5};
        struct picky p = {.how = EXCEPTION, .code = 2, .missing = {3}, .n_missing = 1};
        struct world *w = make_picky(ports[0], &p, at, 6);

        for (size_t i = 2; i < 5; i++)
                w->registers[0][i].group = "clock";
        start(w);
        assert_int_equal(live_reads(w), 1);
        run(w, 60 * SECOND);
        assert_int_equal(live_reads(w), 3);
        for (unsigned i = 0; i < 6; i++)
                assert_int_equal(quality_at(w, i), i >= 2 && i <= 4 ? QUALITY_BAD_CONFIG : QUALITY_GOOD);
        finish(w);
}

/* Slaves that refuse this and that at random times, hours of it: no value is wrong, and all is well in the end. */
static void at_random(void **state)
{
        for (unsigned seed = 1; seed <= 30; seed++) {
                unsigned at[24], next = 0;
                struct picky p = {.how = EXCEPTION, .code = 2};
                struct world *w;

                srand(seed);
                for (size_t i = 0; i < 24; i++)
                        at[i] = next += 1u + (rand() % 4 == 0);
                w = make_picky(ports[seed % 4], &p, at, 24);
                w->conf.in_flight = seed % 4 ? 1 : 1 + (int64_t)(seed % 3);
                w->conf.hole_limit = seed % 3 ? 8 : 0;
                start(w);
                for (int step = 0; step < 200; step++) {
                        p.how = (enum how)(rand() % 3);
                        p.code = (unsigned)(1 + rand() % 4);
                        p.n_missing = (size_t)(rand() % 4);
                        for (size_t i = 0; i < p.n_missing; i++)
                                p.missing[i] = (unsigned)(rand() % 40);
                        p.dead = rand() % 8 == 0;
                        run(w, (1 + rand() % 90) * (int64_t)SECOND);
                        if (rand() % 10 == 0) {
                                modbus_bus_close(w->bus, w->now_us, "gone");
                                w->n_events = 0;
                                modbus_bus_open(w->bus, w->now_us);
                        }
                }
                p = (struct picky){.how = EXCEPTION};
                run(w, 50 * 3600 * (int64_t)SECOND);
                assert_int_equal(w->n_wrong, 0);
                for (size_t i = 0; i < 24; i++)
                        assert_int_equal(quality_at(w, at[i]), QUALITY_GOOD);
                finish(w);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_hole_that_is_refused),
                cmocka_unit_test(no_hole_without_leave),
                cmocka_unit_test(one_value_that_is_refused),
                cmocka_unit_test(too_many_at_once),
                cmocka_unit_test(what_was_split_is_tried_as_one),
                cmocka_unit_test(trials_are_few),
                cmocka_unit_test(a_port_that_goes_in_a_trial),
                cmocka_unit_test(nothing_is_there),
                cmocka_unit_test(a_dead_slave_comes_back_whole),
                cmocka_unit_test(a_slave_that_falls_silent_is_not_split),
                cmocka_unit_test(a_group_is_never_split),
                cmocka_unit_test(at_random),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
