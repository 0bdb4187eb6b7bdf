/*
 * test_times: the table of times in packaging/doc/design.md, line by line: what
 * a record says of its time when this clock or that was wrong.  A case is a
 * list of readings of one tag; each through the spool, the file and the
 * encoder.  "Now" is the true time, whatever the gateway's clock shows.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/source_time.h"
#include "tests/lib/spool_fixture.h"
#include "uplink/record.h"

#define S          INT64_C(1000000)
#define H          (3600 * S)
#define SINCE_1970 (FIXTURE_WALL_US - 10 * S) /* the clock of a board that was started 20 s ago */

enum { MOST = 4, NONE = 0 };

/* How a reading comes, and what its record says. */
struct step {
        /* The gateway, before it: */
        int64_t clock_us; /* its clock is stepped by so much, 0: not */
        bool seen;        /* and the agent has seen that it was not synchronised before */
        bool restart;
        bool sent; /* Kafka has all before */
        /* The reading: */
        unsigned flags;
        bool has_source;   /* it says a time: */
        int64_t source_us; /* from now */
        bool no_zone;
        /* Its record, behind all the case's steps: */
        int64_t ts_us;      /* from now */
        bool arrival;       /* arrival_us is there: */
        int64_t arrival_us; /* from now */
        const char *words;  /* what it has of quality, clock, time, historical */
        int64_t kafka_us;   /* from now, when it is sent behind the last step */
};

#define GOOD "\"quality\":\"good\""

static const struct {
        const char *situation;
        struct step step[MOST + 1];
        size_t n;
} cases[] = {
        {"all is well", {{.words = GOOD}, {.words = GOOD}}, 2},
        {"equal times",
         {{.has_source = true,
           .source_us = -5 * S,
           .ts_us = -5 * S,
           .arrival = true,
           .words = GOOD,
           .kafka_us = -5 * S},
          {.has_source = true,
           .source_us = -6 * S, /* a second later */
           .ts_us = -6 * S + 1,
           .arrival = true,
           .words = GOOD,
           .kafka_us = -6 * S}},
         2},
        {"the source's time is believed",
         {{.has_source = true, .source_us = -H, .ts_us = -H, .arrival = true, .words = GOOD, .kafka_us = -H},
          {.has_source = true,
           .source_us = 50 * S,
           .ts_us = 50 * S,
           .arrival = true,
           .words = GOOD,
           .kafka_us = 50 * S},
          {.words = GOOD ",\"time\":\"back\""}},
         3},
        {"the source's time is not believed",
         {{.has_source = true, .source_us = 61 * S, .words = "\"quality\":\"uncertain\",\"time\":\"untrusted\""},
          {.has_source = true,
           .source_us = -FIXTURE_WALL_US,
           .words = "\"quality\":\"uncertain\",\"time\":\"untrusted\""},
          {.has_source = true, .no_zone = true, .words = "\"quality\":\"uncertain\",\"time\":\"untrusted\""}},
         3},
        {"the source's time goes back",
         {{.has_source = true, .source_us = 0, .arrival = true, .words = GOOD},
          {.has_source = true,
           .source_us = -8 * H,
           .ts_us = -8 * H,
           .arrival = true,
           .words = GOOD ",\"time\":\"back\"",
           .kafka_us = -8 * H},
          {.has_source = true,
           .source_us = -8 * H,
           .ts_us = -8 * H,
           .arrival = true,
           .words = GOOD,
           .kafka_us = -8 * H},
          {.has_source = true, .source_us = 0, .arrival = true, .words = GOOD}},
         4},
        {"what the source calls historical",
         {{.words = GOOD},
          {.has_source = true,
           .source_us = -H,
           .flags = READING_HISTORICAL,
           .ts_us = -H,
           .arrival = true,
           .words = GOOD ",\"historical\":true",
           .kafka_us = -H},
          {.words = GOOD}},
         3},
        {"ahead, set back",
         {{.clock_us = 8 * H, .ts_us = 8 * H, .words = GOOD, .kafka_us = 60 * S},
          {.clock_us = -8 * H, .words = GOOD ",\"time\":\"back\""},
          {.words = GOOD}},
         3},
        {"ahead, set back while it was off",
         {{.clock_us = 8 * H, .ts_us = 8 * H, .words = GOOD, .kafka_us = 60 * S},
          {.clock_us = -8 * H, .restart = true, .words = GOOD ",\"time\":\"back\""},
          {.restart = true, .words = GOOD}},
         3},
        {"behind, set forward",
         {{.clock_us = -H, .ts_us = -H, .words = GOOD, .kafka_us = -H}, {.clock_us = H, .words = GOOD}},
         2},
        {"not set, then set; not sent yet",
         {{.clock_us = -SINCE_1970,
           .flags = READING_CLOCK_UNSYNCED,
           .words = GOOD ",\"clock\":\"unsynced\",\"time\":\"repaired\""},
          {.clock_us = SINCE_1970, .seen = true, .words = GOOD}},
         2},
        {"not set, then set; sent before",
         {{.clock_us = -SINCE_1970,
           .flags = READING_CLOCK_UNSYNCED,
           .ts_us = -SINCE_1970,
           .words = GOOD ",\"clock\":\"unsynced\"",
           .kafka_us = NONE},
          {.clock_us = SINCE_1970, .seen = true, .sent = true, .words = GOOD}},
         2},
        {"ahead and not synchronised, then set; not sent yet",
         {{.clock_us = 8 * H,
           .flags = READING_CLOCK_UNSYNCED,
           .words = GOOD ",\"clock\":\"unsynced\",\"time\":\"repaired\""},
          {.clock_us = -8 * H, .seen = true, .words = GOOD}},
         2},
        {"ahead and not synchronised, then set; sent before",
         {{.clock_us = 8 * H,
           .flags = READING_CLOCK_UNSYNCED,
           .ts_us = 8 * H,
           .words = GOOD ",\"clock\":\"unsynced\"",
           .kafka_us = 60 * S},
          {.clock_us = -8 * H, .seen = true, .sent = true, .words = GOOD ",\"time\":\"back\""}},
         2},
        {"not synchronised, with the source's time",
         {{.clock_us = H,
           .flags = READING_CLOCK_UNSYNCED,
           .has_source = true,
           .source_us = -5 * S,
           .ts_us = -5 * S,
           .arrival = true,
           .words = GOOD ",\"clock\":\"unsynced\",\"time\":\"repaired\"",
           .kafka_us = -5 * S},
          {.clock_us = -H, .seen = true, .words = GOOD}},
         2},
};

static struct fixture T;
static int64_t wrong_us; /* the gateway's clock less the true time */

static int64_t true_us(void)
{
        return T.sim.now.wall_us - wrong_us;
}

static void set_clock(const struct step *p)
{
        uint64_t last = spool_appended_seq(T.spool, SPOOL_SAMPLES);

        rt_sim_step_wall(&T.sim, p->clock_us);
        wrong_us += p->clock_us;
        if (p->seen)
                spool_repair_time(T.spool, p->clock_us, 0, last);
}

static void put(const struct step *p)
{
        struct reading r = {.ts_us = T.sim.now.wall_us, .type = READING_F64, .flags = (uint16_t)p->flags};

        r.arrival_us = r.ts_us;
        assert_int_equal(tags_intern(T.tags, "press-1", "temp", "", "", "mqtt", &r.tag), 0);
        if (p->has_source)
                source_time_set(&r, true_us() + p->source_us, !p->no_zone);
        assert_int_equal(spool_append(T.spool, &r), 0);
}

static void step(const struct step *p, int64_t *now_us)
{
        if (p->sent) {
                spool_pin(T.spool, SPOOL_SAMPLES, spool_appended_seq(T.spool, SPOOL_SAMPLES));
                fixture_run_for(&T, 0);
        }
        if (p->restart) {
                fixture_close(&T);
                fixture_open(&T);
        }
        if (p->clock_us)
                set_clock(p);
        *now_us = true_us();
        put(p);
        fixture_run_for(&T, S);
}

/* `has` is what follows the value, up to the next member. */
static void check(const char *situation, const struct step *p, const struct spool_row *row, int64_t now_us,
                  int64_t sent_us)
{
        struct uplink_identity id = {.gateway = "gw-7", .epoch = 3};
        struct record_encoder enc;
        char json[2000], expected[400], arrival[60] = "";
        size_t len;
        int64_t kafka_us = now_us + p->kafka_us;

        record_encoder_init(&enc, &id);
        len = record_encode_sample(&enc, json, sizeof(json), tags_get(T.tags, row->r.tag), row);
        json[len] = '\0';
        record_encoder_fini(&enc);
        if (p->arrival)
                snprintf(arrival, sizeof(arrival), ",\"arrival_us\":%" PRId64, now_us + p->arrival_us);
        snprintf(expected, sizeof(expected), "\"ts_us\":%" PRId64 ",\"value\":0.0,%s%s,\"epoch\":", now_us + p->ts_us,
                 p->words, arrival);
        if (!strstr(json, expected))
                fail_msg("%s: wanted %s\n     in %s", situation, expected, json);
        if (p->kafka_us == 60 * S || now_us + p->ts_us < H)
                kafka_us = sent_us + p->kafka_us;
        if (record_timestamp_ms(row->r.ts_us, sent_us) != kafka_us / 1000)
                fail_msg("%s: Kafka's timestamp is %" PRId64 ", not %" PRId64, situation,
                         record_timestamp_ms(row->r.ts_us, sent_us), kafka_us / 1000);
}

static void what_a_record_says_of_time(void **state)
{
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                int64_t now_us[MOST];

                fixture_init_in_memory(&T, "times", i);
                wrong_us = 0;
                fixture_open(&T);
                fixture_run_for(&T, 10 * S);
                for (size_t k = 0; k < cases[i].n; k++)
                        step(&cases[i].step[k], &now_us[k]);
                fixture_run_for(&T, 5 * S);
                spool_fetch_init(&T.fetch, SPOOL_SAMPLES, MOST, 1000);
                assert_int_equal(fixture_fetch(&T, 0), cases[i].n);
                for (size_t k = 0; k < cases[i].n; k++) {
                        assert_int_equal(T.fetch.rows[k].seq, k + 1);
                        check(cases[i].situation, &cases[i].step[k], &T.fetch.rows[k], now_us[k], true_us());
                }
                fixture_close(&T);
                fixture_fini(&T);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(what_a_record_says_of_time)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
