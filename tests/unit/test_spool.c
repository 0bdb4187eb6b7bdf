/*
 * test_spool: the spool against a real file, in virtual time.
 */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/text.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

/* The most the files ever were, seen at any commit's end. */
static uint64_t most_bytes;

static int setup(void **state)
{
        struct fixture *h = calloc(1, sizeof(*h));

        fixture_init(h, "spool", 7);
        h->conf.keep_delivered_us = 3600000000;
        h->conf.quarantine_bytes = 1 << 20;
        most_bytes = 0;
        fixture_open(h);
        *state = h;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *h = *state;

        if (h->spool)
                fixture_close(h);
        fixture_fini(h);
        free(h);
        return 0;
}

static struct reading reading(struct fixture *h, const char *source, double v)
{
        struct reading r = {.ts_us = h->sim.now.wall_us, .arrival_us = h->sim.now.wall_us, .type = READING_F64};

        assert_int_equal(tags_intern(h->tags, source, "temp", "degC", "", "plant", &r.tag), 0);
        r.v.f64 = v;
        return r;
}

static int put(struct fixture *h, const char *source, double v)
{
        struct reading r = reading(h, source, v);

        return spool_append(h->spool, &r);
}

static void check_counts(struct fixture *h, uint64_t accepted, uint64_t delivered, uint64_t held, uint64_t dropped)
{
        struct spool_counts c;

        spool_counts(h->spool, &c);
        assert_int_equal(c.accepted, accepted);
        assert_int_equal(c.delivered, delivered);
        assert_int_equal(c.held, held);
        assert_int_equal(c.dropped, dropped);
        assert_int_equal(db_ask(h->path,
                                "SELECT count(*) FROM reading WHERE seq > (SELECT acked_seq FROM cursor WHERE lane = "
                                "'samples')"),
                         held);
        assert_int_equal(db_ask(h->path, "SELECT coalesce(sum(n), 0) FROM dropped WHERE lane = 'samples'"), dropped);
}

struct waiter {
        struct spool_sync q;
        int n;
};

static void on_durable(struct spool_sync *q)
{
        list_entry(q, struct waiter, q)->n++;
}

static void commit(struct fixture *h)
{
        struct waiter w = {.q.on_durable = on_durable};

        list_init(&w.q.node);
        spool_sync(h->spool, &w.q);
        for (int i = 0; i < 1000 && !w.n; i++)
                fixture_run_for(h, 1000);
        assert_int_equal(w.n, 1);
        if (db_bytes(h->path) > most_bytes)
                most_bytes = db_bytes(h->path);
}

static int n_fetched;
static void on_rows(struct spool_fetch *f)
{
        assert_false(f->failed);
        n_fetched++;
}

static void fetch(struct fixture *h, struct spool_fetch *f, uint64_t after)
{
        int before = n_fetched;

        f->on_rows = on_rows;
        f->after_seq = after;
        spool_fetch(h->spool, f);
        fixture_run_for(h, h->sim.work_delay_us + 1);
        assert_int_equal(n_fetched, before + 1);
}

static void an_append_comes_back(void **state)
{
        struct fixture *h = *state;
        struct spool_fetch f;

        assert_int_equal(put(h, "press-1", 71.5), 0);
        assert_int_equal(spool_appended_seq(h->spool, SPOOL_SAMPLES), 1);
        check_counts(h, 0, 0, 0, 0);
        commit(h);
        check_counts(h, 1, 0, 1, 0);
        spool_fetch_init(&f, SPOOL_SAMPLES, 10, 1000);
        fetch(h, &f, 0);
        assert_int_equal(f.n_rows, 1);
        assert_int_equal(f.rows[0].seq, 1);
        assert_int_equal(f.rows[0].r.type, READING_F64);
        assert_true(f.rows[0].r.v.f64 == 71.5);
        assert_string_equal(tags_get(h->tags, f.rows[0].r.tag)->source, "press-1");
        fetch(h, &f, 1);
        assert_int_equal(f.n_rows, 0);
        spool_ack(h->spool, SPOOL_SAMPLES, 1);
        fixture_run_for(h, 2000000);
        check_counts(h, 1, 1, 0, 0);
        spool_fetch_fini(&f);
        fixture_close(h);
        fixture_open(h);
        check_counts(h, 1, 1, 0, 0);
        assert_int_equal(tags_count(h->tags), 1);
        assert_int_equal(put(h, "press-1", 1), 0);
        assert_int_equal(spool_appended_seq(h->spool, SPOOL_SAMPLES), 2);
}

static void every_type_comes_back_as_it_was(void **state)
{
        struct fixture *h = *state;
        struct reading in[8];
        struct spool_fetch f;
        static const char raw[] = {0, 1, (char)0xff, 0};

        for (int i = 0; i < 8; i++) {
                in[i] = reading(h, "press-1", 0.0);
                in[i].ts_us += i;
                in[i].arrival_us += 5000;
        }
        in[0].v.f64 = -0.0;
        in[1].type = READING_I64;
        in[1].v.i64 = INT64_MIN;
        in[2].type = READING_BOOL;
        in[2].v.i64 = 0;
        in[2].v.b = true;
        in[3].type = READING_BOOL;
        in[3].v.i64 = 0;
        in[4].type = READING_TEXT;
        in[4].v.text = "grün";
        in[4].len = 5;
        in[5].type = READING_RAW;
        in[5].v.text = raw;
        in[5].len = sizeof(raw);
        in[6].type = READING_NONE;
        in[6].v.i64 = 0;
        in[6].quality = QUALITY_BAD_COMM_FAILURE;
        in[7].type = READING_TEXT;
        in[7].v.text = "";
        in[7].len = 0;
        in[7].flags = READING_SOURCE_TIME | READING_RETAINED;
        in[7].mid = 65535;
        for (int i = 0; i < 8; i++)
                assert_int_equal(spool_append(h->spool, &in[i]), 0);
        commit(h);
        spool_fetch_init(&f, SPOOL_SAMPLES, 10, 1000);
        fetch(h, &f, 0);
        assert_int_equal(f.n_rows, 8);
        for (int i = 0; i < 8; i++) {
                const struct reading *r = &f.rows[i].r;

                assert_int_equal(r->ts_us, in[i].ts_us);
                assert_int_equal(r->arrival_us, in[i].arrival_us);
                assert_int_equal(r->type, in[i].type);
                assert_int_equal(r->quality, in[i].quality);
                assert_int_equal(r->flags, in[i].flags);
                assert_int_equal(r->mid, in[i].mid);
                assert_int_equal(r->len, in[i].len);
                if (r->type == READING_TEXT || r->type == READING_RAW)
                        assert_memory_equal(r->v.text, in[i].v.text, r->len);
                else if (r->type == READING_BOOL)
                        assert_int_equal(r->v.b, in[i].v.b);
                else if (r->type != READING_NONE)
                        assert_memory_equal(&r->v, &in[i].v, 8);
        }
        spool_fetch_fini(&f);
        assert_int_equal(
                db_ask(h->path,
                       "SELECT count(*) FROM readings WHERE source = 'press-1' AND tag = 'temp' AND NOT delivered"
                       " AND time LIKE '2026-11-23T%Z'"),
                8);
}

static void a_large_text_comes_alone(void **state)
{
        struct fixture *h = *state;
        struct reading r = reading(h, "scale", 0);
        struct spool_fetch f;
        char *big = malloc(300000);

        memset(big, 'x', 300000);
        r.type = READING_TEXT;
        r.v.text = big;
        for (int i = 0; i < 3; i++) {
                r.len = i == 1 ? 300000 : 3;
                assert_int_equal(spool_append(h->spool, &r), 0);
        }
        r.len = (1 << 20) + 1;
        assert_int_equal(spool_append(h->spool, &r), SPOOL_E_BUSY);
        commit(h);
        spool_fetch_init(&f, SPOOL_SAMPLES, 10, 1000);
        fetch(h, &f, 0);
        assert_int_equal(f.n_rows, 1);
        fetch(h, &f, 1);
        assert_int_equal(f.n_rows, 1);
        assert_int_equal(f.rows[0].r.len, 300000);
        assert_memory_equal(f.rows[0].r.v.text, big, 300000);
        fetch(h, &f, 2);
        assert_int_equal(f.n_rows, 1);
        assert_int_equal(f.rows[0].seq, 3);
        spool_fetch_fini(&f);
        free(big);
}

static void a_tags_time_grows_with_its_clock(void **state)
{
        struct fixture *h = *state;
        int64_t at = h->sim.now.wall_us;
        struct reading r = reading(h, "press-1", 1);
        struct spool_fetch f;

        for (int i = 0; i < 3; i++) /* ties */
                spool_append(h->spool, &r);
        r.ts_us = at - 5000000; /* set back by more than a tie */
        spool_append(h->spool, &r);
        r.flags = READING_HISTORICAL;
        r.ts_us = at - 6000000;
        spool_append(h->spool, &r);
        commit(h);
        fixture_cut_power(h);
        fixture_open(h);
        r.flags = 0;
        r.ts_us = at - 5000000;
        spool_append(h->spool, &r);
        commit(h);
        spool_fetch_init(&f, SPOOL_SAMPLES, 10, 1000);
        fetch(h, &f, 0);
        assert_int_equal(f.n_rows, 6);
        for (int i = 0; i < 3; i++)
                assert_int_equal(f.rows[i].r.ts_us, at + i);
        assert_int_equal(f.rows[2].r.flags, 0);
        assert_int_equal(f.rows[3].r.ts_us, at - 5000000);
        assert_int_equal(f.rows[3].r.flags, READING_TIME_BACK);
        assert_int_equal(f.rows[3].r.arrival_us, at);
        assert_int_equal(f.rows[4].r.ts_us, at - 6000000);
        assert_int_equal(f.rows[4].r.flags, READING_HISTORICAL);
        assert_int_equal(f.rows[5].r.ts_us, at - 4999999); /* over the start, without what is historical */
        fixture_close(h);                                  /* now from the tag table */
        fixture_open(h);
        assert_int_equal(tags_get(h->tags, 0)->last_ts_us, at - 4999999);
        spool_fetch_fini(&f);
}

static void the_interval_commits_and_a_sync_at_once(void **state)
{
        struct fixture *h = *state;
        struct waiter w = {.q.on_durable = on_durable}, late = {.q.on_durable = on_durable};

        put(h, "press-1", 1);
        fixture_run_for(h, 900000);
        assert_int_equal(h->n_committed, 0);
        fixture_run_for(h, 200000);
        assert_int_equal(h->n_committed, 1);

        h->sim.work_delay_us = 50000;
        list_init(&w.q.node);
        list_init(&late.q.node);
        put(h, "press-1", 2);
        spool_sync(h->spool, &w.q);
        put(h, "press-1", 3);
        spool_sync(h->spool, &late.q); /* behind the one in flight */
        fixture_run_for(h, 51000);
        assert_int_equal(w.n, 1);
        assert_int_equal(late.n, 0);
        fixture_run_for(h, 51000);
        assert_int_equal(late.n, 1);
        spool_sync(h->spool, &w.q); /* nothing to wait for: still told, but not from within the call */
        assert_int_equal(w.n, 1);
        fixture_run_for(h, 1);
        assert_int_equal(w.n, 2);
        put(h, "press-1", 4);
        spool_sync(h->spool, &w.q);
        spool_sync_cancel(&w.q);
        fixture_run_for(h, 200000);
        assert_int_equal(w.n, 2);
        check_counts(h, 4, 0, 4, 0);
}

static void a_full_batch_says_busy_then_room(void **state)
{
        struct fixture *h = *state;

        h->sim.work_delay_us = 50000;
        for (int i = 0; i < 2000; i++)
                assert_int_equal(put(h, "press-1", i), 0);
        for (int i = 0; i < 2000; i++) /* the first batch is under way */
                assert_int_equal(put(h, "press-1", i), 0);
        assert_int_equal(put(h, "press-1", 1), SPOOL_E_BUSY);
        assert_false(spool_has_room(h->spool, 1, 0));
        spool_refuse(h->spool, 1, "memory_full");
        spool_refuse(h->spool, 1, "memory_full");
        assert_int_equal(h->n_room, 0);
        fixture_run_for(h, 60000);
        assert_int_equal(h->n_room, 1);
        assert_true(spool_has_room(h->spool, 2000, 0));
        assert_int_equal(put(h, "press-1", 1), 0);
        commit(h);
        check_counts(h, 4003, 0, 4001, 2);
        assert_int_equal(
                db_ask(h->path, "SELECT count(*) FROM dropped WHERE first_seq = 4001 AND last_seq = 4002 AND n = 2"),
                1);
        assert_int_equal(h->n_dropped, 2);
}

static void the_watermark_steps_over_what_was_dropped(void **state)
{
        struct fixture *h = *state;

        for (int i = 0; i < 5; i++)
                put(h, "press-1", i);
        spool_refuse(h->spool, 3, "memory_full"); /* 6..8 */
        commit(h);
        spool_refuse(h->spool, 2, "memory_full"); /* 9..10 join */
        put(h, "press-1", 11);
        commit(h);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM dropped"), 1);
        spool_ack(h->spool, SPOOL_SAMPLES, 4);
        fixture_run_for(h, 2000000);
        check_counts(h, 11, 4, 2, 5);
        spool_ack(h->spool, SPOOL_SAMPLES, 5);
        fixture_run_for(h, 2000000);
        check_counts(h, 11, 5, 1, 5);
        assert_int_equal(db_ask(h->path, "SELECT acked_seq FROM cursor WHERE lane = 'samples'"), 10);
        fixture_cut_power(h);
        fixture_open(h);
        check_counts(h, 11, 5, 1, 5);
        spool_ack(h->spool, SPOOL_SAMPLES, 3);    /* never back */
        spool_ack(h->spool, SPOOL_SAMPLES, 4000); /* nor beyond what there is */
        fixture_run_for(h, 2000000);
        check_counts(h, 11, 6, 0, 5);
}

static void a_poisoned_row_is_set_aside(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;

        for (int i = 0; i < 5; i++)
                put(h, "press-1", i);
        spool_append_event(h->spool, 5, "link", 100, 0, "\"a\":1", 5);
        commit(h);
        spool_dead_letter(h->spool, SPOOL_SAMPLES, 3, "too large");
        spool_dead_letter(h->spool, SPOOL_EVENTS, 1, "too large");
        spool_ack(h->spool, SPOOL_SAMPLES, 4);
        fixture_run_for(h, 2000000);
        check_counts(h, 5, 3, 1, 1);
        spool_counts(h->spool, &c);
        assert_int_equal(c.dead_lettered, 2);
        assert_int_equal(c.events_dropped, 1);
        assert_int_equal(c.events_held, 0);
        assert_int_equal(
                db_ask(h->path,
                       "SELECT count(*) FROM dead_letter WHERE lane = 'samples' AND seq = 3 AND value = 2.0 AND"
                       " reason = 'too large'"),
                1);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM dropped WHERE reason = 'dead_letter'"), 2);
}

static void delivered_rows_stay_a_while_then_go(void **state)
{
        struct fixture *h = *state;

        for (int i = 0; i < 70000; i++) {
                put(h, "press-1", i);
                if (i % 1000 == 999)
                        commit(h);
        }
        fixture_close(h); /* saves tag times: rows may go */
        fixture_open(h);
        spool_ack(h->spool, SPOOL_SAMPLES, 70000);
        fixture_run_for(h, 5000000);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM reading"), 70000);
        fixture_run_for(h, 3600000000);
        put(h, "press-1", 1);
        fixture_run_for(h, 10000000);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM reading"), 65535); /* for redeliveries */
        check_counts(h, 70001, 70000, 1, 0);
}

/* Readings with text until the budget is used up several times over. */
static void flood(struct fixture *h, int policy)
{
        static char text[700];
        struct reading r;

        fixture_cut_power(h);
        h->conf.when_full = policy;
        h->conf.max_size_bytes = 4 << 20;
        fixture_open(h);
        r = reading(h, "press-1", 0);
        memset(text, 'x', sizeof(text));
        r.type = READING_TEXT;
        r.v.text = text;
        for (int i = 0; i < 12000; i++) {
                r.len = (uint32_t)(i * 7 % 700);
                r.ts_us++;
                if (spool_append(h->spool, &r) != 0)
                        spool_refuse(h->spool, 1, "spool_full");
                if (i % 100 == 99) {
                        commit(h);
                        assert_true(db_bytes(h->path) <= h->conf.max_size_bytes);
                }
        }
}

static void full_drops_the_oldest_but_for_pinned(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;

        spool_pin(h->spool, SPOOL_SAMPLES, 0);
        flood(h, SPOOL_DROP_OLDEST);
        spool_counts(h->spool, &c);
        assert_true(c.dropped > 3000);
        assert_int_equal(c.accepted, 12000);
        check_counts(h, 12000, 0, c.held, c.dropped);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM dropped"), 1);
        assert_int_equal(db_ask(h->path, "SELECT max(seq) FROM reading"), 12000);
        assert_int_equal(h->n_high, 1);
        assert_int_equal(h->n_dropped, c.dropped);
        assert_true(most_bytes > 5 << 19);
        spool_ack(h->spool, SPOOL_SAMPLES, 12000);
        fixture_run_for(h, 5000000);
        check_counts(h, 12000, c.held, 0, c.dropped);
        assert_int_equal(h->n_low, 1);
}

static void full_drops_the_newest(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;

        flood(h, SPOOL_DROP_NEWEST);
        spool_counts(h->spool, &c);
        assert_true(c.dropped > 3000);
        check_counts(h, 12000, 0, c.held, c.dropped);
        assert_int_equal(db_ask(h->path, "SELECT min(seq) FROM reading"), 1);
}

static void full_blocks_until_there_is_room(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;
        int before;

        flood(h, SPOOL_BLOCK);
        spool_counts(h->spool, &c);
        assert_true(c.dropped > 3000);
        assert_false(c.failing);
        check_counts(h, 12000, 0, c.held, c.dropped);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM dropped WHERE reason <> 'spool_full'"), 0);
        assert_int_equal(put(h, "press-1", 1), SPOOL_E_FULL);
        assert_false(spool_has_room(h->spool, 1, 0));
        before = h->n_room;
        spool_ack(h->spool, SPOOL_SAMPLES, c.held / 20); /* not under low water yet */
        fixture_run_for(h, 5000000);
        assert_int_equal(h->n_room, before);
        assert_int_equal(put(h, "press-1", 1), SPOOL_E_FULL);
        spool_ack(h->spool, SPOOL_SAMPLES, c.held);
        fixture_run_for(h, 5000000);
        assert_int_equal(h->n_room, before + 1);
        assert_int_equal(put(h, "press-1", 1), 0);
}

/* Fills it up to the first refusal; some of it is delivered and kept. */
static double shown_when_refused(struct fixture *h, uint32_t len, bool deliver)
{
        static char text[700];
        struct spool_counts c;
        struct reading r;
        int n = 0;

        fixture_cut_power(h);
        h->conf.when_full = SPOOL_BLOCK;
        h->conf.keep_delivered_us = 3600000000;
        h->conf.max_size_bytes = 4 << 20;
        h->n_high = 0;
        unlink(h->path);
        fixture_open(h);
        r = reading(h, "press-1", 0);
        memset(text, 'x', sizeof(text));
        r.type = len ? READING_TEXT : READING_F64;
        if (len)
                r.v.text = text;
        r.len = len;
        while (r.ts_us++, spool_append(h->spool, &r) == 0) {
                assert_true(n < 1000000);
                if (++n % 100 == 0)
                        commit(h);
                if (deliver && n == 2000)
                        spool_ack(h->spool, SPOOL_SAMPLES, 1000);
        }
        assert_int_equal(h->n_high, 1);
        commit(h);
        spool_counts(h->spool, &c);
        assert_int_equal(c.usable_bytes, spool_usable_bytes(&h->conf));
        return (double)c.held_bytes / (double)c.usable_bytes;
}

static void pressure_is_told_before_anything_is_refused(void **state)
{
        static const uint32_t lens[] = {0, 8, 60, 700};

        for (size_t i = 0; i < 2 * sizeof(lens) / sizeof(*lens); i++) {
                double shown = shown_when_refused(*state, lens[i / 2], i % 2);

                if (shown < 0.9 || shown > 1)
                        fail_msg("texts of %u: refused at %.0f %%", lens[i / 2], 100 * shown);
        }
}

/* Whatever is left of delivered rows when the last ack is in, it does not keep a blocked source waiting. */
static void room_comes_back_however_the_acks_come(void **state)
{
        static char text[700];
        struct fixture *h = *state;
        struct spool_counts c;
        struct reading r;

        flood(h, SPOOL_BLOCK);
        r = reading(h, "press-1", 0);
        r.type = READING_TEXT;
        r.v.text = text;
        memset(text, 'x', sizeof(text));
        for (int i = 0; i < 30; i++) {
                spool_counts(h->spool, &c);
                for (uint64_t seq = c.acked_seq[SPOOL_SAMPLES]; seq <= c.last_seq[SPOOL_SAMPLES]; seq += 40) {
                        spool_ack(h->spool, SPOOL_SAMPLES, seq);
                        commit(h);
                }
                spool_ack(h->spool, SPOOL_SAMPLES, c.last_seq[SPOOL_SAMPLES]);
                fixture_run_for(h, 10000000);
                r.len = 100 + 20 * (uint32_t)i;
                assert_true(spool_has_room(h->spool, 1, r.len));
                for (int n = 0; spool_has_room(h->spool, 1, r.len); n++) {
                        r.ts_us++;
                        assert_int_equal(spool_append(h->spool, &r), 0);
                        if (n % 100 == 99)
                                commit(h);
                }
        }
}

static void events_have_a_share_of_their_own(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;
        struct spool_fetch f;
        char body[1000];

        flood(h, SPOOL_DROP_OLDEST);
        memset(body, 'x', sizeof(body));
        memcpy(body, "\"a\":\"", 5);
        body[sizeof(body) - 1] = '"';
        for (int i = 0; i < 1000; i++) {
                spool_append_event(h->spool, i, "alarm", 700, i % 2 ? SPOOL_NO_TAG : 0, body, sizeof(body));
                if (i % 10 == 9) {
                        commit(h);
                        assert_true(db_bytes(h->path) <= h->conf.max_size_bytes);
                }
        }
        spool_counts(h->spool, &c);
        assert_int_equal(c.events_accepted, 1000);
        assert_true(c.events_held > 100 && c.events_dropped > 100);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM event"), c.events_held);
        assert_int_equal(db_ask(h->path, "SELECT sum(n) FROM dropped WHERE lane = 'events'"), c.events_dropped);
        spool_fetch_init(&f, SPOOL_EVENTS, 10, 10000);
        fetch(h, &f, 998);
        assert_int_equal(f.n_rows, 2);
        assert_int_equal(f.rows[0].r.tag, 0);
        assert_int_equal(f.rows[1].r.tag, SPOOL_NO_TAG);
        assert_int_equal(f.rows[1].r.ts_us, 999);
        assert_int_equal(f.rows[1].r.len, sizeof(body));
        spool_fetch_fini(&f);
        spool_append_event(h->spool, 1, "x", 1, SPOOL_NO_TAG, body, 5000);
        commit(h);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM dropped WHERE reason = 'too_large'"), 1);
        db_run(h->path, "UPDATE event SET body = '\"a\":' WHERE seq = 1000"); /* a record of it would be no JSON */
        spool_fetch_init(&f, SPOOL_EVENTS, 10, 10000);
        fetch(h, &f, 999);
        assert_int_equal(f.n_rows, 1);
        assert_memory_equal(f.rows[0].r.v.text, "\"kind\":\"damaged\"", 16);
        spool_fetch_fini(&f);
}

/* One item floods it; what another one brought once is there yet, also after a restart. */
static void quarantine_is_shared(void **state)
{
        struct fixture *h = *state;
        char payload[200] = {0};

        fixture_close(h);
        h->conf.quarantine_bytes = 64 << 10;
        fixture_open(h);
        for (int i = 0; i < 20; i++)
                spool_quarantine(h->spool, "scale", "/dev/ttyS0", "not a frame", payload, sizeof(payload));
        for (int i = 0; i < 3000; i++) {
                spool_quarantine(h->spool, i % 5 ? "plant" : "other", "a/b", "not a number", payload, sizeof(payload));
                if (i % 50 == 49)
                        fixture_run_for(h, 2000000);
                if (i == 1500) {
                        fixture_close(h);
                        fixture_open(h);
                }
        }
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM quarantine WHERE driver = 'scale'"), 20);
        assert_true(db_ask(h->path, "SELECT count(*) FROM quarantine WHERE driver = 'other'") > 60);
        assert_true(db_ask(h->path, "SELECT count(*) FROM quarantine WHERE driver = 'plant'") > 60);
        assert_true(db_ask(h->path, "SELECT sum(length(payload) + 79) FROM quarantine") <= 64 << 10);
        assert_true(db_ask(h->path, "SELECT sum(length(payload) + 79) FROM quarantine") > 56 << 10);
}

static void quarantine_is_bounded(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;
        static char payload[20000];

        for (int i = 0; i < 300; i++) {
                spool_quarantine(h->spool, "plant", "a/b", "not a number", payload, sizeof(payload));
                if (i % 3 == 2)
                        fixture_run_for(h, 1100000);
        }
        spool_counts(h->spool, &c);
        assert_int_equal(c.quarantined, 300);
        assert_true(db_ask(h->path, "SELECT sum(length(payload)) FROM quarantine") <= 1 << 20);
        assert_true(db_ask(h->path, "SELECT count(*) FROM quarantine") > 40);
        assert_int_equal(db_ask(h->path, "SELECT min(id) > 1 AND max(id) = 300 FROM quarantine"), 1);
}

static void seen(void *ctx, const struct reading *r)
{
        int *n = ctx;

        assert_int_equal(r->mid, 91 + *n);
        (*n)++;
}

static void recent_packet_ids_are_told(void **state)
{
        struct fixture *h = *state;
        int n = 0;

        for (int i = 1; i <= 100; i++) {
                struct reading r = reading(h, "press-1", i);

                r.mid = (uint16_t)i;
                spool_append(h->spool, &r);
                put(h, "press-2", i);
        }
        commit(h);
        fixture_cut_power(h);
        fixture_open(h);
        spool_recent(h->spool, 10, seen, &n);
        assert_int_equal(n, 10);
}

/* A table in the way makes the transaction fail without any trick on the file system. */
static void a_failing_disk_loses_nothing(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;
        sqlite3 *db;

        put(h, "press-1", 1);
        commit(h);
        assert_int_equal(sqlite3_open(h->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db,
                                      "CREATE TRIGGER no BEFORE INSERT ON sample BEGIN SELECT raise(ABORT, 'no'); END",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        for (int i = 0; i < 2000; i++)
                assert_int_equal(put(h, "press-1", i), 0);
        fixture_run_for(h, 100000);
        for (int i = 0; i < 2000; i++)
                assert_int_equal(put(h, "press-1", i), 0);
        assert_int_equal(put(h, "press-1", 1), SPOOL_E_BUSY);
        fixture_run_for(h, 600000000);
        spool_counts(h->spool, &c);
        assert_true(c.failing);
        assert_non_null(strstr(c.fault, "no"));
        assert_int_equal(h->n_fault, 1);
        assert_int_equal(h->n_works, 0);
        check_counts(h, 1, 0, 1, 0);
        assert_int_equal(sqlite3_exec(db, "DROP TRIGGER no", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        fixture_run_for(h, 60000000);
        assert_int_equal(h->n_works, 1);
        assert_int_equal(h->n_room, 1);
        check_counts(h, 4001, 0, 4001, 0);
        spool_counts(h->spool, &c);
        assert_false(c.failing);
}

static void refused_with(struct fixture *h, const char *gateway, const char *words)
{
        struct tags *tags = tags_new(10);
        struct spool *s = NULL;
        struct err e = {{0}};

        assert_int_equal(spool_open(&s, &h->sim.rt, &h->conf, gateway, tags, NULL, &e), -1);
        if (!strstr(e.text, words) || !strstr(e.text, h->conf.path))
                fail_msg("'%s' does not say '%s'", e.text, words);
        tags_free(tags);
}

static void a_wrong_file_is_refused_by_name(void **state)
{
        struct fixture *h = *state;
        char other[TEMP_PATH_MAX];

        refused_with(h, "gw-7", "in use by process");
        fixture_close(h);
        refused_with(h, "gw-8", "belongs to gateway gw-7");
        db_run(h->path, "PRAGMA user_version=99");
        refused_with(h, "gw-7", "newer millrace");
        h->conf.path = other;
        temp_dir_write(temp_dir_path(&h->dir, "garbage.db", other), "this is no database at all, but a text");
        refused_with(h, "gw-7", "not a spool");
        db_run(temp_dir_path(&h->dir, "foreign.db", other), "CREATE TABLE t(x)");
        refused_with(h, "gw-7", "another program");
        temp_dir_path(&h->dir, "none/spool.db", other);
        refused_with(h, "gw-7", "directory does not exist");
        assert_int_equal(mkdir(temp_dir_path(&h->dir, "folder", other), 0755), 0);
        refused_with(h, "gw-7", "cannot open");
}

static void an_epoch_is_never_used_twice(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;
        struct stat st;
        uint64_t first;

        spool_counts(h->spool, &c);
        first = c.epoch;
        assert_int_equal(stat(h->path, &st), 0);
        assert_int_equal(st.st_mode & 0777 & ~0640, 0);
        fixture_close(h);
        fixture_open(h);
        spool_counts(h->spool, &c);
        assert_int_equal(c.epoch, first);
        fixture_close(h);
        unlink(h->path);
        fixture_open(h);
        spool_counts(h->spool, &c);
        assert_true(c.epoch > first);
        assert_int_equal(db_ask(h->path, "SELECT value FROM meta WHERE key = 'epoch'"), c.epoch);
}

static void forget_everything(struct fixture *h)
{
        static const char *const all[] = {"", "-wal", "-shm", ".lock", ".epoch"};
        char name[TEMP_PATH_MAX];

        fixture_close(h);
        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
                unlink(temp_dir_beside(h->path, all[i], name));
}

/*
 * A new card, a purge: nothing is left to ask. Also with a clock that was never set, two boards in the same second, and
 * a clock that goes back.
 */
static void an_epoch_differs_where_nothing_is_left_to_ask(void **state)
{
        static const int64_t wall_us[] = {FIXTURE_WALL_US, FIXTURE_WALL_US, 7000000, 7000000, FIXTURE_WALL_US - 999999};
        enum { N = sizeof(wall_us) / sizeof(*wall_us) };
        struct fixture *h = *state;
        uint64_t seen[N];

        for (size_t i = 0; i < N; i++) {
                forget_everything(h);
                h->sim.now.wall_us = wall_us[i];
                fixture_open(h);
                seen[i] = fixture_counts(h).epoch;
                assert_true(seen[i] > 0 && seen[i] < UINT64_C(1) << 53);
                for (size_t k = 0; k < i; k++)
                        assert_int_not_equal(seen[i], seen[k]);
        }
}

/* The clock may stand anywhere: what is known beside the file counts. */
static void an_epoch_is_greater_than_all_that_is_known(void **state)
{
        static const char *const left[] = {".epoch", ".lock"};
        struct fixture *h = *state;
        char name[TEMP_PATH_MAX];

        for (int i = 0; i < 2; i++) {
                uint64_t before = fixture_counts(h).epoch;

                fixture_close(h);
                unlink(h->path);
                unlink(temp_dir_beside(h->path, left[i], name));
                h->sim.now.wall_us = i ? 7000000 : FIXTURE_WALL_US - 86400000000;
                fixture_open(h);
                assert_true(fixture_counts(h).epoch > before);
        }
        fixture_close(h);
        temp_dir_write(temp_dir_beside(h->path, ".epoch", name), "99999999999999999999\n"); /* no number of ours */
        fixture_open(h);
        assert_true(fixture_counts(h).epoch < UINT64_C(1) << 53);
}

static sqlite3 *lock_file(struct fixture *h)
{
        sqlite3 *c;

        assert_int_equal(sqlite3_open(h->path, &c), SQLITE_OK);
        assert_int_equal(sqlite3_exec(c, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        return c;
}

/* Waits for locks take no time here; what was asked for is added up. */
static int64_t slept_us;

static int sleep_at_once(sqlite3_vfs *vfs, int us)
{
        slept_us += us;
        return us;
}

static int (*count_sleeps(void))(sqlite3_vfs *, int)
{
        sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
        int (*before)(sqlite3_vfs *, int) = vfs->xSleep;

        slept_us = 0;
        vfs->xSleep = sleep_at_once;
        return before;
}

static void a_retry_acks_nothing_past_a_dead_letter(void **state)
{
        struct fixture *h = *state;
        int (*before)(sqlite3_vfs *, int) = count_sleeps();
        struct spool_counts c;
        sqlite3 *lock;

        for (int i = 0; i < 100; i++)
                put(h, "press-1", i);
        spool_append_event(h->spool, 5, "link", 100, 0, "\"a\":1", 5);
        commit(h);
        lock = lock_file(h);
        put(h, "press-1", 100);
        for (int i = 0; i < 5000 && !h->n_fault; i++)
                fixture_run_for(h, 1000);
        assert_int_equal(h->n_fault, 1);
        spool_dead_letter(h->spool, SPOOL_SAMPLES, 50, "too large");
        spool_dead_letter(h->spool, SPOOL_EVENTS, 1, "too large");
        spool_ack(h->spool, SPOOL_SAMPLES, 100);
        spool_ack(h->spool, SPOOL_EVENTS, 1);
        assert_int_equal(sqlite3_close(lock), SQLITE_OK);
        for (int i = 0; i < 60000 && !h->n_works; i++)
                fixture_run_for(h, 1000);
        assert_int_equal(h->n_works, 1);
        fixture_cut_power(h);
        fixture_open(h);
        check_counts(h, 101, 99, 1, 1);
        spool_counts(h->spool, &c);
        assert_int_equal(c.events_dropped, 1);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM dead_letter WHERE seq IN (50, 1)"), 2);
        sqlite3_vfs_find(NULL)->xSleep = before;
}

static void a_locked_file_holds_up_the_end_for_a_second_at_most(void **state)
{
        for (int running = 0; running < 2; running++) {
                struct fixture *h = *state;
                int (*before)(sqlite3_vfs *, int) = count_sleeps();
                sqlite3 *lock = lock_file(h);

                put(h, "press-1", 1);
                if (running)
                        fixture_run_for(h, h->conf.commit_interval_us);
                slept_us = 0;
                rt_sim_cut(&h->sim);
                assert_false(spool_close(h->spool));
                assert_in_range(slept_us, 1, 1000000);
                assert_int_equal(sqlite3_close(lock), SQLITE_OK);
                sqlite3_vfs_find(NULL)->xSleep = before;
                fixture_leave(h);
                fixture_open(h);
        }
}

/*
 * A loop that goes on while a commit is being made durable: its rows are cut, and readers see them still.  The commit
 * hook is that instant; another connection may do there what it likes.
 */
static struct {
        struct fixture *h;
        struct spool_fetch f;
        bool fetching;
        uint64_t pin, sent, n_sent, n_dropped, n_both;
        unsigned char fate[20001]; /* 1: sent, 2: dropped */
} race;

static void race_mark(uint64_t seq, unsigned char fate)
{
        race.n_both += race.fate[seq] && race.fate[seq] != fate;
        race.fate[seq] |= fate;
}

static void race_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        race.n_dropped += n;
        for (uint64_t seq = first_seq; seq <= last_seq; seq++)
                race_mark(seq, 2);
}

static void race_pin(uint64_t seq)
{
        race.pin = seq > race.pin ? seq : race.pin;
        spool_pin(race.h->spool, SPOOL_SAMPLES, race.pin);
}

static void race_rows(struct spool_fetch *f)
{
        assert_false(f->failed);
        race.fetching = false;
        for (uint32_t i = 0; i < f->n_rows && f->rows[i].seq <= race.pin; i++) {
                race_mark(race.sent = f->rows[i].seq, 1);
                race.n_sent++;
        }
        if (f->n_rows && f->rows[0].seq > race.pin)
                race_pin(f->rows[f->n_rows - 1].seq);
        spool_ack(race.h->spool, SPOOL_SAMPLES, race.sent);
}

static int amid_commit(void *ctx)
{
        if (!race.h || race.fetching)
                return 0;
        race.fetching = true;
        race.f.after_seq = race.sent;
        race_pin(race.sent + race.f.most_rows);
        spool_fetch(race.h->spool, &race.f);
        return 0;
}

static int on_connection(sqlite3 *c, const char **message, const struct sqlite3_api_routines *api)
{
        sqlite3_commit_hook(c, amid_commit, NULL);
        return SQLITE_OK;
}

static void no_row_is_both_sent_and_dropped(void **state)
{
        struct fixture *h = *state;
        char text[400];

        fixture_close(h);
        unlink(h->path);
        memset(text, 'x', sizeof(text));
        h->conf.max_size_bytes = 4 << 20;
        h->conf.when_full = SPOOL_DROP_OLDEST;
        h->up.on_dropped = race_dropped;
        memset(&race, 0, sizeof(race));
        spool_fetch_init(&race.f, SPOOL_SAMPLES, 20, 1 << 16);
        race.f.on_rows = race_rows;
        sqlite3_auto_extension((void (*)(void))on_connection);
        fixture_open(h);
        sqlite3_cancel_auto_extension((void (*)(void))on_connection);
        race.h = h;
        for (int i = 0; i < 200; i++) {
                for (int k = 0; k < 100; k++) {
                        struct reading r = reading(h, "press-1", 0);

                        r.type = READING_TEXT;
                        r.v.text = text;
                        r.len = sizeof(text);
                        assert_int_equal(spool_append(h->spool, &r), 0);
                }
                commit(h);
                fixture_run_for(h, 10000);
        }
        assert_true(race.n_dropped > 5000);
        assert_true(race.n_sent > 500);
        assert_int_equal(race.n_both, 0);
        race.h = NULL;
        fixture_close(h);
        spool_fetch_fini(&race.f);
        h->conf.max_size_bytes = 64 << 20;
        fixture_open(h);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(an_append_comes_back),
                T(every_type_comes_back_as_it_was),
                T(a_large_text_comes_alone),
                T(a_tags_time_grows_with_its_clock),
                T(the_interval_commits_and_a_sync_at_once),
                T(a_full_batch_says_busy_then_room),
                T(the_watermark_steps_over_what_was_dropped),
                T(a_poisoned_row_is_set_aside),
                T(delivered_rows_stay_a_while_then_go),
                T(full_drops_the_oldest_but_for_pinned),
                T(full_drops_the_newest),
                T(full_blocks_until_there_is_room),
                T(pressure_is_told_before_anything_is_refused),
                T(room_comes_back_however_the_acks_come),
                T(events_have_a_share_of_their_own),
                T(quarantine_is_shared),
                T(quarantine_is_bounded),
                T(recent_packet_ids_are_told),
                T(a_failing_disk_loses_nothing),
                T(a_retry_acks_nothing_past_a_dead_letter),
                T(a_locked_file_holds_up_the_end_for_a_second_at_most),
                T(no_row_is_both_sent_and_dropped),
                T(a_wrong_file_is_refused_by_name),
                T(an_epoch_is_never_used_twice),
                T(an_epoch_differs_where_nothing_is_left_to_ask),
                T(an_epoch_is_greater_than_all_that_is_known),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
