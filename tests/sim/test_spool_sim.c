/*
 * test_spool_sim: random use of the spool in virtual time, with slow disks and power cuts, many seeds.
 *
 * A model knows every value by seq.  After every callback: accepted = delivered + held + dropped, and the file agrees
 * with the counters whenever no commit is under way.  After a cut: what a sync promised is there, nothing is there that
 * was not appended, no seq twice.  The uplink of the test delivers what it fetched in order, as the real one does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

enum { SEEDS = 240, STEPS = 120, MOST = 400000, N_TAGS = 7 };

struct world {
        struct fixture f;
        uint64_t seed;
        struct spool_sync sync;
        bool fetching, syncing;
        uint64_t sync_seq; /* appended when the sync was asked */
        uint64_t durable;  /* promised */
        uint64_t sent;     /* last seq the uplink took */
        uint64_t pin;
        bool *taken;        /* by seq: the uplink had it */
        uint64_t kafka[64]; /* sent, not yet acked */
        int n_kafka;
        uint64_t heaviest; /* most bytes of a text */
        int64_t *value;    /* by seq: what was appended; 0: refused */
        uint64_t n;        /* highest seq given */
        int64_t last_ts_us[N_TAGS];
};

/* Over all seeds: what must have happened for the run to mean something. */
static uint64_t n_dropped_full, n_thinned, n_blocked, n_waited, n_cuts;

static void on_dropped(void *ctx, uint64_t first_seq, uint64_t last_seq, uint64_t n, const char *reason)
{
        struct world *w = ctx;

        n_dropped_full += !strcmp(reason, "full");
        n_thinned += !strcmp(reason, "thinned");
        for (uint64_t seq = first_seq; seq <= last_seq && strcmp(reason, "dead_letter"); seq++)
                assert_false(w->taken[seq]);
}

static uint64_t next(struct world *w)
{
        uint64_t z = w->seed += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static uint64_t below(struct world *w, uint64_t n)
{
        return next(w) % n;
}

static void check(void *ctx)
{
        struct world *w = ctx;
        struct spool_counts c = fixture_counts(&w->f);

        assert_true(c.accepted <= w->n);
        assert_true(c.accepted >= w->durable);
        assert_true(c.acked_seq[SPOOL_SAMPLES] <= c.last_seq[SPOOL_SAMPLES]);
        assert_true(db_bytes(w->f.path) <= w->f.conf.max_size_bytes);
        assert_int_equal(c.events_accepted, c.events_delivered + c.events_held + c.events_dropped);
}

/* Nothing is both held and dropped, rows hold what was appended; with no commit under way the file counts as we do. */
static void check_file(struct world *w)
{
        struct spool_counts c;
        sqlite3_stmt *st;
        sqlite3 *db;

        spool_counts(w->f.spool, &c);
        assert_int_equal(sqlite3_open_v2(w->f.path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        if (list_empty(&w->f.sim.works)) {
                assert_int_equal(db_ask(w->f.path,
                                        "SELECT count(*) FROM reading WHERE seq > (SELECT acked_seq FROM cursor WHERE"
                                        " lane='samples')"),
                                 c.held);
                assert_int_equal(db_ask(w->f.path, "SELECT coalesce(sum(n), 0) FROM dropped WHERE lane='samples'"),
                                 c.dropped);
                assert_int_equal(db_ask(w->f.path,
                                        "SELECT count(*) FROM event WHERE seq > (SELECT acked_seq FROM cursor WHERE"
                                        " lane='events')"),
                                 c.events_held);
        }
        assert_int_equal(db_ask(w->f.path,
                                "SELECT count(*) FROM dropped a, dropped b WHERE a.lane = b.lane AND a.first_seq <"
                                " b.first_seq AND a.last_seq >= b.first_seq"),
                         0);
        assert_int_equal(db_ask(w->f.path,
                                "SELECT count(*) FROM reading r, dropped d WHERE d.lane = 'samples' AND r.seq BETWEEN"
                                " d.first_seq AND d.last_seq"),
                         0);
        assert_int_equal(sqlite3_prepare_v2(db, "SELECT seq, cast(value AS INTEGER) FROM reading WHERE flags & 64 = 0",
                                            -1, &st, NULL),
                         SQLITE_OK);
        while (sqlite3_step(st) == SQLITE_ROW) {
                uint64_t seq = (uint64_t)sqlite3_column_int64(st, 0);

                assert_true(seq <= w->n);
                assert_int_equal(sqlite3_column_int64(st, 1), w->value[seq]);
        }
        sqlite3_finalize(st);
        sqlite3_close(db);
}

static void open_with_tags(struct world *w)
{
        fixture_open(&w->f);
        for (uint32_t i = 0, at; i < N_TAGS; i++) {
                char name[16];

                snprintf(name, sizeof(name), "tag-%u", i);
                assert_int_equal(tags_intern(w->f.tags, "press-1", name, "", "", "sim", &at), 0);
                assert_int_equal(at, i);
        }
        list_init(&w->sync.node);
        w->syncing = w->fetching = false;
        w->n_kafka = 0;
        w->pin = 0;
        memset(w->taken, 0, MOST * sizeof(*w->taken));
}

/* Back on: what was promised is there; what was not may be gone, and its seqs are given again. */
static void cut(struct world *w)
{
        struct spool_counts c;

        n_cuts++;
        fixture_cut_power(&w->f);
        open_with_tags(w);
        spool_counts(w->f.spool, &c);
        assert_true(c.accepted >= w->durable);
        assert_true(c.accepted <= w->n);
        assert_int_equal(spool_appended_seq(w->f.spool, SPOOL_SAMPLES), c.accepted);
        w->n = c.accepted;
        w->sent = c.acked_seq[SPOOL_SAMPLES];
        for (uint32_t i = 0; i < tags_count(w->f.tags); i++)
                w->last_ts_us[i] = tags_get(w->f.tags, i)->last_ts_us;
        check_file(w);
}

static void on_durable(struct spool_sync *q)
{
        struct world *w = list_entry(q, struct world, sync);

        w->syncing = false;
        w->durable = w->sync_seq;
}

/* The number as text with blanks behind it, so that the file fills up. */
static void make_text(struct world *w, struct reading *r)
{
        static char text[6000];

        memset(text, ' ', sizeof(text));
        text[sprintf(text, "%" PRId64, r->v.i64)] = ' ';
        r->type = READING_TEXT;
        r->len = 20 + (uint32_t)below(w, w->heaviest);
        r->v.text = text;
}

static void append(struct world *w)
{
        bool heavy = w->heaviest && below(w, 3), thin = w->f.conf.when_full == SPOOL_THIN;
        int rc;

        if (thin)
                w->f.sim.now.wall_us += (int64_t)below(w, 40000000); /* minutes must pass */
        for (uint64_t i = below(w, 300); i; i--) {
                struct reading r = {.ts_us = w->f.sim.now.wall_us - (int64_t)below(w, 3000),
                                    .arrival_us = w->f.sim.now.wall_us,
                                    .tag = (uint32_t)below(w, N_TAGS),
                                    .type = READING_I64};

                int64_t value = (int64_t)(next(w) >> (thin ? 20 : 2)) + 1;

                r.v.i64 = value;
                if (heavy)
                        make_text(w, &r);
                rc = spool_append(w->f.spool, &r);
                n_blocked += rc == SPOOL_E_FULL;
                n_waited += rc == SPOOL_E_BUSY;
                if (rc == 0) {
                        w->value[++w->n] = value;
                } else {
                        spool_refuse(w->f.spool, 1, "memory_full");
                        w->value[++w->n] = 0;
                }
                assert_int_equal(spool_appended_seq(w->f.spool, SPOOL_SAMPLES), w->n);
        }
}

static void refuse(struct world *w)
{
        uint64_t n = below(w, 5);

        spool_refuse(w->f.spool, n, below(w, 2) ? "memory_full" : "spool_full");
        while (n--)
                w->value[++w->n] = 0;
}

static void sync_up(struct world *w)
{
        if (w->syncing)
                return;
        w->syncing = true;
        w->sync_seq = w->n;
        w->sync.on_durable = on_durable;
        spool_sync(w->f.spool, &w->sync);
}

static int64_t value_of(const struct reading *r)
{
        return r->type == READING_TEXT ? strtoll(r->v.text, NULL, 10) : r->v.i64;
}

static void pin(struct world *w, uint64_t seq)
{
        w->pin = seq > w->pin ? seq : w->pin;
        spool_pin(w->f.spool, SPOOL_SAMPLES, w->pin);
}

static void on_rows(struct spool_fetch *f)
{
        struct world *w = list_entry(f, struct world, f.fetch);

        w->fetching = false;
        assert_false(f->failed);
        for (uint32_t i = 0; i < f->n_rows && f->rows[i].seq <= w->pin; i++) {
                assert_true(f->rows[i].seq > w->sent);
                if (f->rows[i].r.flags & READING_AGGREGATE)
                        assert_true(f->rows[i].a.n > 0 && f->rows[i].a.min <= f->rows[i].a.max);
                else
                        assert_int_equal(value_of(&f->rows[i].r), w->value[f->rows[i].seq]);
                w->sent = f->rows[i].seq;
                w->taken[w->sent] = true;
        }
        if (f->n_rows && f->rows[0].seq <= w->pin)
                w->kafka[w->n_kafka++] = w->sent;
        else if (f->n_rows)
                pin(w, f->rows[f->n_rows - 1].seq);
}

static void fetch(struct world *w)
{
        if (w->fetching || w->n_kafka == 64)
                return;
        w->fetching = true;
        w->f.fetch.on_rows = on_rows;
        w->f.fetch.after_seq = w->sent;
        pin(w, w->sent + w->f.fetch.most_rows);
        spool_fetch(w->f.spool, &w->f.fetch);
}

static void ack(struct world *w)
{
        int n = (int)below(w, (uint64_t)w->n_kafka + 1);

        if (!n)
                return;
        spool_ack(w->f.spool, SPOOL_SAMPLES, w->kafka[n - 1]);
        memmove(w->kafka, w->kafka + n, (size_t)(w->n_kafka - n) * sizeof(*w->kafka));
        w->n_kafka -= n;
}

static void step(struct world *w)
{
        static const char body[] = "\"kind\":\"link\",\"state\":\"down\"";

        switch (below(w, 16)) {
        case 0 ... 4:
                append(w);
                break;
        case 5:
                refuse(w);
                break;
        case 6 ... 7:
                sync_up(w);
                break;
        case 8 ... 10:
                fetch(w);
                break;
        case 11 ... 12:
                ack(w);
                break;
        case 13:
                spool_append_event(w->f.spool, w->f.sim.now.wall_us, "link", 100, SPOOL_NO_TAG, body, sizeof(body) - 1);
                spool_ack(w->f.spool, SPOOL_EVENTS, below(w, spool_appended_seq(w->f.spool, SPOOL_EVENTS) + 1));
                break;
        case 14:
                w->f.sim.work_delay_us = (int64_t)(below(w, 10) ? below(w, 30000) : below(w, 3000000));
                break;
        default:
                if (below(w, 3) == 0)
                        cut(w);
                else if (w->n > w->sent && below(w, 2) && w->n_kafka)
                        spool_dead_letter(w->f.spool, SPOOL_SAMPLES, w->kafka[w->n_kafka - 1], "too large");
        }
        check(w);
        rt_sim_run(&w->f.sim, w->f.sim.now.mono_us + (int64_t)below(w, 40000), check, w);
        if (below(w, 4) == 0)
                check_file(w);
}

static void finish(struct world *w)
{
        struct spool_counts c;
        uint64_t given = w->n;

        w->f.sim.work_delay_us = 1000;
        rt_sim_run(&w->f.sim, w->f.sim.now.mono_us + 60000000, check, w);
        spool_counts(w->f.spool, &c);
        assert_int_equal(c.accepted, given);
        assert_false(c.failing);
        check_file(w);
        fixture_close(&w->f);
        open_with_tags(w);
        spool_counts(w->f.spool, &c);
        assert_int_equal(c.accepted, given);
        check_file(w);
        fixture_close(&w->f);
}

static void run_seed(uint64_t seed)
{
        struct world *w = calloc(1, sizeof(*w));

        w->seed = seed;
        w->value = calloc(MOST, sizeof(*w->value));
        w->taken = calloc(MOST, sizeof(*w->taken));
        fixture_init(&w->f, "spool_sim", seed);
        w->f.up = (struct spool_upcalls){.on_dropped = on_dropped, .ctx = w};
        w->f.conf = (struct spool_conf){.path = w->f.path,
                                        .max_size_bytes = 4 << 20,
                                        .when_full = (int)below(w, 4),
                                        .commit_interval_us = (int64_t)(10000 + below(w, 1000000)),
                                        .keep_delivered_us = below(w, 2) ? 0 : 1000000,
                                        .batch_rows = 100 + (int64_t)below(w, 1900),
                                        .batch_bytes = 64 << 10,
                                        .quarantine_bytes = 64 << 10};
        spool_fetch_init(&w->f.fetch, SPOOL_SAMPLES, 1 + (uint32_t)below(w, 700), 1 << 16);
        w->heaviest = below(w, 2) ? 0 : 1 + below(w, 5900);
        open_with_tags(w);
        for (int i = 0; i < STEPS; i++)
                step(w);
        finish(w);
        fixture_fini(&w->f);
        free(w->value);
        free(w->taken);
        free(w);
}

static void every_seed_keeps_the_books(void **state)
{
        const char *one = getenv("SPOOL_SIM_SEED");

        for (uint64_t seed = one ? strtoull(one, NULL, 10) : 1; seed <= (one ? strtoull(one, NULL, 10) : SEEDS);
             seed++) {
                print_message("seed %lu\r", (unsigned long)seed);
                run_seed(seed);
        }
        print_message("\n%lu drops when full, %lu thinned, %lu blocked, %lu waits, %lu cuts\n",
                      (unsigned long)n_dropped_full, (unsigned long)n_thinned, (unsigned long)n_blocked,
                      (unsigned long)n_waited, (unsigned long)n_cuts);
        assert_true(one || (n_dropped_full && n_thinned && n_blocked && n_waited && n_cuts));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_seed_keeps_the_books),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
