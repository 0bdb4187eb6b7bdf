/*
 * test_shares: how the table of tags is shared out, and that bounds and refused names are told once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/shares.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

enum { S = 1000000 };

#define HEAD "gateway: gw-7\nspool: {path: /var/spool.db}\nkafka: {brokers: [127.0.0.1:9092]}\n"

static struct config *load(const char *yaml)
{
        struct faults f = {.n = 0};
        struct config *c;

        if (config_load_text("t", yaml, strlen(yaml), &c, &f) < 0) {
                faults_print(&f, stderr);
                fail();
        }
        faults_fini(&f);
        return c;
}

static void expect_shares(const char *yaml, const char *expected)
{
        struct config *c = load(yaml);
        struct tags *t = tags_new((size_t)c->max_tags);
        char words[512] = "", *at = words;

        shares_set(t, c);
        for (size_t i = 0; i < c->n_drivers; i++)
                at += sprintf(at, "%s %zu ", c->drivers[i].name, tags_item_of(t, c->drivers[i].name)->most);
        assert_string_equal(words, expected);
        tags_free(t);
        config_free(c);
}

#define MQTT(name, more) \
        "  - {name: " name ", url: \"mqtt://h\", " more "subscriptions: [{topic: \"" name "/{source}/{tag}\"}]}\n"
#define FIXED "  - {name: fixed, url: \"mqtt://h\", subscriptions: [{topic: \"x/+\", tag: level}]}\n"
#define SIM   "sim: [{name: s, source: s, tags: [{tag: v}]}]\n"

static void the_table_is_shared_out(void **state)
{
        expect_shares(HEAD SIM, "s 0 ");
        expect_shares(HEAD "mqtt:\n" MQTT("a", "") SIM, "a 50000 s 0 ");
        expect_shares(HEAD "mqtt:\n" MQTT("a", "") MQTT("b", "") FIXED, "a 25000 b 25000 fixed 0 ");
        expect_shares(HEAD "mqtt:\n" MQTT("a", "max_tags: 10000, ") MQTT("b", "") MQTT("c", "") "syslog: [{name: l}]\n",
                      "a 10000 b 19500 c 19500 l 1000 ");
        /* more said than there is: the others have half of it all the same */
        expect_shares(HEAD "limits: {max_tags: 100}\nmqtt:\n" MQTT("a", "max_tags: 500, ") MQTT("b", ""),
                      "a 500 b 50 ");
        expect_shares(HEAD "syslog: [{name: l, source: servers, tag: log}]\n", "l 0 ");
}

static void a_level_goes_down_later_than_up(void **state)
{
        assert_int_equal(shares_level(79, 100, 0), 0);
        assert_int_equal(shares_level(80, 100, 0), 1);
        assert_int_equal(shares_level(71, 100, 1), 1);
        assert_int_equal(shares_level(69, 100, 1), 0);
        assert_int_equal(shares_level(100, 100, 1), 2);
        assert_int_equal(shares_level(96, 100, 2), 2);
        assert_int_equal(shares_level(94, 100, 2), 1);
        assert_int_equal(shares_level(0, 100, 2), 0);
        assert_int_equal(shares_level(500, 100, 0), 2); /* a file may have more */
        assert_int_equal(shares_level(1, 1, 0), 2);
        assert_int_equal(shares_level(0, 1, 2), 0);
}

static struct {
        struct fixture f;
        struct pipeline p;
        struct shares s;
} T;

static void open_house(const char *name)
{
        memset(&T, 0, sizeof(T));
        fixture_init(&T.f, name, 1);
        T.f.max_tags = 100;
        fixture_open(&T.f);
        pipeline_init(&T.p, &T.f.sim.rt, T.f.tags, T.f.spool, NULL, NULL);
}

static int64_t n_events(const char *where)
{
        char sql[200];

        fixture_run_for(&T.f, 3 * S);
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM event WHERE %s", where);
        return db_ask(T.f.path, sql);
}

static void a_bound_is_told_once(void **state)
{
        char source[16];
        uint32_t tag;

        open_house("shares_bound");
        tags_share(T.f.tags, "mqtt", "plant", 40);
        for (int i = 0; i < 60; i++) {
                snprintf(source, sizeof(source), "s-%d", i);
                tags_intern(T.f.tags, source, "t", "", "", "plant", &tag);
                shares_tell(&T.s, T.f.tags, &T.p);
        }
        assert_int_equal(n_events("kind = 'tag_limit'"), 2);
        assert_int_equal(
                n_events("body LIKE '%\"state\":\"high\",\"driver\":\"plant\",\"key\":\"max_tags\",\"n\":32,%'"), 1);
        assert_int_equal(n_events("body LIKE '%\"state\":\"full\",\"driver\":\"plant\",%\"n\":40,\"most\":40%'"), 1);
        for (uint32_t i = 0; i < 20; i++)
                tags_forget(T.f.tags, i);
        shares_tell(&T.s, T.f.tags, &T.p);
        shares_tell(&T.s, T.f.tags, &T.p);
        assert_int_equal(n_events("body LIKE '%\"state\":\"normal\",\"driver\":\"plant\",%'"), 1);
        fixture_fini(&T.f);
}

static void a_refused_source_is_told_once_an_hour(void **state)
{
        uint32_t tag;

        open_house("shares_owner");
        tags_claim(T.f.tags, "modbus", "plc-1", "press-3", NULL);
        for (int minute = 0; minute < 150; minute++) {
                tags_intern(T.f.tags, "press-3", "t", "", "", "plant", &tag);
                tags_intern(T.f.tags, "press-3", "u", "", "", "plant", &tag);
                shares_tell(&T.s, T.f.tags, &T.p);
                fixture_run_for(&T.f, INT64_C(60) * S);
        }
        assert_int_equal(n_events("kind = 'source_refused'"), 3);
        assert_int_equal(
                n_events("body LIKE '%\"source\":\"press-3\",\"driver\":\"plant\",\"owner\":\"plc-1\",\"n\":2%'"), 1);
        assert_int_equal(n_events("body LIKE '%\"n\":120%'"), 2);
        assert_int_equal(tags_count(T.f.tags), 0);
        fixture_fini(&T.f);
}

static void changes_of_units_are_bound(void **state)
{
        char source[16];
        uint32_t tag;

        open_house("shares_units");
        tags_set_most(T.f.tags, 1000);
        tags_on_unit(T.f.tags, pipeline_unit_changed, &T.p);
        for (int i = 0; i < 400; i++) {
                snprintf(source, sizeof(source), "s-%d", i % 200);
                tags_intern(T.f.tags, source, "t", i < 200 ? "degC" : "degF", "", "plant", &tag);
        }
        assert_int_equal(n_events("kind = 'tag'"), 60);
        fixture_run_for(&T.f, INT64_C(60) * S);
        tags_intern(T.f.tags, "s-199", "t", "K", "", "plant", &tag);
        assert_int_equal(n_events("kind = 'tag'"), 61);
        fixture_fini(&T.f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_table_is_shared_out),    cmocka_unit_test(a_level_goes_down_later_than_up),
                cmocka_unit_test(a_bound_is_told_once),       cmocka_unit_test(a_refused_source_is_told_once_an_hour),
                cmocka_unit_test(changes_of_units_are_bound),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
