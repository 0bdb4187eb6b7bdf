/*
 * ack_delay: against a simulated broker: a queue, an in-flight window, a round trip; and a disk with a commit time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/mqtt/ack_delay.h"

#define HELD                       \
        {                          \
                50 * MS, 1000 * MS \
        }

enum { MS = 1000, STEP_US = 100, BATCH = 2000 };

struct plant {
        const char *name;
        int64_t every_us; /* a message comes so often; 0: there is always one */
        bool random;      /* intervals are exponential-like instead of regular */
        unsigned window;  /* 0: as many as there are */
        int64_t round_trip_us, commit_us;
        struct mqtt_ack_pace pace;
        unsigned at_least, at_most; /* commits in 10 s */
        unsigned min_messages;      /* acknowledged in 10 s */
        int64_t others_us;          /* others' commits so often; 0: none */
        unsigned varies;            /* the window is another after each commit, by so much at most */
};

static uint64_t lcg(uint64_t *s)
{
        *s = *s * 6364136223846793005u + 1442695040888963407u;
        return *s >> 33;
}

struct world {
        const struct plant *p;
        uint64_t seed;
        int64_t now_us, next_us, durable_us, window_open_us;
        unsigned queued, in_flight, on_wire; /* at the broker; sent, not acknowledged; sent, not read */
        unsigned commits, acked, window;
};

static void broker_step(struct world *w)
{
        const struct plant *p = w->p;
        unsigned room;

        while (p->every_us && w->next_us <= w->now_us) {
                w->queued++;
                /* the sum of two uniforms, the mean is every_us */
                w->next_us += p->random ? (int64_t)(lcg(&w->seed) % (uint64_t)p->every_us +
                                                    lcg(&w->seed) % (uint64_t)p->every_us)
                                        : p->every_us;
        }
        if (!p->every_us)
                w->queued = 100;
        if (w->now_us < w->window_open_us)
                return;
        room = w->window <= w->in_flight && w->window ? 0 : w->window ? w->window - w->in_flight : w->queued;
        room = room < w->queued ? room : w->queued;
        w->queued -= room;
        w->in_flight += room;
        w->on_wire += room;
}

static void agent_step(struct world *w, struct mqtt_ack_delay *h)
{
        int64_t wait_us;
        bool joins;

        if (w->durable_us && w->now_us >= w->durable_us) {
                w->acked += h->under_way;
                w->in_flight -= h->under_way;
                mqtt_ack_delay_done(h, w->now_us, w->on_wire > 0);
                w->durable_us = 0;
                if (w->p->varies)
                        w->window = w->p->window + (unsigned)lcg(&w->seed) % w->p->varies;
                w->window_open_us = w->p->window ? w->now_us + w->p->round_trip_us : 0;
        }
        while (w->on_wire && h->pending < BATCH) {
                mqtt_ack_delay_add(h, w->now_us);
                w->on_wire--;
        }
        joins = w->p->others_us && w->now_us % w->p->others_us == 0;
        if (w->durable_us || (!mqtt_ack_delay_due(h, w->now_us, w->on_wire == 0, &wait_us) &&
                              !(joins && mqtt_ack_delay_join(h, w->now_us, w->on_wire == 0))))
                return;
        w->commits++;
        mqtt_ack_delay_commit(h);
        w->durable_us = w->now_us + w->p->commit_us;
}

static void run(const struct plant *p)
{
        struct world w = {.p = p, .seed = 7, .window = p->window};
        struct mqtt_ack_delay h;

        mqtt_ack_delay_init(&h, &p->pace, BATCH);
        for (w.now_us = STEP_US; w.now_us < 10000 * MS; w.now_us += STEP_US) {
                broker_step(&w);
                agent_step(&w, &h);
        }
        print_message("%s: %u commits, %u acknowledged\n", p->name, w.commits, w.acked);
        assert_in_range(w.commits, p->at_least, p->at_most);
        assert_in_range(w.acked, p->min_messages, 1000000000);
}

static void test_commits_are_as_few_as_the_plant_allows(void **state)
{
        static const struct plant plants[] = {
                /* 20 per (2 ms round trip + 2 ms commit) is 50,000 in 10 s; 20 per delay would be 8,000 */
                {"window 20, always more", 0, false, 20, 2 * MS, 2 * MS, {20 * MS, 20 * MS}, 2000, 2600, 45000},
                {"window 20, slow disk", 0, false, 20, 2 * MS, 25 * MS, {20 * MS, 20 * MS}, 340, 380, 7000},
                {"window 5", 0, false, 5, 1 * MS, 1 * MS, {20 * MS, 20 * MS}, 4000, 5100, 20000},
                {"no window, flat out", 0, false, 0, 0, 5 * MS, {20 * MS, 20 * MS}, 300, 2000, 100000},
                {"a message a second", 1000 * MS, false, 0, 0, 5 * MS, {20 * MS, 20 * MS}, 9, 10, 9},
                {"regular, 100/s", 10 * MS, false, 0, 0, 2 * MS, {20 * MS, 20 * MS}, 300, 500, 990},
                {"regular, 40/s", 25 * MS, false, 0, 0, 2 * MS, {20 * MS, 20 * MS}, 390, 400, 390},
                {"regular, 1000/s", 1 * MS, false, 0, 0, 2 * MS, {20 * MS, 20 * MS}, 400, 500, 9900},
                {"random, 100/s", 10 * MS, true, 0, 0, 2 * MS, {20 * MS, 20 * MS}, 250, 480, 900},
                {"random, 300/s", 3333, true, 0, 0, 2 * MS, {20 * MS, 20 * MS}, 350, 480, 2700},
                {"random, 300/s, slow disk", 3333, true, 0, 0, 25 * MS, {20 * MS, 20 * MS}, 150, 300, 2700},
                /* as it is by default; 20 a second is the trap */
                {"held: window 20, always more", 0, false, 20, 2 * MS, 2 * MS, HELD, 1800, 2400, 36000},
                {"held: window 20, far away", 0, false, 20, 150 * MS, 5 * MS, HELD, 45, 65, 900},
                {"held: window 1, always more", 0, false, 1, 2 * MS, 2 * MS, HELD, 1500, 2500, 1500},
                {"held: window 20, 150/s", 6667, false, 20, 2 * MS, 8 * MS, HELD, 60, 80, 1400},
                {"held: window 20, random, 150/s", 6667, true, 20, 2 * MS, 8 * MS, HELD, 60, 80, 1400},
                {"held: window 20, 15/s", 66667, false, 20, 2 * MS, 8 * MS, HELD, 9, 10, 130},
                {"held: 150/s", 6667, false, 0, 0, 8 * MS, HELD, 9, 10, 1340},
                {"held: random, 150/s", 6667, true, 0, 0, 8 * MS, HELD, 9, 10, 1300},
                {"held: random, 3/s", 333 * MS, true, 0, 0, 8 * MS, HELD, 7, 12, 24},
                {"held: 1000/s", 1 * MS, false, 0, 0, 8 * MS, HELD, 38, 41, 9700},
                {"held: 5000/s", 200, false, 0, 0, 8 * MS, HELD, 160, 180, 49000},
                {"held: window 100, 5000/s", 200, false, 100, 2 * MS, 5 * MS, HELD, 350, 520, 45000},
                {"held: window 80 to 100, 150/s", 6667, false, 80, 2 * MS, 8 * MS, HELD, 10, 18, 1300, 0, 20},
                {"held: window 20 to 60, always more", 0, false, 20, 2 * MS, 8 * MS, HELD, 60, 100, 2200, 0, 40},
                {"joined: window 20, always more", 0, false, 20, 2 * MS, 2 * MS, HELD, 1500, 2400, 30000, 990 * MS},
                {"joined: window 20, far away", 0, false, 20, 150 * MS, 5 * MS, HELD, 40, 70, 800, 990 * MS},
                {"joined: 150/s", 6667, false, 0, 0, 300 * MS, HELD, 9, 11, 1300, 1000 * MS},
                {"no delay, 1000/s, slow disk", 1 * MS, false, 0, 0, 25 * MS, {0, 0}, 350, 420, 9900},
        };

        for (size_t i = 0; i < sizeof(plants) / sizeof(*plants); i++)
                run(&plants[i]);
}

static void test_a_full_batch_waits_for_nothing(void **state)
{
        struct mqtt_ack_delay h;
        int64_t wait_us;

        mqtt_ack_delay_init(&h, &(struct mqtt_ack_pace){20 * MS, 20 * MS}, 10);
        for (int i = 0; i < 9; i++)
                mqtt_ack_delay_add(&h, 1000);
        assert_false(mqtt_ack_delay_due(&h, 1000, false, &wait_us));
        assert_int_equal(wait_us, 20 * MS);
        mqtt_ack_delay_add(&h, 1000);
        assert_true(mqtt_ack_delay_due(&h, 1000, false, &wait_us));
        mqtt_ack_delay_commit(&h);
        mqtt_ack_delay_done(&h, 2000, true);
        assert_false(mqtt_ack_delay_due(&h, 99 * MS, true, &wait_us));
        assert_int_equal(wait_us, -1);
}

/* However it goes on: nothing waits for longer than it may. */
static void test_nothing_is_held_for_longer_than_said(void **state)
{
        struct mqtt_ack_delay h;
        int64_t wait_us, now = 0, first;
        uint64_t seed = 3;

        mqtt_ack_delay_init(&h, &(struct mqtt_ack_pace)HELD, BATCH);
        for (int i = 0; i < 2000; i++) {
                int64_t gap = 1 + (int64_t)(lcg(&seed) % (i % 3 ? 90 * MS : 20 * MS));
                unsigned most = 1 + (unsigned)lcg(&seed) % 120;

                first = now;
                for (bool due = false; !due; now += MS) {
                        if (h.pending == 0 || (h.pending < most && now - h.last_us >= gap))
                                mqtt_ack_delay_add(&h, now);
                        due = mqtt_ack_delay_due(&h, now, true, &wait_us);
                        assert_true(due || (wait_us > 0 && now + wait_us <= first + 1000 * MS));
                }
                mqtt_ack_delay_commit(&h);
                now += (int64_t)(lcg(&seed) % (30 * MS));
                mqtt_ack_delay_done(&h, now, false);
                now += (int64_t)(lcg(&seed) % (300 * MS));
        }
}

static void test_a_window_is_forgotten_when_more_comes_unasked(void **state)
{
        struct mqtt_ack_delay h;
        int64_t wait_us, now = 0;

        mqtt_ack_delay_init(&h, &(struct mqtt_ack_pace){20 * MS, 20 * MS}, BATCH);
        for (int i = 0; i < 4; i++) {
                mqtt_ack_delay_add(&h, now);
                mqtt_ack_delay_add(&h, now);
                if (!mqtt_ack_delay_due(&h, now, true, &wait_us)) {
                        now += 20 * MS;
                        assert_true(mqtt_ack_delay_due(&h, now, true, &wait_us));
                }
                mqtt_ack_delay_commit(&h);
                mqtt_ack_delay_done(&h, now, false);
        }
        assert_int_equal(h.window, 2);
        mqtt_ack_delay_add(&h, now);
        assert_false(mqtt_ack_delay_due(&h, now, true, &wait_us));
        mqtt_ack_delay_add(&h, now);
        assert_false(mqtt_ack_delay_due(&h, now, false, &wait_us)); /* more is there to read */
        assert_true(mqtt_ack_delay_due(&h, now, true, &wait_us));
        mqtt_ack_delay_commit(&h);
        mqtt_ack_delay_done(&h, now, true);
        assert_int_equal(h.window, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commits_are_as_few_as_the_plant_allows),
                cmocka_unit_test(test_a_full_batch_waits_for_nothing),
                cmocka_unit_test(test_nothing_is_held_for_longer_than_said),
                cmocka_unit_test(test_a_window_is_forgotten_when_more_comes_unasked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
