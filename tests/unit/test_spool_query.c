/*
 * test_spool_query: listing a spool beside the one that writes it, and without one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/batch.h"
#include "store/inspect/query.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

static struct fixture T;

enum { N = 3000 };
#define WALL_US FIXTURE_WALL_US

/* Odd seqs are press-1/temp numbers, even ones press-2/state texts; 1..1000 delivered, 3001 refused, 500 set aside. */
static int setup(void **state)
{
        struct reading num = {.ts_us = WALL_US, .arrival_us = WALL_US, .type = READING_F64};
        struct reading text = {.ts_us = WALL_US, .arrival_us = WALL_US, .type = READING_TEXT, .len = 4};

        fixture_init(&T, "spool_query", 1);
        T.conf.commit_interval_us = 1000;
        T.conf.keep_delivered_us = 3600000000;
        T.conf.batch_rows = 5000;
        fixture_open(&T);
        tags_intern(T.tags, "press-1", "temp", "degC", "\"line\":\"l1\"", "plant", &num.tag);
        tags_intern(T.tags, "press-2", "state", "", "", "plant", &text.tag);
        text.v.text = "idle";
        for (int i = 1; i <= N; i++) {
                num.ts_us = text.ts_us = WALL_US + i * 1000;
                num.v.f64 = i;
                assert_int_equal(spool_append(T.spool, i % 2 ? &num : &text), 0);
        }
        spool_refuse(T.spool, 1, "memory_full");
        spool_append_event(T.spool, 77, "alarm", 700, num.tag, "\"a\":1", 5);
        spool_append_event(T.spool, 78, "link", 100, SPOOL_NO_TAG, "\"b\":2", 5);
        spool_quarantine(T.spool, "plant", "a/b", "not a number", "x\0y", 3);
        fixture_run_for(&T, 100000);
        spool_dead_letter(T.spool, SPOOL_SAMPLES, 500, "too large");
        spool_ack(T.spool, SPOOL_SAMPLES, 1000);
        fixture_run_for(&T, 100000);
        return 0;
}

static int teardown(void **state)
{
        if (T.spool)
                fixture_close(&T);
        fixture_fini(&T);
        return 0;
}

struct seen {
        uint64_t n, first, last, stop_after;
        struct spool_query_row row;
};

static bool on_row(void *ctx, const struct spool_query_row *row)
{
        struct seen *s = ctx;

        assert_true(row->seq > s->last);
        if (!s->n++)
                s->first = row->seq;
        s->last = row->seq;
        s->row = *row;
        if (row->r.type == READING_TEXT && row->r.len == 4)
                assert_memory_equal(row->r.v.text, "idle", 4);
        return s->n != s->stop_after;
}

static struct spool_query *open_query(void)
{
        struct spool_query *q;
        struct err e = {{0}};

        if (spool_query_open(&q, T.path, &e) < 0)
                fail_msg("%s", e.text);
        assert_string_equal(spool_query_gateway(q), "gw-7");
        assert_int_equal(spool_query_epoch(q), db_ask(T.path, "SELECT value FROM meta WHERE key = 'epoch'"));
        return q;
}

static void filters_choose_rows(void **state)
{
        static const struct {
                struct spool_filter f;
                uint64_t n, first, last;
        } cases[] = {
                {{.lane = SPOOL_SAMPLES}, N - 1, 1, N},
                {{.lane = SPOOL_SAMPLES, .held_only = true}, 2000, 1001, N},
                {{.lane = SPOOL_SAMPLES, .first_seq = 100, .last_seq = 199}, 100, 100, 199},
                {{.lane = SPOOL_SAMPLES, .from_us = WALL_US + 10000, .to_us = WALL_US + 20000}, 10, 10, 19},
                {{.lane = SPOOL_SAMPLES, .source = "press-1"}, 1500, 1, 2999},
                {{.lane = SPOOL_SAMPLES, .source = "press-*", .name = "st?te"}, 1499, 2, N},
                {{.lane = SPOOL_SAMPLES, .source = "none"}, 0, 0, 0},
                {{.lane = SPOOL_SAMPLES, .newest = 5}, 5, 2996, N},
                {{.lane = SPOOL_SAMPLES, .newest = 1000, .source = "press-1"}, 1000, 1001, 2999},
                {{.lane = SPOOL_SAMPLES, .newest = 9999}, N - 1, 1, N},
                {{.lane = SPOOL_SAMPLES, .limit = 7}, 7, 1, 7},
                {{.lane = SPOOL_SAMPLES, .first_seq = N + 2}, 0, 0, 0},
                {{.lane = SPOOL_EVENTS}, 2, 1, 2},
        };
        struct spool_query *q = open_query();
        struct err e = {{0}};

        assert_true(spool_query_live(q));
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct seen s = {0};

                assert_int_equal(spool_query_rows(q, &cases[i].f, on_row, &s, &e), 0);
                assert_int_equal(s.n, cases[i].n);
                assert_int_equal(s.first, cases[i].first);
                assert_int_equal(s.last, cases[i].last);
        }
        spool_query_close(q);
}

static void a_row_has_its_names(void **state)
{
        struct spool_filter f = {.lane = SPOOL_SAMPLES};
        struct spool_query *q = open_query();
        struct seen s = {.stop_after = 1};
        struct err e = {{0}};

        assert_int_equal(spool_query_rows(q, &f, on_row, &s, &e), 0);
        assert_string_equal(s.row.source, "press-1");
        assert_string_equal(s.row.name, "temp");
        assert_string_equal(s.row.unit, "degC");
        assert_string_equal(s.row.labels, "\"line\":\"l1\"");
        assert_true(s.row.delivered);
        assert_true(s.row.r.v.f64 == 1.0);
        s = (struct seen){.stop_after = 1};
        f.lane = SPOOL_EVENTS;
        assert_int_equal(spool_query_rows(q, &f, on_row, &s, &e), 0);
        assert_string_equal(s.row.source, "press-1");
        assert_int_equal(s.row.severity, 700);
        assert_int_equal(s.row.r.len, 5);
        assert_false(s.row.delivered);
        s = (struct seen){0};
        f.first_seq = 2;
        assert_int_equal(spool_query_rows(q, &f, on_row, &s, &e), 0);
        assert_string_equal(s.row.source, "");
        spool_query_close(q);
}

/* Refused, and passed by the watermark; then one more, which makes the line longer. */
static void a_line_that_grew_over_the_watermark_counts_as_the_daemon_does(void **state)
{
        struct spool_counts mine, theirs;
        struct spool_query *q;
        struct fixture h;
        struct err e;

        fixture_init(&h, "spool_query_line", 3);
        fixture_open(&h);
        spool_refuse(h.spool, 4, "memory_full");
        fixture_run_for(&h, 3000000);
        fixture_close(&h);
        db_run(h.path, "UPDATE cursor SET acked_seq = 3 WHERE lane = 'samples'"); /* as between two commits */
        assert_int_equal(db_ask(h.path, "SELECT last_seq FROM dropped"), 4);
        fixture_open(&h);
        spool_counts(h.spool, &theirs);
        assert_int_equal(spool_query_open(&q, h.path, &e), 0);
        assert_int_equal(spool_query_counts(q, &mine, &e), 0);
        spool_query_close(q);
        assert_int_equal(mine.accepted, 4);
        assert_int_equal(mine.dropped, 4);
        assert_int_equal(mine.delivered, 0);
        assert_int_equal(mine.held, 0);
        assert_int_equal(mine.delivered, theirs.delivered);
        fixture_close(&h);
        fixture_fini(&h);
}

static void counts_are_the_daemons(void **state)
{
        struct spool_query *q = open_query();
        struct spool_counts mine, theirs;
        struct err e = {{0}};

        spool_counts(T.spool, &theirs);
        assert_int_equal(spool_query_counts(q, &mine, &e), 0);
        assert_int_equal(mine.accepted, N + 1);
        assert_int_equal(mine.accepted, theirs.accepted);
        assert_int_equal(mine.delivered, 999);
        assert_int_equal(mine.delivered, theirs.delivered);
        assert_int_equal(mine.held, 2000);
        assert_int_equal(mine.held, theirs.held);
        assert_int_equal(mine.dropped, 2);
        assert_int_equal(mine.dropped, theirs.dropped);
        assert_int_equal(mine.events_held, 2);
        assert_int_equal(mine.oldest_held_ts_us, theirs.oldest_held_ts_us);
        assert_int_equal(mine.spool_bytes, theirs.spool_bytes);
        assert_int_equal(mine.quarantined, 1);
        assert_int_equal(mine.dead_lettered, 1);
        spool_query_close(q);
}

static bool on_tag(void *ctx, const struct spool_query_tag *t)
{
        int *n = ctx;

        if (t->id == 0) {
                assert_string_equal(t->driver, "plant");
                assert_int_equal(t->n_held, 1000);
                assert_int_equal(t->n_kept, 500);
                assert_true(t->has_last && t->last.v.f64 == 2999.0);
                assert_int_equal(t->newest_ts_us, WALL_US + 2999000);
                assert_int_equal(t->oldest_ts_us, WALL_US + 1000);
        }
        (*n)++;
        return true;
}

static bool on_drop(void *ctx, const struct spool_query_drop *d)
{
        int *n = ctx;

        assert_int_equal(d->first_seq, *n ? N + 1 : 500);
        assert_string_equal(d->reason, *n ? "memory_full" : "dead_letter");
        assert_int_equal(d->n, 1);
        (*n)++;
        return true;
}

static bool on_quarantine(void *ctx, const struct spool_query_quarantine *item)
{
        assert_string_equal(item->driver, "plant");
        assert_string_equal(item->origin, "a/b");
        assert_string_equal(item->reason, "not a number");
        assert_int_equal(item->len, 3);
        assert_memory_equal(item->payload, "x\0y", 3);
        (*(int *)ctx)++;
        return true;
}

static bool on_dead(void *ctx, const struct spool_query_dead *d)
{
        assert_int_equal(d->lane, SPOOL_SAMPLES);
        assert_int_equal(d->row.seq, 500);
        assert_string_equal(d->row.source, "press-2");
        assert_string_equal(d->reason, "too large");
        assert_memory_equal(d->row.r.v.text, "idle", 4);
        (*(int *)ctx)++;
        return true;
}

static void the_small_tables_are_listed_without_a_daemon(void **state)
{
        struct spool_query *q;
        struct err e = {{0}};
        int n = 0;

        fixture_close(&T);
        q = open_query();
        assert_false(spool_query_live(q));
        assert_int_equal(spool_query_tags(q, true, on_tag, &n, &e), 0);
        assert_int_equal(n, 2);
        n = 0;
        assert_int_equal(spool_query_dropped(q, on_drop, &n, &e), 0);
        assert_int_equal(n, 2);
        n = 0;
        assert_int_equal(spool_query_quarantine(q, on_quarantine, &n, &e), 0);
        assert_int_equal(n, 1);
        n = 0;
        assert_int_equal(spool_query_dead_letters(q, on_dead, &n, &e), 0);
        assert_int_equal(n, 1);
        spool_query_close(q);
}

struct last_seen {
        size_t n, n_last;
        char words[200];
};

static bool on_last(void *ctx, const struct spool_query_tag *t)
{
        struct last_seen *s = ctx;
        size_t len = strlen(s->words);

        s->n++;
        if (!t->has_last)
                return true;
        s->n_last++;
        if (t->last.type == READING_TEXT)
                snprintf(s->words + len, sizeof(s->words) - len, "%s=%.*s ", t->name, (int)t->last.len, t->last.v.text);
        else
                snprintf(s->words + len, sizeof(s->words) - len, "%s=%g ", t->name, t->last.v.f64);
        assert_int_equal(t->last_ts_us, t->last.ts_us);
        return true;
}

/* Walked from the newest down, and no further than is needed or allowed. */
static void the_last_reading_of_each_tag(void **state)
{
        static const struct {
                uint64_t most;
                size_t n_last;
                const char *words;
        } rows[] = {{1000000, 2, "temp=2999 state=idle "},
                    {2, 2, "temp=2999 state=idle "},
                    {1, 1, "state=idle "},
                    {0, 0, ""}};
        struct spool_query *q = open_query();
        struct err e;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct last_seen s = {0};

                assert_int_equal(spool_query_last(q, rows[i].most, on_last, &s, &e), 0);
                assert_int_equal(s.n, 2);
                assert_int_equal(s.n_last, rows[i].n_last);
                assert_string_equal(s.words, rows[i].words);
        }
        spool_query_close(q);
}

/* ---- pages that answer places which do not grow ---- */

static long read_file(unsigned char **p)
{
        FILE *f = fopen(T.path, "r");
        long n;

        assert_non_null(f);
        fseek(f, 0, SEEK_END);
        n = ftell(f);
        rewind(f);
        *p = malloc((size_t)n);
        assert_int_equal(fread(*p, 1, (size_t)n, f), n);
        fclose(f);
        return n;
}

static void patch(long at, unsigned char byte)
{
        int fd = open(T.path, O_WRONLY);

        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
}

/* Of row `i` in the table's only page: behind the length of its payload. */
static void set_rowid(const char *table, int i, unsigned char rowid)
{
        unsigned char *p, *page;
        char sql[200];
        long at;

        snprintf(sql, sizeof(sql), "SELECT rootpage FROM sqlite_master WHERE name = '%s'", table);
        at = (db_ask(T.path, sql) - 1) * PAGE_BYTES;
        read_file(&p);
        page = p + at;
        assert_int_equal(page[0], 13);
        at += page[8 + 2 * i] << 8 | page[9 + 2 * i];
        patch(at + (p[at] & 0x80 ? 2 : 1), rowid);
        free(p);
}

/* The first place in the file where `text` is. */
static void set_text(const char *text, size_t n, size_t at, unsigned char byte)
{
        unsigned char *p, *found;
        long size = read_file(&p);

        found = memmem(p, (size_t)size, text, n);
        assert_non_null(found);
        patch(found - p + (long)at, byte);
        free(p);
}

static bool enough(size_t *n)
{
        if (++*n > 50)
                fail_msg("it never ends");
        return true;
}

static bool each_drop(void *ctx, const struct spool_query_drop *d)
{
        return enough(ctx);
}

static bool each_quarantine(void *ctx, const struct spool_query_quarantine *d)
{
        return enough(ctx);
}

static bool each_dead(void *ctx, const struct spool_query_dead *d)
{
        return enough(ctx);
}

static bool each_alarm(void *ctx, const struct spool_alarm *d)
{
        return enough(ctx);
}

static bool each_note(void *ctx, const struct spool_query_alarm_note *d)
{
        return enough(ctx);
}

static bool each_row(void *ctx, const struct spool_query_row *row)
{
        return enough(ctx);
}

static bool each_tag(void *ctx, const struct spool_query_tag *t)
{
        return enough(ctx);
}

static void damage(const unsigned char *second)
{
        fixture_close(&T);
        db_run(T.path, "DELETE FROM sample WHERE seq > 3; DELETE FROM dropped; DELETE FROM dead_letter;"
                       "DELETE FROM quarantine; DELETE FROM cursor WHERE 0;"
                       "INSERT INTO dropped VALUES ('samples', 16706, 16707, 2, 'full', 0),"
                       " ('samples', 16962, 16963, 2, 'full', 0);"
                       "INSERT INTO dead_letter SELECT value, 'samples', 1, 0, 0, 0, 0, 1, 0, 0, 'x', 0 FROM"
                       " (SELECT 1 AS value UNION SELECT 2);"
                       "INSERT INTO quarantine VALUES (1, 0, 'd', 'o', 'r', 'x'), (2, 0, 'd', 'o', 'r', 'x');"
                       "INSERT INTO alarm_log (id, at_us, source, tag) VALUES (1, 0, 'a', 'b'), (2, 0, 'a', 'b');"
                       "INSERT INTO alarm (source, tag, rule, limit_kind) VALUES ('qq-1', 'b', 'c', 'd'),"
                       " ('qq-2', 'b', 'c', 'd'); VACUUM");
        for (const char *const *t = (const char *const[]){"dead_letter", "quarantine", "alarm_log", "event", NULL}; *t;
             t++)
                set_rowid(*t, 1, *second);
        set_rowid("sample", 2, *second);
        set_text("samplesBB", 9, 7, *second ? 'A' : 1);
        set_text("qq-2", 4, 3, *second ? '1' : '0');
}

static void what_does_not_grow_ends_a_listing(void **state)
{
        static const unsigned char second[] = {0, 1};
        struct spool_filter samples = {.lane = SPOOL_SAMPLES}, newest = {.lane = SPOOL_SAMPLES, .newest = 40},
                            events = {.lane = SPOOL_EVENTS};

        for (size_t i = 0; i < sizeof(second); i++) {
                struct spool_query *q;
                struct err e = {{0}};
                size_t n[9] = {0};
                int rc[9];

                if (i) {
                        teardown(state);
                        setup(state);
                }
                damage(&second[i]);
                assert_int_equal(spool_query_open(&q, T.path, &e), 0);
                rc[0] = spool_query_dropped(q, each_drop, &n[0], &e);
                rc[1] = spool_query_quarantine(q, each_quarantine, &n[1], &e);
                rc[2] = spool_query_dead_letters(q, each_dead, &n[2], &e);
                rc[3] = spool_query_alarms(q, each_alarm, &n[3], &e);
                rc[4] = spool_query_alarm_log(q, 0, 0, each_note, &n[4], &e);
                rc[5] = spool_query_rows(q, &samples, each_row, &n[5], &e);
                rc[6] = spool_query_rows(q, &newest, each_row, &n[6], &e);
                rc[7] = spool_query_rows(q, &events, each_row, &n[7], &e);
                rc[8] = spool_query_tags(q, true, each_tag, &n[8], &e);
                for (int k = 0; k < 9; k++)
                        print_message("%d: %d after %zu\n", k, rc[k], n[k]);
                for (int k = 0; k < 9; k++)
                        assert_true(rc[k] == -1 || n[k] <= 3);
                assert_int_equal(rc[2], -1);
                assert_non_null(strstr(e.text, "damaged"));
                spool_query_close(q);
        }
}

/* Whoever ends does not wait for somebody's listing. */
static void a_listing_can_be_given_up(void **state)
{
        struct spool_filter all = {.lane = SPOOL_SAMPLES};
        struct spool_query *q = open_query();
        atomic_bool over = true;
        struct seen s = {0};
        struct err e = {{0}};

        spool_query_give_up_on(q, &over);
        assert_int_equal(spool_query_rows(q, &all, on_row, &s, &e), -1);
        assert_true(s.n < N - 1);
        spool_query_close(q);
}

static void a_wrong_file_is_named(void **state)
{
        struct spool_query *q;
        struct err e = {{0}};
        char path[TEMP_PATH_MAX], text[601];

        assert_int_equal(spool_query_open(&q, temp_dir_beside(T.path, ".none", path), &e), -1);
        assert_non_null(strstr(e.text, path));
        snprintf(text, sizeof(text), "%600s", "this is no database");
        temp_dir_write(temp_dir_beside(T.path, ".epoch", path), text);
        assert_int_equal(spool_query_open(&q, path, &e), -1);
        assert_non_null(strstr(e.text, "not a spool"));
}

static bool on_event_row(void *ctx, const struct spool_query_row *row)
{
        struct seen *s = ctx;

        s->first = s->n++ ? s->first : row->seq;
        s->last = row->seq;
        return true;
}

/*
 * Delivered events stay for those who ask what happened: for long after delivered readings went, the newest, within
 * half of their share of the room; none of them is in the ledger.
 */
static void delivered_events_stay_within_bounds(void **state)
{
        static const struct spool_filter all = {.lane = SPOOL_EVENTS};
        struct seen few = {0}, many = {0};
        struct spool_counts counts;
        struct spool_query *q;
        char body[200];
        struct err e;

        fixture_close(&T);
        T.conf.keep_delivered_us = 0;
        T.conf.max_size_bytes = 4 << 20;
        fixture_open(&T);
        spool_ack(T.spool, SPOOL_EVENTS, 2);
        fixture_run_for(&T, 3 * INT64_C(86400000000));
        assert_int_equal(spool_query_open(&q, T.path, &e), 0);
        assert_int_equal(spool_query_rows(q, &all, on_event_row, &few, &e), 0);
        assert_int_equal(few.n, 2);
        snprintf(body, sizeof(body), "\"c\":\"%0190d\"", 0);
        for (uint64_t i = 3; i <= 2000; i++) {
                spool_append_event(T.spool, WALL_US, "link", 100, SPOOL_NO_TAG, body, strlen(body));
                if (i % 20)
                        continue;
                fixture_run_for(&T, 100000);
                spool_ack(T.spool, SPOOL_EVENTS, i);
        }
        fixture_run_for(&T, 100000);
        assert_int_equal(spool_query_rows(q, &all, on_event_row, &many, &e), 0);
        assert_int_equal(many.last, 2000);
        assert_in_range(many.n, 300, 1000);
        assert_int_equal(many.n, many.last - many.first + 1);
        spool_counts(T.spool, &counts);
        assert_int_equal(counts.events_dropped, 0);
        assert_int_equal(counts.events_held, 0);
        spool_query_close(q);
        (void)state;
}

#define AROUND(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                AROUND(filters_choose_rows),
                AROUND(a_row_has_its_names),
                AROUND(counts_are_the_daemons),
                AROUND(the_small_tables_are_listed_without_a_daemon),
                AROUND(a_line_that_grew_over_the_watermark_counts_as_the_daemon_does),
                AROUND(the_small_tables_are_listed_without_a_daemon),
                AROUND(a_wrong_file_is_named),
                AROUND(what_does_not_grow_ends_a_listing),
                AROUND(a_listing_can_be_given_up),
                AROUND(the_last_reading_of_each_tag),
                AROUND(delivered_events_stay_within_bounds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
