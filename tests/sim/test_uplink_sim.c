/*
 * The uplink on a real spool in virtual time, against a Kafka that goes away, refuses records for a while or for ever,
 * refuses whole batches for one record, is full at times, and against power cuts.
 *
 * After every callback: a row is released only after Kafka had it, or it is a dead letter or in the ledger, and never
 * two of these; in each
 * topic the rows of a key are sent in the order of seq; the rates hold; where fresh rows overtake, they are fresh. At
 * the end: every row reached Kafka but those; twice only across a cut, and no more of these than the windows hold.
 *
 *   test_uplink_sim NAME N SEED      the scenario of that name with N seeds
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/rt_sim.h"
#include "agent/base/text.h"
#include "agent/cli/audit.h"
#include "tests/lib/fake_sink.h"
#include "tests/lib/temp_dir.h"
#include "uplink/lane.h"
#include "uplink/uplink.h"

enum { ROWS_MAX = 1000000, WINDOW = 700, EVENT_WINDOW = 256, OUT_MAX = 4096, S = 1000000, MINUTE = 60 * S };

struct scenario {
        const char *name;
        uint64_t seed;
        int minutes;
        int rows_per_s;
        int burst_s; /* then nothing more comes; 0: it never ends */
        uint64_t max_size;
        uint64_t rate_limit, backfill_rate_limit;
        int window;           /* records; 0: WINDOW */
        uint64_t shrinks_to;  /* max_size half way; when_full is block then, else drop_oldest */
        bool plain;           /* live_first is off */
        bool late;            /* it is switched on on the way */
        int backfill_after_s; /* 0: a minute */
        int fresh_s; /* so long after an outage, and from then on, what comes to the samples topic is not older */
        int text_len;
        int outage_pct;       /* how much of the time Kafka is away */
        int samples_away_pct; /* and the leader of the samples topic alone */
        int retry_permille;   /* of records */
        int full_permille;    /* of produce calls */
        int poison_permille;  /* of rows */
        int cuts;
        bool exact;          /* in transactions: nothing twice, whatever is cut when */
        int line_permille;   /* of what is done with transactions: not yet, only to be aborted, broken, fenced */
        bool refuses_rights; /* at the beginning all samples are refused */
        bool drops;          /* the disk is too small for the outage */
        bool quiet;          /* half of each ten minutes no readings are sent */
};

/* What a consumer of a topic would have written down. */
struct texts {
        char **v;
        size_t n, cap;
};

struct world {
        struct fake_sink kafka; /* first */
        struct texts records, beats;
        uint64_t n_checks;
        const struct scenario *sc;
        struct rt_sim sim;
        struct spool *spool;
        struct tags *tags;
        struct uplink *uplink;
        struct spool_conf spool_conf;
        struct kafka_conf kafka_conf;
        struct temp_dir dir;
        char path[TEMP_PATH_MAX];
        struct rt_timer feed, broker;
        bool ending, stopped;
        bool samples_away; /* who leads the samples topic; the others answer */
        int64_t away_until_us, start_us;
        uint8_t *times[SPOOL_LANES];   /* by seq: how often Kafka took it */
        uint8_t *dropped[SPOOL_LANES]; /* by seq: in the ledger */
        uint64_t checked[SPOOL_LANES];
        uint64_t n_lost_events;
        uint64_t last_acked;
        int64_t moved_us;                  /* when the watermark did last, with Kafka there and something to do */
        uint64_t n_again, n_again_allowed; /* taken twice */
        uint64_t n_backfill, n_overtaken;  /* rows of the backfill topic; those sent when later ones were with Kafka */
        uint8_t *produced[SINK_TOPICS];    /* by seq: ever */
        uint64_t last_new[SINK_TOPICS][2]; /* by key: the last seq that was new in that topic */
        uint64_t bytes, backfill_bytes;    /* of readings, since the last cut */
        uint64_t highest_taken;
        int64_t open_us, back_us, newest_us;  /* since when: house, Kafka; the newest reading in the samples topic */
        uint64_t last_stored[SINK_TOPICS][2]; /* exact: by key, as a reader of committed records sees it */
        int told;                             /* what the uplink said last: up, down, -1 nothing */
};

static uint64_t rnd(struct world *w, uint64_t below)
{
        return (uint64_t)(rt_random(&w->sim.rt) * (double)below);
}

static bool is_poison(const struct world *w, enum spool_lane lane, uint64_t seq)
{
        return lane == SPOOL_SAMPLES && (seq * 2654435761u >> 7) % 1000 < (uint64_t)w->sc->poison_permille;
}

/* ---- Kafka ---- */

static enum spool_lane lane_of(const struct fake_record *o)
{
        return o->topic == SINK_EVENTS ? SPOOL_EVENTS : SPOOL_SAMPLES;
}

static void note(struct texts *t, const char *text)
{
        if (t->n == t->cap) {
                t->cap = t->cap ? 2 * t->cap : 1024;
                t->v = realloc(t->v, t->cap * sizeof(*t->v));
        }
        t->v[t->n++] = strdup(text);
}

/* A heartbeat arrives; of some the answer does not. */
static void beat(struct world *w)
{
        char *seal = malloc(SEAL_TEXT_MAX), *text = malloc(2 * SEAL_TEXT_MAX), *p;

        uplink_seal(w->uplink, 1000, seal);
        p = text + sprintf(text, "{\"seal\":\"");
        p += text_put_json(p, seal, strlen(seal));
        strcpy(p, "\"}");
        note(&w->beats, text);
        if (w->n_checks % 3)
                seal_told(&w->uplink->seal, w->uplink->seal.token);
        free(text);
        free(seal);
}

static void on_finding(void *ctx, const struct audit_finding *f)
{
        if (f->is_fault)
                fail_msg("%s, %s %llu to %llu: %s", f->what, f->lane, (unsigned long long)f->first,
                         (unsigned long long)f->last, f->why);
}

static void on_sum(void *ctx, const struct audit_sum *s)
{
        assert_true(s->n_sealed == s->n_found);
}

/* A stranger finds nothing wrong with what came, whatever happened meanwhile. */
static void check_seals(struct world *w)
{
        struct audit_conf conf = {.since_us = INT64_MIN, .until_us = INT64_MAX};
        struct audit *a = audit_new(&conf);

        if (!w->sc->exact)
                beat(w);
        for (size_t i = 0; i < w->beats.n; i++)
                audit_heartbeat(a, w->beats.v[i], strlen(w->beats.v[i]));
        for (size_t i = 0; i < w->records.n; i++)
                audit_record(a, NULL, 0, w->records.v[i], strlen(w->records.v[i]));
        assert_true(w->sc->exact || audit_end(a, on_finding, on_sum, NULL)); /* with transactions nothing is sealed */
        audit_free(a);
        for (struct texts *t = &w->records; t <= &w->beats; t++) {
                for (size_t i = 0; i < t->n; i++)
                        free(t->v[i]);
                free(t->v);
        }
}

static void check_committed(struct world *w, const struct fake_record *o)
{
        uint64_t *last = &w->last_stored[o->topic][strstr(o->value, "\"source\":\"a\"") != NULL];

        assert_int_equal(w->times[lane_of(o)][o->seq], 0);
        assert_true(o->seq > *last);
        *last = o->seq;
}

static enum txn_event judge_line(struct fake_sink *k, enum sink_line line, enum txn_act act, bool *happens)
{
        static const enum txn_event outcomes[] = {TXN_AGAIN,  TXN_AGAIN,  TXN_ABORTABLE,
                                                  TXN_BROKEN, TXN_BROKEN, TXN_TWIN};
        struct world *w = (struct world *)k;

        *happens = rnd(w, 2);
        if (w->ending || (int)rnd(w, 1000) >= w->sc->line_permille)
                return TXN_DONE;
        *happens &= act == TXN_COMMIT;
        return *happens ? TXN_BROKEN : outcomes[rnd(w, sizeof(outcomes) / sizeof(*outcomes))];
}

static void on_stored(struct fake_sink *k, const struct fake_record *o)
{
        struct world *w = (struct world *)k;
        enum spool_lane lane = lane_of(o);

        assert_false(is_poison(w, lane, o->seq));
        assert_false(w->dropped[lane][o->seq]);
        if (w->sc->exact)
                check_committed(w, o);
        w->n_again += w->times[lane][o->seq] != 0;
        w->times[lane][o->seq]++;
        note(&w->records, o->value);
        if (o->topic == SINK_SAMPLES && fake_record_number(o, ",\"ts_us\":") > w->newest_us)
                w->newest_us = fake_record_number(o, ",\"ts_us\":");
        if (lane == SPOOL_SAMPLES && o->seq > w->highest_taken)
                w->highest_taken = o->seq;
}

/* What is new in a topic comes in the order of seq; what came before may come again, after a refusal or a cut. */
static void check_order(struct world *w, const struct fake_record *o, bool of_a)
{
        if (w->produced[o->topic][o->seq])
                return;
        assert_true(o->seq > w->last_new[o->topic][of_a]);
        w->last_new[o->topic][of_a] = o->seq;
        w->produced[o->topic][o->seq] = 1;
}

static bool is_within(const struct world *w, uint64_t bytes, uint64_t bytes_s)
{
        double s = (double)(w->sim.now.mono_us - w->open_us) / S, burst = bytes_s / 2 > 16384 ? bytes_s / 2 : 16384;

        return !bytes_s || (double)bytes <= burst + s * (double)bytes_s + 1024;
}

static struct hours_conf quiet_hours[24 * 6];

/* The first five minutes of each ten, by the gateway's own clock. */
static void make_quiet_hours(struct kafka_conf *c)
{
        static char text[24 * 6][2][8];
        struct err e;
        const char *key;

        for (int i = 0; i < 24 * 6; i++) {
                snprintf(text[i][0], sizeof(text[i][0]), "%02d:%02d", i / 6, i % 6 * 10);
                snprintf(text[i][1], sizeof(text[i][1]), "%02d:%02d", i / 6, i % 6 * 10 + 5);
                quiet_hours[i] = (struct hours_conf){.from = text[i][0], .to = text[i][1], .quiet = true};
                assert_int_equal(hours_schema.check(&quiet_hours[i], &key, &e), 0);
        }
        c->hours = (struct schema_list){quiet_hours, 24 * 6};
}

static bool is_quiet(const struct world *w)
{
        return w->sim.now.wall_us / MINUTE % 10 < 5; /* zones are of whole tens of minutes, but for a few */
}

static void check_pace(struct world *w, const struct fake_record *o, const struct sink_record *rec)
{
        uint64_t n = rec->key_len + rec->value_len + rec->headers_len;

        w->bytes += lane_of(o) == SPOOL_SAMPLES ? n : 0;
        assert_false(lane_of(o) == SPOOL_SAMPLES && w->sc->quiet && is_quiet(w));
        w->backfill_bytes += o->topic == SINK_BACKFILL ? n : 0;
        assert_true(is_within(w, w->bytes, w->sc->rate_limit));
        assert_true(is_within(w, w->backfill_bytes, w->sc->backfill_rate_limit));
}

static int on_produce(struct fake_sink *k, const struct sink_record *rec, const struct fake_record *o)
{
        struct world *w = (struct world *)k;

        assert_int_not_equal(o->topic, SINK_STATUS);
        if ((int)rnd(w, 1000) < w->sc->full_permille)
                return rnd(w, 2) ? SINK_E_FULL : SINK_E_RETRY;
        assert_true(o->seq && fake_record_number(o, ",\"ts_us\":") >= 0);
        assert_true(k->n_out < OUT_MAX);
        check_order(w, o, rec->key_len && rec->key[rec->key_len - 1] == 'a');
        check_pace(w, o, rec);
        w->n_backfill += o->topic == SINK_BACKFILL;
        w->n_overtaken += o->topic == SINK_BACKFILL && o->seq < w->highest_taken;
        return 0;
}

static void report(struct world *w, struct fake_record *o, bool poison)
{
        enum sink_result result = SINK_DELIVERED;
        bool refused = w->sc->refuses_rights && w->sim.now.mono_us < w->start_us + 2 * (int64_t)MINUTE;

        if (poison)
                result = SINK_POISON;
        else if ((int)rnd(w, 1000) < w->sc->retry_permille || (refused && lane_of(o) == SPOOL_SAMPLES))
                result = SINK_RETRY;
        fake_sink_report(&w->kafka, o, result);
}

/* NULL: none of those that somebody answers. */
static struct fake_record *take_any(struct world *w)
{
        int n = w->kafka.n_out, at = n ? (int)rnd(w, (uint64_t)n) : 0;

        for (int i = 0; i < n; i++, at = (at + 1) % n) {
                struct fake_record *o = w->kafka.out[at];

                if (o->topic == SINK_SAMPLES && w->samples_away)
                        continue;
                w->kafka.out[at] = w->kafka.out[--w->kafka.n_out];
                return o;
        }
        return NULL;
}

/* Some of what is out, any order; a batch (of a topic) that holds a poisoned record is refused as a whole. */
static void report_some(struct world *w)
{
        struct fake_record *batch[OUT_MAX];
        bool poison[SINK_TOPICS] = {false};
        int n = 0, most = 1 + (int)rnd(w, (uint64_t)w->kafka.n_out);

        while (n < most && (batch[n] = take_any(w))) {
                poison[batch[n]->topic] |= is_poison(w, lane_of(batch[n]), batch[n]->seq);
                n++;
        }
        for (int i = 0; i < n; i++)
                report(w, batch[i], poison[batch[i]->topic]);
        w->kafka.sink.up.on_reports_end(w->kafka.sink.up.ctx);
}

static void move_outage(struct world *w)
{
        if (w->sim.now.mono_us < w->away_until_us)
                return;
        if (w->kafka.away)
                w->back_us = w->sim.now.mono_us;
        w->kafka.away = !w->ending && (int)rnd(w, 100) < w->sc->outage_pct;
        w->samples_away = w->sc->samples_away_pct && !w->ending && (int)rnd(w, 100) < w->sc->samples_away_pct;
        w->away_until_us = w->sim.now.mono_us + 10 * S + (int64_t)rnd(w, 120) * S;
        w->kafka.sink.up.on_state(w->kafka.sink.up.ctx, !w->kafka.away,
                                  w->kafka.away ? "no broker answers" : "connected");
}

static void on_broker(struct rt_timer *t)
{
        struct world *w = list_entry(t, struct world, broker);

        move_outage(w);
        if (!w->kafka.away && w->kafka.n_out)
                report_some(w);
        rt_timer_set(&w->sim.rt, &w->broker, 5000 + (int64_t)rnd(w, 40000));
}

/* ---- the source ---- */

static void append_one(struct world *w)
{
        static const char filler[400] = {[0 ... 399] = 'x'};
        struct reading r = {.ts_us = w->sim.now.wall_us, .arrival_us = w->sim.now.wall_us, .type = READING_F64};
        char name[8];
        int tag = (int)rnd(w, 20);

        snprintf(name, sizeof(name), "t%d", tag);
        assert_int_equal(tags_intern(w->tags, tag % 2 ? "a" : "b", name, "degC", "", "sim", &r.tag), 0);
        r.v.f64 = (double)rnd(w, 10000) / 10;
        if (w->sc->text_len) {
                r.type = READING_TEXT;
                r.v.text = filler;
                r.len = (uint32_t)w->sc->text_len;
        }
        (void)spool_append(w->spool, &r); /* busy: the source's loss, not the uplink's */
}

static void on_feed(struct rt_timer *t)
{
        struct world *w = list_entry(t, struct world, feed);

        bool over = w->sc->burst_s && w->sim.now.mono_us >= w->start_us + w->sc->burst_s * (int64_t)S;

        for (int i = 0; i < w->sc->rows_per_s / 10 && !over; i++)
                append_one(w);
        if (!rnd(w, 20))
                spool_append_event(w->spool, w->sim.now.wall_us, "link", 500, SPOOL_NO_TAG, "\"state\":\"down\"", 14);
        if (!w->ending)
                rt_timer_set(&w->sim.rt, &w->feed, 100000);
}

/* ---- the house ---- */

static void on_committed(void *ctx)
{
        uplink_kick(((struct world *)ctx)->uplink);
}

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        struct world *w = ctx;

        for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
                assert_int_equal(w->times[SPOOL_SAMPLES][seq], 0);
                w->dropped[SPOOL_SAMPLES][seq] = 1;
        }
}

static void on_uplink_state(void *ctx, bool up, const char *why)
{
        struct world *w = ctx;

        assert_non_null(why);
        assert_int_not_equal(w->told, up); /* transitions only */
        w->told = up;
}

static void open_fixture(struct world *w)
{
        struct spool_upcalls from_spool = {.on_committed = on_committed, .on_dropped = on_dropped, .ctx = w};
        struct uplink_upcalls from_uplink = {.on_state = on_uplink_state, .ctx = w};
        struct spool_counts c;
        struct err e = {""};

        w->tags = tags_new(1000);
        if (spool_open(&w->spool, &w->sim.rt, &w->spool_conf, "gw-7", w->tags, &from_spool, &e) < 0)
                fail_msg("%s", e.text);
        spool_counts(w->spool, &c);
        w->told = -1;
        w->open_us = w->back_us = w->sim.now.mono_us;
        w->bytes = w->backfill_bytes = 0;
        w->uplink = uplink_new(&w->sim.rt, &w->kafka_conf, &(struct uplink_identity){"gw-7", c.epoch}, w->spool,
                               w->tags, &w->kafka.sink, &from_uplink);
        w->feed.on_due = on_feed;
        w->broker.on_due = on_broker;
        rt_timer_set(&w->sim.rt, &w->feed, 0);
        rt_timer_set(&w->sim.rt, &w->broker, 0);
        uplink_kick(w->uplink);
}

static bool survives(struct fake_sink *k, const struct fake_record *o)
{
        struct world *w = (struct world *)k;

        return !k->away && rnd(w, 2) && !is_poison(w, lane_of(o), o->seq);
}

/* What was out may have reached Kafka, and nobody was told. */
static void cut(struct world *w)
{
        fake_sink_cut(&w->kafka, survives);
        assert_true(w->n_again <= w->n_again_allowed);
        w->n_again_allowed += w->sc->exact ? 0 : WINDOW + EVENT_WINDOW; /* they may come much later, behind a backlog */
        rt_sim_cut(&w->sim);
        uplink_free(w->uplink);
        spool_abandon(w->spool);
        tags_free(w->tags);
        open_fixture(w);
}

static bool is_accounted(const struct world *w, enum spool_lane lane, uint64_t seq)
{
        return w->times[lane][seq] || w->dropped[lane][seq] || is_poison(w, lane, seq);
}

static void check_fresh(const struct world *w)
{
        int64_t most_us = w->sc->fresh_s * (int64_t)S;

        if (!most_us || w->kafka.away || w->ending || w->sim.now.mono_us - w->back_us < most_us)
                return;
        if (w->sim.now.wall_us - w->newest_us > most_us)
                fail_msg("%s: %lld s after Kafka's return the newest reading is %lld s old", w->sc->name,
                         (long long)(w->sim.now.mono_us - w->back_us) / S,
                         (long long)(w->sim.now.wall_us - w->newest_us) / S);
}

/* Who blocks waits for acks, and these may not wait for it. */
static void check_progress(struct world *w, const struct spool_counts *c)
{
        if (!w->sc->shrinks_to || w->kafka.away || !c->held || c->acked_seq[SPOOL_SAMPLES] != w->last_acked) {
                w->last_acked = c->acked_seq[SPOOL_SAMPLES];
                w->moved_us = w->sim.now.mono_us;
        }
        assert_true(w->sim.now.mono_us - w->moved_us < 5 * (int64_t)S);
}

/* Of events that were dropped only the number is told. */
static void note_lost(struct world *w, enum spool_lane lane, uint64_t seq)
{
        if (lane == SPOOL_SAMPLES)
                fail_msg("%s: seq %llu released, and not with Kafka", w->sc->name, (unsigned long long)seq);
        w->n_lost_events++;
}

static void check(void *ctx)
{
        struct world *w = ctx;
        struct uplink_status up;
        struct spool_counts c;

        spool_counts(w->spool, &c);
        uplink_status(w->uplink, &up);
        assert_int_equal(up.in_flight, w->kafka.n_out);
        if (++w->n_checks % 5000 == 0)
                if (!w->sc->exact)
                        beat(w);
        check_fresh(w);
        check_progress(w, &c);
        assert_true(c.accepted == c.delivered + c.held + c.dropped);
        for (int i = 0; i < SPOOL_LANES; i++) {
                assert_true(c.last_seq[i] < ROWS_MAX);
                for (; w->checked[i] < c.acked_seq[i]; w->checked[i]++)
                        if (!is_accounted(w, (enum spool_lane)i, w->checked[i] + 1))
                                note_lost(w, (enum spool_lane)i, w->checked[i] + 1);
        }
        assert_true(w->n_lost_events <= c.events_dropped);
}

static void run_for(struct world *w, int64_t us)
{
        rt_sim_run(&w->sim, w->sim.now.mono_us + us, check, w);
}

static void on_stopped(void *ctx)
{
        ((struct world *)ctx)->stopped = true;
}

static void set_up(struct world *w, const struct scenario *sc)
{
        memset(w, 0, sizeof(*w));
        w->sc = sc;
        rt_sim_init(&w->sim, sc->seed, INT64_C(1795428000000000));
        w->start_us = w->sim.now.mono_us;
        fake_sink_init(&w->kafka, &w->sim.rt);
        w->kafka.answer_after_us = 0;
        w->kafka.on_produce = on_produce;
        w->kafka.on_stored = on_stored;
        w->kafka.judge_line = judge_line;
        if (sc->exact)
                fake_sink_exact(&w->kafka);
        temp_dir_init_in_memory(&w->dir, "uplink_sim");
        temp_dir_path(&w->dir, "s.db", w->path);
        for (int i = 0; i < SPOOL_LANES; i++) {
                w->times[i] = calloc(1, ROWS_MAX);
                w->dropped[i] = calloc(1, ROWS_MAX);
        }
        for (int i = 0; i < SINK_TOPICS; i++)
                w->produced[i] = calloc(1, ROWS_MAX);
        w->spool_conf = (struct spool_conf){.path = w->path,
                                            .max_size_bytes = sc->max_size,
                                            .when_full = sc->shrinks_to ? SPOOL_BLOCK : SPOOL_DROP_OLDEST,
                                            .commit_interval_us = S,
                                            .batch_rows = 2000,
                                            .batch_bytes = 1 << 20,
                                            .quarantine_bytes = 65536};
        w->kafka_conf =
                (struct kafka_conf){.seal = !sc->exact,
                                    .delivery = sc->exact ? KAFKA_EXACTLY_ONCE : KAFKA_AT_LEAST_ONCE,
                                    .window_records = sc->window ? sc->window : WINDOW,
                                    .window_bytes = 1 << 20,
                                    .rate_limit_bytes_s = sc->rate_limit,
                                    .backfill_rate_limit_bytes_s = sc->backfill_rate_limit,
                                    .live_first = !sc->plain && !sc->late,
                                    .backfill_after_us = sc->backfill_after_s ? sc->backfill_after_s * S : MINUTE};
        if (sc->quiet)
                make_quiet_hours(&w->kafka_conf);
        open_fixture(w);
}

static void end_fixture(struct world *w)
{
        struct spool_counts c;

        w->ending = true;
        for (int i = 0; i < 240; i++) {
                run_for(w, 10 * S);
                spool_counts(w->spool, &c);
                if (!c.held && !c.events_held && i > 2)
                        break;
        }
        assert_int_equal(c.held, 0);
        assert_int_equal(c.events_held, 0);
        uplink_stop(w->uplink, 5 * S, on_stopped, w);
        run_for(w, 6 * S);
        assert_true(w->stopped);
        rt_timer_cancel(&w->sim.rt, &w->broker);
        spool_counts(w->spool, &c);
        for (uint64_t seq = 1; seq <= c.last_seq[SPOOL_SAMPLES]; seq++)
                assert_true(is_accounted(w, SPOOL_SAMPLES, seq));
        assert_true(c.last_seq[SPOOL_SAMPLES] > 1000);
        assert_true(w->n_again <= w->n_again_allowed);
        check_seals(w);
        uplink_free(w->uplink);
        fake_sink_fini(&w->kafka);
        assert_true(spool_close(w->spool));
        tags_free(w->tags);
        rt_sim_fini(&w->sim);
        temp_dir_fini(&w->dir);
        for (int i = 0; i < SPOOL_LANES; i++) {
                free(w->times[i]);
                free(w->dropped[i]);
        }
        for (int i = 0; i < SINK_TOPICS; i++)
                free(w->produced[i]);
}

static void run_scenario(void **state)
{
        const struct scenario *sc = *state;
        struct world *w = calloc(1, sizeof(*w));
        uint64_t n_dropped = 0;
        int64_t piece_us = (int64_t)sc->minutes * MINUTE / (sc->cuts + 1);

        assert_non_null(w);
        set_up(w, sc);
        for (int i = 0; i <= sc->cuts; i++) {
                run_for(w, piece_us / 2 + (int64_t)rnd(w, (uint64_t)piece_us));
                if (i < sc->cuts)
                        cut(w);
                if (sc->shrinks_to && i == sc->cuts / 2) {
                        w->spool_conf.max_size_bytes = sc->shrinks_to;
                        spool_reconfigure(w->spool, &w->spool_conf);
                }
                if (sc->late && !w->kafka_conf.live_first) {
                        assert_int_equal(w->n_backfill, 0);
                        w->kafka_conf.live_first = true;
                        uplink_reconfigure(w->uplink);
                        run_for(w, piece_us);
                }
        }
        for (uint64_t seq = 1; seq < ROWS_MAX; seq++)
                n_dropped += w->dropped[SPOOL_SAMPLES][seq] && !is_poison(w, SPOOL_SAMPLES, seq);
        assert_int_equal(n_dropped != 0, sc->drops);
        if (sc->plain)
                assert_int_equal(w->n_backfill, 0);
        else if (sc->outage_pct > 20)
                assert_true(w->n_backfill > 0);
        if (sc->fresh_s)
                assert_true(w->n_overtaken > w->n_backfill / 2);
        end_fixture(w);
        free(w);
}

static const struct scenario scenarios[] = {
        {.name = "fair weather", .seed = 1, .minutes = 5, .rows_per_s = 200, .max_size = 64 << 20},
        {.name = "outages", .seed = 2, .minutes = 30, .rows_per_s = 50, .max_size = 64 << 20, .outage_pct = 50},
        {.name = "outages, all in order",
         .seed = 2,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .plain = true,
         .outage_pct = 50},
        {.name = "overtaking",
         .seed = 31,
         .minutes = 20,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .rate_limit = 32768,
         .backfill_after_s = 5,
         .fresh_s = 12,
         .outage_pct = 40},
        {.name = "overtaking, slowly followed",
         .seed = 32,
         .minutes = 20,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .rate_limit = 65536,
         .backfill_rate_limit = 8192,
         .backfill_after_s = 5,
         .fresh_s = 12,
         .outage_pct = 30},
        {.name = "overtaking from then on",
         .seed = 36,
         .minutes = 15,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .late = true,
         .rate_limit = 32768,
         .backfill_after_s = 5,
         .outage_pct = 40},
        {.name = "overtaking and cuts",
         .seed = 33,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .rate_limit = 32768,
         .backfill_after_s = 5,
         .fresh_s = 12,
         .outage_pct = 40,
         .cuts = 60},
        {.name = "overtaking, cut often",
         .seed = 37,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .backfill_rate_limit = 12288,
         .backfill_after_s = 45,
         .outage_pct = 30,
         .samples_away_pct = 40,
         .cuts = 60},
        {.name = "overtaking and all else",
         .seed = 34,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .rate_limit = 32768,
         .backfill_after_s = 5,
         .outage_pct = 40,
         .retry_permille = 1,
         .full_permille = 2,
         .poison_permille = 1,
         .cuts = 30},
        {.name = "overtaking on a small disk",
         .seed = 35,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 4 << 20,
         .rate_limit = 49152,
         .backfill_rate_limit = 8192,
         .backfill_after_s = 5,
         .fresh_s = 20,
         .text_len = 300,
         .outage_pct = 50,
         .cuts = 10,
         .drops = true},
        {.name = "a disk that blocks and gets smaller",
         .seed = 40,
         .minutes = 30,
         .rows_per_s = 100,
         .max_size = 8 << 20,
         .shrinks_to = 1 << 20,
         .window = 100,
         .backfill_after_s = 20,
         .text_len = 300,
         .outage_pct = 60,
         .cuts = 1},
        {.name = "refusals", .seed = 3, .minutes = 20, .rows_per_s = 50, .max_size = 64 << 20, .retry_permille = 2},
        {.name = "poison", .seed = 4, .minutes = 20, .rows_per_s = 50, .max_size = 64 << 20, .poison_permille = 1},
        {.name = "a burst with poison",
         .seed = 12,
         .minutes = 10,
         .rows_per_s = 400,
         .burst_s = 3,
         .max_size = 64 << 20,
         .poison_permille = 3},
        {.name = "another",
         .seed = 13,
         .minutes = 10,
         .rows_per_s = 400,
         .burst_s = 3,
         .max_size = 64 << 20,
         .poison_permille = 3},
        {.name = "and another",
         .seed = 14,
         .minutes = 10,
         .rows_per_s = 400,
         .burst_s = 3,
         .max_size = 64 << 20,
         .poison_permille = 3},
        {.name = "the last of these",
         .seed = 20,
         .minutes = 10,
         .rows_per_s = 400,
         .burst_s = 3,
         .max_size = 64 << 20,
         .poison_permille = 3},
        {.name = "no rights at first",
         .seed = 5,
         .minutes = 6,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .refuses_rights = true},
        {.name = "full", .seed = 6, .minutes = 10, .rows_per_s = 50, .max_size = 64 << 20, .full_permille = 5},
        {.name = "cuts",
         .seed = 7,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .outage_pct = 30,
         .cuts = 40},
        {.name = "all at once",
         .seed = 8,
         .minutes = 40,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .outage_pct = 30,
         .retry_permille = 1,
         .full_permille = 2,
         .poison_permille = 1,
         .cuts = 30},
        {.name = "cuts while it drains",
         .seed = 11,
         .minutes = 20,
         .rows_per_s = 400,
         .max_size = 64 << 20,
         .outage_pct = 50,
         .cuts = 20},
        {.name = "exactly once, fair weather",
         .seed = 50,
         .minutes = 5,
         .rows_per_s = 200,
         .max_size = 64 << 20,
         .plain = true,
         .exact = true},
        {.name = "exactly once, transactions fail",
         .seed = 51,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .plain = true,
         .exact = true,
         .line_permille = 100},
        {.name = "exactly once, refusals and poison",
         .seed = 52,
         .minutes = 20,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .plain = true,
         .exact = true,
         .retry_permille = 1,
         .full_permille = 2,
         .poison_permille = 1},
        {.name = "exactly once, cut often",
         .seed = 53,
         .minutes = 20,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .plain = true,
         .exact = true,
         .outage_pct = 30,
         .line_permille = 50,
         .cuts = 200},
        {.name = "exactly once, overtaking",
         .seed = 54,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .exact = true,
         .rate_limit = 32768,
         .backfill_after_s = 5,
         .outage_pct = 40,
         .line_permille = 20,
         .cuts = 60},
        {.name = "exactly once, all of it",
         .seed = 55,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .exact = true,
         .backfill_after_s = 5,
         .outage_pct = 40,
         .retry_permille = 1,
         .full_permille = 2,
         .poison_permille = 1,
         .line_permille = 20,
         .cuts = 60},
        {.name = "slow link", .seed = 9, .minutes = 10, .rows_per_s = 40, .max_size = 64 << 20, .rate_limit = 16384},
        {.name = "quiet hours",
         .seed = 15,
         .minutes = 40,
         .rows_per_s = 50,
         .max_size = 64 << 20,
         .outage_pct = 20,
         .cuts = 6,
         .quiet = true},
        {.name = "small disk",
         .seed = 10,
         .minutes = 30,
         .rows_per_s = 50,
         .max_size = 4 << 20,
         .text_len = 300,
         .outage_pct = 85,
         .cuts = 3,
         .drops = true},
};

static int run_seeds(const char *name, int n, uint64_t seed)
{
        struct CMUnitTest *tests = calloc((size_t)n, sizeof(*tests));
        struct scenario *all = calloc((size_t)n, sizeof(*all));
        int failed;

        for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
                if (!strcmp(scenarios[i].name, name))
                        all[0] = scenarios[i];
        assert_non_null(all[0].name);
        for (int i = 0; i < n; i++) {
                all[i] = all[0];
                all[i].seed = seed + (uint64_t)i;
                tests[i] = (struct CMUnitTest){.name = name, .test_func = run_scenario, .initial_state = &all[i]};
        }
        failed = _cmocka_run_group_tests(name, tests, (size_t)n, NULL, NULL);
        free(tests);
        free(all);
        return failed;
}

int main(int argc, char **argv)
{
        struct CMUnitTest tests[sizeof(scenarios) / sizeof(*scenarios)];

        log_init(LOG_ERROR);
        if (argc == 4)
                return run_seeds(argv[1], atoi(argv[2]), strtoull(argv[3], NULL, 10));
        for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
                tests[i] = (struct CMUnitTest){
                        .name = scenarios[i].name, .test_func = run_scenario, .initial_state = (void *)&scenarios[i]};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
