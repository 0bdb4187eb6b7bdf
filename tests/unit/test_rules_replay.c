/* Recordings through the rules: what a CSV may look like, the JSON to the letter, the same twice; what is learned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "agent/base/err.h"
#include "agent/rules/learn.h"
#include "agent/rules/rules_replay.h"
#include "tests/lib/rule_blank.h"

struct heard {
        char text[16384];
        size_t n, n_readings;
        int types[8];
};

static void on_transition(void *ctx, const struct rules_transition *t)
{
        struct heard *h = ctx;
        char json[REPLAY_JSON_MAX];
        size_t n = replay_put_json(json, t);

        assert_true(h->n + n + 2 < sizeof(h->text));
        memcpy(h->text + h->n, json, n);
        h->n += n;
        h->text[h->n++] = '\n';
        h->text[h->n] = '\0';
}

static void on_reading(void *ctx, const char *source, const char *tag, const struct reading *r)
{
        struct heard *h = ctx;

        h->n_readings++;
        h->types[r->type]++;
}

static struct rule_conf hi_rule(double hi)
{
        struct rule_conf c = rule_blank(RULE_LIMITS);

        c.hi = hi;
        c.deadband = 0;
        c.severity = 500;
        c.severity_outer = 800;
        return c;
}

/* `lines` end in \n. -1 and *e, or 0. */
static int play(const struct rule_conf *c, size_t n, const char *lines, struct heard *h, struct err *e)
{
        struct replay_upcalls up = {on_reading, on_transition, h};
        struct replay *p = replay_new(c, n, "gw", &up);
        size_t len = strcspn(lines, "\n");
        int r = replay_csv_header(p, "press-1", lines, len, e);

        memset(h, 0, sizeof(*h));
        for (lines += len; r == 0 && *lines; lines += len) {
                len = strcspn(++lines, "\n");
                if (*lines)
                        r = replay_csv_row(p, lines, len, e);
                if (!*lines)
                        break;
        }
        if (r == 0)
                assert_int_equal(replay_readings(p), h->n_readings);
        replay_free(p);
        return r;
}

static void test_json(void **state)
{
        struct rule_conf c = hi_rule(85);
        struct heard h;
        struct err e;

        assert_int_equal(play(&c, 1,
                              "time,temp,other\n"
                              "2026-11-23T10:00:00.5Z,85,1\n"
                              "2026-11-23 10:00:01,71.25,2\n",
                              &h, &e),
                         0);
        assert_string_equal(
                h.text,
                "{\"ts\":\"2026-11-23T10:00:00.500000Z\",\"ts_us\":1795428000500000,\"source\":\"press-1\",\"tag\":"
                "\"temp\","
                "\"rule\":\"limits\",\"limit_kind\":\"hi\",\"state\":\"active\",\"value\":85.0,\"limit\":85.0,"
                "\"severity\":500,"
                "\"event_id\":\"0df906418336a18f\"}\n"
                "{\"ts\":\"2026-11-23T10:00:01.000000Z\",\"ts_us\":1795428001000000,\"source\":\"press-1\",\"tag\":"
                "\"temp\","
                "\"rule\":\"limits\",\"limit_kind\":\"hi\",\"state\":\"returned\",\"value\":71.25,\"limit\":85.0,"
                "\"severity\":500,\"event_id\":\"0df906418336a18f\"}\n");
}

static void test_cells(void **state)
{
        struct rule_conf c = hi_rule(1e9);
        struct heard h;
        struct err e;

        assert_int_equal(play(&c, 1,
                              "t,a,b,\"c,d\"\r\n"
                              "1700000000,1,+2.5e1,.5\r\n"
                              "1700000000.25, -3 ,true,false\n"
                              "\n"
                              "1700000001,,,\n"
                              "1700000002,\"x \"\"y\"\", z\",nan,0x10\n"
                              "1700000003,7\n"
                              "1600000000,8\n",
                              &h, &e),
                         0);
        assert_int_equal(h.types[READING_F64], 6);
        assert_int_equal(h.types[READING_BOOL], 2);
        assert_int_equal(h.types[READING_TEXT], 3);
}

static void test_bad_lines(void **state)
{
        static const struct {
                const char *lines, *text;
        } rows[] = {
                {"time\n", "line 1: one column only"},
                {"t,a\nyesterday,1\n", "line 2: \"yesterday\" is not a time"},
                {"t,a\n1,1\n,1\n", "line 3: \"\" is not a time"},
                {"t,a\n1,1,2\n", "line 2: more cells than the header has"},
                {"t,a\n1,\"open\n", "line 2: a cell is not closed"},
                {"t,\"a\n", "line 1: a cell is not closed"},
        };
        struct rule_conf c = hi_rule(1);

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct heard h;
                struct err e = {""};

                assert_int_equal(play(&c, 1, rows[i].lines, &h, &e), -1);
                if (strncmp(e.text, rows[i].text, strlen(rows[i].text)) != 0)
                        fail_msg("\"%s\" does not begin with \"%s\"", e.text, rows[i].text);
        }
}

/* The recording's own time: a delay ends between rows, and a column that stays empty is silent from the start. */
static void test_own_time(void **state)
{
        struct rule_conf c[] = {hi_rule(10),
                                {.match = "*/b", .kind = RULE_SILENT, .after_us = 60000000, .severity = 300}};
        struct heard h, again;
        struct err e;
        static const char lines[] = "t,a,b\n1000,20,\n1030,20,\n1100,5,1\n1050,20,\n1101,5,\n";

        c[0].on_delay_us = 25000000;
        assert_int_equal(play(c, 2, lines, &h, &e), 0);
        assert_non_null(strstr(h.text, "\"ts_us\":1025000000,\"source\":\"press-1\",\"tag\":\"a\""));
        assert_non_null(strstr(h.text, "\"ts_us\":1060000000,\"source\":\"press-1\",\"tag\":\"b\",\"rule\":\"silent\","
                                       "\"limit_kind\":\"silent\",\"state\":\"active\",\"value\":null,\"limit\":null"));
        assert_non_null(strstr(h.text, "\"ts_us\":1100000000,\"source\":\"press-1\",\"tag\":\"b\""));
        assert_int_equal(play(c, 2, lines, &again, &e), 0);
        assert_string_equal(h.text, again.text);
}

/* ---- learning ---- */

static uint64_t seed;

static double noise(void)
{
        double sum = 0;

        for (int i = 0; i < 12; i++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                sum += (double)(seed >> 40) / (double)(1 << 24);
        }
        return sum - 6;
}

static void learn_from(struct learn *l, int n, int incidents)
{
        *l = (struct learn){.n = 0};
        seed = 11;
        for (int i = 0; i < n; i++) {
                bool out = incidents && i % (n / incidents) > n / incidents - 20;

                learn_add(l, i * INT64_C(1000000), 70 + 5 * sin(i / 200.0) + 0.3 * noise() - (out ? 50 : 0));
        }
        learn_add(l, n * INT64_C(1000000), NAN);
        assert_int_equal(l->n, n);
}

static void test_learned(void **state)
{
        struct learned quiet, incident, often;
        struct learn l;

        learn_from(&l, 20000, 0);
        assert_int_equal(learn_propose(&l, &quiet), 0);
        assert_true(quiet.hihi > quiet.hi && quiet.hi > 75.9 && quiet.hi < 90);
        assert_true(quiet.lolo < quiet.lo && quiet.lo < 64.1 && quiet.lo > 50);
        assert_true(quiet.noise > 0.25 && quiet.noise < 0.35);
        assert_true(quiet.deadband > 0.9 && quiet.deadband < 2);
        assert_true(quiet.period_us == 1000000 && quiet.off_delay_us >= 3000000);
        learn_fini(&l);

        learn_from(&l, 20000, 2); /* two failures don't set the limit they are to be caught by */
        assert_int_equal(learn_propose(&l, &incident), 0);
        assert_true(fabs(incident.lo - quiet.lo) < 2 && fabs(incident.hi - quiet.hi) < 2);
        learn_fini(&l);

        learn_from(&l, 20000, 50); /* what happens every few minutes is operation */
        assert_int_equal(learn_propose(&l, &often), 0);
        assert_true(often.lo < 20);
        learn_fini(&l);
}

static void test_learned_nothing(void **state)
{
        struct learned out;
        struct learn l = {.n = 0};

        for (int i = 0; i < LEARN_MIN - 1; i++)
                learn_add(&l, i, i);
        assert_int_equal(learn_propose(&l, &out), LEARN_E_FEW);
        learn_fini(&l);
        for (int i = 0; i < 1000; i++)
                learn_add(&l, i, 4);
        assert_int_equal(learn_propose(&l, &out), LEARN_E_STILL);
        learn_fini(&l);
        for (int i = 0; i < 1000; i++) /* moves, in no time */
                learn_add(&l, 5, i);
        assert_int_equal(learn_propose(&l, &out), LEARN_E_STILL);
        learn_fini(&l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_json),     cmocka_unit_test(test_cells),   cmocka_unit_test(test_bad_lines),
                cmocka_unit_test(test_own_time), cmocka_unit_test(test_learned), cmocka_unit_test(test_learned_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
