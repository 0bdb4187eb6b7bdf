/*
 * The whole house in virtual time: drivers → pipeline → spool (real SQLite) → uplink → a Kafka that fails on purpose.
 *
 * Two sources: `feed` is a broker's QoS 1 session (it keeps what is not acknowledged and sends it again after a cut,
 * with its packet ids, through the mqtt driver's own redelivery logic), and `sim` polls a made-up floor that can't
 * wait. After every callback: accepted = delivered + held + dropped, nothing is delivered that Kafka does not have,
 * nothing is acknowledged that is not on disk.  At the end: every acknowledged value reached Kafka, each under one id;
 * an id came twice only across a power cut and within one window.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/base/rt_sim.h"
#include "drivers/mqtt/redelivery.h"
#include "drivers/sim/sim.h"
#include "tests/lib/fake_sink.h"
#include "tests/lib/temp_dir.h"

enum { VALUES_MAX = 200000, SEQS_MAX = 4000000, WINDOW = 500, S = 1000000 };

/* ---- Kafka, as seen from the far side ---- */

struct log {
        struct fake_sink sink; /* first */
        int retry_per_mille;

        /* what consumers have seen, kept over cuts */
        uint8_t *times;   /* by seq of the samples lane */
        uint64_t *seq_of; /* by value of the feed: the seq it came under */
        uint64_t n_unique, n_again, n_events, last_seq;
        uint64_t again_since_cut;
        bool was_cut, lost;
};

static enum sink_result judge(struct fake_sink *s, const struct fake_record *r)
{
        bool retry = r->topic == SINK_SAMPLES && rt_random(s->rt) * 1000 < ((struct log *)s)->retry_per_mille;

        return retry ? SINK_RETRY : SINK_DELIVERED;
}

/* Stored in the log: what consumers see from now on. */
static void on_stored(struct fake_sink *s, const struct fake_record *r)
{
        struct log *k = (struct log *)s;
        int64_t value = strstr(r->value, "\"source\":\"feed\"") ? fake_record_number(r, "\"value\":") : -1;

        if (r->topic != SINK_SAMPLES) {
                k->n_events++;
                return;
        }
        assert_true(r->seq < SEQS_MAX);
        if (k->times[r->seq]++) {
                assert_true(k->was_cut);
                k->n_again++;
                k->again_since_cut++;
        } else {
                k->n_unique++;
        }
        if (value >= 0) {
                assert_true(value < VALUES_MAX);
                if (k->seq_of[value])
                        assert_int_equal(k->seq_of[value], r->seq);
                k->seq_of[value] = r->seq;
        }
}

/* What was out at a power cut on our side is in the log or not, in order. */
static bool survives(struct fake_sink *s, const struct fake_record *r)
{
        struct log *k = (struct log *)s;

        k->lost |= s->away || rt_random(s->rt) < 0.01;
        return !k->lost;
}

static void log_cut(struct log *k)
{
        k->lost = false;
        fake_sink_cut(&k->sink, survives);
        assert_in_range(k->again_since_cut, 0, WINDOW);
        k->again_since_cut = 0;
        k->was_cut = true;
}

/* ---- a broker's session ---- */

enum { IN_FLIGHT = 200, BURST = 50 };

static struct {
        struct driver *d;
        struct rt_timer timer;
        struct driver_sync sync;
        struct mqtt_redelivery known;
        int64_t acked, got, limit; /* values below `acked` are acknowledged, below `got` under way */
        int64_t sent_before;       /* values below this were sent once: a resend has the DUP flag */
        uint32_t tag;
        bool paused, stopping;
        int64_t every_us;
} feed;

static void feed_arm(void)
{
        if (!feed.paused && !feed.stopping && !feed.sync.waiting)
                rt_timer_set(feed.d->rt, &feed.timer, feed.every_us);
}

static void on_feed_durable(struct driver *d)
{
        feed.acked = feed.got;
        if (feed.stopping)
                d->host->stopped(d);
        feed_arm();
}

static bool feed_one(int64_t value)
{
        struct reading r = {.tag = feed.tag, .type = READING_F64, .mid = (uint16_t)(1 + value % 65535)};
        struct mqtt_print print;
        struct rt_time now;
        bool dup = value < feed.sent_before;

        rt_now(feed.d->rt, &now);
        r.ts_us = r.arrival_us = now.wall_us;
        r.v.f64 = (double)value;
        mqtt_print_start(&print);
        mqtt_print_add(&print, &r);
        if (!dup)
                feed.sent_before = value + 1;
        if (mqtt_redelivery_looking(&feed.known) && mqtt_redelivery_known(&feed.known, r.mid, &print, dup))
                return true;
        if (driver_emit(feed.d, &r, 1, true) != 0)
                return false;
        mqtt_redelivery_add(&feed.known, r.mid, &print);
        return true;
}

static void on_feed_timer(struct rt_timer *t)
{
        for (int i = 0; i < BURST && feed.got < feed.limit && feed.got - feed.acked < IN_FLIGHT; i++) {
                if (!feed_one(feed.got))
                        break;
                feed.got++;
        }
        if (feed.got > feed.acked && !feed.sync.waiting) {
                feed.sync.on_durable = on_feed_durable;
                feed.d->host->sync(feed.d, &feed.sync);
        }
        feed_arm();
}

static void on_feed_recent(void *ctx, const struct reading *r)
{
        mqtt_redelivery_recall(&feed.known, r);
}

static int feed_init(struct driver *d, struct err *e)
{
        feed.d = d;
        feed.timer = (struct rt_timer){.on_due = on_feed_timer};
        memset(&feed.sync, 0, sizeof(feed.sync));
        memset(&feed.known, 0, sizeof(feed.known));
        mqtt_redelivery_init(&feed.known);
        feed.paused = feed.stopping = false;
        feed.got = feed.acked;
        return tags_intern(d->tags, "feed", "n", "", "", d->name, &feed.tag);
}

static void feed_start(struct driver *d)
{
        d->host->recent(d, on_feed_recent, NULL);
        mqtt_redelivery_recall(&feed.known, NULL);
        mqtt_redelivery_begin(&feed.known, true);
        d->host->link_up(d);
        feed_arm();
}

static void feed_pause(struct driver *d, bool on)
{
        feed.paused = on;
        if (on)
                rt_timer_cancel(d->rt, &feed.timer);
        feed_arm();
}

static void feed_stop(struct driver *d)
{
        feed.stopping = true;
        rt_timer_cancel(d->rt, &feed.timer);
        if (!feed.sync.waiting)
                d->host->stopped(d);
}

static void feed_fini(struct driver *d)
{
}

static const struct driver_ops feed_ops = {.kind = "feed",
                                           .init = feed_init,
                                           .start = feed_start,
                                           .pause = feed_pause,
                                           .stop = feed_stop,
                                           .fini = feed_fini};

/* ---- the stage ---- */

static struct {
        struct temp_dir dir;
        char path[TEMP_PATH_MAX];
        struct rt_sim sim;
        struct log kafka;
        struct config conf;
        struct config_driver drivers[2];
        struct sim_tag_conf sim_tag;
        struct sim_conf sim_conf;
        struct agent agent;
        struct spool_counts last;
        bool stopped;
        uint64_t steps;
} T;

static void check_invariants(void *ctx)
{
        struct spool_counts c;

        spool_counts(T.agent.spool, &c);
        T.steps++;
        assert_int_equal(c.accepted, c.delivered + c.held + c.dropped);
        assert_true(c.accepted >= T.last.accepted && c.delivered >= T.last.delivered && c.dropped >= T.last.dropped);
        assert_true(c.delivered <= T.kafka.n_unique);
        assert_true(c.accepted >= (uint64_t)feed.acked || feed.acked == 0);
        assert_true(c.spool_bytes <= T.conf.spool.max_size_bytes);
        T.last = c;
}

static void stage_open(void)
{
        struct err e;

        memset(&T.last, 0, sizeof(T.last));
        if (agent_open(&T.agent, &T.sim.rt, &T.conf, &T.kafka.sink.sink, &e) < 0)
                fail_msg("%s", e.text);
        agent_start(&T.agent);
}

static void stage_init(uint64_t seed, int64_t sources, int64_t period_us, uint64_t max_size, int when_full)
{
        memset(&T, 0, sizeof(T));
        memset(&feed, 0, sizeof(feed));
        temp_dir_init(&T.dir, "river_sim");
        temp_dir_path(&T.dir, "spool.db", T.path);
        rt_sim_init(&T.sim, seed, INT64_C(1795428000) * S);
        fake_sink_init(&T.kafka.sink, &T.sim.rt);
        T.kafka.sink.judge = judge;
        T.kafka.sink.on_stored = on_stored;
        T.kafka.times = calloc(SEQS_MAX, 1);
        T.kafka.seq_of = calloc(VALUES_MAX, sizeof(uint64_t));
        T.sim_tag =
                (struct sim_tag_conf){.tag = "v", .unit = "C", .wave = SIM_NOISE, .min = 0, .max = 100, .cycle_us = S};
        T.sim_conf = (struct sim_conf){.name = "floor",
                                       .source = "m",
                                       .period_us = period_us,
                                       .seed = 7,
                                       .count = sources,
                                       .tags = {&T.sim_tag, 1}};
        T.drivers[0] = (struct config_driver){&feed_ops, "feed", NULL};
        T.drivers[1] = (struct config_driver){&sim_ops, "floor", &T.sim_conf};
        T.conf = (struct config){
                .gateway = "gw-7",
                .spool = {.path = T.path,
                          .max_size_bytes = max_size,
                          .when_full = when_full,
                          .commit_interval_us = S,
                          .keep_delivered_us = 0,
                          .batch_rows = 2000,
                          .batch_bytes = 1 << 20,
                          .quarantine_bytes = 1 << 16},
                .kafka = {.window_records = WINDOW,
                          .window_bytes = 1 << 20,
                          .backfill_after_us = 300 * (int64_t)S,
                          .samples_topic = "s",
                          .events_topic = "e",
                          .status_topic = "h",
                          .backfill_topic = "b",
                          .raw_topic = "r"},
                .drivers = T.drivers,
                .n_drivers = 2,
                .max_tags = 50000,
        };
        feed.every_us = 20000;
        stage_open();
}

static void run_for(int64_t us)
{
        rt_sim_run(&T.sim, T.sim.now.mono_us + us, check_invariants, NULL);
}

static void power_cut(void)
{
        log_cut(&T.kafka);
        agent_abandon(&T.agent);
        rt_sim_cut(&T.sim);
        stage_open();
}

static void on_stopped(void *ctx)
{
        T.stopped = true;
}

/* Lets everything through, stops, and compares the two ends. */
static void finish(void)
{
        uint64_t all;

        T.kafka.retry_per_mille = 0;
        T.sim.work_delay_us = 1000;
        fake_sink_set_away(&T.kafka.sink, false);
        feed.limit = feed.got;
        run_for(S); /* the power may have been cut just now */
        for (int i = 0; i < 7200 && feed.acked < feed.got; i++)
                run_for(S);
        all = T.last.accepted;
        for (int i = 0; i < 7200 && T.last.delivered + T.last.dropped < all; i++)
                run_for(S);
        assert_true(T.last.delivered + T.last.dropped >= all);
        agent_stop(&T.agent, 2 * S, on_stopped, NULL);
        for (int i = 0; i < 100 && !T.stopped; i++)
                rt_sim_run(&T.sim, T.sim.now.mono_us + S / 10, NULL, NULL);
        assert_true(T.stopped);
        assert_true(agent_close(&T.agent));
        log_cut(&T.kafka);
        T.kafka.was_cut = false;
        rt_sim_fini(&T.sim);
}

static void release(void)
{
        fake_sink_fini(&T.kafka.sink);
        free(T.kafka.times);
        free(T.kafka.seq_of);
        temp_dir_fini(&T.dir);
}

/* ---- the plays ---- */

/* Random outages, retries, slow disks and power cuts; nothing may be lost. */
static void test_storms(void **state)
{
        for (uint64_t seed = 1; seed <= 12; seed++) {
                uint64_t cuts = 0;

                stage_init(seed, 20, S, 64 << 20, SPOOL_BLOCK);
                feed.limit = VALUES_MAX - 1;
                for (int i = 0; i < 60; i++) {
                        double dice = rt_random(&T.sim.rt);

                        run_for((int64_t)(rt_random(&T.sim.rt) * 2 * S));
                        if (dice < 0.1) {
                                power_cut();
                                cuts++;
                        } else if (dice < 0.3) {
                                fake_sink_set_away(&T.kafka.sink, !T.kafka.sink.away);
                        } else if (dice < 0.4) {
                                T.kafka.retry_per_mille = T.kafka.retry_per_mille ? 0 : 5;
                        } else if (dice < 0.5) {
                                T.sim.work_delay_us = (int64_t)(rt_random(&T.sim.rt) * rt_random(&T.sim.rt) * 3 * S);
                        }
                }
                finish();
                assert_true(feed.acked > 1000);
                for (int64_t v = 0; v < feed.acked; v++)
                        assert_true(T.kafka.seq_of[v] != 0);
                release();
        }
}

/* ---- other configurations while it flows ---- */

static struct {
        struct config conf[2];
        struct config_driver drivers[2][2];
        struct sim_conf sim[2];
        struct reload_plan plan;
        int at; /* the one in use */
        bool under_way;
        int n_changes;
} R;

static void on_change_fault(void *ctx, const char *words)
{
        fail_msg("%s", words);
}

static void on_retired(void *ctx)
{
        assert_int_equal(agent_reconfigure(&T.agent, &R.conf[!R.at], &R.plan, NULL, on_change_fault, NULL), 0);
        assert_false(agent_uses(&T.agent, &R.conf[R.at]) && R.plan.n_kept == 0);
        reload_plan_fini(&R.plan);
        R.at = !R.at;
        R.under_way = false;
        R.n_changes++;
}

/* Another configuration: the made-up floor always differs, the broker's session when the dice say so. */
static void change(double dice)
{
        struct config *is = &R.conf[!R.at];

        if (R.under_way)
                return;
        *is = R.conf[R.at];
        memcpy(R.drivers[!R.at], R.drivers[R.at], sizeof(R.drivers[0]));
        R.sim[!R.at] = R.sim[R.at];
        R.sim[!R.at].period_us = (int64_t)(1 + dice * 10) * S / 10;
        R.drivers[!R.at][1].conf = &R.sim[!R.at];
        is->drivers = R.drivers[!R.at];
        is->n_drivers = dice < 0.8 ? 2 : 1;
        is->spool.when_full = (int)(dice * 3);
        is->spool.batch_rows = 500 + (int64_t)(dice * 3000);
        is->spool.commit_interval_us = (int64_t)(dice * S) + 1000;
        is->kafka.window_bytes = 65536 + (uint64_t)(dice * (1 << 20));
        is->kafka.rate_limit_bytes_s = dice < 0.3 ? 1000000 : 0;
        reload_plan(&R.plan, &R.conf[R.at], is);
        R.plan.drivers[0].changed = dice < 0.5; /* a driver without a table has no words to compare */
        R.under_way = true;
        agent_retire(&T.agent, &R.plan, on_retired, NULL);
}

static void test_reconfigured(void **state)
{
        for (uint64_t seed = 1; seed <= 12; seed++) {
                stage_init(seed, 20, S, 64 << 20, SPOOL_BLOCK);
                memset(&R, 0, sizeof(R));
                R.conf[0] = T.conf;
                memcpy(R.drivers[0], T.drivers, sizeof(T.drivers));
                R.sim[0] = T.sim_conf;
                feed.limit = VALUES_MAX - 1;
                for (int i = 0; i < 100; i++) {
                        double dice = rt_random(&T.sim.rt);

                        run_for((int64_t)(rt_random(&T.sim.rt) * S));
                        change(dice);
                        if (dice < 0.1)
                                fake_sink_set_away(&T.kafka.sink, !T.kafka.sink.away);
                        else if (dice < 0.2)
                                T.kafka.retry_per_mille = T.kafka.retry_per_mille ? 0 : 5;
                        else if (dice < 0.3)
                                T.sim.work_delay_us = (int64_t)(rt_random(&T.sim.rt) * rt_random(&T.sim.rt) * 3 * S);
                }
                T.sim.work_delay_us = 1000;
                run_for(10 * S);
                assert_false(R.under_way);
                assert_true(R.n_changes > 20);
                finish();
                assert_true(feed.acked > 1000);
                for (int64_t v = 0; v < feed.acked; v++)
                        assert_true(T.kafka.seq_of[v] != 0);
                assert_int_equal(T.kafka.n_again, 0);
                assert_int_equal(T.last.dropped, 0);
                release();
        }
}

/* A day without Kafka, 300 tags, two power cuts, then it drains: every seq arrived. */
static void test_a_day_away(void **state)
{
        stage_init(99, 300, 10 * S, 512 << 20, SPOOL_BLOCK);
        feed.limit = 1000;
        fake_sink_set_away(&T.kafka.sink, true);
        for (int hour = 0; hour < 24; hour++) {
                run_for((int64_t)3600 * S);
                if (hour == 7 || hour == 15)
                        power_cut();
        }
        assert_true(T.last.held > 24 * 3600 / 10 * 300 * 99 / 100);
        finish();
        assert_true(T.kafka.n_unique > 24 * 3600 / 10 * 300 * 99 / 100);
        for (int64_t v = 0; v < 1000; v++)
                assert_true(T.kafka.seq_of[v] != 0);
        release();
}

/* A spool that is too small for the outage, oldest dropped: what is missing is in the ledger, to the row. */
static void test_drop_oldest(void **state)
{
        uint64_t last, missing = 0;

        stage_init(5, 200, S, 8 << 20, SPOOL_DROP_OLDEST);
        feed.limit = VALUES_MAX - 1;
        fake_sink_set_away(&T.kafka.sink, true);
        run_for((int64_t)1800 * S);
        assert_true(T.last.dropped > 0);
        finish();
        last = T.last.accepted;
        for (uint64_t seq = 1; seq <= T.last.accepted - T.last.held; seq++)
                missing += !T.kafka.times[seq];
        assert_true(last > 300000);
        assert_int_equal(missing, T.last.dropped);
        release();
}

/* A full spool that blocks, with delivered rows kept for an hour: when Kafka is back the source goes on, and all
 * arrives. */
static void test_blocked_source_goes_on(void **state)
{
        stage_init(6, 1, 60 * S, 4 << 20, SPOOL_BLOCK);
        T.conf.spool.keep_delivered_us = 3600 * (int64_t)S;
        power_cut(); /* opens it with that */
        feed.limit = VALUES_MAX - 1;
        feed.every_us = 1000;
        fake_sink_set_away(&T.kafka.sink, true);
        run_for(120 * (int64_t)S);
        assert_true(feed.paused);
        assert_in_range(feed.acked, 10000, VALUES_MAX / 2);
        fake_sink_set_away(&T.kafka.sink, false);
        for (int i = 0; i < 3600 && feed.acked < feed.limit; i++)
                run_for(S);
        assert_int_equal(feed.acked, feed.limit);
        finish();
        for (int64_t v = 0; v < feed.acked; v++)
                assert_true(T.kafka.seq_of[v] != 0);
        release();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_storms),
                cmocka_unit_test(test_reconfigured),
                cmocka_unit_test(test_a_day_away),
                cmocka_unit_test(test_drop_oldest),
                cmocka_unit_test(test_blocked_source_goes_on),
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
