/*
 * test_spool_forecast: when a spool will be full, since when it is, what goes then, and how slow its disk is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "store/forecast.h"
#include "tests/lib/spool_fixture.h"

enum { S = 1000000, MIB = 1 << 20 };

/* ---- the sum ---- */

struct piece {
        int for_s;
        int64_t bytes_per_s;
};

static void growth_is_seen_from_its_beginning(void **state)
{
        static const struct {
                const char *what;
                struct piece pieces[4];
                double rate;
        } rows[] = {
                {"nothing happens", {{600, 0}}, 0},
                {"too short to say", {{600, 0}, {20, 4000}}, 0},
                {"an outage begins", {{600, 0}, {40, 4000}}, 4000},
                {"it goes on", {{600, 0}, {5000, 4000}}, 4000},
                {"Kafka takes it", {{600, 4000}, {300, -8000}}, 0},
                {"and goes again", {{600, 4000}, {200, -8000}, {60, 3000}}, 3000},
                {"up and down", {{600, 0}, {10, 500}, {10, -500}, {10, 500}}, 0},
                {"a slow one", {{100, 0}, {890, 20}}, 20},
                {"hardly anything", {{100, 0}, {800, 2}}, 0},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct forecast f = {0};
                struct forecast_slot now = {.at_us = 77 * S, .held_bytes = 1000};
                double rate;

                for (const struct piece *p = rows[i].pieces; p < rows[i].pieces + 4; p++)
                        for (int s = 0; s < p->for_s; s++) {
                                forecast_note(&f, &now);
                                now.at_us += S;
                                now.held_bytes = (uint64_t)((int64_t)now.held_bytes + p->bytes_per_s);
                        }
                rate = forecast_bytes_per_s(&f, &now);
                if (rate < rows[i].rate * 0.7 || rate > rows[i].rate * 1.05)
                        fail_msg("%s: %.1f bytes a second, not %.1f", rows[i].what, rate, rows[i].rate);
        }
}

static void full_in_is_what_is_left_at_that_rate(void **state)
{
        static const struct {
                double rate;
                uint64_t left;
                double in_s;
        } rows[] = {{1000, 12000000, 12000}, {1000, 0, 0}, {0, 5, 0}, {0.0001, 1u << 30, 0}};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
                assert_true(forecast_full_in_s(rows[i].rate, rows[i].left) == rows[i].in_s);
}

static void what_goes_is_of_the_last_minute(void **state)
{
        struct forecast f = {0};
        struct forecast_slot now = {.at_us = S};

        assert_true(forecast_gone_per_s(&f, &now, SPOOL_GONE_OLDEST) == 0);
        for (int s = 0; s < 600; s++) {
                forecast_note(&f, &now);
                now.at_us += S;
                now.gone[SPOOL_GONE_OLDEST] += 150;
                now.gone[SPOOL_GONE_THINNED] += s < 400 ? 9 : 0;
        }
        assert_true(forecast_gone_per_s(&f, &now, SPOOL_GONE_OLDEST) == 150);
        assert_true(forecast_gone_per_s(&f, &now, SPOOL_GONE_THINNED) == 0);
        assert_true(forecast_gone_per_s(&f, &now, SPOOL_GONE_NEWEST) == 0);
        now.at_us += 3600ll * S;
        assert_true(forecast_gone_per_s(&f, &now, SPOOL_GONE_OLDEST) < 2);
}

/* ---- a spool ---- */

static struct fixture T;
static uint32_t tag;

static void open_one(int when_full)
{
        fixture_init_in_memory(&T, "spool_forecast", 3);
        T.conf.max_size_bytes = 8 * MIB;
        T.conf.when_full = when_full;
        fixture_open(&T);
        assert_int_equal(tags_intern(T.tags, "m", "v", "", "", "d", &tag), 0);
}

static void leave(void)
{
        fixture_cut_power(&T);
        fixture_fini(&T);
}

/* Ten a second, of 1000 bytes; what a spool does not take is refused. */
static struct spool_counts run_for(int s)
{
        static char text[1000];

        for (; s > 0; s--) {
                for (int i = 0; i < 10; i++) {
                        struct reading r = {.tag = tag,
                                            .type = READING_TEXT,
                                            .v.text = text,
                                            .len = sizeof(text),
                                            .ts_us = T.sim.now.wall_us,
                                            .arrival_us = T.sim.now.wall_us};

                        if (spool_append(T.spool, &r) != 0)
                                spool_refuse(T.spool, 1, "spool_full");
                }
                fixture_run_for(&T, S);
        }
        return fixture_counts(&T);
}

static void a_full_spool_says_since_when_and_what_goes(void **state)
{
        static const enum spool_gone goes[] = {[SPOOL_DROP_OLDEST] = SPOOL_GONE_OLDEST,
                                               [SPOOL_DROP_NEWEST] = SPOOL_GONE_NEWEST,
                                               [SPOOL_BLOCK] = SPOOL_GONE_REFUSED,
                                               [SPOOL_THIN] = SPOOL_GONE_THINNED};

        for (int policy = SPOOL_DROP_OLDEST; policy <= SPOOL_THIN; policy++) {
                struct spool_counts c;
                double in_s;
                int64_t since_us;

                open_one(policy);
                c = run_for(60);
                assert_true(c.full_since_us == 0 && c.full_in_s > 300 && c.full_in_s < 600);
                for (in_s = c.full_in_s + 60; !c.full_since_us && T.sim.now.mono_us < 700ll * S;)
                        c = run_for(1);
                since_us = c.full_since_us;
                assert_true(since_us != 0 && c.full_in_s == 0);
                assert_in_range((since_us - FIXTURE_WALL_US) / S, in_s * 0.85, in_s * 1.1);
                c = run_for(120);
                assert_int_equal(c.full_since_us, since_us);
                assert_true(c.gone_per_s[goes[policy]] > 5 && c.gone_per_s[goes[policy]] < 25);
                assert_int_equal(c.gone[goes[policy]], c.dropped);
                for (int i = 0; i < 15; i++) {
                        spool_ack(T.spool, SPOOL_SAMPLES, c.last_seq[SPOOL_SAMPLES]);
                        c = run_for(5);
                }
                spool_ack(T.spool, SPOOL_SAMPLES, c.last_seq[SPOOL_SAMPLES]);
                fixture_run_for(&T, 5 * S);
                c = fixture_counts(&T);
                assert_true(c.full_since_us == 0 && c.full_in_s == 0);
                leave();
        }
}

static void a_slow_disk_is_seen_also_while_it_hangs(void **state)
{
        struct spool_counts c;

        open_one(SPOOL_DROP_OLDEST);
        c = run_for(5);
        assert_true(c.disk_free_bytes > 0 && c.disk_free_bytes < UINT64_MAX);
        assert_true(c.commit_most_us < S);
        T.sim.work_delay_us = 7 * S;
        c = run_for(4);
        assert_in_range(c.commit_us, S, 4 * S);
        T.sim.work_delay_us = 0;
        c = run_for(20);
        assert_true(c.commit_us < S);
        assert_in_range(c.commit_most_us, 6 * S, 8 * S);
        c = run_for(180);
        assert_true(c.commit_most_us < S);
        leave();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(growth_is_seen_from_its_beginning),
                cmocka_unit_test(full_in_is_what_is_left_at_that_rate),
                cmocka_unit_test(what_goes_is_of_the_last_minute),
                cmocka_unit_test(a_full_spool_says_since_when_and_what_goes),
                cmocka_unit_test(a_slow_disk_is_seen_also_while_it_hangs),
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
