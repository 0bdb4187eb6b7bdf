/*
 * mqtt_topic: patterns, what they match, and the table of known topics.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/changed_names.h"
#include "drivers/mqtt/topic.h"

static void test_patterns(void **state)
{
        static const struct {
                const char *pattern, *filter; /* NULL: refused */
        } rows[] = {
                {"factory/{line}/{source}/{tag}", "factory/+/+/+"},
                {"a/b", "a/b"},
                {"/a", "/a"},
                {"a/", "a/"},
                {"+/b/#", "+/b/#"},
                {"#", "#"},
                {"{source}", "+"},
                {"$SYS/{source}/x", "$SYS/+/x"},
                {"", NULL},
                {"a/#/b", NULL},
                {"a/b#", NULL},
                {"a/b+/c", NULL},
                {"a/x{line}/c", NULL},
                {"a/{line}x/c", NULL},
                {"a/{}/c", NULL},
                {"a/{line/c", NULL},
                {"a/line}/c", NULL},
                {"a/{li ne}", NULL},
                {"{line}/{line}", NULL},
                {"{source}/{source}", NULL},
                {"{ts}", NULL},
                {"{gateway}/x", NULL},
                {"$share/g/a", NULL},
                {"a/\xff", NULL},
                {"{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}", NULL},
                {"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/33", NULL},
        };
        struct mqtt_pattern p;
        struct err e;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                int r = mqtt_pattern_init(&p, rows[i].pattern, &e);

                print_message("%s\n", rows[i].pattern);
                assert_int_equal(r, rows[i].filter ? 0 : -1);
                if (r == 0)
                        assert_string_equal(p.filter, rows[i].filter);
                mqtt_pattern_fini(&p);
        }
}

static void test_match(void **state)
{
        static const struct {
                const char *pattern, *topic, *source, *tag, *labels; /* source NULL: no match */
                unsigned n_mapped;
        } rows[] = {
                {"factory/{line}/{source}/{tag}", "factory/l1/press-3/temp", "press-3", "temp", "\"line\":\"l1\"", 0},
                {"{a}/{source}/{b}", "x/y/z", "y", "", "\"a\":\"x\",\"b\":\"z\"", 0},
                {"factory/{line}/{source}/{tag}", "factory/l1/press-3", NULL, 0, 0, 0},
                {"factory/{line}/{source}/{tag}", "factory/l1/press-3/temp/x", NULL, 0, 0, 0},
                {"factory/{line}/{source}/{tag}", "factor/l1/press-3/temp", NULL, 0, 0, 0},
                {"factory/{line}/{source}/{tag}", "factoryx/l1/press-3/temp", NULL, 0, 0, 0},
                {"{source}/{tag}", "press 3/t\xc3\xa4g", "press_3._20", "t\xc3\xa4g", "", 1},
                {"p/{source}/{tag}", "p/공장/온도", "공장", "온도", "", 0},
                {"p/{source}/{tag}", "p/공장/습도", "공장", "습도", "", 0},
                {"{halle}/{tag}", "Süd 1/\xff", "", "_._ff", "\"halle\":\"Süd_1._20\"", 2},
                {"{straße}/{tag}", "Weg/x", "", "x", "\"straße\":\"Weg\"", 0},
                {"{source}/{tag}", "/", "_._0", "_._0", "", 2},
                {"{e\u0301}/{tag}", "Ko\u0308che/m\u00b3", "", "m__._c2b3", "\"\u00e9\":\"K\u00f6che\"", 1},
                {"{a_b~20}/{tag}", "l/t", "", "t", "\"a_b._20\":\"l\"", 0},
                {"{source}/{tag}", "a\"b/c", "a_b._22", "c", "", 1},
                {"+/{tag}", "any/t", "", "t", "", 0},
                {"a/#", "a/b/c", "", "", "", 0},
                {"a/#", "a", "", "", "", 0},
                {"a/#", "ab", NULL, 0, 0, 0},
                {"#", "x", "", "", "", 0},
                {"{source}/#", "s/x/y", "s", "", "", 0},
                {"a/b", "a/b", "", "", "", 0},
                {"a/b", "a/bc", NULL, 0, 0, 0},
                {"a/bc", "a/b", NULL, 0, 0, 0},
                {"/a", "/a", "", "", "", 0},
                {"/a", "a", NULL, 0, 0, 0},
                {"a/", "a/", "", "", "", 0},
                {"a/", "a", NULL, 0, 0, 0},
        };
        struct mqtt_pattern p;
        struct mqtt_match m;
        struct err e;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                print_message("%s %s\n", rows[i].pattern, rows[i].topic);
                assert_int_equal(mqtt_pattern_init(&p, rows[i].pattern, &e), 0);
                assert_int_equal(mqtt_pattern_match(&p, rows[i].topic, &m), rows[i].source != NULL);
                if (rows[i].source) {
                        assert_string_equal(m.source, rows[i].source);
                        assert_string_equal(m.tag, rows[i].tag);
                        assert_string_equal(m.labels, rows[i].labels);
                        assert_int_equal(m.n_mapped, rows[i].n_mapped);
                }
                mqtt_pattern_fini(&p);
        }
}

/* What uplink/record.c may write beside the labels; the labels of other sources stand in other records. */
static void test_members_of_a_record_are_no_labels(void **state)
{
        static const char *const taken[] = {
                "id",      "gateway",  "ts",    "ts_us", "value",      "value_int", "value_bool", "value_str",  "unit",
                "quality", "reason",   "clock", "time",  "historical", "aggregate", "retained",   "arrival_us", "epoch",
                "seq",     "event_id", "kind",  "agg",   "site",       "n",         "min",        "max",
        };
        static const char *const free_ones[] = {"group", "edge", "facility", "severity", "line", "Aggregate", "values"};
        struct mqtt_pattern p;
        char pattern[80];

        for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
                sprintf(pattern, "f/{%s}/{tag}", taken[i]);
                if (mqtt_pattern_init(&p, pattern, NULL) == 0)
                        fail_msg("%s", pattern);
        }
        for (size_t i = 0; i < sizeof(free_ones) / sizeof(*free_ones); i++) {
                sprintf(pattern, "f/{%s}/{tag}", free_ones[i]);
                assert_int_equal(mqtt_pattern_init(&p, pattern, NULL), 0);
                mqtt_pattern_fini(&p);
        }
}

static void match_of(struct mqtt_match *m, const char *topic)
{
        struct mqtt_pattern p;

        assert_int_equal(mqtt_pattern_init(&p, "{line}/{source}/{tag}", NULL), 0);
        assert_true(mqtt_pattern_match(&p, topic, m));
        mqtt_pattern_fini(&p);
}

static void test_changed_names_are_new_once(void **state)
{
        static const struct {
                const char *topic;
                unsigned n;
        } rows[] = {
                {"l/press 3/temp", 1}, {"l/press 3/temp", 0}, {"l/press 3/level", 0}, {"l 2/press 3/le vel", 2},
                {"l 2/a b/c d", 2},    {"l/le vel/a b", 0},   {"l/x/y", 0},           {"x y/x y/x y", 1},
                {"l/press_3/temp", 0}, {"l/press?3/temp", 1},
        };
        struct changed_names *changed = changed_names_new();
        struct mqtt_match m;
        char topic[40];
        unsigned n = 7;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                match_of(&m, rows[i].topic);
                assert_int_equal(mqtt_mapped_add(changed, &m), rows[i].n);
        }
        for (; n < CHANGED_NAMES_MAX; n++) {
                sprintf(topic, "l/s/tag %u", n);
                match_of(&m, topic);
                assert_int_equal(mqtt_mapped_add(changed, &m), 1);
        }
        match_of(&m, "l/one more/t");
        assert_int_equal(mqtt_mapped_add(changed, &m), 1);
        assert_int_equal(mqtt_mapped_add(changed, &m), 1); /* no room: told again */
        match_of(&m, "l/press 3/temp");
        assert_int_equal(mqtt_mapped_add(changed, &m), 0);
        changed_names_free(changed);
}

/* All labels as long as they can be. */
static void test_longest_labels(void **state)
{
        char pattern[600] = "", topic[3000] = "", value[200];
        struct mqtt_pattern p;
        struct mqtt_match m;
        struct err e;

        memset(value, 'v', sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        for (int i = 0; i < 7; i++) { /* the pattern itself is bounded */
                sprintf(pattern + strlen(pattern), "%s{%c%.63s}", i ? "/" : "", 'a' + i, value);
                sprintf(topic + strlen(topic), "%s%s", i ? "/" : "", value);
        }
        assert_int_equal(mqtt_pattern_init(&p, pattern, &e), 0);
        assert_true(mqtt_pattern_match(&p, topic, &m));
        assert_int_equal(m.n_mapped, 7);
        assert_int_equal(strlen(m.labels), 7 * (64 + 64 + 5) + 6);
        mqtt_pattern_fini(&p);
}

static void test_known_topics(void **state)
{
        struct mqtt_topics *t = mqtt_topics_new(1000);
        struct mqtt_route *r;
        char topic[MQTT_CACHED_TOPIC_MAX + 2];

        assert_null(mqtt_topics_find(t, "a", 1));
        for (int i = 0; i < 1000; i++) {
                int n = snprintf(topic, sizeof(topic), "f/%d", i);

                r = mqtt_topics_add(t, topic, (size_t)n, (uint16_t)i, 3);
                assert_non_null(r);
                assert_int_equal(r->tags[2], MQTT_NO_TAG);
                r->tags[1] = (uint32_t)i;
        }
        for (int i = 0; i < 1000; i++) {
                int n = snprintf(topic, sizeof(topic), "f/%d", i);

                r = mqtt_topics_find(t, topic, (size_t)n);
                assert_non_null(r);
                assert_int_equal(r->sub, i);
                assert_int_equal(r->tags[1], i);
        }
        assert_null(mqtt_topics_find(t, "f/1000", 6));
        assert_null(mqtt_topics_find(t, "f/10", 3 - 1));
        assert_null(mqtt_topics_add(t, "f/1000", 6, 0, 1)); /* full */
        mqtt_topics_free(t);

        t = mqtt_topics_new(10);
        memset(topic, 'x', sizeof(topic));
        assert_null(mqtt_topics_add(t, topic, MQTT_CACHED_TOPIC_MAX + 1, 0, 1)); /* too long to keep */
        assert_non_null(mqtt_topics_add(t, topic, MQTT_CACHED_TOPIC_MAX, 0, 1));
        mqtt_topics_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_patterns),
                cmocka_unit_test(test_match),
                cmocka_unit_test(test_members_of_a_record_are_no_labels),
                cmocka_unit_test(test_changed_names_are_new_once),
                cmocka_unit_test(test_longest_labels),
                cmocka_unit_test(test_known_topics),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
