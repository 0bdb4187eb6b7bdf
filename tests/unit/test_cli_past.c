/*
 * What happened, from the events in a spool: their words, which begin and end together, and how long that lasted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/text.h"
#include "agent/cli/cli.h"
#include "agent/cli/past/books.h"
#include "agent/cli/past/gaps.h"
#include "agent/cli/past/outages.h"
#include "agent/cli/past/page.h"
#include "tests/lib/spool_fixture.h"

#define S INT64_C(1000000)
#define T (INT64_C(1795428000) * S)

static void read_at(struct past_event *v, double at_s, const char *kind, int severity, const char *source,
                    const char *name, const char *body)
{
        struct spool_query_row row = {.seq = 1,
                                      .source = source,
                                      .name = name,
                                      .labels = "\"line\":\"l2\"",
                                      .kind = kind,
                                      .severity = severity};

        row.r = (struct reading){
                .type = READING_TEXT, .ts_us = T + (int64_t)(at_s * 1e6), .len = (uint32_t)strlen(body)};
        row.r.v.text = body;
        past_read(v, &row, NULL);
}

static void test_words(void **state)
{
        static const struct {
                const char *kind, *source, *name, *body, *subject, *what;
        } table[] = {
                {"link", "", "", "\"driver\":\"plant\",\"state\":\"down\",\"why\":\"refused\"", "plant",
                 "not connected: refused"},
                {"link", "", "", "\"driver\":\"plant\",\"state\":\"up\"", "plant", "connected again"},
                {"device", "", "", "\"driver\":\"bus\",\"source\":\"meter-1\",\"state\":\"down\",\"why\":\"no answer\"",
                 "meter-1", "does not answer (bus): no answer"},
                {"uplink", "", "", "\"state\":\"down\",\"why\":\"no broker\"", "kafka", "away: no broker"},
                {"dropped", "", "", "\"reason\":\"full\",\"n\":512,\"first_seq\":1,\"last_seq\":512", "spool",
                 "512 readings dropped (full), seq 1 to 512"},
                {"clock", "", "", "\"step_ms\":-3200,\"repaired\":true", "clock",
                 "set by -3.200 s; what was held is moved by it"},
                {"agent", "", "", "\"state\":\"started\",\"version\":\"1.2\"", "millraced", "started, version 1.2"},
                {"alarm", "press-1", "temp",
                 "\"event_id\":\"x\",\"state\":\"active\",\"rule\":\"hot\",\"limit_kind\":\"hi\",\"value\":96.1,"
                 "\"limit\":95.0",
                 "press-1/temp{line=l2}", "active at 96.1 (hot.hi, limit 95)"},
                {"condition", "", "",
                 "\"state\":\"began\",\"name\":\"disk_slow\",\"subject\":\"spool\",\"what\":\"slow\",\"todo\":\"card\"",
                 "spool", "slow"},
                {"condition", "", "",
                 "\"state\":\"ended\",\"name\":\"disk_slow\",\"subject\":\"spool\",\"what\":\"slow\"", "spool",
                 "over: slow"},
                /* of another type, absent, no JSON, of a later program */
                {"link", "", "", "\"driver\":7,\"state\":null", "gateway", "not connected"},
                {"dropped", "", "", "\"n\":\"many\",\"first_seq\":1e300", "spool", "0 readings dropped (), seq 0 to 0"},
                {"link", "", "", "}{", "gateway", "not connected"},
                {"novel", "", "", "\"a\":1", "gateway", "{\"a\":1}"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
                struct past_event v;

                read_at(&v, 0, table[i].kind, 500, table[i].source, table[i].name, table[i].body);
                assert_string_equal(v.subject, table[i].subject);
                assert_string_equal(v.what, table[i].what);
        }
}

/* Bytes of a damaged file: whatever they are, there are words, in UTF-8 and within bounds. */
static void test_damaged_words(void **state)
{
        static const char like[] =
                "\"event_id\":\"x\",\"state\":\"active\",\"driver\":\"d\",\"why\":\"\\u00e9\",\"n\":7,"
                "\"value\":9.5,\"duration_s\":1,\"down_for_ms\":2,\"what\":\"w\",\"subject\":\"s\"";
        uint32_t seed = 7;
        size_t n = 0;

        (void)state;
        for (int i = 0; i < 40000; i++) {
                const char *kind = past_kind(n++);
                char body[sizeof(like)];
                struct past_event v;

                if (!kind)
                        kind = past_kind(n = 0);
                memcpy(body, like, sizeof(like));
                for (int k = 0; k < 3; k++) {
                        seed = seed * 1664525 + 1013904223;
                        body[(seed >> 8) % (sizeof(like) - 1)] = (char)(seed >> 24 ? seed >> 24 : 1);
                }
                read_at(&v, 0, kind, 500, "", "", body);
                assert_true(text_is_utf8(v.what, strlen(v.what)) && text_is_utf8(v.subject, strlen(v.subject)));
                assert_true(*v.subject && *v.key);
        }
}

/* ---- what belongs together ---- */

static const char down[] = "\"driver\":\"plant\",\"state\":\"down\",\"why\":\"w\"";
static const char up[] = "\"driver\":\"plant\",\"state\":\"up\"";
static const char up_90s[] = "\"driver\":\"plant\",\"state\":\"up\",\"down_for_ms\":90000";
static const char other_down[] = "\"driver\":\"other\",\"state\":\"down\",\"why\":\"w\"";
static const char started[] = "\"state\":\"started\"", stopping[] = "\"state\":\"stopping\"";
static const char active[] = "\"event_id\":\"a:1\",\"state\":\"active\"",
                  returned[] = "\"event_id\":\"a:1\",\"state\":\"returned\"";

struct step {
        double at_s;
        const char *kind, *body;
        double lasted_s; /* -1: nothing ended */
};

static const struct row {
        const char *name;
        struct step steps[10];
        double now_s;
        const char *expected; /* "kind subject from..to" with what is to be known beside; sorted as they began */
} rows[] = {
        {"one", {{10, "link", down, -1}, {70, "link", up, 60}}, 100, "link plant 10..70"},
        {"two at a time",
         {{10, "link", down, -1}, {20, "link", other_down, -1}, {70, "link", up, 60}},
         100,
         "link plant 10..70, link other 20..100 goes on"},
        {"an end without a begin says how long", {{100, "link", up_90s, 90}}, 200, "link plant 10..100"},
        {"an end without a begin", {{100, "link", up, -1}}, 200, ""},
        {"its own word of how long", {{100, "link", down, -1}, {200, "link", up_90s, 90}}, 300, "link plant 100..200"},
        {"told twice is one",
         {{10, "link", down, -1}, {20, "link", down, -1}, {30, "link", up, 20}},
         40,
         "link plant 10..30"},
        {"again is another",
         {{10, "link", down, -1}, {20, "link", up, 10}, {30, "link", down, -1}},
         40,
         "link plant 10..20, link plant 30..40 goes on"},
        {"a restart in between, told again",
         {{10, "link", down, -1},
          {20, "agent", stopping, -1},
          {25, "agent", started, 5},
          {30, "link", down, -1},
          {90, "link", up, 80}},
         100,
         "link plant 10..90, agent millraced 20..25"},
        {"a restart in between, and all is well",
         {{10, "link", down, -1}, {20, "agent", stopping, -1}, {25, "agent", started, 5}},
         300,
         "link plant 10..25 by restart, agent millraced 20..25"},
        {"a restart just now, nobody knows yet",
         {{10, "link", down, -1}, {20, "agent", stopping, -1}, {25, "agent", started, 5}},
         60,
         "link plant 10..60 goes on, agent millraced 20..25"},
        {"told again long behind a restart is another",
         {{10, "link", down, -1}, {20, "agent", stopping, -1}, {25, "agent", started, 5}, {400, "link", down, -1}},
         500,
         "link plant 10..25 by restart, agent millraced 20..25, link plant 400..500 goes on"},
        {"an alarm lasts beyond a restart",
         {{10, "alarm", active, -1},
          {20, "agent", stopping, -1},
          {25, "agent", started, 5},
          {400, "alarm", returned, 390}},
         500,
         "alarm gateway 10..400, agent millraced 20..25"},
        {"the first start is no outage", {{10, "agent", started, -1}}, 20, ""},
        {"a crash: off since its last word or later",
         {{10, "agent", started, -1}, {20, "link", down, -1}, {100, "agent", started, 80}},
         110,
         "link plant 20..110 goes on, agent millraced 20..100 from unknown"},
        {"off still", {{10, "agent", started, -1}, {20, "agent", stopping, -1}}, 90, "agent millraced 20..90 goes on"},
        {"it began before the clock was right",
         {{-900000, "agent", started, -1},
          {-899990, "link", down, -1},
          {100, "clock", "\"step_ms\":900080000", -1},
          {150, "link", up, 60}},
         200,
         "link plant 90..150"},
        {"it began as the clock was set, or before a start with another clock",
         {{10, "alarm", active, -1},
          {-900000, "agent", started, 0},
          {100, "link", down, -1},
          {101, "clock", "\"step_ms\":900090000", -1},
          {130, "link", up, 30},
          {140, "alarm", returned, 130}},
         200,
         "alarm gateway 10..140, agent millraced 10..10 from unknown, link plant 100..130"},
        {"the clock was set back, and said so",
         {{100, "link", down, -1}, {40, "clock", "\"step_ms\":-70000", -1}, {70, "link", up, 40}},
         120,
         "link plant 30..70"},
        {"the clock was set back", {{100, "link", down, -1}, {40, "link", up, 0}}, 120, "link plant 100..100"},
};

static void put(char *out, size_t cap, const struct outages *o)
{
        static const char *const ends[] = {" goes on", "", " by restart"};

        out[0] = '\0';
        for (size_t i = 0; i < o->n; i++) {
                const struct outage *x = &o->v[i];
                size_t len = strlen(out);

                snprintf(out + len, cap - len, "%s%s %s %lld..%lld%s%s", i ? ", " : "", x->kind, x->subject,
                         (long long)((x->from_us - T) / S), (long long)((x->to_us - T) / S), ends[x->end],
                         x->from_known ? "" : " from unknown");
        }
}

static void test_outages(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct outages o = {0};
                char found[1000];

                for (const struct step *s = rows[i].steps; s->kind; s++) {
                        struct past_event v;
                        int64_t lasted_us;

                        read_at(&v, s->at_s, s->kind, 500, "", "", s->body);
                        lasted_us = outages_take(&o, &v);
                        if (lasted_us != (int64_t)(s->lasted_s < 0 ? -1 : s->lasted_s * 1e6))
                                fail_msg("%s: at %g s: lasted %lld us", rows[i].name, s->at_s, (long long)lasted_us);
                }
                outages_end(&o, T + (int64_t)(rows[i].now_s * 1e6));
                put(found, sizeof(found), &o);
                if (strcmp(found, rows[i].expected))
                        fail_msg("%s: %s, not %s", rows[i].name, found, rows[i].expected);
                outages_fini(&o);
        }
}

/* A flood has a bound, and what is beyond it still ends. */
static void test_bound(void **state)
{
        struct outages o = {0};
        struct past_event v;
        char body[80];

        (void)state;
        for (int i = 0; i < OUTAGES_MOST + 10; i++) {
                snprintf(body, sizeof(body), "\"event_id\":\"a:%d\",\"state\":\"active\"", i);
                read_at(&v, i, "alarm", 500, "", "", body);
                outages_take(&o, &v);
        }
        assert_int_equal(o.n, OUTAGES_MOST);
        assert_int_equal(o.n_left_out, 10);
        snprintf(body, sizeof(body), "\"event_id\":\"a:%d\",\"state\":\"returned\"", OUTAGES_MOST + 5);
        read_at(&v, OUTAGES_MOST + 15, "alarm", 500, "", "", body);
        assert_int_equal(outages_take(&o, &v), 10 * S);
        outages_end(&o, T + 2 * OUTAGES_MOST * S);
        outages_fini(&o);
}

/* ---- gaps ---- */

/* `each_s` apart `n` times, then a pause, then `n` times again; until `until_s`. */
static const struct {
        const char *name;
        double each_s;
        int n;
        double pause_s, until_s;
        const char *expected; /* from..to in seconds */
} pauses[] = {
        {"none", 1, 20, 1, 40, ""},
        {"one of ten minutes", 1, 20, 600, 640, "20..620"},
        {"less than a minute is none", 1, 20, 50, 90, ""},
        {"it does not come back", 1, 20, 1, 400, "41..400 goes on"},
        {"usual for it", 300, 20, 600, 12700, ""},
        {"not usual even for it", 300, 20, 7200, 19300, "6000..13200"},
        {"too few to say", 1, 4, 600, 700, ""},
};

static void test_gaps(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
                struct gaps g = {0};
                struct gap found[GAPS_OF_TAG + 1];
                char text[200] = "";
                double at_s = 0;
                size_t n;

                for (int k = 0; k <= 2 * pauses[i].n + 1; k++) {
                        gaps_take(&g, 3, T + (int64_t)(at_s * 1e6));
                        at_s += k == pauses[i].n ? pauses[i].pause_s : pauses[i].each_s;
                }
                n = gaps_of(&g, 3, T + (int64_t)(pauses[i].until_s * 1e6), found);
                for (size_t k = 0; k < n; k++)
                        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%lld..%lld%s",
                                 (long long)((found[k].from_us - T) / S), (long long)((found[k].to_us - T) / S),
                                 found[k].goes_on ? " goes on" : "");
                if (strcmp(text, pauses[i].expected))
                        fail_msg("%s: %s, not %s", pauses[i].name, text, pauses[i].expected);
                assert_int_equal(gaps_of(&g, 2, T, found), 0);
                gaps_fini(&g);
        }
}

/* A clock that is set back, and a row of no tag. */
static void test_gaps_of_nonsense(void **state)
{
        struct gaps g = {0};
        struct gap found[GAPS_OF_TAG + 1];

        (void)state;
        gaps_take(&g, UINT32_MAX, T);
        for (int i = 0; i < 100; i++)
                gaps_take(&g, 0, T - i * S);
        assert_int_equal(gaps_of(&g, 0, T + 1000 * S, found), 0);
        gaps_fini(&g);
}

/* ---- the books ---- */

static const struct {
        const char *name;
        double from_s, until_s;
        struct {
                double at_s; /* below 0: another file */
                uint64_t accepted;
        } marks[8];
        bool known, anew;
        double used_from_s, used_to_s;
        uint64_t accepted;
} times[] = {
        {"marks at both ends",
         100,
         200,
         {{100, 1000}, {150, 1500}, {200, 2000}, {300, 3000}},
         true,
         false,
         100,
         200,
         1000},
        {"the last before, the first behind",
         110,
         190,
         {{50, 500}, {100, 1000}, {200, 2000}, {300, 3000}},
         true,
         false,
         100,
         200,
         1000},
        {"it began within the time", 10, 190, {{100, 1000}, {200, 2000}}, true, false, 100, 200, 1000},
        {"until now", 100, 500, {{100, 1000}, {400, 4000}}, true, false, 100, 400, 3000},
        {"one mark says nothing", 100, 200, {{150, 1500}}, false, false, 0, 0, 0},
        {"all long after", 100, 200, {{300, 3000}, {400, 4000}}, false, false, 0, 0, 0},
        {"all long before", 500, 600, {{300, 3000}, {400, 4000}}, false, false, 0, 0, 0},
        {"another file within", 100, 200, {{100, 1000}, {-130, 0}, {140, 10}, {200, 70}}, true, true, 140, 200, 60},
        {"another file, and nobody said so", 100, 200, {{100, 1000}, {140, 10}, {200, 70}}, true, true, 140, 200, 60},
        {"a clock that was set back",
         100,
         200,
         {{90, 1000}, {150, 1500}, {250, 2000}, {50, 3000}, {300, 4000}},
         true,
         false,
         50,
         300,
         1000},
        {"another file before", 100, 200, {{10, 1000}, {-50, 0}, {100, 10}, {200, 70}}, true, false, 100, 200, 60},
};

static void test_books(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
                struct books_time b = {.from_us = T + (int64_t)(times[i].from_s * 1e6),
                                       .until_us = T + (int64_t)(times[i].until_s * 1e6)};

                for (size_t k = 0; k < 8 && times[i].marks[k].at_s != 0; k++) {
                        double at_s = times[i].marks[k].at_s;

                        if (at_s < 0)
                                books_anew(&b, T - (int64_t)(at_s * 1e6));
                        else
                                books_take(&b, &(struct books_mark){.ts_us = T + (int64_t)(at_s * 1e6),
                                                                    .accepted = times[i].marks[k].accepted});
                }
                if (books_known(&b) != times[i].known || (b.anew_us != 0) != times[i].anew)
                        fail_msg("%s: known %d, anew at %lld", times[i].name, books_known(&b), (long long)b.anew_us);
                if (!times[i].known)
                        continue;
                if (b.from.ts_us != T + (int64_t)(times[i].used_from_s * 1e6) ||
                    b.to.ts_us != T + (int64_t)(times[i].used_to_s * 1e6) ||
                    b.to.accepted - b.from.accepted != times[i].accepted)
                        fail_msg("%s: other marks", times[i].name);
        }
}

/* ---- the three forms ---- */

static void test_page(void **state)
{
        static const struct {
                enum page_form form;
                const char *expected;
        } forms[] = {
                {PAGE_TEXT, "t<\np\n\nPart\n  A           B\n  <b>\"x\" & y  =1+1\n  n & m\n\nNone\n  nothing\n"},
                {PAGE_CSV, "\"t<\",\"p\"\n\n\"Part\"\n\"A\",\"B\"\n\"<b>\"\"x\"\" & y\",\"'=1+1\"\n\"n & m\"\n\n"
                           "\"None\"\n\"A\",\"B\"\n"},
                {PAGE_HTML, "<h2>Part</h2>\n<table><tr><th>A</th><th>B</th></tr>\n"
                            "<tr><td>&lt;b&gt;&quot;x&quot; &amp; y</td><td>=1+1</td></tr>\n</table><p>n &amp; m</p>\n"
                            "<h2>None</h2><p>nothing</p>\n</body></html>\n"},
        };
        const char *const columns[] = {"A", "B"}, *const cells[] = {"<b>\"x\" & y", "=1+1"};
        struct page p = {.title = "t<", .period = "p"};
        struct page_part *part = page_part(&p, "Part", "nothing", 2, columns);

        (void)state;
        page_row(part, cells);
        page_note(part, "n & m");
        page_part(&p, "None", "nothing", 2, columns);
        for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
                struct out out = {.f = NULL};
                size_t len;
                char *text, *at;

                out.f = open_memstream(&text, &len);
                page_print(&p, forms[i].form, &out);
                fclose(out.f);
                at = forms[i].form == PAGE_HTML ? strstr(text, "<h2>Part") : text;
                assert_non_null(at);
                assert_string_equal(at, forms[i].expected);
                free(text);
        }
        page_fini(&p);
}

/* ---- the commands ---- */

static void event(struct fixture *h, const char *kind, int severity, const char *body)
{
        spool_append_event(h->spool, h->sim.now.wall_us, kind, severity, SPOOL_NO_TAG, body, strlen(body));
        fixture_run_for(h, 1000000);
}

static int setup(void **state)
{
        struct fixture *h = calloc(1, sizeof(*h));

        fixture_init(h, "cli_past", 7);
        h->conf.commit_interval_us = 100000;
        fixture_open(h);
        event(h, "agent", 100, "\"kind\":\"agent\",\"state\":\"started\"");
        event(h, "uplink", 600, "\"kind\":\"uplink\",\"state\":\"down\",\"why\":\"no\\u001b[2J broker\"");
        event(h, "link", 500, "\"kind\":\"link\",\"driver\":\"plant\",\"state\":\"down\",\"why\":\"refused\"");
        fixture_run_for(h, 60000000);
        event(h, "uplink", 100, "\"kind\":\"uplink\",\"state\":\"up\",\"why\":\"\"");
        fixture_close(h);
        *state = h;
        return 0;
}

static int teardown(void **state)
{
        fixture_fini(*state);
        free(*state);
        return 0;
}

static int run(struct fixture *h, const char *const *words, char **text)
{
        const char *argv[12] = {"millrace", "--spool", h->path};
        struct cli c = {.now_us = FIXTURE_WALL_US + 70000000, .lines = 10};
        struct err e;
        size_t len;
        int argc = 3, r;

        for (; *words; words++)
                argv[argc++] = *words;
        if (cli_parse(&c, argc, argv, &e) != 0)
                fail_msg("%s", e.text);
        c.out = (struct out){.f = open_memstream(text, &len), .json = cli_has(&c, CLI_BIT(JSON))};
        r = c.command->run(&c);
        fclose(c.out.f);
        return r;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check(struct fixture *h, const char *const *words, int result, const char *expected)
{
        char *text;

        assert_int_equal(run(h, words, &text), result);
        assert_string_equal(text, expected);
        free(text);
}

#define HEAD "TIME\tSEVERITY\tKIND\tABOUT\tLASTED\tWHAT\tTO DO\n"

static void test_events(void **state)
{
        check(*state, WORDS("events"), 0,
              HEAD "2026-11-23T10:00:00.000000Z\t100\tagent\tmillraced\t-\tstarted\t-\n"
                   "2026-11-23T10:00:01.000000Z\t600\tuplink\tkafka\t-\taway: no?[2J broker\t-\n"
                   "2026-11-23T10:00:02.000000Z\t500\tlink\tplant\t-\tnot connected: refused\t-\n"
                   "2026-11-23T10:01:03.000000Z\t100\tuplink\tkafka\t1m 2s\ttakes records\t-\n");
        /* what is not shown counts all the same: how long it lasted */
        check(*state, WORDS("events", "-n1"), 0,
              HEAD "2026-11-23T10:01:03.000000Z\t100\tuplink\tkafka\t1m 2s\ttakes records\t-\n");
        check(*state, WORDS("events", "--since", "30s", "--kind", "link,uplink"), 0,
              HEAD "2026-11-23T10:01:03.000000Z\t100\tuplink\tkafka\t1m 2s\ttakes records\t-\n");
        check(*state, WORDS("events", "--until", "2026-11-23T10:00:01Z"), 0,
              HEAD "2026-11-23T10:00:00.000000Z\t100\tagent\tmillraced\t-\tstarted\t-\n");
        check(*state, WORDS("events", "--kind", "dropped"), 0, HEAD);
        check(*state, WORDS("events", "--kind", "links"), CLI_USAGE, "");
        check(*state, WORDS("events", "-n1", "--json"), 0,
              "{\"seq\":4,\"ts\":\"2026-11-23T10:01:03.000000Z\",\"kind\":\"uplink\",\"severity\":100,"
              "\"subject\":\"kafka\",\"words\":\"takes records\",\"state\":\"up\",\"why\":\"\",\"duration_s\":62.0,"
              "\"delivered\":false}\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_damaged_words),
                cmocka_unit_test(test_outages),
                cmocka_unit_test(test_bound),
                cmocka_unit_test(test_gaps),
                cmocka_unit_test(test_gaps_of_nonsense),
                cmocka_unit_test(test_books),
                cmocka_unit_test(test_page),
                cmocka_unit_test_setup_teardown(test_events, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
