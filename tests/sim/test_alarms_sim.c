/*
 * Alarms in virtual time: a source that sends again what was not acknowledged → rules → notifier, spool (real
 * SQLite) and Kafka, with commits that take 300 ms, a Kafka that goes away and power cuts at random moments.
 *
 * What must have happened is computed from the values sent, by a second, naive reading of "enters at the limit, leaves
 * below limit - deadband".  Against it are held: what the notifier was told and when, and what Kafka got.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/base/rt_sim.h"
#include "drivers/mqtt/redelivery.h"
#include "tests/lib/fake_sink.h"
#include "tests/lib/rule_blank.h"
#include "tests/lib/temp_dir.h"

enum { TAGS_MAX = 1000, TIMES_MAX = 600, MESSAGES_MAX = 60000, S = 1000000, ID = 24 };

/* ---- what is known from outside, over all cuts ---- */

struct times { /* an alarm's n-th activation, from 1 */
        char id[ID];
        unsigned told_active, told_returned;   /* how often the notifier was told */
        unsigned kafka_active, kafka_returned; /* how often Kafka got it */
        bool grouped;                          /* some telling of it was left to a group */
};

static struct {
        struct temp_dir dir;
        char path[TEMP_PATH_MAX];
        struct rt_sim sim;
        struct config conf;
        struct config_driver driver;
        struct rule_conf rules[2];
        struct agent agent;
        struct alarm_notifier notifier;

        int n_tags;
        int64_t every_us;
        double (*value)(int64_t message);
        double high, back; /* limit, limit - deadband */
        struct times (*times)[TIMES_MAX];
        int64_t sent_at_us[MESSAGES_MAX]; /* handed over for the first time, in this life */
        int64_t now_message;
        int64_t latency_us[MESSAGES_MAX];
        size_t n_told, n_groups, n_in_groups;
        int worst_told;

        struct fake_sink kafka;
        uint64_t n_events;
} T;

static struct times *times_of(const char *tag, unsigned long n)
{
        unsigned long t = strtoul(tag + 1, NULL, 10);

        assert_true(t < (unsigned long)T.n_tags && n >= 1 && n < TIMES_MAX);
        return &T.times[t][n];
}

static void same_id(struct times *t, const char *id)
{
        if (!t->id[0])
                snprintf(t->id, sizeof(t->id), "%s", id);
        assert_string_equal(t->id, id);
}

/* Where a tag has two rules, the second is looked at. */
static bool counts(const char *tag, const char *rule)
{
        return T.conf.alarm_sections.alarms.n == 1 || strcmp(tag, "t777") != 0 || strcmp(rule, "worst") == 0;
}

/* ---- the notifier ---- */

static void on_told(struct alarm_notifier *n, const struct alarm_notice *notice)
{
        const struct rules_transition *t = notice->t;
        struct times *x;

        if (!t) {
                T.n_groups++;
                T.n_in_groups += strtoul(strstr(notice->json, "\"activated\":") + 12, NULL, 10);
                return;
        }
        if ((t->change != ALARM_ACTIVATED && t->change != ALARM_RETURNED) || !counts(t->row.tag, t->row.rule))
                return;
        x = times_of(t->row.tag, t->row.seq);
        same_id(x, t->row.event_id);
        if (t->change == ALARM_ACTIVATED)
                x->told_active++;
        else
                x->told_returned++;
        T.worst_told = t->row.severity > T.worst_told ? t->row.severity : T.worst_told;
        T.latency_us[T.n_told++] = T.sim.now.mono_us - T.sent_at_us[T.now_message];
}

/* ---- Kafka ---- */

static const char *text_after(const char *json, const char *key, char out[64])
{
        const char *at = strstr(json, key);

        assert_non_null(at);
        at += strlen(key);
        snprintf(out, 64, "%.*s", (int)strcspn(at, "\",}"), at);
        return out;
}

static void on_stored(struct fake_sink *k, const struct fake_record *r)
{
        char id[64], tag[64], rule[64], state[64], n[64];
        struct times *x;

        if (r->topic != SINK_EVENTS || !strstr(r->value, "\"kind\":\"alarm\"") || !strstr(r->value, "\"limit_kind\""))
                return;
        text_after(r->value, "\"state\":\"", state);
        text_after(r->value, "\"tag\":\"", tag);
        if ((strcmp(state, "active") != 0 && strcmp(state, "returned") != 0) ||
            !counts(tag, text_after(r->value, "\"rule\":\"", rule)))
                return;
        x = times_of(tag, strtoul(text_after(r->value, "\"activations\":", n), NULL, 10));
        T.n_events++;
        same_id(x, text_after(r->value, "\"event_id\":\"", id));
        assert_null(strstr(strstr(r->value, "\"event_id\"") + 1, "\"event_id\""));
        assert_non_null(strstr(r->value, "\"sample_seq\":"));
        x->grouped |= strstr(r->value, "\"grouped\":true") != NULL;
        x->kafka_active += strcmp(state, "active") == 0;
        x->kafka_returned += strcmp(state, "returned") == 0;
}

/* ---- the source ---- */

static struct {
        struct driver *d;
        struct rt_timer timer;
        struct driver_sync sync;
        struct mqtt_redelivery known;
        int64_t acked, got, published, resend_below;
        int64_t begin_us; /* message 0 is published then */
        uint32_t tag[TAGS_MAX];
        bool stopping;
} feed;

static void on_durable(struct driver *d)
{
        feed.acked = feed.got;
        if (feed.stopping)
                d->host->stopped(d);
}

static void hand_over(int64_t k)
{
        struct reading r = {.tag = feed.tag[k % T.n_tags], .type = READING_F64, .mid = (uint16_t)(1 + k % 65535)};
        struct mqtt_print print;
        bool dup = k < feed.resend_below;

        r.ts_us = r.arrival_us = T.sim.now.wall_us;
        r.v.f64 = T.value(k);
        mqtt_print_start(&print);
        mqtt_print_add(&print, &r);
        if (mqtt_redelivery_looking(&feed.known) && mqtt_redelivery_known(&feed.known, r.mid, &print, dup))
                return;
        T.now_message = k;
        T.sent_at_us[k] = T.sim.now.mono_us;
        assert_int_equal(driver_emit(feed.d, &r, 1, true), 0);
        mqtt_redelivery_add(&feed.known, r.mid, &print);
}

static void on_feed(struct rt_timer *t)
{
        while (feed.begin_us + feed.published * T.every_us <= T.sim.now.mono_us && feed.published < MESSAGES_MAX)
                feed.published++;
        for (; feed.got < feed.published; feed.got++)
                hand_over(feed.got);
        if (feed.got > feed.acked && !feed.sync.waiting) {
                feed.sync.on_durable = on_durable;
                feed.d->host->sync(feed.d, &feed.sync);
        }
        rt_timer_set(feed.d->rt, &feed.timer, T.every_us);
}

static void on_recent(void *ctx, const struct reading *r)
{
        mqtt_redelivery_recall(&feed.known, r);
}

static int feed_init(struct driver *d, struct err *e)
{
        char name[16];
        int rc = 0;

        feed.d = d;
        feed.timer = (struct rt_timer){.on_due = on_feed};
        memset(&feed.sync, 0, sizeof(feed.sync));
        memset(&feed.known, 0, sizeof(feed.known));
        feed.stopping = false;
        feed.resend_below = feed.got;
        feed.got = feed.acked;
        for (int i = 0; i < T.n_tags && !rc; i++) {
                snprintf(name, sizeof(name), "t%d", i);
                rc = tags_intern(d->tags, "feed", name, "", "", d->name, &feed.tag[i]);
        }
        return rc;
}

static void feed_start(struct driver *d)
{
        d->host->recent(d, on_recent, NULL);
        mqtt_redelivery_recall(&feed.known, NULL);
        mqtt_redelivery_begin(&feed.known, true);
        d->host->link_up(d);
        rt_timer_set(d->rt, &feed.timer, 0);
}

static void feed_pause(struct driver *d, bool on)
{
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

static void stage_open(void)
{
        struct err e;

        T.notifier = (struct alarm_notifier){.tell = on_told};
        if (agent_open(&T.agent, &T.sim.rt, &T.conf, &T.kafka.sink, &e) < 0)
                fail_msg("%s", e.text);
        alarms_add_notifier(T.agent.alarms, &T.notifier);
        agent_start(&T.agent);
}

static void stage_init(uint64_t seed, int n_tags, int64_t every_us, double (*value)(int64_t))
{
        memset(&T, 0, sizeof(T));
        memset(&feed, 0, sizeof(feed));
        temp_dir_init(&T.dir, "alarms_sim");
        temp_dir_path(&T.dir, "spool.db", T.path);
        rt_sim_init(&T.sim, seed, INT64_C(1795428000) * S);
        T.sim.work_delay_us = 300000;
        T.n_tags = n_tags;
        T.every_us = every_us;
        T.value = value;
        T.high = 80;
        T.back = 75;
        T.times = calloc(TAGS_MAX, sizeof(*T.times));
        fake_sink_init(&T.kafka, &T.sim.rt);
        T.kafka.most = INT_MAX;
        T.kafka.on_stored = on_stored;
        feed.begin_us = T.sim.now.mono_us;
        for (int i = 0; i < 2; i++) {
                T.rules[i] = rule_blank(RULE_LIMITS);
                T.rules[i].hi = T.high;
                T.rules[i].deadband = T.high - T.back;
                T.rules[i].severity = T.rules[i].severity_outer = i ? 900 : 500;
        }
        T.rules[1].match = "*/t777";
        T.rules[1].name = "worst";
        T.driver = (struct config_driver){&feed_ops, "feed", NULL};
        T.conf = (struct config){.gateway = "gw-7",
                                 .spool = {.path = T.path,
                                           .max_size_bytes = 64 << 20,
                                           .when_full = SPOOL_BLOCK,
                                           .commit_interval_us = S,
                                           .batch_rows = 2000,
                                           .batch_bytes = 1 << 20,
                                           .quarantine_bytes = 1 << 16},
                                 .kafka = {.window_records = 500,
                                           .window_bytes = 1 << 20,
                                           .backfill_after_us = 300 * (int64_t)S,
                                           .samples_topic = "s",
                                           .events_topic = "e",
                                           .status_topic = "h",
                                           .backfill_topic = "b",
                                           .raw_topic = "r"},
                                 .alarm_sections.alarms = {T.rules, 1},
                                 .drivers = &T.driver,
                                 .n_drivers = 1,
                                 .max_tags = 50000};
        stage_open();
}

static void run_for(int64_t us)
{
        rt_sim_run(&T.sim, T.sim.now.mono_us + us, NULL, NULL);
}

static void power_cut(void)
{
        fake_sink_cut(&T.kafka, NULL);
        agent_abandon(&T.agent);
        rt_sim_cut(&T.sim);
        stage_open();
}

static void finish(void)
{
        T.agent.on_stopped = NULL;
        assert_true(agent_close(&T.agent));
        rt_sim_fini(&T.sim);
        fake_sink_fini(&T.kafka);
        free(T.times);
        temp_dir_fini(&T.dir);
}

/* Lets all that was handed over reach the disk and Kafka. */
static void settle(void)
{
        fake_sink_set_away(&T.kafka, false);
        feed.begin_us += (int64_t)1 << 50; /* nothing new */
        run_for(20 * (int64_t)S);
        assert_int_equal(feed.acked, feed.got);
        run_for(20 * (int64_t)S);
}

static int by_size(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return x < y ? -1 : x > y;
}

/* ---- a second opinion ---- */

/* Runs over all messages of one tag. Returns its activations, each checked. */
static unsigned check_tag(int tag, unsigned *returned)
{
        unsigned n = 0;
        bool active = false;

        *returned = 0;
        for (int64_t k = tag; k < feed.acked; k += T.n_tags) {
                double v = T.value(k);

                if (!active && v >= T.high) {
                        active = true;
                        n++;
                        assert_true(T.times[tag][n].kafka_active >= 1);
                        assert_true(T.times[tag][n].told_active >= 1 || T.times[tag][n].grouped);
                } else if (active && v < T.back) {
                        active = false;
                        (*returned)++;
                        assert_true(T.times[tag][n].kafka_returned >= 1);
                        assert_true(T.times[tag][n].told_returned >= 1 || T.times[tag][n].grouped);
                }
        }
        assert_string_equal(T.times[tag][n + 1].id, ""); /* and nothing that did not happen */
        return n;
}

static void check_ids_differ(void)
{
        for (int a = 0; a < T.n_tags; a++)
                for (int n = 1; n < TIMES_MAX && T.times[a][n].id[0]; n++)
                        for (int m = 1; m < n; m++)
                                assert_string_not_equal(T.times[a][n].id, T.times[a][m].id);
}

/* ---- the plays ---- */

/* Above the limit now and then, near it in between: about one transition in two minutes over all tags. */
static double wave(int64_t k)
{
        uint64_t x = (uint64_t)k * 0x9e3779b97f4a7c15u;

        x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
        x ^= x >> 32;
        return x % 53 == 0 ? 81 + (double)(x % 7) : x % 3 ? 60 + (double)(x % 10) : 76 + (double)(x % 4);
}

/* Kills at random moments: no transition is lost, none is told under two names. */
static void test_kills(void **state)
{
        uint64_t again = 0;
        size_t told = 0;

        for (uint64_t seed = 1; seed <= 8; seed++) {
                unsigned activations = 0, returns = 0, cuts = 0;

                stage_init(seed, 5, S, wave);
                for (int i = 0; i < 400; i++) {
                        double dice = rt_random(&T.sim.rt);

                        run_for((int64_t)(rt_random(&T.sim.rt) * 8 * S));
                        if (dice < 0.4) {
                                power_cut();
                                cuts++;
                        } else if (dice < 0.5) {
                                fake_sink_set_away(&T.kafka, !T.kafka.away);
                        }
                }
                settle();
                for (int tag = 0; tag < T.n_tags; tag++) {
                        unsigned back;

                        activations += check_tag(tag, &back);
                        returns += back;
                        for (int n = 1; n < TIMES_MAX; n++)
                                again += T.times[tag][n].told_active > 1;
                }
                check_ids_differ();
                assert_true(cuts > 100 && activations > 15 && returns > 10);
                told += T.n_told;
                finish();
        }
        assert_true(again > 0); /* else no cut fell between telling and storing, and nothing was tested */
        print_message("told %zu times, %lu activations again after a cut, each under its id\n", told,
                      (unsigned long)again);
}

/* Commits of 300 ms and no Kafka: the notifier hears at once all the same. */
static void test_latency(void **state)
{
        stage_init(99, 5, S, wave);
        fake_sink_set_away(&T.kafka, true);
        run_for(3600 * (int64_t)S);
        assert_true(T.n_told > 40);
        qsort(T.latency_us, T.n_told, sizeof(*T.latency_us), by_size);
        print_message("latency over %zu: p50 %ld us, p99 %ld us, most %ld us\n", T.n_told,
                      (long)T.latency_us[T.n_told / 2], (long)T.latency_us[T.n_told * 99 / 100],
                      (long)T.latency_us[T.n_told - 1]);
        assert_in_range(T.latency_us[T.n_told * 99 / 100], 0, 250000);
        assert_int_equal(T.n_events, 0);
        settle();
        assert_true(T.n_events > 40);
        finish();
}

static double over(int64_t k)
{
        return k >= 1000 ? 60 : 90;
}

/* 1,000 alarms in 10 s: the first ten and the worst at once, the rest in groups, all of them in Kafka. */
static void test_flood(void **state)
{
        stage_init(7, 1000, 10000, over);
        T.conf.alarm_sections.alarms.n = 2;
        power_cut(); /* opens it with the rule of the worst */
        feed.begin_us = T.sim.now.mono_us;
        fake_sink_set_away(&T.kafka, true);
        run_for(9990000);
        assert_int_equal(T.worst_told, 900);
        assert_in_range(T.n_told, 11, 20);
        assert_true(T.times[0][1].told_active == 1 && T.times[777][1].told_active >= 1);
        qsort(T.latency_us, T.n_told, sizeof(*T.latency_us), by_size);
        assert_in_range(T.latency_us[T.n_told - 1], 0, 250000);
        settle();
        run_for(60 * (int64_t)S);
        assert_true(T.n_groups >= 1 && T.n_groups <= 3);
        print_message("flood: %zu told one by one, %zu in %zu groups\n", T.n_told, T.n_in_groups, T.n_groups);
        for (int tag = 0; tag < 1000; tag++)
                assert_true(T.times[tag][1].kafka_active >= 1);
        finish();
}

static enum alarm_visibility seen;

static void on_row(void *ctx, const struct rules_row *row)
{
        if (strcmp(row->tag, "t0") == 0)
                seen = row->visibility;
}

/* An operator's word that was answered survives a cut; its time goes on meanwhile. */
static void test_shelving_survives(void **state)
{
        struct alarm_key key = {.source = "feed", .tag = "t0", .rule = "limits"};

        stage_init(3, 5, S, over);
        run_for(10 * (int64_t)S);
        assert_int_equal(alarms_command(T.agent.alarms, &key, ALARM_SHELVE, T.sim.now.wall_us + 3600 * (int64_t)S,
                                        "kim", "test"),
                         0);
        run_for(S); /* its commit, and no more */
        power_cut();
        alarms_each(T.agent.alarms, false, on_row, NULL);
        assert_int_equal(seen, ALARM_SHELVED);
        run_for(3590 * (int64_t)S);
        alarms_each(T.agent.alarms, false, on_row, NULL);
        assert_int_equal(seen, ALARM_SHELVED);
        run_for(20 * (int64_t)S);
        power_cut();
        seen = ALARM_SHELVED;
        alarms_each(T.agent.alarms, true, on_row, NULL);
        assert_int_equal(seen, ALARM_SHOWN);
        finish();
}

/* ---- what is learned ---- */

static int64_t shift_at; /* message */

static double steady(int64_t k)
{
        uint64_t x = (uint64_t)k * 0x9e3779b97f4a7c15u;

        return 60 + (double)((x ^ (x >> 31)) % 1000) / 500 + (k >= shift_at ? 30 : 0);
}

static void learn_for(int64_t us)
{
        const char *key;
        struct err e;

        shift_at = INT64_MAX;
        stage_init(11, 5, S, steady);
        T.rules[0].kind = RULE_DEVIATION;
        T.rules[0].hi = T.rules[0].deadband = NAN;
        assert_int_equal(rules_schema.check(&T.rules[0], &key, &e), 0);
        power_cut(); /* opens it with this rule */
        run_for(us);
        assert_int_equal(T.n_told, 0);
}

/* All five tags shift now; how many were told within a minute, the noise told nothing. */
static size_t told_of_a_shift(void)
{
        size_t before = T.n_told;

        run_for(30 * (int64_t)S);
        assert_int_equal(T.n_told, before);
        shift_at = feed.published;
        run_for(60 * (int64_t)S);
        return T.n_told - before;
}

static void on_stopped(void *ctx)
{
        *(bool *)ctx = true;
}

static void restart(void)
{
        bool stopped = false;

        agent_stop(&T.agent, S, on_stopped, &stopped);
        for (int i = 0; i < 20 && !stopped; i++)
                run_for(S);
        assert_true(stopped);
        assert_true(agent_close(&T.agent));
        stage_open();
}

/* Learned for an hour: over a clean stop, over a power cut (as of the last hour), but not for more than a week. */
static void test_what_is_learned_survives(void **state)
{
        static const struct {
                int64_t learn_s;
                int how; /* 0: a clean stop, 1: a power cut, 2: a clean stop, and a long time */
                size_t told;
        } plays[] = {{3000, 0, 5}, {3700, 1, 5}, {3000, 1, 0}, {3000, 2, 0}};

        for (size_t i = 0; i < sizeof(plays) / sizeof(*plays); i++) {
                learn_for(plays[i].learn_s * S);
                if (plays[i].how == 2) {
                        restart();
                        rt_sim_step_wall(&T.sim, 8 * 86400 * (int64_t)S);
                        power_cut();
                } else if (plays[i].how == 1) {
                        power_cut();
                } else {
                        restart();
                }
                assert_int_equal(told_of_a_shift(), plays[i].told);
                finish();
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kills),
                cmocka_unit_test(test_latency),
                cmocka_unit_test(test_flood),
                cmocka_unit_test(test_shelving_survives),
                cmocka_unit_test(test_what_is_learned_survives),
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
