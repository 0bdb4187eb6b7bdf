/*
 * The spool's alarms: the last state of each survives, with the reading of its transaction or not at all; the journal
 * is bounded; a file of before there were alarms gets their tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "agent/base/log.h"
#include "store/inspect/query.h"
#include "tests/fault/old_format.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

static struct fixture T;

static int set_up(void **state)
{
        fixture_init(&T, "spool_alarm", 5);
        T.conf.max_size_bytes = 4 << 20;
        T.conf.batch_rows = 1000;
        return 0;
}

static int tear_down(void **state)
{
        fixture_fini(&T);
        return 0;
}

static void put(const char *tag, uint32_t activations, bool active)
{
        struct spool_alarm a = {.source = "press-1",
                                .tag = tag,
                                .rule = "hot",
                                .limit_kind = "hi",
                                .state = active ? "unack" : "normal",
                                .active = active,
                                .unacked = active,
                                .severity = 700,
                                .activations = activations,
                                .since_us = 1000000 * (int64_t)activations,
                                .event_id = "0123456789abcdef"};
        struct spool_alarm_note n = {.at_us = a.since_us,
                                     .source = a.source,
                                     .tag = tag,
                                     .rule = a.rule,
                                     .limit_kind = a.limit_kind,
                                     .change = active ? "active" : "returned",
                                     .by = activations % 2 ? "kim" : "",
                                     .comment = activations % 2 ? "it's \"fine\"" : "",
                                     .value = 90,
                                     .limit = NAN,
                                     .severity = 700,
                                     .event_id = "0123456789abcdef"};

        spool_put_alarm(T.spool, &a);
        spool_note_alarm(T.spool, &n);
}

struct found {
        int n;
        uint32_t activations[3];
        bool active[3];
};

static void on_alarm(void *ctx, const struct spool_alarm *a)
{
        struct found *f = ctx;

        assert_true(f->n < 3);
        assert_string_equal(a->source, "press-1");
        assert_string_equal(a->event_id, "0123456789abcdef");
        assert_int_equal(a->since_us, 1000000 * (int64_t)a->activations);
        f->activations[f->n] = a->activations;
        f->active[f->n++] = a->active;
}

static struct found read_back(void)
{
        struct found f = {0};
        struct err e;

        assert_int_equal(spool_each_alarm(T.spool, on_alarm, &f, &e), 0);
        return f;
}

static void test_the_last_state_is_kept(void **state)
{
        struct found f;

        fixture_open(&T);
        for (uint32_t i = 1; i <= 5000; i++)
                put(i % 2 ? "a" : "b", i, i % 3 == 0); /* thousands of changes of two alarms within one commit */
        fixture_close(&T);
        fixture_open(&T);
        f = read_back();
        assert_int_equal(f.n, 2);
        assert_int_equal(f.activations[0], 4999);
        assert_int_equal(f.activations[1], 5000);
        assert_true(!f.active[0] && !f.active[1]);
        fixture_close(&T);
}

static void test_with_its_reading_or_not_at_all(void **state)
{
        struct spool_counts c;
        struct reading r = {.type = READING_F64, .ts_us = 1, .arrival_us = 1};

        for (uint32_t i = 1; i <= 40; i++) {
                fixture_open(&T);
                spool_counts(T.spool, &c);
                assert_int_equal(c.accepted, c.accepted ? read_back().activations[0] : 0);
                assert_int_equal(tags_intern(T.tags, "press-1", "a", "", "", "d", &r.tag), 0);
                put("a", (uint32_t)c.accepted + 1, true);
                assert_int_equal(spool_append(T.spool, &r), 0);
                spool_hurry(T.spool, 1000);
                fixture_run_for(&T, (i % 3) * 1000);
                fixture_cut_power(&T); /* as kill -9 would */
        }
        assert_true(c.accepted > 10 && c.accepted < 40);
}

static bool on_note(void *ctx, const struct spool_query_alarm_note *note)
{
        uint64_t *n = ctx;

        assert_true(isnan(note->n.limit) && note->n.value == 90);
        assert_string_equal(note->n.by, note->n.at_us / 1000000 % 2 ? "kim" : "");
        assert_string_equal(note->n.comment, *note->n.by ? "it's \"fine\"" : "");
        (*n)++;
        return true;
}

static void test_the_journal_is_bounded(void **state)
{
        struct spool_query *q;
        struct spool_counts c;
        uint64_t n = 0, last = 0;
        struct err e;

        fixture_open(&T);
        for (uint32_t i = 1; i <= 6000; i++) {
                put("a", i, true);
                if (i % 100 == 0)
                        fixture_run_for(&T, 2000000);
        }
        spool_counts(T.spool, &c);
        assert_int_equal(c.alarm_notes_lost, 0);
        assert_true(c.spool_bytes <= 4 << 20);
        for (uint32_t i = 0; i < 5000; i++)
                put("a", 6001 + i, true); /* while nothing can be committed */
        spool_counts(T.spool, &c);
        assert_int_equal(c.alarm_notes_lost, 5000 - 4096);
        fixture_close(&T);
        assert_int_equal(spool_query_open(&q, T.path, &e), 0);
        assert_int_equal(spool_query_alarm_log(q, 0, 0, on_note, &n, &e), 0);
        assert_in_range(n, 100, 2000);
        assert_int_equal(spool_query_alarm_log(q, 0, 7, on_note, &last, &e), 0);
        assert_int_equal(last, 7);
        spool_query_close(q);
}

static void test_an_old_file_gets_the_tables(void **state)
{
        struct spool_query *q;
        struct err e;
        uint64_t n = 0;

        fixture_open(&T);
        fixture_close(&T);
        db_run(T.path, OLD_FORMAT_SQL "DROP TABLE alarm; DROP TABLE alarm_log; DROP TABLE learned;"
                                      "DELETE FROM meta WHERE key = 'alarm_told'; PRAGMA user_version=2");
        assert_int_equal(spool_query_open(&q, T.path, &e), 0);
        assert_int_equal(spool_query_alarm_log(q, 0, 0, on_note, &n, &e), 0);
        assert_int_equal(n, 0);
        spool_query_close(q);
        fixture_open(&T);
        put("a", 1, true);
        fixture_close(&T);
        fixture_open(&T);
        assert_int_equal(read_back().n, 1);
        fixture_close(&T);
}

/* ---- what was heard ---- */

static void on_unnotified(void *ctx, const struct spool_alarm_note *n)
{
        int64_t *sum = ctx;

        assert_string_equal(n->tag, "a");
        assert_string_equal(n->event_id, "0123456789abcdef");
        assert_string_equal(n->by, n->at_us / 1000000 % 2 ? "kim" : "");
        assert_true(n->value == 90 && isnan(n->limit));
        *sum = *sum * 10 + n->at_us / 1000000;
}

static void expect_unnotified(int64_t expected)
{
        int64_t sum = 0;
        struct err e;

        assert_int_equal(spool_each_unnotified(T.spool, on_unnotified, &sum, &e), 0);
        assert_int_equal(sum, expected);
}

/* The mark goes with a commit that comes anyway, and is of what came before it. */
static void test_what_was_heard_is_marked(void **state)
{
        fixture_open(&T);
        put("a", 1, true);
        fixture_run_for(&T, 2000000);
        expect_unnotified(1);
        spool_notes_notified(T.spool);
        fixture_run_for(&T, 2000000);
        expect_unnotified(1);
        put("a", 2, true); /* behind the mark, and in the same commit: heard again rather than not at all */
        fixture_run_for(&T, 2000000);
        expect_unnotified(12);
        spool_notes_notified(T.spool);
        fixture_cut_power(&T);
        fixture_open(&T);
        expect_unnotified(12);
        put("a", 3, false);
        spool_notes_notified(T.spool);
        fixture_close(&T);
        fixture_open(&T);
        expect_unnotified(0);
        put("a", 4, true);
        fixture_run_for(&T, 2000000);
        expect_unnotified(4);
        spool_notes_notified(T.spool);
        fixture_close(&T); /* the mark alone */
        fixture_open(&T);
        expect_unnotified(0);
        fixture_close(&T);
}

/* ---- what is learned ---- */

static void put_baseline(const char *tag, int64_t at_us, char byte)
{
        struct spool_baseline l = {.source = "press-1", .tag = tag, .rule = "odd", .limit_kind = "deviation"};

        l.at_us = at_us;
        l.form = 7;
        l.n_bytes = SPOOL_BASELINE_MAX;
        memset(l.memory, byte, sizeof(l.memory));
        spool_put_baseline(T.spool, &l);
}

static void on_learned(void *ctx, const struct spool_baseline *l)
{
        int *n = ctx;

        assert_string_equal(l->rule, "odd");
        assert_int_equal(l->form, 7);
        assert_int_equal(l->n_bytes, SPOOL_BASELINE_MAX);
        assert_int_equal(l->memory[0], (char)l->at_us);
        assert_int_equal(l->memory[SPOOL_BASELINE_MAX - 1], (char)l->at_us);
        ++*n;
}

static int n_learned(void)
{
        struct err e;
        int n = 0;

        assert_int_equal(spool_each_baseline(T.spool, on_learned, &n, &e), 0);
        return n;
}

static void test_what_is_learned_waits_for_a_commit(void **state)
{
        struct spool_counts c;

        fixture_open(&T);
        put_baseline("a", 1, 1);
        fixture_run_for(&T, 100000000);
        spool_counts(T.spool, &c);
        assert_int_equal(c.commits, 0);
        put("a", 1, true);
        put_baseline("a", 2, 2);
        put_baseline("b", 3, 3);
        fixture_run_for(&T, 100000000);
        spool_counts(T.spool, &c);
        assert_int_equal(c.commits, 1);
        fixture_cut_power(&T);
        fixture_open(&T);
        assert_int_equal(n_learned(), 2); /* the last of each */
        put_baseline("b", 4, 4);
        fixture_close(&T); /* by itself, at a clean end */
        fixture_open(&T);
        assert_int_equal(n_learned(), 2);
        fixture_close(&T);
}

static void test_what_is_learned_is_bounded(void **state)
{
        static char names[5000][8];
        int n;

        fixture_open(&T);
        for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 5000; i++) {
                        snprintf(names[i], sizeof(names[i]), "t%d", (i + 1000 * round) % 5000);
                        put_baseline(names[i], round, (char)round);
                }
                put("a", (uint32_t)round + 1, true);
                fixture_run_for(&T, 2000000);
        }
        n = n_learned();
        assert_in_range(n, 20, 1000); /* of a spool of 4 MiB */
        fixture_close(&T);
}

/*
 * Before format 9 an alarm was kept by source and name: what was one row of
 * several tags is one for each, and nothing of what an operator did is lost.
 */
static void test_an_old_file_gets_labels(void **state)
{
        static const char *const rows[] = {
                "level 1",             /* a tag without labels */
                "mixed 1",             /* one with and one without: nobody can say whose it is */
                "none 1",              /* a tag that is not known any more */
                "pressure{line=l1} 4", /* its only tag */
                "temp{cell=3,line=l1} 7",
                "temp{cell=3,line=l2} 7",
        };
        sqlite3_stmt *st;
        sqlite3 *db;
        int n = 0;

        fixture_open(&T);
        fixture_close(&T);
        db_run(T.path, "DELETE FROM tag;"
                       "INSERT INTO tag (id, source, name, unit, labels, driver) VALUES"
                       " (0, 'press-1', 'level', '', '', 'm'), (1, 'press-1', 'mixed', '', '', 'm'),"
                       " (2, 'press-1', 'mixed', '', '\"line\":\"l1\"', 'm'),"
                       " (3, 'press-1', 'pressure', 'bar', '\"line\":\"l1\"', 'm'),"
                       " (4, 'press-1', 'temp', '', '\"line\":\"l1\",\"cell\":\"3\"', 'm'),"
                       " (5, 'press-1', 'temp', 'K', '\"line\":\"l1\",\"cell\":\"3\"', 'm'),"
                       " (6, 'press-1', 'temp', '', '\"line\":\"l2\",\"cell\":\"3\"', 'm'),"
                       " (7, 'press-1', 'pressure', '', '\"line\":\"gone\"', 'm');"
                       "INSERT INTO forgotten VALUES (7, 0, 0);"
                       "INSERT INTO alarm SELECT 'press-1', value, 'hot', 'hi', 'shelved', 1, 1, 0, 1,"
                       " CASE value WHEN 'temp' THEN 7 WHEN 'pressure' THEN 4 ELSE 1 END, 5, 6, 700, '0123456789abcdef'"
                       " FROM json_each('[\"level\",\"mixed\",\"none\",\"pressure\",\"temp\"]');"
                       "INSERT INTO learned (at_us, source, tag, rule, limit_kind, form, memory) VALUES"
                       " (1, 'press-1', 'temp', 'odd', 'deviation', 1, x'00');"
                       "PRAGMA user_version = 8");
        for (int again = 0; again < 2; again++) {
                fixture_open(&T);
                fixture_close(&T);
        }
        assert_int_equal(sqlite3_open(T.path, &db), SQLITE_OK);
        sqlite3_prepare_v2(db, "SELECT tag || ' ' || activations FROM alarm WHERE visibility = 1 ORDER BY tag", -1, &st,
                           NULL);
        while (sqlite3_step(st) == SQLITE_ROW && n < (int)(sizeof(rows) / sizeof(*rows)))
                assert_string_equal((const char *)sqlite3_column_text(st, 0), rows[n++]);
        assert_int_equal(n, sizeof(rows) / sizeof(*rows));
        sqlite3_finalize(st);
        sqlite3_close(db);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM alarm"), n);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM learned WHERE tag LIKE 'temp{cell=3,line=%}'"), 2);
}

/*
 * Before format 10 names had a ~ where ._ is now, were in no form, and signs
 * stayed: all of them mean the tag that they meant, and an alarm's state goes
 * with it.
 */
static void test_an_old_file_gets_names_of_today(void **state)
{
        static const char *const names[] = {
                "press._1._2f5f/t_1._23{\"line\":\"l_1._20\"}", /* what looks like one of today is one */
                "press_1._20/m__._c2b3{}",
                "press_1._20/t_1._23{\"line\":\"l_1._20\",\"id._z\":\"é\"}",
                "é/x{}",
                "é/x{}",
        };
        static const char *const alarms[] = {
                "press_1._20 t_1._23{id._z=é,line=l_1._20} hot 7 1", /* shelved */
                "é x hot 4 1",                                       /* however it was typed */
        };
        sqlite3_stmt *st;
        sqlite3 *db;
        int n = 0;

        fixture_open(&T);
        fixture_close(&T);
        db_run(T.path,
               "DELETE FROM tag; DELETE FROM alarm; INSERT INTO tag (id, source, name, unit, labels, driver) VALUES"
               " (0, 'press._1._2f5f', 't_1~23', '', '\"line\":\"l_1~20\"', 'm'),"
               " (1, 'press_1~20', 'm³', '', '', 'm'),"
               " (2, 'press_1~20', 't_1~23', '', '\"line\":\"l_1~20\",\"id~z\":\"e\u0301\"', 'm_1~20'),"
               " (3, 'e\u0301', 'x', '', '', ''), (4, '\u00e9', 'x', '', '', '');"
               "INSERT INTO alarm VALUES ('press_1~20', 't_1~23{id~z=e\u0301,line=l_1~20}', 'hot', 'hi', 'shelved', 1,"
               " 1, 0, 1, 7, 5, 6, 700, '0123456789abcdef'),"
               " ('e\u0301', 'x', 'hot', 'hi', 'unack', 1, 1, 0, 0, 4, 5, 0, 700, '1123456789abcdef');"
               "INSERT INTO alarm_log (at_us, source, tag, rule) VALUES (1, 'press_1~20', 't_1~23{line=l_1~20}', 'a');"
               "INSERT INTO learned (at_us, source, tag, rule, limit_kind, form, memory) VALUES"
               " (1, 'press_1~20', 'm³', 'odd', 'deviation', 1, x'00');"
               "PRAGMA user_version = 9");
        for (int again = 0; again < 2; again++) {
                fixture_open(&T);
                fixture_close(&T);
        }
        assert_int_equal(db_ask(T.path, "PRAGMA user_version"), db_ask(T.path, "SELECT 10"));
        assert_int_equal(sqlite3_open(T.path, &db), SQLITE_OK);
        sqlite3_prepare_v2(db, "SELECT source || '/' || name || '{' || labels || '}' FROM tag ORDER BY id", -1, &st,
                           NULL);
        while (sqlite3_step(st) == SQLITE_ROW && n < (int)(sizeof(names) / sizeof(*names)))
                assert_string_equal((const char *)sqlite3_column_text(st, 0), names[n++]);
        assert_int_equal(n, sizeof(names) / sizeof(*names));
        sqlite3_finalize(st);
        sqlite3_prepare_v2(
                db,
                "SELECT source || ' ' || tag || ' ' || rule || ' ' || activations || ' ' || active FROM alarm"
                " ORDER BY source",
                -1, &st, NULL);
        for (n = 0; sqlite3_step(st) == SQLITE_ROW && n < (int)(sizeof(alarms) / sizeof(*alarms));)
                assert_string_equal((const char *)sqlite3_column_text(st, 0), alarms[n++]);
        assert_int_equal(n, sizeof(alarms) / sizeof(*alarms));
        sqlite3_finalize(st);
        sqlite3_close(db);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM alarm_log WHERE source = 'press_1._20' AND tag ="
                                        " 't_1._23{line=l_1._20}'"),
                         1);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM learned WHERE tag = 'm__._c2b3'"), 1);
        assert_int_equal(db_ask(T.path, "SELECT count(*) FROM tag WHERE driver = 'm_1._20'"), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_the_last_state_is_kept, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_with_its_reading_or_not_at_all, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_the_journal_is_bounded, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_an_old_file_gets_the_tables, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_an_old_file_gets_labels, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_an_old_file_gets_names_of_today, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_was_heard_is_marked, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_learned_waits_for_a_commit, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_learned_is_bounded, set_up, tear_down),
        };

        log_init(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
